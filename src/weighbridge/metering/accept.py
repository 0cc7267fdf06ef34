"""Accept: events become durable measurements, or are refused with a named reason.

The steps, in order (each event stops at the first that refuses it):
    decode     its source's: bytes to Event; what does not fit the schema is `invalid`
    locate     subject to series (`unknown_subject`, `too_many`, `invalid`)
    bound      the stretch within what may be told (`in_future`, `invalid`)
    identify   known before: a duplicate; known with other content: `conflict`
    advance    readings only: the counter's laws 8 to 14 (`out_of_order`, `conflict`)
    relate     messages only (metering/messages.py): what a client reports as a whole, all of it once or nothing
    attribute  what collectors gathered only (metering/gathering.py): readings to whom had the thing read, by date
    keep       one journal transaction for all that arrived meanwhile, fsynced; then the answers

One writer thread does all of it (metering/intake.py), so that nothing here needs a lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.measurement import MEASUREMENT, READING_TYPE, Receipt, Rejection, RejectReason
from weighbridge.metering.columns import usage_rows
from weighbridge.metering.gathering import GatheredJob, take_gathered
from weighbridge.metering.limits import AHEAD_US, CONFLICT_DETAIL, EARLIEST_US
from weighbridge.metering.messages import MessageJob, take_messages
from weighbridge.metering.readings import take_reading
from weighbridge.metering.spreading import slot_counts
from weighbridge.metering.subjects import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weighbridge.measurement import Event, Mark
    from weighbridge.metering.columns import Located
    from weighbridge.metering.places import Places
    from weighbridge.metering.subjects import Sender
    from weighbridge.metering.things import Things
    from weighbridge.ports import Catalog, CounterKey, CounterState, Journal

SLOTS_A_ROW = 500_000
"""Slots that the measurements of one journal row touch, so that fold needs some 50 MB for it at most."""

NEW, KNOWN, CHANGED = 0, 1, 2  # what the index says of an id


@dataclass(frozen=True, slots=True)
class Batch:
    """One request: its well-formed events, where each stood in it, and what its source refused already."""

    events: Sequence[Event]
    sender: Sender
    indexes: Sequence[int] | None = None  # None: event i stood at i
    refused: tuple[Rejection, ...] = ()


@dataclass(slots=True)
class Job:
    """A batch on its way, with what became of its events so far; `done` hears the outcome once."""

    batch: Batch
    done: Callable[[Receipt | Exception], None]
    accepted: int = 0
    duplicates: int = 0
    refused: list[Rejection] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How much it weighs in queues, in events."""
        return len(self.batch.events)

    def refuse(self, at: int, code: RejectReason, detail: str) -> None:
        """Event `at` of the batch is not kept."""
        indexes = self.batch.indexes
        event = self.batch.events[at]
        self.refused.append(Rejection(at if indexes is None else indexes[at], event.id, code, detail))

    def receipt(self) -> Receipt:
        """The answer, rejections in the order of the request."""
        refused = sorted((*self.batch.refused, *self.refused), key=lambda rejection: rejection.index)
        return Receipt(self.accepted, self.duplicates, tuple(refused))


@dataclass(slots=True)
class Portion:
    """What is kept together: the usage of all jobs as one run of events, and the readings one by one."""

    events: list[Event] = field(default_factory=list)
    places: list[Located] = field(default_factory=list)
    ats: list[int] = field(default_factory=list)
    spans: list[tuple[Job, int, int]] = field(default_factory=list)  # (job, first, past the last) in `events`
    readings: list[tuple[Job, int, Located]] = field(default_factory=list)
    messages: list[tuple[MessageJob, list[Located | RefusedError]]] = field(default_factory=list)
    gathered: list[GatheredJob] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)  # claimed in the index, not yet in the journal
    counters: dict[CounterKey, CounterState] = field(default_factory=dict)


def gather(jobs: Sequence[Job | MessageJob | GatheredJob], places: Places) -> Portion:
    """Locates every event of the jobs; refuses what has no place."""
    portion = Portion()
    for job in jobs:
        if isinstance(job, GatheredJob):
            portion.gathered.append(job)
            continue
        if isinstance(job, MessageJob):
            portion.messages.append((job, places.find_figures(job.message)))
            continue
        events = job.batch.events
        located, mixed = places.find(events, job.batch.sender)
        first = len(portion.events)
        if located is not None and READING_TYPE not in {event.type for event in events}:
            portion.events += events
            portion.places += located
            portion.ats += range(len(events))
        else:
            _sort_out(job, mixed or located or [], portion)
        portion.spans.append((job, first, len(portion.events)))
    return portion


