"""Law 16, for reports: an answer for [a, b) plus one for [b, c) is the answer for [a, c); parts add up to the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from laws.zones import moments
from support.worlds import PROJECTS, REGIONS, World, added, worlds
from weighbridge.domain.timegrid import WINDOWS, Window, windows, zone
from weighbridge.reports.selection import GROUP_KEYS, Reach, Selection, Span, resolve, select
from weighbridge.reports.top import METRICS, first, top
from weighbridge.reports.usage import NOTHING, Amounts, sum_windows, total, usage

if TYPE_CHECKING:
    from weighbridge.reports.usage import Usage

SLOTS = 40
NOW_S = 4_102_444_800  # 2100: all of it has passed

FILTERS = st.fixed_dictionaries({}, optional={
    "organization": st.sampled_from(["acme", "bolt"]),
    "project": st.sampled_from(sorted(PROJECTS)),
    "region": st.sampled_from(REGIONS),
    "server": st.just("sv_0"),
})
GROUPS = st.lists(st.sampled_from(GROUP_KEYS), max_size=3, unique=True).map(tuple)


def figures(amounts: Amounts) -> tuple[int | None, int | None, int | None]:
    return amounts.bytes_in, amounts.bytes_out, amounts.requests


def cover(start_s: int, end_s: int) -> list[Window]:
    return [Window(start_s, end_s)] if start_s < end_s else []


def ask(world: World, asked: Selection, group_by: tuple[str, ...], spans: list[Window]) -> Usage:
    span = Span(spans[0].start_s, spans[-1].end_s, NOW_S) if spans else Span(0, 0, NOW_S)
    return usage(world.store, select(world.view, asked, group_by, span), spans)


@st.composite
def questions(draw: st.DrawFn) -> tuple[World, str, int, list[int]]:
    """A world, a zone, and three instants around what moved there, ascending."""
    name, start_s = draw(moments())
    world = draw(worlds(start_s, SLOTS))
    cuts = draw(st.lists(st.integers(-3, SLOTS + 3), min_size=3, max_size=3).map(sorted))
    return world, name, start_s, [start_s + cut * 300 for cut in cuts]


@settings(max_examples=120, deadline=None)
@given(questions(), st.sampled_from(WINDOWS), GROUPS, FILTERS)
def test_every_window_of_every_group_is_what_the_rows_say(
    question: tuple[World, str, int, list[int]], window: str, group_by: tuple[str, ...], filters: dict[str, str]
) -> None:
    world, name, _, (start_s, _, end_s) = question
    asked = Selection(**filters)
    if asked.project is not None and asked.organization not in (None, PROJECTS[asked.project]):
        return
    spans = windows(start_s, end_s, window, zone(name))
    found = ask(world, asked, group_by, spans)
    got = {(span, key): figures(amounts) for span, key, amounts in found.rows()}
    assert len(got) == len(spans) * len(found.listed)
    keys = [tuple(world.owner(row).get(key) for key in group_by) for row in world.rows]
    for span in spans:
        rows = world.within(span.start_s, span.end_s, **filters)
        for key in {*keys, *(found.keys[group] for group in found.listed)}:
            mine = [row for row in rows if tuple(world.owner(row).get(name) for name in group_by) == key]
            assert got.get((span, key), (0, 0, 0)) == added(mine)
        everything = Amounts()
        for group in found.listed:
            everything = everything.plus(found.amounts.get((group, spans.index(span)), NOTHING))
        assert figures(everything) == added(rows)


@settings(max_examples=60, deadline=None)
@given(questions(), st.sampled_from(WINDOWS), GROUPS)
def test_rows_come_by_start_then_keys_with_nulls_last(
    question: tuple[World, str, int, list[int]], window: str, group_by: tuple[str, ...]
) -> None:
    world, name, _, (start_s, _, end_s) = question
    rows = list(ask(world, Selection(), group_by, windows(start_s, end_s, window, zone(name))).rows())
    order = [(span.start_s, [(part is None, part or "") for part in key]) for span, key, _ in rows]
    assert order == sorted(order)


@settings(max_examples=60, deadline=None)
@given(questions(), GROUPS)
def test_two_ranges_that_meet_add_up_to_the_range_of_both(
    question: tuple[World, str, int, list[int]], group_by: tuple[str, ...]
) -> None:
    world, _, _, (a_s, b_s, c_s) = question
    selected = select(world.view, Selection(), group_by)
    first_part, second_part, whole = (
        sum_windows(world.store, selected.members, cover(*bounds)) for bounds in ((a_s, b_s), (b_s, c_s), (a_s, c_s))
    )
    groups = {group for part in (first_part, second_part, whole) for group, _ in part}
    for group in groups:
        left, right = first_part.get((group, 0), NOTHING), second_part.get((group, 0), NOTHING)
        assert figures(left.plus(right)) == figures(whole.get((group, 0), NOTHING))
    assert figures(total(world.store, selected.members, a_s, b_s).plus(
        total(world.store, selected.members, b_s, c_s))) == figures(total(world.store, selected.members, a_s, c_s))


@settings(max_examples=60, deadline=None)
@given(questions(), st.sampled_from(GROUP_KEYS), st.sampled_from(METRICS), st.integers(1, 4))
def test_the_first_ones_and_other_add_up_to_the_whole(
    question: tuple[World, str, int, list[int]], by: str, metric: str, limit: int
) -> None:
    world, _, _, (start_s, _, end_s) = question
    selected = select(world.view, Selection(), (by,))
    found = top(world.store, selected, Window(start_s, end_s), metric, limit)
    everything = found.other
    for key, amounts in found.items:
        everything = everything.plus(amounts)
        assert figures(amounts) == added(world.within(start_s, end_s, **{by: key[0]}))
    assert figures(everything) == added(world.within(start_s, end_s))
    assert len(found.items) <= limit
    assert first(dict(found.items), metric, limit).items == found.items


@settings(max_examples=60, deadline=None)
@given(questions(), st.sampled_from(["acme", "bolt"]))
def test_what_two_organizations_see_is_together_what_an_admin_sees(
    question: tuple[World, str, int, list[int]], named: str
) -> None:
    world, _, _, (start_s, _, end_s) = question
    seen = {}
    for reach in (Reach("acme"), Reach("bolt"), Reach()):
        selected = select(world.view, resolve(world.view, reach, Selection()))
        seen[reach.organization] = total(world.store, selected.members, start_s, end_s)
    assert figures(seen["acme"].plus(seen["bolt"])) == figures(seen[None])
    assert figures(seen[named]) == added(world.within(start_s, end_s, organization=named))


def test_an_empty_catalog_has_one_row_a_window_and_no_groups() -> None:
    world = World()
    spans = [Window(0, 300), Window(300, 600)]
    assert [figures(amounts) for _, _, amounts in ask(world, Selection(), (), spans).rows()] == [(0, 0, 0)] * 2
    assert list(ask(world, Selection(), ("project",), spans).rows()) == []
