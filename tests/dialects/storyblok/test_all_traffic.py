"""CONTRACT 5.4, rule by rule."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support.kit import ADMIN
from support.seed_world import ACME, FOREIGNER, OTHER, PROJECT_READER, SENDER, World
from weighbridge.dialects.storyblok import tally
from weighbridge.dialects.storyblok.routes import DIALECT
from weighbridge.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/v1/orgs/me/statistics/all_traffic"
COLON = "/v1/orgs/me/statistics/:all_traffic"


@pytest.fixture
def world() -> Iterator[World]:
    with World(DIALECT) as found:  # it is 2025-12-14T16:00:00Z there
        found.organization(ACME, monthly_traffic_limit=10_000_000)
        yield found


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(f"{text}+00:00").timestamp())


def test_an_answer_as_a_whole(world: World) -> None:
    blog, shop = world.space(123), world.space(789)
    world.space(800)
    world.put(blog, at("2025-01-31T23:59"), 1, 2, 3)
    world.put(blog, at("2025-02-01"), 10, 20, 30)
    world.put(shop, at("2025-02-28"), 100, None, 300)
    world.put(shop, at("2025-12-10"), None, None, 5)
    world.put(shop, at("2024-12-31T23:55"), 9, 9, 9)
    assert world.get(PATH).json() == {
        "montly_traffic_limit": 10_000_000,
        "yearly_traffic_limit": 120_000_000,
        "traffic_used_this_year": 338,
        "cumulated_traffic": {
            "requests_used_last_days": 5,
            "total_requests_per_time_period": 338,
            "total_traffic_per_time_period": 133,
            "traffic": [
                {"date": "2025-01-01", "api_requests": 3, "total_bytes": 3},
                {"date": "2025-02-01", "api_requests": 330, "total_bytes": 130},
                *({"date": f"2025-{month:02}-01", "api_requests": 0, "total_bytes": 0} for month in range(3, 12)),
                {"date": "2025-12-01", "api_requests": 5, "total_bytes": None},
            ],
        },
        "traffic_top_spaces": {
            "789": [
                {"date": "2025-02-01", "api_requests": 300, "total_bytes": 100},
                {"date": "2025-12-01", "api_requests": 5, "total_bytes": None},
            ],
            "123": [
                {"date": "2025-01-01", "api_requests": 3, "total_bytes": 3},
                {"date": "2025-02-01", "api_requests": 30, "total_bytes": 30},
            ],
            "other_spaces": [],
        },
        "traffic": [
            {"date": "2025-01", "api_requests": 3, "total_bytes": 3, "space_id": 123},
            {"date": "2025-02", "api_requests": 30, "total_bytes": 30, "space_id": 123},
            {"date": "2025-02", "api_requests": 300, "total_bytes": 100, "space_id": 789},
            {"date": "2025-12", "api_requests": 5, "total_bytes": None, "space_id": 789},
        ],
    }


@pytest.mark.parametrize(
    ("group_by", "cumulated", "raw"),
    [
        ("day", ["2024-12-31", "2025-01-01", "2025-01-02"], ["2024-12-31", "2025-01-02"]),
        ("month", ["2024-12-01", "2025-01-01"], ["2024-12", "2025-01"]),
        ("year", ["2024-01-01", "2025-01-01"], ["2024", "2025"]),
    ],
)
def test_dates_name_the_groups(world: World, group_by: str, cumulated: list[str], raw: list[str]) -> None:
    series = world.space(1)
    for day in ("2024-12-30T23:55", "2024-12-31", "2025-01-02T23:55", "2025-01-03"):  # the outer ones are outside
        world.put(series, at(day), 1, 1, 1)
    query = {"start_date": "2024-12-31", "end_date": "2025-01-02", "group_by": group_by}
    body = world.get(PATH, query).json()
    assert [row["date"] for row in body["cumulated_traffic"]["traffic"]] == cumulated
    assert [row["date"] for row in body["traffic"]] == raw
    top_dates = [cumulated[0], cumulated[-1]]
    assert [row["date"] for row in body["traffic_top_spaces"]["1"]] == top_dates
    assert body["cumulated_traffic"]["total_requests_per_time_period"] == 2
    assert body["traffic_used_this_year"] == 2  # of 2025, whatever is asked for


def test_the_ten_largest_by_the_unit_and_all_others_together(world: World) -> None:
    for number in range(1, 14):
        series = world.space(number)
        world.put(series, at("2025-03-01"), number, number, 100 - number if number != 12 else 0)
    top = world.get(PATH).json()["traffic_top_spaces"]
    assert [int(name) for name in top if name != "other_spaces"] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert top["other_spaces"] == [{"date": "2025-03-01", "api_requests": 89 + 87, "total_bytes": 2 * (11 + 12 + 13)}]
    world.organization(ACME, traffic_limit_unit="bytes", monthly_traffic_limit=7)
    body = world.get(PATH).json()
    top = body["traffic_top_spaces"]
    assert [int(name) for name in top if name != "other_spaces"] == [13, 12, 11, 10, 9, 8, 7, 6, 5, 4]
    assert top["other_spaces"] == [{"date": "2025-03-01", "api_requests": 99 + 98 + 97, "total_bytes": 12}]
    assert body["traffic_used_this_year"] == 2 * sum(range(1, 14))
    assert (body["montly_traffic_limit"], body["yearly_traffic_limit"]) == (7, 84)


def test_of_equal_spaces_the_smaller_id_comes_first(world: World) -> None:
    for number in (30, 2, 21, 9, 100, 5, 4, 3, 6, 7, 8):
        world.put(world.space(number), at("2025-03-01"), 1, 1, 5)
    top = world.get(PATH).json()["traffic_top_spaces"]
    assert list(top) == ["2", "3", "4", "5", "6", "7", "8", "9", "21", "30", "other_spaces"]
    assert top["other_spaces"] == [{"date": "2025-03-01", "api_requests": 5, "total_bytes": 2}]


def test_the_last_seven_days_include_today(world: World) -> None:
    series = world.space(1)
    world.put(series, at("2025-12-07T23:55"), requests=1)
    world.put(series, at("2025-12-08"), requests=10)
    world.put(series, at("2025-12-14T15:55"), requests=100)
    body = world.get(PATH, {"start_date": "2020-01-01", "end_date": "2020-01-01"}).json()
    assert body["cumulated_traffic"]["requests_used_last_days"] == 110


def test_nothing_but_the_spaces_of_the_organization(world: World) -> None:
    world.app_of(1)
    world.put(world.series(Kind.APP, 1), at("2025-03-01"), 1, 1, 1)
    world.put(world.space(5, OTHER), at("2025-03-01"), 1, 1, 1)
    body = world.get(PATH).json()
    assert (body["traffic"], body["traffic_top_spaces"]) == ([], {"other_spaces": []})
    assert body["traffic_used_this_year"] == 0
    assert len(body["cumulated_traffic"]["traffic"]) == 12


def test_without_a_limit_there_is_none(world: World) -> None:
    body = world.get(PATH, secret=FOREIGNER).json()
    assert (body["montly_traffic_limit"], body["yearly_traffic_limit"]) == (None, None)


def test_an_amount_beyond_64_bits(world: World) -> None:
    series = world.space(1)
    for _ in range(5):
        world.put(series, at("2025-03-01"), 2**62, 2**62, 1)
    assert world.get(PATH).json()["traffic"][0]["total_bytes"] == 10 * 2**62


def test_a_push_of_nothing_moves_nothing(world: World) -> None:
    series = world.space(1)
    world.put(series, at("2025-03-01"), 0, 0, 0)
    world.put(series, at("2025-04-01"))
    body = world.get(PATH).json()
    assert (body["traffic"], body["traffic_top_spaces"]) == ([], {"other_spaces": []})


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({"start_date": "soon"}, {"start_date": ["is invalid"]}),
        ({"start_date": ""}, {"start_date": ["is invalid"]}),
        ({"start_date": "2025-1-1"}, {"start_date": ["is invalid"]}),
        ({"start_date": "20250101"}, {"start_date": ["is invalid"]}),
        ({"start_date": "2025-W01-1"}, {"start_date": ["is invalid"]}),
        ({"start_date": "2025-01-01T00:00:00"}, {"start_date": ["is invalid"]}),
        ({"start_date": " 2025-01-01"}, {"start_date": ["is invalid"]}),
        ({"start_date": "2025-01-01\n"}, {"start_date": ["is invalid"]}),
        ({"start_date": "٢٠٢٥-01-01"}, {"start_date": ["is invalid"]}),
        ({"end_date": "2025-02-29"}, {"end_date": ["is invalid"]}),
        ({"end_date": "1971-12-31"}, {"end_date": ["must lie in the years 1972 to 9998"]}),
        ({"end_date": "9999-01-01"}, {"end_date": ["must lie in the years 1972 to 9998"]}),
        ({"start_date": "2025-02-02", "end_date": "2025-02-01"}, {"end_date": ["must not be before start_date"]}),
        ({"start_date": "2026-01-01"}, {"end_date": ["must not be before start_date"]}),
        ({"end_date": "2024-12-31"}, {"end_date": ["must not be before start_date"]}),
        ({"start_date": "1972-01-01", "end_date": "2999-01-01"},
         {"end_date": ["must be less than 36600 days after start_date"]}),
        ({"group_by": "week"}, {"group_by": ["must be day, month or year"]}),
        ({"group_by": ""}, {"group_by": ["must be day, month or year"]}),
    ],
)
def test_invalid_parameters(world: World, query: dict[str, str], body: dict[str, Any]) -> None:
    answer = world.get(PATH, query)
    assert (answer.status_code, answer.json()) == (422, body)


@pytest.mark.parametrize(
    ("method", "path", "secret", "status", "error"),
    [
        ("GET", PATH, None, 401, "Unauthorized"),
        ("GET", PATH, "wrong", 401, "Unauthorized"),
        ("GET", PATH, SENDER, 403, "this key lacks the scope 'traffic:read'"),
        ("GET", PATH, PROJECT_READER, 404, "Not Found"),
        ("GET", "/v1/orgs/me/statistics", "reader-key", 404, "Not Found"),
        ("GET", "/v1/orgs/org_acme/statistics/all_traffic", "reader-key", 404, "Not Found"),
        ("DELETE", PATH, "reader-key", 405, "Method Not Allowed"),
    ],
)
def test_errors(  # noqa: PLR0917  the columns of the table
    world: World, method: str, path: str, secret: str | None, status: int, error: str
) -> None:
    answer = world.get(path, secret=secret, method=method)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


@pytest.mark.parametrize("path", [PATH, COLON, "/v1///orgs//me/statistics/all_traffic"])
@pytest.mark.parametrize("headers", [{"Authorization": "reader-key"}, {"Authorization": "Bearer reader-key"}])
def test_paths_and_ways_to_send_the_key(world: World, path: str, headers: dict[str, str]) -> None:
    world.put(world.space(1), at("2025-03-01"), 1, 1, 1)
    assert world.get(path, secret=None, headers=headers).json()["traffic_used_this_year"] == 1


@pytest.mark.parametrize(
    ("secret", "named", "used"),
    [
        (ADMIN, ACME, 1),
        (ADMIN, "acme", 1),
        (ADMIN, OTHER, 10),
        (ADMIN, "nobody", 404),
        (ADMIN, None, 422),
        ("reader-key", ACME, 1),
        ("reader-key", OTHER, 404),
        ("reader-key", None, 1),
    ],
)
def test_which_organization_is_me(world: World, secret: str, named: str | None, used: int) -> None:
    world.put(world.space(1), at("2025-03-01"), 1, 1, 1)
    world.put(world.space(2, OTHER), at("2025-03-01"), 1, 1, 10)
    headers = {} if named is None else {"Weighbridge-Organization": named}
    answer = world.get(PATH, secret=secret, headers=headers)
    if used in (404, 422):
        assert answer.status_code == used
    else:
        assert answer.json()["traffic_used_this_year"] == used


def test_the_only_organization_need_not_be_named(world: World) -> None:
    world.put(world.space(1), at("2025-03-01"), 1, 1, 1)
    world.organization(OTHER, deleted_at_s=1)
    assert world.get(PATH, secret=ADMIN).json()["traffic_used_this_year"] == 1
    world.organization(ACME, deleted_at_s=1)
    assert world.get(PATH, secret=ADMIN).status_code == 422


def test_rate_limit_is_told_as_the_clients_read_it() -> None:
    with World(DIALECT, rate_limits=True) as world:
        for remaining in range(5, -1, -1):
            answer = world.get(PATH if remaining % 2 else COLON)
            assert answer.headers["X-RateLimit"] == f'"requests";r={remaining}'
            assert answer.headers["X-RateLimit-Policy"] == '"requests";q=6;w=1'
        answer = world.get(PATH)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        world.clock.advance(1)
        assert world.get(PATH).status_code == 200


@pytest.mark.parametrize("group_by", ["day", "month", "year"])
def test_chunks_change_no_answer(world: World, monkeypatch: pytest.MonkeyPatch, group_by: str) -> None:
    for number in range(1, 14):
        series = world.space(number)
        for step in range(8):
            world.put(series, at("2024-11-20") + step * number * 3 * 86400, number, None if step % 2 else 5, step)
    query = {"group_by": group_by, "start_date": "2024-11-01"}
    whole = world.get(PATH, query).json()
    monkeypatch.setattr(tally, "MAX_CELLS", 26)
    assert world.get(PATH, query).json() == whole
    assert len(whole["traffic"]) > 13


def test_more_rows_than_an_answer_holds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    series = world.space(1)
    for day in range(4):
        world.put(series, at("2025-03-01") + day * 86400, 1, 1, 1)
    monkeypatch.setattr(tally, "MAX_ROWS", 3)
    answer = world.get(PATH, {"group_by": "day"})
    assert (answer.status_code, list(answer.json())) == (422, ["group_by"])
    assert world.get(PATH, {"group_by": "month"}).status_code == 200
