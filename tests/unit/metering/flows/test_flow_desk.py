"""The desk for flow sums: rated once, attributed by date and metering point, kept, and every byte with a name."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.flows import EVERYONE, NOON, NOON_S, FlowNetwork, flow, sums_of
from weighbridge.collected import FLOW_SUM, Fate, FlowFlag, FlowSums
from weighbridge.domain.errors import BusyError, ConflictError, OutOfRangeError, StorageError
from weighbridge.measurement import MEASUREMENT, UNKNOWN
from weighbridge.metering.flows import desk as module
from weighbridge.metering.flows.limits import MAX_AMOUNT, ROWS_AT_ONCE
from weighbridge.metering.flows.tally import RECORDS_AT_ONCE, ROWS_HELD
from weighbridge.metering.subjects import Sender
from weighbridge.model import Attribution, Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

LONELY, SENDER = FlowFlag.LONELY, FlowFlag.SENDER


@pytest.fixture
def network(tmp_path: Path) -> Iterator[FlowNetwork]:
    network = FlowNetwork(tmp_path / "journal")
    yield network
    network.close()


def kept_fates(network: FlowNetwork) -> dict[int, Fate]:
    """By bytes in, which tests make different."""
    rows = [row for pile in network.store.read(0, NOON_S + 300 * 10**6) for row in pile.rows]
    return {int(row["bytes_in"]): Fate(row["fate"]) for row in rows}


def test_bytes_are_as_the_thing_sees_them(network):
    network.know("sv_0", "192.0.2.10")
    network.take(sums_of(flow("192.0.2.10", bytes_in=70, bytes_out=5), flow("192.0.2.10", bytes_in=1)))
    assert network.usage_by_slot() == {("sv_0", NOON): (71, 5)}


def test_rows_for_the_journal_are_instants_with_unknown_requests(network):
    network.know("sv_0", "192.0.2.10")
    rows = network.flow_desk.prepare("a", [sums_of(flow("192.0.2.10", 7, 8))], EVERYONE).rows
    [series] = network.view.series.values()
    at_us = NOON_S * 1_000_000
    assert (series.key.kind, series.key.object, series.key.via, series.polled) == ("server", "sv_0", "flows", False)
    assert rows.dtype == MEASUREMENT
    assert rows.tolist() == [(series.id, 0, at_us, at_us, 7, 8, UNKNOWN, 0, 0)]


def test_a_flow_between_two_metered_addresses_is_out_for_one_and_in_for_the_other(network):
    network.know("sv_0", "192.0.2.10")
    network.know("sv_1", "192.0.2.20")
    network.take(sums_of(flow("192.0.2.10", bytes_out=900), flow("192.0.2.20", bytes_in=900)))
    assert network.totals() == {"sv_0": (0, 900), "sv_1": (900, 0)}


def test_two_exporters_see_the_same_flow_once_with_a_metering_point_and_twice_without(network):
    network.declare("edge-1", "192.0.2.1")
    network.declare("edge-2", "192.0.2.2")
    network.know("sv_0", "192.0.2.10", exporter="edge-1")
    network.know("sv_1", "192.0.2.20")
    for exporter in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        network.take(sums_of(flow("192.0.2.10", 100), flow("192.0.2.20", 1000), exporter=exporter))
    assert network.totals() == {"sv_0": (100, 0), "sv_1": (3000, 0)}
    assert network.counts("elsewhere_bytes") == 200
    assert network.counts("unattributed_bytes") == 0


@pytest.mark.parametrize(
    ("flags", "declared", "expected", "estimated"),
    [
        (0, None, 10, False),
        (0, 1000, 10, False),
        (FlowFlag.ESTIMATED, 1000, 10, True),
        (FlowFlag.UNRATED, None, 10, False),
        (FlowFlag.UNRATED, 1, 10, False),
        (FlowFlag.UNRATED, 1000, 10_000, True),
        (FlowFlag.UNKNOWN_SAMPLER, 1000, 10_000, True),
        (FlowFlag.UNKNOWN_SAMPLER, 1, 10, False),
        (FlowFlag.UNKNOWN_SAMPLER, None, 0, False),
    ],
)
def test_the_sampling_rate_is_the_exporters_where_nobody_told_one(network, flags, declared, expected, estimated):
    network.know("sv_0", "192.0.2.10")
    if declared is not None:
        network.declare("edge-1", "192.0.2.1", declared)
    network.take(sums_of(flow("192.0.2.10", 10, 20, flags=flags, packets=3, flows=2)))
    assert network.totals() == ({"sv_0": (expected, 2 * expected)} if expected else {})
    assert network.counts("unknown_sampler") == (0 if expected else 1)
    assert network.counts("unknown_sampler_bytes") == (0 if expected else 30)
    if expected:
        assert network.estimated("sv_0") == ({NOON} if estimated else set())
        [pile] = network.store.read(NOON_S, NOON_S + 300)
        [row] = pile.rows
        assert row["flags"] == (FlowFlag.ESTIMATED if estimated else 0)
        assert (row["bytes_in"], row["packets"], row["flows"]) == (expected, 3 * expected // 10, 2)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (flow("192.0.2.10", -1), "invalid"),
        (flow("192.0.2.10", 1, packets=-5), "invalid"),
        (flow("192.0.2.10", MAX_AMOUNT + 1), "invalid"),
        (flow("192.0.2.10", MAX_AMOUNT // 1000 + 1, flags=FlowFlag.UNRATED), "invalid"),
        (flow("192.0.2.10", 2**63 - 1, 2**63 - 1, flags=FlowFlag.UNRATED), "invalid"),
        (flow("192.0.2.10", 1, slot=NOON + 2 * 288 + 2), "in_future"),
        (flow("192.0.2.10", 1, slot=2**31 - 1), "in_future"),
        (flow("192.0.2.10", 1, slot=0), "too_old"),
        (flow("192.0.2.10", 1, slot=-(2**31)), "too_old"),
    ],
)
def test_nonsense_is_refused_by_name_and_the_rest_is_kept(network, row, reason):
    network.declare("edge-1", "192.0.2.1", 1000)
    network.know("sv_0", "192.0.2.10")
    network.take(sums_of(row, flow("192.0.2.10", 7)))
    assert network.totals() == {"sv_0": (7, 0)}
    assert network.counts(reason) == 1
    assert network.counts(f"{reason}_bytes") == max(row[6], 0) + max(row[7], 0)


def test_the_largest_sums_are_split_over_columns(network):
    network.know("sv_0", "10.0.0.0/8")
    rows = np.zeros(1100, FLOW_SUM)
    rows[:] = flow("10.0.0.1", MAX_AMOUNT, MAX_AMOUNT)
    rows["lo"] += np.arange(1100, dtype="u8")
    network.take(FlowSums("192.0.2.1", rows))
    assert network.totals() == {"sv_0": (1100 * MAX_AMOUNT, 1100 * MAX_AMOUNT)}
    assert network.usage.check() == []


def test_attribution_is_as_it_was_in_each_slot(network):
    network.attribute("sv_0", Attribution(NOON_S - 300, addresses=("192.0.2.10/32",)), Attribution(NOON_S + 300))
    network.attribute("sv_1", Attribution(NOON_S + 600, addresses=("192.0.2.10/32",)))
    rows = [flow("192.0.2.10", 10 ** (place + 2), slot=NOON + place) for place in range(-2, 4)]
    network.take(sums_of(*rows))
    assert network.usage_by_slot() == {
        ("sv_0", NOON - 1): (10, 0), ("sv_0", NOON): (100, 0),
        ("sv_1", NOON + 2): (10_000, 0), ("sv_1", NOON + 3): (100_000, 0),
    }
    assert network.counts("unattributed_bytes") == 1 + 1_000


def test_macs_and_vlans_know_what_no_prefix_does(network):
    network.attribute("sv_0", Attribution(0, macs=("52:54:00:00:00:01",)))
    network.attribute("sv_1", Attribution(0, vlans=(100,)))
    network.know("sv_2", "10.0.0.0/8")
    mac = 0x525400000001
    network.take(sums_of(
        flow("10.0.0.1", 1, mac=mac, vlan=100), flow("192.0.2.1", 10, mac=mac, vlan=100), flow("192.0.2.1", 100, vlan=100),
        flow("192.0.2.1", 1000, mac=2, vlan=2),
    ))
    assert network.totals() == {"sv_2": (1, 0), "sv_0": (10, 0), "sv_1": (100, 0)}
    assert network.counts("unattributed_bytes") == 1000


def test_every_row_has_a_fate(network):
    network.declare("edge-1", "192.0.2.1", networks=("198.51.100.0/24",))
    network.know("sv_0", "192.0.2.10")
    network.know("sv_1", "192.0.2.20", exporter="edge-9")
    network.take(sums_of(
        flow("192.0.2.10", 1), flow("192.0.2.20", 2), flow("203.0.113.1", 3, flags=LONELY | SENDER),
        flow("198.51.100.1", 4), flow("198.51.100.1", 5, flags=LONELY), flow("203.0.113.2", 6), flow("::", 7, flags=LONELY),
        flow("192.0.2.10", 8, flags=LONELY),
    ))
    assert kept_fates(network) == {
        1: Fate.ATTRIBUTED, 2: Fate.ELSEWHERE, 3: Fate.UNATTRIBUTED, 4: Fate.BESIDE, 5: Fate.UNATTRIBUTED,
        6: Fate.UNATTRIBUTED, 7: Fate.UNATTRIBUTED, 8: Fate.ATTRIBUTED,
    }
    assert network.totals() == {"sv_0": (9, 0)}


def test_what_the_sender_does_not_reach_is_nobodys(network):
    network.know("sv_0", "192.0.2.0/24")
    network.know("sv_other", "192.0.2.10", "10.0.0.0/8")
    rows = sums_of(flow("192.0.2.10", 1), flow("10.0.0.1", 10))
    network.take(rows, sender=Sender("org_acme"))
    assert network.totals() == {"sv_0": (1, 0)}  # what it may not see does not exist for it
    assert network.counts("unattributed_bytes") == 10
    network.take(rows)
    assert network.totals() == {"sv_0": (1, 0), "sv_other": (11, 0)}


def test_a_server_that_moved_is_reached_by_whom_it_belonged_to(network):
    network.know("sv_0", "192.0.2.10")
    server = network.view.servers["sv_0"]
    placements = (*server.placements, Placement(NOON_S + 300, "proj_o", "miami"))
    network.view.servers["sv_0"] = type(server)(
        server.id, server.hostname, "proj_o", "miami", placements, server.attributions)
    network.view.version += 1
    rows = sums_of(flow("192.0.2.10", 1), flow("192.0.2.10", 10, slot=NOON + 1))
    network.take(rows, sender=Sender("org_acme"))
    network.take(rows, sender=Sender("org_other"))
    assert network.usage_by_slot() == {("sv_0", NOON): (1, 0), ("sv_0", NOON + 1): (10, 0)}


def test_an_exporters_address_has_one_spelling(network):
    network.declare("edge-1", "192.0.2.1", 10)
    network.declare("edge-6", "2001:db8::1", 100)
    network.know("sv_0", "10.0.0.1")
    for exporter in ("::ffff:192.0.2.1", "2001:DB8:0::1"):
        network.take(sums_of(flow("10.0.0.1", 1, flags=FlowFlag.UNRATED), exporter=exporter))
    assert network.totals() == {"sv_0": (110, 0)}
    assert sorted(pile.exporter for pile in network.store.read(NOON_S, NOON_S + 300)) == ["192.0.2.1", "2001:db8::1"]


def test_counts_name_exporters_by_id_or_address(network):
    network.declare("edge-1", "192.0.2.1")
    flows = [sums_of(flow("10.0.0.1", 1)), sums_of(flow("10.0.0.1", 2), exporter="192.0.2.9")]
    counts = network.flow_desk.prepare("a", flows, EVERYONE).counts
    assert counts == {("edge-1", "unattributed_bytes"): 1, ("192.0.2.9", "unattributed_bytes"): 2}


def test_the_same_id_counts_once(network):
    network.know("sv_0", "192.0.2.10")
    for _ in range(3):
        network.take(sums_of(flow("192.0.2.10", 5)), name="x")
    assert network.totals() == {"sv_0": (5, 0)}
    assert kept_fates(network) == {5: Fate.ATTRIBUTED}
    with pytest.raises(ConflictError):
        network.take(sums_of(flow("192.0.2.10", 6)), name="x")


def test_what_the_journal_refuses_is_kept_by_nobody(network, monkeypatch):
    network.know("sv_0", "192.0.2.10")

    def refuse(*_: object) -> None:
        raise StorageError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(network.journal, "append", refuse)
        with pytest.raises(StorageError):
            network.take(sums_of(flow("192.0.2.10", 5)), name="x")
        patch.setattr(network.intake, "submit", lambda *_: refuse_busy())
        with pytest.raises(BusyError):
            network.take(sums_of(flow("192.0.2.10", 5)), name="y")
    assert kept_fates(network) == {}
    assert network.counts("attributed_bytes") == 0
    network.take(sums_of(flow("192.0.2.10", 7)), name="merged with what came later")
    assert network.totals() == {"sv_0": (7, 0)}
    assert kept_fates(network) == {7: Fate.ATTRIBUTED}
    network.settle()
    assert network.reattribute().corrections == 0


def refuse_busy() -> None:
    raise BusyError("too much waits")


def test_all_that_a_tally_holds_is_taken_at_once():
    assert ROWS_HELD + 27 * RECORDS_AT_ONCE * 2 <= ROWS_AT_ONCE  # what it held, and the last records, cut at slots


def test_too_many_rows_are_refused_whole(network, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 3)
    rows = [flow("192.0.2.10", number) for number in range(4)]
    with pytest.raises(OutOfRangeError):
        network.take(sums_of(*rows[:2]), sums_of(*rows[2:]))
    assert kept_fates(network) == {}


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_an_exporter_has_a_name(network, name):
    with pytest.raises(OutOfRangeError):
        network.take(sums_of(flow("192.0.2.10", 5), exporter=name))


def test_no_flows_no_rows(network):
    for flows in ([], [sums_of()]):
        prepared = network.flow_desk.prepare(f"id {len(flows)}", flows, EVERYONE)
        assert (len(prepared.rows), prepared.counts) == (0, {})


ROWS = st.builds(
    lambda address, bytes_in, bytes_out, slot, flags: flow(address, bytes_in, bytes_out, slot=NOON + slot, flags=flags),
    st.sampled_from(["192.0.2.10", "192.0.2.20", "192.0.2.30", "198.51.100.1", "203.0.113.1", "::", "2001:db8::1"]),
    st.integers(-1, 1000) | st.integers(0, MAX_AMOUNT // 1000), st.integers(0, 1000), st.sampled_from([-600, 0, 1, 600]),
    st.sampled_from([0, FlowFlag.ESTIMATED, FlowFlag.UNRATED, FlowFlag.UNKNOWN_SAMPLER, LONELY, LONELY | SENDER,
                     LONELY | SENDER | FlowFlag.UNRATED, LONELY | FlowFlag.UNKNOWN_SAMPLER]),
)
RATES = {"192.0.2.1": 100, "192.0.2.2": None, "192.0.2.3": None}
BATCHES = st.lists(st.tuples(st.sampled_from(sorted(RATES)), st.lists(ROWS, max_size=12)), max_size=6)


@settings(max_examples=30, deadline=None)
@given(BATCHES)
def test_attributed_elsewhere_beside_unattributed_and_refused_are_what_came(batches):
    """Bytes that came, multiplied where that is due, are in exactly one account, and those attributed are in the usage."""
    with tempfile.TemporaryDirectory() as folder:
        network = FlowNetwork(Path(folder))
        try:
            network.declare("edge-1", "192.0.2.1", 100, networks=("198.51.100.0/24",))
            network.declare("edge-2", "192.0.2.2")
            network.know("sv_0", "192.0.2.10")
            network.know("sv_1", "192.0.2.20", exporter="edge-1")
            network.know("sv_2", "2001:db8::/64", from_s=NOON_S + 300)
            came = refused = 0
            for exporter, rows in batches:
                network.take(sums_of(*rows, exporter=exporter))
                for row in rows:
                    bytes_ = max(row[6], 0) + row[7]
                    unknown = row[5] & FlowFlag.UNKNOWN_SAMPLER and RATES[exporter] is None
                    if row[6] < 0 or row[0] > NOON + 577 or unknown:
                        refused += bytes_
                    else:
                        unrated = row[5] & (FlowFlag.UNRATED | FlowFlag.UNKNOWN_SAMPLER)
                        came += bytes_ * ((RATES[exporter] or 1) if unrated else 1)
            named = {fate: network.counts(f"{fate.name.lower()}_bytes") for fate in Fate}
            assert sum(named.values()) == came
            assert sum(network.counts(f"{reason}_bytes") for reason in ("invalid", "in_future", "unknown_sampler")) == refused
            assert named[Fate.ATTRIBUTED] == sum(map(sum, network.totals().values()))
            held = dict.fromkeys(Fate, 0)
            for pile in network.store.read(0, NOON_S + 300 * 10**6):
                for row in pile.rows:
                    held[Fate(row["fate"])] += int(row["bytes_in"]) + int(row["bytes_out"])
            assert held == named
        finally:
            network.close()
