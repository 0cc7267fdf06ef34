"""Laws 8 to 14: what counters say, refereed by a device that really counts and a witness who saw every byte."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws.referee import Device
from weighbridge.domain.counters import Advance, Outcome, Reading, State, advance
from weighbridge.domain.spread import spread

SECOND_US = 1_000_000
LINE_RATE_BPS = 10_000_000  # 2^32 bytes take 3436 s, longer than the 20 steps of a minute below
BYTES_A_SECOND = LINE_RATE_BPS // 8


@dataclass(frozen=True)
class Step:
    """Some seconds of traffic (as shares of what the line carries, in percent), perhaps a reset, then a reading."""

    seconds: int
    share_in: int
    share_out: int
    reset: bool
    read_in: bool
    read_out: bool


def steps(*, resets: bool, apart: bool) -> st.SearchStrategy[list[Step]]:
    maybe = st.booleans()
    return st.lists(st.builds(
        Step, seconds=st.integers(3, 60), share_in=st.integers(0, 100), share_out=st.integers(0, 100),
        reset=st.integers(0, 3).map(lambda n: n == 0) if resets else st.just(value=False),
        read_in=maybe if apart else st.just(value=True), read_out=maybe if apart else st.just(value=True),
    ), min_size=1, max_size=20)


@dataclass
class Run:
    """What a device did, what was read off it, and when it was reset."""

    inward: Device
    outward: Device
    readings: list[Reading]
    resets_us: list[int]


def play(script: list[Step], *, bits: int, start: int, line_rate_bps: int | None, tell_since: bool) -> Run:
    inward, outward = Device(bits, start % 2**bits), Device(bits, (start * 7) % 2**bits)
    run, at_us = Run(inward, outward, [], []), 10**15
    inward.started_us = outward.started_us = at_us - SECOND_US
    for step in script:
        third_us = step.seconds * SECOND_US // 3
        for k in range(1, 3):
            inward.count(at_us + k * third_us - 1, step.seconds * BYTES_A_SECOND * step.share_in // 200)
            outward.count(at_us + k * third_us - 1, step.seconds * BYTES_A_SECOND * step.share_out // 200)
            if step.reset and k == 1:
                run.resets_us.append(at_us + third_us)
                inward.reset(run.resets_us[-1])
                outward.reset(run.resets_us[-1])
        at_us += step.seconds * SECOND_US
        run.readings.append(Reading(
            at_us, inward.value if step.read_in else None, outward.value if step.read_out else None, bits,
            since_us=inward.started_us if tell_since else None, line_rate_bps=line_rate_bps))
    return run


def follow(readings: list[Reading]) -> tuple[State | None, list[Advance]]:
    state, advances = None, []
    for reading in readings:
        advances.append(advance(state, reading))
        state = advances[-1].state or state
    return state, advances


def counted(advances: list[Advance]) -> tuple[int, int]:
    parts = [part for step in advances for part in step.parts]
    assert all(part.start_us < part.end_us for part in parts)
    assert all(amount is None or amount >= 0 for part in parts for amount in (part.bytes_in, part.bytes_out))
    return sum(part.bytes_in or 0 for part in parts), sum(part.bytes_out or 0 for part in parts)


def provable(device: Device, times_us: list[int], resets_us: list[int]) -> int:
    """What readings at these times prove: all since the reading before, or since the last reset after it."""
    return sum(device.seen(max([before_us, *(at_us for at_us in resets_us if before_us < at_us < now_us)]), now_us)
               for before_us, now_us in pairwise(times_us))


def times(run: Run) -> tuple[list[int], list[int]]:
    return ([reading.at_us for reading in run.readings if reading.bytes_in_total is not None],
            [reading.at_us for reading in run.readings if reading.bytes_out_total is not None])


STARTS = st.one_of(st.just(0), st.integers(0, 2**32 - 1), st.integers(2**32 - 10**8, 2**32 - 1))


@settings(max_examples=150, deadline=None)
@given(script=steps(resets=False, apart=True), bits=st.sampled_from([32, 64]), start=STARTS)
def test_laws_8_9_12_a_counter_that_lived_on_counts_every_byte_between_readings(
    script: list[Step], bits: int, start: int,
) -> None:
    run = play(script, bits=bits, start=start, line_rate_bps=LINE_RATE_BPS, tell_since=False)
    state, advances = follow(run.readings)
    expected = tuple(device.seen(read_us[0], read_us[-1]) if read_us else 0
                     for device, read_us in zip((run.inward, run.outward), times(run), strict=True))
    assert counted(advances) == expected
    assert state is None or state.epoch == 0


@settings(max_examples=200, deadline=None)
@given(script=steps(resets=True, apart=True), bits=st.sampled_from([32, 64]), start=STARTS)
def test_law_11_with_since_everything_that_can_be_proven_counts(script: list[Step], bits: int, start: int) -> None:
    run = play(script, bits=bits, start=start, line_rate_bps=LINE_RATE_BPS, tell_since=True)
    _, advances = follow(run.readings)
    expected = tuple(provable(device, read_us, run.resets_us)
                     for device, read_us in zip((run.inward, run.outward), times(run), strict=True))
    assert counted(advances) == expected


@settings(max_examples=150, deadline=None)
@given(script=steps(resets=True, apart=True), start=st.integers(0, 10**9))
def test_law_11_without_since_nothing_is_invented(script: list[Step], start: int) -> None:
    run = play(script, bits=64, start=start, line_rate_bps=LINE_RATE_BPS, tell_since=False)
    _, advances = follow(run.readings)
    for amount, device, read_us in zip(counted(advances), (run.inward, run.outward), times(run), strict=True):
        assert amount <= (device.seen(read_us[0], read_us[-1]) if read_us else 0)


@settings(max_examples=150, deadline=None)
@given(totals=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_laws_8_9_11_a_64_bit_decrease_in_either_direction_counts_nothing_in_both(
    totals: list[tuple[int, int]],
) -> None:
    _, advances = follow([Reading(k, *pair, line_rate_bps=10**12) for k, pair in enumerate(totals)])
    assert advances[0].outcome is Outcome.FIRST
    assert advances[0].parts == ()
    for (old, new), step in zip(pairwise(totals), advances[1:], strict=True):
        grown = (new[0] - old[0], new[1] - old[1])
        if min(grown) < 0:
            assert (step.outcome, step.parts) == (Outcome.RESET, ())
        else:
            assert step.outcome is Outcome.DELTA
            assert [(part.bytes_in, part.bytes_out) for part in step.parts] == [grown]


@settings(max_examples=150, deadline=None)
@given(old=st.integers(0, 2**32 - 1), new=st.integers(0, 2**32 - 1), seconds=st.integers(1, 7200),
       line_rate_bps=st.one_of(st.none(), st.integers(0, 10**10)), bits=st.sampled_from([32, 64]))
def test_law_9_a_decrease_is_a_wrap_only_where_the_line_could_have_carried_it(
    old: int, new: int, seconds: int, line_rate_bps: int | None, bits: int,
) -> None:
    _, (_, step) = follow([Reading(0, old, None, bits),
                           Reading(seconds * SECOND_US, new, None, bits, line_rate_bps=line_rate_bps)])
    if new >= old:
        assert step.outcome is Outcome.DELTA
        return
    could = line_rate_bps or 0
    wrap_s = Fraction(2**32 * 8, could) if could else 0
    fits = bits == 32 and (2**32 - old + new) * 8 <= could * seconds and seconds < wrap_s
    assert step.outcome is (Outcome.WRAP if fits else Outcome.RESET)
    assert [part.bytes_in for part in step.parts] == ([2**32 - old + new] if fits else [])


@settings(max_examples=60, deadline=None)
@given(old=st.integers(0, 100), new=st.integers(0, 200), since_us=st.one_of(st.none(), st.integers(-5, 15)))
def test_law_9_another_width_is_another_counter(old: int, new: int, since_us: int | None) -> None:
    state, (_, step) = follow([Reading(0, old, old, 32), Reading(10, new, new, 64, since_us=since_us)])
    assert (step.outcome, step.parts) == (Outcome.WIDTH_CHANGED, ())
    assert state is not None
    assert (state.epoch, state.bits, state.bytes_in_total) == (1, 64, new)


@settings(max_examples=100, deadline=None)
@given(script=steps(resets=False, apart=False), failed=st.sets(st.integers(1, 18)))
def test_law_10_a_failed_read_is_absence(script: list[Step], failed: set[int]) -> None:
    """Polls that failed change neither the state nor the total; the next good one covers their time."""
    run = play(script, bits=64, start=5, line_rate_bps=None, tell_since=True)
    last = len(run.readings) - 1
    kept = [reading for k, reading in enumerate(run.readings) if k == last or k not in failed]
    empty = [reading if k == last or k not in failed else Reading(reading.at_us, None, None, 64, reading.since_us)
             for k, reading in enumerate(run.readings)]
    state, advances = follow(run.readings)
    with_empty, advances_with_empty = follow(empty)
    assert counted(advances) == counted(follow(kept)[1]) == counted(advances_with_empty)
    assert state == with_empty
    assert {step.outcome for step in advances_with_empty} <= {Outcome.FIRST, Outcome.DELTA, Outcome.ABSENT}


@settings(max_examples=100, deadline=None)
@given(script=steps(resets=True, apart=False))
def test_law_12_parts_lie_between_readings_and_spreading_them_loses_nothing(script: list[Step]) -> None:
    run = play(script, bits=64, start=0, line_rate_bps=None, tell_since=True)
    _, advances = follow(run.readings)
    spread_in = 0
    for before, now, step in zip(run.readings, run.readings[1:], advances[1:], strict=False):
        (part,) = step.parts
        reset_us = [at_us for at_us in run.resets_us if before.at_us < at_us < now.at_us]
        assert (part.start_us, part.end_us) == ((reset_us or [before.at_us])[-1], now.at_us)
        assert part.bytes_in is not None
        spread_in += sum(amount for _, amount in spread(part.bytes_in, part.start_us, part.end_us))
    assert spread_in == counted(advances)[0]


@settings(max_examples=100, deadline=None)
@given(script=steps(resets=True, apart=True), data=st.data())
def test_law_13_once_more_is_a_duplicate_and_another_value_a_conflict(script: list[Step], data: st.DataObject) -> None:
    state = None
    for reading in play(script, bits=64, start=3, line_rate_bps=None, tell_since=True).readings:
        step = advance(state, reading)
        state = step.state or state
        again = advance(state, reading)
        nothing_read = reading.bytes_in_total is None and reading.bytes_out_total is None
        assert again == Advance(Outcome.ABSENT if nothing_read else Outcome.DUPLICATE, None)
        if reading.bytes_in_total is not None:
            other = reading.bytes_in_total + data.draw(st.sampled_from([-1, 1, 1000]))
            assert advance(state, Reading(reading.at_us, other, reading.bytes_out_total)) == (
                Advance(Outcome.CONFLICT, None))
            assert advance(state, Reading(reading.at_us - 1, other, None)) == Advance(Outcome.OUT_OF_ORDER, None)


@settings(max_examples=100, deadline=None)
@given(script=steps(resets=True, apart=False))
def test_law_14_an_epoch_ends_with_a_reset_and_with_nothing_else(script: list[Step]) -> None:
    run = play(script, bits=64, start=0, line_rate_bps=None, tell_since=True)
    state, _ = follow(run.readings)
    assert state is not None
    noticed = [any(before.at_us < at_us < now.at_us for at_us in run.resets_us)
               for before, now in pairwise(run.readings)]
    assert state.epoch == sum(noticed)


@pytest.mark.parametrize("apart", [False, True])
def test_law_14_a_reset_that_the_directions_report_apart_is_one(*, apart: bool) -> None:
    together = [Reading(0, 50, 60), Reading(10, 5, 6, since_us=4)]
    one_by_one = [Reading(0, 50, 60), Reading(10, 5, None, since_us=4), Reading(10, None, 6, since_us=4)]
    state, advances = follow(one_by_one if apart else together)
    assert counted(advances) == (5, 6)
    assert state is not None
    assert state.epoch == 1
