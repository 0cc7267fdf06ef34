"""Event ids in memory: exact tables, each with what the index needs to know about one generation of ids.

An id is two unsigned 64-bit integers. `hi` and the upper half of `lo` are its identity, 96 bits; the lower half of `lo`
stands for its content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NEW = 0
KNOWN = 1
CONFLICT = 2

CONTENT_BITS = 32
"""Lower bits of `lo` that are content, not identity."""

_MASK = 2**64 - 1


class IdTable:
    """A set of ids with their content.

    `by_hi` maps `hi` to `lo`. Two identities with the same 64 bits in `hi` are next to impossible, but an exact index
    must keep them apart: the second one goes to `twins`, by (`hi`, upper half of `lo`).
    """

    __slots__ = ("by_hi", "digest", "twins")

    def __init__(self) -> None:
        self.by_hi: dict[int, int] = {}
        self.twins: dict[tuple[int, int], int] = {}
        self.digest = 0
        """Sum of all `hi` and `lo` modulo 2**64: tells quickly that two sets of the same size are the same."""

    def __len__(self) -> int:
        return len(self.by_hi) + len(self.twins)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        yield from self.by_hi.items()
        for (hi, _), lo in self.twins.items():
            yield hi, lo

    def find(self, hi: int, lo: int) -> int:
        """NEW, KNOWN, or CONFLICT: known with other content."""
        held = self.by_hi.get(hi)
        if held is not None and not (held ^ lo) >> CONTENT_BITS:
            return KNOWN if held == lo else CONFLICT
        if self.twins:
            held = self.twins.get((hi, lo >> CONTENT_BITS))
            if held is not None:
                return KNOWN if held == lo else CONFLICT
        return NEW

    def enter(self, hi: int, lo: int, *, twin: bool = False) -> None:
        """Add an id that is not in here. `twin`: some table in memory holds the same `hi` with another identity."""
        if twin or hi in self.by_hi:
            self.twins[hi, lo >> CONTENT_BITS] = lo
        else:
            self.by_hi[hi] = lo
        self.digest = (self.digest + hi + lo) & _MASK

    def remove(self, hi: int, lo: int) -> None:
        """Take out an id that is in here."""
        if self.by_hi.get(hi) == lo:
            del self.by_hi[hi]
        else:
            del self.twins[hi, lo >> CONTENT_BITS]
        self.digest = (self.digest - hi - lo) & _MASK

    def absorb(self, other: IdTable) -> None:
        """Add all ids of another table; none of them is in here, and shared `hi` stand among its twins."""
        self.by_hi.update(other.by_hi)
        self.twins.update(other.twins)
        self.digest = (self.digest + other.digest) & _MASK

    def is_apart_from(self, his: Iterable[int]) -> bool:
        """No id in here could have one of these `hi`."""
        return not self.twins and self.by_hi.keys().isdisjoint(his)

    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """All ids as two uint64 arrays, ascending by `hi`."""
        key_hi = np.fromiter(self.by_hi, np.uint64, len(self.by_hi))
        key_lo = np.fromiter(self.by_hi.values(), np.uint64, len(self.by_hi))
        if self.twins:
            key_hi = np.append(key_hi, np.array([hi for hi, _ in self.twins], np.uint64))
            key_lo = np.append(key_lo, np.array(list(self.twins.values()), np.uint64))
        order = np.argsort(key_hi)
        return key_hi[order], key_lo[order]


def digest_of(key_hi: np.ndarray, key_lo: np.ndarray) -> int:
    """`IdTable.digest` of a table that holds these ids."""
    return (int(key_hi.sum(dtype=np.uint64)) + int(key_lo.sum(dtype=np.uint64))) & _MASK
