"""Usage by window and group: the question that every dialect asks in its own words."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.domain.units import DAY_S
from weighbridge.measurement import SlotFlag
from weighbridge.ports import MAX_EDGES, STEPS_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weighbridge.domain.timegrid import Window
    from weighbridge.ports import Members, Sums, UsageStore
    from weighbridge.reports.selection import GroupKey, Selected

MAX_ROWS = 100_000
"""Most rows of one answer: some 15 MB of JSON and a third of a second of work."""
WEEK_S = 7 * DAY_S
"""Windows from this length on that do not lie on UTC days are asked one by one: their body then comes from the day tier
instead of from hundreds of hours each."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What moved: exact sums; None where usage is known but this amount of it is not; zeros where nothing moved."""

    bytes_in: int | None = 0
    bytes_out: int | None = 0
    requests: int | None = 0
    flags: int = 0
    known: bool = False  # whether anything at all was stored here

    def plus(self, other: Amounts) -> Amounts:
        """The sum of both; what only one of them knows is that one's."""
        if not self.known or not other.known:
            return other if other.known else self
        return Amounts(
            add(self.bytes_in, other.bytes_in),
            add(self.bytes_out, other.bytes_out),
            add(self.requests, other.requests),
            self.flags | other.flags,
            known=True,
        )


NOTHING = Amounts()


def add(left: int | None, right: int | None) -> int | None:
    """The sum of what is known; None where neither is."""
    if left is None or right is None:
        return right if left is None else left
    return left + right


@dataclass(frozen=True, slots=True)
class Usage:
    """What moved in each window for each group. `amounts` is by (index of the key, index of the window)."""

    windows: Sequence[Window]
    keys: tuple[GroupKey, ...]
    listed: tuple[int, ...]  # indexes of the keys that have rows, ascending
    amounts: dict[tuple[int, int], Amounts]

    @property
    def is_estimated(self) -> bool:
        """Whether a part of it was spread over a gap (law 12) or scaled up from a sample (law 21)."""
        return any(amounts.flags & SlotFlag.ESTIMATED for amounts in self.amounts.values())

    def rows(self) -> Iterator[tuple[Window, GroupKey, Amounts]]:
        """Every window for every listed group, ordered by start, then key; zeros where nothing moved."""
        for index, window in enumerate(self.windows):
            for group in self.listed:
                yield window, self.keys[group], self.amounts.get((group, index), NOTHING)


def usage(store: UsageStore, selected: Selected, windows: Sequence[Window]) -> Usage:
    """Sums of the members by group and window. Windows are as in `sum_windows`.

    Keys of `selected.absent` are listed only where something moved. OutOfRangeError: more than MAX_ROWS rows.
    """
    _check_rows(len(windows), len(selected.keys) - len(selected.absent))
    amounts = sum_windows(store, selected.members, windows)
    moved = {group for group, _ in amounts} if selected.absent else set()
    listed = tuple(i for i in range(len(selected.keys)) if i not in selected.absent or i in moved)
    _check_rows(len(windows), len(listed))
    return Usage(windows, selected.keys, listed, amounts)


def _check_rows(windows: int, groups: int) -> None:
    if windows * groups > MAX_ROWS:
        detail = (
            f"the answer would have {windows} windows for each of {groups} groups, and {MAX_ROWS} rows are the most;"
            " ask for a shorter range, longer windows, fewer keys in group_by, or fewer things"
        )
        raise OutOfRangeError(detail, where="window")


def sum_windows(
    store: UsageStore, members: Members, windows: Sequence[Window]
) -> dict[tuple[int, int], Amounts]:
    """Sums by (group, index of the window). Windows adjoin, ascending, on multiples of 300 s. Empty ones are absent."""
    if not windows or not members.series:
        return {}
    edges = [window.start_s for window in windows[1:]]
    step_s = _step(edges)
    if step_s == DAY_S and 1 < len(windows) < MAX_EDGES and windows[-1].start_s - windows[0].start_s > DAY_S * len(windows):
        bounds = [windows[0].start_s, *edges, windows[-1].end_s]
        return _by_window(store.sums_between(members, bounds), bounds)
    if step_s != DAY_S and edges and min(w.end_s - w.start_s for w in windows[1:-1] or windows) >= WEEK_S:
        return _sum_each(store, members, windows)
    sums = store.sums(members, windows[0].start_s, windows[-1].end_s, step_s)
    return _by_window(sums, [window.start_s for window in windows])


def _by_window(sums: Sums, starts: list[int]) -> dict[tuple[int, int], Amounts]:
    """A store's buckets, each added to the window that it starts in."""
    found: dict[tuple[int, int], Amounts] = {}
    for group, start_s, amounts in rows_of(sums):
        place = (group, max(bisect_right(starts, start_s) - 1, 0))
        found[place] = found[place].plus(amounts) if place in found else amounts
    return found


def _step(edges: list[int]) -> int:
    """The longest bucket that no inner edge cuts."""
    if not edges:
        return 0
    return next(step_s for step_s in reversed(STEPS_S) if all(edge % step_s == 0 for edge in edges))


def _sum_each(store: UsageStore, members: Members, windows: Sequence[Window]) -> dict[tuple[int, int], Amounts]:
    found = {}
    for index, window in enumerate(windows):
        for group, _, amounts in rows_of(store.sums(members, window.start_s, window.end_s, 0)):
            found[group, index] = amounts
    return found


def rows_of(sums: Sums) -> list[tuple[int, int, Amounts]]:
    """The parallel columns of a store's answer as (group, bucket start, amounts)."""
    columns = zip(sums.group, sums.start_s, sums.bytes_in, sums.bytes_out, sums.requests, sums.flags, strict=True)
    return [(g, start_s, Amounts(i, o, r, flags, known=True)) for g, start_s, i, o, r, flags in columns]


def total(store: UsageStore, members: Members, start_s: int, end_s: int) -> Amounts:
    """Everything of all groups over [start_s, end_s), both multiples of 300 s."""
    amounts = NOTHING
    if start_s < end_s and members.series:
        for _, _, part in rows_of(store.sums(members, start_s, end_s, 0)):
            amounts = amounts.plus(part)
    return amounts
