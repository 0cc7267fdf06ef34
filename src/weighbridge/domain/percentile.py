"""The percentile that is billed: nearest rank over the sums of slots, in integers (laws 1 to 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.errors import InvalidInputError, OutOfRangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

METHODS = ("max_of_p95", "in", "out", "p95_of_sum", "p95_of_slot_max")
"""What a contract may bill (law 6); the first is the default."""


@dataclass(frozen=True, slots=True)
class Pick:
    """The slot that a percentile picked.

    `value` is its amount, in the unit of what was given; `rank` counts from 1, ascending; `slots` = n; `discarded` are
    the slots ranked above it; `index` is the position of the earliest slot of that value, None where there are none.
    """

    value: int
    rank: int
    slots: int
    discarded: int
    index: int | None


def rank(n: int, p: int = 95) -> int:
    """Return the 1-based rank of the p-th percentile among n ascending slots: 0 for none, else 1 to n.

    `p` outside 1 to 99 is an OutOfRangeError.
    """
    if not 1 <= p <= 99:  # noqa: PLR2004  the bounds are the sentence
        detail = f"p is {p}; it goes from 1 to 99"
        raise OutOfRangeError(detail, where="p")
    return n - n * (100 - p) // 100


def nearest_rank(values: Sequence[int], p: int = 95) -> Pick:
    """Return the p-th percentile of the slots' amounts, in the order of their times; without slots 0 at rank 0."""
    n = len(values)
    place = rank(n, p)
    if n == 0:
        return Pick(value=0, rank=0, slots=0, discarded=0, index=None)
    value = sorted(values)[place - 1]
    return Pick(value=value, rank=place, slots=n, discarded=n - place, index=values.index(value))


def billed(in_values: Sequence[int], out_values: Sequence[int], method: str = METHODS[0], p: int = 95) -> Pick:
    """Return the pick that a contract bills by one of METHODS, from the same slots of both directions.

    `max_of_p95` is the larger of the two directions' percentiles (in, if equal). An unknown method is an
    InvalidInputError.
    """
    if len(in_values) != len(out_values):
        detail = f"{len(in_values)} slots in but {len(out_values)} out: they must be the same slots"
        raise InvalidInputError(detail)
    if method == "in":
        return nearest_rank(in_values, p)
    if method == "out":
        return nearest_rank(out_values, p)
    if method == "p95_of_sum":
        return nearest_rank([a + b for a, b in zip(in_values, out_values, strict=True)], p)
    if method == "p95_of_slot_max":
        return nearest_rank([max(a, b) for a, b in zip(in_values, out_values, strict=True)], p)
    if method == "max_of_p95":
        return max(nearest_rank(in_values, p), nearest_rank(out_values, p), key=lambda pick: pick.value)
    detail = f"no billing method {method!r}; there are {', '.join(METHODS)}"
    raise InvalidInputError(detail, where="method")
