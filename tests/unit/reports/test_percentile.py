"""Percentiles with their receipts, against a referee that looks at each slot by itself."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws import referee
from support.worlds import World, worlds
from weighbridge.domain.errors import OutOfRangeError
from weighbridge.model import Kind
from weighbridge.reports.percentile import Receipt, coverage, percentile, slot_bytes, slot_range
from weighbridge.reports.selection import Selection, Span, select

T = 1_765_728_000  # 2025-12-14T16:00:00Z


@settings(max_examples=100, deadline=None)
@given(
    worlds(T, 30), st.tuples(st.integers(-5, 35), st.integers(0, 40)), st.integers(-10, 45),
    st.sampled_from([300, 1800]), st.integers(1, 99),
)
def test_the_receipt_names_the_slot_that_a_person_would_pick(
    world: World, asked: tuple[int, int], now: int, slot_s: int, p: int
) -> None:
    start_s, end_s = T + asked[0] * 300, T + sum(asked) * 300
    now_s = T + now * 300 + 17
    selected = select(world.view, Selection(), (), Span(start_s, end_s, now_s))
    found = percentile(world.store, selected, slot_range(start_s, end_s, now_s, slot_s), p)
    counted = [at_s for at_s in range(T - 7200, T + 50 * 300, slot_s)
               if start_s - start_s % slot_s <= at_s < min(end_s, now_s) and at_s + slot_s <= now_s]
    for column, receipt in ((0, found.bytes_in), (1, found.bytes_out)):
        values = [sum(row.moved[column] or 0 for row in world.counted if at_s <= row.at_s < at_s + slot_s)
                  for at_s in counted]
        value = referee.percentile(values, p)
        assert receipt.slots == len(counted)
        assert receipt.bytes_in_slot == value
        assert receipt.bits_per_second == (value * 8 * 2 + slot_s) // (2 * slot_s)
        assert receipt.discarded == len(counted) * (100 - p) // 100
        assert receipt.rank == len(counted) - receipt.discarded
        assert receipt.slot_start_s == (counted[values.index(value)] if counted else None)


def test_no_finished_slot_is_zeros_and_null() -> None:
    world = World()
    series = world.server("sv", (0, "p", "r"))
    world.project("p", "acme")
    world.moves(series, T, 10**9, 10**9)
    slots = slot_range(T, T + 86400, T + 1799)
    found = percentile(world.store, select(world.view, Selection()), slots)
    assert found.bytes_in == found.bytes_out == Receipt(0, 0, 0.0, 0, 0, 0, None, None)


def test_the_sum_is_taken_before_the_percentile() -> None:
    world = World()
    world.project("p", "acme")
    busy = [world.server(name, (0, "p", "r")) for name in ("sv_1", "sv_2")]
    for index in range(20):
        world.moves(busy[index % 2], T + index * 1800, 18 * 10**9, 0)
    selected = select(world.view, Selection(), ("server",))
    slots = slot_range(T, T + 20 * 1800, T + 10**6)
    assert percentile(world.store, selected, slots).bytes_in.mbps == 80.0
    halves = slot_bytes(world.store, selected.members, slots)
    assert [sum(column) for column, _ in halves.values()] == [180 * 10**9] * 2


@pytest.mark.parametrize(("start_s", "end_s", "now_s", "slot_s", "expected"), [
    (T, T + 3600, T + 3600, 1800, (T, 2)),
    (T + 299, T + 1801, T + 3600, 1800, (T, 2)),             # both ends are cut: the slots count whole
    (T + 1799, T + 1800, T + 1800, 1800, (T, 1)),
    (T, T + 3600, T + 3599, 1800, (T, 1)),                   # the second slot is not over
    (T, T + 3600, T - 1, 1800, (T, 0)),                      # the future
    (T, T, T + 3600, 1800, (T, 0)),                          # nothing
    (T + 900, T + 900, T + 3600, 1800, (T, 1)),              # a slot that starts before an end within it
    (T, T + 3600, T + 3600, 300, (T, 12)),
])
def test_slots_that_count(start_s: int, end_s: int, now_s: int, slot_s: int, expected: tuple[int, int]) -> None:
    slots = slot_range(start_s, end_s, now_s, slot_s)
    assert (slots.start_s, slots.count) == expected


def test_a_range_of_centuries_is_refused() -> None:
    with pytest.raises(OutOfRangeError, match="ask for a shorter range"):
        slot_range(63_072_000, T + 10**10, T + 10**10)


def _polled(world: World, name: str, *placements: tuple[int, str, str]) -> int:
    number = world.server(name, *placements)
    world.view.series[number] = msgspec.structs.replace(world.view.series[number], polled=True)
    return number


def test_coverage_counts_slots_in_which_a_polled_source_was_read() -> None:
    world = World()
    world.project("p", "acme")
    polled = _polled(world, "sv_1", (0, "p", "r"))
    world.server("sv_2", (0, "p", "r"))
    slots = slot_range(T, T + 3600, T + 3600, 300)
    everything = select(world.view, Selection())
    assert coverage(world.store, everything, slots) == 0.0  # who pushes does not water down who is polled
    for index in range(6):
        world.moves(polled, T + index * 300, 0, 0)
    world.moves(polled, T + 3000, 5, 5, flags=2)  # spread over a gap: nobody watched
    assert coverage(world.store, everything, slots) == 0.5
    assert coverage(world.store, select(world.view, Selection(server="sv_1")), slots) == 0.5
    assert coverage(world.store, select(world.view, Selection(server="sv_2")), slots) == 1.0
    assert coverage(world.store, everything, slot_range(T, T + 3600, T, 300)) is None


def test_a_slot_in_which_a_server_moved_is_expected_once() -> None:
    world = World()
    world.project("p", "acme")
    polled = _polled(world, "sv", (0, "p", "r"), (T + 600, "p", "s"))
    for index in range(12):
        world.moves(polled, T + index * 300, 1, 1)
    slots = slot_range(T, T + 3600, T + 3600)
    assert coverage(world.store, select(world.view, Selection(), ("region",)), slots) == 1.0
    assert world.view.series[polled].key.kind == Kind.SERVER
