"""Messages: what a client's library reports by itself, in one request, about usage that it counted before.

An event is known by its own id. A message is known as a whole: its retry holds the same figures under the same id, so one
identity stands for all of them, and they are kept together in one transaction or not at all. Two things only messages have:

- A *beat*: the client's instance told the time. Figures without a start cover the time since that instance's beat before,
  so the state of the instance moves in the same transaction as the figures that rest on it.
- *Counter figures*: amounts are totals of a cumulative counter; laws 8 to 14 make deltas of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from weighbridge.measurement import (
    MAX_DURATION_S,
    MAX_TOTAL,
    MEASUREMENT,
    UNKNOWN,
    Receipt,
    Rejection,
    RejectReason,
)
from weighbridge.metering.counting import LARGEST_PART, Row, advance_counter
from weighbridge.metering.identity import identity, identity_prefix, key_low, reading_content
from weighbridge.metering.limits import AHEAD_US, CONFLICT_DETAIL, EARLIEST_US
from weighbridge.metering.spreading import SLOT_US
from weighbridge.metering.subjects import RefusedError
from weighbridge.ports import CounterState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weighbridge.metering.columns import Located
    from weighbridge.metering.subjects import Sender
    from weighbridge.ports import Catalog, CounterKey, Journal

MAX_FIGURES = 100_000
"""Most figures of one message: a body of 16 MiB holds fewer that say anything, and the intake's queue holds two such."""
SLOTS_A_MESSAGE = 20_000_000
"""5-minute slots that the figures of one message may touch: 1,000 counters that start two months ago. It bounds disk."""
ROWS_A_MESSAGE = 500_000
"""Rows that one message may become, 200 MB on the way. More than its figures come only of totals above 2^62, which are
spread before they fit a column."""

_KNOWN, _CHANGED = 1, 2  # what the index says of an id
_FRESH, _USED = 0, 1     # epochs of a start's state: whether a beat has counted since


