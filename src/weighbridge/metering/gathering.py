"""Gathered: what a collector brought in, on its way into the journal: readings of things, and rows of flows made before.

Kept together in one transaction or not at all, and once: its id is remembered for ever, so whoever carries it may bring it
again. Readings have no ids of their own, nor need any: no retry moves a counter.

What is read of a thing that nobody has bills nothing, but its counter's state is kept, so that the last reading before
somebody is given the thing is the baseline for the first one after.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.domain.counters import Outcome, Reading, advance, recent
from weighbridge.measurement import MAX_DURATION_S, MAX_NAME, MEASUREMENT, Receipt
from weighbridge.metering.counting import begun
from weighbridge.metering.dividing import Piece, divide, look, rows_of_piece
from weighbridge.metering.identity import identity, identity_prefix, key_low
from weighbridge.metering.limits import AHEAD_US, EARLIEST_US
from weighbridge.metering.spreading import SLOT_US
from weighbridge.metering.subjects import UNFIT
from weighbridge.metering.things import name_of, owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weighbridge.collected import CounterReading, Thing
    from weighbridge.domain.counters import Advance
    from weighbridge.metering.messages import Kept
    from weighbridge.metering.subjects import Sender
    from weighbridge.metering.things import Things
    from weighbridge.ports import CounterKey, CounterState, Journal

MAX_READINGS = 100_000
"""Most readings at once: the ports of 2,000 switches. The intake's queue holds two such."""
LARGEST_WEIGHT = 100_000
"""A gathered weighs no more than this in queues, or one with more rows of flows than a queue takes would never get in."""
SLOTS_A_GATHERED = 20_000_000
"""5-minute slots that the readings of one gathered may touch: 500 ports over four months. What lies beyond waits for the
counter's next reading, which holds it too."""
PREFERRED = {"sflow": "snmp"}
"""Sources whose readings of a port are passed over where another, which reads the same counter, has read it."""

