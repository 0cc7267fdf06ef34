"""The percentile with its receipt: which slot is billed, out of how many, and how many of them were really watched."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.domain.percentile import nearest_rank
from weighbridge.domain.timegrid import ceil, floor
from weighbridge.domain.units import BILLING_SLOT_S, bits_per_second, mbps

if TYPE_CHECKING:
    from weighbridge.ports import Members, UsageStore
    from weighbridge.reports.selection import Selected


MAX_SLOTS = 1_000_000
"""Most slots of one percentile: 9 years of 5 minutes, 57 of 30; two columns of them are 16 MB."""


@dataclass(frozen=True, slots=True)
class SlotRange:
    """The slots that count (law 4): those that start in [start_s, end_s), of slot_s seconds, all over by now."""

    start_s: int
    end_s: int
    slot_s: int

    @property
    def count(self) -> int:
        """How many slots."""
        return max(self.end_s - self.start_s, 0) // self.slot_s


@dataclass(frozen=True, slots=True)
class Receipt:
    """One direction's percentile. `slot_start_s` None where no slot is over; `coverage` None likewise."""

    bytes_in_slot: int
    bits_per_second: int
    mbps: float
    rank: int
    slots: int
    discarded: int
    slot_start_s: int | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Percentile:
    """Both directions of one group."""

    bytes_in: Receipt
    bytes_out: Receipt


def slot_range(start_s: int, end_s: int, now_s: int, slot_s: int = BILLING_SLOT_S) -> SlotRange:
    """The slots that start in [start rounded down to a slot, min(end, now)) and are over at `now_s`.

    OutOfRangeError: more than MAX_SLOTS.
    """
    first_s = floor(start_s, slot_s)
    past_last_s = ceil(end_s, slot_s)  # a slot that the end cuts counts whole
    over_s = floor(now_s, slot_s)
    slots = SlotRange(first_s, max(first_s, min(past_last_s, over_s)), slot_s)
    if slots.count > MAX_SLOTS:
        detail = f"{slots.count} slots of {slot_s // 60} minutes, and {MAX_SLOTS} are the most; ask for a shorter range"
        raise OutOfRangeError(detail, where="from")
    return slots


def slot_bytes(store: UsageStore, members: Members, slots: SlotRange) -> dict[int, tuple[list[int], list[int]]]:
    """By group: bytes in and bytes out of each slot of the range, zeros included. Unknown bytes count as zero."""
    groups = set(members.groups)
    if not slots.count or not members.series:
        return {group: ([0] * slots.count, [0] * slots.count) for group in groups}
    sums = store.sums(members, slots.start_s, slots.end_s, slots.slot_s, bytes_only=True)
    columns = {}
    for group in groups:
        rows = slice(bisect_left(sums.group, group), bisect_right(sums.group, group))
        at_s = sums.start_s[rows]
        columns[group] = (_column(at_s, sums.bytes_in[rows], slots), _column(at_s, sums.bytes_out[rows], slots))
    return columns


def _column(at_s: list[int], amounts: list[int | None], slots: SlotRange) -> list[int]:
    """The amounts of one group, ascending in time, with zeros where a slot has no row or its bytes are not known."""
    if len(at_s) == slots.count:  # no gaps, as mostly: nothing to place
        return [amount or 0 for amount in amounts]
    column = [0] * slots.count
    for start_s, amount in zip(at_s, amounts, strict=True):
        column[(start_s - slots.start_s) // slots.slot_s] = amount or 0
    return column


def percentile(store: UsageStore, selected: Selected, slots: SlotRange, p: int = 95) -> Percentile:
    """The percentile of the sum of all members, whatever their groups (law 2)."""
    nothing = [0] * slots.count
    together = slot_bytes(store, _ungrouped(selected.members), slots).get(0, (nothing, nothing))
    covered = coverage(store, selected, slots)
    return Percentile(receipt(together[0], slots, p, covered), receipt(together[1], slots, p, covered))


def receipt(values: list[int], slots: SlotRange, p: int, covered: float | None) -> Receipt:
    """The nearest-rank pick of one direction's slot bytes, with what it was picked from."""
    pick = nearest_rank(values, p)
    at_s = None if pick.index is None else slots.start_s + pick.index * slots.slot_s
    rate_bps = bits_per_second(pick.value, slots.slot_s)
    rate_mbps = mbps(pick.value, slots.slot_s)
    return Receipt(pick.value, rate_bps, rate_mbps, pick.rank, pick.slots, pick.discarded, at_s, covered)


def coverage(store: UsageStore, selected: Selected, slots: SlotRange) -> float | None:
    """Share of (polled series, slot) pairs in which the counter was read, 0 to 1; None without slots.

    Who pushes is alive by definition (a push of nothing is zero), and does not water down the gaps of who is polled.
    """
    if not slots.count:
        return None
    expected = _expected(selected.polled, slots)
    if not expected:
        return 1.0
    return store.alive(selected.polled, slots.start_s, slots.end_s, slots.slot_s) / expected


def _expected(members: Members, slots: SlotRange) -> int:
    """How many (series, slot) pairs the members' stretches touch in the range, each once."""
    count = 0
    last: tuple[int, int] = (-1, 0)  # the series, and where the slots end that were counted for it
    for series, from_s, until_s in sorted(zip(members.series, members.from_s, members.until_s, strict=True)):
        first_s = floor(max(from_s, slots.start_s), slots.slot_s)
        past_s = ceil(min(until_s, slots.end_s), slots.slot_s)
        if series == last[0]:  # a move within a slot: both stretches touch it
            first_s = max(first_s, last[1])
        if past_s > first_s:
            count += (past_s - first_s) // slots.slot_s
            last = (series, past_s)
    return count


def _ungrouped(members: Members) -> Members:
    return type(members)(members.series, (0,) * len(members.series), members.from_s, members.until_s)
