"""Files of SQLite that keep what waits for the server: opened durable, held by one process.

Errors are told as what they are.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from weighbridge.domain.errors import (
    DamagedStoreError,
    DiskFullError,
    FolderInUseError,
    FolderNotWritableError,
    StorageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_MS: Final = 5_000
"""How long SQLite waits for another process that holds the file."""
PID_BYTES: Final = 32
"""Longest content of a lock file that is read back: a process number and a newline."""

_PRIMARY: Final = 0xFF  # the low byte of an extended result code
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def hold(path: Path, does: str) -> int:
    """The descriptor of the lock file `path`, which this process alone holds until it closes it or ends.

    `does`: what whoever holds it does, as in "follows this log". FolderInUseError names the process that holds it;
    FolderNotWritableError if the file cannot be made.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, PID_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise FolderInUseError(
            f"process {holder} {does} already ({path}): stop it first, or keep another place with --state"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """The file, made if it is missing, readable by its owner only. What is committed is on the disk.

    StorageError: the disk or the file is at fault.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        with told(path):
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA auto_vacuum = FULL")  # what a long absence of the server filled is given back
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """All that is done inside is kept, on the disk, or nothing of it. StorageError: the disk or the file is at fault."""
    with told(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Errors of the system and of SQLite inside leave as StorageErrors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, path) from error
    except OSError as error:
        if error.errno in _FULL:
            raise _full(path) from error
        raise FolderNotWritableError(
            f"{path.parent} cannot be written to ({error.strerror}): give the user that runs Weighbridge write access, "
            "or name another folder"
        ) from error


def _from_sqlite(error: sqlite3.Error, path: Path) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code in _DAMAGED:
        return DamagedStoreError(
            f"{path} is damaged ({error}): restore it from a backup; without it what waits there is lost, and a log is read "
            "again from its beginning, so that what was counted before counts twice"
        )
    return StorageError(f"{path} cannot be used ({error}): check the disk and who may write there")


def _full(path: Path) -> DiskFullError:
    return DiskFullError(
        f"no room is left on the disk of {path.parent}: make room; what is counted there waits, nothing is lost"
    )