_LONGEST_US = MAX_DURATION_S * 1_000_000
_WIDTHS = (32, 64)
_UNMOVED = {
    Outcome.OUT_OF_ORDER: "out_of_order",
    Outcome.CONFLICT: "conflict",
    Outcome.DUPLICATE: "duplicate",
    Outcome.ABSENT: "absent",
}
_NAMED = (Outcome.FIRST, Outcome.RESET, Outcome.WRAP, Outcome.WIDTH_CHANGED)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was collected at once. `rows` (dtype MEASUREMENT, keys zero) are kept as they are.

    `id` is unique within `owner` (an organization, or "" for this server itself) and `source`; None: it is never brought
    again.
    """

    readings: Sequence[CounterReading]
    rows: np.ndarray
    sender: Sender
    owner: str
    source: str
    id: str | None = None


WORDS = (
    "readings", "duplicate", "out_of_order", "conflict", "absent", "invalid", "in_future", "elsewhere", "too_many", "too_long",
)
"""What becomes of a reading, one of these; the first: it was taken."""
MORE_WORDS = (
    "first", "reset", "wrap", "width_changed", "unattributed", "unattributed_bytes_in", "unattributed_bytes_out",
)
"""What may be told beside of one that was taken."""


class GatheredReceipt(Receipt, frozen=True):
    """What became of it. `counts` is by (device, one of WORDS or MORE_WORDS).

    `is_known`: all of it was kept before, and nothing now.
    """

    counts: Mapping[tuple[str, str], int] = {}
    is_known: bool = False


@dataclass(slots=True)
class GatheredJob:
    """A gathered on its way; `done` hears the outcome once."""

    gathered: Gathered
    done: Callable[[Receipt | Exception], None]
    accepted: int = 0
    duplicates: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    is_known: bool = False

    @property
    def size(self) -> int:
        """How much it weighs in queues, in readings and rows."""
        return min(len(self.gathered.readings) + len(self.gathered.rows), LARGEST_WEIGHT) + 1

    def receipt(self) -> GatheredReceipt:
        """The answer."""
        return GatheredReceipt(self.accepted, self.duplicates, counts=dict(self.counts), is_known=self.is_known)


def identify(owner: str, source: str, name: str) -> tuple[int, int]:
    """The 128 bits that a gathered is known by. No event shares them: no organization has such a name."""
    return identity(identity_prefix(f"collected\0{owner}", source) + name)


def take_gathered(jobs: Sequence[GatheredJob], kept: Kept, things: Things, journal: Journal, now_us: int) -> None:
    """The rows and states of all are in `kept`, their ids claimed; each job knows what became of its readings."""
    for job in jobs:
        _take(_Taking(job, kept, things, journal, now_us))


@dataclass(slots=True)
class _Taking:
    """One gathered at work; what it changes waits here until all of it has been looked at."""

    job: GatheredJob
    kept: Kept
    things: Things
    journal: Journal
    now_us: int
    pieces: list[Piece] = field(default_factory=list)
    states: dict[CounterKey, CounterState] = field(default_factory=dict)
    slots: int = 0

    def state(self, key: CounterKey) -> CounterState | None:
        """The newest state of a counter, those of this gathered and of this portion included."""
        for states in (self.states, self.kept.counters):
            if key in states:
                return states[key]
        return self.journal.counter(key)


def _take(taking: _Taking) -> None:
    job, gathered = taking.job, taking.job.gathered
    key = None
    if gathered.id is not None:
        high, low = identify(gathered.owner, gathered.source, gathered.id)
        key = (high, key_low(low, 0))
        if taking.journal.known(*key):
            job.duplicates, job.is_known = len(gathered.readings) + len(gathered.rows), True
            return
    for reading in sorted(gathered.readings, key=lambda reading: reading.at_us):
        what = _take_reading(taking, reading)
        device = "" if what == "invalid" else reading.thing.device  # which may be what is not valid
        job.counts[device, what] += 1
        job.accepted += what == "readings"
        job.duplicates += what == "duplicate"
    job.accepted += len(gathered.rows)
    _keep(taking, key)


def _take_reading(taking: _Taking, reading: CounterReading) -> str:
    """What became of a reading, in a word; its pieces and its counter's state are with `taking`."""
    fault = _fault(reading, taking.now_us)
    if fault is not None:
        return fault
    source, owner, name = taking.job.gathered.source, owner_of(taking.job.gathered.sender), name_of(reading.thing)
    if _is_read_elsewhere(taking, reading.thing, owner, source):
        return "elsewhere"
    key = (owner, name, source, reading.counter)
    state = taking.state(key)
    if state is None and not taking.things.admit_new(owner, taking.now_us):
        return "too_many"
    step = _advance(recent(state, reading.at_us - _LONGEST_US), reading)
    if step.outcome in _UNMOVED or step.state is None:
        return _UNMOVED.get(step.outcome, step.outcome.value)
    slots = sum((part.end_us - part.start_us) // SLOT_US + 1 for part in step.parts)
    if taking.slots + slots > SLOTS_A_GATHERED:
        return "too_long"
    taking.slots += slots
    if step.outcome in _NAMED:
        taking.job.counts[reading.thing.device, step.outcome.value] += 1
    taking.states[key] = step.state
    _divide(taking, reading, step)
    return "readings"


def _is_read_elsewhere(taking: _Taking, thing: Thing, owner: str, source: str) -> bool:
    """Whether a source that is preferred to this one reads the same port: this server itself, or the same sender."""
    preferred = PREFERRED.get(source)
    return preferred is not None and any(
        taking.state((reader, name_of(name), preferred, "")) is not None  # the first counter of a port has no name
        for name in taking.things.known_as(thing)
        for reader in {owner, ""}
    )


def _fault(reading: CounterReading, now_us: int) -> str | None:
    """Why a reading cannot be taken, in a word."""
    if reading.at_us > now_us + AHEAD_US:
        return "in_future"
    totals = [total for total in (reading.bytes_in, reading.bytes_out) if total is not None]
    names = (reading.thing.device, reading.thing.name, reading.counter)
    is_fit = (
        reading.at_us >= EARLIEST_US
        and reading.bits in _WIDTHS
        and all(0 <= total < 2**reading.bits for total in totals)
        and (reading.since_us is None or reading.since_us <= reading.at_us)
        and all(len(name) <= MAX_NAME and not UNFIT.search(name) for name in names)
        and reading.thing.device != ""
    )
    return None if is_fit else "invalid"


def _advance(state: CounterState | None, reading: CounterReading) -> Advance:
    """What the reading says on top of what is known. A start before there were such counters is none."""
    since_us = reading.since_us if reading.since_us is not None and reading.since_us >= EARLIEST_US else None
    at_us = reading.at_us
    if reading.is_whole and since_us is not None and since_us < at_us <= since_us + _LONGEST_US:
        state = begun(state, since_us, reading.bytes_in, reading.bytes_out, reading.bits)
    totals = (reading.bytes_in, reading.bytes_out)
    return advance(state, Reading(at_us, *totals, reading.bits, since_us, reading.line_rate_bps))


def _divide(taking: _Taking, reading: CounterReading, step: Advance) -> None:
    """The pieces of what was counted are with `taking`, but for those that nobody had: they are told."""
    feeds = taking.things.feeds(reading.thing, taking.job.gathered.sender)
    pieces = [piece for part in step.parts for piece in divide(part, feeds)]
    if not pieces:
        pieces = [look(reading.at_us, (reading.bytes_in, reading.bytes_out), feeds)]
    lost = [piece for piece in pieces if piece.key is None]
    taking.pieces += [piece for piece in pieces if piece.key is not None]
    if lost:
        counts, device = taking.job.counts, reading.thing.device
        counts[device, "unattributed"] += 1
        counts[device, "unattributed_bytes_in"] += sum(piece.bytes_in or 0 for piece in lost)
        counts[device, "unattributed_bytes_out"] += sum(piece.bytes_out or 0 for piece in lost)


def _keep(taking: _Taking, key: tuple[int, int] | None) -> None:
    """All rows wait for the transaction, the first with the identity of the whole."""
    taking.kept.counters.update(taking.states)
    rows = _rows(taking)
    if not len(rows):
        return  # nothing that could count twice
    if key is not None:
        rows["key_hi"][0], rows["key_lo"][0] = key
        taking.journal.claim(rows["key_hi"][:1], rows["key_lo"][:1])
    taking.kept.rows.append(rows)


def _rows(taking: _Taking) -> np.ndarray:
    """The rows of flows and those of all pieces, in an array of their own."""
    numbers = taking.things.number({piece.key for piece in taking.pieces if piece.key is not None})
    counted = [
        (*row, 0, 0)
        for piece in taking.pieces if piece.key is not None
        for row in rows_of_piece(numbers[piece.key], piece)
    ]
    return np.concatenate([taking.job.gathered.rows, np.array(counted, dtype=MEASUREMENT)])
