"""The files of kept flows: damage, a full disk, folders that cannot be written to, and what a crash leaves behind."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from support.flows import DAY_S, NOON, NOON_S, entries_of, flow, kept_of
from weighbridge.collected import KEPT_SUM
from weighbridge.domain.errors import DamagedStoreError, DiskFullError, FolderNotWritableError, StorageError
from weighbridge.storage.flows import codec
from weighbridge.storage.flows.days import OPEN_DAYS, file_of
from weighbridge.storage.flows.store import SqliteFlowStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = NOON_S // DAY_S
ALL = (0, NOON_S + 1000 * DAY_S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "flows"


@pytest.fixture
def store(folder: Path) -> Iterator[SqliteFlowStore]:
    store = SqliteFlowStore(folder, lambda: 0)
    yield store
    try:
        store.close()
    except StorageError:
        return


def fill(store: SqliteFlowStore, name: str = "a", *, days: int = 2) -> None:
    store.keep(name, b"1", [kept_of(*(flow("192.0.2.10", 5 + day, slot=NOON + 288 * day) for day in range(days)))])


def reopened(store: SqliteFlowStore, folder: Path) -> SqliteFlowStore:
    store.close()
    return SqliteFlowStore(folder, lambda: 10**10)


def test_a_day_is_a_file_that_is_deleted_whole(store, folder):
    fill(store, days=3)
    assert sorted(path.name for path in folder.glob("*.sqlite")) == [
        "2025-12-14.sqlite", "2025-12-15.sqlite", "2025-12-16.sqlite", "days.sqlite"]
    store.retain(NOON_S + 2 * DAY_S)
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("days")) == [
        "2025-12-16.sqlite", "2025-12-16.sqlite-shm", "2025-12-16.sqlite-wal"]


def test_every_commit_is_synced(store):
    fill(store)
    with store._days.reading(DAY) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_more_days_than_files_may_be_open(store, folder):
    for turn in range(3):
        for day in range(2 * OPEN_DAYS):
            pile = kept_of(flow("192.0.2.10", 1, slot=NOON + 288 * day))
            store.keep(f"{turn} {day}", b"1", [pile])
            assert len(store._days._open) <= OPEN_DAYS
    [*_, last] = store.read(*ALL)
    assert [int(pile.rows["bytes_in"].sum()) for pile in store.read(*ALL)] == [3] * 2 * OPEN_DAYS
    assert int(last.rows["slot"][0]) == NOON + 288 * (2 * OPEN_DAYS - 1)


def test_when_it_begins_is_asked_once_and_kept(folder):
    store = SqliteFlowStore(folder, lambda: NOON_S + 1)
    assert store.kept_since_s() == NOON_S + 300
    fill(store)
    assert [int(pile.rows["slot"][0]) for pile in store.read(*ALL)] == [NOON + 288]
    store = reopened(store, folder)
    assert store.kept_since_s() == NOON_S + 300
    store.close()


@pytest.mark.parametrize("left", ["", "-wal", "-shm"])
def test_a_crash_while_a_day_is_deleted(store, folder, left):
    """First the store says that it is gone; what is left of its files goes the next time."""
    fill(store)
    since_s = (DAY + 1) * DAY_S
    store._days._meta.execute("UPDATE kept SET since_s = ?", (since_s,))
    for suffix in {"", "-wal", "-shm"} - {left}:
        (folder / (file_of(DAY) + suffix)).unlink(missing_ok=True)
    store.close()
    store = SqliteFlowStore(folder, lambda: 0)
    assert store.kept_since_s() == since_s
    assert [int(pile.rows["slot"][0]) for pile in store.read(*ALL)] == [NOON + 288]
    assert store.check() == []
    assert store.retain(0) == 1
    assert not list(folder.glob(f"{file_of(DAY)}*"))
    store.close()


def test_a_crash_before_a_new_day_is_entered(store, folder):
    """An empty file that nobody knows of is taken into use."""
    store._days._connect(file_of(DAY), "CREATE TABLE other (x)").close()
    fill(store)
    assert store.check() == []


def test_a_file_that_is_gone_is_damage(store, folder):
    fill(store)
    store.close()
    for path in folder.glob(f"{file_of(DAY)}*"):
        path.unlink()
    store = SqliteFlowStore(folder, lambda: 0)
    with pytest.raises(DamagedStoreError, match="it is gone"):
        list(store.read(*ALL))
    assert [(finding.check, "is gone" in finding.detail) for finding in store.check()] == [("flow sums", True)]
    assert list(store.read(NOON_S + DAY_S // 2, ALL[1]))  # other days are as they were
    store.close()


def test_a_file_that_is_no_database_is_damage(store, folder):
    fill(store)
    store.close()
    (folder / file_of(DAY)).write_bytes(b"nonsense" * 1000)
    store = SqliteFlowStore(folder, lambda: 0)
    with pytest.raises(DamagedStoreError, match=str(folder / file_of(DAY))):
        list(store.read(*ALL))
    assert [finding.check for finding in store.check()] == ["flow sums"]
    store.close()
    (folder / "days.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DamagedStoreError, match=r"days\.sqlite"):
        SqliteFlowStore(folder, lambda: 0)


@pytest.mark.parametrize("change", [
    "UPDATE piles SET slot = slot + 1",
    "UPDATE piles SET slot = slot + 288",
    "UPDATE piles SET loose = x'01'",
    "UPDATE piles SET loose = substr(loose, 1, length(loose) - 1)",
    "UPDATE piles SET owned = x'02000000000000000000'",
    "DELETE FROM batches",
])
def test_every_damage_to_what_is_kept_is_found(store, folder, change):
    fill(store)
    store.close()
    with sqlite3.connect(folder / file_of(DAY)) as connection:
        connection.execute(change)
    connection.close()
    store = SqliteFlowStore(folder, lambda: 0)
    found = store.check()
    assert {finding.check for finding in found} == {"flow sums"}
    assert all(file_of(DAY) in finding.detail for finding in found)
    assert all(finding.remedy for finding in found)
    store.close()


def test_a_damaged_blob_is_no_answer(store, folder):
    fill(store)
    with store._days.writing(DAY) as connection:
        connection.execute("UPDATE piles SET loose = x'0102'")
    with pytest.raises(DamagedStoreError):
        list(store.read(*ALL))


def test_blobs_are_of_their_slot():
    rows = kept_of(flow("192.0.2.10", 5, 6), flow("2001:db8::1", 7, mac=3, vlan=9, flags=25)).rows
    blob = codec.encode(rows, NOON)
    assert codec.decode(blob, NOON).tolist() == rows.tolist()
    assert codec.encode(rows[:0], NOON) is None
    assert codec.decode(None, NOON).dtype == KEPT_SUM
    with pytest.raises(DamagedStoreError):
        codec.decode(blob, NOON + 1)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "flows").write_text("a file")
    with pytest.raises(FolderNotWritableError):
        SqliteFlowStore(tmp_path / "flows", lambda: 0)


def test_a_file_that_cannot_be_written_to(store, folder):
    fill(store)
    with store._days.reading(DAY) as connection:
        connection.execute("PRAGMA query_only = 1")
    with pytest.raises(FolderNotWritableError):
        fill(store, "b")
    with store._days.reading(DAY) as connection:
        connection.execute("PRAGMA query_only = 0")
    fill(store, "b")
    assert sum(int(pile.rows["bytes_in"].sum()) for pile in store.read(*ALL)) == 2 * (5 + 6)


def limit(store: SqliteFlowStore, day: int, pages: int) -> None:
    """The file of a day may grow to so many pages: the disk is full for it."""
    with store._days.writing(day) as connection:
        connection.execute("SELECT 1")
    store._days._connection(day).execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_keeps_nothing_of_a_batch(store):
    fill(store)
    before = entries_of(list(store.read(*ALL)))
    limit(store, DAY + 1, 1)
    rows = np.zeros(5_000, KEPT_SUM)
    rows["slot"] = NOON + 288
    rows["lo"] = np.random.default_rng(1).integers(0, 2**60, len(rows))
    large = kept_of(flow("192.0.2.10", 1), exporter="192.0.2.2")
    sums = [large, type(large)("192.0.2.2", None, None, rows)]
    for _ in range(2):
        with pytest.raises(DiskFullError):
            store.keep("b", b"2", sums)
        assert entries_of(list(store.read(*ALL))) == before  # the day before had room, and gave it back
    limit(store, DAY + 1, 1_000_000)
    store.keep("b", b"2", sums)
    assert len(entries_of(list(store.read(*ALL)))) == len(before) + 2
    assert store.check() == []


def test_what_cannot_be_withdrawn_now_is_withdrawn_before_anything_else(store, monkeypatch):
    fill(store)
    before = entries_of(list(store.read(*ALL)))
    fill(store, "b")
    with monkeypatch.context() as patch:
        patch.setattr(store._days, "writing", refuse)
        store.withdraw("b")
        for call in (lambda: list(store.read(*ALL)), lambda: fill(store, "c"), lambda: store.compact(ALL[1]), store.check):
            with pytest.raises(DiskFullError):
                call()
    assert entries_of(list(store.read(*ALL))) == before


def refuse(_day: int) -> None:
    raise DiskFullError("no room")
