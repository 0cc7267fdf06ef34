"""Readings of cumulative counters to measurements: laws 8 to 14 at work, one reading at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weighbridge.domain.counters import Outcome, Reading, advance
from weighbridge.measurement import UNKNOWN, MeasurementFlag, RejectReason
from weighbridge.metering.counting import check_outcome, rows_of
from weighbridge.metering.identity import identity, identity_prefix, key_low, reading_content
from weighbridge.metering.limits import AHEAD_US, CONFLICT_DETAIL, EARLIEST_US
from weighbridge.metering.subjects import RefusedError

if TYPE_CHECKING:
    from weighbridge.measurement import Event, EventData
    from weighbridge.metering.columns import Located
    from weighbridge.metering.counting import Row
    from weighbridge.ports import CounterKey, CounterState, Journal

NEW, KNOWN = 0, 1  # what the index says of an id


def take_reading(
    event: Event, place: Located, journal: Journal, counters: dict[CounterKey, CounterState], now_us: int
) -> list[Row] | None:
    """The measurements of a reading, its id claimed and its counter's new state in `counters`; None for a duplicate.

    There is always one row at least: what bills nothing still says that the source was alive. RefusedError if not kept.
    """
    number, organization = place
    reading = _reading(event, now_us)
    high, low = identity(identity_prefix(organization, event.source) + event.id)
    key_lo = key_low(low, reading_content(f"{number} {event.data.counter} {reading}"))
    known = journal.known(high, key_lo)
    if known == KNOWN:
        return None
    if known != NEW:
        raise RefusedError(RejectReason.CONFLICT, CONFLICT_DETAIL)
    # The series stands for the subject, however it was spelled, and for its organization: a move keeps the counter.
    counter = ("", str(number), event.source, event.data.counter or "")
    state = counters[counter] if counter in counters else journal.counter(counter)
    step = advance(state, reading)
    if step.outcome is Outcome.DUPLICATE:
        return None
    check_outcome(step.outcome)
    if step.state is not None:
        counters[counter] = step.state
    rows = rows_of(number, step)
    if not rows:
        seen = [UNKNOWN if total is None else 0 for total in (reading.bytes_in_total, reading.bytes_out_total)]
        rows = [(number, MeasurementFlag.COUNTER, reading.at_us, reading.at_us, *seen, UNKNOWN)]
    journal.claim(np.array([high], dtype=np.uint64), np.array([key_lo], dtype=np.uint64))
    keys = [(high, key_lo)] + [(0, 0)] * (len(rows) - 1)
    return [(*row, *key) for row, key in zip(rows, keys, strict=True)]


def _reading(event: Event, now_us: int) -> Reading:
    """What was read, within bounds, or RefusedError."""
    data = event.data
    at_us = round(event.time.timestamp() * 1e6)
    if at_us > now_us + AHEAD_US:
        raise RefusedError(RejectReason.IN_FUTURE, "time lies more than 5 minutes ahead")
    if at_us < EARLIEST_US:
        raise RefusedError(RejectReason.INVALID, "time lies before 1972-01-01T00:00:00Z")
    since_us = None if data.since is None else round(data.since.timestamp() * 1e6)
    if since_us is not None and since_us > at_us:
        raise RefusedError(RejectReason.INVALID, "data.since lies after time")
    bits = data.counter_bits or 64
    _check_totals(data, bits)
    return Reading(at_us, data.bytes_in_total, data.bytes_out_total, bits, since_us, data.line_rate_bps)


def _check_totals(data: EventData, bits: int) -> None:
    if data.bytes_in_total is None and data.bytes_out_total is None:
        raise RefusedError(RejectReason.INVALID, "a reading wants data.bytes_in_total or data.bytes_out_total")
    for name in ("bytes_in_total", "bytes_out_total"):
        total = getattr(data, name)
        if total is not None and not 0 <= total < 2**bits:
            raise RefusedError(RejectReason.INVALID, f"data.{name} of a {bits}-bit counter lies in 0 to {2**bits - 1}")
