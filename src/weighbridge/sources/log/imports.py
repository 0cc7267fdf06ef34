"""Reads files whole, each content once: again, renamed, compressed or grown, what was counted before does not count again.

How far each content was read is kept (Imports). Where nothing is known of a file, its event ids still are the same for
the same bytes: chunks end at fixed places, and an id is the digest of all that the file holds up to there, with a number.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import xxhash

from weighbridge.sources.log.contents import EDGE_BYTES, UnfinishedError
from weighbridge.sources.log.deliver import must_be_placed
from weighbridge.sources.log.marks import START, Mark, Portion, Verdict, compare, digest, mark_behind, read_behind
from weighbridge.sources.log.outgoing import named_bodies
from weighbridge.spool.state import connect, told, transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.measurement import Receipt, Rejection
    from weighbridge.sources.log.contents import Content
    from weighbridge.sources.log.decode import Chunk
    from weighbridge.sources.log.follow import Reader

CHUNK_BYTES: Final = 16 * 1024 * 1024
"""A chunk holds the lines that begin in so many bytes of the file. Event ids depend on it: it must never change."""
LINE_BYTES: Final = 1024 * 1024
"""A line that goes on for so long behind the end of its chunk is cut. Event ids depend on it: it must never change."""
IMPORTS_KEPT: Final = 100_000
"""Contents that are remembered, the latest: some 30 MB."""
SOURCE: Final = "log/import"
"""Source of all events of imported logs."""

_SCHEMA = (Path(__file__).parent / "imports.sql").read_text("utf-8")
_EDGES = "SELECT DISTINCT read_bytes FROM imports WHERE read_bytes < ?"
_ALIKE = """SELECT number, start_bytes, read_bytes, tail, lines, header, base_bytes, chain FROM imports
            WHERE head = ? AND min(read_bytes, ?) = ?"""
_INSERT = "INSERT INTO imports VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = """
UPDATE imports SET (name, start_bytes, read_bytes, head, tail, lines, header, base_bytes, chain) = (?, ?, ?, ?, ?, ?, ?, ?, ?)
WHERE number = ?"""
_TRIM = "DELETE FROM imports WHERE number <= (SELECT max(number) FROM imports) - ?"


class ChangedError(Exception):
    """The file became another one while it was read."""


@dataclass(frozen=True, slots=True)
class Import:
    """How far a content was read. `number` 0: nothing is kept of it yet.

    What lies between `start` and the mark was being sent when the import ended; `lines` and `header` (the last header line)
    are up to `start`. `base` is where its chunk begins, `chain` the digest of everything up to there, chunk by chunk.
    """

    number: int = 0
    start: int = 0
    mark: Mark = START
    lines: int = 0
    header: str = ""
    base: int = 0
    chain: str = ""


@dataclass(slots=True)
class Told:
    """What became of the lines that were read, and of the events that they add up to."""

    lines: int = 0
    counted: int = 0
    bad: int = 0
    unmatched: int = 0
    blank: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0

    def add_chunk(self, chunk: Chunk) -> None:
        """The chunk's lines are in it."""
        self.lines += chunk.lines
        self.counted += chunk.counted
        self.bad += chunk.bad
        self.unmatched += chunk.unmatched
        self.blank += chunk.blank

    def add_receipt(self, receipt: Receipt) -> None:
        """The receipt's events are in it."""
        self.accepted += receipt.accepted
        self.duplicates += receipt.duplicates
        self.rejected += len(receipt.rejected)


