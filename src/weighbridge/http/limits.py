"""How often a key may call an endpoint: an exact sliding window."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from weighbridge.http.failures import RateLimitedError
from weighbridge.http.route import RateState

if TYPE_CHECKING:
    from collections.abc import Hashable

    from weighbridge.http.route import RateLimit

MAX_TRACKED = 100_000
"""Pairs of key and endpoint whose calls are remembered; the one that called longest ago is forgotten first."""


class RateLimiter:
    """Remembers the instants of the calls of the last window, at most `calls` of them per key and endpoint.

    Used from the event loop only, so without a lock. Refused calls don't count.
    """

    def __init__(self, *, max_tracked: int = MAX_TRACKED) -> None:
        self._calls: OrderedDict[tuple[str, Hashable], deque[int]] = OrderedDict()
        self._max_tracked = max_tracked

    def take(self, key_id: str, endpoint: Hashable, rate: RateLimit, now_us: int) -> tuple[RateState, bool]:
        """How the key stands after this call, and whether the call is allowed.

        In every stretch of `window_s` seconds at most `calls` are allowed. Where the clock steps back, instants of the
        future count as now, so that nobody waits longer than a window.
        """
        tracked = (key_id, endpoint)
        calls = self._calls.get(tracked)
        if calls is None:
            calls = self._calls[tracked] = deque()
            if len(self._calls) > self._max_tracked:
                self._calls.popitem(last=False)
        else:
            self._calls.move_to_end(tracked)
        window_us = rate.window_s * 1_000_000
        if calls and calls[-1] > now_us:
            calls = self._calls[tracked] = deque(min(at_us, now_us) for at_us in calls)
        while calls and calls[0] <= now_us - window_us:
            calls.popleft()
        allowed = len(calls) < rate.calls
        if allowed:
            calls.append(now_us)
        frees_at_us = (calls[0] if calls else now_us) + window_us
        remaining = max(0, rate.calls - len(calls))
        return RateState(rate.calls, rate.window_s, remaining, -(-frees_at_us // 1_000_000)), allowed


def refusal(state: RateState, now_us: int) -> RateLimitedError:
    """The error of a call that was not allowed, with the whole seconds until the next one is."""
    wait_s = max(1, -(-(state.reset_at_s * 1_000_000 - now_us) // 1_000_000))
    return RateLimitedError(min(wait_s, state.window_s), state.limit, state.window_s)
