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
"""Rows that one call of `compact` rewrites before it leaves the rest to the next call."""
PIECE_ROWS_MAX = 50_000
"""Partial rows at which a piece is merged although its time is not over: questions about today read them all."""
CLOSED_AFTER_S = 600
"""How long after its end a chunk or piece counts as closed: what belongs to it has mostly come by then."""
LATE_PAUSE_S = 3600
"""What is closed is rewritten once in this time at most: with 1 % of late rows, spread over a day, every piece of that
day would else be rewritten after each flush."""


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
class Rewrite:
    """Slots [lo, hi) of one tier to rewrite: a chunk, `whole`, or a piece. `closed`: its time is over."""

    tier: Tier
    lo: int
    hi: int
    whole: bool
    closed: bool

    @property
    def table(self) -> str:
        """Name of the tier's table."""
        return self.tier.table


def _rewrite(tier: Tier, piece: int, partial_rows: int, now_s: int) -> Rewrite | None:
    """What a dirty piece asks for: its whole chunk once that is closed, before that the piece."""
    lo = piece * tier.piece_slots
    first = lo // tier.chunk_slots * tier.chunk_slots
    if (first + tier.chunk_slots) * tier.slot_s + CLOSED_AFTER_S <= now_s:
        return Rewrite(tier, first, first + tier.chunk_slots, whole=True, closed=True)
    closed = (lo + tier.piece_slots) * tier.slot_s + CLOSED_AFTER_S <= now_s
    if partial_rows >= PIECE_ROWS_MAX or (closed and partial_rows):
        return Rewrite(tier, lo, lo + tier.piece_slots, whole=False, closed=closed)
    return None


class Compaction:
    """Rewrites what flushes left in parts. A closed chunk becomes one run in order of series and slot, without doubles.

    While a chunk still grows, only its pieces are merged. What is due stands in the table `dirty`, written by the
    transactions that make it so; a crash between rewrites loses nothing and repeats nothing.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._rewritten_s: dict[tuple[str, int, int], int] = {}  # (table, lo, hi) → when; forgotten after the pause

    def due(self, now_s: int) -> list[Rewrite]:
        """What is to be rewritten, the finest tier and the oldest time first."""
        self._rewritten_s = {key: at_s for key, at_s in self._rewritten_s.items() if now_s - at_s < LATE_PAUSE_S}
        dirty = self._cursor.execute(
            "SELECT tier_s, piece, sum(partial_rows)::BIGINT FROM dirty GROUP BY ALL ORDER BY ALL").fetchall()
        due = [_rewrite(BY_LENGTH[tier_s], piece, partial_rows, now_s) for tier_s, piece, partial_rows in dirty]
        return [work for work in dict.fromkeys(due) if work and (work.table, work.lo, work.hi) not in self._rewritten_s]

    def rewrite(self, work: Rewrite, now_s: int) -> int:
        """Every row of the stretch is rewritten in order; how many there were. A transaction for each part."""
        counts = self._cursor.execute(
            query("merge_counts").format(table=work.tier.table, lo=work.lo, hi=work.hi)).fetchnumpy()
        series, rows = counts["series"], np.cumsum(counts["row_count"])
        starts = np.flatnonzero(np.diff(rows // REWRITE_ROWS_MAX, prepend=-1))
        ends = [*(starts[1:] - 1), len(series) - 1]
        for start, end in zip(starts, ends, strict=False):
            numbers = {
                "table": work.tier.table, "lo": work.lo, "hi": work.hi,
                "first_series": series[start], "last_series": series[end],
            }
            with transaction(self._cursor):
                for name in ("merge", "merge_delete", "merge_insert"):
                    self._cursor.execute(query(name).format(**numbers))
        with transaction(self._cursor):
            self._clean(work)
        if work.closed:
            self._rewritten_s[work.table, work.lo, work.hi] = now_s
        return int(rows[-1]) if len(rows) else 0

    def _clean(self, work: Rewrite) -> None:
        """`dirty` says what is left to do for the stretch once it is rewritten."""
        tier = work.tier
        first, end = work.lo // tier.piece_slots, work.hi // tier.piece_slots
        self._cursor.execute(
            "DELETE FROM dirty WHERE tier_s = ? AND piece >= ? AND piece < ?", [tier.slot_s, first, end])
        if not work.whole:
            self._cursor.execute("INSERT INTO dirty VALUES (?, ?, 0)", [tier.slot_s, first])
