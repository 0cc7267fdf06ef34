"""The self-check of one day's file of flow sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain.errors import DamagedStoreError
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.ports import Finding
from weighbridge.storage.flows import codec
from weighbridge.storage.flows.days import file_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from weighbridge.storage.flows.days import Days

MAX_FINDINGS = 20
"""More of one day tell nothing new."""
CHECK = "flow sums"
_REMEDY = (
    "stop Weighbridge, keep a copy of the data folder, and restore it from the last backup; usage is not touched by this, "
    "but until then neither `unattributed` nor `reattribute` is right for that day"
)


def check_day(days: Days, day: int) -> list[Finding]:
    """What is wrong with the file of a day; empty if nothing is. Reads all of it."""
    try:
        with days.reading(day) as connection:
            return [] if connection is None else list(_check(connection, day))[:MAX_FINDINGS]
    except DamagedStoreError as error:
        return [Finding(CHECK, str(error), _REMEDY)]


def _check(connection: sqlite3.Connection, day: int) -> Iterator[Finding]:
    for (problem,) in connection.execute(f"PRAGMA integrity_check({MAX_FINDINGS})"):
        if problem != "ok":
            yield Finding(CHECK, f"{file_of(day)}: {problem}", _REMEDY)
    sql = "SELECT slot, batch, owned, loose, batch IN (SELECT number FROM batches) FROM piles ORDER BY slot"
    for slot, batch, owned, loose, is_there in connection.execute(sql):
        if slot * SLOT_S // DAY_S != day:
            yield Finding(CHECK, f"{file_of(day)}: slot {slot} is of another day", _REMEDY)
        if batch is not None and not is_there:
            yield Finding(CHECK, f"{file_of(day)}: slot {slot} holds sums of a batch that nobody brought", _REMEDY)
        try:
            codec.decode(owned, slot)
            codec.decode(loose, slot)
        except DamagedStoreError as error:
            yield Finding(CHECK, f"{file_of(day)}: {error}", _REMEDY)
