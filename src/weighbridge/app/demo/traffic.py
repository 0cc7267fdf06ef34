"""The traffic of the demo as slot rows: daily and weekly curves on local clocks, growth, noise, bursts and faults."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.app.demo.company import FAULTS
from weighbridge.domain.timegrid import zone
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.measurement import SLOT_ROW, UNKNOWN, SlotFlag

if TYPE_CHECKING:
    from weighbridge.app.demo.company import Habit

HOUR_S = 3600
MONTH_S = 30.4375 * DAY_S
NOISE = 0.12
"""Spread of a slot around its curve (of the logarithm)."""
DRIFT = 0.10
"""Spread of the slow ups and downs, one draw each DRIFT_S."""
DRIFT_S = 6 * HOUR_S
DAY_MEAN = 0.5017
"""What the curve of a day comes to on average, without its floor."""
CACHED_CLOCKS = 16
"""Zones of one month whose clocks are kept: the demo has six."""


def rows_of(habit: Habit, series: int, month: tuple[int, int, int], span: tuple[int, int], seed: int) -> np.ndarray:
    """Rows (dtype SLOT_ROW) of one series in `span` (start and end), as far as they lie in one month.

    `month` is (its number, its start, its end). The same seed, series, month and end give the same rows,
    however the months are cut.
    """
    number, start_s, stop_s = month
    first_s, end_s = span
    count = (stop_s - start_s) // SLOT_S
    rng = np.random.default_rng([seed, series, number])
    at_s = start_s + SLOT_S * np.arange(count, dtype=np.int64)
    level = curve(habit, start_s, count) * _noise(rng, count) * _bursts(rng, count, habit.bursts)
    level *= (1 + habit.growth) ** ((at_s - first_s) / MONTH_S)
    rows = np.empty(count, dtype=SLOT_ROW)
    rows["series"] = series
    rows["slot"] = at_s // SLOT_S
    rows["flags"] = SlotFlag.MEASURED
    _fill(rows, habit, level, rng)
    rows = _with_fault(rows, habit, end_s)
    kept = (rows["slot"] >= first_s // SLOT_S) & (rows["slot"] < end_s // SLOT_S)
    if habit.requests_per_s is not None:
        kept &= rows["requests"] > 0  # who sends events sends none of nothing
    return rows[kept]


def _fill(rows: np.ndarray, habit: Habit, level: np.ndarray, rng: np.random.Generator) -> None:
    """Amounts from the level: bytes by rate, or requests and what each of them weighs."""
    if habit.requests_per_s is None:
        wobble = rng.lognormal(0, 0.05, len(rows))
        rows["bytes_in"] = np.rint(level * wobble * (habit.in_bps * SLOT_S / 8))
        rows["bytes_out"] = np.rint(level * (habit.out_bps * SLOT_S / 8))
        rows["requests"] = UNKNOWN
        return
    requests = rng.poisson(level * (habit.requests_per_s * SLOT_S))
    weight = rng.lognormal(0, 0.2, len(rows))
    rows["requests"] = requests
    rows["bytes_in"] = np.rint(requests * (habit.in_bps / 8))
    rows["bytes_out"] = np.rint(requests * weight * (habit.out_bps / 8))


def curve(habit: Habit, start_s: int, count: int) -> np.ndarray:
    """The level of each slot by the clock on the wall and the day of the week there; 1 on average over a week."""
    hour, weekday = _clock(habit.zone, start_s, count)
    day = ((1 - np.cos((hour - 4) * (np.pi / 12))) / 2) ** 1.3 + 0.35 * np.exp(-(((hour - 20.5) / 2.0) ** 2))
    level = habit.night + (1 - habit.night) * day
    mean = habit.night + (1 - habit.night) * DAY_MEAN
    week = np.where(weekday >= 5, habit.weekend, 1.0)  # noqa: PLR2004  Saturday and Sunday
    curve: np.ndarray = level / mean * week / ((5 + 2 * habit.weekend) / 7)
    return curve


@lru_cache(maxsize=CACHED_CLOCKS)
def _clock(zone_name: str, start_s: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Hour (with fraction) and weekday (Monday is 0) that clocks of a zone show at each slot."""
    tz = zone(zone_name)
    hours = range(start_s, start_s + count * SLOT_S, HOUR_S)
    offsets = [
        int((dt.datetime.fromtimestamp(at_s, tz).utcoffset() or dt.timedelta()).total_seconds()) for at_s in hours
    ]
    local_s = start_s + SLOT_S * np.arange(count, dtype=np.int64) + np.repeat(offsets, HOUR_S // SLOT_S)[:count]
    return local_s % DAY_S / HOUR_S, (local_s // DAY_S + 3) % 7


def _noise(rng: np.random.Generator, count: int) -> np.ndarray:
    knots = rng.normal(0, DRIFT, count * SLOT_S // DRIFT_S + 2)
    drift = np.interp(np.arange(count) * (SLOT_S / DRIFT_S), np.arange(len(knots)), knots)
    noise: np.ndarray = np.exp(drift + rng.normal(0, NOISE, count))
    return noise


def _bursts(rng: np.random.Generator, count: int, expected: float) -> np.ndarray:
    """Mostly 1; somewhere in the month stretches of 10 minutes to 3 hours of 2 to 6 times as much."""
    level = np.ones(count)
    for _ in range(rng.poisson(expected)):
        at, length = rng.integers(0, count), rng.integers(2, 36)
        level[at : at + length] *= rng.uniform(2, 6)
    return level


def _with_fault(rows: np.ndarray, habit: Habit, end_s: int) -> np.ndarray:
    """The rows as they came out on the day on which something went wrong."""
    if habit.fault is None:
        return rows
    fault = FAULTS[habit.fault]
    day_s = end_s // DAY_S * DAY_S - fault.days_ago * DAY_S
    from_s = day_s + int(fault.from_hour * HOUR_S)
    inside = (rows["slot"] >= from_s // SLOT_S) & (rows["slot"] < (from_s + int(fault.hours * HOUR_S)) // SLOT_S)
    if fault.shows == "reset":
        return rows[~inside]
    for name in ("bytes_in", "bytes_out"):
        total, slots = int(rows[name][inside].sum()), int(inside.sum())
        even = np.full(slots, total // max(slots, 1))
        even[: total % max(slots, 1)] += 1  # the remainder to the earlier slots, as for every gap
        rows[name][inside] = 0 if fault.shows == "silent" else even
    if fault.shows == "survived":
        rows["flags"][inside] = SlotFlag.ESTIMATED
    return rows
