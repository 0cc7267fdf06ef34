"""The rows of a journal, proved one by one: checksums, the chain of totals, and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain.errors import DamagedStoreError
from weighbridge.ports import Finding
from weighbridge.storage.journal import codec

if TYPE_CHECKING:
    import sqlite3

    import numpy as np

MAX_FINDINGS = 100
"""More of one kind tell nothing new."""

_RESTORE = "stop Weighbridge, keep a copy of the data folder, and restore it from the last backup"
_FLOOR = (
    "SELECT position, events_total, ids_total, bytes_in_total, bytes_out_total, requests_total FROM floor")
_ROWS = (
    "SELECT position, events_total, ids_total, bytes_in_total, bytes_out_total, requests_total, events, measurements "
    "FROM rows ORDER BY position")
_GAP_REMEDY = (
    "the disk or file system lost writes it had confirmed: compare the sums with what the sources say, send again what "
    "is missing (known events are not counted twice), and check the disk")

Total = tuple[int, int, int, int, int]
"""Events, ids, bytes in, bytes out and requests of everything up to a row."""


def check_rows(connection: sqlite3.Connection) -> list[Finding]:
    """What is wrong with the database file and its rows; empty if nothing is. Reads all of it."""
    findings = [
        Finding("journal file", str(problem), _RESTORE)
        for (problem,) in connection.execute(f"PRAGMA integrity_check({MAX_FINDINGS})") if problem != "ok"
    ]
    for after, until in connection.execute("SELECT after_position, until_position FROM gaps ORDER BY after_position"):
        detail = f"positions {after + 1} to {until} were acknowledged and are not in the journal"
        findings.append(Finding("journal", detail, _GAP_REMEDY))
    return (findings + _check_chain(connection))[:MAX_FINDINGS]


def _check_chain(connection: sqlite3.Connection) -> list[Finding]:
    """Each row decodes, and its totals are those of the place before it plus its own."""
    findings: list[Finding] = []
    floor, *floor_total = connection.execute(_FLOOR).fetchone()
    before: tuple[int, Total] | None = None
    for position, *total, events, blob in connection.execute(_ROWS):
        if floor < position and (before is None or before[0] < floor):
            before = floor, _total(floor_total)
        found = _total(total)
        try:
            own = _own(codec.decode(blob, position, events))
        except DamagedStoreError as error:
            findings.append(Finding("journal", str(error), _RESTORE))
            before = position, found
            continue
        if before is not None and tuple(map(sum, zip(before[1], own, strict=True))) != found:
            detail = f"the totals of row {position} are not those of position {before[0]} plus its own"
            findings.append(Finding("journal", detail, _RESTORE))
        elif before is not None and before[0] + 1 != position:
            detail = f"positions {before[0] + 1} to {position - 1} are missing"
            findings.append(Finding("journal", detail, _RESTORE))
        before = position, found
    return findings


def _total(columns: list[int | str]) -> Total:
    events, ids, bytes_in, bytes_out, requests = map(int, columns)
    return events, ids, bytes_in, bytes_out, requests


def _own(measurements: np.ndarray) -> Total:
    totals = codec.batch_totals(measurements)
    keys = set(zip(measurements["key_hi"].tolist(), measurements["key_lo"].tolist(), strict=True)) - {(0, 0)}
    return totals.events, len(keys), totals.bytes_in, totals.bytes_out, totals.requests
