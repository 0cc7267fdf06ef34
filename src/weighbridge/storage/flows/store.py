"""Every flow sum that was taken, in SQLite files by UTC day: the FlowStore port (ports.py).

One connection a file, one lock around all of SQLite: transactions are of one slot or one batch, and what is read is decoded
and added up outside. A batch that touches two days is two transactions; if the second fails, the first is taken back.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import structlog

from weighbridge.collected import KEPT_SUM, Fate
from weighbridge.domain.errors import ConflictError, StorageError
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.metering.flows.limits import SETTLED_AFTER_S
from weighbridge.metering.flows.sums import AMOUNTS, exact_sum, sorted_by, summed
from weighbridge.ports import KeptSums
from weighbridge.storage.flows import codec
from weighbridge.storage.flows.check import check_day
from weighbridge.storage.flows.days import Days

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from weighbridge.ports import Finding

SLOTS_A_DAY = DAY_S // SLOT_S

Pile: TypeAlias = "tuple[str, str | None, str | None]"
"""Exporter, organization and project: what tells piles of one slot apart."""

_PILES = "SELECT exporter, organization, project, owned, loose FROM piles WHERE slot = ? ORDER BY exporter"
_LOOSE = (
    "SELECT exporter, organization, project, NULL, loose FROM piles WHERE slot = ? AND loose IS NOT NULL ORDER BY exporter")
_SLOTS = "SELECT DISTINCT slot FROM piles WHERE slot >= ? AND slot < ? ORDER BY slot"
_IN_PARTS = (
    "SELECT slot FROM piles WHERE slot < ? GROUP BY slot, exporter, organization, project HAVING count(*) > 1 "
    "ORDER BY slot LIMIT 1")
_INSERT = "INSERT INTO piles VALUES (?, ?, ?, ?, ?, ?, ?)"
_KNOWN = "SELECT number, content FROM batches WHERE id = ?"
_CORRECTED = "SELECT slot FROM corrected WHERE batch >= ?"
_MARK = "INSERT INTO corrected VALUES (?, ?) ON CONFLICT (slot) DO UPDATE SET batch = excluded.batch"

_log = structlog.get_logger("weighbridge.flows")


class SqliteFlowStore:
    """A FlowStore in a folder of its own. Whoever opens it holds the data folder already (storage/journal/lock.py)."""

    def __init__(self, folder: Path, begins_s: Callable[[], int]) -> None:
        """The store is open. `begins_s` is asked where the folder is new: from when on it will hold all that was taken.

        FolderNotWritableError, DiskFullError; DamagedStoreError if a file contradicts itself.
        """
        self._lock = threading.RLock()
        self._days = Days(folder, begins_s)
        self._in_parts = set(self._days.known)  # days that may have slots in more than one piece
        self._newest: tuple[str, tuple[int, ...]] = ("", ())  # the last id, and the days in which it was new
        self._owed: list[tuple[int, str]] = []  # days and ids to withdraw before anything else is done

    def keep(self, id_: str, content: bytes, sums: Sequence[KeptSums]) -> frozenset[int]:
        """The sums are kept under an id, once; see ports.FlowStore. ConflictError: it is there with another content."""
        with self._lock:
            self._pay()
            days = _by_day(sums, self._days.since_s)
            corrected = {day: self._corrected(day, id_, content) for day in days}
            try:
                for day, slots in corrected.items():
                    if slots is None:
                        self._keep_day(day, id_, content, days[day])
            except BaseException:
                self._withdraw(id_, [day for day, slots in corrected.items() if slots is None])
                raise
            self._newest = (id_, tuple(day for day, slots in corrected.items() if slots is None))
            return frozenset().union(*filter(None, corrected.values()))

    def _corrected(self, day: int, id_: str, content: bytes) -> frozenset[int] | None:
        """The slots of a day that were corrected since an id was kept there; None where it never was.

        ConflictError: it was, with another content.
        """
        with self._days.reading(day) as connection:
            known = None if connection is None else connection.execute(_KNOWN, (id_,)).fetchone()
            if known is None or connection is None:
                return None
            number, before = known
            if before != content:
                raise ConflictError(f"flow sums under the id {id_!r} were taken before, and were others")
            return frozenset(slot for (slot,) in connection.execute(_CORRECTED, (number,)))

    def _keep_day(self, day: int, id_: str, content: bytes, parts: Sequence[KeptSums]) -> None:
        with self._days.writing(day) as connection:
            number = connection.execute("INSERT INTO batches (id, content) VALUES (?, ?)", (id_, content)).lastrowid
            for part in parts:
                _insert(connection, part, number)
        self._in_parts.add(day)

    def withdraw(self, id_: str) -> None:
        """What the last `keep` made of an id is gone; where the disk does not let it go now, before anything else is done."""
        with self._lock:
            self._days.must_be_open()
            newest, days = self._newest
            if newest == id_:
                self._withdraw(id_, days)
                self._newest = ("", ())

    def _withdraw(self, id_: str, days: Iterable[int]) -> None:
        self._owed += [(day, id_) for day in days]
        try:
            self._pay()
        except StorageError as error:
            _log.warning("flow_sums_not_withdrawn_yet", id=id_, reason=str(error))

    def _pay(self) -> None:
        """What could not be withdrawn when it should have been is gone. StorageError: it still cannot."""
        self._days.must_be_open()
        while self._owed:
            day, id_ = self._owed[0]
            with self._days.reading(day) as connection:
                known = None if connection is None else connection.execute(_KNOWN, (id_,)).fetchone()
            if known is not None:
                with self._days.writing(day) as connection:
                    connection.execute("DELETE FROM piles WHERE batch = ?", (known[0],))
                    connection.execute("DELETE FROM batches WHERE number = ?", (known[0],))
            self._owed.pop(0)

    def read(self, start_s: int, end_s: int, *, unattributed_only: bool = False) -> Iterator[KeptSums]:
        """What is kept of [start_s, end_s), slot by slot; see ports.FlowStore. ValueError: bounds off the slots."""
        _must_lie_on_slots(start_s, end_s)
        return self._read(start_s // SLOT_S, end_s // SLOT_S, _LOOSE if unattributed_only else _PILES)

    def _read(self, first: int, past: int, sql: str) -> Iterator[KeptSums]:
        for day in self._days_between(first, past):
            for slot in self._slots(day, first, past):
                yield from self._read_slot(day, slot, sql)

    def slots(self, start_s: int, end_s: int) -> list[int]:
        """The slots in [start_s, end_s) of which something is kept, ascending. ValueError: bounds off the slots."""
        _must_lie_on_slots(start_s, end_s)
        first, past = start_s // SLOT_S, end_s // SLOT_S
        return [slot for day in self._days_between(first, past) for slot in self._slots(day, first, past)]

    def _days_between(self, first: int, past: int) -> list[int]:
        with self._lock:
            self._pay()
            return [day for day in sorted(self._days.known) if first < (day + 1) * SLOTS_A_DAY and day * SLOTS_A_DAY < past]

    def _slots(self, day: int, first: int, past: int) -> list[int]:
        with self._lock, self._days.reading(day) as connection:
            return [] if connection is None else [slot for (slot,) in connection.execute(_SLOTS, (first, past))]

    def _read_slot(self, day: int, slot: int, sql: str) -> Iterator[KeptSums]:
        with self._lock, self._days.reading(day) as connection:
            found = [] if connection is None else connection.execute(sql, (slot,)).fetchall()
        piles: dict[Pile, list[np.ndarray]] = {}
        for exporter, organization, project, owned, loose in found:
            parts = piles.setdefault((exporter, organization, project), [])
            parts += [codec.decode(blob, slot) for blob in (owned, loose) if blob is not None]
        for pile, parts in piles.items():
            if parts:
                yield KeptSums(*pile, summed(np.concatenate(parts)))

    def replace(self, slot: int, sums: Sequence[KeptSums]) -> None:
        """The slot holds these sums and counts as corrected; see ports.FlowStore. ValueError: other amounts than before."""
        day = slot // SLOTS_A_DAY
        with self._lock:
            self._pay()
            held = _amounts([pile.rows for pile in self._read_slot(day, slot, _PILES)])
            if held != _amounts([each.rows for each in sums]) or any((each.rows["slot"] != slot).any() for each in sums):
                raise ValueError(f"BUG: what slot {slot} is to hold is not what it holds")
            with self._days.writing(day) as connection:
                newest = connection.execute("SELECT coalesce(max(number), 0) FROM batches").fetchone()[0]
                connection.execute(_MARK, (slot, newest))
                _rewrite(connection, slot, sums)

    def compact(self, now_s: int) -> int:
        """The oldest slot that is over and lies in several pieces is kept in one; how many were rewritten, 1 or 0."""
        before = (now_s - SETTLED_AFTER_S) // SLOT_S
        with self._lock:
            self._pay()
            for day in sorted(self._in_parts):
                with self._days.reading(day) as connection:
                    found = None if connection is None else connection.execute(_IN_PARTS, (before,)).fetchone()
                if found is not None:
                    whole = list(self._read_slot(day, found[0], _PILES))
                    with self._days.writing(day) as connection:
                        _rewrite(connection, found[0], whole)
                    return 1
                if before >= (day + 1) * SLOTS_A_DAY:
                    self._in_parts.discard(day)
        return 0

    def retain(self, before_s: int) -> int:
        """Forget whole UTC days that lie before an instant; how many days went."""
        with self._lock:
            self._pay()
            gone = self._days.forget(before_s)
            self._in_parts &= self._days.known
            return gone

    def kept_since_s(self) -> int:
        """From which instant on everything that was ever taken is kept."""
        with self._lock:
            self._days.must_be_open()
            return self._days.since_s

    def check(self) -> list[Finding]:
        """Every file, and every blob in it. Empty: all is well. Reads everything."""
        findings: list[Finding] = []
        with self._lock:
            self._pay()
            for day in sorted(self._days.known):
                findings += check_day(self._days, day)
        return findings

    def close(self) -> None:
        """Let go of the files. Further calls raise StorageError."""
        with self._lock:
            self._days.must_be_open()
            self._days.close()


def _must_lie_on_slots(start_s: int, end_s: int) -> None:
    if start_s % SLOT_S or end_s % SLOT_S:
        raise ValueError(f"the range [{start_s}, {end_s}) does not lie on {SLOT_S} s slots")


def _by_day(sums: Sequence[KeptSums], since_s: int) -> dict[int, list[KeptSums]]:
    """The sums of each day that is kept, cut into slots: what stands in one pile."""
    days: dict[int, list[KeptSums]] = {}
    for each in sums:
        rows = sorted_by(each.rows[each.rows["slot"] >= -(-since_s // SLOT_S)])
        slots, begins = np.unique(rows["slot"], return_index=True)
        for slot, part in zip(slots.tolist(), np.split(rows, begins[1:]), strict=False):  # no rows: no slots, but one part
            pile = KeptSums(each.exporter, each.organization, each.project, part)
            days.setdefault(slot // SLOTS_A_DAY, []).append(pile)
    return days


def _insert(connection: sqlite3.Connection, pile: KeptSums, batch: int | None) -> None:
    """A pile of one slot stands there."""
    rows = pile.rows
    slot = int(rows["slot"][0])
    loose = rows["fate"] == Fate.UNATTRIBUTED
    blobs = (codec.encode(rows[~loose], slot), codec.encode(rows[loose], slot))
    connection.execute(_INSERT, (slot, pile.exporter, pile.organization, pile.project, batch, *blobs))


def _rewrite(connection: sqlite3.Connection, slot: int, sums: Sequence[KeptSums]) -> None:
    connection.execute("DELETE FROM piles WHERE slot = ?", (slot,))
    for each in sums:
        if len(each.rows):
            _insert(connection, KeptSums(each.exporter, each.organization, each.project, summed(each.rows)), None)


def _amounts(parts: Sequence[np.ndarray]) -> list[int]:
    rows = np.concatenate([np.zeros(0, KEPT_SUM), *parts])
    return [exact_sum(rows[name]) for name in AMOUNTS]
