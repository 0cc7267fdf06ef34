"""Counters by example: one row, one story."""

from __future__ import annotations

import pytest

from weighbridge.domain.counters import Advance, Outcome, Part, Reading, State, advance

TOP = 2**32
STATE = State(100, 50, 60, 64, epoch=3, in_at_us=100, out_at_us=100)
STATE_32 = State(0, TOP - 10, 5, 32, in_at_us=0, out_at_us=0)
FAST_BPS = 10**9  # wraps in 34.4 s


@pytest.mark.parametrize(("reading", "outcome", "parts"), [
    (Reading(200, 55, 60), Outcome.DELTA, (Part(100, 200, 5, 0),)),
    (Reading(200, 55, None), Outcome.DELTA, (Part(100, 200, 5, None),)),
    (Reading(200, 49, 61), Outcome.RESET, ()),
    (Reading(200, 51, 59), Outcome.RESET, ()),
    (Reading(200, 49, 61, since_us=100), Outcome.RESET, ()),                   # not after the last reading
    (Reading(200, 49, 61, since_us=200), Outcome.RESET, ()),                   # a span of nothing proves nothing
    (Reading(200, 49, 61, since_us=300), Outcome.RESET, ()),
    (Reading(200, 49, 61, since_us=101), Outcome.RESET, (Part(101, 200, 49, 61),)),
    (Reading(200, 70, 80, since_us=101), Outcome.RESET, (Part(101, 200, 70, 80),)),  # grown past the old value
    (Reading(200, 70, 80, since_us=7), Outcome.DELTA, (Part(100, 200, 20, 20),)),    # the same start as always
    (Reading(100, 50, 60), Outcome.DUPLICATE, ()),
    (Reading(100, 50, None), Outcome.DUPLICATE, ()),
    (Reading(100, 50, 61), Outcome.CONFLICT, ()),
    (Reading(100, 50, 60, bits=32), Outcome.CONFLICT, ()),
    (Reading(99, 50, 60), Outcome.OUT_OF_ORDER, ()),
    (Reading(200, 55, 65, bits=32), Outcome.WIDTH_CHANGED, ()),
    (Reading(200, None, None), Outcome.ABSENT, ()),
])
def test_after_a_reading(reading: Reading, outcome: Outcome, parts: tuple[Part, ...]) -> None:
    step = advance(STATE, reading)
    assert (step.outcome, step.parts) == (outcome, parts)
    new_epoch = outcome in (Outcome.RESET, Outcome.WIDTH_CHANGED)
    if step.state is not None:
        assert step.state.epoch == 3 + new_epoch
        assert step.state.at_us == reading.at_us
    assert (step.state is None) == (
        outcome in (Outcome.DUPLICATE, Outcome.CONFLICT, Outcome.OUT_OF_ORDER, Outcome.ABSENT))


@pytest.mark.parametrize(("seconds", "total_in", "total_out", "line_rate_bps", "since_us", "outcome", "parts"), [
    (10, 20, 9, FAST_BPS, None, Outcome.WRAP, (Part(0, 10_000_000, 30, 4),)),
    (10, 20, 9, None, None, Outcome.RESET, ()),
    (10, 20, 9, 0, None, Outcome.RESET, ()),
    (35, 20, 9, FAST_BPS, None, Outcome.RESET, ()),                # longer than one wrap
    (10, TOP - 11, 9, FAST_BPS, None, Outcome.RESET, ()),          # more than the line carries in 10 s
    (10, 20, 4, FAST_BPS, None, Outcome.RESET, ()),                # out fell and cannot have wrapped: reset for both
    (10, 20, 9, FAST_BPS, 9, Outcome.RESET, (Part(9, 10_000_000, 20, 9),)),
    (10, 20, 9, FAST_BPS, -9, Outcome.WRAP, (Part(0, 10_000_000, 30, 4),)),
])
def test_wraps(  # noqa: PLR0917  the columns of the table
    seconds: int, total_in: int, total_out: int, line_rate_bps: int | None, since_us: int | None,
    outcome: Outcome, parts: tuple[Part, ...],
) -> None:
    step = advance(STATE_32, Reading(seconds * 10**6, total_in, total_out, 32, since_us, line_rate_bps))
    assert (step.outcome, step.parts) == (outcome, parts)


def test_a_64_bit_counter_does_not_wrap() -> None:
    state = State(0, 2**64 - 1, 0, 64, in_at_us=0, out_at_us=0)
    assert advance(state, Reading(10**6, 5, 0, line_rate_bps=10**13)).parts == ()


@pytest.mark.parametrize("since_us", [None, 1])
def test_the_first_reading_bills_nothing(since_us: int | None) -> None:
    step = advance(None, Reading(100, 5, None, since_us=since_us))
    assert step == Advance(Outcome.FIRST, State(100, 5, None, 64, in_at_us=100))


def test_directions_that_come_apart_keep_their_own_times() -> None:
    state = advance(None, Reading(100, 5, None)).state
    state = advance(state, Reading(100, None, 7)).state
    state = advance(state, Reading(200, 6, None)).state
    step = advance(state, Reading(150, None, 9))
    assert (step.outcome, step.parts) == (Outcome.DELTA, (Part(100, 150, None, 2),))
    step = advance(step.state, Reading(300, 16, 29))
    assert step.parts == (Part(200, 300, 10, None), Part(150, 300, None, 20))
    assert step.state == State(300, 16, 29, 64, in_at_us=300, out_at_us=300)


def test_since_is_judged_by_each_directions_own_last_reading() -> None:
    state = State(200, 5, 7, 64, in_at_us=100, out_at_us=200)
    step = advance(state, Reading(300, 50, 70, since_us=150))
    assert step.parts == (Part(150, 300, 50, None), Part(200, 300, None, 63))


def test_a_direction_that_was_not_read_at_a_reset_starts_anew() -> None:
    step = advance(STATE, Reading(200, 4, None))
    assert step.state == State(200, 4, None, 64, epoch=4, in_at_us=200, out_at_us=100)
    late = advance(step.state, Reading(300, 5, 1000))
    assert late.parts == (Part(200, 300, 1, None),)
    assert late.state == State(300, 5, 1000, 64, epoch=4, in_at_us=300, out_at_us=300)
    assert advance(step.state, Reading(100, None, 60)).outcome is Outcome.OUT_OF_ORDER


def test_a_state_without_times_of_its_own_was_read_whole() -> None:
    assert advance(State(100, 5, 7, 64), Reading(200, 6, 9)).parts == (Part(100, 200, 1, 2),)
