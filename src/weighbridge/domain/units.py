"""Units and the ways to round. Bytes and instants are integers; a float is made last, for show (law 17)."""

from __future__ import annotations

SLOT_S = 300
"""Length of the finest slot that is kept, in seconds."""
BILLING_SLOT_S = 1800
"""Length of the slot that 95th percentiles are taken over, in seconds."""
DAY_S = 86_400
"""Length of a UTC day, in seconds."""
GB = 10**9
TB = 10**12
MBPS = 10**6


def round_half_up(numerator: int, denominator: int) -> int:
    """Return the integer nearest to the quotient, exact halves upwards; `denominator` is positive."""
    return (2 * numerator + denominator) // (2 * denominator)


def gb(bytes_: int) -> int:
    """Return whole decimal gigabytes, half up."""
    return round_half_up(bytes_, GB)


def bits_per_second(bytes_: int, seconds: int) -> int:
    """Return the mean rate in whole bits a second, half up; 0 over no time."""
    return round_half_up(bytes_ * 8, seconds) if seconds > 0 else 0


def mbps(bytes_: int, seconds: int) -> float:
    """Return the mean rate in megabits (10^6) a second to 2 decimals, half up from integers; 0.0 over no time."""
    return round_half_up(bytes_ * 8 * 100, seconds * MBPS) / 100 if seconds > 0 else 0.0
