"""Lines that DuckDB reads: grouped by what tells them apart, and only then looked at.

Nothing here decides what a line means. Where anything about a run of lines is not as the format's plan has it, there is
no answer, and the lines go the long way; so what is answered is what the long way would have found.
"""

from __future__ import annotations

import os
import tempfile
from mmap import mmap
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import duckdb
import numpy as np

from weighbridge.measurement import MAX_AMOUNT
from weighbridge.sources.log.times import find_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weighbridge.sources.log.lines import Plan, Request

CAN_GROUP: Final = Path("/dev/fd").is_dir()
"""Whether DuckDB can be shown what is in no folder: on Linux, macOS and the BSDs."""
MEMORY: Final = "256MB"
"""What DuckDB may use for one chunk. One that needs more is read in parts."""
QUESTIONS: Final = 200
"""Runs of lines after which the database is made anew, in some 15 ms: DuckDB 2.0 holds on to 1 to 20 KB for each."""

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,  # it runs beside everything else
    "memory_limit": MEMORY,
    "temp_directory": "",  # nothing is left on disk
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_UNREADABLE: Final = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfMemoryException)
"""What DuckDB says of lines that it cannot read, or not within MEMORY."""
_REQUEST: Final = ("method", "target", "line")
_NOTHING: Final = frozenset({"''", "NULL"})
"""SQL of what a format does not tell."""


class Group(NamedTuple):
    """Lines of one slot that are alike: the texts that rules want, the number of their request, and their sums."""

    slot_s: int
    names: tuple[str | None, ...]
    request: int
    requests: int
    bytes_in: int | None
    bytes_out: int | None


class DisagreementError(Exception):
    """Something about the lines is not as planned; nobody knows what."""


class Grouping:
    """An in-memory database, and a place in memory where it finds the bytes. Not for several threads at once."""

    def __init__(self) -> None:
        self._database = duckdb.connect(":memory:", config=_SETTINGS)
        self._questions = 0
        self._memory = _Memory()

    def close(self) -> None:
        """Everything is let go."""
        self._database.close()
        self._memory.close()

    def group(self, data: bytes, lines: int, plan: Plan, number: Callable[[list[Request]], list[int]]) -> list[Group]:
        """The groups of all `lines` lines. DisagreementError: some line is not as planned.

        `number` numbers requests by what matters of them, each distinct one once. Of targets and request lines it is shown
        what stands before the query.
        """
        self._renew()
        self._memory.put(data)
        rows = _rows(plan).replace("{path}", self._memory.path, 1)
        try:
            groups = self._group(plan, rows) if plan.request is None else self._group_numbered(plan, rows, number)
        except _UNREADABLE as error:
            raise DisagreementError from error
        if sum(group.requests for group in groups) != lines:
            raise DisagreementError
        return groups

    def _renew(self) -> None:
        self._questions += 1
        if self._questions > QUESTIONS:
            self._database.close()
            self._database = duckdb.connect(":memory:", config=_SETTINGS)
            self._questions = 1

    def _group(self, plan: Plan, rows: str) -> list[Group]:
        """The groups by the texts of the rows, which nothing but the time makes many."""
        shape = plan.shape
        width = len(shape.outer)
        found = self._database.execute(_by_texts(plan, rows)).fetchall()
        return [_read_group(plan, shape.slot(row[:width]), row[width:], 0) for row in found]

    def _group_numbered(self, plan: Plan, rows: str, number: Callable[[list[Request]], list[int]]) -> list[Group]:
        """The groups by slot and by the numbers of requests, which are looked up for each distinct text."""
        execute = self._database.execute
        try:
            execute(f"CREATE TEMP TABLE seen AS {rows}")
            keys = _key_names(plan)
            self._look_up("times", keys, keys, lambda found: [_slot_of(plan, texts) for texts in found])
            told = _request_names(plan)
            self._look_up("asked", told, [name if name in told else "''" for name in _REQUEST], number)
            found = execute(_by_numbers(plan)).fetchall()
        finally:
            execute("DROP TABLE IF EXISTS seen; DROP TABLE IF EXISTS times; DROP TABLE IF EXISTS asked")
        return [_read_group(plan, row[0], row[2:], row[1]) for row in found]

    def _look_up(
        self, table: str, columns: Sequence[str], shown: Sequence[str], find: Callable[[list[Any]], list[int]]
    ) -> None:
        """The table holds each distinct row of these columns of `seen`, with what `find` found for it as `{table}_id`."""
        names = ", ".join(columns)
        execute = self._database.execute
        execute(f"CREATE TEMP TABLE met AS SELECT DISTINCT {names} FROM seen")  # noqa: S608  names of columns
        try:
            rows = execute(f"SELECT {', '.join(shown)} FROM met ORDER BY rowid").fetchall()  # noqa: S608  as above
            ids = {"met_id": np.arange(len(rows)), f"{table}_id": np.array(find(rows), np.int64)}  # noqa: F841  found by name
            execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM met JOIN ids ON met.rowid = met_id")  # noqa: S608  as above
        finally:
            execute("DROP TABLE met")


