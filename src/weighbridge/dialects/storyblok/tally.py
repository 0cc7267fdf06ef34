"""Traffic of an organization's spaces by group: every sum that the answer shows, from few questions to the store.

What the store says is worked on in columns and in chunks of bounded size, and encoded chunk by chunk: 500 spaces by
month are 6,000 rows of a few milliseconds, and 2,000 spaces by day over a year (730,000 rows) take little more memory
than their JSON.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple

from weighbridge.dialects import exact_json
from weighbridge.dialects.storyblok.wire import GroupRow, SpaceRow
from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.units import DAY_S
from weighbridge.ports import MAX_EDGES, Members
from weighbridge.reports.usage import add

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weighbridge.dialects.storyblok.groups import Group
    from weighbridge.ports import Sums, UsageStore

TOP_SPACES = 10
MAX_CELLS = 50_000
"""Pairs of space and group that one question may ask for: some 10 MB of Python integers at once."""
MAX_ROWS = 1_000_000
"""Raw rows of one answer, 80 MB of JSON: more than 2,000 spaces by day over a year."""

Amount = int | None


class Moved(NamedTuple):
    """What is known of several spaces in one group; None where nobody knows."""

    requests: Amount = None
    bytes: Amount = None

    @property
    def anything(self) -> bool:
        """Whether something moved."""
        return bool(self.requests or self.bytes)

    @property
    def total_bytes(self) -> Amount:
        """The bytes as the vendor shows them: None only where requests are known and no bytes are."""
        return 0 if self.requests is None and self.bytes is None else self.bytes

    def amount(self, unit: str) -> int:
        """How much, in an organization's unit."""
        return (self.bytes if unit == "bytes" else self.requests) or 0


class Cells(NamedTuple):
    """What is known of some groups: parallel columns, one entry per group and space, ordered by both."""

    group: list[int]
    space: list[int]
    requests: list[Amount]
    bytes: list[Amount]

    def between(self, start: int, end: int) -> Cells:
        """The entries from one place to before another."""
        return Cells(self.group[start:end], self.space[start:end], self.requests[start:end], self.bytes[start:end])


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
        return Moved(_sum(m.requests for m in self.cumulated), _sum(m.bytes for m in self.cumulated))


