"""The outbox of an agent: bodies on disk, numbered, first in first out, each until the server has answered it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from weighbridge.domain.errors import BusyError
from weighbridge.spool.state import connect, hold, told, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SPOOL_BYTES: Final = 4 * 1024**3
"""Most that waits, unless the setting says otherwise: at 100 devices a minute some months, of many flows some days."""
FULL_WAIT_S: Final = 10
"""How long a collector waits before it looks whether there is room again."""

_FILE = "outbox.sqlite"
_SCHEMA = (Path(__file__).parent / "outbox.sql").read_text("utf-8")


class Outbox:
    """What waits in a folder. From any thread.

    `agent` is made at each opening: no number of it was ever used before, also where the folder was restored from a backup.
    Every method may raise StorageError: then nothing has changed, here and on disk.
    """

    def __init__(self, folder: Path, max_bytes: int = SPOOL_BYTES) -> None:
        """The outbox is open, and this process alone has the folder. FolderInUseError: another one does."""
        self.path = folder / _FILE
        self.max_bytes = max_bytes
        self._guard = threading.Lock()
        self._lock = hold(folder / "outbox.lock", "collects")
        try:
            self._connection = connect(self.path, _SCHEMA)
            try:
                with told(self.path):
                    self._read()
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    def _read(self) -> None:
        run = self._connection.execute
        self.agent = str(uuid4())
        run("INSERT OR IGNORE INTO state VALUES (1, 1, 0)")
        self._next: int
        self.delivered: int
        self._next, self.delivered = run("SELECT next, delivered FROM state").fetchone()
        self._waiting: int
        self.waiting_bytes: int
        self._waiting, self.waiting_bytes = run("SELECT count(*), ifnull(sum(length(body)), 0) FROM bodies").fetchone()

    @property
    def waiting(self) -> int:
        """How many bodies wait."""
        return self._waiting

    def put(self, makers: Sequence[Callable[[str, int], bytes]]) -> None:
        """One body of each maker waits, on the disk, or none: they are given `agent` and their number.

        BusyError: so much waits already that no more may.
        """
        with self._guard:
            bodies = [(self._next + at, make(self.agent, self._next + at)) for at, make in enumerate(makers)]
            size = sum(len(body) for _, body in bodies)
            if self.waiting_bytes + size > self.max_bytes:
                raise BusyError(
                    f"{self.waiting_bytes:,} bytes wait in {self.path}, as many as may: see why the server does not take "
                    "them, or allow more with --spool-max",
                    retry_after_s=FULL_WAIT_S,
                )
            with transaction(self._connection, self.path) as connection:
                connection.executemany("INSERT INTO bodies VALUES (?, ?)", bodies)
                connection.execute("UPDATE state SET next = next + ?", (len(bodies),))
            self._next += len(bodies)
            self._waiting += len(bodies)
            self.waiting_bytes += size

    def first(self) -> tuple[int, bytes] | None:
        """Number and body of what has waited longest."""
        with self._guard, told(self.path):
            found: tuple[int, bytes] | None = self._connection.execute(
                "SELECT number, body FROM bodies ORDER BY number LIMIT 1"
            ).fetchone()
        return found

    def answered(self, number: int, _answer: object = None) -> None:
        """The body is out of the outbox. A loss of power may bring it back: then it is sent again, and is a duplicate."""
        with self._guard:
            with self._unhurried(), transaction(self._connection, self.path) as connection:
                (length,) = connection.execute("SELECT length(body) FROM bodies WHERE number = ?", (number,)).fetchone()
                connection.execute("DELETE FROM bodies WHERE number = ?", (number,))
                connection.execute("UPDATE state SET delivered = delivered + 1")
            self.delivered += 1
            self._waiting -= 1
            self.waiting_bytes -= length

    @contextmanager
    def _unhurried(self) -> Iterator[None]:
        """Commits inside need not be on the disk yet: that takes most of the time of catching up."""
        with told(self.path):
            self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            with told(self.path):
                self._connection.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """The files are let go of; another process may have the folder. Once is enough, more does no harm."""
        with suppress(Exception):  # whatever it is, everything that was told is on disk
            self._connection.close()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)
