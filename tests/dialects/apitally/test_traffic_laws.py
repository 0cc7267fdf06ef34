"""Traffic against a naive count on the wall clock, pages against the whole, and no parameter that upsets anything."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from support.seed_world import World
from weighbridge.dialects.apitally.routes import DIALECT
from weighbridge.model import Kind

PATH = "/v1/apps/1/traffic"
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati")
CROSSINGS = (  # the clock is set in New York, on Lord Howe, and nowhere
    "2025-03-09T07:00", "2025-11-02T06:00", "2025-04-05T15:00", "2025-10-04T15:30", "2025-06-15T12:00",
)
MOMENTS = [int(dt.datetime.fromisoformat(f"{text}+00:00").timestamp()) for text in CROSSINGS]
SLOT_S = 300


def wall(at_s: int, zone: ZoneInfo, interval: str) -> tuple[Any, ...]:
    """What a clock on the wall shows of an instant, down to the interval: date, and hour with its offset."""
    local = dt.datetime.fromtimestamp(at_s, zone)
    return (local.date(),) if interval == "day" else (local.date(), local.hour, local.utcoffset())


def naive(
    rows: list[tuple[int, int]], start_s: int, end_s: int, zone: ZoneInfo, interval: str
) -> list[tuple[str, str, int]]:
    """Every interval of the range by walking the slots one by one: (start, end, requests)."""
    counts: dict[int, int] = defaultdict(int)
    for at_s, requests in rows:
        counts[at_s] += requests
    at_s = start_s - start_s % SLOT_S
    shown = wall(at_s, zone, interval)
    while wall(at_s - SLOT_S, zone, interval) == shown:
        at_s -= SLOT_S
    found: list[tuple[str, str, int]] = []
    begin_s, total = at_s, 0
    end_s -= end_s % SLOT_S
    while at_s < end_s or wall(at_s, zone, interval) == shown:
        if wall(at_s, zone, interval) != shown:
            found.append((begin_s, at_s, total))
            begin_s, total, shown = at_s, 0, wall(at_s, zone, interval)
        total += counts[at_s] if at_s < end_s else 0
        at_s += SLOT_S
    found.append((begin_s, at_s, total))

    def told(instant_s: int) -> str:
        return dt.datetime.fromtimestamp(instant_s, zone).isoformat()

    return [(told(from_s), told(until_s), requests) for from_s, until_s, requests in found]


QUESTIONS = st.fixed_dictionaries({
    "moment": st.sampled_from(MOMENTS),
    "before": st.integers(0, 40 * 12).map(lambda slots: slots * SLOT_S),
    "length": st.integers(1, 40 * 12).map(lambda slots: slots * SLOT_S),
    "ragged": st.integers(0, 299),
    "zone": st.sampled_from(ZONES),
    "interval": st.sampled_from(["hour", "day"]),
    "rows": st.lists(st.tuples(st.integers(-60 * 12, 60 * 12), st.integers(1, 9)), max_size=20),
})


@settings(max_examples=100, deadline=None)
@given(QUESTIONS, st.integers(1, 30))
def test_traffic_is_what_the_wall_clock_counts(question: dict[str, Any], limit: int) -> None:
    moment, zone = question["moment"], ZoneInfo(question["zone"])
    start_s = moment - question["before"]
    end_s = start_s + question["length"]
    rows = [(moment + slots * SLOT_S, requests) for slots, requests in question["rows"]]
    with World(DIALECT, now_s=moment) as world:
        world.app_of(1)
        numbers = [world.series(Kind.APP, 1), world.series(Kind.APP, 1, method="GET", path="/x")]
        for index, (at_s, requests) in enumerate(rows):
            world.put(numbers[index % 2], at_s, requests * 10, requests * 100, requests)
        sent = {
            "start": dt.datetime.fromtimestamp(start_s + question["ragged"] % 300, dt.UTC).isoformat(),
            "end": dt.datetime.fromtimestamp(end_s + question["ragged"], dt.UTC).isoformat(),
            "interval": question["interval"],
            "timezone": question["zone"],
        }
        whole = world.get(PATH, sent | {"limit": "1000"}).json()
        found = [(item["period_start"], item["period_end"], item["requests"]) for item in whole["data"]]
        assert found == naive(rows, start_s, end_s, zone, question["interval"])
        assert all(item["bytes_received"] == 10 * item["requests"] for item in whole["data"])
        assert all(item["bytes_sent"] == 100 * item["requests"] for item in whole["data"])
        assert pages(world, sent | {"limit": str(limit)}) == whole["data"]


def pages(world: World, query: dict[str, str]) -> list[dict[str, Any]]:
    joined: list[dict[str, Any]] = []
    page = world.get(PATH, query).json()
    joined += page["data"]
    while page["has_more"]:
        assert len(page["data"]) == int(query["limit"])
        page = world.get(PATH, query | {"next_token": page["next_token"]}).json()
        joined += page["data"]
    assert page["next_token"] is None
    return joined


WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from([
        "", "0", "1", "-1", "1000", "1e9", "hour", "day", "UTC", "America", "2025-01-01", "9998-12-31T23:59:59",
        "1972-01-01",
        "1971-12-31T23:59:59Z", "9998-12-31T23:59:59-12:00", "1972-01-01T00:00:00+14:00", "253370764799", "63072000",
        "63072000.0000001", "Pacific/Kiritimati", "AQ",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "../etc", "\x00",
    ]),
    st.datetimes().map(dt.datetime.isoformat),
    st.integers().map(str),
)
NAMES = ("app_env_id", "consumer_id", "start", "end", "interval", "timezone", "limit", "next_token", "other")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=5), st.sampled_from(["1", "0", "x", "9" * 40, "%C3"]))
def test_no_parameter_upsets_it(query: dict[str, str], app: str) -> None:
    with World(DIALECT) as world:
        world.app_of(1)
        world.put(world.series(Kind.APP, 1), 1_700_000_000, 1, 1, 1)
        answer = world.get(f"/v1/apps/{app}/traffic", query)
        assert answer.status_code in ((200, 422) if app == "1" else (404, 422))  # and of the documented form
