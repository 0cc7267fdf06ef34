"""storyblok-js-client and @storyblok/management-api-client read 5.4 unchanged."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.kit import READER
from support.node import run_script
from support.seed_world import ACME, World
from support.server import running
from weighbridge.dialects.storyblok.routes import DIALECT
from weighbridge.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("node_clients")

SPACES = 12
USUAL: dict[str, str] = {}
BY_DAY = {"start_date": "2025-02-01", "end_date": "2025-02-03", "group_by": "day"}
WRONG = {"start_date": "soon"}


def moved(space: int, month: int) -> tuple[int, int, int] | None:
    """What a space moves on the second of a month: bytes in, bytes out, requests."""
    return None if (space + month) % 3 == 0 else (1000 * space, 10 * month, space * month)


@pytest.fixture
def world() -> Iterator[World]:
    with World(DIALECT, rate_limits=True) as found:
        found.organization(ACME, monthly_traffic_limit=10_000_000)
        for space in range(1, SPACES + 1):
            series = found.space(space)
            for month in range(1, 13):
                amounts = moved(space, month)
                if amounts is not None:
                    at_s = int(dt.datetime(2025, month, 2, 5, tzinfo=dt.UTC).timestamp())
                    found.put(series, at_s, *amounts)
        yield found


@pytest.fixture
def base_url(world: World) -> Iterator[str]:
    with running(world.app) as url:
        yield url


def is_right_by_month(body: dict[str, Any]) -> None:
    """By going over what was put in, once more."""
    everything = [(s, m, moved(s, m)) for m in range(1, 13) for s in range(1, SPACES + 1) if moved(s, m)]
    assert body["traffic"] == [
        {"date": f"2025-{m:02}", "api_requests": a[2], "total_bytes": a[0] + a[1], "space_id": s}
        for s, m, a in everything
        if a is not None
    ]
    requests = {s: sum(a[2] for t, _, a in everything if t == s and a) for s in range(1, SPACES + 1)}
    top = sorted(requests, key=lambda space: (-requests[space], space))[:10]
    assert {int(name) for name in body["traffic_top_spaces"] if name != "other_spaces"} == set(top)
    others = sum(row["api_requests"] for row in body["traffic_top_spaces"]["other_spaces"])
    assert others == sum(requests.values()) - sum(requests[space] for space in top)
    assert body["traffic_used_this_year"] == sum(requests.values())
    assert body["cumulated_traffic"]["total_requests_per_time_period"] == sum(requests.values())
    assert [row["date"] for row in body["cumulated_traffic"]["traffic"]] == [f"2025-{m:02}-01" for m in range(1, 13)]
    assert (body["montly_traffic_limit"], body["yearly_traffic_limit"]) == (10_000_000, 120_000_000)


def is_right_by_day(body: dict[str, Any]) -> None:
    february = [(space, moved(space, 2)) for space in range(1, SPACES + 1)]
    assert body["traffic"] == [
        {"date": "2025-02-02", "api_requests": a[2], "total_bytes": a[0] + a[1], "space_id": space}
        for space, a in february
        if a is not None
    ]
    assert [row["api_requests"] for row in body["cumulated_traffic"]["traffic"]] == [
        0, sum(a[2] for _, a in february if a is not None), 0,
    ]


@pytest.mark.parametrize("suffix", ["/v1", "/v1/"])
def test_js_client(base_url: str, suffix: str) -> None:
    queries = json.dumps([USUAL, BY_DAY, WRONG])
    usual, by_day, wrong = run_script("storyblok_js_client.mjs", base_url + suffix, READER, queries)
    is_right_by_month(usual["data"])
    is_right_by_day(by_day["data"])
    assert wrong["status"] == 422
    (refused,) = run_script("storyblok_js_client.mjs", base_url + suffix, "wrong", json.dumps([USUAL]))
    assert (refused["status"], refused["message"]) == (401, "Unauthorized")


def test_js_client_finds_its_way_through_the_rate_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten calls at once, six a second: the others are refused, and sent again until all are answered."""
    statuses: list[int] = []

    def tick() -> int:  # time passes by being looked at, so that no test waits for it
        world.clock.advance(0.03)
        return world.clock.at_us

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        await world.app(scope, receive, tell)

    monkeypatch.setattr(world.clock, "now_us", tick)
    with running(listening) as url:
        answers = run_script("storyblok_js_client.mjs", f"{url}/v1", READER, json.dumps([USUAL] * 10), "1000")
    assert 429 in statuses
    assert statuses.count(200) == 10
    for answer in answers:
        is_right_by_month(answer["data"])


@pytest.mark.parametrize("token", [{"personalAccessToken": READER}, {"oauthToken": READER}])
def test_management_client(base_url: str, token: dict[str, str]) -> None:
    queries = json.dumps([USUAL, BY_DAY, WRONG])
    answers = run_script("storyblok_management_client.mjs", base_url, json.dumps(token), queries)
    usual, by_day, wrong = answers
    is_right_by_month(usual["data"])
    is_right_by_day(by_day["data"])
    assert (wrong["status"], wrong["body"]) == (422, {"start_date": ["is invalid"]})


@pytest.mark.parametrize("statistics", ["assets_traffic", ":assets_traffic"])
def test_both_clients_read_the_traffic_of_assets(world: World, base_url: str, statistics: str) -> None:
    at_s = int(dt.datetime(2025, 2, 2, 5, tzinfo=dt.UTC).timestamp())
    for path, moved in (("/f/logo.svg", 2**40), ("/f/film.mp4", 2**50)):
        world.put(world.series(Kind.SPACE, 3, path=path), at_s, 1, moved, 1)
    queries = json.dumps([BY_DAY, WRONG])
    answers = (
        run_script("storyblok_js_client.mjs", f"{base_url}/v1", READER, queries, "6", statistics),
        run_script("storyblok_management_client.mjs", base_url, json.dumps({"oauthToken": READER}), queries, statistics),
    )
    for found, wrong in answers:
        assert [(asset["filename"], asset["content_type"], asset["total_bytes"]) for asset in found["data"]["assets"]] == [
            ("/f/film.mp4", "video/mp4", 2**50 + 1), ("/f/logo.svg", "image/svg+xml", 2**40 + 1)]
        told = world.get(f"/v1/orgs/me/statistics/{statistics}", BY_DAY).json()
        assert found["data"] == told  # ids, too, hold in JavaScript's numbers
        assert wrong["status"] == 422
