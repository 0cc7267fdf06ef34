"""Measurements to slot rows: amounts over 5-minute slots, every byte conserved (laws 12 and 15).

The same rule as domain/spread.py, for whole columns at once; a property test holds them equal. Everything is exact in 64
bits: with T the length of a stretch and h the part of it in a slot, a*h // T is (a // T)*h + (a % T)*h // T, whose factors
stay below 2**31 as long as T does. In microseconds that is 35 minutes, in whole seconds 68 years; the few stretches that
are neither go one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weighbridge.domain.spread import spread
from weighbridge.domain.units import SLOT_S
from weighbridge.measurement import SLOT_ROW, UNKNOWN, MeasurementFlag, SlotFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOT_US = SLOT_S * 1_000_000
ROWS_A_BLOCK = 100_000
"""Most rows made at once, but for one measurement alone (400 days: 115,201): some 20 MB of columns on the way."""
FACTOR_BOUND = 2**31
"""Factors below this multiply within 64 bits."""
_SECOND_US = 1_000_000
_AMOUNTS = ("bytes_in", "bytes_out", "requests")


def slot_counts(measurements: np.ndarray) -> np.ndarray:
    """How many slots each measurement touches, at least one."""
    last = np.maximum(measurements["end_us"] - 1, measurements["start_us"]) // SLOT_US
    counts: np.ndarray = last - measurements["start_us"] // SLOT_US + 1
    return counts


def slot_rows(measurements: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of rows (dtype SLOT_ROW) that together hold each amount once, spread evenly over its measurement's time.

    Every slot that a measurement touches gets a row, with zeros too: usage is known there. Rows are not combined.
    """
    first = measurements["start_us"] // SLOT_US
    last = np.maximum(measurements["end_us"] - 1, measurements["start_us"]) // SLOT_US
    single = first == last
    if single.all():
        yield _whole_rows(measurements, first)
        return
    if single.any():
        yield _whole_rows(measurements[single], first[single])
    crossing = measurements[~single]
    counts = (last - first + 1)[~single]
    block = np.cumsum(counts) // ROWS_A_BLOCK
    for number in np.unique(block):
        chosen = block == number
        yield _crossing_rows(crossing[chosen], counts[chosen])


def _whole_rows(measurements: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Rows of measurements that lie in one slot each."""
    rows = np.empty(len(measurements), dtype=SLOT_ROW)
    rows["series"] = measurements["series"]
    rows["slot"] = slots
    for name in _AMOUNTS:
        rows[name] = measurements[name]
    rows["flags"] = _WHOLE_FLAGS[measurements["flags"]]
    return rows


def _whole_flags(flags: int) -> int:
    """Flags of the slot row of a measurement that lies in one slot."""
    if flags & MeasurementFlag.SUBTRACT:
        return SlotFlag.SUBTRACT  # what is taken away says nothing of who looked
    if flags & MeasurementFlag.ESTIMATED:
        return SlotFlag.ESTIMATED
    return SlotFlag.MEASURED | SlotFlag.ESTIMATED if flags & MeasurementFlag.SAMPLED else SlotFlag.MEASURED


_WHOLE_FLAGS = np.array([_whole_flags(flags) for flags in range(256)], "u1")


def _crossing_rows(measurements: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rows of measurements that touch `counts` slots each, two or more; those of one follow each other."""
    rows = np.empty(int(counts.sum()), dtype=SLOT_ROW)
    begins = np.cumsum(counts) - counts
    place = np.arange(len(rows)) - np.repeat(begins, counts)  # 0 is a measurement's first slot
    final = np.repeat(counts - 1, counts)
    rows["series"] = np.repeat(measurements["series"], counts)
    rows["slot"] = np.repeat(measurements["start_us"] // SLOT_US, counts) + place
    rows["flags"] = np.repeat(_WHOLE_FLAGS[measurements["flags"] & ~np.uint8(MeasurementFlag.ESTIMATED)], counts)
    # Law 12: strictly inside a counter's span nobody looked; what these slots got is an estimate.
    inside = (place > 0) & (place < final)
    counter = np.repeat(measurements["flags"] & MeasurementFlag.COUNTER != 0, counts)
    throughout = np.repeat(measurements["flags"] & MeasurementFlag.ESTIMATED != 0, counts)
    rows["flags"][inside & counter | throughout] = SlotFlag.ESTIMATED
    fast, unit_us = _fitting(measurements)
    for name in _AMOUNTS:
        parts = _parts(measurements, counts, name, place, unit_us)
        for at in np.flatnonzero(~fast & (measurements[name] != UNKNOWN)).tolist():
            parts[begins[at] : begins[at] + counts[at]] = _exact_parts(measurements[at], name)
        parts[np.repeat(measurements[name] == UNKNOWN, counts)] = UNKNOWN
        rows[name] = parts
    return rows


def _fitting(measurements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which measurements 64 bits are enough for, and the unit of time, in µs, that each is counted in."""
    start_us, end_us = measurements["start_us"], measurements["end_us"]
    whole = (start_us % _SECOND_US == 0) & (end_us % _SECOND_US == 0)
    unit_us = np.where(whole, _SECOND_US, 1)
    return (end_us - start_us) // unit_us < FACTOR_BOUND, unit_us


def _exact_parts(measurement: np.void, name: str) -> list[int]:
    return [part for _, part in spread(int(measurement[name]), int(measurement["start_us"]), int(measurement["end_us"]))]


def _parts(
    measurements: np.ndarray, counts: np.ndarray, name: str, place: np.ndarray, unit_us: np.ndarray
) -> np.ndarray:
    """One amount's part in each row. Slots of a measurement are three runs of equal length: head, middle, tail."""
    start_us, end_us = measurements["start_us"], measurements["end_us"]
    total = (end_us - start_us) // unit_us
    head = (SLOT_US - start_us % SLOT_US) // unit_us
    tail = ((end_us - 1) % SLOT_US + 1) // unit_us
    middle = SLOT_US // unit_us
    runs = ((head, np.ones_like(counts)), (middle, counts - 2), (tail, np.ones_like(counts)))
    amount = measurements[name]
    quotients, remainders = zip(*(_share(amount, length, total) for length, _ in runs), strict=True)
    left = amount - sum(quotient * count for quotient, (_, count) in zip(quotients, runs, strict=True))
    extras = [_extra(at, remainders, [count for _, count in runs], left) for at in range(3)]
    in_middle = np.repeat(quotients[1], counts) + (place <= np.repeat(extras[1], counts))
    is_last = place == np.repeat(counts - 1, counts)
    parts = np.where(is_last, np.repeat(quotients[2] + extras[2], counts), in_middle)
    whole: np.ndarray = np.where(place == 0, np.repeat(quotients[0] + extras[0], counts), parts)
    return whole


def _share(amount: np.ndarray, length: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quotient and remainder of amount * length / total, exact where total is below FACTOR_BOUND."""
    over, rest = np.divmod(amount, total)
    quotient, remainder = np.divmod(rest * length, total)
    return over * length + quotient, remainder


def _extra(
    at: int, remainders: tuple[np.ndarray, ...], counts: list[np.ndarray], left: np.ndarray
) -> np.ndarray:
    """How many slots of run `at` get one more: the largest remainders first, of equals the earlier run."""
    before = np.zeros_like(left)
    for other in range(3):
        if other < at:
            before += counts[other] * (remainders[other] >= remainders[at])
        elif other > at:
            before += counts[other] * (remainders[other] > remainders[at])
    extra: np.ndarray = np.clip(left - before, 0, counts[at])
    return extra
