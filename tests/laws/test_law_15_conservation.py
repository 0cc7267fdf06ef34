"""Law 15: what was accepted is in the sums, once, whatever the order, batches, retries, restarts and the store."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.catalog import VPN, MemoryCatalog, acme
from support.clock import HandClock
from weighbridge.measurement import MAX_AMOUNT, USAGE_TYPE, Event, EventData
from weighbridge.metering.accept import Batch
from weighbridge.metering.fold import catch_up, fold
from weighbridge.metering.intake import Intake
from weighbridge.metering.subjects import Sender
from weighbridge.model import END_S
from weighbridge.ports import Members
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.journal.store import SqliteJournal

START = datetime(2025, 3, 8, tzinfo=UTC)
START_S = int(START.timestamp())
SPAN_S = 4 * 86400
NOW_US = (START_S + 40 * 86400) * 1_000_000
SUBJECTS = ("server/sv_0", "server/sv_1", f"vpn/{VPN}", f"vpn/{VPN}/peer/alice", "app/1", "space/123")
AMOUNTS = st.none() | st.integers(0, 5) | st.integers(0, MAX_AMOUNT) | st.just(MAX_AMOUNT)


@st.composite
def usage_events(draw):
    """Distinct events: what a set of senders wants to say."""
    events = []
    for number in range(draw(st.integers(1, 40))):
        offset_us = draw(st.integers(0, SPAN_S * 1_000_000) | st.integers(0, SPAN_S // 300).map(lambda n: n * 300_000_000))
        data = EventData(
            bytes_in=draw(AMOUNTS),
            bytes_out=draw(AMOUNTS),
            requests=draw(AMOUNTS),
            duration_s=draw(st.none() | st.sampled_from([0, 1, 300, 1800, 86400]) | st.integers(0, 3 * 86400)),
        )
        subject = draw(st.sampled_from(SUBJECTS))
        time = START + timedelta(microseconds=offset_us)
        events.append(Event(f"e{number}", draw(st.sampled_from(["a", "b"])), USAGE_TYPE, subject, time, data))
    return events


@dataclass
class Deliveries:
    """The same events as a network brings them: in any order, several times, cut into batches, with restarts between."""

    batches: list[list[Event]]
    restarts: list[str] = field(default_factory=list)


@st.composite
def deliveries(draw):
    events = draw(usage_events())
    again = draw(st.lists(st.sampled_from(events), max_size=20))
    order = draw(st.permutations(events + again))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=5)))
    batches = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True) if a < b]
    steps = draw(st.lists(st.sampled_from(["", "fold", "flush", "compact", "restart"]), min_size=len(batches),
                          max_size=len(batches)))
    return events, Deliveries(batches, steps)


def naive_slots(events):
    """{(subject, slot start): [in, out, requests]} by fractions of time and largest remainder, one event at a time."""
    slots = {}
    for event in events:
        start_us = round((event.time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
        end_us = start_us + (event.data.duration_s or 0) * 10**6
        touched = list(range(start_us // 300_000_000, max(end_us - 1, start_us) // 300_000_000 + 1))
        for index, name in enumerate(("bytes_in", "bytes_out", "requests")):
            parts = naive_parts(getattr(event.data, name), start_us, end_us, touched)
            for slot, part in zip(touched, parts, strict=True):
                sums = slots.setdefault((event.subject, slot * 300), [None, None, None])
                if part is not None:
                    sums[index] = (sums[index] or 0) + part
    return slots


def naive_parts(amount, start_us, end_us, touched):
    if amount is None:
        return [None] * len(touched)
    if len(touched) == 1:
        return [amount]
    shares = []
    for slot in touched:
        inside = min(end_us, (slot + 1) * 300_000_000) - max(start_us, slot * 300_000_000)
        shares.append(Fraction(amount) * inside / (end_us - start_us))
    parts = [int(share) for share in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - shares[i], i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts


class Plant:
    """Intake, journal and store over one folder, to be stopped and started again."""

    def __init__(self, folder: Path, catalog: MemoryCatalog) -> None:
        self.folder, self.catalog = folder, catalog
        self.clock = HandClock(NOW_US)
        self.start()

    def start(self) -> None:
        self.journal = SqliteJournal(self.folder / "journal", freeze_ids=8)
        self.store = DuckDBStore(self.folder / "usage")
        self.intake = Intake(self.catalog, self.journal, self.clock, self.store.mark())

    def stop(self) -> None:
        self.intake.close()
        self.store.close()
        self.journal.close()

    def step(self, name: str) -> None:
        if name == "fold":
            fold(self.journal, self.store, max_events=3)
        elif name == "flush":
            catch_up(self.journal, self.store)
            self.store.flush()
            self.journal.trim(self.store.mark().position)
        elif name == "compact":
            self.store.flush()
            self.store.compact(self.clock.now_us() // 10**6)
        elif name == "restart":
            self.stop()
            self.start()

    def slots(self):
        """What the store says, in the referee's words."""
        view = self.catalog.view()
        names = {number: subject_of(series) for number, series in view.series.items()}
        numbers = tuple(names)
        members = Members(numbers, numbers, (0,) * len(numbers), (END_S,) * len(numbers))
        sums = self.store.sums(members, START_S - 86400, START_S + SPAN_S + 5 * 86400, 300)
        rows = zip(sums.group, sums.start_s, sums.bytes_in, sums.bytes_out, sums.requests, strict=True)
        return {(names[group], start_s): list(amounts) for group, start_s, *amounts in rows}


def subject_of(series):
    kind = "vpn" if series.key.kind == "peer" else series.key.kind
    return f"{kind}/{series.key.object}".replace(f"{VPN}/alice", f"{VPN}/peer/alice")


@settings(max_examples=25, deadline=None)
@given(deliveries())
def test_accepted_events_are_in_the_sums_once(delivery):
    events, course = delivery
    catalog = MemoryCatalog(acme())
    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder), catalog)
        try:
            accepted = 0
            for batch, step in zip(course.batches, course.restarts, strict=True):
                receipt = plant.intake.take(Batch(batch, Sender("org_acme")))
                assert receipt.accepted + receipt.duplicates == len(batch)
                accepted += receipt.accepted
                plant.step(step)
            catch_up(plant.journal, plant.store)
            distinct = {(event.source, event.id): event for event in events}
            assert accepted == len(distinct)
            assert plant.slots() == naive_slots(distinct.values())
            assert plant.store.check() == []
            assert plant.journal.check() == []
        finally:
            plant.stop()


@pytest.mark.parametrize("size", [1, 13, 200])
def test_a_retry_in_a_batch_of_another_size_is_the_same_event(tmp_path, size):
    events = [
        Event(f"e{n}", "a", USAGE_TYPE, "server/sv_0", START + timedelta(microseconds=n * 333_333), EventData(bytes_in=n))
        for n in range(200)
    ]
    plant = Plant(tmp_path, MemoryCatalog(acme()))
    try:
        assert plant.intake.take(Batch(events, Sender("org_acme"))).accepted == len(events)
        for first in range(0, len(events), size):
            batch = events[first : first + size]
            assert plant.intake.take(Batch(batch, Sender("org_acme"))).duplicates == len(batch)
    finally:
        plant.stop()
