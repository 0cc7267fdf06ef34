"""Hours and days of zones, over HTTP: what a wall clock there counts, 5 minutes at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import httpx
import pytest

from support.application import application_in
from support.clock import HandClock
from support.server import running

SLOT_S = 300
AMOUNTS = ("bytes_in", "bytes_out", "requests")
CUTS_S = [(300, 300), (5100, 86_100), (93_900, 90_300), (95_700, 87_900), (97_500, 82_500)]
"""How late after its first midnight a range begins, and how early before its last it ends."""
DAYS = [  # zone, first local day, hours of the three days from it on
    ("America/New_York", "2025-03-08", [24, 23, 24]),
    ("America/New_York", "2025-11-01", [24, 25, 24]),
    ("Australia/Lord_Howe", "2025-04-05", [24, 24.5, 24]),
    ("Australia/Lord_Howe", "2025-10-04", [24, 23.5, 24]),
    ("Asia/Kathmandu", "2025-06-10", [24, 24, 24]),
    ("Pacific/Kiritimati", "2025-12-30", [24, 24, 24]),
]
HOURS = {"America/New_York 2025-03-08": 71, "America/New_York 2025-11-01": 73, "Australia/Lord_Howe 2025-04-05": 73,
         "Australia/Lord_Howe 2025-10-04": 72}
"""How many hours a wall clock shows in the three days, halves counted as one; 72 elsewhere."""
NOW_S = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
CATALOG = {"organizations": [{"id": "org", "slug": "org", "name": "Org", "apps": [{"id": 1, "name": "api"}]}]}


def midnight_s(day, zone):
    return int(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).timestamp())


def slots_of(zone, day):
    """{slot: (in, out, requests)} from half a day before the three days to half a day after; a seventh is empty."""
    rng = Random(f"{zone} {day}")
    start_s = midnight_s(day, zone) - 43_200
    return {at_s: (rng.randrange(2**50), rng.randrange(1000), rng.randrange(100))
            for at_s in range(start_s, start_s + 4 * 86_400, SLOT_S) if rng.randrange(7)}


def utc(at_s):
    return datetime.fromtimestamp(at_s, UTC).isoformat()


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zones") / "data"
    with application_in(folder, clock=HandClock(NOW_S * 1_000_000)) as application, running(application.app) as url:
        headers = {"Api-Key": application.admin_key.secret}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
            for zone, day, _ in DAYS:
                events = [
                    {"specversion": "1.0", "id": f"{at_s}", "source": "s", "type": "weighbridge.usage", "subject": "app/1",
                     "time": utc(at_s + at_s % 299), "data": dict(zip(AMOUNTS, moved, strict=True))}
                    for at_s, moved in slots_of(zone, day).items()
                ]
                assert client.post("/api/v1/events", json=events).json()["accepted"] == len(events)
            application.fold()
            yield client


def walk(slots, start_s, end_s, zone, interval):
    """[(start, end, in, out, requests)], by asking a wall clock every 5 minutes; hours met twice are two."""
    found = []
    last = None
    for at_s in range(start_s, end_s, SLOT_S):
        clock = datetime.fromtimestamp(at_s, ZoneInfo(zone))
        label = (clock.date(),) if interval == "day" else (clock.date(), clock.hour, clock.fold, clock.utcoffset())
        if label != last:
            found.append([clock.isoformat(), "", 0, 0, 0])
        last = label
        moved = slots.get(at_s, (0, 0, 0))
        until = datetime.fromtimestamp(at_s + SLOT_S, ZoneInfo(zone)).isoformat()
        found[-1][1:] = [until, *(before + more for before, more in zip(found[-1][2:], moved, strict=True))]
    return [tuple(row) for row in found]


def pages(client, **query):
    """All pages of 5.3 as rows."""
    rows = []
    while True:
        answer = client.get("/v1/apps/1/traffic", params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        rows += [(item["period_start"], item["period_end"], item["bytes_received"], item["bytes_sent"], item["requests"])
                 for item in body["data"]]
        if not body["has_more"]:
            assert body["next_token"] is None
            return rows
        query["next_token"] = body["next_token"]


def usage(client, start_s, end_s, zone, window):
    query = {"from": utc(start_s), "to": utc(end_s), "time_zone": zone, "window": window, "app": "1"}
    answer = client.get("/api/v1/usage", params=query)
    assert answer.status_code == 200, answer.text
    return [(row["start"], row["end"], row["bytes_in"], row["bytes_out"], row["requests"]) for row in answer.json()["data"]]


@pytest.mark.parametrize("interval", ["hour", "day"])
@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_three_days_around_a_change(client, zone, day, hours, interval):
    slots = slots_of(zone, day)
    start_s = midnight_s(day, zone)
    end_s = start_s + int(sum(hours) * 3600)
    expected = walk(slots, start_s, end_s, zone, interval)
    first = datetime.fromisoformat(day)
    spans = [(row[0], row[1]) for row in expected]
    lengths = [(datetime.fromisoformat(until) - datetime.fromisoformat(since)) / timedelta(hours=1) for since, until in spans]
    assert lengths == hours if interval == "day" else len(expected) == HOURS.get(f"{zone} {day}", 72)
    plain = {"start": first.isoformat(), "end": (first + timedelta(days=3)).isoformat()}  # without offset: of the zone
    for bounds in (plain, {"start": utc(start_s), "end": utc(end_s)}):
        assert pages(client, **bounds, interval=interval, timezone=zone, limit=1000) == expected
    assert pages(client, **plain, interval=interval, timezone=zone, limit=2 if interval == "day" else 7) == expected
    assert usage(client, start_s, end_s, zone, {"hour": "1h", "day": "1d"}[interval]) == expected


@pytest.mark.parametrize("interval", ["hour", "day"])
@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
@pytest.mark.parametrize(("late_s", "early_s"), CUTS_S)
def test_ranges_that_cut_intervals(client, interval, *, zone, day, hours, late_s, early_s):
    """5.3 rounds the start down and shows whole intervals; usage clips. Neither counts what lies beyond the end."""
    slots = slots_of(zone, day)
    midnight, past_s = midnight_s(day, zone), midnight_s(day, zone) + int(sum(hours) * 3600)
    start_s, end_s = midnight + late_s, past_s - early_s
    window = {"hour": "1h", "day": "1d"}[interval]
    assert usage(client, start_s + 299, end_s + 299, zone, window) == walk(slots, start_s, end_s, zone, interval)
    cut = {at_s: moved for at_s, moved in slots.items() if at_s < end_s}
    whole = walk(cut, midnight, past_s, zone, interval)
    started = [row for row in whole if datetime.fromisoformat(row[1]).timestamp() > start_s
               and datetime.fromisoformat(row[0]).timestamp() < end_s]
    bounds = {"start": utc(start_s + 299), "end": utc(end_s + 299), "interval": interval, "timezone": zone}
    assert pages(client, **bounds) == started


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_a_defaulted_range_ends_now(client, zone, day, hours):
    """Without start and end: the last 24 hours, or 30 days, in that zone."""
    for interval, length_s in (("hour", 86_400), ("day", 30 * 86_400)):
        rows = pages(client, interval=interval, timezone=zone)
        first, last = (datetime.fromisoformat(text).timestamp() for text in (rows[0][0], rows[-1][1]))
        assert first <= NOW_S - length_s < datetime.fromisoformat(rows[0][1]).timestamp()
        assert datetime.fromisoformat(rows[-1][0]).timestamp() <= NOW_S < last
