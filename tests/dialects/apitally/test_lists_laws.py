"""Lists against naive ones: who moved what when, pages against the whole, and patterns against all that they could mean."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.kit import NOW_S
from support.seed_world import World
from weighbridge.dialects.apitally.routes import DIALECT
from weighbridge.dialects.apitally.wildcard import matches
from weighbridge.domain.timegrid import rfc3339
from weighbridge.model import Endpoint, Kind

PATH = "/v1/apps/1/consumers"
CONSUMERS = range(1, 6)
FIRST_S = NOW_S - 3 * 86_400

slots_s = st.sampled_from([0, 1, 2, 287, 288, 289, 576, 863, 864]).map(lambda slot: FIRST_S + 300 * slot)
amounts = st.sampled_from([None, 0, 1])
rows = st.tuples(
    st.sampled_from(CONSUMERS), st.sampled_from([None, ("GET", "/healthz"), ("GET", "/orders")]),
    slots_s, st.tuples(amounts, amounts, amounts),
)


def world_of(found: World, told: list[Any], made_s: dict[int, int]) -> None:
    found.app_of(1, excluded=(Endpoint("GET", "/healthz"),))
    for consumer in CONSUMERS:
        found.consumer(consumer, 1, created_at_s=made_s[consumer])
    series: dict[Any, int] = {}
    for consumer, endpoint, at_s, moved in told:
        key = (consumer, endpoint)
        if key not in series:
            method, path = endpoint or (None, None)
            series[key] = found.series(Kind.APP, 1, consumer=consumer, method=method, path=path)
        found.put(series[key], at_s, *moved)


@settings(max_examples=60, deadline=None)
@given(
    told=st.lists(rows, max_size=12),
    made_s=st.fixed_dictionaries({each: st.integers(FIRST_S - 99, NOW_S) for each in CONSUMERS}),
    since_s=st.none() | st.builds(int.__add__, slots_s, st.integers(-301, 301)),
    limit=st.integers(1, 6),
)
def test_consumers_are_those_of_a_naive_list(
    told: list[Any], made_s: dict[int, int], since_s: int | None, limit: int
) -> None:
    last_s = dict(made_s)
    for consumer in CONSUMERS:
        moved = [at_s for each, endpoint, at_s, moved in told
                 if each == consumer and endpoint != ("GET", "/healthz") and any(moved)]
        last_s[consumer] = max(moved, default=made_s[consumer])
    expected = [(each, rfc3339(last_s[each])) for each in reversed(CONSUMERS)
                if since_s is None or last_s[each] >= since_s - since_s % 300]
    with World(DIALECT) as world:
        world_of(world, told, made_s)
        query: dict[str, Any] = {"limit": limit} | ({} if since_s is None else {"requests_since": rfc3339(since_s)})
        listed: list[tuple[int, str]] = []
        for _ in range(7):
            page = world.get(PATH, query).json()
            assert len(page["data"]) == limit or not page["has_more"]
            listed += [(each["id"], each["last_request_at"]) for each in page["data"]]
            if not page["has_more"]:
                break
            query["next_token"] = page["next_token"]
    assert listed == expected


def naive(pattern: str, text: str) -> bool:
    """Whether they match, tried in every way there is."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return text[:1] == pattern[0] and naive(pattern[1:], text[1:])


@settings(max_examples=500)
@given(st.text("a/*", max_size=7), st.text("a/*", max_size=8))
def test_a_pattern_matches_what_it_can_mean(pattern: str, text: str) -> None:
    assert matches(pattern, text) is naive(pattern, text)


def test_a_pattern_of_many_stars_costs_nothing() -> None:
    """In a test that tries again it would outlast the universe."""
    assert not matches("*a" * 500 + "*b*", "a" * 1023)
    assert matches("*a" * 500 + "*", "a" * 1023)
