"""What cumulative counters say: deltas, wraps and resets as a pure state machine (laws 8 to 14).

In and out are two counters of one device that may be read together or apart, so each keeps its own last value and time.
What tells that one of them was reset (a decrease) tells it of both; what is known to the second (`since`) is judged for
each by its own last reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

WRAPPING_BITS = 32
"""The width of counters that wrap in practice; 64 bits take 46 years at 100 Gbit/s."""
WRAP_AT: int = 2**WRAPPING_BITS


@dataclass(frozen=True, slots=True)
class Reading:
    """A counter as read. Totals lie in [0, 2^bits), None where that direction was not read.

    `since_us`: when the counter last started from zero, if known; earlier than `at_us`. `line_rate_bps`: the most that
    the line carries each way, in bits a second; None or 0 where unknown.
    """

    at_us: int
    bytes_in_total: int | None
    bytes_out_total: int | None
    bits: int = 64
    since_us: int | None = None
    line_rate_bps: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of a counter.

    `at_us` is the newest reading of either direction, `in_at_us` and `out_at_us` that of each; they are None where the
    direction was never read, or where it has a total and was read at `at_us`. A total of None with a time: the value
    from before a reset, of no use any more. `epoch` counts the resets.
    """

    at_us: int
    bytes_in_total: int | None
    bytes_out_total: int | None
    bits: int
    epoch: int = 0
    in_at_us: int | None = None
    out_at_us: int | None = None


class Outcome(StrEnum):
    """What a reading turned out to be. Of two directions the one that stands first here names the reading."""

    OUT_OF_ORDER = "out_of_order"    # older than what is known
    CONFLICT = "conflict"            # another value for a known time; the first stays
    WIDTH_CHANGED = "width_changed"  # another counter under the same name; nothing counts, a new epoch
    RESET = "reset"                  # started anew; counts only what `since` proves
    WRAP = "wrap"                    # went once past 2^32
    DELTA = "delta"                  # grew or stood still
    FIRST = "first"                  # begins a counter or a direction; nothing counts
    DUPLICATE = "duplicate"          # known already
    ABSENT = "absent"                # no value was read at all


_ORDER = tuple(Outcome)
_CHANGES_NOTHING = (Outcome.OUT_OF_ORDER, Outcome.CONFLICT, Outcome.DUPLICATE, Outcome.ABSENT)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes that were counted over [start_us, end_us); None where this part says nothing of a direction."""

    start_us: int
    end_us: int
    bytes_in: int | None
    bytes_out: int | None


@dataclass(frozen=True, slots=True)
class Advance:
    """What a reading changes: the state to keep (None: as it was) and 0 to 2 parts to count.

    There are 2 parts where the directions were last read at different times.
    """

    outcome: Outcome
    state: State | None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class _Baseline:
    """When one direction was read last, and its value; `total` None: lost in a reset."""

    at_us: int
    total: int | None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a reading is to one direction, and what it counts from when."""

    outcome: Outcome
    start_us: int = 0
    amount: int | None = None


def advance(state: State | None, reading: Reading) -> Advance:
    """Return what a reading says on top of what is remembered; never a negative amount, never a negative span."""
    bases = _baselines(state)
    totals = (reading.bytes_in_total, reading.bytes_out_total)
    same_width = state is None or state.bits == reading.bits
    verdicts = [_judge(base, total, reading, same_width=same_width) for base, total in zip(bases, totals, strict=True)]
    outcome = min((verdict.outcome for verdict in verdicts), key=_ORDER.index)
    if outcome in _CHANGES_NOTHING:
        return Advance(outcome, None)
    # A decrease that only a reset explains: the other direction was reset with it, whatever its value looks like.
    fallen = _Verdict(Outcome.RESET) in verdicts
    counts = [verdict if not fallen or verdict.outcome is Outcome.RESET else _Verdict(Outcome.RESET)
              for verdict in verdicts]
    inward, outward = (
        _next_baseline(base, total, reading, lost=fallen or not same_width)
        for base, total in zip(bases, totals, strict=True))
    return Advance(outcome, State(
        at_us=reading.at_us if state is None else max(state.at_us, reading.at_us),
        bytes_in_total=inward.total if inward else None,
        bytes_out_total=outward.total if outward else None,
        bits=reading.bits,
        epoch=(0 if state is None else state.epoch) + _begins_epoch(outcome, bases, verdicts),
        in_at_us=inward.at_us if inward else None,
        out_at_us=outward.at_us if outward else None,
    ), _parts(reading.at_us, *counts))


