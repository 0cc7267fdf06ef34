"""The percentile with its receipt: which slot is billed, out of how many, and how many of them were really watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.percentile import nearest_rank
from weighbridge.domain.timegrid import floor
from weighbridge.domain.units import BILLING_SLOT_S, bits_per_second, mbps

if TYPE_CHECKING:
    from weighbridge.ports import Members, UsageStore
    from weighbridge.reports.selection import Selected


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
    """The slots that start in [start rounded down to a slot, min(end, now)) and are over at `now_s`."""
    first_s = floor(start_s, slot_s)
    past_last_s = -floor(-end_s, slot_s)  # a slot that the end cuts counts whole
    over_s = floor(now_s, slot_s)
    return SlotRange(first_s, max(first_s, min(past_last_s, over_s)), slot_s)


def slot_bytes(store: UsageStore, members: Members, slots: SlotRange) -> dict[int, tuple[list[int], list[int]]]:
    """By group: bytes in and bytes out of each slot of the range, zeros included. Unknown bytes count as zero."""
    columns: dict[int, tuple[list[int], list[int]]] = {
        group: ([0] * slots.count, [0] * slots.count) for group in set(members.groups)
    }
    if not slots.count or not members.series:
        return columns
    sums = store.sums(members, slots.start_s, slots.end_s, slots.slot_s)
    rows = zip(sums.group, sums.start_s, sums.bytes_in, sums.bytes_out, strict=True)
    for group, at_s, bytes_in, bytes_out in rows:
        index = (at_s - slots.start_s) // slots.slot_s
        columns[group][0][index] = bytes_in or 0
        columns[group][1][index] = bytes_out or 0
    return columns


def percentile(store: UsageStore, selected: Selected, slots: SlotRange, p: int = 95) -> Percentile:
    """The percentile of the sum of all members, whatever their groups (law 2)."""
    together = _merge(slot_bytes(store, _ungrouped(selected.members), slots), slots)
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
    """Share of (series, slot) pairs whose source was alive, 0 to 1; None without slots. A push of nothing is alive."""
    if not slots.count:
        return None
    expected = _expected(selected.members, slots)
    if not expected:
        return 1.0
    if not selected.polled.series:
        return 1.0
    missed = _expected(selected.polled, slots) - store.alive(selected.polled, slots.start_s, slots.end_s, slots.slot_s)
    return (expected - missed) / expected


def _expected(members: Members, slots: SlotRange) -> int:
    """How many (series, slot) pairs the members' stretches touch in the range."""
    count = 0
    for from_s, until_s in zip(members.from_s, members.until_s, strict=True):
        first_s = floor(max(from_s, slots.start_s), slots.slot_s)
        past_s = -floor(-min(until_s, slots.end_s), slots.slot_s)
        count += max(past_s - first_s, 0) // slots.slot_s
    return count


def _ungrouped(members: Members) -> Members:
    return type(members)(members.series, (0,) * len(members.series), members.from_s, members.until_s)


def _merge(columns: dict[int, tuple[list[int], list[int]]], slots: SlotRange) -> tuple[list[int], list[int]]:
    return columns.get(0, ([0] * slots.count, [0] * slots.count))
