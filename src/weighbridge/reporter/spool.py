"""What is not answered yet: intervals that wait, and the batch that was sent.

What makes counting twice impossible: events get their ids when their batch is sealed, and a sealed batch is sent with the
same ids and content until a receipt tells of each of them, because an answer that got lost may have been a yes. Only what
a receipt refuses, which the server by its own word did not keep, becomes a new event, and not even that where an earlier
answer is in doubt: the server may have kept it, and then had its app deleted, before it refused the repetition.

What makes losing hard: what waits is bounded by merging neighbours into longer intervals, which keeps every byte.
"""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.reporter.tally import add

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weighbridge.reporter.post import Receipt
    from weighbridge.reporter.tally import Key, Rows

BATCH_ROWS = 1_000
"""A tenth of what the server takes, some 300 KB and less than 10 MB even with the longest names."""
ROWS_WAITING = 20_000
"""Some 10 MB: with 50 endpoints in use, seven hours of an absent server, before minutes are merged into longer stretches."""
WAITS = frozenset(("unknown_subject", "in_future"))
"""Codes that mend themselves, or are mended in the catalog: the same row is offered again."""
NAMES_REFUSED = frozenset(("too_many", "invalid"))
"""Codes that may be about the names of a row: it is offered again with one name less. What a code means that we do not know,
we do not know: such a row is given up, since undercounting can be defended, and counting twice cannot."""
CONFLICT = "conflict"
"""Somebody else speaks under our name (a copied machine): the same row is offered again under a new one."""
GZIP_LEVEL = 1
"""Level 6 takes four times as long for a tenth less."""

_NAMES = ("environment", "consumer", "method", "path")


@dataclass(slots=True)
class Interval:
    """Sums over `[start_s, end_s)`, not sent yet."""

    start_s: int
    end_s: int
    rows: Rows


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a batch; sealed, so never changed."""

    id: str
    start_s: int
    end_s: int
    key: Key
    bytes_in: int
    bytes_out: int
    requests: int


@dataclass(slots=True)
class Batch:
    """Rows under one source, and the body that says so. `is_in_doubt`: it was sent, and no receipt came."""

    source: str
    rows: Sequence[Row]
    body: bytes
    is_in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that the server did not keep. `is_lost`: there is no other way to say it, and it is not offered again."""

    row: Row
    code: str
    detail: str
    is_lost: bool


