"""Law 18: windows are what a wall clock says, and instants survive being written and read."""

from __future__ import annotations

import contextlib
import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laws import referee
from laws.zones import NAMES, ODD, moments
from weighbridge.domain import timegrid
from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.timegrid import (
    WINDOWS,
    day_start,
    isoformat,
    local,
    parse_instant,
    rfc3339,
    window_start,
    windows,
    windows_whole,
    zone,
)

YEAR_1971_S = 31_536_000  # as far back as windows of 1972 can reach
DAYS = {"1d": 6, "1mo": 40, "1y": 40}
NO_DAY = [("Pacific/Apia", dt.date(2011, 12, 30)), ("Pacific/Kiritimati", dt.date(1994, 12, 31)),
          ("Pacific/Kwajalein", dt.date(1993, 8, 21))]


@settings(max_examples=120, deadline=None)
@given(moment=moments(), window=st.sampled_from(WINDOWS), slots=st.integers(1, 600))
def test_windows_are_what_the_wall_clock_says(moment: tuple[str, int], window: str, slots: int) -> None:
    name, start_s = moment
    tz = zone(name)
    end_s = start_s + slots * referee.SLOT_S * (DAYS[window] if window in ("1mo", "1y") and slots < 60 else 1)
    assert windows(start_s, end_s, window, tz) == referee.slot_windows(start_s, end_s, window, tz)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("name", "date"), ODD)
def test_windows_are_right_over_every_oddity(name: str, date: str, window: str) -> None:
    tz = zone(name)
    start_s = day_start(dt.date.fromisoformat(date) - dt.timedelta(1), tz)
    end_s = start_s + 3 * 86_400
    assert windows(start_s, end_s, window, tz) == referee.slot_windows(start_s, end_s, window, tz)


@pytest.mark.parametrize(("name", "date"), ODD)
def test_every_time_on_an_odd_wall_clock_is_read_as_the_first_or_as_if_the_clock_had_not_been_set(
    name: str, date: str,
) -> None:
    tz, midnight = zone(name), dt.datetime.fromisoformat(date)
    for quarters in range(-96, 192):
        wall = midnight + dt.timedelta(minutes=15 * quarters)
        instant = wall.replace(tzinfo=tz).astimezone(dt.UTC)  # PEP 495, fold 0
        assert parse_instant(wall.isoformat(), tz) == int(instant.timestamp()) * 1_000_000


@settings(max_examples=150, deadline=None)
@given(moment=moments(), window=st.sampled_from(WINDOWS[:-1]), slots=st.integers(1, 2000))
def test_whole_windows_touch_the_range_and_are_cut_only_by_clipping(
    moment: tuple[str, int], window: str, slots: int,
) -> None:
    name, start_s = moment
    tz = zone(name)
    end_s = start_s + slots * referee.SLOT_S
    whole = windows_whole(start_s, end_s, window, tz)
    assert [(max(w.start_s, start_s), min(w.end_s, end_s)) for w in whole] == windows(start_s, end_s, window, tz)
    assert windows(whole[0].start_s, whole[-1].end_s, window, tz) == whole
    # No bound of a whole window comes from the range: a wider question has the same windows.
    margin_s = 400 * 86_400 if window in ("1mo", "1y") else 3 * 86_400
    assert set(whole) <= set(windows(max(start_s - margin_s, YEAR_1971_S), end_s + margin_s, window, tz))
    for w in whole:
        assert window_start(w.start_s, window, tz) == window_start(w.end_s - 1, window, tz) == w.start_s


@settings(max_examples=80, deadline=None)
@given(moment=moments())
def test_a_day_starts_at_the_first_instant_of_its_date(moment: tuple[str, int]) -> None:
    name, at_s = moment
    tz = zone(name)
    date = local(at_s, tz).date()
    assert day_start(date, tz) == referee.first_slot_of(date, tz)


