"""Totals of cumulative counters to measurement rows: laws 8 to 14 at work, one reading at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weighbridge.domain.counters import Outcome, Reading, advance
from weighbridge.domain.spread import spread
from weighbridge.measurement import UNKNOWN, MeasurementFlag, RejectReason
from weighbridge.metering.subjects import RefusedError
from weighbridge.ports import CounterState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.domain.counters import Advance

LARGEST_PART = 2**62
"""Amounts of one measurement stay below this, so that 64-bit columns and their sums of two never overflow."""

Row = tuple[int, ...]
"""A measurement without its identity: series, flags, start and end in µs, bytes in, bytes out, requests."""

_REQUESTS = 2  # column of the amounts


@dataclass(frozen=True, slots=True)
class Counted:
    """What a reading changes. There is always one row at least: what bills nothing still says that somebody looked."""

    rows: list[Row]
    state: CounterState | None


def advance_counter(
    number: int,
    state: CounterState | None,
    at_us: int,
    since_us: int | None,
    totals: tuple[int | None, ...],
    *,
    from_start: bool,
) -> Counted | None:
    """What totals read at `at_us` say of a 64-bit counter; None for what is known already.

    `totals` are those of bytes in and out, or one alone: that of requests. `from_start`: a counter never seen before
    counts whole over [since_us, at_us). RefusedError: out of order, or in conflict.
    """
    inward, outward = totals if len(totals) > 1 else (totals[0], None)
    if from_start and since_us is not None and since_us < at_us:
        state = begun(state, since_us, inward, outward)
    step = advance(state, Reading(at_us, inward, outward, 64, since_us))
    if step.outcome is Outcome.DUPLICATE:
        return None
    check_outcome(step.outcome)
    columns = (0, 1) if len(totals) > 1 else (_REQUESTS, None)
    rows = rows_of(number, step, columns)
    return Counted(rows or [_seen(number, at_us, (inward, outward), columns)], step.state)


def begun(
    state: CounterState | None, since_us: int, inward: int | None, outward: int | None, bits: int = 64
) -> CounterState:
    """The state with a zero at its beginning for each direction that is read for the first time."""
    if state is None:
        return CounterState(since_us, None if inward is None else 0, None if outward is None else 0, bits)
    if inward is not None and state.bytes_in_total is None and state.in_at_us is None:
        state = replace(state, bytes_in_total=0, in_at_us=since_us)
    if outward is not None and state.bytes_out_total is None and state.out_at_us is None:
        state = replace(state, bytes_out_total=0, out_at_us=since_us)
    return state


def check_outcome(outcome: Outcome) -> None:
    """RefusedError for what laws 10 and 13 do not let in."""
    if outcome is Outcome.OUT_OF_ORDER:
        raise RefusedError(RejectReason.OUT_OF_ORDER, "this counter was read at a later time already")
    if outcome is Outcome.CONFLICT:
        raise RefusedError(RejectReason.CONFLICT, "this counter had another value at the same time; the first stays")


def _seen(number: int, at_us: int, totals: tuple[int | None, int | None], columns: tuple[int, int | None]) -> Row:
    """Nothing moved as far as anybody knows, but somebody looked."""
    amounts = [UNKNOWN] * 3
    for column, total in zip(columns, totals, strict=True):
        if column is not None and total is not None:
            amounts[column] = 0
    return (number, MeasurementFlag.COUNTER, at_us, at_us, *amounts)


def rows_of(number: int, step: Advance, columns: tuple[int, int | None] = (0, 1)) -> list[Row]:
    """The parts of a step as rows; `columns` say which amount each direction is (0 bytes in, 1 bytes out, 2 requests).

    What is too large for a column is spread and split here.
    """
    rows: list[Row] = []
    for part in step.parts:
        amounts: list[int | None] = [None] * 3
        for column, amount in zip(columns, (part.bytes_in, part.bytes_out), strict=True):
            if column is not None:
                amounts[column] = amount
        if all(amount is None or amount < LARGEST_PART for amount in amounts):
            known = [UNKNOWN if amount is None else amount for amount in amounts]
            rows.append((number, MeasurementFlag.COUNTER, part.start_us, part.end_us, *known))
        else:
            rows += split_rows(number, part.start_us, part.end_us, amounts)
    return rows


def split_rows(number: int, start_us: int, end_us: int, amounts: Sequence[int | None]) -> list[Row]:
    """Amounts of any size as rows of the slots of [start_us, end_us), spread evenly and cut to fit a column."""
    rows: list[Row] = []
    for column, amount in enumerate(amounts):
        shares = [] if amount is None else spread(amount, start_us, end_us)
        for place, (slot_s, share) in enumerate(shares):
            at_us = max(slot_s * 1_000_000, start_us)
            looked = place in (0, len(shares) - 1)  # law 12: strictly inside the span nobody did
            flags = MeasurementFlag.COUNTER if looked else MeasurementFlag.COUNTER | MeasurementFlag.ESTIMATED
            for piece in _pieces(share):
                columns = [UNKNOWN] * 3
                columns[column] = piece
                rows.append((number, flags, at_us, at_us, *columns))
    return rows


def _pieces(amount: int) -> list[int]:
    whole, rest = divmod(amount, LARGEST_PART - 1)
    return [LARGEST_PART - 1] * whole + [rest]
