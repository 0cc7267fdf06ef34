from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.http.limits import RateLimiter, refusal
from weighbridge.http.route import RateLimit

SIXTY = RateLimit(60, 60)
SECOND_US = 1_000_000


def test_exactly_the_limit_and_then_no_more_until_the_first_call_is_a_window_old() -> None:
    limiter = RateLimiter()
    states = [limiter.take("k", "e", SIXTY, number * 100_000) for number in range(61)]
    assert [allowed for _, allowed in states] == [True] * 60 + [False]
    assert [state.remaining for state, _ in states] == [*range(59, -1, -1), 0]
    refused = refusal(states[-1][0], 6 * SECOND_US)
    assert (refused.retry_after_s, refused.limit, refused.window_s) == (54, 60, 60)
    assert not limiter.take("k", "e", SIXTY, 60 * SECOND_US - 1)[1]
    assert limiter.take("k", "e", SIXTY, 60 * SECOND_US)[1]
    assert not limiter.take("k", "e", SIXTY, 60 * SECOND_US)[1]


def test_keys_and_endpoints_are_counted_apart() -> None:
    limiter = RateLimiter()
    one = RateLimit(1, 1)
    assert limiter.take("k", "e", one, 0)[1]
    assert not limiter.take("k", "e", one, 0)[1]
    assert limiter.take("k", "f", one, 0)[1]
    assert limiter.take("l", "e", one, 0)[1]


def test_refused_calls_do_not_lengthen_the_wait() -> None:
    limiter = RateLimiter()
    one = RateLimit(1, 1)
    limiter.take("k", "e", one, 0)
    for at_us in range(0, SECOND_US, 100_000):
        assert not limiter.take("k", "e", one, at_us)[1]
    assert limiter.take("k", "e", one, SECOND_US)[1]


def test_a_clock_that_steps_back_makes_nobody_wait_longer_than_a_window() -> None:
    limiter = RateLimiter()
    one = RateLimit(1, 60)
    limiter.take("k", "e", one, 3600 * SECOND_US)
    state, allowed = limiter.take("k", "e", one, 0)
    assert not allowed
    assert refusal(state, 0).retry_after_s == 60
    assert limiter.take("k", "e", one, 60 * SECOND_US)[1]


def test_memory_is_bounded() -> None:
    limiter = RateLimiter(max_tracked=2)
    one = RateLimit(1, 60)
    for name in ("a", "b", "c"):
        limiter.take(name, "e", one, 0)
    assert limiter.take("a", "e", one, 1)[1]  # forgotten, since it called longest ago
    assert not limiter.take("c", "e", one, 1)[1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3 * SECOND_US), max_size=60), st.integers(1, 5), st.integers(1, 3))
def test_no_stretch_of_a_window_holds_more_than_the_limit_and_nothing_is_refused_without_need(
    gaps: list[int], calls: int, window_s: int
) -> None:
    limiter = RateLimiter()
    rate = RateLimit(calls, window_s)
    now_us = 0
    kept: deque[int] = deque()
    for gap in gaps:
        now_us += gap
        recent = [at_us for at_us in kept if at_us > now_us - window_s * SECOND_US]
        state, allowed = limiter.take("k", "e", rate, now_us)
        assert allowed == (len(recent) < calls)
        assert state.remaining == calls - len(recent) - allowed
        if allowed:
            kept.append(now_us)
        else:
            wait_s = refusal(state, now_us).retry_after_s
            assert recent[0] + window_s * SECOND_US <= now_us + wait_s * SECOND_US
            assert 1 <= wait_s <= window_s
