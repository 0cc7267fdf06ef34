"""The exact index of event ids: which were ever accepted, with what content.

An id is first claimed, then either settled (its batch is committed) or released. Three generations are asked: the open
claims and the active table, frozen tables, and the runs on disk. A background thread turns frozen tables into runs and
merges runs; a frozen table stays searchable until its run is durable. See docs/decisions/0002-event-id-index.md.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.domain.errors import DamagedStoreError, StorageError
from weighbridge.ports import Finding
from weighbridge.storage.journal import bloom, faults
from weighbridge.storage.journal.codec import FEW
from weighbridge.storage.journal.levels import FAN_IN, Levels
from weighbridge.storage.journal.tables import CONFLICT, KNOWN, NEW, IdTable, digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weighbridge.storage.journal.runs import Run

FREEZE_IDS = 131_072
"""Ids in the active table when it is frozen: 20 MB of Python integers, and a run of 2.3 MB written in 50 ms."""
FREEZE_EVENTS = 524_288
"""Events behind the covered position when the active table is frozen though not full, so that events without ids cannot
pin the journal's rows for ever: 32 MB of rows, replayed in a fraction of a second."""
FREEZE_ROWS = 65_536
"""The same for rows, which cost more than their events when batches are small."""
MAX_FROZEN = 3
"""Frozen tables that wait for the disk; then claims wait too, or fail if the disk does. 60 MB of memory."""
RETRY_S = 1.0
"""Pause after the disk refused a run, before it is tried again."""
STALL_S = 30.0
"""A claim that waited so long for a frozen table to be written is refused: the disk hangs."""

__all__ = ["CONFLICT", "KNOWN", "NEW", "EventIndex"]


