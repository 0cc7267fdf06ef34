"""The runs on disk, level by level, and the manifest that says which of them count.

A frozen table becomes a run of level 0; FAN_IN runs of a level are merged into one of the next. What the manifest does
not name is an orphan of a crash and goes when the folder is opened. The manifest also says up to which journal position
every id is in its runs: journal rows up to there are not needed to know all ids.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import xxhash

from weighbridge.storage.journal import faults
from weighbridge.storage.journal.runs import Run, RunWriter, merged

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from weighbridge.storage.journal.tables import IdTable

FAN_IN = 8
"""Runs merged into one: at 10^8 ids some 20 runs to ask, and each id is rewritten 3 times on its way there."""
MANIFEST = "manifest.json"

_DRAFT = "manifest.draft"
_RUN_NAME = re.compile(r"(\d{10})\.run")


class RunEntry(msgspec.Struct, frozen=True):
    """A run that counts."""

    name: str
    level: int
    ids: int


class ManifestBody(msgspec.Struct, frozen=True):
    """All ids of journal rows up to `position` are in `runs`."""

    position: int
    runs: tuple[RunEntry, ...]


class Manifest(msgspec.Struct, frozen=True):
    """The file: the body and its checksum (xxh3_64, hex)."""

    body: msgspec.Raw
    checksum: str
    version: int = 1


class Merge:
    """A merge under way, done piece by piece so that frozen tables needn't wait for it."""

    def __init__(self, path: Path, runs: tuple[Run, ...]) -> None:
        self.path = path
        self.runs = runs
        self._pieces = merged(runs)
        self._writer = RunWriter(path, sum(run.ids for run in runs))

    def step(self) -> bool:
        """One more piece is written. False: it was the last one, and the file is whole and on disk."""
        piece = next(self._pieces, None)
        if piece is None:
            self._writer.finish()
            return False
        self._writer.add(*piece)
        return True

    def abandon(self) -> None:
        """Nothing is left of it."""
        self._writer.abandon()


class Levels:
    """The runs of a folder. One thread writes; others may search `runs` while they hold `lock`."""

    def __init__(self, folder: Path, lock: threading.Condition, fan_in: int = FAN_IN) -> None:
        """Runs are open, orphans gone. DamagedStoreError if the manifest or a run that it names is not whole."""
        self._folder = folder
        self._lock = lock
        self._fan_in = fan_in
        self._merges: dict[int, Merge] = {}
        self.position = 0
        self.runs: tuple[Run, ...] = ()
        with faults.told(folder):
            folder.mkdir(exist_ok=True)
            manifest = _read_manifest(folder)
            named = {entry.name for entry in manifest.runs}
            self._next_number = _remove_orphans(folder, named)
            self.position = manifest.position
            self._open(manifest)

    def _open(self, manifest: ManifestBody) -> None:
        runs: list[Run] = []
        try:
            for entry in manifest.runs:
                runs.append(Run(self._folder / entry.name, entry.level))
                if runs[-1].ids != entry.ids:
                    runs[-1].refuse(f"{runs[-1].ids} ids instead of {entry.ids}")
        except BaseException:
            for run in runs:
                run.close()
            raise
        self.runs = tuple(runs)

    def close(self) -> None:
        """Let go of all files; merges under way are dropped."""
        self.drop_merges()
        for run in self.runs:
            run.close()
        self.runs = ()

    def add(self, table: IdTable, position: int, then: Callable[[], None]) -> None:
        """The ids of a table are in a run of level 0, and rows up to `position` are covered, durably.

        `then` is called under the lock as searches begin to see the run, so that no id is seen twice or not at all.
        """
        if len(table) == 0:
            self._publish(self.runs, position, None, then)
            return
        path = self._new_path()
        self._write(table, path)
        run = Run(path, 0)
        self._publish((*self.runs, run), position, run, then)

    @staticmethod
    def _write(table: IdTable, path: Path) -> None:
        writer = RunWriter(path, len(table))
        try:
            writer.add(*table.columns())
            writer.finish()
        except BaseException:
            with suppress(OSError):
                writer.abandon()
            raise

    def _new_path(self) -> Path:
        self._next_number += 1
        return self._folder / f"{self._next_number:010}.run"

    def merge_step(self) -> bool:
        """A bounded piece of merging is done, lowest level first. False: there is nothing to merge."""
        for level in range(max((run.level for run in self.runs), default=-1) + 1):
            merge = self._merges.get(level)
            if merge is None:
                ready = tuple(run for run in self.runs if run.level == level)[: self._fan_in]
                if len(ready) < self._fan_in:
                    continue
                merge = self._merges[level] = Merge(self._new_path(), ready)
            if not merge.step():
                del self._merges[level]
                self._replace(merge, level + 1)
            return True
        return False

    def _replace(self, merge: Merge, level: int) -> None:
        kept = tuple(run for run in self.runs if run not in merge.runs)
        run = Run(merge.path, level)
        self._publish((*kept, run), self.position, run)
        for spent in merge.runs:
            spent.close()
            spent.path.unlink(missing_ok=True)

    def drop_merges(self) -> None:
        """Merges under way are forgotten; they will start anew."""
        for merge in self._merges.values():
            with suppress(OSError):
                merge.abandon()
        self._merges.clear()

    def _publish(
        self, runs: tuple[Run, ...], position: int, fresh: Run | None, then: Callable[[], None] | None = None,
    ) -> None:
        """The manifest names `runs` (of which one is `fresh`) and `position`, durably; only then searches see them."""
        entries = tuple(RunEntry(run.path.name, run.level, run.ids) for run in runs)
        try:
            _sync_folder(self._folder)  # the name of the new run, before the manifest relies on it
            _draft_manifest(self._folder, ManifestBody(position, entries))
        except OSError:
            if fresh:
                fresh.close()
                fresh.path.unlink(missing_ok=True)
            raise
        # From here on the manifest may name the fresh run whatever fails: the file stays. At worst it is an orphan.
        (self._folder / _DRAFT).replace(self._folder / MANIFEST)
        _sync_folder(self._folder)
        with self._lock:
            self.runs = runs
            self.position = position
            if then:
                then()


def _read_manifest(folder: Path) -> ManifestBody:
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        if xxhash.xxh3_64_hexdigest(bytes(manifest.body)) != manifest.checksum:
            faults.refuse(f"{path}", "its checksum is wrong")
        return msgspec.json.decode(manifest.body, type=ManifestBody)
    except FileNotFoundError:
        return ManifestBody(0, ())
    except msgspec.DecodeError as error:
        faults.refuse(f"{path}", str(error))


def _draft_manifest(folder: Path, body: ManifestBody) -> None:
    encoded = msgspec.json.encode(body)
    manifest = Manifest(msgspec.Raw(encoded), xxhash.xxh3_64_hexdigest(encoded))
    with (folder / _DRAFT).open("wb") as file:
        file.write(msgspec.json.encode(manifest))
        file.flush()
        os.fsync(file.fileno())


def _remove_orphans(folder: Path, named: set[str]) -> int:
    """Files that no manifest names are gone; the highest number of a run that was here."""
    (folder / _DRAFT).unlink(missing_ok=True)
    highest = 0
    for path in folder.iterdir():
        if match := _RUN_NAME.fullmatch(path.name):
            highest = max(highest, int(match[1]))
            if path.name not in named:
                path.unlink()
    return highest


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
