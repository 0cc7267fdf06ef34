"""The DuckDB file: opened with its bounds, and cursors on it for readers."""

from __future__ import annotations

import queue
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from weighbridge.domain.errors import DamagedStoreError, FolderNotWritableError, StorageError
from weighbridge.storage.duckdb.failures import translate
from weighbridge.storage.duckdb.question import query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "usage.duckdb"
SPILL = "usage.spill"
SCHEMA_VERSION = 1
CHECKPOINT_THRESHOLD = "64MB"
"""Write-ahead log that DuckDB lets grow before it moves it into the file: larger is fewer but longer stalls."""
READERS_MAX = 8
"""Cursors for questions. Each may use all of `threads`, so more would only wait for the cores; further readers do."""


class Database:
    """An open file, with a cursor for each kind of writer and a pool of them for readers."""

    def __init__(self, folder: Path, *, memory_limit_mb: int, threads: int) -> None:
        self._root = _open(folder, memory_limit_mb, threads)
        self.folding = self._root.cursor()
        self.tending = self._root.cursor()
        self._idle: queue.LifoQueue[duckdb.DuckDBPyConnection] = queue.LifoQueue(READERS_MAX)
        for _ in range(READERS_MAX):
            self._idle.put(self._root.cursor())

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that nobody else uses meanwhile; waits until one is free."""
        cursor = self._idle.get()
        try:
            yield cursor
        finally:
            self._idle.put(cursor)

    def close(self) -> None:
        """The file is complete and let go, once every reader is done."""
        readers = [self._idle.get() for _ in range(READERS_MAX)]
        for cursor in readers:
            cursor.close()
            self._idle.put(cursor)  # who still waits for one gets an error, rather than nothing for ever
        self.folding.close()
        self.tending.close()
        checkpoint(self._root)
        self._root.close()


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """What runs inside happens whole, durably, or not at all."""
    cursor.begin()
    try:
        yield
        cursor.commit()
    except BaseException:
        roll_back(cursor)
        raise


def roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    """No transaction is open on `cursor`."""
    try:
        cursor.rollback()
    except duckdb.Error:
        return  # the failure has ended it already


def number(cursor: duckdb.DuckDBPyConnection, sql: str) -> int | None:
    """The one number that a statement answers: a sum, a count, or how many rows it changed; None for NULL."""
    answer: int | None = row(cursor, sql)[0]
    return answer


def row(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """The one row that a statement answers.

    Never `fetchone` outside a transaction: it leaves the result open, and with it a snapshot that keeps DuckDB from
    checkpoints for as long as the cursor lies idle.
    """
    [only] = cursor.execute(sql).fetchall()
    return only


def checkpoint(cursor: duckdb.DuckDBPyConnection) -> bool:
    """The write-ahead log is in the file, and the room of rewritten rows free; False if a question was in the way."""
    try:
        cursor.execute("CHECKPOINT")
    except duckdb.TransactionException:
        return False
    return True


def _open(folder: Path, memory_limit_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(path, config={
            "memory_limit": f"{memory_limit_mb}MB",
            "threads": threads,
            "temp_directory": str(folder / SPILL),
            "checkpoint_threshold": CHECKPOINT_THRESHOLD,
            # No network, ever: what is not in the wheel is not there.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        })
    except (duckdb.Error, OSError) as error:
        raise translate(error, folder) from error
    try:
        _prepare(connection, folder)
    except (duckdb.Error, OSError) as error:
        connection.close()
        raise translate(error, folder) from error
    except StorageError:
        connection.close()
        raise
    return connection


def _prepare(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The schema is there, and is the one that this code knows."""
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not tables:
        with transaction(connection):
            connection.execute(query("../schema"))
        return
    if "schema_version" not in tables:
        raise DamagedStoreError(f"{folder / FILE} is not a usage store: move it away, or choose another data folder")
    version = number(connection, "SELECT max(version) FROM schema_version")
    if version != SCHEMA_VERSION:
        raise FolderNotWritableError(
            f"{folder / FILE} has schema version {version}, this program knows {SCHEMA_VERSION}: "
            "use the newer Weighbridge"
        )
