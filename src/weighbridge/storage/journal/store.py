"""The journal on SQLite: durable batches in order, counter states, and the event-id index beside them.

Two connections: the writer's commits are synced to disk, one transaction a batch; the fold's reads, trims and
checkpoints. Both may be called from any thread; a lock each keeps their calls apart.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from weighbridge.measurement import JournalRow, Mark, Totals
from weighbridge.ports import CounterState, Finding
from weighbridge.storage.journal import codec, faults
from weighbridge.storage.journal.check import check_rows
from weighbridge.storage.journal.index import FREEZE_IDS, EventIndex
from weighbridge.storage.journal.levels import FAN_IN
from weighbridge.storage.journal.lock import hold
from weighbridge.storage.journal.tables import NEW

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weighbridge.ports import CounterKey

COUNTERS_CACHED = 65_536
"""Counter states in memory, the latest used: some 20 MB. Others are read again when asked for."""
TRIM_ROWS = 64
"""Rows deleted in one transaction: the writer waits a few milliseconds for it at most."""
WAL_BYTES = 64 << 20
"""Beyond this length of the write-ahead log a checkpoint stops the writer for a moment, so that the log starts anew;
otherwise a writer that never rests would let it grow for ever."""
REPLAY_EVENTS = 65_536
"""Events read at a time when ids are replayed: 4 MB."""
COUNTERS_LOOKED_AT = 1_000
"""Counter states looked at or forgotten at a time: the writer waits a few milliseconds for it at most."""
STALE_NOTED = 200_000
"""Most counters that one turn may find too old: 30 MB of notes. The next turns find the others."""
BUSY_MS = 5_000
"""How long SQLite waits for another process (a backup) that holds the file."""

_PAGE_BYTES = 4096
_HERE = Path(__file__).parent
_SCHEMA, _NEWEST, _MOVE_FLOOR, _RAISE_FLOOR, _TRIMMABLE, _UPSERT_COUNTER = (
    (_HERE / f"{name}.sql").read_text("utf-8")
    for name in ("schema", "newest", "move_floor", "raise_floor", "trimmable", "upsert_counter")
)
_APPEND = "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_READ = "SELECT * FROM rows WHERE position > ? ORDER BY position"
_IS_COUNTER = "organization = ? AND subject = ? AND source = ? AND counter = ?"
_COUNTER = f"SELECT state FROM counters WHERE {_IS_COUNTER}"  # noqa: S608  a constant
_COUNTERS_AFTER = """SELECT * FROM counters WHERE (organization, subject, source, counter) > (?, ?, ?, ?)
ORDER BY organization, subject, source, counter LIMIT ?"""

_FORGET = f"DELETE FROM counters WHERE {_IS_COUNTER} AND state = ?"  # noqa: S608  a constant
_FORGET_NOTE = f"DELETE FROM stale_counters WHERE {_IS_COUNTER}"  # noqa: S608  a constant

_encode_state = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(CounterState).decode


class _Place(NamedTuple):
    """A mark, and how many ids were settled up to it."""

    mark: Mark
    ids: int

    @classmethod
    def of(cls, row: tuple[int, int, int, str, str, str]) -> _Place:
        position, events, ids, bytes_in, bytes_out, requests = row
        return cls(Mark(position, Totals(events, int(bytes_in), int(bytes_out), int(requests))), ids)

    def columns(self) -> tuple[int, int, str, str, str]:
        totals = self.mark.totals
        return totals.events, self.ids, str(totals.bytes_in), str(totals.bytes_out), str(totals.requests)


class SqliteJournal:
    """The Journal port (ports.py) in a folder of its own, which it locks against other processes."""

    def __init__(self, folder: Path, *, freeze_ids: int = FREEZE_IDS, fan_in: int = FAN_IN) -> None:
        """The journal is open and its index complete.

        FolderInUseError, FolderNotWritableError, DiskFullError; DamagedStoreError if files contradict themselves.
        """
        self._folder = folder
        self._writing = threading.Lock()  # whoever changes the database, on either connection
        self._reading = threading.Lock()  # the fold's connection; taken before _writing
        self._counters: OrderedDict[CounterKey, CounterState | None] = OrderedDict()
        self._hold = hold(folder)
        self._connections: list[sqlite3.Connection] = []
        self._index: EventIndex | None = None
        try:
            with faults.told(folder):
                self._writer = self._connect("FULL")
                self._writer.executescript(_SCHEMA)
                self._fold = self._connect("NORMAL")  # a trim that a crash undoes does no harm
                self._newest = _Place.of(self._writer.execute(_NEWEST).fetchone())
            self._ids = self._index = EventIndex(folder / "index", freeze_ids=freeze_ids, fan_in=fan_in)
            self._join_index()
        except BaseException:
            self.close()
            raise

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._folder / "journal.sqlite", isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
        self._connections.append(connection)
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        return connection

    def _join_index(self) -> None:
        """The index knows the ids of all rows; positions go on behind both."""
        covered = self._ids.position
        trimmed = self._writer.execute("SELECT trimmed FROM floor").fetchone()[0]
        if covered < trimmed:
            why = f"it covers rows up to {covered}, but rows up to {trimmed} are trimmed already"
            faults.refuse(f"the event-id index {self._folder / 'index'}", why)
        after = covered
        while rows := self.read(after, REPLAY_EVENTS):
            measurements = np.concatenate([row.measurements for row in rows])
            after = rows[-1].mark.position
            self._ids.load(*_keys(measurements))
            self._ids.settle(after, len(measurements))
        if covered > self._newest.mark.position:
            self._raise_to(_Place(Mark(covered, self._newest.mark.totals), self._ids.ids))

    # The writer's calls.

    def claim(self, key_hi: np.ndarray, key_lo: np.ndarray) -> np.ndarray:
        """Enter ids into the index; see ports.Journal. Keys of which both halves are 0 are new always."""
        if key_hi.all():
            return self._ids.claim(key_hi, key_lo)
        named = (key_hi | key_lo) != 0
        found = np.zeros(len(key_hi), np.uint8)
        found[named] = self._ids.claim(key_hi[named], key_lo[named])
        return found

    def known(self, key_hi: int, key_lo: int) -> int:
        """Like `claim` for one id, but enters nothing."""
        return self._ids.known(key_hi, key_lo) if key_hi or key_lo else NEW

    def release(self, key_hi: np.ndarray, key_lo: np.ndarray) -> None:
        """Take back claims that are not appended; ids that are appended stay."""
        self._ids.release(key_hi, key_lo)

    def append(
        self, measurements: np.ndarray, counters: dict[CounterKey, CounterState], cuts: Sequence[int] = ()
    ) -> Mark:
        """One synced transaction; see ports.Journal. Every id claimed by then is in a batch or released before long.

        ValueError, and nothing is kept, if an id was not claimed. DiskFullError, StorageError: nothing is kept, the
        claims of the batch are released, and a later append works once the cause is gone.
        """
        with self._writing:
            ids = self._ids.begin(*_keys(measurements))
            parts = np.split(measurements, cuts) if cuts else [measurements]
            try:
                place = self._commit(parts, ids, counters)
            except BaseException:
                self._ids.drop()
                raise
            self._newest = place
            self._ids.settle(place.mark.position, len(measurements))
            for key, state in counters.items():
                self._remember(key, state)
            return place.mark

    def _commit(
        self, parts: Sequence[np.ndarray], ids: int, counters: dict[CounterKey, CounterState]
    ) -> _Place:
        """The batch, a row a part, and the counters are on disk, and where that is. Without measurements: no row."""
        newest = self._newest
        inserts: list[tuple[_Place, np.ndarray]] = []
        for part in parts:
            if len(part):
                newest = self._after(newest, part, ids if len(parts) == 1 else len(_keys(part)[0]))
                inserts.append((newest, part))
        with faults.told(self._folder):
            if not counters and len(inserts) < 2:  # noqa: PLR2004  a statement by itself is a transaction
                for place, part in inserts:
                    self._insert(place, part)
                return newest
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for place, part in inserts:
                    self._insert(place, part)
                states = [(*key, _encode_state(state)) for key, state in counters.items()]
                self._writer.executemany(_UPSERT_COUNTER, states)
                self._writer.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        return newest

    @staticmethod
    def _after(place: _Place, part: np.ndarray, ids: int) -> _Place:
        totals = _sum_of(place.mark.totals, codec.batch_totals(part))
        return _Place(Mark(place.mark.position + 1, totals), place.ids + ids)

    def _insert(self, place: _Place, measurements: np.ndarray) -> None:
        blob = codec.encode(measurements, place.mark.position)
        self._writer.execute(_APPEND, (place.mark.position, len(measurements), *place.columns(), blob))

    def _roll_back(self) -> None:
        """SQLite has rolled back by itself after some errors, not after others."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def counter(self, key: CounterKey) -> CounterState | None:
        """The newest state of a counter, None if it was never read."""
        with self._writing:
            if key in self._counters:
                self._counters.move_to_end(key)
                return self._counters[key]
            with faults.told(self._folder):
                row = self._writer.execute(_COUNTER, key).fetchone()
            state = _decode_state(row[0]) if row else None
            self._remember(key, state)
            return state

    def _remember(self, key: CounterKey, state: CounterState | None) -> None:
        self._counters[key] = state
        self._counters.move_to_end(key)
        if len(self._counters) > COUNTERS_CACHED:
            self._counters.popitem(last=False)

    def ensure_after(self, position: int, totals: Totals | None = None) -> None:
        """New positions lie behind `position`, durably, and totals go on from `totals` if the journal was short of it.

        For the usage store's mark at start: it lies past the journal only if the disk lost rows that were acknowledged.
        """
        with self._writing:
            newest = self._newest
            if position > newest.mark.position:
                self._raise_to(_Place(Mark(position, totals or newest.mark.totals), newest.ids))

    def _raise_to(self, place: _Place) -> None:
        """The journal goes on from a place that it has no row for. The gap is kept for `check`."""
        with faults.told(self._folder):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                gap = (place.mark.position, self._newest.mark.position)
                self._writer.execute("INSERT INTO gaps VALUES (?, ?)", gap)
                self._writer.execute(_MOVE_FLOOR, (place.mark.position, *place.columns()))
                self._writer.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        self._newest = place

    def forget_counters(self, before_us: int) -> int:
        """Forget counters whose newest reading lay before an instant at the call before too; see ports.Journal."""
        gone = 0
        while (count := self._forget_some()) is not None:
            gone += count
        noted = 0
        last: CounterKey | None = ("", "", "", "")
        while last is not None and noted < STALE_NOTED:
            count, last = self._note_stale(last, before_us)
            noted += count
        return gone

    def _forget_some(self) -> int | None:
        """Some of what the last turn noted is gone, but for counters that moved since; None: nothing is noted."""
        with self._reading, self._writing, faults.told(self._folder):
            stale = self._fold.execute("SELECT * FROM stale_counters LIMIT ?", (COUNTERS_LOOKED_AT,)).fetchall()
            if not stale:
                return None
            with self._transaction() as connection:
                gone = connection.executemany(_FORGET, stale).rowcount
                connection.executemany(_FORGET_NOTE, [row[:4] for row in stale])
            for organization, subject, source, counter, _ in stale:
                self._counters.pop((organization, subject, source, counter), None)
            return gone

    def _note_stale(self, after: CounterKey, before_us: int) -> tuple[int, CounterKey | None]:
        """Some counters have been looked at, and those that are too old are noted: how many, and the last one's key."""
        with self._reading, faults.told(self._folder):
            rows = self._fold.execute(_COUNTERS_AFTER, (*after, COUNTERS_LOOKED_AT)).fetchall()
            stale = [row for row in rows if _decode_state(row[4]).at_us < before_us]
            if stale:
                with self._writing, self._transaction() as connection:
                    connection.executemany("INSERT INTO stale_counters VALUES (?, ?, ?, ?, ?)", stale)
        return len(stale), tuple(rows[-1][:4]) if len(rows) == COUNTERS_LOOKED_AT else None

    # The fold's calls.

    def mark(self) -> Mark:
        """The newest committed position and the totals of everything ever appended."""
        return self._newest.mark

    def read(self, after: int, max_events: int) -> list[JournalRow]:
        """Committed rows behind `after`, in order: at least one if there is any, then up to `max_events` events."""
        rows: list[JournalRow] = []
        room = max_events
        with self._reading, faults.told(self._folder), closing(self._fold.execute(_READ, (after,))) as cursor:
            for position, events, *totals, blob in cursor:
                room -= events
                if rows and room < 0:
                    break
                place = _Place.of((position, *totals))
                rows.append(JournalRow(place.mark, codec.decode(blob, position, events)))
        return rows

    def trim(self, folded: int) -> int:
        """Delete rows that both the fold (position `folded`) and the index on disk are past; how many went."""
        until = min(folded, self._ids.position)
        gone = 0
        with self._reading:
            while count := self._trim_some(until):
                gone += count
        return gone

    def _trim_some(self, until: int) -> int:
        with self._writing, faults.told(self._folder):
            place = self._fold.execute(_TRIMMABLE, (until, TRIM_ROWS)).fetchone()[0]
            if place is None:
                return 0
            with self._transaction() as connection:
                connection.execute(_RAISE_FLOOR, (place,))
                connection.execute("UPDATE floor SET trimmed = ?", (place,))
                connection.execute("DELETE FROM gaps WHERE until_position <= ?", (place,))
                return connection.execute("DELETE FROM rows WHERE position <= ?", (place,)).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the fold's connection; nothing of it is kept if it raises."""
        self._fold.execute("BEGIN IMMEDIATE")
        try:
            yield self._fold
            self._fold.execute("COMMIT")
        except BaseException:
            if self._fold.in_transaction:
                self._fold.execute("ROLLBACK")
            raise

    def checkpoint(self) -> None:
        """What is committed is in the database file, so that the write-ahead log starts anew. Call it every second."""
        with self._reading, faults.told(self._folder):
            _, pages, _ = self._fold.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages * _PAGE_BYTES > WAL_BYTES:
                with self._writing:
                    self._fold.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()

    # Care.

    def check(self) -> list[Finding]:
        """Rows against their checksums, totals and positions, runs, and index against journal. Empty: all is well.

        Reads everything; meant for a journal that nobody appends to meanwhile.
        """
        with self._reading, faults.told(self._folder):
            findings = check_rows(self._fold)
        findings += self._ids.check()
        newest, ids = self._newest, self._ids.ids
        if ids != newest.ids:
            detail = f"the index holds {ids} event ids, the journal accepted {newest.ids}"
            findings.append(Finding("event-id index", detail, "restore the data folder from a backup"))
        if self._ids.position > newest.mark.position:
            detail = f"the index covers position {self._ids.position}, the journal ends at {newest.mark.position}"
            findings.append(Finding("event-id index", detail, "restore the data folder from a backup"))
        return findings

    def close(self) -> None:
        """Let go of the files. Further calls raise StorageError."""
        with self._reading, self._writing:
            if self._index:
                self._index.close()
                self._index = None
            with faults.told(self._folder):
                while self._connections:
                    self._connections.pop().close()
            self._hold.close()


def _keys(measurements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a batch, without those that are not in the index."""
    key_hi, key_lo = measurements["key_hi"], measurements["key_lo"]
    if key_hi.all():
        return key_hi, key_lo
    named = (key_hi | key_lo) != 0
    return key_hi[named], key_lo[named]


def _sum_of(left: Totals, right: Totals) -> Totals:
    return Totals(
        left.events + right.events,
        left.bytes_in + right.bytes_in,
        left.bytes_out + right.bytes_out,
        left.requests + right.requests,
    )
