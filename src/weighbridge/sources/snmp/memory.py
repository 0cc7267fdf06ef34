"""What is remembered of devices between polls and restarts, in a file of the source's own folder.

It may be lost without losing or doubling a byte that was handed in: then a reset that happens meanwhile is not known for
what it is, and nothing is counted over it.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from weighbridge.domain.errors import StorageError
from weighbridge.sources.snmp.decode import KnownDevice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KEPT_US: Final = 400 * 86_400 * 1_000_000
"""How long a device is remembered that is polled no more: a year and a bit."""
_FILE: Final = "snmp.sqlite"
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS device (name TEXT PRIMARY KEY, saved_us INTEGER NOT NULL, known BLOB NOT NULL)"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KnownDevice).decode


class Memory:
    """Devices by name. One thread at a time; after `close` the file is opened again by what comes next."""

    def __init__(self, folder: Path, now_us: int) -> None:
        """The file can be opened, and what is too old has gone. StorageError: it cannot."""
        self._path = folder / _FILE
        self._file: sqlite3.Connection | None = None
        with self._opened() as file:
            file.execute("DELETE FROM device WHERE saved_us < ?", (now_us - KEPT_US,))

    def load(self) -> dict[str, KnownDevice]:
        """All that is remembered; what another version wrote and this one cannot read is forgotten. StorageError."""
        found = {}
        with self._opened() as file:
            for name, known in file.execute("SELECT name, known FROM device"):
                try:
                    found[name] = _decode(known)
                except msgspec.DecodeError:
                    continue
        return found

    def save(self, devices: Mapping[str, KnownDevice], now_us: int) -> None:
        """These devices are remembered as they are now. StorageError."""
        rows = [(name, now_us, _encode(known)) for name, known in devices.items()]
        with self._opened() as file:
            file.execute("BEGIN IMMEDIATE")
            try:
                file.executemany("INSERT OR REPLACE INTO device VALUES (?, ?, ?)", rows)
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")

    def close(self) -> None:
        """The file is let go of."""
        if self._file is not None:
            self._file.close()
        self._file = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The file, opened if it is not. StorageError: what is done with it fails."""
        try:
            if self._file is None:
                self._file = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
                self._file.execute("PRAGMA journal_mode = WAL")
                self._file.execute("PRAGMA synchronous = NORMAL")  # a power failure may take the newest seconds
                self._file.execute(_SCHEMA)
            yield self._file
        except sqlite3.Error as error:
            self.close()
            raise StorageError(
                f"{self._path} cannot be used ({error}): check the disk and who may write there; if it is damaged, delete it: "
                "it only helps to tell resets"
            ) from error
