"""The traffic of assets, rule by rule: the neighbour of CONTRACT 5.4."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.kit import ADMIN, READER
from support.seed_world import ACME, FOREIGNER, OTHER, PROJECT_READER, SENDER, World
from weighbridge.dialects.storyblok import assets
from weighbridge.dialects.storyblok.assets import content_type_of
from weighbridge.dialects.storyblok.routes import DIALECT
from weighbridge.model import Kind, Space

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/v1/orgs/me/statistics/assets_traffic"
COLON = "/v1/orgs/me/statistics/:assets_traffic"
ALL = "/v1/orgs/me/statistics/all_traffic"


@pytest.fixture
def world() -> Iterator[World]:
    with World(DIALECT) as found:  # it is 2025-12-14T16:00:00Z there
        yield found


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(f"{text}+00:00").timestamp())


def asset(world: World, space: int, path: str) -> int:
    """The series of a path of a space."""
    if space not in world.view.spaces:
        world.space(space)
    return world.series(Kind.SPACE, space, path=path)


def listed(world: World, query: dict[str, str] | None = None, secret: str = READER, **headers: str) -> list[Any]:
    """(space, file name, bytes) of each asset."""
    answer = world.get(PATH, query, secret=secret, headers=headers)
    assert answer.status_code == 200, answer.text
    return [(each["space_id"], each["filename"], each["total_bytes"]) for each in answer.json()["assets"]]


def test_an_answer_as_a_whole(world: World) -> None:
    logo, other = asset(world, 123, "/f/123/logo.svg"), asset(world, 123, "/f/123/manual")
    world.put(logo, at("2025-03-01"), 1, 20, 3)
    world.put(logo, at("2025-04-01"), None, 300, 3)
    world.put(other, at("2025-12-14T15:55"), None, 5, None)
    body = world.get(PATH).json()
    numbers = [each.pop("id") for each in body["assets"]]
    unknown = {"alt": "", "asset_folder_id": None, "content_length": None, "deleted_at": None, "is_private": False}
    assert body == {"assets": [
        {"content_type": "image/svg+xml", "filename": "/f/123/logo.svg", "space_id": 123, "total_bytes": 321, **unknown},
        {"content_type": None, "filename": "/f/123/manual", "space_id": 123, "total_bytes": 5, **unknown},
    ]}
    assert all(1 <= number < 2**53 for number in numbers)
    assert numbers[0] != numbers[1]
    assert [each["id"] for each in world.get(COLON).json()["assets"]] == numbers


def test_the_same_path_of_another_space_is_another_asset(world: World) -> None:
    for space in (1, 2):
        world.put(asset(world, space, "/logo.svg"), at("2025-03-01"), 1, 1, 1)
    first, second = world.get(PATH).json()["assets"]
    assert first["id"] != second["id"]


def test_most_bytes_first_then_by_space_and_file_name(world: World) -> None:
    for space, path, moved in (
        (10, "/a", 5), (9, "/b", 5), (9, "/a", 5), (9, "/c", 50), (10, "/z", 7), (9, "/none", None), (9, "/zero", 0),
    ):
        world.put(asset(world, space, path), at("2025-03-01"), moved, None, 1)
    assert listed(world) == [
        (9, "/c", 50), (10, "/z", 7), (9, "/a", 5), (9, "/b", 5), (10, "/a", 5), (9, "/none", None), (9, "/zero", 0)]


def test_only_what_moved_in_the_range(world: World) -> None:
    early, late, never = (asset(world, 1, path) for path in ("/early", "/late", "/never"))
    world.put(early, at("2024-12-31T23:55"), 1, 1, 1)
    world.put(early, at("2025-01-01"), 10, 10, 10)
    world.put(late, at("2025-12-14T23:55"), 100, 100, 100)
    world.put(late, at("2025-12-15"), 1000, 1000, 1000)
    world.put(never, at("2025-03-01"), 0, 0, 0)
    world.put(never, at("2025-04-01"))
    assert listed(world) == [(1, "/late", 200), (1, "/early", 20)]
    assert listed(world, {"start_date": "2024-12-31", "end_date": "2025-01-01"}) == [(1, "/early", 22)]
    assert listed(world, {"start_date": "2025-12-15", "end_date": "2025-12-15"}) == [(1, "/late", 2000)]
    assert listed(world, {"start_date": "2025-06-01", "end_date": "2025-06-01"}) == []


def test_what_is_of_no_asset_is_not_listed_and_all_traffic_counts_both(world: World) -> None:
    plain = world.space(1)
    world.app_of(1)
    world.put(plain, at("2025-03-01"), 1, 2, 3)
    world.put(asset(world, 1, "/logo.svg"), at("2025-03-02"), 10, 20, 30)
    world.put(world.series(Kind.APP, 1, method="GET", path="/logo.svg"), at("2025-03-02"), 100, 100, 100)
    assert listed(world) == [(1, "/logo.svg", 30)]
    every = world.get(ALL).json()
    assert every["cumulated_traffic"]["total_traffic_per_time_period"] == 33
    assert every["traffic"] == [{"date": "2025-03", "api_requests": 33, "total_bytes": 33, "space_id": 1}]


def test_an_amount_beyond_64_bits(world: World) -> None:
    logo = asset(world, 1, "/logo.svg")
    for _ in range(5):
        world.put(logo, at("2025-03-01"), 2**62, 2**62, 1)
    assert listed(world) == [(1, "/logo.svg", 10 * 2**62)]


def test_a_deleted_space_keeps_its_assets(world: World) -> None:
    world.put(asset(world, 1, "/logo.svg"), at("2025-03-01"), 1, 1, 1)
    world.view.spaces[1] = Space(1, ACME, "gone", deleted_at_s=1)
    assert listed(world) == [(1, "/logo.svg", 2)]


@pytest.mark.parametrize(
    ("secret", "named", "found"),
    [
        (READER, None, ["/ours"]),
        (READER, ACME, ["/ours"]),
        (READER, OTHER, 404),
        (FOREIGNER, None, ["/theirs"]),
        (PROJECT_READER, None, 404),
        (SENDER, None, 403),
        (ADMIN, "acme", ["/ours"]),
        (ADMIN, OTHER, ["/theirs"]),
        (ADMIN, "nobody", 404),
        (ADMIN, None, 422),
        ("wrong", None, 401),
    ],
)
def test_whose_assets_are_listed(world: World, secret: str, named: str | None, found: list[str] | int) -> None:
    world.space(2, OTHER)
    world.put(asset(world, 1, "/ours"), at("2025-03-01"), 1, 1, 1)
    world.put(asset(world, 2, "/theirs"), at("2025-03-01"), 1, 1, 1)
    headers = {} if named is None else {"Weighbridge-Organization": named}
    if isinstance(found, int):
        assert world.get(PATH, secret=secret, headers=headers).status_code == found
    else:
        assert [path for _, path, _ in listed(world, secret=secret, **headers)] == found


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({"start_date": "soon"}, {"start_date": ["is invalid"]}),
        ({"end_date": "2025-02-29"}, {"end_date": ["is invalid"]}),
        ({"end_date": "9999-01-01"}, {"end_date": ["must lie in the years 1972 to 9998"]}),
        ({"start_date": "2026-01-01"}, {"end_date": ["must not be before start_date"]}),
        ({"start_date": "1972-01-01", "end_date": "2999-01-01"},
         {"end_date": ["must be less than 36600 days after start_date"]}),
    ],
)
def test_dates_are_refused_as_for_all_traffic(world: World, query: dict[str, str], body: dict[str, Any]) -> None:
    for path in (PATH, COLON, ALL):
        answer = world.get(path, query)
        assert (answer.status_code, answer.json()) == (422, body)


def test_both_paths_have_one_limit_apart_from_all_traffic() -> None:
    with World(DIALECT, rate_limits=True) as world:
        for remaining in range(5, -1, -1):
            answer = world.get(PATH if remaining % 2 else COLON)
            assert answer.headers["X-RateLimit"] == f'"requests";r={remaining}'
        assert [world.get(path).status_code for path in (PATH, COLON, ALL)] == [429, 429, 200]


@settings(max_examples=40, deadline=None)
@given(
    told=st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abcde"), st.none() | st.integers(0, 9)), max_size=20),
    chunk=st.integers(1, 5), most=st.integers(1, 6),
)
def test_the_largest_are_the_largest_however_many_are_asked_about_at_once(
    told: list[tuple[int, str, int | None]], chunk: int, most: int
) -> None:
    with World(DIALECT) as world, pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "ASSETS_A_QUESTION", chunk)
        patch.setattr(assets, "MAX_ASSETS", most)
        series: dict[tuple[int, str], int] = {}
        sums: dict[tuple[int, str], list[int]] = {}
        for space, path, moved in told:
            series.setdefault((space, path), 0)
            series[space, path] = series[space, path] or asset(world, space, path)
            world.put(series[space, path], at("2025-03-01"), moved, None, 1)
            sums.setdefault((space, path), []).extend([] if moved is None else [moved])
        totals = [(space, path, sum(known) if known else None) for (space, path), known in sums.items()]
        ranked = sorted(totals, key=lambda each: (-(each[2] or 0), each[0], each[1]))
        assert listed(world) == ranked[:most]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/f/1/a/logo.svg", "image/svg+xml"),
        ("/f/1/A.JPG", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.mp4", "video/mp4"),
        ("a.woff2", "font/woff2"),
        ("a.pdf", "application/pdf"),
        ("https://a.storyblok.com/f/1/a.png", "image/png"),
        ("/f/1/a.jpg/m/200x0", None),
        ("/v1.png/readme", None),
        ("/a.svg.gz", None),
        ("//[a.png", "image/png"),
        ("/.png", None),
        ("/", None),
        ("a.", None),
    ],
)
def test_content_types_by_suffix(path: str, kind: str | None) -> None:
    assert content_type_of(path) == kind
