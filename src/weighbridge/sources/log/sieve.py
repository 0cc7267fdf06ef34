"""Which lines are out of the ordinary, so that a fast reader could take them for something else than they are."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from weighbridge.sources.log.objects import MAX_BRACKETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weighbridge.sources.log.lines import Format

FAST_LINE: Final = 8192
"""Longest line, in bytes, that is read the fast way."""
MAX_ODD: Final = 4096
"""Odd lines that are listed of one run; where there are more, it is looked at in parts."""
SHORT_LINE: Final = 16
"""Bytes of the shortest line of an access log, with room to spare: shorter ones would be listed without end."""
BLOCK_BYTES: Final = 256 * 1024
"""Bytes that are looked at at once: what fits into a processor's cache."""
_NEWLINE = 10


class Sieved(NamedTuple):
    """How many lines there are, and where the odd ones begin and end: in order, not overlapping."""

    lines: int
    odd: list[tuple[int, int]]


def sieve(data: bytes, kind: Format) -> Sieved | None:
    """The odd lines: blank ones, long ones, and those that the format names. None: they are too many, or lines too short.

    Everything is looked at with searches over all of the bytes; only where something is found, line by line.
    """
    edges = _find_edges(data)
    if edges is None:
        return None
    found: list[tuple[int, int]] = []
    nested = _find_nested(data, edges) if kind.nested else ()
    for lines in (_find_sized(data, edges, kind.separator), _find_marked(data, kind), nested):
        found += islice(lines, MAX_ODD + 1 - len(found))
        if len(found) > MAX_ODD:
            return None
    found.sort()
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return Sieved(len(edges), merged)


def _blocks(data: bytes) -> Iterator[tuple[int, np.ndarray]]:
    """Where each block begins, and its bytes as numbers."""
    for start in range(0, len(data), BLOCK_BYTES):
        yield start, np.frombuffer(data, np.uint8, min(BLOCK_BYTES, len(data) - start), start)


def _find_edges(data: bytes) -> np.ndarray | None:
    """Where lines end, one behind their last byte; None: they are shorter than SHORT_LINE on the average."""
    found = []
    room = len(data) // SHORT_LINE
    for start, values in _blocks(data):
        ends = np.flatnonzero(values == _NEWLINE) + (start + 1)
        found.append(ends)
        room -= len(ends)
        if room < 0:
            return None
    if not data.endswith(b"\n"):
        found.append(np.array([len(data)]))
    return np.concatenate(found)


def _find_sized(data: bytes, edges: np.ndarray, separator: bytes) -> Iterator[tuple[int, int]]:
    """Lines that are empty, longer than FAST_LINE, or end with the separator: DuckDB overlooks an empty value too many."""
    sizes = np.diff(edges, prepend=0)
    is_odd = (sizes == 1) | (sizes > FAST_LINE)
    if separator:
        is_odd |= np.frombuffer(data, np.uint8)[edges - 2] == separator[0]
        is_odd[-1] |= data.endswith(separator)  # a last line without end
    for at in np.flatnonzero(is_odd).tolist():
        end = int(edges[at])
        yield end - int(sizes[at]), end


def _find_marked(data: bytes, kind: Format) -> Iterator[tuple[int, int]]:
    """Lines with bytes that the format calls odd."""
    marks = [mark for mark in kind.odd if bytes((mark,)) in data]
    is_foreign = kind.ascii_only and not data.isascii()
    if not marks and not is_foreign:
        return
    end = 0
    for start, values in _blocks(data):
        is_odd = values > 127 if is_foreign else np.zeros(len(values), bool)  # noqa: PLR2004  ASCII ends there
        for mark in marks:
            is_odd |= values == mark
        for at in (np.flatnonzero(is_odd) + start).tolist():
            if at >= end:
                end = _end_of_line(data, at)
                yield data.rfind(b"\n", 0, at) + 1, end


def _find_nested(data: bytes, edges: np.ndarray) -> Iterator[tuple[int, int]]:
    """Lines with more than MAX_BRACKETS opening brackets. Shorter lines than all of these and theirs can be no JSON."""
    sizes = np.diff(edges, prepend=0)
    for at in np.flatnonzero(sizes > 2 * MAX_BRACKETS).tolist():
        end = int(edges[at])
        start = end - int(sizes[at])
        if data.count(b"{", start, end) + data.count(b"[", start, end) > MAX_BRACKETS:
            yield start, end


def _end_of_line(data: bytes, at: int) -> int:
    return data.find(b"\n", at) + 1 or len(data)
