"""The referee: a usage store of one dictionary, written to be obviously right. Tests hold every other store against it.

Nothing here is fast and nothing reaches a disk.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from weighbridge.domain.errors import StorageError
from weighbridge.measurement import UNKNOWN, Mark, SlotFlag, Totals, totals_of
from weighbridge.ports import STEPS_S, Finding, Sums, must_be_edges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from weighbridge.ports import Members

SLOT_S = 300
_COARSER_S = {300: 1800, 1800: 86400, 86400: 86400}
"""What the time of a row is rounded down to once a tier has forgotten it: the start of the next coarser tier's slot."""


class Sum:
    """What is known of one series in one slot."""

    def __init__(self) -> None:
        self.amounts: list[int | None] = [None, None, None]
        self.flags = 0

    def add(self, amounts: list[int | None], flags: int) -> None:
        """The amounts that are known are in the sums; an unknown one changes nothing."""
        for i, amount in enumerate(amounts):
            if amount is not None:
                self.amounts[i] = (self.amounts[i] or 0) + amount
        self.flags |= flags


class MemoryStore:
    """A UsageStore (ports.py) in a dictionary from (series, second that the slot starts) to sums of Python integers."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sums: dict[tuple[int, int], Sum] = defaultdict(Sum)
        self._mark = Mark()
        self._loaded = Totals()
        self._retired = [0, 0, 0]
        self._forgotten_s = {300: 0, 1800: 0, 86400: 0}
        self._closed = False

    def mark(self) -> Mark:
        """How far the journal has been folded."""
        with self._lock:
            self._must_be_open()
            return self._mark

    def fold(self, rows: np.ndarray, mark: Mark) -> bool:
        """Add `rows` (dtype SLOT_ROW) and move to `mark`; False if the store is there already."""
        with self._lock:
            self._must_be_open()
            if mark.position <= self._mark.position:
                return False
            self._add(rows)
            self._mark = mark
            return True

    def load(self, rows: np.ndarray) -> None:
        """Add `rows` (dtype SLOT_ROW) that never were in a journal."""
        with self._lock:
            self._must_be_open()
            self._add(rows)
            old, new = self._loaded, totals_of(rows)
            self._loaded = Totals(
                old.events + new.events,
                old.bytes_in + new.bytes_in,
                old.bytes_out + new.bytes_out,
                old.requests + new.requests,
            )

    def sums(self, members: Members, start_s: int, end_s: int, step_s: int, *, bytes_only: bool = False) -> Sums:
        """Sums over [start_s, end_s) by group and bucket, in order of both."""
        must_be_aligned(start_s, end_s, step_s)
        buckets: dict[tuple[int, int], Sum] = defaultdict(Sum)
        for _, group, at_s, row in self._rows(members, start_s, end_s):
            bucket_s = at_s // step_s * step_s if step_s else start_s
            if bytes_only:
                buckets[group, bucket_s].add([*row.amounts[:2], None], 0)
            else:
                buckets[group, bucket_s].add(row.amounts, row.flags)
        return self._listed(buckets)

    def sums_between(self, members: Members, edges_s: Sequence[int]) -> Sums:
        """Sums of the windows between adjoining edges."""
        must_be_edges(edges_s)
        buckets: dict[tuple[int, int], Sum] = defaultdict(Sum)
        for _, group, at_s, row in self._rows(members, edges_s[0], edges_s[-1]):
            window_s = max(edge_s for edge_s in edges_s if edge_s <= at_s)
            buckets[group, window_s].add(row.amounts, row.flags)
        return self._listed(buckets)

    @staticmethod
    def _listed(buckets: dict[tuple[int, int], Sum]) -> Sums:
        out = Sums([], [], [], [], [], [])
        for (group, bucket_s), total in sorted(buckets.items(), key=lambda item: item[0]):
            out.group.append(group)
            out.start_s.append(bucket_s)
            out.bytes_in.append(total.amounts[0])
            out.bytes_out.append(total.amounts[1])
            out.requests.append(total.amounts[2])
            out.flags.append(total.flags)
        return out

    def alive(self, members: Members, start_s: int, end_s: int, step_s: int) -> int:
        """Number of distinct (series, bucket) pairs in the range with the flag MEASURED."""
        must_be_aligned(start_s, end_s, step_s)
        return len({
            (series, at_s // step_s)
            for series, _, at_s, row in self._rows(members, start_s, end_s)
            if row.flags & SlotFlag.MEASURED
        })

    def last_slot_s(self, members: Members, start_s: int, end_s: int) -> int | None:
        """Start of the newest slot in the range that has a row."""
        must_be_aligned(start_s, end_s, SLOT_S)
        return max((at_s for _, _, at_s, _ in self._rows(members, start_s, end_s)), default=None)

    def last_slots_s(self, members: Members, start_s: int, end_s: int, *, moved_only: bool = False) -> dict[int, int]:
        """Start of the newest slot in the range that has a row, by group; with `moved_only`, one in which an amount moved."""
        must_be_aligned(start_s, end_s, SLOT_S)
        newest: dict[int, int] = {}
        for _, group, at_s, row in self._rows(members, start_s, end_s):
            if any(row.amounts) or not moved_only:
                newest[group] = max(at_s, newest.get(group, at_s))
        return newest

    def flush(self) -> None:
        """Nothing to do here: there is only one place for sums."""
        self._must_be_open()

    def compact(self, now_s: int) -> int:  # noqa: ARG002  the port's signature
        """Nothing to do here: partial sums are added up at once."""
        self._must_be_open()
        return 0

    def retain(self, tier_s: int, before_s: int) -> int:
        """Forget one tier, and with it the finer ones, before an instant; how many rows went.

        Without a finer tier a row is where its coarser slot starts; without days it is gone.
        """
        with self._lock:
            self._must_be_open()
            limit_s = before_s // _COARSER_S[tier_s] * _COARSER_S[tier_s]
            for tier in self._forgotten_s:
                if tier <= tier_s:
                    self._forgotten_s[tier] = max(self._forgotten_s[tier], limit_s)
            before = len(self._sums)
            old, self._sums = self._sums, defaultdict(Sum)
            for (series, at_s), row in old.items():
                self._place(series, at_s, row.amounts, row.flags)
            return before - len(self._sums)

    def exact_since_s(self) -> int:
        """From which instant on 5-minute sums are kept."""
        with self._lock:
            self._must_be_open()
            return self._forgotten_s[300]

    def check(self) -> list[Finding]:
        """The totals of the sums against the mark's, and no sum below zero."""
        with self._lock:
            self._must_be_open()
            findings = [
                Finding("totals", f"series {series} holds {row.amounts} from {at_s} on", "report this: below zero")
                for (series, at_s), row in self._sums.items()
                if any(amount is not None and amount < 0 for amount in row.amounts)
            ]
            for i, name in enumerate(("bytes_in", "bytes_out", "requests")):
                held = sum(row.amounts[i] or 0 for row in self._sums.values()) + self._retired[i]
                due = getattr(self._mark.totals, name) + getattr(self._loaded, name)
                if held != due:
                    detail = f"the sums hold {held} {name}, the journal's mark says {due}"
                    findings.append(Finding("totals", detail, "report this: the store in memory has a defect"))
            return findings

    def close(self) -> None:
        """Forget everything. Further calls raise StorageError."""
        with self._lock:
            self._must_be_open()
            self._closed = True

    def _must_be_open(self) -> None:
        if self._closed:
            raise StorageError("the usage store is closed")

    def _add(self, rows: np.ndarray) -> None:
        for row in rows.tolist():
            series, slot, *amounts, flags = row
            sign = -1 if flags & SlotFlag.SUBTRACT else 1
            known = [None if amount == UNKNOWN else sign * amount for amount in amounts]
            self._place(series, slot * SLOT_S, known, flags & ~SlotFlag.SUBTRACT)

    def _place(self, series: int, at_s: int, amounts: list[int | None], flags: int) -> None:
        if at_s < self._forgotten_s[86400]:
            self._retired = [sum_ + (amount or 0) for sum_, amount in zip(self._retired, amounts, strict=True)]
            return
        for tier_s in (300, 1800):
            if at_s < self._forgotten_s[tier_s]:
                at_s = at_s // _COARSER_S[tier_s] * _COARSER_S[tier_s]
        self._sums[series, at_s].add(amounts, flags)

    def _rows(self, members: Members, start_s: int, end_s: int) -> Iterator[tuple[int, int, int, Sum]]:
        """(series, group, start of the slot, sums) of each row of each member within its stretch and the range."""
        with self._lock:
            self._must_be_open()
            for series, group, from_s, until_s in zip(
                members.series, members.groups, members.from_s, members.until_s, strict=True
            ):
                for (owner, at_s), row in self._sums.items():
                    if owner == series and max(from_s, start_s) <= at_s < min(until_s, end_s):
                        yield series, group, at_s, row


def must_be_aligned(start_s: int, end_s: int, step_s: int) -> None:
    """Raise ValueError unless the bounds lie on slots and the step is one that stores know: a defect of the caller."""
    if start_s % SLOT_S or end_s % SLOT_S:
        raise ValueError(f"the range [{start_s}, {end_s}) does not lie on {SLOT_S} s slots")
    if step_s not in STEPS_S:
        raise ValueError(f"no step of {step_s} s, only {STEPS_S}")
