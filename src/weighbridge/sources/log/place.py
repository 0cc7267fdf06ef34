"""Where a log was read to, on disk: which files, how far, and what was read and not answered yet (the outbox).

One transaction enters what a range of bytes adds up to into the outbox and moves the offset behind it. After a kill -9 the
range is either in the outbox, with its event ids fixed for ever, or it was not read. So it counts once, whatever happens.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import xxhash

from weighbridge.sources.log.marks import START, Mark
from weighbridge.sources.log.outgoing import numbered_bodies
from weighbridge.spool.state import connect, hold, told, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping
    from contextlib import AbstractContextManager

    from weighbridge.measurement import Receipt
    from weighbridge.sources.log.decode import Chunk

OUTBOX_BYTES: Final = 256 * 1024 * 1024
"""Most that waits for the server, on disk: the sums of some 10^9 lines. Beyond it the log itself is the queue."""
OUTBOX_BODIES: Final = 100_000
"""Most bodies that wait: a day and more of an idle log, read every second; beyond it as above."""
FILES_KEPT: Final = 20_000
"""Files that are remembered; beyond it the oldest go that are done and no longer there: twice what is looked at."""
LINE_COUNTS: Final = ("lines", "counted", "bad", "unmatched", "blank")
"""Names of the counts of lines."""
REFUSED: Final = "refused."
"""Counts of refused events begin with this and end with the server's code."""