def _sort_out(job: Job, found: Sequence[Located | RefusedError], portion: Portion) -> None:
    """Refusals, readings (in the order of their times) and usage, apart."""
    readings = []
    for at, (event, place) in enumerate(zip(job.batch.events, found, strict=True)):
        if isinstance(place, RefusedError):
            job.refuse(at, place.code, place.detail)
        elif event.type == READING_TYPE:
            readings.append((event.time, at, place))
        else:
            portion.events.append(event)
            portion.places.append(place)
            portion.ats.append(at)
    portion.readings += [(job, at, place) for _, at, place in sorted(readings)]


def keep(portion: Portion, catalog: Catalog, things: Things, journal: Journal, now_us: int) -> Mark | None:
    """Makes the portion durable and counts, in its jobs, what became of each event; None if nothing was new.

    On any error nothing is kept, and every id is free for the retry.
    """
    try:
        if portion.readings:
            _take_readings(portion, catalog, journal, now_us)
        if portion.messages:
            take_messages(portion.messages, portion, catalog, journal, now_us)
        if portion.gathered:
            take_gathered(portion.gathered, portion, things, journal, now_us)
        if portion.events:
            _claim_usage(portion, journal, now_us)
        return _write(portion, journal)
    except BaseException:
        for rows in portion.rows:
            journal.release(rows["key_hi"], rows["key_lo"])
        raise


def _write(portion: Portion, journal: Journal) -> Mark | None:
    """One transaction: the measurements, in as many journal rows as fold needs, and the states of counters."""
    if not portion.rows:
        if portion.counters:  # an instance that had nothing to tell but the time
            journal.append(np.zeros(0, dtype=MEASUREMENT), portion.counters)
        return None
    rows = portion.rows[0] if len(portion.rows) == 1 else np.concatenate(portion.rows)
    return journal.append(rows, portion.counters, cuts_of(rows))


def cuts_of(rows: np.ndarray) -> list[int]:
    """Where measurements are cut into journal rows that fold can take at once: nowhere, but for hundreds of long ones."""
    slots = slot_counts(rows)
    if int(slots.sum()) <= SLOTS_A_ROW:
        return []
    cuts: list[int] = (np.flatnonzero(np.diff(np.cumsum(slots) // SLOTS_A_ROW)) + 1).tolist()
    return cuts


def _claim_usage(portion: Portion, journal: Journal, now_us: int) -> None:
    """Bounds and identifies all usage at once; the new rows go into `portion.rows`."""
    rows = usage_rows(portion.events, portion.places)
    late = rows["end_us"] > now_us + AHEAD_US
    early = rows["start_us"] < EARLIEST_US
    if late.any() or early.any():
        fit = ~(late | early)
        for at in np.flatnonzero(~fit).tolist():
            _refuse_stretch(portion, at, ahead=bool(late[at]))
    else:
        fit = None
    status = np.full(len(rows), 255, dtype=np.uint8)
    chosen = rows if fit is None else rows[fit]
    said = journal.claim(chosen["key_hi"], chosen["key_lo"])
    if fit is None:
        status = said
    else:
        status[fit] = said
    if not said.any():
        portion.rows.append(chosen)
    elif (said == NEW).any():
        portion.rows.append(chosen[said == NEW])
    _count(portion, status)


def _count(portion: Portion, status: np.ndarray) -> None:
    """Adds what the index said to each job's account."""
    for job, first, past in portion.spans:
        own = status[first:past]
        if not own.any():
            job.accepted += len(own)
            continue
        job.accepted += int((own == NEW).sum())
        job.duplicates += int((own == KNOWN).sum())
        for at in np.flatnonzero(own == CHANGED).tolist():
            job.refuse(portion.ats[first + at], RejectReason.CONFLICT, CONFLICT_DETAIL)


def _refuse_stretch(portion: Portion, at: int, *, ahead: bool) -> None:
    job = next(job for job, first, past in portion.spans if first <= at < past)
    if ahead:
        job.refuse(portion.ats[at], RejectReason.IN_FUTURE, "time + duration_s lies more than 5 minutes ahead")
    else:
        job.refuse(portion.ats[at], RejectReason.INVALID, "time lies before 1972-01-01T00:00:00Z")


def _take_readings(portion: Portion, catalog: Catalog, journal: Journal, now_us: int) -> None:
    """Readings one after another: each may rest on the one before."""
    unmarked = [n for n in {place[0] for _, _, place in portion.readings} if not catalog.view().series[n].polled]
    if unmarked:
        catalog.enter_series([catalog.view().series[n].key for n in unmarked], polled=True)
    for job, at, place in portion.readings:
        event = job.batch.events[at]
        try:
            rows = take_reading(event, place, journal, portion.counters, now_us)
        except RefusedError as refusal:
            job.refuse(at, refusal.code, refusal.detail)
            continue
        if rows is None:
            job.duplicates += 1
        else:
            portion.rows.append(np.array(rows, dtype=MEASUREMENT))
            job.accepted += 1
