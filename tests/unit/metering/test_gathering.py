"""Readings of things: what is refused and why, whose counters they move, and how often they count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from support.catalog import VPN
from support.things import PORT, Network, at_s, at_us, reading
from weighbridge.collected import CounterReading, Thing, ThingKind
from weighbridge.measurement import MEASUREMENT
from weighbridge.metering import gathering
from weighbridge.metering import things as things_module
from weighbridge.metering.subjects import Sender
from weighbridge.model import Exporter, Kind, Placement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME = Sender("org_acme")
OTHER = Sender("org_other")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path / "journal")
    network.give_port("sv_0")
    yield network
    network.close()


@pytest.mark.parametrize("fields", [
    {"at_us": 0},
    {"at_us": 63_072_000 * 10**6 - 1},
    {"bits": 16},
    {"bytes_in": -1},
    {"bytes_out": 2**64},
    {"bytes_in": 2**32, "bits": 32},
    {"since_us": at_us(1) + 1},
    {"counter": "x" * 256},
    {"counter": "\udcff"},
    {"thing": Thing(ThingKind.INTERFACE, "", "ge-0/0/1")},
    {"thing": Thing(ThingKind.INTERFACE, "tor-1", "ge\n")},
    {"thing": Thing(ThingKind.INTERFACE, "tor-1\x00", "ge")},
    {"thing": Thing(ThingKind.INTERFACE, "t" * 256, "ge")},
])
def test_what_cannot_be_is_invalid_and_moves_nothing(network: Network, fields: dict[str, Any]) -> None:
    network.read(reading(0, 100, 10))
    given: dict[str, Any] = {"thing": PORT, "at_us": at_us(1), "bytes_in": 200, "bytes_out": 20} | fields
    receipt = network.read(CounterReading(**given))
    assert (receipt.accepted, receipt.counts) == (0, {("", "invalid"): 1})
    network.read(reading(2, 150, 15))
    assert network.billed("server") == {"sv_0": (50, 5)}


def test_a_clock_that_is_ahead_does_not_make_all_that_follows_older(network: Network) -> None:
    network.read(reading(0, 100, 10))
    far = (network.clock.at_us - at_us(0)) / 60_000_000
    assert network.read(reading(far + 5.1, 200, 20)).counts == {("tor-1", "in_future"): 1}
    assert network.read(reading(far + 4.9, 200, 20)).accepted == 1


@pytest.mark.parametrize("since_us", [-10**15, 0, 63_072_000 * 10**6 - 1])
def test_a_start_before_there_were_such_counters_is_none(network: Network, since_us: int) -> None:
    network.read(reading(0, 100, 10, since_us=since_us, is_whole=True))
    network.read(reading(1, 150, 5, since_us=since_us))
    assert network.billed("server") == {"sv_0": (0, 0)}  # one fell: a reset that tells no start


def test_what_was_not_read_for_400_days_begins_anew(network: Network) -> None:
    day = 24 * 60
    network.read(reading(-401 * day, 100, 10), reading(-399 * day, 150, 10))
    network.read(reading(-399 * day + 1, None, 11))
    network.read(reading(1.5, 1_000, 100))
    assert network.total(Kind.SERVER, "sv_0", "interfaces") == (50 + 850, 90)
    network.read(reading(2, 1_001, None), reading(2 + 400 * day, None, 0))
    assert network.read(reading(2 + 400 * day + 1, 2_000, 1)).counts["tor-1", "in_future"] == 1
    network.clock.at_us += 500 * 86_400 * 10**6
    assert network.read(reading(2 + 400 * day + 1, 2_000, 1)).counts["tor-1", "first"] == 1
    assert network.total(Kind.SERVER, "sv_0", "interfaces") == (901, 90)


def test_the_same_id_again_keeps_nothing_whatever_it_holds(network: Network) -> None:
    network.read(reading(0, 100, 10))
    assert network.read(reading(1, 200, 20), name="n-1").accepted == 1
    network.reopen()
    receipt = network.read(reading(1, 200, 20), reading(2, 900, 90), name="n-1")
    assert (receipt.accepted, receipt.duplicates, receipt.is_known, receipt.counts) == (0, 2, True, {})
    assert network.read(reading(2, 900, 90), name="n-1", source="sflow").counts["tor-1", "elsewhere"] == 1
    assert network.billed("server") == {"sv_0": (100, 10)}
    network.read(reading(2, 900, 90), name="n-2")
    assert network.billed("server") == {"sv_0": (800, 80)}


def test_readings_without_rows_are_harmless_when_they_come_again(network: Network) -> None:
    nobodys = Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/9")
    for _ in range(2):
        network.read(reading(0, 0, 0, nobodys), reading(10, 500, 50, nobodys), name="n-1")
    network.give_port("sv_1", thing=nobodys)
    receipt = network.read(reading(0, 0, 0, nobodys), reading(10, 500, 50, nobodys), name="n-1")
    assert receipt.counts == {("tor-1", "out_of_order"): 1, ("tor-1", "duplicate"): 1}
    assert network.billed("server") == {}


def test_what_is_outside_the_senders_reach_is_unattributed_by_its_owner_at_that_time(network: Network) -> None:
    placements = (Placement(0, "proj_o", "miami"), Placement(at_s(10), "proj_a", "brazil"))
    network.view.servers["sv_0"] = msgspec.structs.replace(network.view.servers["sv_0"], placements=placements)
    network.view.version += 1
    receipt = network.read(reading(0, 0, 0), reading(20, 2_000, 200), sender=ACME)
    assert receipt.counts["tor-1", "unattributed_bytes_in"] == 1_000
    assert network.billed("organization") == {"org_acme": (1_000, 100)}


def test_one_senders_readings_move_no_counter_of_anothers(network: Network) -> None:
    network.read(reading(0, 1_000, 100), sender=ACME)
    network.read(reading(5, 10**12, 10**12), sender=OTHER)
    network.read(reading(6, 0, 0), sender=Sender("org_acme", "proj_a"))
    assert network.read(reading(1, 1_100, 110), sender=ACME).accepted == 1
    assert network.billed("server") == {"sv_0": (100, 10)}


@pytest.mark.parametrize("reader", [Sender(None), ACME])
def test_sflow_tells_nothing_of_a_port_that_snmp_reads(network: Network, reader: Sender) -> None:
    network.read(reading(0, 100, 10), reading(1, 150, 20), source="sflow", sender=ACME)
    assert network.billed("server") == {"sv_0": (50, 10)}
    network.read(reading(2, 170, 25), sender=reader)
    receipt = network.read(reading(3, 180, 30), source="sflow", sender=ACME)
    assert (receipt.accepted, receipt.counts) == (0, {("tor-1", "elsewhere"): 1})
    network.read(reading(4, 190, 35), sender=reader)
    assert network.billed("server") == {"sv_0": (50 + 20, 10 + 10)}
    beside = Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/2")
    assert network.read(reading(3, 180, 30, beside), source="sflow", sender=ACME).accepted == 1


def test_sflow_tells_nothing_of_it_by_its_devices_address_either(network: Network) -> None:
    by_address = Thing(ThingKind.INTERFACE, "192.0.2.1", PORT.name)
    network.view.exporters_by_address["192.0.2.1"] = Exporter("tor-1", "192.0.2.1")
    network.view.version += 1
    network.read(reading(0, 100, 10, by_address), reading(1, 150, 20, by_address), source="sflow")
    assert network.billed("server") == {"sv_0": (50, 10)}
    network.read(reading(2, 170, 25))
    receipt = network.read(reading(3, 180, 30, by_address), source="sflow")
    assert receipt.counts == {("192.0.2.1", "elsewhere"): 1}
    assert network.billed("server") == {"sv_0": (50, 10)}


def test_too_many_new_counters_are_refused_and_known_ones_go_on(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(things_module, "NEW_COUNTERS_A_DAY", 2)
    names = [Thing(ThingKind.INTERFACE, "tor-1", f"made-up-{number}") for number in range(4)]
    network.read(reading(0, 0, 0))
    receipt = network.read(*(reading(1, 5, 5, thing) for thing in names), reading(1, 70, 7))
    assert (receipt.accepted, receipt.counts["tor-1", "too_many"]) == (2, 3)
    assert network.billed("server") == {"sv_0": (70, 7)}


def test_what_would_touch_too_many_slots_waits_for_the_next_reading(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SLOTS_A_GATHERED", 10)
    second = Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/2")
    network.give_port("sv_1", thing=second)
    network.read(reading(0, 0, 0), reading(0, 0, 0, second))
    receipt = network.read(reading(40, 800, 80), reading(40, 400, 40, second))
    assert (receipt.accepted, receipt.counts["tor-1", "too_long"]) == (1, 1)
    network.read(reading(41, 820, 82))
    network.read(reading(41, 410, 41, second))
    assert network.billed("server") == {"sv_0": (820, 82), "sv_1": (410, 41)}


def test_series_that_counters_feed_are_marked_as_polled(network: Network) -> None:
    network.read(reading(0, 0, 0), reading(0, 0, 0, Thing(ThingKind.TUNNEL, VPN, "nobody's key")))
    found = {(series.key.kind, series.key.via): series.polled for series in network.view.series.values()}
    assert found == {(Kind.SERVER, "interfaces"): True, (Kind.VPN, "host"): True}


def test_a_gathered_weighs_what_a_queue_can_take() -> None:
    def job(readings: int) -> gathering.GatheredJob:
        gathered = gathering.Gathered([reading(0, 0)] * readings, np.zeros(3, MEASUREMENT), ACME, "", "snmp")
        return gathering.GatheredJob(gathered, print)

    assert [job(0).size, job(10).size, job(200_000).size] == [4, 14, gathering.LARGEST_WEIGHT + 1]