def _slot_of(plan: Plan, texts: Sequence[object]) -> int:
    slot_s = plan.shape.slot(texts) if plan.shape.keys else find_slot(" ".join(str(text) for text in texts))
    if slot_s is None:
        raise DisagreementError
    return slot_s


def _key_names(plan: Plan) -> list[str]:
    return [f"k{at}" for at in range(len(plan.shape.keys) or len(plan.time))]


def _request_names(plan: Plan) -> list[str]:
    """What the format tells of a request, one thing at least."""
    told = [name for name, sql in zip(_REQUEST, plan.request or (), strict=False) if sql not in _NOTHING]
    return told or ["line"]


def _rows(plan: Plan) -> str:
    """SQL for the rows: keys of the time (k0, k1), texts that rules want (n0, n1…), the request, amounts, and a check."""
    text = " || ' ' || ".join(plan.time)
    keys = [key.replace("{0}", text) for key in plan.shape.keys] or plan.time
    columns = [f"{key} AS k{at}" for at, key in enumerate(keys)]
    columns += [f"{name} AS n{at}" for at, name in enumerate(plan.names)]
    for name, sql in zip(_REQUEST, plan.request or (), strict=False):
        if name in _request_names(plan):
            text_before = sql if name == "method" else f"split_part({sql}, '?', 1)"
            columns.append(f"coalesce({text_before}, '') AS {name}")
    checks = [plan.shape.good.replace("{0}", text), *plan.good]
    for name, amount in (("bytes_in", plan.bytes_in), ("bytes_out", plan.bytes_out)):
        if amount is None:
            columns.append(f"NULL::BIGINT AS {name}")
            continue
        number = f"try_cast({amount} AS BIGINT)"
        columns.append(f"{number} AS {name}")
        other = f"{amount} IS NULL" if plan.may_lack_bytes else f"{amount} = '-'"
        checks.append(f"(({number} BETWEEN 0 AND {MAX_AMOUNT} AND {number}::VARCHAR = {amount}) OR {other})")
    return f"SELECT {', '.join(columns)}, {' AND '.join(checks)} AS good FROM {plan.reader}"  # noqa: S608  see JsonFormat


_SUMS = """
    count(*) AS total, count(*) FILTER (WHERE good) AS proper, sum(bytes_in) AS bytes_in, sum(bytes_out) AS bytes_out
"""


def _by_texts(plan: Plan, rows: str) -> str:
    """SQL for the groups: first of equal texts of the time, then of what those texts come down to."""
    keys = _key_names(plan)
    text = " || ' ' || ".join(keys)
    outer = [sql.replace("{0}", text) for sql in plan.shape.outer]
    names = [f"n{at}" for at in range(len(plan.names))]
    return f"""
        SELECT {', '.join([*outer, *names])}, sum(total), sum(proper), sum(bytes_in), sum(bytes_out),
            bool_and(coalesce({plan.shape.check.replace('{0}', text)}, false))
        FROM (SELECT {', '.join([*keys, *names])}, {_SUMS} FROM ({rows}) GROUP BY ALL) GROUP BY ALL
    """  # noqa: S608  names of columns, and SQL of ours


def _by_numbers(plan: Plan) -> str:
    """SQL for the groups of what was looked up."""
    names = [f"n{at}" for at in range(len(plan.names))]
    return f"""
        SELECT {', '.join(['times_id', 'asked_id', *names])}, {_SUMS}, true
        FROM seen JOIN times USING ({', '.join(_key_names(plan))}) JOIN asked USING ({', '.join(_request_names(plan))})
        GROUP BY ALL
    """  # noqa: S608  names of columns, and SQL of ours


def _read_group(plan: Plan, slot_s: int | None, row: Sequence[object], request: int) -> Group:
    """The group of a row: names, counts and sums. DisagreementError: a line of it is not as planned."""
    names, (total, proper, *sums, is_proper) = row[: len(plan.names)], row[len(plan.names) :]
    if not is_proper or total != proper or slot_s is None:
        raise DisagreementError
    told = (plan.bytes_in, plan.bytes_out)
    least = 0 if not plan.may_lack_bytes else None  # a group of "-" is a group of nothing, not of unknown
    bytes_in, bytes_out = (least if found is None and sql else found for found, sql in zip(sums, told, strict=True))
    return Group(slot_s, names, request, total, bytes_in, bytes_out)  # type: ignore[arg-type]


class _Memory:
    """A file that is in no folder: memory where the system has such files, else one without a name.

    It is written through a mapping, which is twice as fast as writing it.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._file: IO[bytes] = os.fdopen(os.memfd_create("weighbridge-log", os.MFD_CLOEXEC), "r+b", buffering=0)
        else:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed by close()
        self._mapping: mmap | None = None
        self.path = f"/dev/fd/{self._file.fileno()}"

    def put(self, data: bytes) -> None:
        """The file holds these bytes, which must be some, and nothing else."""
        self._file.truncate(len(data))
        if self._mapping is None or len(self._mapping) < len(data):
            self._unmap()
            self._mapping = mmap(self._file.fileno(), len(data))
        self._mapping[: len(data)] = data

    def close(self) -> None:
        """It is gone."""
        self._unmap()
        self._file.close()

    def _unmap(self) -> None:
        if self._mapping is not None:
            self._mapping.close()
            self._mapping = None