_SCHEMA = (Path(__file__).parent / "place.sql").read_text("utf-8")
_COUNT = "INSERT INTO counts VALUES (?, ?) ON CONFLICT (what) DO UPDATE SET amount = amount + excluded.amount"


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read, in part or whole. `number` 0: it is not kept yet. `ident`: DEVICE/INODE."""

    number: int
    ident: str | None
    name: str
    mark: Mark = START
    lines: int = 0
    header: str = ""
    is_done: bool = False


def path_in(folder: Path, log: Path) -> Path:
    """The file in `folder` that keeps the place of a log: one for each path, whatever the settings of the log."""
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in log.name)[:60]
    return folder / f"{name}-{xxhash.xxh3_64_hexdigest(os.fsencode(log))}.sqlite"


class Place:
    """The place of one log. `files` by number; `packed` are the versions of compressed files that are done with.

    Every method may raise StorageError: then nothing has changed, here and on disk.
    """

    def __init__(self, path: Path, log: Path) -> None:
        """The place is open, and this process alone has it. FolderInUseError: another one does."""
        self.path = path
        self._lock = hold(path.with_suffix(".lock"), "follows this log")
        try:
            self._connection = connect(path, _SCHEMA)
            try:
                with told(path):
                    self._read(log)
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    def _read(self, log: Path) -> None:
        run = self._connection.execute
        run("INSERT OR IGNORE INTO place VALUES (1, ?, ?, NULL, 1)", (str(uuid4()), os.fsdecode(log)))
        self.started_us: int | None
        self._sequence: int
        uuid, self.started_us, self._sequence = run("SELECT uuid, started_us, sequence FROM place").fetchone()
        self.source = f"log/{uuid}"
        self.files = {row[0]: _file(row) for row in run("SELECT * FROM files ORDER BY number")}
        self.packed = {version for (version,) in run("SELECT version FROM packed")}
        self.counts: Counter[str] = Counter(dict(run("SELECT what, amount FROM counts")))
        self.waiting: int
        self.waiting_bytes: int
        self.waiting, self.waiting_bytes = run("SELECT count(*), ifnull(sum(length(body)), 0) FROM outbox").fetchone()

    def begin(self, now_us: int, files: Iterable[File], packed: Collection[str]) -> None:
        """The log has been seen for the first time; these files were there and are done with."""
        with self._transaction() as connection:
            connection.execute("UPDATE place SET started_us = ?", (now_us,))
            kept = [self._keep(connection, file) for file in files]
            connection.executemany("INSERT OR IGNORE INTO packed VALUES (?)", [(version,) for version in packed])
        self.started_us = now_us
        self.files.update((file.number, file) for file in kept)
        self.packed.update(packed)

    def enter(self, file: File, chunk: Chunk | None = None, packed: str | None = None) -> File:
        """The file stands where `file` says, and what the bytes up to there add up to is in the outbox; as it is kept.

        `packed`: the version of a compressed file that is done with now.
        """
        bodies = numbered_bodies(chunk.sums, self.source, self._sequence) if chunk else []
        counts = {name: getattr(chunk, name) for name in LINE_COUNTS} if chunk else {}
        with self._transaction() as connection:
            kept = self._keep(connection, file)
            if packed is not None:
                connection.execute("INSERT OR IGNORE INTO packed VALUES (?)", (packed,))
            if bodies:
                rows = [(body.number, body.content) for body in bodies]
                connection.executemany("INSERT INTO outbox VALUES (?, ?)", rows)
                connection.execute("UPDATE place SET sequence = sequence + ?", (len(bodies),))
            self._count(connection, counts)
        self._sequence += len(bodies)
        self.waiting += len(bodies)
        self.waiting_bytes += sum(len(body.content) for body in bodies)
        self._remember(kept, packed)
        self._add(counts)
        return kept

    def enter_packed(self, version: str) -> None:
        """A compressed file is done with."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO packed VALUES (?)", (version,))
        self.packed.add(version)

    def first(self) -> tuple[int, bytes] | None:
        """Number and body of what has waited longest for the server's answer."""
        with told(self.path):
            found: tuple[int, bytes] | None = self._connection.execute(
                "SELECT sequence, body FROM outbox ORDER BY sequence LIMIT 1"
            ).fetchone()
        return found

    def answered(self, sequence: int, receipt: Receipt) -> None:
        """The body is out of the outbox, and what the server said of its events is counted."""
        counts = {"accepted": receipt.accepted, "duplicates": receipt.duplicates}
        for refusal in receipt.rejected:
            counts[REFUSED + refusal.code] = counts.get(REFUSED + refusal.code, 0) + 1
        with self._transaction() as connection:
            ((length,),) = connection.execute("SELECT length(body) FROM outbox WHERE sequence = ?", (sequence,)).fetchall()
            connection.execute("DELETE FROM outbox WHERE sequence = ?", (sequence,))
            self._count(connection, counts)
        self.waiting -= 1
        self.waiting_bytes -= length
        self._add(counts)

    def forget(self, present: Collection[int], versions: Collection[str]) -> None:
        """Of files and compressed versions that are not there any more, no more than FILES_KEPT are remembered."""
        if max(len(self.files), len(self.packed)) <= FILES_KEPT:
            return
        gone = [number for number, file in self.files.items() if file.is_done and number not in present]
        spare = gone[: max(len(self.files) - FILES_KEPT, 0)]
        spare_versions = sorted(self.packed.difference(versions))[: max(len(self.packed) - FILES_KEPT, 0)]
        with self._transaction() as connection:
            connection.executemany("DELETE FROM files WHERE number = ?", [(number,) for number in spare])
            connection.executemany("DELETE FROM packed WHERE version = ?", [(version,) for version in spare_versions])
        for number in spare:
            del self.files[number]
        self.packed.difference_update(spare_versions)

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the server that no more may be read."""
        return self.waiting >= OUTBOX_BODIES or self.waiting_bytes >= OUTBOX_BYTES

    def close(self) -> None:
        """The files are let go of; another process may have the place. Once is enough, more does no harm."""
        with suppress(Exception):  # whatever it is, everything that was told is on disk
            self._connection.close()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._connection, self.path)

    def _keep(self, connection: sqlite3.Connection, file: File) -> File:
        mark = file.mark
        values = (file.ident, file.name, mark.offset, mark.head, mark.tail, file.lines, file.header, file.is_done)
        if file.number:
            connection.execute(
                "UPDATE files SET (ident, name, read_bytes, head, tail, lines, header, done) = (?, ?, ?, ?, ?, ?, ?, ?)"
                " WHERE number = ?",
                (*values, file.number),
            )
            number = file.number
        else:
            number = connection.execute("INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", values).lastrowid or 0
        if file.ident is not None:  # an inode that is used again belongs to the file that has it now
            connection.execute("UPDATE files SET ident = NULL WHERE ident = ? AND number <> ?", (file.ident, number))
        return replace(file, number=number)

    def _remember(self, kept: File, packed: str | None) -> None:
        if kept.ident is not None:
            for number, file in self.files.items():
                if file.ident == kept.ident and number != kept.number:
                    self.files[number] = replace(file, ident=None)
        self.files[kept.number] = kept
        if packed is not None:
            self.packed.add(packed)

    def _count(self, connection: sqlite3.Connection, counts: Mapping[str, int]) -> None:
        connection.executemany(_COUNT, [(what, amount) for what, amount in counts.items() if amount])

    def _add(self, counts: Mapping[str, int]) -> None:
        self.counts.update(counts)


def _file(row: tuple[int, str | None, str, int, str, str, int, str, int]) -> File:
    number, ident, name, offset, head, tail, lines, header, done = row
    return File(number, ident, name, Mark(offset, head, tail), lines, header, bool(done))
