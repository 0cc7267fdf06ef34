"""How far a file has been read, in a form that finds the place again in whatever the file has become.

A file is known by what it holds: by its head and by the bytes before the offset. Names move when logs are rotated, inodes
are used again, and a copy has the same head; all three together with the bytes before the offset do not deceive.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import xxhash

from weighbridge.sources.log.contents import EDGE_BYTES

if TYPE_CHECKING:
    from weighbridge.sources.log.contents import Content


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything before `offset` was read. Digests (XXH3, 128 bits, hex) are of `edge` bytes each."""

    offset: int = 0
    head: str = ""  # of the first bytes
    tail: str = ""  # of the bytes before the offset

    @property
    def edge(self) -> int:
        """How many bytes each digest is of."""
        return min(self.offset, EDGE_BYTES)


START = Mark()
"""Nothing was read."""


class Verdict(Enum):
    """What a content is, seen from a mark."""

    SAME = "it goes on from the mark, or ends there"
    SHORT = "it begins as what was marked and ends before the mark: a copy that is not complete"
    OTHER = "it is something else"


@dataclass(frozen=True, slots=True)
class Portion:
    """Bytes behind a mark, and those before it. `is_last`: there is no more at the moment."""

    before: bytes
    data: bytes
    is_last: bool


def digest(data: bytes) -> str:
    """128 bits of what the bytes are, in hex."""
    return xxhash.xxh3_128_hexdigest(data)


def head_of(content: Content, edge: int) -> str | None:
    """The digest of the first `edge` bytes; None if there are fewer. Raises what `Content.read` does."""
    found = content.read(0, edge)
    return digest(found) if len(found) == edge else None


def compare(content: Content, mark: Mark) -> Verdict:
    """What a content is, seen from a mark behind the beginning. Raises what `Content.read` does."""
    if head_of(content, mark.edge) != mark.head:
        return Verdict.OTHER
    found = content.read(mark.offset - mark.edge, mark.edge)
    if len(found) < mark.edge:
        return Verdict.SHORT
    return Verdict.SAME if digest(found) == mark.tail else Verdict.OTHER


def mark_at(content: Content, offset: int) -> Mark:
    """The mark at an offset of a content that holds at least so much."""
    edge = min(offset, EDGE_BYTES)
    return Mark(offset, digest(content.read(0, edge)), digest(content.read(offset - edge, edge)))


def read_behind(content: Content, mark: Mark, size: int) -> Portion | None:
    """At most `size` bytes behind the mark; None if the content is not, or not any more, what was marked.

    A log that is cut while it is read (copytruncate) gives bytes of before and after in one piece: what was read holds
    only if it still stands there afterwards. Raises what `Content.read` does.
    """
    start, edge = mark.offset - mark.edge, mark.edge
    found = content.read(start, edge + size)
    if len(found) < edge or (edge and digest(found[:edge]) != mark.tail):
        return None
    checked = found[: edge + EDGE_BYTES]
    if not content.is_packed and content.read(start, len(checked)) != checked:
        return None
    return Portion(found[:edge], found[edge:], len(found) < edge + size)


def mark_behind(mark: Mark, before: bytes, taken: bytes) -> Mark:
    """The mark behind `taken`, which stood behind `mark`, which stood behind `before`."""
    moved = mark.offset + len(taken)
    edge = min(moved, EDGE_BYTES)
    head = mark.head if mark.offset >= EDGE_BYTES else digest((before + taken[:EDGE_BYTES])[:edge])
    tail = taken[-edge:] if len(taken) >= edge else (before + taken)[-edge:]
    return Mark(moved, head, digest(tail) if edge else "")
