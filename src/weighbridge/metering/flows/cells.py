"""Sums by key, for whole columns at once: a hash table in NumPy.

A key is one or several words of 64 bits. Sorting a column costs NumPy some 30 ns an element, finding it in a table that
holds most of it already some 5, and few columns bring many new keys.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

AMOUNTS = ("bytes_in", "bytes_out", "packets", "flows")
_FIRST_CELLS = 2**13
_SPARE = 4
"""Places of the table for each cell that there is room for, at least: most stay empty, so that chains stay short."""
_WORD_BITS = 64
_NO_KEY = 2**64 - 1
"""First word of the cell that no key has: number 0, which empty places lead to."""


class Cells:
    """Cells numbered from 1, each with a key and int64 sums. Who adds minds that no sum overflows."""

    def __init__(self, words: int) -> None:
        """Empty, for keys of so many words; the first word of a key is never 2**64 - 1."""
        self._words = words
        # Drawn anew for each table, so that nobody can send addresses that share their places.
        self._seeds = [np.uint64(secrets.randbits(_WORD_BITS) | 1) for _ in range(words + 1)]
        self.clear()

    def clear(self) -> None:
        """There are no cells."""
        self.count = 0
        self._room = _FIRST_CELLS
        self._keys = [np.zeros(self._room, np.uint64) for _ in range(self._words)]
        self._keys[0][0] = _NO_KEY
        self._sums = {name: np.zeros(self._room, np.int64) for name in AMOUNTS}
        self._make_table()

    def words(self) -> list[np.ndarray]:
        """The words of all cells, in the order of their numbers; to read only."""
        return [column[1 : self.count + 1] for column in self._keys]

    def sums(self, name: str) -> np.ndarray:
        """One of AMOUNTS of all cells, in the same order; to read only."""
        return self._sums[name][1 : self.count + 1]

    def keep(self, kept: np.ndarray) -> None:
        """Only these cells (a mask) are left, numbered anew."""
        keys, sums = [column[kept] for column in self.words()], {name: self.sums(name)[kept] for name in AMOUNTS}
        self.clear()
        numbers = self.find(keys)
        for name, column in sums.items():
            self.add(name, numbers, column)

    def add(self, name: str, numbers: np.ndarray, amounts: np.ndarray | int) -> None:
        """The sums of these cells have grown by these amounts; a cell may be named several times."""
        np.add.at(self._sums[name], numbers, amounts)

    def find(self, keys: Sequence[np.ndarray]) -> np.ndarray:
        """The numbers of the cells with these keys (a column for each word); those that were not there are there now."""
        self._make_room(self.count + len(keys[0]))
        place = self._places(keys)
        number = self._table.take(place)
        left = np.flatnonzero(self._are_others(number, keys))
        asked, at, found = [column[left] for column in keys], place[left], number[left]
        while len(left):
            # Whoever found an empty place looks there again, for a cell is there now; the others look at the next one.
            empty = np.flatnonzero(found == 0)
            if len(empty):
                self._settle(at[empty], [column[empty] for column in asked])
                at += found != 0
            else:
                at += 1
            at &= len(self._table) - 1
            found = self._table.take(at)
            number[left] = found
            on = np.flatnonzero(self._are_others(found, asked))
            left, at, found, asked = left[on], at[on], found[on], [column[on] for column in asked]
        return number.astype(np.int64)

    def _are_others(self, numbers: np.ndarray, keys: Sequence[np.ndarray]) -> np.ndarray:
        """Which of these cells have other keys than these."""
        others: np.ndarray = self._keys[0].take(numbers) != keys[0]
        for own, column in zip(self._keys[1:], keys[1:], strict=True):
            others |= own.take(numbers) != column
        return others

    def _settle(self, places: np.ndarray, keys: list[np.ndarray]) -> None:
        """Each of these empty places has a new cell, for one of the keys that are to go there."""
        claims = np.arange(len(places), dtype=np.int32)
        self._table[places] = claims
        won = np.flatnonzero(self._table[places] == claims)
        first = self.count + 1
        self.count += len(won)
        self._table[places[won]] = np.arange(first, self.count + 1)
        for own, column in zip(self._keys, keys, strict=True):
            own[first : self.count + 1] = column[won]

    def _places(self, keys: Sequence[np.ndarray]) -> np.ndarray:
        """Where the search for each key begins: the upper bits of a mix of its words."""
        mixed: np.ndarray = keys[0] * self._seeds[0]
        for column, seed in zip(keys[1:], self._seeds[1:], strict=False):
            mixed ^= (mixed >> np.uint64(29)) + column * seed
        mixed ^= mixed >> np.uint64(32)
        mixed *= self._seeds[-1]
        bits = len(self._table).bit_length() - 1
        places: np.ndarray = (mixed >> np.uint64(_WORD_BITS - bits)).view(np.int64)
        return places

    def _make_room(self, cells: int) -> None:
        """There is room for so many cells in all."""
        if cells < self._room:
            return
        self._room = 1 << (cells + 1).bit_length()
        self._keys = [_longer(column, self._room) for column in self._keys]
        self._sums = {name: _longer(column, self._room) for name, column in self._sums.items()}
        self._make_table()

    def _make_table(self) -> None:
        """A table for all the room, with the cells that are there."""
        self._table = np.zeros(self._room * _SPARE, np.int32)
        numbers = np.arange(1, self.count + 1)
        places = self._places(self.words())
        while len(numbers):
            empty = self._table[places] == 0
            self._table[places[empty]] = numbers[empty]
            left = np.flatnonzero(self._table[places] != numbers)
            numbers, places = numbers[left], (places[left] + 1) & (len(self._table) - 1)


def _longer(column: np.ndarray, room: int) -> np.ndarray:
    longer = np.zeros(room, column.dtype)
    longer[: len(column)] = column
    return longer
