"""A clock that stands still until the test moves it."""

from __future__ import annotations


class HandClock:
    """The Clock port by hand."""

    def __init__(self, at_us: int) -> None:
        self.at_us = at_us

    def now_us(self) -> int:
        return self.at_us
