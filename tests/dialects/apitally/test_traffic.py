"""CONTRACT 5.3, rule by rule."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from support.kit import ADMIN, NOW_S
from support.seed_world import FOREIGNER, OTHER, PROJECT_READER, SENDER, World
from weighbridge.dialects.apitally.routes import DIALECT
from weighbridge.model import Endpoint, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/v1/apps/1/traffic"
DAY = {"start": "2025-05-14T00:00:00Z", "end": "2025-05-15T00:00:00Z"}
DAY_S = 1_747_180_800  # 2025-05-14T00:00:00Z


@pytest.fixture
def world() -> Iterator[World]:
    with World(DIALECT) as found:
        found.app_of(1)
        found.app_of(2, OTHER)
        yield found


def test_an_hour_of_the_seed(world: World) -> None:
    series = world.series(Kind.APP, 1, environment=world.environment(1, 1))
    world.put(series, DAY_S + 3600, 100, 200, 3)
    world.put(series, DAY_S + 7195, 1, 2, 1)
    answer = world.get(PATH, DAY)
    assert answer.status_code == 200
    body = answer.json()
    assert (len(body["data"]), body["has_more"], body["next_token"]) == (24, False, None)
    assert body["data"][1] == {
        "period_start": "2025-05-14T01:00:00+00:00",
        "period_end": "2025-05-14T02:00:00+00:00",
        "requests": 4,
        "bytes_received": 101,
        "bytes_sent": 202,
    }
    assert all(item["requests"] == 0 for i, item in enumerate(body["data"]) if i != 1)


def test_unknown_amounts_are_zero_and_sums_have_no_largest(world: World) -> None:
    series = world.series(Kind.APP, 1)
    world.put(series, DAY_S, bytes_out=5)
    for i in range(5):
        world.put(series, DAY_S + 300 * i, 2**62, None, 1)
    item = world.get(PATH, DAY | {"limit": "1"}).json()["data"][0]
    assert (item["bytes_received"], item["bytes_sent"], item["requests"]) == (5 * 2**62, 5, 5)


@pytest.mark.parametrize(
    ("interval", "first", "last"),
    [
        ("hour", "2025-12-13T16:00:00+00:00", "2025-12-14T17:00:00+00:00"),
        ("day", "2025-11-14T00:00:00+00:00", "2025-12-15T00:00:00+00:00"),
    ],
)
def test_defaults_reach_from_a_day_or_a_month_ago_to_now(world: World, interval: str, first: str, last: str) -> None:
    series = world.series(Kind.APP, 1)
    world.put(series, NOW_S, 7, 7, 7)  # accepted just now, so it is there
    data = world.get(PATH, {"interval": interval}).json()["data"]
    assert (data[0]["period_start"], data[-1]["period_end"]) == (first, last)
    assert data[-1]["requests"] == 7


def test_start_is_rounded_down_to_its_interval_and_end_to_five_minutes(world: World) -> None:
    series = world.series(Kind.APP, 1)
    for minutes in (0, 10, 70, 80, 85):
        world.put(series, DAY_S + 60 * minutes, 1, 1, 1)
    data = world.get(PATH, {"start": "2025-05-14T00:59:59Z", "end": "2025-05-14T01:24:59Z"}).json()["data"]
    assert [item["requests"] for item in data] == [2, 1]
    assert data[-1]["period_end"] == "2025-05-14T02:00:00+00:00"


def test_times_without_offset_are_in_the_zone(world: World) -> None:
    query = {"start": "2025-05-14", "end": "2025-05-14T01:00", "timezone": "Asia/Kathmandu"}
    data = world.get(PATH, query).json()["data"]
    assert [item["period_start"] for item in data] == ["2025-05-14T00:00:00+05:45"]


@pytest.mark.parametrize(
    ("day", "zone", "hours", "periods"),
    [
        ("2025-03-09", "America/New_York", 23, ("2025-03-09T00:00:00-05:00", "2025-03-10T00:00:00-04:00")),
        ("2025-11-02", "America/New_York", 25, ("2025-11-02T00:00:00-04:00", "2025-11-03T00:00:00-05:00")),
        # half an hour is set: one hour of the clock is cut in two
        ("2025-04-06", "Australia/Lord_Howe", 25, ("2025-04-06T00:00:00+11:00", "2025-04-07T00:00:00+10:30")),
        ("2025-10-05", "Australia/Lord_Howe", 24, ("2025-10-05T00:00:00+10:30", "2025-10-06T00:00:00+11:00")),
        ("2025-10-05", "Pacific/Kiritimati", 24, ("2025-10-05T00:00:00+14:00", "2025-10-06T00:00:00+14:00")),
    ],
)
def test_days_and_hours_where_the_clock_is_set(
    world: World, day: str, zone: str, hours: int, periods: tuple[str, str]
) -> None:
    ends = {"start": day, "end": periods[1], "timezone": zone}
    days = world.get(PATH, ends | {"interval": "day"}).json()["data"]
    assert [(item["period_start"], item["period_end"]) for item in days] == [periods]
    listed = world.get(PATH, ends).json()["data"]
    assert len(listed) == hours
    assert (listed[0]["period_start"], listed[-1]["period_end"]) == periods
    assert all(before["period_end"] == after["period_start"] for before, after in pairwise(listed))


def test_filters(world: World) -> None:
    prod, dev = world.environment(1, 1), world.environment(2, 1)
    alice, foreign = world.consumer(7, 1), world.consumer(8, 2)
    world.put(world.series(Kind.APP, 1, environment=prod, consumer=alice), DAY_S, 1, 1, 1)
    world.put(world.series(Kind.APP, 1, environment=prod), DAY_S, 1, 1, 10)
    world.put(world.series(Kind.APP, 1, environment=dev, consumer=alice), DAY_S, 1, 1, 100)
    world.put(world.series(Kind.APP, 2, consumer=foreign), DAY_S, 1, 1, 1000)

    def requests(**query: int) -> int:
        return world.get(PATH, DAY | {name: str(value) for name, value in query.items()}).json()["data"][0]["requests"]

    assert requests() == 111
    assert requests(app_env_id=prod) == 11
    assert requests(consumer_id=alice) == 101
    assert requests(app_env_id=prod, consumer_id=alice) == 1
    for nobody in ({"app_env_id": 99}, {"consumer_id": 99}, {"consumer_id": foreign}, {"app_env_id": 10**30}):
        assert requests(**nobody) == 0


def test_excluded_endpoints_are_left_out_also_for_the_past(world: World) -> None:
    world.put(world.series(Kind.APP, 1, method="GET", path="/healthz"), DAY_S, 1, 1, 1)
    world.put(world.series(Kind.APP, 1, method="POST", path="/healthz"), DAY_S, 1, 1, 10)
    assert world.get(PATH, DAY).json()["data"][0]["requests"] == 11
    world.view.apps_of.clear()
    world.app_of(1, excluded=(Endpoint("GET", "/healthz"),))
    assert world.get(PATH, DAY).json()["data"][0]["requests"] == 10


@pytest.mark.parametrize(
    ("path", "secret", "status", "detail"),
    [
        (PATH, None, 401, None),
        (PATH, "wrong", 401, None),
        (PATH, SENDER, 403, None),
        ("/v1/apps/2/traffic", "reader-key", 404, "App not found"),
        ("/v1/apps/3/traffic", ADMIN, 404, "App not found"),
        (PATH, FOREIGNER, 404, "App not found"),
        (PATH, PROJECT_READER, 404, "App not found"),
        ("/v1/apps/1/nothing", ADMIN, 404, "Not Found"),
        ("/v1/apps/2/traffic", ADMIN, 200, None),
        ("/v1/apps/2/traffic", FOREIGNER, 200, None),
        ("/v1///apps//1/traffic", ADMIN, 200, None),
    ],
)
def test_who_sees_what(world: World, path: str, secret: str | None, status: int, detail: str | None) -> None:
    answer = world.get(path, secret=secret)
    assert answer.status_code == status
    if status != 200:
        assert list(answer.json()) == ["detail"]
        assert detail in (None, answer.json()["detail"])


@pytest.mark.parametrize("headers", [{"Api-Key": "reader-key"}, {"Authorization": "reader-key"}])
def test_ways_to_send_the_key(world: World, headers: dict[str, str]) -> None:
    assert world.get(PATH, secret=None, headers=headers).status_code == 200


def test_another_method(world: World) -> None:
    answer = world.get(PATH, method="POST")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("query", "loc", "kind", "ctx"),
    [
        ({"limit": "0"}, ["query", "limit"], "greater_than_equal", {"ge": 1}),
        ({"limit": "1001"}, ["query", "limit"], "less_than_equal", {"le": 1000}),
        ({"limit": ""}, ["query", "limit"], "int_parsing", None),
        ({"app_env_id": "0"}, ["query", "app_env_id"], "greater_than_equal", {"ge": 1}),
        ({"consumer_id": "x"}, ["query", "consumer_id"], "int_parsing", None),
        ({"start": "soon"}, ["query", "start"], "datetime_from_date_parsing", {"error": "input is too short"}),
        ({"end": ""}, ["query", "end"], "datetime_from_date_parsing", {"error": "input is too short"}),
        ({"interval": "week"}, ["query", "interval"], "literal_error", {"expected": "'hour' or 'day'"}),
        ({"next_token": "x" * 1025}, ["query", "next_token"], "string_too_long", {"max_length": 1024}),
        ({"timezone": "Mars/Base"}, ["query", "timezone"], "value_error", None),
        ({"timezone": ""}, ["query", "timezone"], "value_error", None),
        ({"next_token": "x"}, ["query", "next_token"], "value_error", None),
        ({"next_token": ""}, ["query", "next_token"], "value_error", None),
        ({"next_token": "é€"}, ["query", "next_token"], "value_error", None),
        ({"start": "1969-01-01"}, ["query", "start"], "value_error", None),
        ({"start": DAY["end"], "end": DAY["start"]}, ["query", "start"], "value_error", None),
        ({"start": DAY["end"], "end": DAY["end"]}, ["query", "start"], "value_error", None),
        ({"end": "2020-01-01"}, ["query", "end"], "value_error", None),
        ({"start": "2030-01-01"}, ["query", "start"], "value_error", None),
    ],
)
def test_invalid_parameters(
    world: World, query: dict[str, str], loc: list[str], kind: str, ctx: dict[str, object] | None
) -> None:
    answer = world.get(PATH, query)
    assert answer.status_code == 422
    (fault,) = answer.json()["detail"]
    assert (fault["loc"], fault["type"]) == (loc, kind)
    assert fault["input"] == query[loc[1]]
    if kind == "value_error":
        assert fault["msg"] == f"Value error, {fault['ctx']['error']}"
    else:
        assert fault.get("ctx") == ctx


def test_all_faults_come_at_once_in_the_order_of_the_documentation(world: World) -> None:
    query = {"limit": "x", "interval": "x", "end": "x", "app_env_id": "x", "timezone": "x", "consumer_id": "0"}
    faults = world.get("/v1/apps/0/traffic", query).json()["detail"]
    names = ["app_id", "app_env_id", "consumer_id", "end", "interval", "timezone", "limit"]
    assert [fault["loc"][1] for fault in faults] == names
    assert faults[0]["loc"][0] == "path"


def test_app_id_is_an_integer(world: World) -> None:
    (fault,) = world.get("/v1/apps/shop/traffic").json()["detail"]
    assert (fault["loc"], fault["type"], fault["input"]) == (["path", "app_id"], "int_parsing", "shop")


def tampered(token: str) -> list[str]:
    content = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    changed = []
    for place in range(len(content)):
        other = bytearray(content)
        other[place] ^= 1
        changed.append(base64.urlsafe_b64encode(other).decode().rstrip("="))
    return [*changed, token + "=", token + "A", token[:-1], token.swapcase(), f" {token}"]


def test_a_token_is_bound_to_its_query(world: World) -> None:
    world.organization("org_third")
    query = DAY | {"limit": "5", "timezone": "UTC"}
    token = world.get(PATH, query).json()["next_token"]
    assert world.get(PATH, query | {"next_token": token}).status_code == 200
    assert len(token) <= 1024
    others = (
        {"limit": "6"}, {"timezone": "Asia/Tokyo"}, {"interval": "hour"}, {"start": "2025-05-14T00:00:00"},
        {"end": "2025-05-16"}, {"app_env_id": "1"}, {"consumer_id": "1"},
    )
    for other in others:
        assert world.get(PATH, query | other | {"next_token": token}).status_code == 422, other
    without_start = {name: value for name, value in query.items() if name != "start"}
    assert world.get(PATH, without_start | {"next_token": token}).status_code == 422
    world.app_of(3)
    assert world.get("/v1/apps/3/traffic", query | {"next_token": token}).status_code == 422
    assert world.get(PATH, query | {"next_token": token}, secret=ADMIN).status_code == 422
    for bad in tampered(token):
        assert world.get(PATH, query | {"next_token": bad}).status_code == 422, bad


def test_defaults_are_frozen_in_the_token(world: World) -> None:
    series = world.series(Kind.APP, 1)
    first = world.get(PATH, {"limit": "20"}).json()
    world.clock.advance(3 * 3600)
    world.put(series, NOW_S + 300, 1, 1, 1)  # behind the frozen end
    world.put(series, NOW_S, 1, 1, 10)
    last = world.get(PATH, {"limit": "20", "next_token": first["next_token"]}).json()
    assert len(first["data"]) + len(last["data"]) == 25
    assert first["data"][-1]["period_end"] == last["data"][0]["period_start"]
    assert last["data"][-1]["requests"] == 10
    assert (last["has_more"], last["next_token"]) == (False, None)


def test_a_page_that_ends_with_the_list_has_no_token(world: World) -> None:
    body = world.get(PATH, DAY | {"limit": "24"}).json()
    assert (len(body["data"]), body["has_more"], body["next_token"]) == (24, False, None)
    body = world.get(PATH, DAY | {"limit": "23"}).json()
    assert (len(body["data"]), body["has_more"]) == (23, True)


def test_a_long_range_costs_a_page(world: World) -> None:
    query = {"start": "1972-01-01", "end": "9998-12-31T23:59:59", "limit": "1000"}
    body = world.get(PATH, query).json()
    assert (len(body["data"]), body["has_more"]) == (1000, True)
    last = world.get(PATH, query | {"start": "9998-12-31", "interval": "day"}).json()["data"]
    assert last[-1]["period_end"] == "9999-01-01T00:00:00+00:00"


def test_rate_limit() -> None:
    with World(DIALECT, rate_limits=True) as world:
        world.app_of(1)
        for remaining in range(99, -1, -1):
            answer = world.get(PATH, DAY | {"limit": "1"})
            assert answer.status_code == 200
            assert answer.headers["X-RateLimit-Remaining"] == str(remaining)
        answer = world.get(PATH, DAY)
        assert answer.status_code == 429
        assert (answer.headers["X-RateLimit-Limit"], answer.headers["Retry-After"]) == ("100", "60")
        assert answer.headers["X-RateLimit-Reset"] == str(NOW_S + 60)
        world.clock.advance(60)
        assert world.get(PATH, DAY).status_code == 200


def test_a_store_at_fault_is_not_told_in_detail(world: World) -> None:
    world.series(Kind.APP, 1)
    world.store.close()
    answer = world.get(PATH)
    assert (answer.status_code, answer.json()) == (503, {"detail": "Service Unavailable"})
