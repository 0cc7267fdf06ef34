"""The time grid by example: the moments that go wrong elsewhere."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, cast

import pytest

from weighbridge.domain.errors import InvalidInputError, OutOfRangeError, UnknownZoneError
from weighbridge.domain.timegrid import (
    MAX_WINDOWS,
    WINDOWS,
    ceil,
    day_start,
    floor,
    isoformat,
    local,
    local_date,
    parse_instant,
    rfc3339,
    window_start,
    windows,
    windows_whole,
    zone,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

UTC = zone("UTC")


def at(text: str, name: str = "UTC") -> int:
    return parse_instant(text, zone(name)) // 1_000_000


def starts(first: str, last: str, window: str, name: str) -> list[str]:
    tz = zone(name)
    return [isoformat(w.start_s, tz) for w in windows(at(first, name), at(last, name), window, tz)]


def hours(first: str, last: str, window: str, name: str) -> list[float]:
    return [(w.end_s - w.start_s) / 3600 for w in windows(at(first, name), at(last, name), window, zone(name))]


@pytest.mark.parametrize(("at_s", "step_s", "down", "up"), [
    (0, 300, 0, 0), (1, 300, 0, 300), (299, 300, 0, 300), (300, 300, 300, 300), (-1, 300, -300, 0),
])
def test_floor_and_ceil(at_s: int, step_s: int, down: int, up: int) -> None:
    assert (floor(at_s, step_s), ceil(at_s, step_s)) == (down, up)


@pytest.mark.parametrize(("name", "first", "last", "expected"), [
    ("America/New_York", "2025-03-09", "2025-03-11", [23, 24]),
    ("America/New_York", "2025-11-02", "2025-11-04", [25, 24]),
    ("Australia/Lord_Howe", "2025-04-06", "2025-04-08", [24.5, 24]),
    ("Australia/Lord_Howe", "2025-10-05", "2025-10-07", [23.5, 24]),
    ("America/Sao_Paulo", "2018-11-03", "2018-11-06", [24, 23, 24]),
    ("Asia/Beirut", "2022-03-26", "2022-03-28", [24, 23]),
    ("Pacific/Apia", "2011-12-29", "2012-01-01", [24, 24]),
    ("Asia/Kathmandu", "2025-01-01", "2025-01-03", [24, 24]),
    ("Asia/Kathmandu", "1985-12-31", "1986-01-02", [24, 23.75]),
])
def test_days(name: str, first: str, last: str, expected: list[float]) -> None:
    assert hours(first, last, "1d", name) == expected


@pytest.mark.parametrize(("name", "first", "last", "window", "expected"), [
    ("America/New_York", "2025-11-02T00:00", "2025-11-02T03:00", "1h", [
        "2025-11-02T00:00:00-04:00", "2025-11-02T01:00:00-04:00", "2025-11-02T01:00:00-05:00",
        "2025-11-02T02:00:00-05:00"]),
    ("America/New_York", "2025-03-09T01:00", "2025-03-09T04:00", "1h", [
        "2025-03-09T01:00:00-05:00", "2025-03-09T03:00:00-04:00"]),
    ("Australia/Lord_Howe", "2025-04-06T01:00", "2025-04-06T03:00", "1h", [
        "2025-04-06T01:00:00+11:00", "2025-04-06T01:30:00+10:30", "2025-04-06T02:00:00+10:30"]),
    ("Australia/Lord_Howe", "2025-10-05T01:00", "2025-10-05T03:30", "1h", [
        "2025-10-05T01:00:00+10:30", "2025-10-05T02:30:00+11:00", "2025-10-05T03:00:00+11:00"]),
    ("Asia/Kathmandu", "2025-01-01T00:10", "2025-01-01T02:00", "1h", [
        "2025-01-01T00:10:00+05:45", "2025-01-01T01:00:00+05:45"]),
    ("America/New_York", "2025-02-01", "2025-05-01", "1mo", [
        "2025-02-01T00:00:00-05:00", "2025-03-01T00:00:00-05:00", "2025-04-01T00:00:00-04:00"]),
    ("America/Sao_Paulo", "2018-11-03", "2018-11-06", "1d", [
        "2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"]),
    ("Pacific/Apia", "2011-12-28", "2012-01-01", "1d", [
        "2011-12-28T00:00:00-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"]),
    ("UTC", "2023-06-05", "2025-02-01", "1y", [
        "2023-06-05T00:00:00+00:00", "2024-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"]),
])
def test_window_starts(name: str, first: str, last: str, window: str, expected: list[str]) -> None:
    assert starts(first, last, window, name) == expected


def test_a_change_off_the_grid_counts_from_the_next_slot() -> None:
    """At 00:01 the clock of St. John's went back to 23:01; the slot from 00:00 on is the new day's."""
    tz = zone("America/St_Johns")
    found = windows(at("2006-10-29T02:25:00Z"), at("2006-10-29T03:40:00Z"), "1h", tz)
    shown = [isoformat(window.start_s, tz) for window in found]
    assert shown == ["2006-10-28T23:55:00-02:30", "2006-10-29T00:00:00-02:30", "2006-10-28T23:05:00-03:30",
                     "2006-10-29T00:00:00-03:30"]


def test_whole_windows_are_not_clipped() -> None:
    (day,) = windows_whole(at("2025-11-02T15:00:00Z"), at("2025-11-02T15:05:00Z"), "1d", zone("America/New_York"))
    assert (rfc3339(day.start_s), rfc3339(day.end_s)) == ("2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z")


@pytest.mark.parametrize("window", WINDOWS)
def test_an_empty_range_has_no_windows(window: str) -> None:
    assert windows(1_000_000_200, 1_000_000_200, window, UTC) == []
    assert windows_whole(1_000_000_500, 1_000_000_200, window, UTC) == []


@pytest.mark.parametrize(("window", "expected"), [
    ("5m", "2025-03-09T10:35:00Z"), ("15m", "2025-03-09T10:30:00Z"), ("1h", "2025-03-09T10:00:00Z"),
    ("1d", "2025-03-09T05:00:00Z"), ("1mo", "2025-03-01T05:00:00Z"), ("1y", "2025-01-01T05:00:00Z"),
    ("total", "2025-03-09T10:37:00Z"),
])
def test_window_start(window: str, expected: str) -> None:
    assert rfc3339(window_start(at("2025-03-09T10:37:00Z"), window, zone("America/New_York"))) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("2025-03-09T07:00:00Z", "2025-03-09T07:00:00Z"),
    ("2025-03-09t07:00:00z", "2025-03-09T07:00:00Z"),
    ("2025-03-09 03:00:00-04:00", "2025-03-09T07:00:00Z"),
    ("2025-03-09T03:00-0400", "2025-03-09T07:00:00Z"),
    ("2025-03-09T03:00:00-04", "2025-03-09T07:00:00Z"),
    ("20250309T030000-0400", "2025-03-09T07:00:00Z"),
    ("2025-03-09", "2025-03-09T05:00:00Z"),
    ("2025-03-09 05:00", "2025-03-09T09:00:00Z"),           # a time, not an offset
    ("2025-03-09T05:00:00 05:00", "2025-03-09T00:00:00Z"),  # the plus of a query string
    ("2025-03-09T02:30:00", "2025-03-09T07:30:00Z"),        # skipped
    ("2025-11-02T01:30:00", "2025-11-02T05:30:00Z"),        # twice: the first
    ("2025-11-02T01:30:00-05:00", "2025-11-02T06:30:00Z"),
])
def test_parse_in_new_york(text: str, expected: str) -> None:
    assert rfc3339(at(text, "America/New_York")) == expected


@pytest.mark.parametrize(("fraction", "micros"), [
    ("", 0), (".5", 500_000), (",25", 250_000), (".000001", 1), (".1234569", 123_456), (".999999999999", 999_999),
])
def test_parse_fractions(fraction: str, micros: int) -> None:
    assert parse_instant(f"2025-03-09T07:00:00{fraction}Z", UTC) == at("2025-03-09T07:00:00Z") * 1_000_000 + micros


@pytest.mark.parametrize("text", [
    "", "now", "1741503600", "2025-3-9", "2025-02-29", "2025-13-01", "2025-01-01T", "2025-01-01T24:00", "2025-W01-1",
    "2016-12-31T23:59:60Z", "2025-01-01T00:00:00+99:99", "2025-01-01T00:00:00+24:00", "2025-01-01Z", "-2025-01-01",
    "2025-01-01T00:00:00Z\n", " 2025-01-01",
    "\u0662\u0660\u0662\u0665-\u0660\u0661-\u0660\u0661", "2025-01-01\x00", "2025-01-01T00", "20250101", "9" * 5000,
])
def test_what_is_no_instant_says_what_would_be(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"no instant.*2025-03-09") as caught:
        parse_instant(text, UTC)
    assert len(caught.value.detail) < 500


@pytest.mark.parametrize("text", ["1971-12-31", "9999-01-01", "0000-01-01T00:00:00Z"])
def test_other_years_are_out_of_range(text: str) -> None:
    with pytest.raises(OutOfRangeError, match="1972 to 9998"):
        parse_instant(text, UTC)


@pytest.mark.parametrize("call", [
    lambda: windows(0, 300, "1h", UTC), lambda: windows(at("9998-01-01"), 10**12, "1d", UTC),
    lambda: local(-1, UTC), lambda: isoformat(10**12, UTC), lambda: rfc3339(10**15), lambda: local_date(10**18, UTC),
    lambda: day_start(dt.date(1970, 1, 1), UTC), lambda: day_start(dt.date.max, UTC),
    lambda: windows_whole(at("9998-12-31T23:00:00-10:00"), 253_370_800_000, "1y", UTC),
])
def test_instants_of_other_years_are_out_of_range(call: object) -> None:
    assert callable(call)
    with pytest.raises(OutOfRangeError):
        call()


@pytest.mark.parametrize("name", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
def test_the_first_and_the_last_year_are_whole(name: str) -> None:
    tz = zone(name)
    for year in ("1972", "9998"):
        (whole,) = windows_whole(at(f"{year}-01-01", name), at(f"{year}-12-31T23:55", name), "1y", tz)
        assert isoformat(whole.start_s, tz).startswith(f"{year}-01-01T00:00:00")
        assert isoformat(whole.end_s, tz).startswith(f"{int(year) + 1}-01-01T00:00:00")


def test_the_number_of_windows_is_bounded() -> None:
    with pytest.raises(OutOfRangeError, match=str(MAX_WINDOWS)):
        windows(at("1972-01-01"), at("2025-01-01"), "5m", UTC)


def test_unknown_windows_and_zones() -> None:
    with pytest.raises(InvalidInputError, match="5m, 15m"):
        windows(at("2025-01-01"), at("2025-01-02"), "7d", UTC)
    for name in ("Mars/Olympus", "", "America", "../UTC", "right/UTC", "localtime", "UTC\x00", "x" * 999):
        with pytest.raises(UnknownZoneError, match="IANA"):
            zone(name)


@pytest.mark.parametrize(("window", "days"), [("1h", 366), ("5m", 30)])
def test_a_long_answer_asks_the_zone_nothing_that_it_was_told_before(window: str, days: int) -> None:
    class Asked(dt.tzinfo):
        questions = 0
        key = "Made/Up"

        def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
            Asked.questions += 1
            return dt.timedelta(hours=-5)

        def tzname(self, when: dt.datetime | None) -> str:
            return "asked"

        def dst(self, when: dt.datetime | None) -> dt.timedelta:
            return dt.timedelta()

    tz = cast("ZoneInfo", Asked())
    first_s = at("2025-01-01T05:00:00Z")
    once = windows(first_s, first_s + days * 86_400, window, tz)
    asked = Asked.questions
    assert windows(first_s, first_s + days * 86_400, window, tz) == once
    assert len(once) > 8000
    assert Asked.questions == asked
