"""Which tier answers for what."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.ports import STEPS_S
from weighbridge.storage.duckdb.tiers import DAY_S, TIERS, Horizons, plan

T0 = 20_000 * DAY_S


def named(start_s: int, end_s: int, step_s: int, horizons: Horizons | None = None) -> list[tuple[str, int, int]]:
    """Stretches as (table, first second after T0, last second after T0)."""
    return [
        (stretch.tier.table, stretch.lo * stretch.tier.slot_s - T0, stretch.hi * stretch.tier.slot_s - T0)
        for stretch in plan(T0 + start_s, T0 + end_s, step_s, horizons or Horizons())
    ]


@pytest.mark.parametrize(
    ("start_s", "end_s", "step_s", "expected"),
    [
        (0, 2 * DAY_S, 0, [("t1d", 0, 2 * DAY_S)]),
        (0, 2 * DAY_S, 86400, [("t1d", 0, 2 * DAY_S)]),
        (0, 2 * DAY_S, 3600, [("t30m", 0, 2 * DAY_S)]),
        (0, 2 * DAY_S, 1800, [("t30m", 0, 2 * DAY_S)]),
        (0, 2 * DAY_S, 300, [("t5m", 0, 2 * DAY_S)]),
        (300, 1500, 0, [("t5m", 300, 1500)]),
        (1500, 3900, 1800, [("t5m", 1500, 1800), ("t30m", 1800, 3600), ("t5m", 3600, 3900)]),
        (
            DAY_S - 2100, 2 * DAY_S + 2100, 0,
            [
                ("t5m", DAY_S - 2100, DAY_S - 1800), ("t30m", DAY_S - 1800, DAY_S), ("t1d", DAY_S, 2 * DAY_S),
                ("t30m", 2 * DAY_S, 2 * DAY_S + 1800), ("t5m", 2 * DAY_S + 1800, 2 * DAY_S + 2100),
            ],
        ),
        (600, 600, 0, []),
        (900, 600, 0, []),
    ],
)
def test_the_coarsest_exact_tier_answers(start_s: int, end_s: int, step_s: int, expected: list[object]) -> None:
    assert named(start_s, end_s, step_s) == expected


def test_what_a_tier_forgot_comes_from_the_next_where_its_slots_start() -> None:
    horizons = Horizons(five_s=T0 + 3600, half_s=T0)
    assert named(300, 5400, 300, horizons) == [("t30m", 1800, 3600), ("t5m", 3600, 5400)]
    assert named(300, 2100, 0, horizons) == [("t30m", 1800, 3600)]
    assert named(-DAY_S, 300, 300, horizons) == [("t1d", -DAY_S, 0), ("t30m", 0, 1800)]


def test_forgetting_a_tier_forgets_the_finer_ones_and_never_remembers() -> None:
    horizons = Horizons().forget(1800, T0 + 5000)
    assert horizons == Horizons(five_s=T0, half_s=T0, day_s=0)
    assert horizons.forget(300, T0 - DAY_S) == horizons
    assert horizons.forget(300, T0 + 3599) == Horizons(five_s=T0 + 1800, half_s=T0, day_s=0)
    assert horizons.forget(86400, T0 + DAY_S) == Horizons(T0 + DAY_S, T0 + DAY_S, T0 + DAY_S)


@given(st.integers(-2000, 2000), st.integers(0, 3000), st.sampled_from(STEPS_S))
def test_every_slot_of_a_range_is_answered_once(first: int, length: int, step_s: int) -> None:
    start_s, end_s = T0 + 300 * first, T0 + 300 * (first + length)
    stretches = plan(start_s, end_s, step_s, Horizons())
    at_s = start_s
    for stretch in stretches:
        assert stretch.lo * stretch.tier.slot_s == at_s
        assert stretch.lo < stretch.hi
        assert step_s % stretch.tier.slot_s == 0
        at_s = stretch.hi * stretch.tier.slot_s
    assert at_s == end_s


def test_chunks_are_whole_pieces_and_nest() -> None:
    for tier in TIERS:
        assert tier.chunk_slots % tier.piece_slots == 0
    assert [coarse.chunk_s % fine.chunk_s for fine, coarse in pairwise(TIERS)] == [0, 0]
