"""Law 15 with corrections: sums by slot are what was kept, for whom it is by the catalog, and never below zero."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.flows import EVERYONE, NOON, NOON_S, FlowNetwork, flow, sums_of
from weighbridge.measurement import MEASUREMENT, SLOT_ROW, UNKNOWN, Mark, MeasurementFlag, SlotFlag, totals_of
from weighbridge.metering.flows.limits import MAX_AMOUNT
from weighbridge.metering.spreading import slot_rows
from weighbridge.model import END_S, Attribution
from weighbridge.ports import Members
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.flows.store import SqliteFlowStore
from weighbridge.storage.journal.codec import batch_totals
from weighbridge.storage.memory import MemoryStore

ADDRESSES = ("192.0.2.10", "192.0.2.11", "2001:db8::1")
SERVERS = ("sv_0", "sv_1", "sv_2")
EXPORTERS = {"192.0.2.1": "edge-1", "192.0.2.2": "edge-2"}
SLOTS = tuple(range(NOON, NOON + 4))

ROWS = st.builds(
    lambda address, slot, bytes_in, bytes_out: flow(address, bytes_in, bytes_out, slot=slot),
    st.sampled_from(ADDRESSES), st.sampled_from(SLOTS), st.integers(0, 9) | st.integers(0, MAX_AMOUNT), st.integers(0, 9),
)
BATCHES = st.tuples(st.sampled_from(sorted(EXPORTERS)), st.lists(ROWS, min_size=1, max_size=5))
# Who has each address from which slot on, and at which exporter: no two at once, as the catalog sees to.
HOLDERS = st.dictionaries(
    st.sampled_from(ADDRESSES),
    st.lists(st.tuples(st.sampled_from(SLOTS), st.none() | st.sampled_from(SERVERS)), max_size=3), max_size=3)
CATALOGS = st.tuples(HOLDERS, st.dictionaries(st.sampled_from(SERVERS), st.sampled_from(["edge-1", "edge-2"])))
STEPS = st.one_of(
    st.tuples(st.just("take"), BATCHES), st.tuples(st.just("take"), BATCHES), st.tuples(st.just("crash"), BATCHES),
    st.tuples(st.just("again"), st.integers(0, 9)), st.tuples(st.just("declare"), CATALOGS),
    st.tuples(st.just("reattribute"), st.booleans()), st.tuples(st.just("upkeep"), st.none()),
)


def declare(network, catalog):
    """The catalog holds these attributions, and no others."""
    holders, points = catalog
    for server in SERVERS:
        borders = sorted({slot for dated in holders.values() for slot, _ in dated})
        attributions = [
            Attribution(slot * 300, exporter=points.get(server), addresses=tuple(
                f"{address}/{128 if ':' in address else 32}" for address in holders
                if holder(holders, address, slot) == server))
            for slot in borders
        ]
        network.attribute(server, *attributions)


def holder(holders, address, slot):
    dated = [(since, server) for since, server in holders.get(address, ()) if since <= slot]
    return max(dated, key=lambda each: each[0])[1] if dated else None


def naive_usage(brought, catalog):
    """{(server, slot): bytes in, bytes out} of everything that was ever brought, once."""
    holders, points = catalog
    sums: Counter[tuple[str, int, int]] = Counter()
    for exporter, rows in brought.values():
        for row in rows:
            address = ADDRESSES[[flow(each)[1:3] for each in ADDRESSES].index(row[1:3])]
            server = holder(holders, address, row[0])
            if server is not None and points.get(server, EXPORTERS[exporter]) == EXPORTERS[exporter]:
                sums[server, row[0], 0] += row[6]
                sums[server, row[0], 1] += row[7]
    found = {(server, slot): (sums[server, slot, 0], sums[server, slot, 1]) for server, slot, _ in sums}
    return {key: amounts for key, amounts in found.items() if any(amounts)}


@settings(max_examples=15, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=14))
def test_usage_via_flows_is_what_was_kept_whatever_happens(steps):
    with tempfile.TemporaryDirectory() as folder:
        usage, flows = DuckDBStore(Path(folder) / "usage"), SqliteFlowStore(Path(folder) / "flows", lambda: 0)
        network = FlowNetwork(Path(folder) / "journal", store=flows, usage=usage)
        try:
            for address, name in EXPORTERS.items():
                network.declare(name, address)
            catalog, brought = ({}, {}), {}
            for number, (what, with_) in enumerate(steps):
                if what == "declare":
                    catalog = with_
                    declare(network, catalog)
                else:
                    _step(network, what, with_, brought, str(number))
                network.usage_by_slot()  # where no slot is below zero
            network.reattribute()
            assert network.usage_by_slot() == naive_usage(brought, catalog)
            assert network.reattribute().corrections == 0
            for name in brought:  # and all senders come back once more
                _take(network, name, brought)
            assert network.usage_by_slot() == naive_usage(brought, catalog)
            usage.flush()
            assert usage.check() == flows.check() == network.journal.check() == []
        finally:
            network.close()
            usage.close()
            flows.close()


def _step(network, what, with_, brought, name):
    if what in ("take", "crash"):
        brought[name] = with_
    if what == "take":
        _take(network, name, brought)
    elif what == "crash":  # between keeping and journaling
        exporter, rows = with_
        named = name_of(name)
        network.flow_desk.prepare(named, [sums_of(*rows, exporter=exporter)], EVERYONE)
    elif what == "again" and brought:
        _take(network, sorted(brought)[with_ % len(brought)], brought)
    elif what == "reattribute":
        before = network.usage_by_slot()
        network.reattribute(dry_run=with_)
        assert not with_ or network.usage_by_slot() == before
    elif what == "upkeep":
        network.flow_desk.compact()
        network.fold()
        network.usage.flush()
        network.usage.compact(NOON_S + 10**7)


def _take(network, name, brought):
    exporter, rows = brought[name]
    network.take(sums_of(*rows, exporter=exporter), name=name)


def name_of(name):
    """The id that the desk gives to what was brought under a name."""
    from weighbridge.metering.gathering import identify  # noqa: PLC0415  the seam's own

    high, low = identify("", "netflow", name)
    return f"{high:016x}{low:016x}"


AMOUNTS = st.integers(0, 3) | st.integers(0, 2**62 - 1) | st.just(UNKNOWN)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS, st.sampled_from(list(range(16)))), max_size=30))
def test_totals_of_what_is_added_and_taken_away_are_exact(rows):
    made = np.array([(1, flags, 0, 0, *amounts, 0, 0) for *amounts, flags in rows], MEASUREMENT)
    expected = [0, 0, 0]
    for *amounts, flags in rows:
        sign = -1 if flags & MeasurementFlag.SUBTRACT else 1
        expected = [total + sign * max(amount, 0) for total, amount in zip(expected, amounts, strict=True)]
    for totals in (totals_of(made), batch_totals(made)):
        assert [totals.events, totals.bytes_in, totals.bytes_out, totals.requests] == [len(rows), *expected]
    slots = [row for block in slot_rows(made) for row in block] if len(made) else []
    held = totals_of(np.array(slots, SLOT_ROW))
    assert [held.bytes_in, held.bytes_out, held.requests] == expected


@pytest.mark.parametrize("kind", ["duckdb", "memory"])
def test_what_is_taken_away_is_gone_from_every_answer(tmp_path, kind):
    store = DuckDBStore(tmp_path) if kind == "duckdb" else MemoryStore()
    everything = Members((1, 2), (1, 2), (0, 0), (END_S, END_S))
    batches = [
        [(1, NOON, 10, 20, UNKNOWN, SlotFlag.MEASURED), (2, NOON, 5, 5, 5, SlotFlag.MEASURED)],
        [(1, NOON, 1, 0, UNKNOWN, SlotFlag.SUBTRACT), (1, NOON + 1, 4, 0, UNKNOWN, SlotFlag.MEASURED),
         (2, NOON, 5, 5, 5, SlotFlag.SUBTRACT)],
    ]
    totals, position = totals_of(np.zeros(0, SLOT_ROW)), 0
    for batch in batches:
        rows = np.array(batch, SLOT_ROW)
        new, position = totals_of(rows), position + 1
        totals = type(totals)(*(getattr(totals, name) + getattr(new, name) for name in (
            "events", "bytes_in", "bytes_out", "requests")))
        store.fold(rows, Mark(position, totals))
    for _ in range(2):
        for step_s in (300, 86400):
            found = store.sums(everything, NOON_S - NOON_S % 86400, NOON_S + 86400 * 3, step_s)
            sums = dict(zip(found.group, zip(found.bytes_in, found.bytes_out, found.requests, strict=True), strict=True))
            assert sums[2] == (0, 0, 0)
            assert sum(amount or 0 for group, amount in zip(found.group, found.bytes_in, strict=True) if group == 1) == 13
            assert all(flags == SlotFlag.MEASURED for flags in found.flags)
        assert store.last_slots_s(everything, 0, NOON_S + 3000, moved_only=True) == {1: NOON_S + 300}
        assert store.check() == []
        store.flush()
        store.compact(NOON_S + 10**8)
    taken = np.array([(1, NOON + 1, 5, 0, 0, SlotFlag.SUBTRACT)], SLOT_ROW)
    new = totals_of(taken)
    store.fold(taken, Mark(3, type(totals)(totals.events + 1, totals.bytes_in + new.bytes_in, totals.bytes_out, 0)))
    assert [finding.detail for finding in store.check()]  # below zero is a defect, and is found
    store.close()