class EventIndex:
    """Exact over all time. Calls may come from any thread; claims, settling and releases belong to one writer."""

    def __init__(self, folder: Path, *, freeze_ids: int = FREEZE_IDS, fan_in: int = FAN_IN) -> None:
        """Runs are open; ids of journal rows behind `position` are still to be given to `load`."""
        self._folder = folder
        self._freeze_ids = freeze_ids
        self._lock = threading.Condition(threading.Lock())
        self._changing = threading.Lock()  # whoever writes or closes runs, or needs them to stay; taken before _lock
        self._levels = Levels(folder, self._lock, fan_in)
        self._open = IdTable()
        self._begun = IdTable()
        self._active = IdTable()
        self._frozen: tuple[tuple[IdTable, int], ...] = ()  # oldest first, with the journal position each covers
        self._events = 0  # settled since the last freeze
        self._rows = 0
        self._failure: StorageError | None = None
        self._damage: DamagedStoreError | None = None
        self._closing = False
        self._resting = False
        self._worker = threading.Thread(target=self._work, name="event-id-runs", daemon=True)
        self._worker.start()

    @property
    def position(self) -> int:
        """Every id of journal rows up to here is in the runs on disk."""
        return self._levels.position

    @property
    def ids(self) -> int:
        """How many ids are settled."""
        with self._lock:
            frozen = sum(len(table) for table, _ in self._frozen)
            return sum(run.ids for run in self._levels.runs) + frozen + len(self._active)

    def load(self, key_hi: np.ndarray, key_lo: np.ndarray) -> None:
        """Settle ids of journal rows behind `position`, as when they were appended."""
        his, los = key_hi.tolist(), key_lo.tolist()
        with self._lock:
            self._await_room()
            fresh = dict(zip(his, los, strict=True))
            if len(fresh) == len(his) and self._active.is_apart_from(fresh):
                self._active.by_hi.update(fresh)
                return
            for hi, lo in zip(his, los, strict=True):
                if self._active.find(hi, lo) == NEW:
                    self._active.enter(hi, lo)

    def claim(self, key_hi: np.ndarray, key_lo: np.ndarray) -> np.ndarray:
        """Enter ids as open claims, see ports.Journal.claim. StorageError if the disk fails; then none is entered."""
        with self._lock:
            self._await_room()
            if len(key_hi) <= FEW:
                return self._claim_few(key_hi.tolist(), key_lo.tolist())
            return self._claim_many(key_hi, key_lo)

    def known(self, hi: int, lo: int) -> int:
        """NEW, KNOWN or CONFLICT of one id; nothing is entered. Open claims count as known."""
        with self._lock:
            return self._find_in_memory(hi, lo) or self._find_on_disk(hi, lo)

    def release(self, key_hi: np.ndarray, key_lo: np.ndarray) -> None:
        """Take back open claims. What is not one (settled long ago, or never claimed) stays as it is."""
        with self._lock:
            for hi, lo in zip(key_hi.tolist(), key_lo.tolist(), strict=True):
                if self._open.find(hi, lo) == KNOWN:
                    self._open.remove(hi, lo)

    def begin(self, key_hi: np.ndarray, key_lo: np.ndarray) -> int:
        """The claims of these ids wait for their commit: `settle` or `drop` must follow. How many distinct ids.

        ValueError, and nothing changes, if one was not claimed.
        """
        with self._lock:
            if len(key_hi) == len(self._open) and digest_of(key_hi, key_lo) == self._open.digest:
                self._begun, self._open = self._open, IdTable()
            else:
                self._begun = self._part_of_open(key_hi, key_lo)
            return len(self._begun)

    def settle(self, position: int, events: int) -> None:
        """What was begun is for ever: it is committed at `position`, newer than all before it."""
        with self._lock:
            self._active.absorb(self._begun)
            self._begun = IdTable()
            self._events += events
            self._rows += 1
            full = len(self._active) >= self._freeze_ids
            if (full or self._events >= FREEZE_EVENTS or self._rows >= FREEZE_ROWS) and len(self._frozen) < MAX_FROZEN:
                self._freeze(position)

    def drop(self) -> None:
        """What was begun is released: its commit failed."""
        with self._lock:
            self._begun = IdTable()

    def freeze(self, position: int) -> None:
        """Everything settled is on its way to disk, covering `position`."""
        with self._lock:
            self._await_room()
            self._freeze(position)

    def wait_until_idle(self, timeout_s: float = STALL_S) -> bool:
        """Nothing is left to write or to merge; False if the time was up before."""
        with self._lock:
            return self._lock.wait_for(lambda: self._resting and not self._frozen, timeout_s)

    def check(self) -> list[Finding]:
        """Every run is whole and ascending. Reads all of them; none is written or merged meanwhile."""
        with self._changing:
            return [finding for run in self._levels.runs for finding in self._check_run(run)]

    def _check_run(self, run: Run) -> list[Finding]:
        try:
            with faults.told(self._folder):
                wrong = run.check()
        except StorageError as error:
            wrong = str(error)
        remedy = "restore the data folder from a backup; until then a repeated event may be counted twice"
        return [Finding("event-id index", wrong, remedy)] if wrong else []

    def close(self) -> None:
        """Let go of the files. What is not in a run yet is replayed from the journal next time."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        self._worker.join()
        self._levels.close()

    # Under the lock.

    def _tables(self) -> Sequence[IdTable]:
        return (self._open, self._begun, self._active, *(table for table, _ in self._frozen))

    def _find_in_memory(self, hi: int, lo: int) -> int:
        for table in self._tables():
            if found := table.find(hi, lo):
                return found
        return NEW

    def _find_on_disk(self, hi: int, lo: int) -> int:
        mask = bloom.mask_of(hi)
        for run in self._levels.runs:
            if run.may_hold(hi, mask):
                with faults.told(self._folder):
                    found = run.find(hi, lo)
                if found:
                    return found
        return NEW

    def _search_disk(self, key_hi: np.ndarray, key_lo: np.ndarray) -> np.ndarray:
        found = np.zeros(len(key_hi), np.uint8)
        tops, masks = bloom.tops_of(key_hi), bloom.masks_of(key_hi)
        for run in self._levels.runs:
            candidates = run.candidates(tops, masks)
            if len(candidates):
                with faults.told(self._folder):
                    found[candidates] |= run.search(key_hi[candidates], key_lo[candidates])
        return found

    def _claim_few(self, his: list[int], los: list[int]) -> np.ndarray:
        pairs = zip(his, los, strict=True)
        return self._enter_new(his, los, [self._find_in_memory(*pair) or self._find_on_disk(*pair) for pair in pairs])

    def _claim_many(self, key_hi: np.ndarray, key_lo: np.ndarray) -> np.ndarray:
        found = self._search_disk(key_hi, key_lo)
        fresh = dict(zip(key_hi.tolist(), key_lo.tolist(), strict=True))
        if len(fresh) < len(key_hi) or found.any() or not all(table.is_apart_from(fresh) for table in self._tables()):
            return self._enter_new(key_hi.tolist(), key_lo.tolist(), found.tolist())
        self._open.by_hi.update(fresh)
        self._open.digest += digest_of(key_hi, key_lo)
        self._open.digest &= 2**64 - 1
        return found

    def _enter_new(self, his: list[int], los: list[int], found: list[int]) -> np.ndarray:
        """Enter what was not found, one by one, as each id of a call decides about its repetitions in the call."""
        for index, (hi, lo) in enumerate(zip(his, los, strict=True)):
            if found[index] == NEW:
                found[index] = self._find_in_memory(hi, lo)
                if found[index] == NEW:
                    self._open.enter(hi, lo, twin=any(hi in table.by_hi for table in self._tables()))
        return np.array(found, np.uint8)

    def _part_of_open(self, key_hi: np.ndarray, key_lo: np.ndarray) -> IdTable:
        """Some of the open claims, taken out of them. The parts of a split measurement may share an id."""
        part = IdTable()
        for hi, lo in zip(key_hi.tolist(), key_lo.tolist(), strict=True):
            if part.find(hi, lo) != KNOWN:
                if self._open.find(hi, lo) != KNOWN:
                    message = f"event id {hi:016x}{lo:016x} is appended, but was not claimed before"
                    raise ValueError(message)
                part.enter(hi, lo, twin=self._open.by_hi.get(hi) != lo)
        for hi, lo in part:
            self._open.remove(hi, lo)
        return part

    def _freeze(self, position: int) -> None:
        self._frozen = (*self._frozen, (self._active, position))
        self._active = IdTable()
        self._events = 0
        self._rows = 0
        self._lock.notify_all()

    def _await_room(self) -> None:
        """The active table may grow: it is not full, or can be frozen soon."""
        if self._closing:
            message = f"the event-id index in {self._folder} is closed"
            raise StorageError(message)
        if len(self._active) < self._freeze_ids or len(self._frozen) < MAX_FROZEN:
            return
        self._lock.wait_for(lambda: len(self._frozen) < MAX_FROZEN or self._failure, STALL_S)
        if len(self._frozen) < MAX_FROZEN:
            return
        if self._failure:
            raise type(self._failure)(str(self._failure))
        message = f"the event-id index in {self._folder} could not be written for {STALL_S:.0f} seconds: check the disk"
        raise StorageError(message)

    # The background thread.

    def _work(self) -> None:
        while not self._closing:
            try:
                with self._changing, faults.told(self._folder):
                    busy = self._write_oldest() or self._merge()
            except StorageError as error:
                self._fail(error)
                continue
            if not busy:
                with self._lock:
                    self._resting = not self._frozen
                    self._lock.notify_all()
                    self._lock.wait_for(lambda: self._frozen or self._closing)
                    self._resting = False

    def _write_oldest(self) -> bool:
        if not self._frozen:
            return False
        table, position = self._frozen[0]
        self._levels.add(table, position, self._forget_oldest)
        return True

    def _forget_oldest(self) -> None:
        """Called under the lock: the oldest frozen table is a run now."""
        self._frozen = self._frozen[1:]
        self._failure = None
        self._lock.notify_all()

    def _merge(self) -> bool:
        """A piece of merging. A damaged run ends all merging: `check` tells, and claims go on."""
        if self._damage:
            return False
        try:
            return self._levels.merge_step()
        except DamagedStoreError as error:
            self._levels.drop_merges()
            self._damage = error
            return False
        except OSError:
            self._levels.drop_merges()
            raise

    def _fail(self, error: StorageError) -> None:
        """The disk refused: whoever waits for room learns it, and it is tried again after a pause."""
        with self._lock:
            self._failure = error
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._closing, RETRY_S)
