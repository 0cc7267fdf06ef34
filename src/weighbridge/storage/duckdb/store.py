"""The embedded usage store: three tiers of sums in one DuckDB file, fed through a table of what is fresh.

Each fold appends to `fresh` and moves the mark in one transaction; a flush moves the sums of `fresh` to the tiers in
another. A question reads both in one statement, so it sees whole folds only, and a flush changes no answer.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from weighbridge.domain.errors import DamagedStoreError, StorageError
from weighbridge.measurement import Mark, SlotFlag, Totals, totals_of
from weighbridge.ports import Sums
from weighbridge.storage.duckdb.checks import findings
from weighbridge.storage.duckdb.database import Database, checkpoint, number, transaction
from weighbridge.storage.duckdb.failures import translate
from weighbridge.storage.duckdb.newest import newest_slot_s, newest_slots_s
from weighbridge.storage.duckdb.question import Question, query
from weighbridge.storage.duckdb.tiers import DAY, DAY_S, FIVE, HALF, SLOT_S, Horizons
from weighbridge.storage.duckdb.upkeep import RUN_ROWS_MAX, Compaction, append_fresh, columns_of, enter, load_tiers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeVar

    import numpy as np

    from weighbridge.ports import Finding, Members

    T = TypeVar("T")

FRESH_ROWS_MAX = 400_000
"""Rows in `fresh` at which a fold flushes by itself: half a minute at 13,000 rows a second. Questions scan it all."""


class DuckDBStore:
    """A UsageStore (ports.py) in `folder`. It may use `memory_limit_mb` of memory and `threads` cores."""

    def __init__(self, folder: Path, *, memory_limit_mb: int = 160, threads: int = 2) -> None:
        self.folder = folder
        self._database = Database(folder, memory_limit_mb=memory_limit_mb, threads=threads)
        # Folds and the tending of tiers touch different tables, so they don't wait for each other. Who needs both
        # locks takes `_tending` first.
        self._folding = threading.Lock()
        self._tending = threading.Lock()
        self._closed = False
        with self._translated(), self._database.reader() as cursor:
            self._mark = _read_mark(cursor)
            self._horizons = _read_horizons(cursor)
            self._rows_folded = number(cursor, "SELECT count(*) FROM fresh") or 0
            # An upper bound is enough: it only says where to look first.
            self._latest_s = max(
                ((number(cursor, "SELECT max(slot) FROM t1d") or 0) + 1) * DAY_S,
                ((number(cursor, "SELECT max(slot) FROM fresh") or 0) + 1) * SLOT_S,
            )
        self._rows_flushed = 0
        self._compaction = Compaction(self._database.tending)

    def mark(self) -> Mark:
        """How far the journal has been folded."""
        self._must_be_open()
        return self._mark

    def fold(self, rows: np.ndarray, mark: Mark) -> bool:
        """Add `rows` (dtype SLOT_ROW) and move to `mark`, durably; False if the store is there already."""
        if self._rows_folded - self._rows_flushed >= FRESH_ROWS_MAX:
            self.flush()
        with self._folding, self._translated():
            if mark.position <= self._mark.position:
                return False
            kept, retired = _placed(rows, self._horizons)
            self._see(kept)
            batch = columns_of(kept)  # noqa: F841  DuckDB finds it by its name
            cursor = self._database.folding
            with transaction(cursor):
                if len(kept):
                    is_signed = (kept["flags"] & SlotFlag.SUBTRACT).any()
                    cursor.execute(query("fold_signed" if is_signed else "fold"))
                if retired is not None:
                    enter(cursor, "retired", retired)
                totals = mark.totals
                cursor.execute(query("mark"), [
                    mark.position, totals.events, totals.bytes_in, totals.bytes_out, totals.requests])
            self._mark = mark
            self._rows_folded += len(kept)
            return True

    def load(self, rows: np.ndarray) -> None:
        """Add `rows` (dtype SLOT_ROW) that never were in a journal, sorted into all tiers at once.

        Best called with whole chunks of time, such as a month of all series. Each chunk is a transaction of its own
        that also enters its totals in the ledger.
        """
        with self._tending, self._folding, self._translated():
            kept, retired = _placed(rows, self._horizons)
            self._see(kept)
            cursor = self._database.tending
            if retired is not None:
                with transaction(cursor):
                    enter(cursor, "loaded", retired)
                    enter(cursor, "retired", retired)
            load_tiers(cursor, kept, self._horizons)
            # At once: the next checkpoint copies row groups that are not full, and small copies leave small holes.
            checkpoint(cursor)

    def sums(self, members: Members, start_s: int, end_s: int, step_s: int, *, bytes_only: bool = False) -> Sums:
        """Sums over [start_s, end_s) by group and bucket, from the coarsest tier that is exact.

        Where `retain` has removed a finer tier, its rows count where the slot of the next coarser tier starts.
        """

        def ask(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> Sums:
            question = Question(members, start_s, end_s, step_s, horizons)
            return Sums([], [], [], [], [], []) if question.empty else question.sums(cursor, bytes_only=bytes_only)

        return self._ask(ask)

    def sums_between(self, members: Members, edges_s: Sequence[int]) -> Sums:
        """Sums of the windows between adjoining edges, from the coarsest tier that no inner edge cuts."""

        def ask(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> Sums:
            question = Question.between(members, edges_s, horizons)
            return Sums([], [], [], [], [], []) if question.empty else question.sums(cursor)

        return self._ask(ask)

    def alive(self, members: Members, start_s: int, end_s: int, step_s: int) -> int:
        """Number of distinct (series, bucket) pairs in the range with the flag MEASURED."""

        def ask(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> int:
            question = Question(members, start_s, end_s, step_s, horizons)
            return 0 if question.empty else question.alive(cursor)

        return self._ask(ask)

    def last_slot_s(self, members: Members, start_s: int, end_s: int) -> int | None:
        """Start of the newest slot in the range that has a row, as exact as the tiers that are left."""

        def ask(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> int | None:
            with transaction(cursor):
                return newest_slot_s(cursor, members, (start_s, end_s), horizons, self._latest_s)

        return self._ask(ask)

    def last_slots_s(self, members: Members, start_s: int, end_s: int, *, moved_only: bool = False) -> dict[int, int]:
        """Start of the newest slot in the range that has a row, by group; as exact as the tiers that are left."""

        def ask(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> dict[int, int]:
            with transaction(cursor):
                range_s = (start_s, end_s)
                return newest_slots_s(cursor, members, range_s, horizons, self._latest_s, moved_only=moved_only)

        return self._ask(ask)

    def flush(self) -> None:
        """Move what was folded lately into the tiers, in one transaction. Folds and questions go on meanwhile."""
        with self._tending, self._translated():
            self._flush()

    def compact(self, now_s: int) -> int:
        """Rewrite chunks and pieces that hold partial sums, up to a bounded number of rows; how many rewrites.

        Call it until it says 0, at leisure: folds and questions go on meanwhile.
        """
        with self._tending, self._translated():
            due = self._compaction.due(now_s)
        done = rows = 0
        for work in due:
            with self._tending, self._translated():  # anew each time, so that a flush need not wait for them all
                rows += self._compaction.rewrite(work, now_s)
            done += 1
            if rows >= RUN_ROWS_MAX:
                break
        return done

    def retain(self, tier_s: int, before_s: int) -> int:
        """Forget one tier, and with it the finer ones, before an instant; how many rows went.

        The instant is rounded down to a slot of the next coarser tier. Totals of forgotten days stay in the ledger.
        """
        with self._tending, self._folding, self._translated():
            self._flush()
            old, new = self._horizons, self._horizons.forget(tier_s, before_s)
            if new == old:
                return 0
            # Questions that plan from here on use no row that is about to go, whether or not it is gone yet.
            self._horizons = new
            try:
                return self._forget(new)
            except BaseException:
                self._horizons = old
                raise

    def exact_since_s(self) -> int:
        """From which instant on 5-minute sums are kept."""
        self._must_be_open()
        return self._horizons.five_s

    def check(self) -> list[Finding]:
        """Every rollup against its finer tier, and the totals of the sums against the mark's."""

        def ask(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> list[Finding]:
            with transaction(cursor):
                return findings(cursor, horizons)

        return self._ask(ask)

    def close(self) -> None:
        """Flush and let go of the file. Further calls raise StorageError."""
        with self._tending, self._folding, self._translated():
            self._flush()
            self._closed = True
            self._database.close()

    def checkpoint(self) -> bool:
        """The write-ahead log is in the file; False if a question was in the way. DuckDB does it at 64 MB by itself."""
        with self._tending, self._folding, self._translated():
            return checkpoint(self._database.tending)

    def _see(self, rows: np.ndarray) -> None:
        """Rows are about to come: what is the latest instant that any speaks of."""
        if len(rows):
            self._latest_s = max(self._latest_s, (int(rows["slot"].max()) + 1) * SLOT_S)

    def _flush(self) -> None:
        self._rows_flushed += append_fresh(self._database.tending, self._horizons)

    def _forget(self, horizons: Horizons) -> int:
        cursor = self._database.tending
        went = 0
        with transaction(cursor):
            cursor.execute(query("retire").format(before_slot=horizons.day_s // DAY_S))
            for tier, before_s in ((FIVE, horizons.five_s), (HALF, horizons.half_s), (DAY, horizons.day_s)):
                sql = query("forget").format(table=tier.table, before_slot=before_s // tier.slot_s)
                went += number(cursor, sql) or 0
                cursor.execute("UPDATE horizon SET before_s = ? WHERE tier_s = ?", [before_s, tier.slot_s])
        return went

    def _ask(self, ask: Callable[[duckdb.DuckDBPyConnection, Horizons], T]) -> T:
        """The answer of `ask`, asked again if a tier forgot rows meanwhile."""
        with self._translated():
            while True:
                horizons = self._horizons
                with self._database.reader() as cursor:
                    answer = ask(cursor, horizons)
                if horizons is self._horizons:
                    return answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        self._must_be_open()
        try:
            yield
        except (duckdb.Error, OSError) as error:
            raise translate(error, self.folder) from error

    def _must_be_open(self) -> None:
        if self._closed:
            raise StorageError("the usage store is closed")


def _read_mark(cursor: duckdb.DuckDBPyConnection) -> Mark:
    rows = cursor.execute("SELECT position, events, bytes_in, bytes_out, requests FROM mark").fetchall()
    if len(rows) != 1:
        raise DamagedStoreError(f"the usage store has {len(rows)} marks, not one: restore the newest backup")
    position, *totals = rows[0]
    return Mark(position, Totals(*totals))


def _read_horizons(cursor: duckdb.DuckDBPyConnection) -> Horizons:
    before_s = dict(cursor.execute("SELECT tier_s, before_s FROM horizon").fetchall())
    return Horizons(before_s[FIVE.slot_s], before_s[HALF.slot_s], before_s[DAY.slot_s])


def _placed(rows: np.ndarray, horizons: Horizons) -> tuple[np.ndarray, Totals | None]:
    """Rows with their slots moved to where the tiers that still remember them begin, and totals of what none does."""
    if not len(rows) or int(rows["slot"].min()) * SLOT_S >= horizons.five_s:
        return rows, None
    rows = rows.copy()
    for tier, before_s in ((HALF, horizons.five_s), (DAY, horizons.half_s)):
        slots = tier.slot_s // SLOT_S
        late = rows["slot"] < before_s // SLOT_S
        rows["slot"][late] -= rows["slot"][late] % slots
    gone = rows["slot"] < horizons.day_s // SLOT_S
    return (rows[~gone], totals_of(rows[gone])) if gone.any() else (rows, None)