class Spool:
    """Used by one thread only."""

    def __init__(self, subject: str, *, batch_rows: int = BATCH_ROWS, rows_waiting: int = ROWS_WAITING) -> None:
        self._subject = subject
        self._batch_rows = batch_rows
        self._rows_waiting = rows_waiting
        self._waiting: deque[Interval] = deque()
        self._sealed: deque[Batch] = deque()
        self._source: str | None = None  # made when it is needed: a process that was copied before has none yet
        self._batches = 0

    def add(self, start_s: int, end_s: int, rows: Rows) -> None:
        """The sums wait to be sent."""
        if rows:
            self._waiting.append(Interval(start_s, end_s, rows))
            self._shrink()

    def head(self) -> Batch | None:
        """What is to be sent next: the sealed batch, while there is one, else the oldest rows; None if there is nothing."""
        if not self._sealed and self._waiting:
            self._sealed.append(self._seal())
        return self._sealed[0] if self._sealed else None

    def halve(self) -> bool:
        """The head is two batches with the same events; False if it is a single event."""
        batch = self._sealed[0]
        middle = len(batch.rows) // 2
        if not middle:
            return False
        self._sealed.popleft()
        for rows in (batch.rows[middle:], batch.rows[:middle]):
            self._sealed.appendleft(self._batch(batch.source, rows, is_in_doubt=batch.is_in_doubt))
        return True

    def doubt(self) -> None:
        """The head was sent, and what became of it is not known."""
        self._sealed[0].is_in_doubt = True

    def settle(self, receipt: Receipt) -> list[Refusal]:
        """The head is answered. What was refused is offered again where that may help; told is what and why."""
        batch = self._sealed.popleft()
        refusals = []
        unchanged: list[Row] = []
        again: dict[tuple[int, int], Rows] = {}
        for index, code, detail in receipt.refused:
            row = batch.rows[index]
            if code == CONFLICT:
                self._source = None
            key = row.key if code == CONFLICT or code in WAITS else coarser(row.key) if code in NAMES_REFUSED else None
            refusals.append(Refusal(row, code, detail, key is None))
            if batch.is_in_doubt and code in WAITS:
                unchanged.append(row)
            elif key is not None:
                add(again.setdefault((row.start_s, row.end_s), {}), key, row.bytes_in, row.bytes_out, row.requests)
        if unchanged:
            self._sealed.appendleft(self._batch(batch.source, unchanged, is_in_doubt=True))
        self._waiting.extendleft(Interval(*stretch, rows) for stretch, rows in reversed(again.items()))
        self._shrink()
        return refusals

    def is_empty(self) -> bool:
        """Whether everything is answered."""
        return not self._sealed and not self._waiting

    def rows(self) -> int:
        """How many rows are not answered yet."""
        return sum(len(batch.rows) for batch in self._sealed) + self._count_waiting()

    def _count_waiting(self) -> int:
        return sum(len(interval.rows) for interval in self._waiting)

    def _seal(self) -> Batch:
        self._source = self._source or f"middleware/{uuid.uuid4()}"
        self._batches += 1
        rows: list[Row] = []
        while self._waiting and len(rows) < self._batch_rows:
            interval = self._waiting[0]
            for key in list(interval.rows)[: self._batch_rows - len(rows)]:
                row_id = f"{self._batches}-{len(rows)}"
                rows.append(Row(row_id, interval.start_s, interval.end_s, key, *interval.rows.pop(key)))
            if not interval.rows:
                self._waiting.popleft()
        return self._batch(self._source, rows)

    def _batch(self, source: str, rows: Sequence[Row], *, is_in_doubt: bool = False) -> Batch:
        texts = ",".join(json.dumps(_event(self._subject, source, row), ensure_ascii=False) for row in rows)
        return Batch(source, rows, gzip.compress(f"[{texts}]".encode(), GZIP_LEVEL), is_in_doubt)

    def _shrink(self) -> None:
        """Neighbours are merged, two by two, until what waits is within its bound."""
        while len(self._waiting) > 1 and self._count_waiting() > self._rows_waiting:
            intervals = list(self._waiting)
            pairs = [intervals[at : at + 2] for at in range(0, len(intervals), 2)]
            self._waiting = deque(_merged(pair) for pair in pairs)


def coarser(key: Key) -> Key | None:
    """The same with one thing less known: the consumer, then the endpoint, then the environment; None after that."""
    environment, consumer, method, path = key
    if consumer is not None:
        return (environment, None, method, path)
    if path is not None:
        return (environment, None, None, None)
    return None if environment is None else (None, None, None, None)


def _merged(intervals: Sequence[Interval]) -> Interval:
    rows: Rows = {}
    for interval in intervals:
        for key, amounts in interval.rows.items():
            add(rows, key, *amounts)
    return Interval(min(each.start_s for each in intervals), max(each.end_s for each in intervals), rows)


def _event(subject: str, source: str, row: Row) -> dict[str, object]:
    """A row as CloudEvents 1.0 (CONTRACT part 3)."""
    named: Iterable[tuple[str, str | None]] = zip(_NAMES, row.key, strict=True)
    data: dict[str, object] = {"bytes_in": row.bytes_in, "bytes_out": row.bytes_out, "requests": row.requests}
    data |= {"duration_s": row.end_s - row.start_s} | {name: text for name, text in named if text is not None}
    return {
        "specversion": "1.0",
        "id": row.id,
        "source": source,
        "type": "weighbridge.usage",
        "subject": subject,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row.start_s)),
        "data": data,
    }
