"""Spreading an amount over slots, exact to the byte (law 12)."""

from __future__ import annotations

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.domain.units import SLOT_S


def spread(amount: int, start_us: int, end_us: int, step_s: int = SLOT_S) -> list[tuple[int, int]]:
    """Return (slot start in seconds, part) for every slot that [start_us, end_us) touches; the parts sum to `amount`.

    Parts are in proportion to the time spent in each slot, by largest remainder, equal remainders to the earlier slot.
    Zeros are listed. An instant (end_us == start_us) falls whole into its slot. A negative amount or span is an
    OutOfRangeError.
    """
    if amount < 0 or end_us < start_us:
        detail = f"cannot spread {amount} over [{start_us}, {end_us}) µs: neither may be negative"
        raise OutOfRangeError(detail)
    step_us = step_s * 1_000_000
    first = start_us // step_us
    last = max(first, (end_us - 1) // step_us)
    if first == last:
        return [(first * step_s, amount)]
    head_us, tail_us = (first + 1) * step_us - start_us, end_us - last * step_us
    parts = _shares(amount, end_us - start_us, [(head_us, 1), (step_us, last - first - 1), (tail_us, 1)])
    return list(zip(range(first * step_s, (last + 1) * step_s, step_s), parts, strict=True))


def _shares(amount: int, total_us: int, runs: list[tuple[int, int]]) -> list[int]:
    """Return the parts of runs of equally long stretches, each (length, how many).

    Slots of one run have one quotient and one remainder, so what is left over goes to whole runs, never through a sort
    of every slot.
    """
    shares = [divmod(amount * length_us, total_us) for length_us, _ in runs]
    left = amount - sum(quotient * count for (quotient, _), (_, count) in zip(shares, runs, strict=True))
    extras = [0] * len(runs)
    for i in sorted(range(len(runs)), key=lambda i: -shares[i][1]):  # stable: of equals the earlier run
        extras[i] = min(left, runs[i][1])
        left -= extras[i]
    parts: list[int] = []
    for (quotient, _), (_, count), extra in zip(shares, runs, extras, strict=True):
        parts += [quotient + 1] * extra + [quotient] * (count - extra)
    return parts