class Figure(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One thing that a message tells of one subject: usage over [start_us, end_us), or a counter as read at `end_us`.

    Of usage, no `start_us` means: since the message's beat before, or at `end_us` where there is none. Of a counter
    (`counter` names it within the series and the message's source) the amounts are totals from 0 to 2^64 - 1 and
    `start_us` is when it began at zero, if that is known. None: nobody knows this amount.
    """

    subject: str
    end_us: int
    start_us: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    requests: int | None = None
    environment: str | None = None
    consumer: str | None = None
    method: str | None = None
    path: str | None = None
    counter: str | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """An instance of a client told the time, `at_us`. `is_start`: it has just started, and counted nothing before.

    The first beat after a start counts from it, any other from the beat before.
    """

    subject: str
    instance: str
    at_us: int
    is_start: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Figures that belong together.

    `id` is unique within `owner` (an organization) and `source`; the same id with another `content` is a conflict.
    Without one nothing is remembered of the message itself: right where all figures are counters, which no retry moves.
    `is_whole`: one refused figure refuses all. `is_polled`: series fed by it can have gaps. `from_start`: a counter never
    seen before counts whole since its start, and its name is unique within the whole source; otherwise its first reading
    bills nothing (law 8).
    """

    figures: Sequence[Figure]
    sender: Sender
    owner: str
    source: str
    id: str | None = None
    content: str = ""
    beat: Beat | None = None
    is_whole: bool = False
    from_start: bool = False
    is_polled: bool = False


@dataclass(slots=True)
class MessageJob:
    """A message on its way; `done` hears the outcome once. Indexes of refusals are those of its figures."""

    message: Message
    done: Callable[[Receipt | Exception], None]
    accepted: int = 0
    duplicates: int = 0
    refused: list[Rejection] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How much it weighs in queues, in figures; one that is too large is let in to be refused by name."""
        return min(len(self.message.figures), MAX_FIGURES) + 1

    def receipt(self) -> Receipt:
        """The answer."""
        return Receipt(self.accepted, self.duplicates, tuple(self.refused))

    def refuse(self, at: int, code: RejectReason, detail: str) -> None:
        """Figure `at` is not kept."""
        self.refused.append(Rejection(at, self.message.id, code, detail))

    def refuse_all(self, code: RejectReason, detail: str) -> None:
        """Nothing of the message is kept."""
        self.accepted = self.duplicates = 0
        self.refused = []
        for at in range(len(self.message.figures)):
            self.refuse(at, code, detail)


class Kept(Protocol):
    """Where rows and states wait for the transaction: a portion of metering/accept.py."""

    rows: list[np.ndarray]
    counters: dict[CounterKey, CounterState]


def take_messages(
    jobs: Sequence[tuple[MessageJob, list[Located | RefusedError]]],
    kept: Kept,
    catalog: Catalog,
    journal: Journal,
    now_us: int,
) -> None:
    """The rows and states of all messages are in `kept`, their ids claimed; each job knows what became of its figures."""
    for job, places in jobs:
        if job.message.is_polled:
            _mark_polled(catalog, places)
        _take(_Taking(job, places, journal, kept, now_us))


def _mark_polled(catalog: Catalog, places: list[Located | RefusedError]) -> None:
    numbers = {place[0] for place in places if not isinstance(place, RefusedError)}
    series = catalog.view().series
    unmarked = [number for number in numbers if not series[number].polled]
    if unmarked:
        catalog.enter_series([series[number].key for number in unmarked], polled=True)


@dataclass(slots=True)
class _Taking:
    """One message at work; what it changes waits here until all of it is known to be right."""

    job: MessageJob
    places: list[Located | RefusedError]
    journal: Journal
    kept: Kept
    now_us: int
    rows: list[Row] = field(default_factory=list)
    states: dict[CounterKey, CounterState] = field(default_factory=dict)
    slots: int = 0

    def add(self, rows: list[Row]) -> None:
        """More rows of the message."""
        self.rows += rows
        self.slots += sum((end_us - start_us) // SLOT_US + 1 for _, _, start_us, end_us, *_ in rows)

    @property
    def is_too_much(self) -> bool:
        """Whether it is more than may be kept at once."""
        return self.slots > SLOTS_A_MESSAGE or len(self.rows) > ROWS_A_MESSAGE

    def state(self, key: CounterKey) -> CounterState | None:
        """The newest state of a counter, those of this message and of this portion included."""
        for states in (self.states, self.kept.counters):
            if key in states:
                return states[key]
        return self.journal.counter(key)


def _take(taking: _Taking) -> None:
    job, message = taking.job, taking.job.message
    if len(message.figures) > MAX_FIGURES:
        job.refuse_all(RejectReason.TOO_MANY, f"more than {MAX_FIGURES:,} figures at once; send them in several requests")
        return
    key = _identify(message)
    if key is not None:
        known = taking.journal.known(*key)
        if known == _KNOWN:
            job.duplicates = len(message.figures)
            return
        if known == _CHANGED:
            job.refuse_all(RejectReason.CONFLICT, CONFLICT_DETAIL)
            return
    since_us = _advance_beat(taking)
    for at in _in_order(message.figures):
        _take_figure(taking, at, since_us)
        if taking.is_too_much:
            job.refuse_all(RejectReason.TOO_MANY, f"its stretches touch more than {SLOTS_A_MESSAGE:,} slots of 5 minutes")
            return
    if job.refused and message.is_whole:
        job.accepted = job.duplicates = 0
        return
    _keep(taking, key)


def _identify(message: Message) -> tuple[int, int] | None:
    if message.id is None or not message.figures:
        return None
    high, low = identity(identity_prefix(message.owner, message.source) + message.id)
    return high, key_low(low, reading_content(message.content))


def _in_order(figures: Sequence[Figure]) -> Sequence[int]:
    """Counters in the order of their times, as events of a batch are; usage does not mind."""
    return sorted(range(len(figures)), key=lambda at: figures[at].end_us)


def _advance_beat(taking: _Taking) -> int | None:
    """Where figures without a start begin: at the instance's beat before this one. None: at their own instant."""
    message = taking.job.message
    beat = message.beat
    if beat is None:
        return None
    last_key = ("beat", beat.subject, message.source, beat.instance)
    start_key = ("start", beat.subject, message.source, beat.instance)
    last, start = taking.state(last_key), taking.state(start_key)
    if beat.is_start:
        if start is None or start.at_us <= beat.at_us:
            taking.states[start_key] = CounterState(beat.at_us, None, None, 64, _FRESH)
        return None
    if last is not None and beat.at_us <= last.at_us:
        return None  # an older one: it counts at its own time
    if beat.at_us > taking.now_us + AHEAD_US:
        return None  # a clock far ahead must not make all that follows "older"
    taking.states[last_key] = CounterState(beat.at_us, None, None, 64)
    before = [] if last is None else [last.at_us]
    if start is not None and start.epoch == _FRESH:
        taking.states[start_key] = replace(start, epoch=_USED)
        before.append(start.at_us)
    since_us = max((at_us for at_us in before if at_us < beat.at_us), default=None)
    return since_us if since_us is not None and _may_spread(beat.at_us - since_us, len(message.figures)) else None


def _may_spread(length_us: int, figures: int) -> bool:
    """Whether so many figures may be spread over so long a time: beyond it they count where they were told, never not."""
    return length_us <= MAX_DURATION_S * 1_000_000 and (length_us // SLOT_US + 1) * figures <= SLOTS_A_MESSAGE


def _take_figure(taking: _Taking, at: int, since_us: int | None) -> None:
    job, place, figure = taking.job, taking.places[at], taking.job.message.figures[at]
    try:
        if isinstance(place, RefusedError):
            raise place
        _check(figure, taking.now_us)
        if figure.counter is None:
            taking.add([_usage_row(figure, place[0], since_us)])
            job.accepted += 1
        elif rows := _counter_rows(taking, figure, place[0]):
            taking.add(rows)
            job.accepted += 1
        else:
            job.duplicates += 1
    except RefusedError as refusal:
        job.refuse(at, refusal.code, refusal.detail)


def _check(figure: Figure, now_us: int) -> None:
    """RefusedError unless the figure lies within all bounds."""
    start_us = figure.end_us if figure.start_us is None else figure.start_us
    if figure.end_us > now_us + AHEAD_US:
        raise RefusedError(RejectReason.IN_FUTURE, "the time lies more than 5 minutes ahead: is the sender's clock right?")
    if start_us < EARLIEST_US:
        raise RefusedError(RejectReason.INVALID, "the time lies before 1972-01-01T00:00:00Z")
    if not 0 <= figure.end_us - start_us <= MAX_DURATION_S * 1_000_000:
        raise RefusedError(RejectReason.INVALID, "the start lies after the end, or more than 400 days before it")
    largest = MAX_TOTAL if figure.counter is not None else LARGEST_PART - 1
    for name in ("bytes_in", "bytes_out", "requests"):
        amount = getattr(figure, name)
        if amount is not None and not 0 <= amount <= largest:
            raise RefusedError(RejectReason.INVALID, f"{name} lies outside 0 to {largest}")


def _usage_row(figure: Figure, number: int, since_us: int | None) -> Row:
    start_us = figure.start_us
    if start_us is None:
        start_us = figure.end_us if since_us is None else min(since_us, figure.end_us)
    return (number, 0, start_us, figure.end_us, *_columns(figure.bytes_in, figure.bytes_out, figure.requests))


def _columns(*amounts: int | None) -> tuple[int, int, int]:
    first, second, third = (UNKNOWN if amount is None else amount for amount in amounts)
    return first, second, third


def _counter_rows(taking: _Taking, figure: Figure, number: int) -> list[Row]:
    """The rows of a counter; none where it is known already. RefusedError: out of order, or in conflict."""
    message = taking.job.message
    rows: list[Row] = []
    states: dict[CounterKey, CounterState] = {}
    sides = ((figure.counter or "", (figure.bytes_in, figure.bytes_out)), (f"{figure.counter}#requests", (figure.requests,)))
    for name, totals in sides:
        if all(total is None for total in totals):
            continue
        # A counter that counts whole when it is new must not be new again where a name's bound moves it to another series.
        key = ("", "" if message.from_start else str(number), message.source, name)
        found = advance_counter(
            number, taking.state(key), figure.end_us, figure.start_us, totals, from_start=message.from_start
        )
        if found is None:
            continue
        if found.state is not None:
            states[key] = found.state
        rows += found.rows
    taking.states.update(states)  # both sides or none: a state that moved without its rows would lose bytes
    return rows


def _keep(taking: _Taking, key: tuple[int, int] | None) -> None:
    """The message's rows wait for the transaction, the first with its identity."""
    taking.kept.counters.update(taking.states)
    if not taking.rows:
        return
    keys = [key or (0, 0)] + [(0, 0)] * (len(taking.rows) - 1)
    rows = np.array([(*row, *pair) for row, pair in zip(taking.rows, keys, strict=True)], dtype=MEASUREMENT)
    if key is not None:
        taking.journal.claim(rows["key_hi"][:1], rows["key_lo"][:1])
    taking.kept.rows.append(rows)
