"""The desk: what collectors bring in is kept once, as a whole or not at all, and what happened is counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from support.things import EVERYONE, Network, reading
from weighbridge.collected import FLOW_SUM, Collected, FlowSums
from weighbridge.domain.errors import BusyError, OutOfRangeError, StorageError
from weighbridge.metering import desk as desk_module
from weighbridge.model import Attribution, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLOWS = (FlowSums("192.0.2.1", np.zeros(1, FLOW_SUM)),)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path / "journal")
    network.give_port("sv_0")
    yield network
    network.close()


def test_readings_and_flows_of_one_collected_are_kept_together_and_once(network: Network) -> None:
    network.attribute("sv_1", Attribution(0, addresses=("192.0.2.10/32",)))
    network.flow("sv_1", (0, 7, 70))
    network.read(reading(0, 0, 0), source="sflow")
    collected = Collected("sflow", (reading(1, 60, 6),), FLOWS, {("192.0.2.1", "datagrams"): 5})
    network.flows.counts["192.0.2.1", "attributed"] = 1
    for is_known in (False, True, True):
        receipt = network.desk.take(collected, EVERYONE, "", "7")
        assert receipt.is_known is is_known
        assert (receipt.accepted, receipt.duplicates) == ((0, 2) if is_known else (2, 0))
        if is_known:
            network.reopen()
    assert network.billed("server") == {"sv_0": (60, 6), "sv_1": (14, 140)}


def test_counts_are_of_what_was_kept_and_only_once(network: Network) -> None:
    network.flows.counts["192.0.2.1", "attributed"] = 3
    collected = Collected("sflow", (reading(0, 60, 6),), FLOWS, {("192.0.2.1", "datagrams"): 5})
    for _ in range(2):
        network.desk.take(collected, EVERYONE, "", "7")
    expected = {
        ("sflow", "192.0.2.1", "attributed"): 3, ("sflow", "192.0.2.1", "datagrams"): 5,
        ("sflow", "tor-1", "readings"): 1, ("sflow", "tor-1", "first"): 1,
    }
    assert network.desk.counts() == expected
    network.desk.take(Collected("sflow", counts={("192.0.2.1", "datagrams"): 2}), EVERYONE, "", "8")
    assert network.desk.counts() == expected | {("sflow", "192.0.2.1", "datagrams"): 7}


def test_counts_of_too_many_names_are_one(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "NAMES_COUNTED", 2)
    counts = {(f"192.0.2.{number}", "datagrams"): 1 for number in range(5)}
    network.desk.take(Collected("netflow", counts=counts), EVERYONE, "", None)
    assert network.desk.counts() == {
        ("netflow", "192.0.2.0", "datagrams"): 1, ("netflow", "192.0.2.1", "datagrams"): 1, desk_module.OTHERS: 3}


def test_ids_are_unique_within_owner_and_source(network: Network) -> None:
    taken = [
        network.desk.take(Collected(source, flows=FLOWS), EVERYONE, owner, name)
        for owner, source, name in (("", "sflow", "1"), ("org_acme", "sflow", "1"), ("", "netflow", "1"), ("", "sflow", "2"))
    ]
    assert not any(receipt.is_known for receipt in taken)
    assert len(set(network.flows.prepared)) == 4


def test_flows_without_an_id_would_count_twice(network: Network) -> None:
    with pytest.raises(ValueError, match="flows want an id"):
        network.desk.take(Collected("netflow", flows=FLOWS), EVERYONE, "", None)
    assert network.desk.take(Collected("snmp", (reading(0, 1, 1),)), EVERYONE, "", None).accepted == 1


def test_more_readings_than_may_come_at_once_are_refused(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "MAX_READINGS", 1)
    with pytest.raises(OutOfRangeError, match="2 readings at once"):
        network.read(reading(0, 0, 0), reading(1, 1, 1))


def test_a_disk_that_refuses_keeps_nothing_and_the_same_counts_when_it_works_again(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.read(reading(0, 0, 0), name="a")
    before = network.desk.counts()

    def refuse(*_: object) -> None:
        raise StorageError("the disk is at fault")

    with monkeypatch.context() as broken:
        broken.setattr(network.journal, "append", refuse)
        with pytest.raises(StorageError, match="at fault"):
            network.read(reading(1, 50, 5), name="b")
    assert network.desk.counts() == before
    assert network.read(reading(1, 50, 5), name="b").accepted == 1
    assert network.billed("server") == {"sv_0": (50, 5)}


def test_a_server_that_stops_takes_nothing(network: Network) -> None:
    network.read(reading(0, 0, 0))
    network.intake.close()
    with pytest.raises(BusyError):
        network.read(reading(1, 50, 5))


def test_many_threads_hand_in_at_once(network: Network) -> None:
    network.read(reading(0, 0, 0))
    network.flow("sv_0", (0, 1, 1))

    def hand_in(number: int) -> None:
        for turn in range(20):
            network.desk.take(Collected("netflow", flows=FLOWS), EVERYONE, "", f"{number} {turn}")

    threads = [threading.Thread(target=hand_in, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert network.total(Kind.SERVER, "sv_0", "flows") == (101, 101)
