"""Laws 1 to 7: which slot is the 95th percentile, out of which slots, and what its rate is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laws import referee
from weighbridge.domain import percentile as domain
from weighbridge.domain.timegrid import ceil, floor
from weighbridge.domain.units import bits_per_second, gb, mbps
from weighbridge.reports.percentile import slot_range

VALUES = st.lists(st.one_of(st.integers(0, 5), st.integers(0, 2**70)), max_size=120)
PS = st.integers(1, 99)
INSTANTS_S = st.integers(63_072_000, 4_000_000_000)


@settings(max_examples=150, deadline=None)
@given(at_s=INSTANTS_S, step_s=st.sampled_from([300, 1800, 86_400]))
def test_law_1_slots_are_aligned_to_the_epoch(at_s: int, step_s: int) -> None:
    assert floor(at_s, step_s) % step_s == ceil(at_s, step_s) % step_s == 0
    assert 0 <= at_s - floor(at_s, step_s) < step_s
    assert 0 <= ceil(at_s, step_s) - at_s < step_s


@settings(max_examples=100, deadline=None)
@given(data=st.data(), members=st.integers(1, 6), slots=st.integers(1, 60))
def test_law_2_sums_come_first_however_members_are_grouped(data: st.DataObject, members: int, slots: int) -> None:
    rows = [data.draw(st.lists(st.integers(0, 50), min_size=slots, max_size=slots)) for _ in range(members)]
    cut = data.draw(st.integers(0, members))
    project, other = ([sum(column) for column in zip(*part, strict=True)] or [0] * slots
                      for part in (rows[:cut], rows[cut:]))
    organization = [a + b for a, b in zip(project, other, strict=True)]
    whole = domain.nearest_rank([sum(column) for column in zip(*rows, strict=True)])
    assert domain.nearest_rank(organization) == whole
    assert whole.value == referee.percentile(organization, 95)


def test_law_2_the_sum_of_percentiles_is_another_number() -> None:
    day, night = [100] * 10 + [0] * 10, [0] * 10 + [100] * 10
    together = [a + b for a, b in zip(day, night, strict=True)]
    parts = domain.nearest_rank(day).value + domain.nearest_rank(night).value
    assert (domain.nearest_rank(together).value, parts) == (100, 200)


@settings(max_examples=300, deadline=None)
@given(values=VALUES, p=PS)
@example(values=list(range(1440)), p=95)
@example(values=[7] * 20, p=95)
def test_law_3_nearest_rank(values: list[int], p: int) -> None:
    pick = domain.nearest_rank(values, p)
    assert pick.value == referee.percentile(values, p)
    assert pick.rank + pick.discarded == pick.slots == len(values)
    assert pick.discarded == len(values) * (100 - p) // 100
    if values:
        assert sum(value < pick.value for value in values) < pick.rank <= sum(value <= pick.value for value in values)
        assert pick.index is not None
        assert values[pick.index] == pick.value
        assert pick.value not in values[:pick.index]


@settings(max_examples=200, deadline=None)
@given(start_s=INSTANTS_S, span_s=st.integers(-4000, 90_000), ago_s=st.integers(-90_000, 90_000),
       slot_s=st.sampled_from([300, 1800]))
def test_law_4_n_counts_the_slots_that_start_in_the_range_and_are_over(
    start_s: int, span_s: int, ago_s: int, slot_s: int,
) -> None:
    end_s, now_s = start_s + span_s, start_s + span_s + ago_s
    first_s = start_s - start_s % slot_s
    expected = [at_s for at_s in range(first_s, first_s + 200_000, slot_s) if at_s < end_s and at_s + slot_s <= now_s]
    slots = slot_range(start_s, end_s, now_s, slot_s)
    assert list(range(slots.start_s, slots.end_s, slots.slot_s)) == expected
    assert slots.count == len(expected)


@settings(max_examples=200, deadline=None)
@given(bytes_=st.integers(0, 2**60), seconds=st.sampled_from([1, 300, 1800, 86_400, 90_000, 7]))
@example(bytes_=625 * 9, seconds=1)  # 0.045 Mbps: the half goes up
def test_law_5_rates_round_half_up_once(bytes_: int, seconds: int) -> None:
    rate_bps = Fraction(bytes_ * 8, seconds)
    assert bits_per_second(bytes_, seconds) == int(referee.half_up(rate_bps, 0))
    assert mbps(bytes_, seconds) == float(referee.half_up(rate_bps / 10**6, 2))
    assert gb(bytes_) == int(referee.half_up(Fraction(bytes_, 10**9), 0))


@settings(max_examples=150, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=80), p=PS)
def test_law_6_what_is_billed_is_the_contracts(pairs: list[tuple[int, int]], p: int) -> None:
    ins, outs = [a for a, _ in pairs], [b for _, b in pairs]
    expected = {
        "in": referee.percentile(ins, p),
        "out": referee.percentile(outs, p),
        "max_of_p95": max(referee.percentile(ins, p), referee.percentile(outs, p)),
        "p95_of_sum": referee.percentile([a + b for a, b in pairs], p),
        "p95_of_slot_max": referee.percentile([max(pair) for pair in pairs], p),
    }
    assert {method: domain.billed(ins, outs, method, p).value for method in domain.METHODS} == expected
    assert domain.billed(ins, outs, p=p) == domain.billed(ins, outs, "max_of_p95", p)


@settings(max_examples=150, deadline=None)
@given(values=st.lists(st.integers(0, 1000), min_size=6, max_size=60), p=PS)
def test_law_7_what_is_picked_is_the_amount_of_a_slot_never_a_mean(values: list[int], p: int) -> None:
    doubled = [2 * value + 1 for value in values]  # odd amounts: a mean or an interpolation would show as another one
    assert domain.nearest_rank(doubled, p).value in doubled


@pytest.mark.parametrize("slots", [1344, 1392, 1440, 1488])
def test_law_7_an_averaged_series_has_another_percentile(slots: int) -> None:
    """Full load in one slot of twelve is billed; means over twelve slots would bill a twelfth of it."""
    bursts = [1000 if i % 12 == 0 else 0 for i in range(slots)]
    means = [sum(bursts[i:i + 12]) // 12 for i in range(0, slots, 12)]
    assert domain.nearest_rank(bursts).value == 1000
    assert domain.nearest_rank(means).value == 83
