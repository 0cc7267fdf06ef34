"""Writing to the tiers: flush, load, and the rewriting of chunks that holds them in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.measurement import Totals, totals_of
from weighbridge.storage.duckdb.database import number, transaction
from weighbridge.storage.duckdb.question import query
from weighbridge.storage.duckdb.tiers import BY_LENGTH, DAY, FIVE, HALF, SLOT_S

if TYPE_CHECKING:
    import duckdb

    from weighbridge.storage.duckdb.tiers import Horizons, Tier

REWRITE_ROWS_MAX = 300_000
"""Rows that one rewriting transaction holds in memory: larger chunks are rewritten in parts, by ranges of series."""
RUN_ROWS_MAX = 600_000
"""Rows that one call of `compact` rewrites before it leaves the rest to the next."""
PIECE_ROWS_MAX = 50_000
"""Partial rows at which a piece is merged although its time is not over: questions about today read them all."""
CLOSED_AFTER_S = 600
"""How long after its end a chunk or piece counts as closed: what belongs to it has mostly come by then."""
LATE_PAUSE_S = 3600
"""A closed chunk is rewritten once in this time at most, so that a trickle of late data costs little."""


def columns_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of an array of dtype SLOT_ROW, each contiguous, as DuckDB scans them."""
    return {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}


def enter(cursor: duckdb.DuckDBPyConnection, entry: str, totals: Totals) -> None:
    """A line of the ledger, in the open transaction."""
    line = [entry, totals.bytes_in, totals.bytes_out, totals.requests]
    cursor.execute("INSERT INTO ledger VALUES (?, ?, ?, ?)", line)


def append_fresh(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> int:
    """The sums of `fresh` are in the tiers and `fresh` is empty; how many rows it had. One transaction."""
    with transaction(cursor):
        for tier, before_s in _with_horizons(horizons):
            numbers = {
                "table": tier.table,
                "tier_s": tier.slot_s,
                "slots": tier.slot_s // SLOT_S,
                "chunk_slots": tier.chunk_slots,
                "piece_slots": tier.piece_slots,
                "first_slot": before_s // SLOT_S,
            }
            cursor.execute(query("flush").format(**numbers))
            cursor.execute(query("flush_dirty").format(**numbers))
        return number(cursor, "DELETE FROM fresh") or 0


def load_tiers(cursor: duckdb.DuckDBPyConnection, rows: np.ndarray, horizons: Horizons) -> None:
    """Rows (SLOT_ROW, slots placed by the horizons) are in all tiers and their totals in the ledger.

    One transaction for each of the longest chunks (four weeks).
    """
    for part in _by_time(rows, DAY.chunk_s):
        with transaction(cursor):
            for tier, before_s in _with_horizons(horizons):
                remembered = part[part["slot"] >= before_s // SLOT_S]
                for chunk in _by_time(remembered, tier.chunk_s):
                    batch = columns_of(chunk)  # noqa: F841  DuckDB finds it by its name
                    cursor.execute(query("load").format(table=tier.table, slots=tier.slot_s // SLOT_S))
            enter(cursor, "loaded", totals_of(part))


def _with_horizons(horizons: Horizons) -> tuple[tuple[Tier, int], ...]:
    return ((FIVE, horizons.five_s), (HALF, horizons.half_s), (DAY, horizons.day_s))


def _by_time(rows: np.ndarray, chunk_s: int) -> list[np.ndarray]:
    """The rows of each chunk of time, oldest first."""
    chunks = rows["slot"] // (chunk_s // SLOT_S)
    if not len(rows) or chunks.min() == chunks.max():
        return [rows] if len(rows) else []
    if (np.diff(chunks) < 0).any():
        order = np.argsort(chunks, kind="stable")
        rows, chunks = rows[order], chunks[order]
    return np.split(rows, np.flatnonzero(np.diff(chunks)) + 1)


@dataclass(frozen=True, slots=True)
class _Work:
    """Slots [lo, hi) of one tier to rewrite; `last` when nothing is left to do for them after that."""

    tier: Tier
    lo: int
    hi: int
    last: bool


class Compaction:
    """Rewrites what flushes left in parts. A closed chunk becomes one run in order of series and slot, without doubles.

    While a chunk still grows, only its pieces are merged. What is due stands in the table `dirty`, written by the
    transactions that make it so; a crash between rewrites loses nothing and repeats nothing.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._rewritten_s: dict[tuple[int, int], int] = {}  # (tier, chunk) → when; forgotten after the pause

    def run(self, now_s: int) -> int:
        """Chunks and pieces that are due are rewritten, until RUN_ROWS_MAX rows are; how many."""
        self._rewritten_s = {key: at_s for key, at_s in self._rewritten_s.items() if now_s - at_s < LATE_PAUSE_S}
        done = rows = 0
        for work in self._due(now_s):
            rows += self._rewrite(work)
            if work.last:
                self._rewritten_s[work.tier.slot_s, work.lo // work.tier.chunk_slots] = now_s
            done += 1
            if rows >= RUN_ROWS_MAX:
                break
        return done

    def _due(self, now_s: int) -> list[_Work]:
        dirty = self._cursor.execute(
            "SELECT tier_s, piece, sum(partial_rows)::BIGINT FROM dirty GROUP BY ALL ORDER BY ALL").fetchall()
        due: dict[tuple[int, int], _Work] = {}
        for tier_s, piece, partial_rows in dirty:
            tier = BY_LENGTH[tier_s]
            lo = piece * tier.piece_slots
            chunk = lo // tier.chunk_slots
            first = chunk * tier.chunk_slots
            if (first + tier.chunk_slots) * tier_s + CLOSED_AFTER_S <= now_s:
                if (tier_s, chunk) not in self._rewritten_s:
                    due[tier_s, first] = _Work(tier, first, first + tier.chunk_slots, last=True)
                continue
            closed = (lo + tier.piece_slots) * tier_s + CLOSED_AFTER_S <= now_s
            if partial_rows >= PIECE_ROWS_MAX or (closed and partial_rows):
                due[tier_s, lo] = _Work(tier, lo, lo + tier.piece_slots, last=False)
        return list(due.values())

    def _rewrite(self, work: _Work) -> int:
        """Every row of the stretch is rewritten in order; how many there were."""
        counts = self._cursor.execute(
            query("merge_counts").format(table=work.tier.table, lo=work.lo, hi=work.hi)).fetchnumpy()
        series, rows = counts["series"], np.cumsum(counts["row_count"])
        if not len(series):
            self._clean(work)
            return 0
        starts = np.flatnonzero(np.diff(rows // REWRITE_ROWS_MAX, prepend=-1))
        ends = [*(starts[1:] - 1), len(series) - 1]
        for start, end in zip(starts, ends, strict=True):
            numbers = {
                "table": work.tier.table, "lo": work.lo, "hi": work.hi,
                "first_series": series[start], "last_series": series[end],
            }
            with transaction(self._cursor):
                for name in ("merge", "merge_delete", "merge_insert"):
                    self._cursor.execute(query(name).format(**numbers))
                if end == len(series) - 1:
                    self._clean(work)
        return int(rows[-1])

    def _clean(self, work: _Work) -> None:
        """`dirty` says what is left to do for the stretch once it is rewritten."""
        tier = work.tier
        first, end = work.lo // tier.piece_slots, work.hi // tier.piece_slots
        self._cursor.execute(
            "DELETE FROM dirty WHERE tier_s = ? AND piece >= ? AND piece < ?", [tier.slot_s, first, end])
        if not work.last:
            self._cursor.execute("INSERT INTO dirty VALUES (?, ?, 0)", [tier.slot_s, first])
