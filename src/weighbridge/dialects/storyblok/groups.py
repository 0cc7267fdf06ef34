"""The days, months or years (UTC) of a range of dates, as this dialect groups and names them."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, NamedTuple

from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.timegrid import windows, zone
from weighbridge.domain.units import DAY_S

if TYPE_CHECKING:
    from weighbridge.domain.timegrid import Window

GROUP_BY = ("day", "month", "year")
FIRST_YEAR, LAST_YEAR = 1972, 9998
MAX_DAYS = 36_600
"""Longest range, a century: it bounds the groups of an answer."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH = dt.date(1970, 1, 1)
_WINDOW = {"day": "1d", "month": "1mo", "year": "1y"}
_SHOWN = {"day": 10, "month": 7, "year": 4}  # characters of YYYY-MM-DD that name a group in the raw rows


class Dates(NamedTuple):
    """The days from `first` to `last`, both included."""

    first: dt.date
    last: dt.date

    @property
    def start_s(self) -> int:
        """Where the first day begins."""
        return date_s(self.first)

    @property
    def end_s(self) -> int:
        """Where the last day ends."""
        return date_s(self.last) + DAY_S


class Group(NamedTuple):
    """A day, month or year of a range, clipped to it. `first_day` and `label` name the whole of it."""

    window: Window
    first_day: str
    label: str


def date_s(date: dt.date) -> int:
    """Where a day begins, in seconds since the epoch."""
    return (date - _EPOCH).days * DAY_S


def today(now_us: int) -> dt.date:
    """The date at an instant."""
    return _EPOCH + dt.timedelta(days=now_us // (DAY_S * 1_000_000))


def parse_dates(start: str | None, end: str | None, today: dt.date) -> Dates:
    """The range that two parameters ask for; without them, this year up to today. InvalidInputError: which is wrong."""
    first = _parse_date(start, "start_date") if start is not None else today.replace(month=1, day=1)
    last = _parse_date(end, "end_date") if end is not None else today
    if last < first:
        raise InvalidInputError("must not be before start_date", where="end_date")
    if (last - first).days >= MAX_DAYS:
        raise InvalidInputError(f"must be less than {MAX_DAYS} days after start_date", where="end_date")
    return Dates(first, last)


def parse_group_by(text: str | None) -> str:
    """One of GROUP_BY, by default the month.

    InvalidInputError: it is none of the groups.
    """
    if text is None:
        return "month"
    if text not in GROUP_BY:
        raise InvalidInputError("must be day, month or year", where="group_by")
    return text


def groups_of(dates: Dates, group_by: str) -> list[Group]:
    """The groups that the range touches, in order."""
    listed = []
    for window in windows(dates.start_s, dates.end_s, _WINDOW[group_by], zone("UTC")):
        day = _EPOCH + dt.timedelta(days=window.start_s // DAY_S)
        if group_by != "day":
            day = day.replace(day=1) if group_by == "month" else day.replace(month=1, day=1)
        first_day = day.isoformat()
        listed.append(Group(window, first_day, first_day[: _SHOWN[group_by]]))
    return listed


def _parse_date(text: str, where: str) -> dt.date:
    try:
        date = dt.date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        date = None
    if date is None:
        raise InvalidInputError("is invalid", where=where)
    if not FIRST_YEAR <= date.year <= LAST_YEAR:
        raise InvalidInputError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}", where=where)
    return date
