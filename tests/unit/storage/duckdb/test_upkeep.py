"""Flush and compaction, seen on the tables themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.measurement import SLOT_ROW, UNKNOWN, Mark, totals_of
from weighbridge.ports import Members
from weighbridge.storage.duckdb import store as store_module
from weighbridge.storage.duckdb import upkeep
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.duckdb.tiers import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T0 = 20_020 * DAY_S  # the first second of a four-week chunk, so of a week and of a day
FAR_S = T0 + 90 * DAY_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    made = DuckDBStore(tmp_path)
    yield made
    made.close()


def table(store: DuckDBStore, sql: str) -> list[tuple[object, ...]]:
    with store._database.reader() as cursor:
        return cursor.execute(sql).fetchall()


def fold(store: DuckDBStore, entries: list[tuple[int, int]], amount: int = 1, flags: int = 1) -> None:
    rows = np.array([(series, T0 // 300 + slot, amount, amount, amount, flags) for series, slot in entries], SLOT_ROW)
    before = store.mark().totals.bytes_in
    totals = totals_of(rows)
    whole = before + totals.bytes_in
    assert store.fold(rows, Mark(store.mark().position + 1, type(totals)(0, whole, whole, whole)))


def test_the_first_chunk_starts_at_t0() -> None:
    assert T0 % (28 * DAY_S) == 0


def test_a_flush_moves_sums_to_every_tier(store: DuckDBStore) -> None:
    fold(store, [(1, 0), (1, 0), (1, 5), (1, 6), (2, 300)])
    assert table(store, "SELECT count(*) FROM fresh") == [(5,)]
    store.flush()
    assert table(store, "SELECT count(*) FROM fresh") == [(0,)]
    for name, expected in (
        ("t5m", [(1, 0, 2), (1, 5, 1), (1, 6, 1), (2, 300, 1)]),
        ("t30m", [(1, 0, 3), (1, 1, 1), (2, 50, 1)]),
        ("t1d", [(1, 0, 4), (2, 1, 1)]),
    ):
        length = {"t5m": 300, "t30m": 1800, "t1d": DAY_S}[name]
        got = table(store, f"SELECT series, slot - {T0 // length}, bytes_in FROM {name} ORDER BY ALL")
        assert got == expected


def test_a_closed_chunk_becomes_one_run_in_order(store: DuckDBStore) -> None:
    for amount in (1, 2, 3):
        fold(store, [(series, slot) for slot in range(0, 288, 100) for series in (3, 1, 2)], amount)
        store.flush()
    assert table(store, "SELECT count(*) FROM t5m") == [(27,)]
    assert store.compact(FAR_S) == 3
    for name in ("t5m", "t30m", "t1d"):
        keys = table(store, f"SELECT series, slot FROM {name} ORDER BY rowid")
        assert keys == sorted(set(keys))
    assert table(store, "SELECT DISTINCT bytes_in FROM t5m") == [(6,)]
    assert table(store, "SELECT * FROM dirty") == []
    assert store.compact(FAR_S) == 0


def test_an_open_chunk_is_merged_by_closed_pieces_and_sorted_later(store: DuckDBStore) -> None:
    for _ in range(2):
        fold(store, [(2, 0), (1, 0), (1, 13)])
        store.flush()
    assert store.compact(T0 + 3600 + 599) == 0
    assert store.compact(T0 + 3600 + 600) == 1, "the hour of slots 0 to 11 is over, no more"
    assert table(store, "SELECT count(*) FROM t5m") == [(4,)]
    assert store.compact(T0 + 3600 + 600) == 0
    assert store.compact(T0 + DAY_S + 600) == 3, "the day of 5 minutes; a piece of the week and one of the four weeks"
    assert store.compact(FAR_S) == 2, "the week and the four weeks"
    assert table(store, "SELECT * FROM dirty") == []


def test_many_partial_rows_are_merged_before_their_time(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PIECE_ROWS_MAX", 3)
    for _ in range(3):
        fold(store, [(1, 0)])
        store.flush()
    assert store.compact(T0 + 1) == 3
    assert table(store, "SELECT count(*) FROM t5m") == [(1,)]


def test_compaction_keeps_flags_and_what_is_unknown(store: DuckDBStore) -> None:
    for amount, flags in ((UNKNOWN, 1), (UNKNOWN, 2)):
        fold(store, [(1, 0)], amount, flags)
        store.flush()
    store.compact(FAR_S)
    for name in ("t5m", "t30m", "t1d"):
        assert table(store, f"SELECT bytes_in, flags FROM {name}") == [(None, 3)]


def test_late_data_does_not_merge_a_piece_after_each_flush(store: DuckDBStore) -> None:
    fold(store, [(1, 0)])
    store.flush()
    assert store.compact(T0 + 4200) == 1
    fold(store, [(1, 0)])
    store.flush()
    assert store.compact(T0 + 4200 + upkeep.LATE_PAUSE_S - 1) == 0
    assert store.compact(T0 + 4200 + upkeep.LATE_PAUSE_S) == 2, "the hour again, and two hours of 30 minutes"


def test_late_data_dirties_a_chunk_again_and_waits_for_the_pause(store: DuckDBStore) -> None:
    fold(store, [(1, 0)])
    store.flush()
    assert store.compact(FAR_S) == 3
    fold(store, [(1, 0)])
    store.flush()
    assert store.compact(FAR_S + upkeep.LATE_PAUSE_S - 1) == 0
    assert store.compact(FAR_S + upkeep.LATE_PAUSE_S) == 3
    assert table(store, "SELECT bytes_in FROM t5m") == [(2,)]


def test_a_large_chunk_is_rewritten_in_parts_by_series(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "REWRITE_ROWS_MAX", 7)
    for _ in range(2):
        fold(store, [(series, slot) for slot in range(3) for series in range(9, 0, -1)])
        store.flush()
    assert store.compact(FAR_S) == 3
    keys = table(store, "SELECT series, slot FROM t5m ORDER BY rowid")
    assert keys == sorted(set(keys))
    assert len(keys) == 27
    assert store.check() == []


def test_one_call_does_a_bounded_piece_of_work(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "RUN_ROWS_MAX", 1)
    fold(store, [(1, 0), (1, 288), (1, 576)])
    store.flush()
    assert [store.compact(FAR_S) for _ in range(6)] == [1, 1, 1, 1, 1, 0]


def test_a_fold_flushes_when_too_much_is_fresh(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FRESH_ROWS_MAX", 4)
    for _ in range(3):
        fold(store, [(1, 0), (1, 1)])
    assert table(store, "SELECT count(*) FROM fresh") == [(2,)]


def test_loaded_chunks_stand_in_order(store: DuckDBStore) -> None:
    rows = np.array([(s, T0 // 300 + slot, 1, 1, 1, 1) for slot in range(0, 8 * 288, 50) for s in (2, 3, 1)], SLOT_ROW)
    store.load(np.random.default_rng(1).permutation(rows))
    for name, chunk in (("t5m", 288), ("t30m", 336), ("t1d", 28)):
        keys = table(store, f"SELECT slot // {chunk}, series, slot FROM {name} ORDER BY rowid")
        assert keys == sorted(set(keys))


def test_no_question_leaves_a_snapshot_open(store: DuckDBStore) -> None:
    """An open result would keep DuckDB from checkpoints for as long as its cursor lies idle."""
    fold(store, [(1, 0)])
    store.flush()
    members = Members((1,), (0,), (0,), (2**62,))
    store.sums(members, T0, T0 + DAY_S, 300)
    store.alive(members, T0, T0 + DAY_S, 300)
    store.last_slot_s(members, T0, T0 + DAY_S)
    store.check()
    store.compact(FAR_S)
    fold(store, [(1, 0)])
    assert store.checkpoint() is True