@settings(max_examples=60, deadline=None)
@given(odd=st.sampled_from(NO_DAY), before=st.integers(1, 5), after=st.integers(1, 5))
def test_a_day_that_was_skipped_has_no_window(odd: tuple[str, dt.date], before: int, after: int) -> None:
    tz = zone(odd[0])
    first, last = odd[1] - dt.timedelta(before), odd[1] + dt.timedelta(after)
    days = windows(day_start(first, tz), day_start(last, tz), "1d", tz)
    assert len(days) == before + after - 1
    assert odd[1] not in {local(day.start_s, tz).date() for day in days}
    assert all(a.end_s == b.start_s for a, b in pairwise(days))


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(NAMES), at_s=st.integers(94_694_400, 253_000_000_000))
def test_what_is_written_is_read_back(name: str, at_s: int) -> None:
    tz, other = zone(name), zone("Asia/Tokyo")
    assert parse_instant(isoformat(at_s, tz), other) == at_s * 1_000_000
    assert parse_instant(isoformat(at_s, tz).replace("+", " "), other) == at_s * 1_000_000
    assert parse_instant(rfc3339(at_s), other) == at_s * 1_000_000
    assert isoformat(at_s, tz) == (
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=at_s)).astimezone(tz).isoformat()


@settings(max_examples=200, deadline=None)
@given(moment=moments(), seconds=st.integers(0, 86_399), micros=st.integers(0, 999_999))
def test_a_time_without_offset_is_read_in_the_zone_the_first_of_two(
    moment: tuple[str, int], seconds: int, micros: int,
) -> None:
    name, at_s = moment
    tz = zone(name)
    wall = local(at_s + seconds, tz).replace(tzinfo=None, microsecond=micros, fold=0)
    read_us = parse_instant(wall.isoformat(timespec="microseconds"), tz)
    instant = wall.replace(tzinfo=tz).astimezone(dt.UTC)  # PEP 495, fold 0
    assert read_us == (instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789-:+TtZz ., \x00\u0663\u07c1", max_size=80),
    st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{0,12})?)?)?([+ -]?"
                  r"[0-9]{2}:?[0-9]{2}|Z)?\Z"),
)


@settings(max_examples=600, deadline=None)
@given(text=TEXTS, name=st.sampled_from(["UTC", "America/New_York", "Africa/Monrovia"]))
@example(text="2016-12-31T23:59:60Z", name="UTC")
@example(text="2025-01-01T24:00:00", name="UTC")
@example(text="-2025-01-01", name="UTC")
@example(text="2025-01-01T00:00:00+99:99", name="UTC")
@example(text="\u0662\u0660\u0662\u0665-\u0660\u0661-\u0660\u0661", name="UTC")
@example(text="9" * 10_000, name="UTC")
@example(text="2025-01-01\n", name="UTC")
@example(text="9998-12-31T23:59:59.999999-23:59", name="America/New_York")
def test_any_text_is_an_instant_or_invalid_input(text: str, name: str) -> None:
    with contextlib.suppress(InvalidInputError):
        at_us = parse_instant(text, zone(name))
        at_s = at_us // 1_000_000
        assert parse_instant(isoformat(at_s, zone("UTC")), zone("UTC")) == at_s * 1_000_000
        for window in WINDOWS:
            with contextlib.suppress(InvalidInputError):
                assert windows_whole(at_s, at_s + 1, window, zone(name))


@settings(max_examples=300, deadline=None)
@given(name=st.one_of(st.text(max_size=70), st.from_regex(r"\A(America|Asia|\.\.|posix)(/[a-zA-Z_.]{1,12}){0,3}\Z")))
@example(name="America")
@example(name="/etc/passwd")
@example(name="Europe/Berlin\x00")
def test_any_name_is_a_zone_or_invalid_input(name: str) -> None:
    with contextlib.suppress(InvalidInputError):
        assert timegrid.zone(name).key == name
