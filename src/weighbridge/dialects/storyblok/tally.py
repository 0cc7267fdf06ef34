"""Traffic of an organization's spaces by group: every sum that the answer shows, from few questions to the store.

Rows are read in chunks of bounded size and encoded chunk by chunk, so that 2,000 spaces by day over a year (730,000
rows) take the memory of their JSON and not of as many objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple

from weighbridge.dialects import exact_json
from weighbridge.dialects.storyblok.wire import GroupRow, SpaceRow
from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.units import DAY_S
from weighbridge.ports import Members
from weighbridge.reports.usage import add

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weighbridge.dialects.storyblok.groups import Group
    from weighbridge.ports import Sums, UsageStore

TOP_SPACES = 10
MAX_CELLS = 50_000
"""Pairs of space and group that one question may ask for: some 20 MB of Python integers at once."""
MAX_ROWS = 1_000_000
"""Raw rows of one answer, 80 MB of JSON: more than 2,000 spaces by day over a year."""


class Moved(NamedTuple):
    """What is known of one space, or of several, in one group; None where nobody knows."""

    requests: int | None = None
    bytes: int | None = None

    @property
    def anything(self) -> bool:
        """Whether something moved."""
        return bool(self.requests or self.bytes)

    @property
    def total_bytes(self) -> int | None:
        """The bytes as the vendor shows them: None only where requests are known and no bytes are."""
        if self.bytes is None and self.requests is None:
            return 0
        return self.bytes

    def amount(self, unit: str) -> int:
        """How much, in an organization's unit."""
        return (self.bytes if unit == "bytes" else self.requests) or 0

    def plus(self, other: Moved) -> Moved:
        """The sum of what is known of both."""
        return Moved(add(self.requests, other.requests), add(self.bytes, other.bytes))


Cell = tuple[int, int, Moved]
"""(index of the group, index of the space, what moved)"""


@dataclass(frozen=True, slots=True)
class Spaces:
    """Spaces by ascending id, and their series: `members.groups` are indexes into `ids`."""

    ids: tuple[int, ...]
    members: Members


@dataclass(slots=True)
class Tally:
    """The sums of an answer. `raw` is encoded JSON: the rows of all spaces, without the brackets around them."""

    cumulated: list[Moved]
    others: list[Moved]
    top: dict[int, list[GroupRow]] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)

    @property
    def total(self) -> Moved:
        """All groups together."""
        together = Moved()
        for moved in self.cumulated:
            together = together.plus(moved)
        return together


def tally(store: UsageStore, spaces: Spaces, groups: Sequence[Group], unit: str) -> Tally:
    """The sums of all groups; `unit` says what the top spaces are ranked by. InvalidInputError: more than MAX_ROWS."""
    found = Tally([Moved()] * len(groups), [Moved()] * len(groups))
    if not spaces.members.series:
        return found
    step = max(1, MAX_CELLS // len(spaces.ids))
    chunks: Iterator[list[Cell]] = (_cells(store, spaces, groups, i, step) for i in range(0, len(groups), step))
    if step >= len(groups):
        cells = next(chunks)
        chunks = iter((cells,))
    else:
        span = (groups[0].window.start_s, groups[-1].window.end_s)
        cells = [(0, group, moved) for group, moved in _by_group(store.sums(spaces.members, *span, 0))]
    found.top = {index: [] for index in _top(cells, unit)}
    count = 0
    for chunk in chunks:
        count += _enter(found, chunk, spaces, groups)
        if count > MAX_ROWS:
            raise InvalidInputError(f"gives more than {MAX_ROWS} rows; take a longer group or a shorter range",
                                    where="group_by")
    return found


def total(store: UsageStore, spaces: Spaces, start_s: int, end_s: int) -> Moved:
    """What all spaces together moved in [start_s, end_s)."""
    count = len(spaces.members.series)
    together = Members(spaces.members.series, (0,) * count, spaces.members.from_s, spaces.members.until_s)
    if not count:
        return Moved()
    return next((moved for _, moved in _by_group(store.sums(together, start_s, end_s, 0))), Moved())


def _cells(store: UsageStore, spaces: Spaces, groups: Sequence[Group], first: int, step: int) -> list[Cell]:
    """What is known of some groups, from one question, ordered by group and space."""
    windows = [group.window for group in groups[first : first + step]]
    start_s, end_s = windows[0].start_s, windows[-1].end_s
    if all(window.end_s - window.start_s == DAY_S for window in windows):
        sums = store.sums(spaces.members, start_s, end_s, DAY_S)
        days = [(at_s - start_s) // DAY_S + first for at_s in sums.start_s]
        cells = [(day, space, moved) for day, (space, moved) in zip(days, _by_group(sums), strict=True)]
        cells.sort(key=lambda cell: cell[0])
        return cells
    # Months have no step of their own: each space stands here once for each of them, as a group of its own.
    count, width = len(spaces.members.series), len(spaces.ids)
    members = Members(
        spaces.members.series * len(windows),
        tuple(index * width + space for index in range(len(windows)) for space in spaces.members.groups),
        tuple(window.start_s for window in windows for _ in range(count)),
        tuple(window.end_s for window in windows for _ in range(count)),
    )
    rows = _by_group(store.sums(members, start_s, end_s, 0))
    return [(place // width + first, place % width, moved) for place, moved in rows]


def _by_group(sums: Sums) -> list[tuple[int, Moved]]:
    columns = zip(sums.group, sums.bytes_in, sums.bytes_out, sums.requests, strict=True)
    return [(group, Moved(requests, add(into, out))) for group, into, out, requests in columns]


def _top(cells: list[Cell], unit: str) -> list[int]:
    """The indexes of the spaces with most traffic, of equals the smaller id first."""
    amounts: dict[int, int] = {}
    for _, space, moved in cells:
        if moved.anything:
            amounts[space] = amounts.get(space, 0) + moved.amount(unit)
    return nsmallest(TOP_SPACES, amounts, key=lambda space: (-amounts[space], space))


def _enter(found: Tally, cells: list[Cell], spaces: Spaces, groups: Sequence[Group]) -> int:
    """Add the cells to all sums and encode them as rows; how many rows."""
    rows = []
    for index, space, moved in cells:
        found.cumulated[index] = found.cumulated[index].plus(moved)
        top = found.top.get(space)
        if top is None:
            found.others[index] = found.others[index].plus(moved)
        if moved.anything:
            group = groups[index]
            rows.append(SpaceRow(group.label, moved.requests or 0, moved.total_bytes, spaces.ids[space]))
            if top is not None:
                top.append(GroupRow(group.first_day, moved.requests or 0, moved.total_bytes))
    if rows:
        found.raw.append(exact_json.encode(rows)[1:-1])
    return len(rows)
