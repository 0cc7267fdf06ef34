"""Measurements to slot rows: amounts over 5-minute slots, every byte conserved (laws 12 and 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weighbridge.domain.spread import spread
from weighbridge.domain.units import SLOT_S
from weighbridge.measurement import SLOT_ROW, UNKNOWN, MeasurementFlag, SlotFlag

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOT_US = SLOT_S * 1_000_000
_AMOUNTS = ("bytes_in", "bytes_out", "requests")


def slot_rows(measurements: np.ndarray) -> np.ndarray:
    """Rows (dtype SLOT_ROW) that hold each amount once, spread evenly over the measurement's time.

    Every slot that a measurement touches gets a row, with zeros too: usage is known there. Rows are not combined.
    """
    first = measurements["start_us"] // SLOT_US
    last = (np.maximum(measurements["end_us"] - 1, measurements["start_us"])) // SLOT_US
    single = first == last
    rows = np.empty(int(single.sum()), dtype=SLOT_ROW)
    inside = measurements[single] if len(rows) != len(measurements) else measurements
    rows["series"] = inside["series"]
    rows["slot"] = first[single]
    for name in _AMOUNTS:
        rows[name] = inside[name]
    rows["flags"] = SlotFlag.MEASURED
    if len(rows) == len(measurements):
        return rows
    crossing = [row for measurement in measurements[~single] for row in _spread_one(measurement)]
    return np.concatenate([rows, np.array(crossing, dtype=SLOT_ROW)])


def _spread_one(measurement: np.void) -> Iterable[tuple[int, ...]]:
    start_us, end_us = int(measurement["start_us"]), int(measurement["end_us"])
    parts = [_parts(int(measurement[name]), start_us, end_us) for name in _AMOUNTS]
    first, last = start_us // SLOT_US, (end_us - 1) // SLOT_US
    counter = bool(measurement["flags"] & MeasurementFlag.COUNTER)
    series = int(measurement["series"])
    for index in range(last - first + 1):
        slot = first + index
        # Law 12: in a slot strictly inside a counter's span nobody looked; what it got is an estimate.
        looked = not counter or slot in (first, last)
        flags = SlotFlag.MEASURED if looked else SlotFlag.ESTIMATED
        yield (series, slot, *(part[index] if part is not None else UNKNOWN for part in parts), int(flags))


def _parts(amount: int, start_us: int, end_us: int) -> list[int] | None:
    if amount == UNKNOWN:
        return None
    return [part for _, part in spread(amount, start_us, end_us, SLOT_S)]
