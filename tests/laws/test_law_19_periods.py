"""Law 19, the part without stores: periods run from billing day to billing day, without drift, gap or overlap."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from laws import referee
from laws.zones import moments
from weighbridge.domain.periods import billing_period
from weighbridge.domain.timegrid import local, zone


@settings(max_examples=120, deadline=None)
@given(moment=moments(), billing_day=st.integers(1, 31))
@example(moment=("America/Sao_Paulo", 1_541_300_400), billing_day=4)  # the 4th has no midnight
@example(moment=("Pacific/Apia", 1_325_239_200), billing_day=30)      # the 30th was skipped
def test_periods_are_those_of_a_walk_through_the_calendar(moment: tuple[str, int], billing_day: int) -> None:
    name, at_s = moment
    tz = zone(name)
    first = local(at_s, tz).date() - dt.timedelta(days=70)
    starts_s = [referee.first_slot_of(date, tz) for date in referee.billing_dates(first, 140, billing_day)]
    (expected,) = [pair for pair in pairwise(starts_s) if pair[0] <= at_s < pair[1]]
    assert billing_period(at_s, billing_day, tz) == expected


@settings(max_examples=60, deadline=None)
@given(moment=moments(), billing_day=st.integers(1, 31), months=st.integers(1, 30))
def test_periods_follow_each_other_and_never_drift(moment: tuple[str, int], billing_day: int, months: int) -> None:
    name, at_s = moment
    tz = zone(name)
    period = billing_period(at_s, billing_day, tz)
    assert period.start_s <= at_s < period.end_s
    for _ in range(months):
        following = billing_period(period.end_s, billing_day, tz)
        assert following.start_s == period.end_s
        assert billing_period(following.start_s - 1, billing_day, tz) == period
        period = following
