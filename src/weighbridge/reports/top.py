"""The few that moved most, and all the rest in one sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.errors import InvalidInputError
from weighbridge.reports.usage import NOTHING, Amounts, add, sum_windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.domain.timegrid import Window
    from weighbridge.ports import UsageStore
    from weighbridge.reports.selection import GroupKey, Selected

METRICS = ("bytes", "bytes_in", "bytes_out", "requests")
"""What one can be first in; `bytes` is in plus out."""


@dataclass(frozen=True, slots=True)
class Top:
    """The first ones, most first, and the sum of everything else (zeros when all fit)."""

    items: tuple[tuple[GroupKey, Amounts], ...]
    other: Amounts


def measure(amounts: Amounts, metric: str) -> int | None:
    """The figure that a metric of METRICS stands for; None where it is not known. InvalidInputError: no such metric."""
    if metric == "bytes":
        return add(amounts.bytes_in, amounts.bytes_out)
    if metric == "bytes_in":
        return amounts.bytes_in
    if metric == "bytes_out":
        return amounts.bytes_out
    if metric == "requests":
        return amounts.requests
    raise InvalidInputError(f"no metric {metric[:40]!r}; there are {', '.join(METRICS)}", where="metric")


def top(store: UsageStore, selected: Selected, window: Window, metric: str, limit: int) -> Top:
    """The first `limit` groups of a window on multiples of 300 s. What belongs to nothing counts as other."""
    sums = sum_windows(store, selected.members, [window] if window.start_s < window.end_s else [])
    return first({selected.keys[group]: moved for (group, _), moved in sums.items()}, metric, limit)


def first(amounts: Mapping[GroupKey, Amounts], metric: str, limit: int) -> Top:
    """The `limit` groups with the largest figure, where anything moved at all; of equals the smaller key first.

    A figure that is not known comes behind zero. A key with a null in it is never an item: it is part of `other`.
    """
    measured = {key: measure(moved, metric) for key, moved in amounts.items()}
    candidates = [key for key, moved in amounts.items() if moved.known and None not in key]
    # Keys of one call have the same types in the same places, so they compare.
    candidates.sort()
    candidates.sort(key=lambda key: -1 if (figure := measured[key]) is None else figure, reverse=True)
    chosen = candidates[:limit]
    rest = amounts.keys() - set(chosen)
    other = NOTHING
    for key in rest:
        other = other.plus(amounts[key])
    return Top(tuple((key, amounts[key]) for key in chosen), other)
