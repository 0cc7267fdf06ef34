"""Access logs to what their lines add up to, by 5-minute slot and by whose they are.

Each line is counted, bad, unmatched or blank, whatever its bytes (law 15). Most lines are read by DuckDB, grouped by their
texts, and looked at once a group (groups.py). What could mean one thing to it and another to the format as written goes
line by line instead: lines with bytes or a length that are out of the ordinary, and, where DuckDB disagrees about how many
good lines there are, all lines of ever smaller parts.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from weighbridge.sources.log.amazon import CloudFrontFormat
from weighbridge.sources.log.formats import make_format
from weighbridge.sources.log.groups import CAN_GROUP, DisagreementError, Grouping
from weighbridge.sources.log.lines import MAX_LINE, NO_REQUEST
from weighbridge.sources.log.rules import BadLineError, Rules
from weighbridge.sources.log.settings import check_settings
from weighbridge.sources.log.sieve import Sieved, sieve
from weighbridge.sources.log.sights import KEPT_CHARACTERS, Sights
from weighbridge.sources.log.tally import Chunk, Sum, Tally
from weighbridge.sources.log.times import find_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from weighbridge.sources.log.groups import Group
    from weighbridge.sources.log.lines import Format, Line, Request
    from weighbridge.sources.log.rules import Place, Sight
    from weighbridge.sources.log.settings import LogSettings

__all__ = ["CHUNK_BYTES", "Chunk", "LogReader", "Sum"]

CHUNK_BYTES: Final = 16 * 1024 * 1024
"""Bytes to read at once: with less, what a question costs DuckDB before its first line weighs; more gains nothing.

