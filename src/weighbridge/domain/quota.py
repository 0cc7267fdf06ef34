"""Quotas: what was bought, what of it is used, in integers."""

from __future__ import annotations

from dataclasses import dataclass

from weighbridge.domain.units import TB


def total(granted: int, additional: int) -> int:
    """Return what a quota comes to, in the unit of its parts (TB or Mbps)."""
    return granted + additional


def tb_to_bytes(tb: int) -> int:
    """Return decimal terabytes as bytes."""
    return tb * TB


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of an allowance is used; both in one unit (bytes, requests, bits a second)."""

    total: int
    used: int

    @property
    def remaining(self) -> int:
        """What is left, never below 0."""
        return max(0, self.total - self.used)

    @property
    def over(self) -> int:
        """What was used beyond the total, never below 0."""
        return max(0, self.used - self.total)

    @property
    def exceeded(self) -> bool:
        """Whether more than the total is used; all of it exactly is not more."""
        return self.used > self.total

    @property
    def used_bp(self) -> int | None:
        """The used share in hundredths of a percent, rounded down so that 10000 is never early; None of nothing."""
        return self.used * 10_000 // self.total if self.total > 0 else None
