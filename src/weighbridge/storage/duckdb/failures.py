"""What DuckDB raises, in the words of our own error tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from weighbridge.domain.errors import (
    DamagedStoreError,
    DiskFullError,
    FolderInUseError,
    FolderNotWritableError,
    StorageError,
)

if TYPE_CHECKING:
    from pathlib import Path

_SIGNS: tuple[tuple[tuple[str, ...], type[StorageError], str], ...] = (
    (
        ("could not set lock", "conflicting lock", "already open in"),
        FolderInUseError,
        "another process has {folder} open: stop it, or give this one another data folder",
    ),
    (
        ("no space left", "disk full", "could not write all bytes", "disk quota", "file too large",
         "max_temp_directory_size"),
        DiskFullError,
        "no room is left on the disk of {folder}: free some; nothing that was confirmed is lost",
    ),
    (
        ("permission denied", "read-only", "cannot open file", "cannot create", "not a directory", "is a directory",
         "file exists"),
        FolderNotWritableError,
        "{folder} cannot be written to: give the user that runs Weighbridge the right to, or choose another folder",
    ),
    (
        ("not a valid duckdb", "corrupt", "checksum", "could not read enough bytes", "serialization error",
         "failed to deserialize", "storage version", "failure while replaying", "block id"),
        DamagedStoreError,
        "the usage store in {folder} is damaged: keep a copy, then restore the newest backup",
    ),
)
"""Words in DuckDB's messages (in lower case), the error they stand for, and what to do."""


def translate(error: Exception, folder: Path) -> StorageError:
    """The member of our error tree that says what `error` means for the data in `folder`, and what to do about it."""
    text = str(error).lower()
    for signs, kind, advice in _SIGNS:
        if any(sign in text for sign in signs):
            return kind(f"{advice.format(folder=folder)} ({_first_line(error)})")
    if isinstance(error, duckdb.OutOfMemoryException):
        return StorageError(f"the usage store needs more memory: raise its limit ({_first_line(error)})")
    return StorageError(f"the usage store in {folder} failed: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
