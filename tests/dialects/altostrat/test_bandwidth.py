"""CONTRACT 5.5, rule by rule, with API keys."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.kit import ADMIN
from support.seed_world import ACME, FOREIGNER, OTHER, PROJECT_READER, SENDER, VIEWER, World
from weighbridge.dialects.altostrat.routes import DIALECT
from weighbridge.model import BEGINNING_S

if TYPE_CHECKING:
    from collections.abc import Iterator

HQ = "d290f1ee-6c54-4b01-90e6-d701748f0851"
PATH = f"/vpn/instances/{HQ}/bandwidth"


def at(text: str, zone: str = "UTC") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.fixture
def world() -> Iterator[World]:
    with World(DIALECT) as found:  # it is 2025-12-14T16:00:00Z there
        found.project("proj_a")
        found.project("proj_b", OTHER)
        yield found


def test_the_instance_and_its_peers(world: World) -> None:
    world.put(world.vpn(HQ), at("2025-12-03"), 1, 2)
    world.put(world.peer(HQ, "alice"), at("2025-12-04T23:59"), 10, None)
    world.put(world.peer(HQ, "bob"), at("2025-11-30T23:59"), 100, 200)
    assert world.get(PATH, secret=VIEWER).json() == {"incoming_bytes": 11, "outgoing_bytes": 2, "date": "2025-12-04"}


def test_the_primary_server_where_one_is_named(world: World) -> None:
    server = world.server("sv_1", (BEGINNING_S, "proj_a"))
    world.put(world.vpn(HQ, primary_server="sv_1"), at("2025-12-05"), 1000, 1000)
    world.put(server, at("2025-12-03"), 2**63 - 1, 4)
    world.put(server, at("2025-12-02"), 2**63 - 1, 4)
    body = world.get(PATH, secret=VIEWER).json()
    assert body == {"incoming_bytes": 2**64 - 2, "outgoing_bytes": 8, "date": "2025-12-03"}
    world.put(server, at("2025-12-02"), 2, 0)
    assert world.get(PATH, secret=VIEWER).json()["incoming_bytes"] == 2**64


def test_a_primary_server_counts_while_it_was_theirs(world: World) -> None:
    server = world.server("sv_1", (BEGINNING_S, "proj_a"), (at("2025-12-05"), "proj_b"), (at("2025-12-09"), "proj_a"))
    world.vpn(HQ, primary_server="sv_1")
    for day, amount in (("2025-12-04T23:55", 1), ("2025-12-05", 10), ("2025-12-08T23:55", 100), ("2025-12-09", 1000)):
        world.put(server, at(day), amount, amount)
    assert world.get(PATH, secret=VIEWER).json() == {
        "incoming_bytes": 1001, "outgoing_bytes": 1001, "date": "2025-12-09",
    }


def test_a_primary_server_that_went_keeps_what_it_moved(world: World) -> None:
    moved = world.server("sv_1", (BEGINNING_S, "proj_a"), (at("2025-12-05"), "proj_b"))
    world.vpn(HQ, primary_server="sv_1")
    world.put(moved, at("2025-12-04"), 1, 2)
    world.put(moved, at("2025-12-06"), 10, 20)
    assert world.get(PATH, secret=VIEWER).json() == {"incoming_bytes": 1, "outgoing_bytes": 2, "date": "2025-12-04"}
    deleted = "00000000-0000-0000-0000-000000000001"
    gone = world.server("sv_2", (BEGINNING_S, "proj_a"), deleted_at_s=at("2025-12-06"))
    world.vpn(deleted, primary_server="sv_2")
    world.put(gone, at("2025-12-05"), 5, 6)
    answer = world.get(f"/vpn/instances/{deleted}/bandwidth", secret=VIEWER)
    assert answer.json() == {"incoming_bytes": 5, "outgoing_bytes": 6, "date": "2025-12-05"}


@pytest.mark.parametrize("primary", ["sv_nobody", "sv_foreign"])
def test_a_primary_server_that_never_was_theirs(world: World, primary: str) -> None:
    world.put(world.server("sv_foreign", (BEGINNING_S, "proj_b")), at("2025-12-04"), 1, 2)
    world.vpn(HQ, primary_server=primary)
    assert world.get(PATH, secret=VIEWER).json() == {"incoming_bytes": 0, "outgoing_bytes": 0, "date": "2025-12-14"}


@pytest.mark.parametrize(
    ("zone", "billing_day", "now", "start", "end"),
    [
        ("UTC", 1, "2025-12-14T16:00", "2025-12-01", "2026-01-01"),
        ("UTC", 15, "2025-12-14T16:00", "2025-11-15", "2025-12-15"),
        ("UTC", 31, "2025-03-01T00:00", "2025-02-28", "2025-03-31"),
        ("America/New_York", 9, "2025-03-10T00:00", "2025-03-09", "2025-04-09"),
        ("Asia/Kathmandu", 14, "2025-12-13T18:15", "2025-12-14", "2026-01-14"),
        ("Asia/Kathmandu", 14, "2025-12-13T18:14", "2025-11-14", "2025-12-14"),
        ("Pacific/Kiritimati", 14, "2025-12-13T10:00", "2025-12-14", "2026-01-14"),
        ("Australia/Lord_Howe", 6, "2025-04-07T00:00", "2025-04-06", "2025-05-06"),
    ],
)
def test_the_billing_period(zone: str, billing_day: int, now: str, start: str, end: str) -> None:
    with World(DIALECT, now_s=at(now)) as world:
        world.organization(ACME, time_zone=zone, billing_day=billing_day)
        series = world.vpn(HQ)
        for instant_s, amount in ((at(start, zone) - 300, 1), (at(start, zone), 10), (at(end, zone) - 300, 100),
                                  (at(end, zone), 1000)):
            world.put(series, instant_s, amount, 2 * amount)
        last = dt.date.fromisoformat(end) - dt.timedelta(days=1)
        assert world.get(PATH, secret=VIEWER).json() == {
            "incoming_bytes": 110, "outgoing_bytes": 220, "date": last.isoformat(),
        }


def test_date_is_of_the_zone_and_today_where_nothing_was_measured(world: World) -> None:
    world.organization(ACME, time_zone="Pacific/Kiritimati")
    series = world.vpn(HQ)
    assert world.get(PATH, secret=VIEWER).json()["date"] == "2025-12-15"
    world.put(series, at("2025-12-03T09:55"), 0, 0)
    assert world.get(PATH, secret=VIEWER).json()["date"] == "2025-12-03"
    world.put(series, at("2025-12-03T10:00"), 0, 0)
    assert world.get(PATH, secret=VIEWER).json()["date"] == "2025-12-04"


@pytest.mark.parametrize(
    ("name", "secret", "status", "kind", "code"),
    [
        (HQ, None, 401, "authentication_error", "unauthenticated"),
        (HQ, "wrong", 401, "authentication_error", "unauthenticated"),
        (HQ, "a.b.c", 401, "authentication_error", "unauthenticated"),
        (HQ, "reader-key", 403, "permission_error", "insufficient_scope"),
        (HQ, SENDER, 403, "permission_error", "insufficient_scope"),
        (HQ, FOREIGNER, 404, "not_found_error", "instance_not_found"),
        (HQ, PROJECT_READER, 404, "not_found_error", "instance_not_found"),
        (HQ.replace("d", "e"), VIEWER, 404, "not_found_error", "instance_not_found"),
        ("hq", VIEWER, 404, "not_found_error", "instance_not_found"),
        (HQ.replace("-", ""), VIEWER, 404, "not_found_error", "instance_not_found"),
        (f"{{{HQ}}}", VIEWER, 404, "not_found_error", "instance_not_found"),
        (f"{HQ}%0A", VIEWER, 404, "not_found_error", "instance_not_found"),
        (HQ, VIEWER, 200, None, None),
        (HQ.upper(), VIEWER, 200, None, None),
        (HQ, ADMIN, 200, None, None),
    ],
)
def test_who_sees_what(  # noqa: PLR0917  the columns of the table
    world: World, name: str, secret: str | None, status: int, kind: str | None, code: str | None
) -> None:
    world.vpn(HQ)
    answer = world.get(f"/vpn/instances/{name}/bandwidth", secret=secret)
    assert answer.status_code == status
    if status != 200:
        body = answer.json()
        assert (body["type"], body["code"]) == (kind, code)
        assert body["doc_url"].endswith(f"#errors-{code}")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", PATH, 405, "method_not_allowed"),
        ("GET", "/vpn/instances", 404, "route_not_found"),
        ("GET", "/vpn", 404, "route_not_found"),
    ],
)
def test_what_is_not_there(world: World, method: str, path: str, status: int, code: str) -> None:
    answer = world.get(path, secret=VIEWER, method=method)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_rate_limit_and_a_store_at_fault() -> None:
    with World(DIALECT, rate_limits=True) as world:
        world.vpn(HQ)
        for _ in range(60):
            assert world.get(PATH, secret=VIEWER).status_code == 200
        answer = world.get(PATH, secret=VIEWER)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["Retry-After"] == "60"
        world.clock.advance(60)
        world.store.close()
        answer = world.get(PATH, secret=VIEWER)
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert "store" not in answer.json()["message"]


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati"]),
    billing_day=st.integers(1, 31),
    now=st.datetimes(dt.datetime(2025, 1, 1), dt.datetime(2025, 12, 31)),  # noqa: DTZ001  made UTC below
    rows=st.lists(st.tuples(st.integers(-60 * 288, 0), st.integers(0, 9)), max_size=20),
)
def test_bytes_are_what_a_walk_over_the_days_counts(
    zone: str, billing_day: int, now: dt.datetime, rows: list[tuple[int, int]]
) -> None:
    now_s = int(now.replace(tzinfo=dt.UTC).timestamp())
    today = dt.datetime.fromtimestamp(now_s, ZoneInfo(zone)).date()
    first = today
    while not begins_period(first, billing_day):
        first -= dt.timedelta(days=1)
    slots = [((now_s // 300 + back) * 300, amount) for back, amount in rows]
    inside = [(s, n) for s, n in slots if dt.datetime.fromtimestamp(s, ZoneInfo(zone)).date() >= first]
    newest = max((s for s, _ in inside), default=now_s)
    with World(DIALECT, now_s=now_s) as world:
        world.organization(ACME, time_zone=zone, billing_day=billing_day)
        series = world.vpn(HQ)
        for instant_s, amount in slots:
            world.put(series, instant_s, amount, 3 * amount)
        assert world.get(PATH, secret=VIEWER).json() == {
            "incoming_bytes": sum(amount for _, amount in inside),
            "outgoing_bytes": 3 * sum(amount for _, amount in inside),
            "date": dt.datetime.fromtimestamp(newest, ZoneInfo(zone)).date().isoformat(),
        }


def begins_period(day: dt.date, billing_day: int) -> bool:
    tomorrow = day + dt.timedelta(days=1)
    return day.day == billing_day or (tomorrow.month != day.month and day.day < billing_day)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(min_size=1, max_size=40), st.uuids().map(str)), st.text(max_size=20))
def test_no_instance_id_upsets_it(name: str, query: str) -> None:
    with World(DIALECT) as world:
        quoted = "".join(f"%{byte:02x}" for byte in name.encode("utf-8", "replace"))
        answer = world.get(f"/vpn/instances/{quoted}/bandwidth", {"x": query.replace("\0", "")}, secret=VIEWER)
        assert answer.status_code == 404  # and of the documented form