def recent(state: State | None, oldest_us: int) -> State | None:
    """Return the state without what was read before `oldest_us`; None if nothing is left of it."""
    bases = [None if base is None or base.at_us < oldest_us else base for base in _baselines(state)]
    if state is None or bases == [None, None]:
        return None
    inward, outward = bases
    return State(
        at_us=max(base.at_us for base in bases if base is not None),
        bytes_in_total=inward.total if inward else None,
        bytes_out_total=outward.total if outward else None,
        bits=state.bits,
        epoch=state.epoch,
        in_at_us=inward.at_us if inward else None,
        out_at_us=outward.at_us if outward else None,
    )


def _baselines(state: State | None) -> tuple[_Baseline | None, _Baseline | None]:
    """Return the last values of in and out, None where there never was one."""
    if state is None:
        return None, None

    def baseline(at_us: int | None, total: int | None) -> _Baseline | None:
        if at_us is None and total is None:
            return None
        return _Baseline(state.at_us if at_us is None else at_us, total)

    return baseline(state.in_at_us, state.bytes_in_total), baseline(state.out_at_us, state.bytes_out_total)


def _judge(base: _Baseline | None, total: int | None, reading: Reading, *, same_width: bool) -> _Verdict:
    """Return what a reading is to one direction."""
    if total is None:
        return _Verdict(Outcome.ABSENT)
    if base is None:
        return _Verdict(Outcome.FIRST)
    if reading.at_us > base.at_us:
        return _compare(base, total, reading) if same_width else _Verdict(Outcome.WIDTH_CHANGED)
    if reading.at_us < base.at_us or base.total is None:
        return _Verdict(Outcome.OUT_OF_ORDER)
    return _Verdict(Outcome.DUPLICATE if total == base.total and same_width else Outcome.CONFLICT)


def _compare(base: _Baseline, total: int, reading: Reading) -> _Verdict:
    """Return what a value says that is newer than the last one of its direction."""
    if reading.since_us is not None and _restarted(base, reading):
        return _Verdict(Outcome.RESET, reading.since_us, total)
    if base.total is None:
        return _Verdict(Outcome.FIRST)
    if total >= base.total:
        return _Verdict(Outcome.DELTA, base.at_us, total - base.total)
    wrapped = total - base.total + WRAP_AT
    if _is_wrap(wrapped, reading.at_us - base.at_us, reading):
        return _Verdict(Outcome.WRAP, base.at_us, wrapped)
    return _Verdict(Outcome.RESET)


def _restarted(base: _Baseline, reading: Reading) -> bool:
    """Whether the counter is known to have started from zero after its last value (law 11)."""
    return reading.since_us is not None and base.at_us < reading.since_us < reading.at_us


def _is_wrap(wrapped: int, elapsed_us: int, reading: Reading) -> bool:
    """Whether a decrease can be one wrap (law 9): 32 bits, no more than the line carries, in less than a wrap time."""
    if reading.bits != WRAPPING_BITS or not reading.line_rate_bps:
        return False
    carried = reading.line_rate_bps * elapsed_us  # in bits / 10^6
    return wrapped * 8_000_000 <= carried < WRAP_AT * 8_000_000


def _next_baseline(base: _Baseline | None, total: int | None, reading: Reading, *, lost: bool) -> _Baseline | None:
    """Return what to remember of one direction. One that was not read keeps its last value, unless a reset took it."""
    if total is not None:
        return _Baseline(reading.at_us, total)
    if base is not None and (lost or _restarted(base, reading)):
        return _Baseline(base.at_us, None)
    return base


def _begins_epoch(outcome: Outcome, bases: tuple[_Baseline | None, ...], verdicts: list[_Verdict]) -> bool:
    """Whether a value that was known is of no use any more; a direction that lost its own before begins nothing new."""
    if outcome not in (Outcome.RESET, Outcome.WIDTH_CHANGED):
        return False
    return any(base is not None and base.total is not None and verdict.outcome is outcome
               for base, verdict in zip(bases, verdicts, strict=True))


def _parts(at_us: int, inward: _Verdict, outward: _Verdict) -> tuple[Part, ...]:
    """Return what counts, in one part where both directions count over the same span."""
    if inward.amount is not None and outward.amount is not None and inward.start_us == outward.start_us:
        return (Part(inward.start_us, at_us, inward.amount, outward.amount),)
    parts = []
    if inward.amount is not None:
        parts.append(Part(inward.start_us, at_us, inward.amount, None))
    if outward.amount is not None:
        parts.append(Part(outward.start_us, at_us, None, outward.amount))
    return tuple(parts)
