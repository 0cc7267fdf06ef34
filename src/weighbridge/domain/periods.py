"""Billing periods: month after month from a billing day, in an organization's zone (law 19)."""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from typing import TYPE_CHECKING

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.domain.timegrid import Window, day_start, local_date

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


def billing_period(at_s: int, billing_day: int, zone: ZoneInfo) -> Window:
    """Return the period that holds the instant, from local midnight to local midnight.

    `billing_day` is 1 to 31, else OutOfRangeError; where a month lacks it the month's last day stands in, and the next
    month begins on the billing day again. The period before is the one that holds `start_s - 1`.
    """
    if not 1 <= billing_day <= 31:  # noqa: PLR2004  the bounds are the sentence
        detail = f"the billing day is {billing_day}; it goes from 1 to 31"
        raise OutOfRangeError(detail, where="billing_day")
    today = local_date(at_s, zone)
    month = today.year * 12 + today.month - 1
    start_s = day_start(_billing_date(month, billing_day), zone)
    if at_s < start_s:
        return Window(day_start(_billing_date(month - 1, billing_day), zone), start_s)
    end_s = day_start(_billing_date(month + 1, billing_day), zone)
    if at_s < end_s:
        return Window(start_s, end_s)
    # A clock that is set back just after midnight shows the evening before once more, in a day that is over.
    return Window(end_s, day_start(_billing_date(month + 2, billing_day), zone))


def _billing_date(month: int, billing_day: int) -> dt.date:
    """Return the date on which the period of a month, counted from year 0, begins."""
    year, month_0 = divmod(month, 12)
    return dt.date(year, month_0 + 1, min(billing_day, monthrange(year, month_0 + 1)[1]))