def tally(store: UsageStore, spaces: Spaces, groups: Sequence[Group], unit: str) -> Tally:
    """The sums of all groups; `unit` says what the top spaces are ranked by. InvalidInputError: more than MAX_ROWS."""
    found = Tally([Moved()] * len(groups), [Moved()] * len(groups))
    if not spaces.members.series:
        return found
    step = min(max(1, MAX_CELLS // len(spaces.ids)), MAX_EDGES - 1)
    chunks: Iterator[Cells] = (_cells(store, spaces, groups, i, step) for i in range(0, len(groups), step))
    if step >= len(groups):
        cells = next(chunks)
        chunks = iter((cells,))
    else:
        cells = _columns(store.sums(spaces.members, groups[0].window.start_s, groups[-1].window.end_s, 0))
    found.top = {space: [] for space in _top(cells, unit)}
    count = 0
    for chunk in chunks:
        count += _enter(found, chunk, spaces, groups)
        if count > MAX_ROWS:
            detail = f"gives more than {MAX_ROWS} rows; take a longer group or a shorter range"
            raise InvalidInputError(detail, where="group_by")
    return found


def total(store: UsageStore, spaces: Spaces, start_s: int, end_s: int) -> Moved:
    """What all spaces together moved in [start_s, end_s)."""
    members = spaces.members
    together = Members(members.series, (0,) * len(members.series), members.from_s, members.until_s)
    if not together.series:
        return Moved()
    cells = _columns(store.sums(together, start_s, end_s, 0))
    return Moved(_sum(cells.requests), _sum(cells.bytes))


def _cells(store: UsageStore, spaces: Spaces, groups: Sequence[Group], first: int, step: int) -> Cells:
    """The cells of `step` groups from the `first` on, from one question."""
    windows = [group.window for group in groups[first : first + step]]
    start_s, end_s = windows[0].start_s, windows[-1].end_s
    if all(window.end_s - window.start_s == DAY_S for window in windows):
        return _by_day(store.sums(spaces.members, start_s, end_s, DAY_S), start_s, first)
    edges_s = [*(window.start_s for window in windows), end_s]
    places = {edge_s: place for place, edge_s in enumerate(edges_s, first)}
    sums = store.sums_between(spaces.members, edges_s)
    return _by_group(sums, [places[at_s] for at_s in sums.start_s])


def _by_day(sums: Sums, start_s: int, first: int) -> Cells:
    """The cells of days."""
    return _by_group(sums, [(at_s - start_s) // DAY_S + first for at_s in sums.start_s])


def _by_group(sums: Sums, groups: list[int]) -> Cells:
    """The cells of groups; the store orders them by space and group, we by group and space."""
    cells = _columns(sums)._replace(group=groups)
    order = sorted(range(len(groups)), key=groups.__getitem__)
    return Cells(
        [cells.group[i] for i in order],
        [cells.space[i] for i in order],
        [cells.requests[i] for i in order],
        [cells.bytes[i] for i in order],
    )


def _columns(sums: Sums) -> Cells:
    """A store's answer with the directions added up; its groups are spaces, all of the group 0."""
    pairs = zip(sums.bytes_in, sums.bytes_out, strict=True)
    return Cells([0] * len(sums.group), sums.group, sums.requests, [add(into, out) for into, out in pairs])


def _top(cells: Cells, unit: str) -> list[int]:
    """The indexes of the spaces with most traffic, of equals the smaller id first."""
    amounts: dict[int, int] = {}
    ranked = cells.bytes if unit == "bytes" else cells.requests
    for space, amount, requests, bytes_ in zip(cells.space, ranked, cells.requests, cells.bytes, strict=True):
        if requests or bytes_:
            amounts[space] = amounts.get(space, 0) + (amount or 0)
    return nsmallest(TOP_SPACES, amounts, key=lambda space: (-amounts[space], space))


def _enter(found: Tally, cells: Cells, spaces: Spaces, groups: Sequence[Group]) -> int:
    """Add the cells to all sums and encode them as rows; how many rows."""
    rows: list[SpaceRow] = []
    start = 0
    while start < len(cells.group):
        index = cells.group[start]
        end = bisect_left(cells.group, index + 1, start)
        part = cells.between(start, end)
        _enter_group(found, index, part, groups[index])
        label = groups[index].label
        rows.extend([
            SpaceRow(label, requests or 0, bytes_, spaces.ids[space])
            for space, requests, bytes_ in zip(part.space, part.requests, part.bytes, strict=True)
            if requests or bytes_
        ])
        start = end
    if rows:
        found.raw.append(exact_json.encode(rows)[1:-1])
    return len(rows)


def _enter_group(found: Tally, index: int, part: Cells, group: Group) -> None:
    """Add the cells of one group to the sums and to the rows of the top spaces."""
    top = found.top
    found.cumulated[index] = Moved(_sum(part.requests), _sum(part.bytes))
    found.others[index] = Moved(
        _sum(amount for amount, space in zip(part.requests, part.space, strict=True) if space not in top),
        _sum(amount for amount, space in zip(part.bytes, part.space, strict=True) if space not in top),
    )
    for space, rows in top.items():
        place = bisect_left(part.space, space)
        if place < len(part.space) and part.space[place] == space:
            requests, bytes_ = part.requests[place], part.bytes[place]
            if requests or bytes_:
                rows.append(GroupRow(group.first_day, requests or 0, bytes_))


def _sum(amounts: Iterable[Amount]) -> Amount:
    """The sum of what is known; None where nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
