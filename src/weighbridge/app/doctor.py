"""The examination of a data folder while no server runs on it: what is there, whether it agrees, and what to do."""

from __future__ import annotations

import errno
import shutil
import socket
import sqlite3
import stat
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from weighbridge.domain.errors import FolderInUseError, StorageError, UnknownZoneError
from weighbridge.domain.timegrid import zone
from weighbridge.ports import Finding
from weighbridge.storage.catalog.store import SqlCatalog
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.flows.store import SqliteFlowStore
from weighbridge.storage.journal.store import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from weighbridge.app.config import Settings
    from weighbridge.ports import Clock

ROOM_BYTES = 1_000_000_000
"""Less room than this on the disk is a finding: a day of a busy server, and what a compaction needs beside it."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Europe/Berlin")
"""Zones that must be known: without these no zone data is installed."""


def examine(settings: Settings, clock: Clock) -> list[Finding]:
    """Everything that is wrong with the data folder; empty: all is well. FolderInUseError: a server runs on it."""
    return [finding for _, findings in examinations(settings, clock) for finding in findings]


def examinations(settings: Settings, clock: Clock) -> Iterator[tuple[str, list[Finding]]]:
    """Each check's name with what it found, one after the other. FolderInUseError: a server runs on the folder."""
    folder = settings.data
    missing = _check_folder(folder)
    yield "folder", missing
    yield "zone data", _check_zones()
    if missing:
        return
    with ExitStack() as opened:
        journal: SqliteJournal | None = None
        store: DuckDBStore | None = None
        try:
            journal = SqliteJournal(folder / "journal")  # first: it locks the folder
            opened.callback(journal.close)
            findings = journal.check()
        except FolderInUseError:
            raise
        except StorageError as error:
            findings = [_damaged("journal", error)]
        yield "journal", findings
        yield "port", _check_port(settings)  # not before it is clear that no server of this folder has it
        yield "disk", _check_room(folder)
        yield "file modes", _check_modes(folder)
        yield "catalog", _check_catalog(folder, clock)
        try:
            store = DuckDBStore(
                folder / "usage", memory_limit_mb=settings.duckdb_memory_mb, threads=settings.duckdb_threads
            )
            opened.callback(store.close)
            findings = store.check()
        except StorageError as error:
            findings = [_damaged("usage store", error)]
        yield "usage store", findings
        if (folder / "flows").is_dir():
            yield "flow sums", _check_flows(folder, clock)
        if journal is not None and store is not None:
            yield "journal and usage", _check_marks(journal, store)


def _check_folder(folder: Path) -> list[Finding]:
    if not folder.is_dir():
        return [Finding("folder", f"there is no folder {folder}", "name the data folder with --data")]
    if not (folder / "journal").is_dir():
        return [
            Finding(
                "folder", f"{folder} holds no journal: no server ever ran on it", "name the data folder with --data"
            )
        ]
    return []


def _check_zones() -> list[Finding]:
    for name in ZONES:
        try:
            zone(name)
        except UnknownZoneError:
            return [Finding("zone data", f"the time zone {name} is not known", "install tzdata (pip install tzdata)")]
    return []


def _check_port(settings: Settings) -> list[Finding]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host} port {settings.port}"
            if error.errno == errno.EADDRINUSE:
                return [Finding("port", f"another program listens on {where}", "stop it, or serve with another --port")]
            return [
                Finding("port", f"cannot listen on {where}: {error.strerror}", "serve with another --host or --port")
            ]
    return []


def _check_room(folder: Path) -> list[Finding]:
    free = shutil.disk_usage(folder).free
    if free >= ROOM_BYTES:
        return []
    return [
        Finding(
            "disk",
            f"{free // 10**6} MB are left on the disk of {folder}",
            "make room, or keep less: retention_days_5m is the setting that frees most",
        )
    ]


def _check_modes(folder: Path) -> list[Finding]:
    """The admin key is its owner's alone, and nobody else may write to the folder."""
    findings = []
    key = folder / "admin.key"
    if key.exists() and key.stat().st_mode & OTHERS:
        mode = stat.S_IMODE(key.stat().st_mode)
        findings.append(
            Finding("file modes", f"{key} has mode {mode:o}: others can read the admin key", f"chmod 600 {key}")
        )
    findings += [
        Finding("file modes", f"anybody may write to {path}", f"chmod o-w {path}")
        for path in (folder, *folder.iterdir())
        if path.stat().st_mode & stat.S_IWOTH
    ]
    return findings


def _check_catalog(folder: Path, clock: Clock) -> list[Finding]:
    path = folder / "catalog.sqlite"
    if not path.is_file():
        return [Finding("catalog", f"{path} is not there", "restore it from a backup; without it usage has no owner")]
    try:
        with closing(sqlite3.connect(path)) as connection:
            told = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
        if told != ["ok"]:
            return [_damaged("catalog", "; ".join(told))]
        SqlCatalog(path, clock).close()
    except (sqlite3.Error, StorageError) as error:
        return [_damaged("catalog", error)]
    return []


def _check_flows(folder: Path, clock: Clock) -> list[Finding]:
    try:
        store = SqliteFlowStore(folder / "flows", lambda: clock.now_us() // 1_000_000)
    except StorageError as error:
        return [_damaged("flow sums", error)]
    with closing(store):
        return store.check()


def _check_marks(journal: SqliteJournal, store: DuckDBStore) -> list[Finding]:
    """The store is not ahead of the journal, and where it is level with it both have seen the same amounts."""
    accepted, folded = journal.mark(), store.mark()
    if folded.position > accepted.position:
        return [
            Finding(
                "journal and usage",
                f"usage is folded up to {folded.position}, but the journal ends at {accepted.position}",
                "the journal is older than the usage: restore both from the same backup",
            )
        ]
    if folded.position == accepted.position and folded.totals != accepted.totals:
        return [
            Finding(
                "journal and usage",
                f"the journal holds {accepted.totals}, the usage store {folded.totals}",
                "restore both from the same backup, and report this",
            )
        ]
    return []


def _damaged(check: str, error: object) -> Finding:
    return Finding(check, str(error), "keep a copy of the folder, then restore it from a backup")
