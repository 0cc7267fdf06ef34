"""The laws worked out a second time: slowly, naively, and by other means than the code that they judge."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

SLOT_S = 300
DAY_S = 86_400
STEP_S = {"5m": 300, "15m": 900, "30m": 1800, "1h": 3600}


def wall(at_s: int, zone: ZoneInfo) -> dt.datetime:
    """What the clock on the wall shows, without its offset."""
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=at_s)).astimezone(zone).replace(tzinfo=None)


def slot_windows(start_s: int, end_s: int, window: str, zone: ZoneInfo) -> list[tuple[int, int]]:
    """Windows by asking the wall clock at every single 5-minute slot, and joining the slots that agree."""
    latest = dt.date.min

    def label(slot_s: int) -> object:
        nonlocal latest
        clock = wall(slot_s, zone)
        if window in STEP_S:
            since_midnight_s = clock.hour * 3600 + clock.minute * 60 + clock.second
            offset = clock.replace(tzinfo=dt.UTC) - dt.datetime.fromtimestamp(slot_s, dt.UTC)
            return clock.date(), since_midnight_s // STEP_S[window], offset
        latest = max(latest, clock.date())  # a date that began does not begin again when the clock is set back
        return {"1d": latest, "1mo": (latest.year, latest.month), "1y": latest.year, "total": 0}[window]

    # Two days ahead, so that the latest date is known where the range begins.
    slots = [(slot_s, label(slot_s)) for slot_s in range(start_s - 2 * DAY_S, end_s, SLOT_S)]
    runs = [[slot_s for slot_s, _ in run] for _, run in groupby(slots, key=lambda slot: slot[1])]
    clipped = [(max(run[0], start_s), run[-1] + SLOT_S) for run in runs]
    return [(from_s, until_s) for from_s, until_s in clipped if until_s > start_s]


def first_slot_of(date: dt.date, zone: ZoneInfo) -> int:
    """The first 5-minute slot whose local date is `date` or later, by trying one after the other."""
    midnight_s = (date - dt.date(1970, 1, 1)).days * DAY_S
    return next(at_s for at_s in range(midnight_s - 30 * 3600, midnight_s + 60 * 3600, SLOT_S)
                if wall(at_s, zone).date() >= date)


def billing_dates(first: dt.date, days: int, billing_day: int) -> list[dt.date]:
    """The dates on which periods begin, by walking the calendar day by day."""
    found = []
    for date in (first + dt.timedelta(days=n) for n in range(days)):
        last = calendar.monthrange(date.year, date.month)[1]
        if date.day == billing_day or (date.day == last and last < billing_day):
            found.append(date)
    return found


def spread(amount: int, start_us: int, end_us: int, step_s: int) -> list[tuple[int, int]]:
    """Shares as fractions of the time in each slot, the largest remainders rounded up."""
    step_us = step_s * 1_000_000
    slots: list[tuple[int, Fraction]] = []
    slot_us = start_us // step_us * step_us
    while not slots or slot_us < end_us:
        within_us = min(end_us, slot_us + step_us) - max(start_us, slot_us)
        slots.append((slot_us // 1_000_000, Fraction(amount * within_us, end_us - start_us) if end_us > start_us
                      else Fraction(amount)))
        slot_us += step_us
    floors = {slot_s: share.numerator // share.denominator for slot_s, share in slots}
    by_remainder = sorted(slots, key=lambda slot: (floors[slot[0]] - slot[1], slot[0]))
    for slot_s, _ in by_remainder[:amount - sum(floors.values())]:
        floors[slot_s] += 1
    return list(floors.items())


def percentile(values: Sequence[int], p: int) -> int:
    """Throw away the highest (100 - p) percent of the slots, rounded down to whole slots; the highest left is it."""
    left = sorted(values, reverse=True)[len(values) * (100 - p) // 100:]
    return left[0] if left else 0


def half_up(value: Fraction, decimals: int) -> Decimal:
    """Rounded as by hand: halves away from zero, for values from 0 up."""
    scaled = value * 10 ** decimals
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    fraction = Decimal(rest) / Decimal(scaled.denominator)
    return (Decimal(whole) + fraction.quantize(Decimal(1), rounding=ROUND_HALF_UP)).scaleb(-decimals)


@dataclass
class Device:
    """A counter made of brass: it really counts, wraps and is really reset; and a witness who saw every byte."""

    bits: int = 64
    value: int = 0
    started_us: int = 0
    moved: list[tuple[int, int]] = field(default_factory=list)

    def count(self, at_us: int, amount: int) -> None:
        """Let bytes pass."""
        self.value = (self.value + amount) % 2 ** self.bits
        self.moved.append((at_us, amount))

    def reset(self, at_us: int) -> None:
        """Start from zero."""
        self.value, self.started_us = 0, at_us

    def seen(self, after_us: int, until_us: int) -> int:
        """The bytes that passed in (after_us, until_us]."""
        return sum(amount for at_us, amount in self.moved if after_us < at_us <= until_us)


def total(parts: Iterable[tuple[int, int]]) -> int:
    """The sum of what was spread."""
    return sum(amount for _, amount in parts)
