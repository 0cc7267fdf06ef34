"""Law 12 (and 1): spreading conserves every byte, by largest remainder, ties to the earlier slot."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from laws import referee
from weighbridge.domain.spread import spread

STARTS_US = st.integers(63_072_000_000_000, 4_000_000_000_000_000)
SPANS_US = st.one_of(st.integers(0, 10_000_000_000), st.sampled_from([1, 300_000_000, 1_800_000_000, 86_400_000_000]))
AMOUNTS = st.one_of(st.integers(0, 40), st.integers(0, 2**64), st.just(2**53 - 1))


@settings(max_examples=250, deadline=None)
@given(amount=AMOUNTS, start_us=STARTS_US, span_us=SPANS_US, step_s=st.sampled_from([300, 1800, 86_400]))
@example(amount=1, start_us=63_072_150_000_000, span_us=300_000_000, step_s=300)  # two halves: the earlier slot has it
@example(amount=2, start_us=63_072_000_000_000, span_us=900_000_000, step_s=300)
def test_parts_are_those_of_exact_fractions(amount: int, start_us: int, span_us: int, step_s: int) -> None:
    parts = spread(amount, start_us, start_us + span_us, step_s)
    assert parts == referee.spread(amount, start_us, start_us + span_us, step_s)


@settings(max_examples=60, deadline=None)
@given(amount=AMOUNTS, start_us=STARTS_US, days=st.integers(1, 400))
def test_long_gaps_conserve_every_byte_and_stay_even(amount: int, start_us: int, days: int) -> None:
    parts = spread(amount, start_us, start_us + days * 86_400_000_000)
    assert referee.total(parts) == amount
    inner = [part for _, part in parts[1:-1]]
    assert max(inner) - min(inner) <= 1


@settings(max_examples=100, deadline=None)
@given(start_us=STARTS_US, span_us=SPANS_US, step_s=st.sampled_from([300, 1800]))
def test_slots_are_aligned_half_open_and_without_gap(start_us: int, span_us: int, step_s: int) -> None:
    """Law 1: aligned to the epoch; an end on the boundary touches no further slot."""
    starts_s = [slot_s for slot_s, _ in spread(7, start_us, start_us + span_us, step_s)]
    assert starts_s == list(range(starts_s[0], starts_s[-1] + step_s, step_s))
    assert starts_s[0] % step_s == 0
    assert starts_s[0] * 1_000_000 <= start_us < (starts_s[0] + step_s) * 1_000_000
    if span_us:
        assert starts_s[-1] * 1_000_000 < start_us + span_us <= (starts_s[-1] + step_s) * 1_000_000
    else:
        assert len(starts_s) == 1
