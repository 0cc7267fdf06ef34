"""The files of a flow store: one for each UTC day, and days.sqlite, which knows which there are and from when on."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.domain.errors import StorageError
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.storage.journal import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

META = "days.sqlite"
OPEN_DAYS = 4
"""Files of days that stay open: today's, yesterday's, and those that late senders or questions are about."""
BUSY_MS = 5_000
"""How long SQLite waits for another process (a backup) that holds a file."""
WHAT = "store of flow sums"
SUFFIXES = ("", "-wal", "-shm")
"""What SQLite adds to a file's name for the files beside it."""

_HERE = Path(__file__).parent
_SCHEMA = (_HERE / "schema.sql").read_text("utf-8")
_META_SCHEMA = (_HERE / "meta.sql").read_text("utf-8")


def file_of(day: int) -> str:
    """The name of a day's file; `day` counts days since the epoch."""
    return f"{datetime.fromtimestamp(day * DAY_S, UTC):%Y-%m-%d}.sqlite"


class Days:
    """See above. Not safe from several threads: whoever uses it holds a lock."""

    def __init__(self, folder: Path, begins_s: Callable[[], int]) -> None:
        """The folder is open. `begins_s` is asked where it is new: from when on all that was ever taken will be in it.

        FolderNotWritableError, DiskFullError; DamagedStoreError if a file contradicts itself.
        """
        self.folder = folder
        self._open: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        self._meta: sqlite3.Connection | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise faults.from_os(error, folder) from error
        try:
            with faults.told(folder, WHAT, META):
                self._meta = self._connect(META, _META_SCHEMA)
                if self._meta.execute("SELECT one FROM kept").fetchone() is None:
                    self._meta.execute("INSERT INTO kept VALUES (1, ?)", (-(-begins_s() // SLOT_S) * SLOT_S,))
                self.since_s: int = self._meta.execute("SELECT since_s FROM kept").fetchone()[0]
                self.known = {day for (day,) in self._meta.execute("SELECT day FROM days")}
        except BaseException:
            self.close()
            raise

    def _connect(self, name: str, schema: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.folder / name, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(schema)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def reading(self, day: int) -> Iterator[sqlite3.Connection | None]:
        """The file of a day, None where there is none. Errors inside leave as StorageErrors about it.

        DamagedStoreError: there was one, and it is gone.
        """
        if day not in self.known or (day + 1) * DAY_S <= self.since_s:
            yield None
            return
        with faults.told(self.folder, WHAT, file_of(day)):
            yield self._connection(day)

    @contextmanager
    def writing(self, day: int) -> Iterator[sqlite3.Connection]:
        """A transaction on the file of a day, made where it is new: durable at the end, or nothing of it."""
        with faults.told(self.folder, WHAT, file_of(day)):
            connection = self._connection(day)
            if day not in self.known:
                self._meta_must_be_open().execute("INSERT INTO days VALUES (?)", (day,))
                self.known.add(day)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite has rolled back by itself after some errors
                    connection.execute("ROLLBACK")
                raise

    def _connection(self, day: int) -> sqlite3.Connection:
        self._meta_must_be_open()
        connection = self._open.pop(day, None)
        if connection is None:
            path = self.folder / file_of(day)
            if day in self.known and not path.exists():
                faults.refuse(f"{path}", "it is gone, and held flow sums")
            while len(self._open) >= OPEN_DAYS:
                self._open.popitem(last=False)[1].close()
            connection = self._connect(file_of(day), _SCHEMA)
        self._open[day] = connection
        return connection

    def forget(self, before_s: int) -> int:
        """Days that lie wholly before an instant are gone; how many. What is left begins on a day."""
        since_s = before_s // DAY_S * DAY_S
        meta = self._meta_must_be_open()
        with faults.told(self.folder, WHAT, META):
            if since_s > self.since_s:
                meta.execute("UPDATE kept SET since_s = ?", (since_s,))  # first: a file that is half gone is never asked
                self.since_s = since_s
            gone = [day for day in sorted(self.known) if (day + 1) * DAY_S <= self.since_s]
            for day in gone:
                connection = self._open.pop(day, None)
                if connection is not None:
                    connection.close()
                for suffix in SUFFIXES:
                    (self.folder / (file_of(day) + suffix)).unlink(missing_ok=True)
                meta.execute("DELETE FROM days WHERE day = ?", (day,))
                self.known.discard(day)
        return len(gone)

    def _meta_must_be_open(self) -> sqlite3.Connection:
        if self._meta is None:
            raise StorageError(f"the {WHAT} is closed")
        return self._meta

    def must_be_open(self) -> None:
        """StorageError: it is closed."""
        self._meta_must_be_open()

    def close(self) -> None:
        """All files are let go."""
        with faults.told(self.folder, WHAT, META):
            while self._open:
                self._open.popitem()[1].close()
            if self._meta is not None:
                self._meta.close()
                self._meta = None