class Imports:
    """What was imported to one server, on disk. Several processes may use it at once.

    Every method may raise StorageError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, _SCHEMA)

    def find(self, content: Content) -> Import:
        """How far this content was read. Raises what `Content.read` does."""
        try:
            head = content.read(0, EDGE_BYTES)
        except UnfinishedError as error:
            head = error.data
        with told(self._path):
            edges = [edge for (edge,) in self._connection.execute(_EDGES, (EDGE_BYTES,))]
        found = [each for edge in (*edges, EDGE_BYTES) if edge <= len(head) for each in self._alike(edge, digest(head[:edge]))]
        for each in sorted(found, key=lambda each: -each.mark.offset):
            with suppress(UnfinishedError):
                if compare(content, each.mark) is Verdict.SAME:
                    return each
        return Import()

    def _alike(self, edge: int, head: str) -> list[Import]:
        with told(self._path):
            rows = self._connection.execute(_ALIKE, (head, EDGE_BYTES, edge)).fetchall()
        return [
            Import(number, start, Mark(offset, head, tail), *others) for number, start, offset, tail, *others in rows
        ]

    def keep(self, name: str, which: Import) -> Import:
        """So far was it read; as it is kept."""
        mark = which.mark
        values = (name, which.start, mark.offset, mark.head, mark.tail, which.lines, which.header, which.base, which.chain)
        with transaction(self._connection, self._path) as connection:
            if which.number:
                connection.execute(_UPDATE, (*values, which.number))
                return which
            connection.execute(_TRIM, (IMPORTS_KEPT - 1,))
            number = connection.execute(_INSERT, values).lastrowid or 0
        return replace(which, number=number)

    def close(self) -> None:
        """The file is let go of."""
        self._connection.close()


@dataclass(slots=True)
class FileImport:
    """One file on its way. `send` gets gzipped JSON arrays of events; see Delivery.

    `tell_bad` gets (line number in the file, reason, text), `tell_refused` refused events, `tell_done` the offset.
    """

    name: str
    content: Content
    reader: Reader
    imports: Imports
    send: Callable[[bytes], Receipt]
    tell_bad: Callable[[int, str, str], None]
    tell_refused: Callable[[Rejection], None]
    tell_done: Callable[[int], None]
    told: Told = field(default_factory=Told)

    def run(self, which: Import, *, with_rest: bool) -> bool:
        """Everything behind `which` has been answered and is kept. `with_rest`: also a last line that has no newline.

        False: there is such a line, and it was left. UnansweredError: the server did not take it; UnfinishedError: the
        compressed file is cut, and all lines that it holds have been answered; ChangedError; StorageError; and what
        `Content.read` raises.
        """
        if which.start < which.mark.offset:
            which = self._answer(which, self.content.read(which.start, which.mark.offset - which.start))
        while True:
            portion, cut = self._read(which.mark)
            data = portion.data[: _end(which.mark.offset, portion.data)]
            if not data:
                if cut is not None:
                    raise cut
                return True
            is_rest = portion.is_last and len(data) == len(portion.data) and not data.endswith(b"\n")
            if is_rest and cut is not None:
                raise cut
            if is_rest and not with_rest:
                return False
            mark = mark_behind(which.mark, portion.before, data)
            self.content.sync()
            which = self._answer(self.imports.keep(self.name, replace(which, mark=mark)), data)

    def _read(self, mark: Mark) -> tuple[Portion, UnfinishedError | None]:
        """What stands behind the mark: enough for a chunk, or all there is; and whether the file is cut behind it."""
        size = _boundary(mark.offset) - mark.offset + LINE_BYTES
        try:
            portion = read_behind(self.content, mark, size)
        except UnfinishedError as error:
            return Portion(error.data[: mark.edge], error.data[mark.edge :], is_last=True), error
        if portion is None:
            raise ChangedError(f"{self.name} became another file while it was read; import it again")
        return portion, None

    def _answer(self, which: Import, data: bytes) -> Import:
        """The chunk `data`, between the start and the mark, has been answered."""
        self.reader.header = which.header
        chunk = self.reader.read(data.lstrip(b"\0") if data[:1] == b"\0" else data)
        chain = self._chain(which, data)
        part = f"-{which.start - which.base}" if which.start > which.base else ""  # the file has grown since
        receipts = []
        for body in named_bodies(chunk.sums, SOURCE, chain + part):
            receipts.append(self.send(body.content))
            must_be_placed(receipts[-1])
        end = which.mark.offset
        moved = replace(which, start=end, lines=which.lines + chunk.lines, header=self.reader.header)
        if end >= _boundary(which.start):
            moved = replace(moved, base=end, chain=chain)
        kept = self.imports.keep(self.name, moved)
        self.told.add_chunk(chunk)
        for line, reason, text in chunk.first_bad:
            self.tell_bad(which.lines + line, reason, text)
        for receipt in receipts:
            self.told.add_receipt(receipt)
            for refusal in receipt.rejected:
                self.tell_refused(refusal)
        self.tell_done(kept.mark.offset)
        return kept


    def _chain(self, which: Import, data: bytes) -> str:
        """The digest of everything up to the end of `data`. Chunks that are whole make the same, however they came about."""
        chain = xxhash.xxh3_128(which.chain.encode())
        if which.start > which.base:
            chain.update(self.content.read(which.base, which.start - which.base))
        chain.update(data)
        return chain.hexdigest()


def _boundary(offset: int) -> int:
    """Where the chunk at the offset ends: behind the first newline that ends here or later."""
    return (offset // CHUNK_BYTES + 1) * CHUNK_BYTES


def _end(offset: int, data: bytes) -> int:
    """How much of what stands behind the offset is the next chunk: whole lines, or the rest of the file without one."""
    size = _boundary(offset) - offset
    end = data.find(b"\n", size - 1) + 1
    if not end and len(data) < size + LINE_BYTES:
        end = data.rfind(b"\n") + 1
    return end or len(data)
