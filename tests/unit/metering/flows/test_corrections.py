"""Reattribution: usage via flows is what the kept sums say under today's catalog, as often as one likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from support.flows import DAY_S, EVERYONE, NOON, NOON_S, FlowNetwork, MemoryFlowStore, flow, sums_of
from weighbridge.collected import FlowFlag
from weighbridge.domain.errors import BusyError, StorageError
from weighbridge.metering.flows import desk as desk_module
from weighbridge.metering.flows.corrections import Change
from weighbridge.metering.flows.limits import SETTLED_AFTER_S
from weighbridge.metering.flows.unattributed import Stranger, strangers
from weighbridge.metering.subjects import Sender
from weighbridge.model import Attribution, Kind
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.flows.store import SqliteFlowStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONELY, SENDER = FlowFlag.LONELY, FlowFlag.SENDER


@pytest.fixture
def network(tmp_path: Path) -> Iterator[FlowNetwork]:
    """Over the real stores."""
    usage, flows = DuckDBStore(tmp_path / "usage"), SqliteFlowStore(tmp_path / "flows", lambda: 0)
    network = FlowNetwork(tmp_path / "journal", store=flows, usage=usage)
    yield network
    network.fold()
    assert usage.check() == flows.check() == network.journal.check() == []
    network.close()
    usage.close()
    flows.close()


def test_an_address_that_was_forgotten_is_counted_from_when_it_was_there(network):
    network.know("sv_0", "192.0.2.10")
    network.take(sums_of(flow("192.0.2.10", 1, 2), *(
        flow("192.0.2.11", 10**place, 7, slot=NOON + place, flags=LONELY | SENDER) for place in range(4))))
    network.attribute("sv_0", Attribution(0, addresses=("192.0.2.10/32",)),
                      Attribution(NOON_S + 300, addresses=("192.0.2.10/32", "192.0.2.11/32")))
    before = network.usage_by_slot()
    asked = network.reattribute(dry_run=True)
    assert network.usage_by_slot() == before == {("sv_0", NOON): (1, 2)}
    assert asked.changes == {(Kind.SERVER, "sv_0"): Change(gained_in=1110, gained_out=21)}
    assert (asked.corrections, asked.unattributed_before, asked.unattributed_after) == (3, 1111 + 28, 1 + 7)
    done = network.reattribute()
    assert (done.changes, done.corrections) == (asked.changes, 3)
    assert network.usage_by_slot() == {("sv_0", NOON): (1, 2), **{("sv_0", NOON + n): (10**n, 7) for n in (1, 2, 3)}}
    again = network.reattribute()
    assert (again.changes, again.corrections, again.unattributed_before) == ({}, 0, 8)


def test_what_was_counted_for_the_wrong_one_goes_over(network):
    network.know("sv_0", "192.0.2.0/24")
    network.take(sums_of(flow("192.0.2.10", 100, 5), flow("192.0.2.20", 30), flow("192.0.2.20", 1, 1, slot=NOON + 1)))
    network.know("sv_1", "192.0.2.20")
    outcome = network.reattribute()
    assert outcome.changes == {
        (Kind.SERVER, "sv_0"): Change(lost_in=31, lost_out=1), (Kind.SERVER, "sv_1"): Change(gained_in=31, gained_out=1)}
    assert network.usage_by_slot() == {("sv_0", NOON): (100, 5), ("sv_1", NOON): (30, 0), ("sv_1", NOON + 1): (1, 1)}
    network.know("sv_1")
    assert network.reattribute().corrections == 4
    assert network.totals() == {"sv_0": (131, 6)}
    network.know("sv_1", "192.0.2.20")  # the same correction a second time is another one
    assert network.reattribute().corrections == 4
    assert network.totals() == {"sv_0": (100, 5), "sv_1": (31, 1)}


def test_unattributed_is_as_it_was_when_taken_and_after_a_correction_as_it_is_then(network):
    network.declare("edge-1", "192.0.2.1")
    rows = (flow("192.0.2.10", 0, 50, flags=LONELY | SENDER, packets=3, flows=2),
            flow("203.0.113.9", 50, 0, flags=LONELY, packets=3, flows=2))
    network.take(sums_of(*rows), sums_of(*rows, exporter="192.0.2.2"))

    def listed():
        return strangers(network.store, network.view, NOON_S, NOON_S + 300)

    before = [Stranger(exporter, address, 50, 3, 2) for exporter in ("192.0.2.2", "edge-1")
              for address in ("192.0.2.10", "203.0.113.9")]
    assert listed() == (before, {"192.0.2.2": (50, 3, 2), "edge-1": (50, 3, 2)})
    network.know("sv_0", "192.0.2.10", exporter="edge-1")
    assert listed()[0] == before
    network.reattribute(dry_run=True)
    assert listed()[0] == before
    network.reattribute()
    assert network.totals() == {"sv_0": (0, 50)}
    after = [Stranger("192.0.2.2", "203.0.113.9", 50, 3, 2), Stranger("edge-1", "203.0.113.9", 50, 3, 2)]
    # Its other end alone is nobody's now, here as there; the flow itself, which the sender's row tells, is not.
    assert listed() == (after, {"192.0.2.2": (0, 0, 0), "edge-1": (0, 0, 0)})
    network.know("sv_0")
    network.reattribute()
    assert listed() == (before, {"192.0.2.2": (50, 3, 2), "edge-1": (50, 3, 2)})


def test_slots_to_which_flows_may_still_come_are_left_alone(network):
    now = network.clock.now_us() // 300_000_000
    slots = [now - 15, now - 14, now]
    network.take(sums_of(*(flow("192.0.2.10", 10**place, slot=slot) for place, slot in enumerate(slots))))
    network.know("sv_0", "192.0.2.10")
    outcome = network.reattribute()
    assert outcome.to_s == (now - SETTLED_AFTER_S // 300) * 300
    assert network.usage_by_slot() == {("sv_0", now - 15): (1, 0)}
    network.settle()
    network.reattribute()
    assert network.totals() == {"sv_0": (111, 0)}


def test_slots_of_which_not_all_is_kept_are_left_alone(network):
    network.know("sv_0", "192.0.2.10")
    rows = [flow("192.0.2.10", 10**place, slot=NOON + 288 * place - 400) for place in range(3)]
    network.take(sums_of(*rows))
    network.store.retain(NOON_S)
    network.take(sums_of(flow("192.0.2.10", 5_000, slot=NOON - 400)))  # too late to be kept; it counts all the same
    network.know("sv_0")
    outcome = network.reattribute()
    assert outcome.from_s == NOON_S - DAY_S // 2
    assert network.totals() == {"sv_0": (5_001, 0)}


def test_slots_of_which_usage_has_only_coarser_sums_are_left_alone(network):
    network.know("sv_0", "192.0.2.10")
    network.take(sums_of(flow("192.0.2.10", 1), flow("192.0.2.10", 10, slot=NOON + 7)))
    network.fold()
    network.usage.retain(300, NOON_S + 1800)
    network.know("sv_1", "192.0.2.10/32")
    network.know("sv_0")
    assert network.reattribute().from_s == NOON_S + 1800
    assert network.totals() == {"sv_0": (1, 0), "sv_1": (10, 0)}


def test_only_the_slots_within_the_range_are_looked_at(network):
    network.take(sums_of(*(flow("192.0.2.10", 10**place, slot=NOON + place) for place in range(4))))
    network.know("sv_0", "192.0.2.10")
    outcome = network.reattribution.run(NOON_S + 1, NOON_S + 1199, dry_run=False)
    assert (outcome.from_s, outcome.to_s) == (NOON_S + 300, NOON_S + 900)
    assert network.totals() == {"sv_0": (110, 0)}
    assert network.reattribution.run(NOON_S + 10, NOON_S + 20, dry_run=False).corrections == 0
    assert network.reattribution.run(NOON_S, NOON_S - 3000, dry_run=False).corrections == 0


def test_a_crash_between_keeping_and_journaling_is_mended(network):
    network.know("sv_0", "192.0.2.10")
    network.take(sums_of(flow("192.0.2.10", 1)))
    network.flow_desk.prepare("lost", [sums_of(flow("192.0.2.10", 70, 7), flow("192.0.2.10", 5, slot=NOON + 1))], EVERYONE)
    assert network.totals() == {"sv_0": (1, 0)}
    outcome = network.reattribute()
    assert outcome.changes == {(Kind.SERVER, "sv_0"): Change(gained_in=75, gained_out=7)}
    assert network.usage_by_slot() == {("sv_0", NOON): (71, 7), ("sv_0", NOON + 1): (5, 0)}


def test_what_a_correction_has_counted_does_not_count_again_when_its_sender_comes_back(network, monkeypatch):
    """A server died after keeping; an agent brings the same again, days later, when everything is corrected already."""
    network.know("sv_0", "192.0.2.10")
    young = network.clock.now_us() // 300_000_000
    sums = sums_of(flow("192.0.2.10", 70), flow("192.0.2.10", 5, slot=young))
    with monkeypatch.context() as patch:
        patch.setattr(network.desk, "_hand_in", die)
        with pytest.raises(KeyboardInterrupt):
            network.take(sums, name="x")
    assert network.reattribute().corrections == 1
    assert network.totals() == {"sv_0": (70, 0)}
    for _ in range(2):
        network.take(sums, name="x")
        assert network.totals() == {"sv_0": (75, 0)}
    network.settle()
    assert network.reattribute().corrections == 0


def die(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("error", [BusyError("full"), StorageError("no room"), KeyboardInterrupt()])
def test_an_interrupted_run_is_run_again_and_ends_the_same(network, monkeypatch, error):
    network.take(sums_of(*(flow("192.0.2.10", 10**place, 1, slot=NOON + 12 * place, flags=LONELY) for place in range(5))))
    network.know("sv_0", "192.0.2.10")
    taken = network.intake.take
    calls = 0

    def take(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise error
        return taken(*args)

    monkeypatch.setattr(network.intake, "take", take)
    with pytest.raises(type(error)):
        network.reattribute()
    assert network.totals() == {"sv_0": (11, 2)}
    assert network.reattribute().changes == {(Kind.SERVER, "sv_0"): Change(gained_in=11_100, gained_out=3)}
    assert network.totals() == {"sv_0": (11_111, 5)}
    assert network.reattribute().corrections == 0


def test_a_senders_reach_holds_for_corrections_too(network):
    network.take(sums_of(flow("192.0.2.10", 1), flow("192.0.2.20", 10)), sender=Sender("org_acme"))
    network.know("sv_other", "192.0.2.10")
    network.know("sv_0", "192.0.2.20")
    network.reattribute()
    assert network.totals() == {"sv_0": (10, 0)}


def test_a_metering_point_that_was_declared_late(network):
    network.declare("edge-1", "192.0.2.1")
    network.know("sv_0", "192.0.2.10")
    for exporter in ("192.0.2.1", "192.0.2.2"):
        network.take(sums_of(flow("192.0.2.10", 100, 3), exporter=exporter))
    assert network.totals() == {"sv_0": (200, 6)}
    network.know("sv_0", "192.0.2.10", exporter="edge-1")
    assert network.reattribute().changes == {(Kind.SERVER, "sv_0"): Change(lost_in=100, lost_out=3)}
    assert network.totals() == {"sv_0": (100, 3)}


def test_what_was_sampled_stays_an_estimate(network):
    network.take(sums_of(flow("192.0.2.10", 1, flags=FlowFlag.ESTIMATED), flow("192.0.2.10", 1, slot=NOON + 1)))
    network.know("sv_0", "192.0.2.10")
    network.reattribute()
    assert network.estimated("sv_0") == {NOON}


def test_sums_beyond_64_bits_are_corrected(network, monkeypatch):
    most = 2**53 - 1
    monkeypatch.setattr(desk_module, "ROWS_AT_ONCE", 2_000_000)
    rows = [flow(f"10.0.{number // 256}.{number % 256}", most, 1) for number in range(1100)]
    network.know("sv_0", "10.0.0.0/8")
    network.take(sums_of(*rows))
    network.know("sv_1", "10.0.0.0/9")
    assert network.reattribute().changes == {
        (Kind.SERVER, "sv_0"): Change(lost_in=1100 * most, lost_out=1100),
        (Kind.SERVER, "sv_1"): Change(gained_in=1100 * most, gained_out=1100)}
    assert network.totals() == {"sv_1": (1100 * most, 1100)}


def test_peers_and_instances_are_attributed_too(network):
    view = network.view
    [vpn] = view.vpns
    network.take(sums_of(flow("10.8.0.2", 1, 2), flow("10.8.0.3", 10, 20)))
    view.vpns[vpn] = msgspec.structs.replace(view.vpns[vpn], attributions=(Attribution(0, addresses=("10.8.0.0/24",)),))
    peer = view.peers[vpn, "alice"]
    view.peers[vpn, "alice"] = msgspec.structs.replace(peer, attributions=(Attribution(0, addresses=("10.8.0.2/32",)),))
    view.version += 1
    network.reattribute()
    assert network.totals() == {vpn: (10, 20), f"{vpn}/alice": (1, 2)}


def test_a_store_of_flows_that_was_lost_corrects_nothing_from_before(tmp_path):
    """What was counted and is kept no more must not be taken away."""
    network = FlowNetwork(tmp_path / "journal", store=MemoryFlowStore(begins_s=NOON_S + 301))
    try:
        network.know("sv_0", "192.0.2.10")
        network.take(sums_of(*(flow("192.0.2.10", 10**place, slot=NOON + place) for place in range(4))))
        network.know("sv_0")
        network.reattribute()
        assert network.totals() == {"sv_0": (11, 0)}
    finally:
        network.close()