It is the bound of everything that grows with the lines, such as the sums, of which there cannot be more than lines. Reading
so much takes some 110 MB, until `close`.
"""
SLOW_BYTES: Final = 32 * 1024
"""Up to here lines are read one by one: some 200 of them cost no more than a question."""
PARTS: Final = 8
"""Into how many parts lines are cut that DuckDB disagrees about."""

PLACES_KEPT: Final = 8192
"""Places that are remembered by what matters of a request and by names: at most some 5 MB, since those are short."""

_WHITE = b" \t\r\v\f"


class LogReader:
    """Reads the lines of one log. Not for several threads at once. InvalidInputError: the settings make no sense.

    `header`: the last line that named the fields, "" before there was one. A reader that goes on amid a file needs it.
    """

    def __init__(self, settings: LogSettings, header: str = "") -> None:
        check_settings(settings)
        self._settings = settings
        self._rules = Rules(settings)
        self._format: Format = make_format(settings, self._rules)
        self._grouping: Grouping | None = None
        self._sights = Sights(self._see)
        self._places = lru_cache(PLACES_KEPT)(self._rules.place)
        self._header = ""
        self.header = header

    @property
    def header(self) -> str:
        """The last header line."""
        return self._header

    @header.setter
    def header(self, header: str) -> None:
        """What is read next stands under this header; "": under none yet."""
        if header != self._header:
            self._header = ""
            self._format = make_format(self._settings, self._rules)
            self._take_header(header)

    def read(self, data: bytes) -> Chunk:
        """What the lines of `data` hold. It begins and ends with a whole line; the last one may lack its end."""
        return self._read(data, self._take)

    def close(self) -> None:
        """Everything is let go; may be called twice, and a read after it takes hold anew."""
        if self._grouping is not None:
            self._grouping.close()
            self._grouping = None

    def _read(self, data: bytes, take: Callable[[bytes, int, Tally], None]) -> Chunk:
        tally = Tally()
        has_headers = isinstance(self._format, CloudFrontFormat)
        for start, end, is_header in _find_sections(data) if has_headers else [(0, len(data), False)][: len(data)]:
            if is_header:
                self._take_header(data[start : min(end, start + MAX_LINE)].decode("utf-8", "replace").strip())
                tally.blank += 1
            else:
                take(data[start:end], start, tally)
        return tally.close(data)

    def _take_header(self, header: str) -> None:
        if isinstance(self._format, CloudFrontFormat) and (behind := self._format.after(header)) is not self._format:
            self._header, self._format = header, behind

    def _take(self, data: bytes, offset: int, tally: Tally) -> None:
        """Lines are counted the fast way, the odd ones among them one by one; if that fails, in parts."""
        may_group = CAN_GROUP and SLOW_BYTES < len(data) <= 2 * CHUNK_BYTES
        sieved = sieve(data, self._format) if may_group else None
        if sieved is not None and self._take_fast(data, sieved, tally):
            for start, end in sieved.odd:
                self._take_slowly(data[start:end], offset + start, tally)
            return
        parts = _cut(data) if len(data) > SLOW_BYTES else []
        if len(parts) <= 1:
            self._take_slowly(data, offset, tally)
            return
        for start, end in parts:
            self._take(data[start:end], offset + start, tally)

    def _take_fast(self, data: bytes, sieved: Sieved, tally: Tally) -> bool:
        """Lines but for the odd ones are counted; False: they are not, because some are not like the first one."""
        even = _without(data, sieved.odd)
        lines = sieved.lines - (_count_lines(data) - _count_lines(even) if sieved.odd else 0)
        try:
            found = self._group(even, lines) if lines else []
        except (DisagreementError, BadLineError):
            return False
        for group, place in found:
            tally.add(place, group.slot_s, group.requests, group.bytes_in, group.bytes_out)
        return True

    def _group(self, data: bytes, lines: int) -> list[tuple[Group, Place | None]]:
        """The groups of the lines, and where they belong. DisagreementError or BadLineError: a line differs."""
        value = self._format.value
        plan = self._format.plan(_text_of(data[: data.find(b"\n") + 1 or len(data)]))
        if plan is None:
            raise DisagreementError
        if self._grouping is None:
            self._grouping = Grouping()
        groups = self._grouping.group(data, lines, plan, self._sights.number)
        nothing = self._see(NO_REQUEST)
        return [
            (group, self._find_place(self._sights[group.request] if plan.request else nothing, tuple(map(value, group.names))))
            for group in groups
        ]

    def _find_place(self, sight: Sight, values: tuple[str, ...]) -> Place | None:
        is_short = len(sight.path) + sum(map(len, values)) <= KEPT_CHARACTERS
        return (self._places if is_short else self._rules.place)(sight, values)

    def _see(self, request: Request) -> Sight:
        """What matters of a request, told by texts as they stand in a line."""
        method, target, line = map(self._format.unescape, request)
        return self._rules.see(method, target, line)

    def _take_slowly(self, data: bytes, offset: int, tally: Tally) -> None:
        """Lines are counted one by one."""
        for line in data.removesuffix(b"\n").split(b"\n"):
            if line.strip(_WHITE):
                self._take_line(line, offset, tally)
            else:
                tally.blank += 1
            offset += len(line) + 1

    def _take_line(self, line: bytes, offset: int, tally: Tally) -> None:
        try:
            told = self._read_line(line)
            slot_s = _slot_of(told.time)
            place = self._find_place(self._sights.find(told.request), told.names)
        except BadLineError as error:
            tally.add_bad(offset, str(error), line)
        else:
            tally.add(place, slot_s, 1, told.bytes_in, told.bytes_out)

    def _read_line(self, line: bytes) -> Line:
        if len(line) > MAX_LINE:
            raise BadLineError(f"longer than {MAX_LINE} bytes")
        return self._format.read(_text_of(line))


def _slot_of(time: str) -> int:
    slot_s = find_slot(time)
    if slot_s is None:
        raise BadLineError(f"time {time[:64]!r} is no instant with a UTC offset")
    return slot_s


def _count_lines(data: bytes) -> int:
    return data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))


def _text_of(line: bytes) -> str:
    """What is no UTF-8 becomes lone surrogates: a line may hold such bytes where nobody looks."""
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


def _find_sections(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where header lines (those that begin with #) and runs of other lines begin and end, and which are headers."""
    at = 0
    while at < len(data):
        if data.startswith(b"#", at):
            end = data.find(b"\n", at) + 1 or len(data)
            yield at, end, True
        else:
            end = data.find(b"\n#", at) + 1 or len(data)
            yield at, end, False
        at = end


def _without(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    """The bytes that lie in none of the spans."""
    if not spans:
        return data
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(data)]
    return b"".join(data[start:end] for start, end in zip(starts, ends, strict=True))


def _cut(data: bytes) -> list[tuple[int, int]]:
    """Where some PARTS parts of whole lines begin and end."""
    ends = {data.find(b"\n", len(data) * part // PARTS) + 1 or len(data) for part in range(1, PARTS)}
    edges = sorted({0, *ends, len(data)})
    return list(pairwise(edges))
