"""Complaints of the operating system and of SQLite, told as StorageErrors that say what to do."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from weighbridge.domain.errors import DamagedStoreError, DiskFullError, FolderNotWritableError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL_BYTES = 1 << 20
"""Less free room than this explains a failed write, whatever SQLite calls it (a sync may say just I/O error)."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOENT})
_SQLITE_DENIED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
_SQLITE_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SQLITE_PRIMARY = 0xFF  # the low byte of an extended result code


def disk_full(folder: Path) -> DiskFullError:
    """A DiskFullError about a folder."""
    return DiskFullError(f"no room is left on the disk of {folder}: make room; what was acknowledged is safe")


def not_writable(folder: Path, why: object) -> FolderNotWritableError:
    """A FolderNotWritableError about a folder."""
    remedy = "give the user that runs Weighbridge write access, or name another folder"
    return FolderNotWritableError(f"{folder} cannot be written to ({why}): {remedy}")


def damaged(what: str, why: str) -> DamagedStoreError:
    """A DamagedStoreError with the one remedy there is."""
    return DamagedStoreError(
        f"{what} is damaged ({why}): stop Weighbridge, keep a copy of the data folder, restore it from the last backup "
        "and run `weighbridge doctor`")


def refuse(what: str, why: str) -> NoReturn:
    """Raise DamagedStoreError about a thing, and say what to do."""
    raise damaged(what, why)


def from_os(error: OSError, folder: Path) -> StorageError:
    """The StorageError that an OSError in `folder` amounts to."""
    if error.errno in _FULL:
        return disk_full(folder)
    if error.errno in _DENIED:
        return not_writable(folder, error.strerror)
    return StorageError(f"the disk of {folder} failed ({error}): check it (`dmesg`, `smartctl`), then start again")


def from_sqlite(error: sqlite3.Error, folder: Path, what: str = "journal", file: str = "journal.sqlite") -> StorageError:
    """The StorageError that an error of SQLite in `folder` amounts to; `what` stands there, in `file`."""
    code = getattr(error, "sqlite_errorcode", 0) & _SQLITE_PRIMARY
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(folder)):
        return disk_full(folder)
    if code in _SQLITE_DENIED:
        return not_writable(folder, error)
    if code in _SQLITE_DAMAGED:
        return damaged(f"{folder / file}", str(error))
    if isinstance(error, sqlite3.ProgrammingError):
        return StorageError(f"the {what} in {folder} is closed ({error})")
    return StorageError(f"the {what} in {folder} failed ({error}): check the disk (`dmesg`), then start again")


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


@contextmanager
def told(folder: Path, what: str = "journal", file: str = "journal.sqlite") -> Iterator[None]:
    """Errors of the system and of SQLite inside leave as StorageErrors about `what`, in `file` of the folder."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(error, folder, what, file) from error
    except OSError as error:
        raise from_os(error, folder) from error
