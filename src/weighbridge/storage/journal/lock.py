"""One process a folder: an exclusive flock on the file `lock`, which the kernel lifts when the process ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

from weighbridge.domain.errors import FolderInUseError
from weighbridge.storage.journal import faults

if TYPE_CHECKING:
    from pathlib import Path

PID_BYTES = 32
"""Longest content of the lock file that is read back: a process number and a newline."""


class Hold:
    """A folder that this process holds, until `close` or the end of the process."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """The folder is free again. Once is enough, more does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hold(folder: Path) -> Hold:
    """Hold `folder`, so that this process alone may use it. It is made if it is missing.

    FolderInUseError names the process that holds it; FolderNotWritableError if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise faults.from_os(error, folder) from error
    try:
        _take(folder, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return Hold(folder, descriptor)


def _take(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, PID_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
        message = f"{folder} is in use by process {holder}: stop it first, or name another folder"
        raise FolderInUseError(message) from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    except OSError as error:
        raise faults.from_os(error, folder) from error
