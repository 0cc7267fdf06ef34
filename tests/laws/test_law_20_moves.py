"""Law 20: a move has a time; before it the old owner, from it the new one. Deleting an owner deletes no usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from support.worlds import ORGANIZATIONS, PROJECTS, REGIONS, World, added, worlds
from weighbridge.domain.timegrid import Window
from weighbridge.model import Placement
from weighbridge.reports.percentile import SlotRange, percentile, slot_bytes
from weighbridge.reports.selection import Reach, Selection, Span, resolve, select, stretches
from weighbridge.reports.usage import NOTHING, sum_windows, total

if TYPE_CHECKING:
    from weighbridge.reports.usage import Amounts

START_S = 1_765_728_000
SLOTS = 36
END_S = START_S + SLOTS * 300
NOW_S = END_S + 7200
RANGES = st.tuples(st.integers(-3, SLOTS + 3), st.integers(-3, SLOTS + 3)).map(sorted).map(
    lambda pair: (START_S + pair[0] * 300, START_S + pair[1] * 300))


def figures(amounts: Amounts) -> tuple[int | None, int | None, int | None]:
    return amounts.bytes_in, amounts.bytes_out, amounts.requests


@settings(max_examples=100, deadline=None)
@given(worlds(START_S, SLOTS), RANGES, st.sampled_from(sorted(PROJECTS)), st.none() | st.sampled_from(REGIONS))
def test_a_project_has_what_its_servers_moved_while_they_were_its_own(
    world: World, bounds: tuple[int, int], project: str, region: str | None
) -> None:
    asked = resolve(world.view, Reach(), Selection(project=project, region=region))
    selected = select(world.view, asked, (), Span(*bounds, NOW_S))
    assert figures(total(world.store, selected.members, *bounds)) == added(
        world.within(*bounds, project=project, region=region))


@settings(max_examples=60, deadline=None)
@given(worlds(START_S, SLOTS), RANGES)
def test_owners_share_a_server_without_loss_or_doubling(world: World, bounds: tuple[int, int]) -> None:
    for server in world.view.servers:
        alone = select(world.view, Selection(server=server))
        by_owner = select(world.view, Selection(server=server), ("organization", "project", "region"))
        parts = NOTHING
        for key in range(len(by_owner.keys)):
            parts = parts.plus(sum_windows(world.store, by_owner.members, [Window(*bounds)]).get((key, 0), NOTHING))
        assert figures(parts) == figures(total(world.store, alone.members, *bounds))
        assert figures(parts) == added(world.within(*bounds, server=server))


@settings(max_examples=60, deadline=None)
@given(worlds(START_S, SLOTS), RANGES, st.integers(0, 2))
def test_deleting_an_owner_deletes_no_usage(world: World, bounds: tuple[int, int], which: int) -> None:
    before = [total(world.store, select(world.view, Selection(organization=name)).members, *bounds)
              for name in ORGANIZATIONS]
    server = sorted(world.view.servers)[which % len(world.view.servers)]
    world.view.servers[server] = msgspec.structs.replace(world.view.servers[server], deleted_at_s=START_S)
    project = sorted(PROJECTS)[which]
    world.view.projects[project] = msgspec.structs.replace(world.view.projects[project], deleted_at_s=START_S)
    after = [total(world.store, select(world.view, Selection(organization=name), (), Span(*bounds, NOW_S)).members,
                   *bounds) for name in ORGANIZATIONS]
    assert [figures(amounts) for amounts in before] == [figures(amounts) for amounts in after]


@settings(max_examples=60, deadline=None)
@given(worlds(START_S, SLOTS), RANGES, st.sampled_from(["project", "region"]))
def test_a_span_leaves_out_nothing_that_lies_in_it_or_in_a_billing_slot_that_it_cuts(
    world: World, bounds: tuple[int, int], by: str
) -> None:
    slots = SlotRange(bounds[0] // 1800 * 1800, -(-bounds[1] // 1800) * 1800, 1800)
    narrow, wide = select(world.view, Selection(), (by,), Span(*bounds, NOW_S)), select(world.view, Selection(), (by,))
    for selected in (narrow, wide):
        columns = slot_bytes(world.store, selected.members, slots)
        for group, key in enumerate(selected.keys):
            in_bytes, out_bytes = columns.get(group, ([0] * slots.count, [0] * slots.count))
            for index in range(slots.count):
                at_s = slots.start_s + index * 1800
                rows = [row for row in world.within(at_s, at_s + 1800) if world.owner(row).get(by) == key[0]]
                assert (in_bytes[index], out_bytes[index]) == tuple(amount or 0 for amount in added(rows)[:2])
    assert percentile(world.store, narrow, slots) == percentile(world.store, wide, slots)


@settings(max_examples=60, deadline=None)
@given(worlds(START_S, SLOTS), RANGES)
def test_listed_is_who_holds_a_server_now_or_did_in_the_range(world: World, bounds: tuple[int, int]) -> None:
    span = Span(*bounds, NOW_S)
    selected = select(world.view, Selection(), ("server", "region"), span)
    listed = {key for group, key in enumerate(selected.keys) if group not in selected.absent and key[0] is not None}
    expected = set()
    for server in world.view.servers.values():
        for at_s in (NOW_S, *range(*bounds, 300)):
            if server.deleted_at_s is None or at_s < server.deleted_at_s:
                placement = [each for each in server.placements if each.from_s <= at_s][-1]
                expected.add((server.id, placement.region))
    assert listed == expected


@given(st.lists(st.integers(1, 10**6), max_size=4, unique=True).map(sorted), st.integers(0, 2 * 10**6))
def test_at_every_instant_a_server_is_in_one_place(moves: list[int], at_s: int) -> None:
    world = World()
    world.server("sv", *((from_s, f"p{from_s}", "r") for from_s in (0, *moves)))
    held = stretches(world.view.servers["sv"])
    places = [placement for placement, from_s, until_s in held if from_s <= at_s < until_s]
    latest = max(from_s for from_s in (0, *moves) if from_s <= at_s)
    assert places == [Placement(latest, f"p{latest}", "r")]
