"""Time on the wall: windows, days and instants of time zones. The only module that applies a zone (law 18).

Instants are integers since the Unix epoch, UTC: seconds (`_s`) or microseconds (`_us`). Years 1972 to 9998. Windows lie
on the 5-minute grid of the base slots: a slot belongs to the window that its first instant lies in. This matters only
where a clock was set off that grid: St. John's and Gaza at one minute past midnight, Monrovia until 7 January 1972.
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import pairwise, starmap
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from weighbridge.domain.errors import InvalidInputError, OutOfRangeError, UnknownZoneError
from weighbridge.domain.units import DAY_S, SLOT_S

WINDOWS = ("5m", "15m", "30m", "1h", "1d", "1mo", "1y", "total")

MAX_WINDOWS = 1_000_000
"""Most windows of one answer: more than 9 years of 5 minutes, and still no way to fill the memory with one question."""
MAX_ZONES = 1024
"""Zones held at once; IANA has about 600."""
MAX_ZONE_YEARS = 16_384
"""Years of zones whose changes of offset are remembered: all years of two zones. Each takes under 1 KB, 0.3 ms to find."""
MAX_TEXT = 64
"""Longest text that is looked at as an instant."""

_STEP_S = {"5m": 300, "15m": 900, "30m": 1800, "1h": 3600}
_MONTHS = {"1mo": 1, "1y": 12}
_LENGTH_S = {**_STEP_S, "1d": DAY_S, "1mo": 28 * DAY_S, "1y": 365 * DAY_S}  # the shortest of each, to bound the count
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  wall clocks are compared with it, of any zone
_UNCHANGING = frozenset({"UTC", "Etc/UTC"})
_FIRST_YEAR, _LAST_YEAR = 1972, 9998
_FIRST_S = (dt.date(_FIRST_YEAR, 1, 1).toordinal() - _EPOCH_DAY) * DAY_S
_LAST_S = (dt.date(_LAST_YEAR + 1, 1, 1).toordinal() - _EPOCH_DAY) * DAY_S
# Not zones of IANA, though a machine may have such files: this machine's own time, and time with leap seconds.
_ZONE_NAME = re.compile(r"(?!posix|right/|localtime|Factory)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", re.ASCII)
_FRACTION = r"(?:[.,](?P<fraction>\d+))?"
_OFFSET = r"(?:(?P<utc>[Zz])|(?P<sign>[+ -])(?P<off_hour>\d\d)(?::?(?P<off_minute>\d\d))?)?"
_EXTENDED = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    rf"(?:[Tt ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d){_FRACTION})?{_OFFSET})?", re.ASCII)
_BASIC = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    rf"[Tt](?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d){_FRACTION})?{_OFFSET}", re.ASCII)


class Window(NamedTuple):
    """The stretch [start_s, end_s)."""

    start_s: int
    end_s: int


@lru_cache(maxsize=MAX_ZONES)
def zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name, or raise UnknownZoneError."""
    detail = f"no time zone {name[:MAX_TEXT]!r}; use an IANA name such as Europe/Berlin or UTC"
    if len(name) > MAX_TEXT or not _ZONE_NAME.fullmatch(name):
        raise UnknownZoneError(detail, where="time_zone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as America
        raise UnknownZoneError(detail, where="time_zone") from None


def floor(at_s: int, step_s: int) -> int:
    """Return the instant rounded down to a multiple of the step since the epoch."""
    return at_s - at_s % step_s


def ceil(at_s: int, step_s: int) -> int:
    """Return the instant rounded up to a multiple of the step since the epoch."""
    return at_s + -at_s % step_s


def windows(start_s: int, end_s: int, window: str, zone: ZoneInfo) -> list[Window]:
    """Return the windows of a zone that cover [start_s, end_s) without gap or overlap, first and last clipped to it.

    `window` is one of WINDOWS, else InvalidInputError. Windows shorter than a day end at the wall clock's next multiple
    or where the offset changes; days, months and years run from local midnight to local midnight. Nothing for an empty
    range; more than MAX_WINDOWS or other years are an OutOfRangeError.
    """
    if start_s >= end_s:
        _check_window(window)
        return []
    bounds = _bounds(start_s, end_s, window, zone)
    bounds[0], bounds[-1] = start_s, end_s
    return list(starmap(Window, pairwise(bounds)))


def windows_whole(start_s: int, end_s: int, window: str, zone: ZoneInfo) -> list[Window]:
    """Return the windows of a zone that touch [start_s, end_s), whole; of `total`, the range itself. See `windows`."""
    if start_s >= end_s:
        _check_window(window)
        return []
    return list(starmap(Window, pairwise(_bounds(start_s, end_s, window, zone))))


def window_start(at_s: int, window: str, zone: ZoneInfo) -> int:
    """Return the start of the window that holds the instant; of `total`, the instant itself."""
    return _bounds(at_s, at_s + 1, window, zone)[0]


def day_start(date: dt.date, zone: ZoneInfo) -> int:
    """Return the first instant whose local date is `date` or later, whether or not there was a midnight that day."""
    midnight_s = (date.toordinal() - _EPOCH_DAY) * DAY_S
    _check_years(midnight_s, midnight_s)
    return _day_start(date, zone)


def local(at_s: int, zone: ZoneInfo) -> dt.datetime:
    """Return what the zone's calendar and clock show at the instant, aware."""
    _check_years(at_s, at_s)
    return dt.datetime.fromtimestamp(at_s, zone)


def local_date(at_s: int, zone: ZoneInfo) -> dt.date:
    """Return what the zone's calendar shows at the instant."""
    return local(at_s, zone).date()


def isoformat(at_s: int, zone: ZoneInfo) -> str:
    """Return the instant as ISO 8601 with the offset in force at it: `2025-03-09T03:00:00-04:00`; UTC is `+00:00`."""
    return local(at_s, zone).isoformat()


def rfc3339(at_s: int) -> str:
    """Return the instant in UTC as `2025-03-09T07:00:00Z`."""
    return local(at_s, zone("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str, zone: ZoneInfo) -> int:
    """Return the instant that a text of ISO 8601 or RFC 3339 names, in microseconds since the epoch.

    A date alone is its midnight. Without an offset it is read in `zone`: of two such times the first, and one that was
    skipped as if the clock had not been set yet (PEP 495, fold 0). Digits behind the microsecond are cut off. A space
    stands for the plus that a query string lost. Anything else is an InvalidInputError, other years an OutOfRangeError.
    """
    shown = repr(text[:MAX_TEXT])
    match = None if len(text) > MAX_TEXT else _EXTENDED.fullmatch(text) or _BASIC.fullmatch(text)
    if match is None:
        detail = f"{shown} is no instant; write 2025-03-09T03:00:00-04:00, 2025-03-09T07:00:00Z or 2025-03-09"
        raise InvalidInputError(detail)
    if not _FIRST_YEAR <= int(match["year"]) <= _LAST_YEAR:
        detail = f"{shown} is out of range; years go from {_FIRST_YEAR} to {_LAST_YEAR}"
        raise OutOfRangeError(detail)
    try:
        year, month, day, hour, minute, second = (
            int(match[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second"))
        micros = int((match["fraction"] or "")[:6].ljust(6, "0"))
        wall = dt.datetime(year, month, day, hour, minute, second, micros)  # noqa: DTZ001  its offset comes next
        offset = _written_offset(match)
    except ValueError as error:
        detail = f"{shown} is no instant: {error}; write it like 2025-03-09T03:00:00-04:00"
        raise InvalidInputError(detail) from None
    if offset is None:
        offset = wall.replace(tzinfo=zone).utcoffset() or dt.timedelta()
    return (wall - _EPOCH - offset) // dt.timedelta(microseconds=1)


def _written_offset(match: re.Match[str]) -> dt.timedelta | None:
    """Return the offset that the text names, None if it names none; ValueError if it is a day or more."""
    if match["utc"]:
        return dt.timedelta()
    if not match["sign"]:
        return None
    clock = dt.time(int(match["off_hour"]), int(match["off_minute"] or 0))
    offset = dt.timedelta(hours=clock.hour, minutes=clock.minute)
    return -offset if match["sign"] == "-" else offset


def _check_window(window: str) -> None:
    if window not in WINDOWS:
        detail = f"no window {window[:MAX_TEXT]!r}; there are {', '.join(WINDOWS)}"
        raise InvalidInputError(detail, where="window")


def _check_years(start_s: int, end_s: int) -> None:
    """Raise OutOfRangeError unless both lie in the years that are kept, or where their windows and periods reach."""
    if start_s < _FIRST_S - 366 * DAY_S or end_s > _LAST_S + 60 * DAY_S:
        detail = f"out of range; years go from {_FIRST_YEAR} to {_LAST_YEAR}"
        raise OutOfRangeError(detail)


def _bounds(start_s: int, end_s: int, window: str, zone: ZoneInfo) -> list[int]:
    """Return where windows meet, ascending, from the last at or before `start_s` to the first at or after `end_s`."""
    _check_window(window)
    _check_years(start_s, end_s)
    if window == "total":
        return [start_s, end_s]
    if (end_s - start_s) // _LENGTH_S[window] > MAX_WINDOWS:
        detail = f"more than {MAX_WINDOWS} windows of {window}; ask for a shorter range or longer windows"
        raise OutOfRangeError(detail, where="window")
    if window in _STEP_S:
        points = _step_bounds(start_s, end_s, _STEP_S[window], zone)
    elif window == "1d":
        points = _day_bounds(start_s, end_s, zone)
    else:
        points = _month_bounds(start_s, end_s, _MONTHS[window], zone)
    return points[bisect_right(points, start_s) - 1 : bisect_left(points, end_s) + 1]


def _step_bounds(start_s: int, end_s: int, step_s: int, zone: ZoneInfo) -> list[int]:
    """Return the wall clock's multiples of a step and the changes of offset, from beyond both ends of the range."""
    points: list[int] = []
    for i, (from_s, until_s, offset_s) in enumerate(_runs(start_s - 2 * step_s, end_s + 2 * step_s, zone)):
        first_s = ceil(from_s + offset_s, step_s) - offset_s
        if i > 0 and first_s != from_s:
            points.append(from_s)
        points.extend(range(first_s, until_s, step_s))
    return points


def _day_bounds(start_s: int, end_s: int, zone: ZoneInfo) -> list[int]:
    """Return the starts of days from beyond both ends of the range; a day that was skipped has none."""
    points: list[int] = []
    day: int | None = None  # the latest that began: a clock set back over midnight begins no day twice
    for from_s, until_s, offset_s in _runs(start_s - 3 * DAY_S, end_s + 3 * DAY_S, zone):
        today = (from_s + offset_s) // DAY_S
        if day is None:
            day = today
        elif today > day:
            points.append(from_s)
            day = today
        midnights = range((day + 1) * DAY_S - offset_s, until_s, DAY_S)
        points.extend(midnights)
        day += len(midnights)
    return points


def _month_bounds(start_s: int, end_s: int, months: int, zone: ZoneInfo) -> list[int]:
    """Return the starts of every `months` months, counted from January, from beyond both ends of the range."""
    before = dt.date.fromordinal(_EPOCH_DAY + start_s // DAY_S - 2)
    month = floor(before.year * 12 + before.month - 1, months)
    points: list[int] = []
    while not points or points[-1] < end_s:
        if month // 12 > dt.MAXYEAR:
            detail = f"out of range; years go from {_FIRST_YEAR} to {_LAST_YEAR}"
            raise OutOfRangeError(detail, where="window")
        points.append(_day_start(dt.date(month // 12, month % 12 + 1, 1), zone))
        month += months
    return points


def _day_start(date: dt.date, zone: ZoneInfo) -> int:
    midnight_s = (date.toordinal() - _EPOCH_DAY) * DAY_S
    for from_s, until_s, offset_s in _runs(midnight_s - 2 * DAY_S, midnight_s + 2 * DAY_S, zone):
        at_s = max(from_s, midnight_s - offset_s)
        if at_s < until_s:
            return at_s
    raise AssertionError(date)  # no zone is two days off


def _runs(start_s: int, end_s: int, zone: ZoneInfo) -> list[tuple[int, int, int]]:
    """Return (from, until, offset) of the stretches of one offset that cover [start_s, end_s), in seconds."""
    points: list[int] = [start_s]
    offsets: list[int] = []
    for year in range(_year(start_s), _year(end_s - 1) + 1):
        for at_s, offset_s in _changes(zone, year):
            if at_s <= start_s:
                offsets = [offset_s]
            elif at_s < end_s and offset_s != offsets[-1]:
                points.append(at_s)
                offsets.append(offset_s)
    points.append(end_s)
    return [(from_s, until_s, offset_s) for (from_s, until_s), offset_s in zip(pairwise(points), offsets, strict=True)]


@lru_cache(maxsize=MAX_ZONE_YEARS)
def _changes(zone: ZoneInfo, year: int) -> tuple[tuple[int, int], ...]:
    """Return (instant, offset from it on) for the start of a UTC year and each change in it, on the 5-minute grid.

    zoneinfo does not tell its changes: offsets are compared day by day, and bisected where they differ.
    """
    start_s = (dt.date(year, 1, 1).toordinal() - _EPOCH_DAY) * DAY_S
    if zone.key in _UNCHANGING:
        return ((start_s, 0),)
    days = 366 if year <= _LAST_YEAR else 90  # beyond that, zones would leave the calendar
    found = [(start_s, _offset_s(start_s, zone))]
    for after_s in range(start_s + DAY_S, start_s + days * DAY_S + 1, DAY_S):
        offset_s = _offset_s(after_s, zone)
        if offset_s != found[-1][1]:
            found.append((_first_with(offset_s, after_s - DAY_S, after_s, zone), offset_s))
    # A slot belongs where it begins, so a change counts from the next slot on.
    return tuple((ceil(at_s, SLOT_S), floor(offset_s, SLOT_S)) for at_s, offset_s in found if _year(at_s) == year)


def _first_with(offset_s: int, before_s: int, after_s: int, zone: ZoneInfo) -> int:
    """Return the first instant in (before_s, after_s] with an offset that is in force at its end, not before it."""
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _offset_s(middle_s, zone) == offset_s:
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s


def _offset_s(at_s: int, zone: ZoneInfo) -> int:
    offset = dt.datetime.fromtimestamp(at_s, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _year(at_s: int) -> int:
    return dt.date.fromordinal(_EPOCH_DAY + at_s // DAY_S).year
