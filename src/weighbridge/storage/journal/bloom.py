"""Bloom filters of one 64-bit word an id: one memory access a test, and the test of a whole batch is five NumPy calls.

The word is chosen by the upper bits of `hi`, the four bits in it by the lower 24. As runs are sorted by `hi`, a filter
is filled from its beginning to its end.
"""

from __future__ import annotations

import numpy as np

SMALL_IDS = 2**24
"""Up to so many ids a filter gets SMALL_BITS an id: there are many such runs, and each adds its share of ids that pass
for nothing and cost a read."""
SMALL_BITS = 16
"""0.5 % of absent ids pass (measured)."""
LARGE_BITS = 12
"""1.2 % of absent ids pass (measured). 10^8 ids take some 160 MB of filters."""

_FIELD = 4095
_PAIRS = [(1 << (i & 63)) | (1 << (i >> 6)) for i in range(_FIELD + 1)]
_PAIR_ARRAY = np.array(_PAIRS, np.uint64)
_FIELD_U64 = np.uint64(_FIELD)
_SHIFT = np.uint64(12)
_HALF = np.uint64(32)


def word_count(ids: int) -> int:
    """Words of a filter for so many ids, at least 1."""
    return ids * (SMALL_BITS if ids <= SMALL_IDS else LARGE_BITS) // 64 + 1


def masks_of(key_hi: np.ndarray) -> np.ndarray:
    """The bits that each id sets in its word, for filters of any size (uint64)."""
    masks: np.ndarray = _PAIR_ARRAY[key_hi & _FIELD_U64] | _PAIR_ARRAY[(key_hi >> _SHIFT) & _FIELD_U64]
    return masks


def mask_of(hi: int) -> int:
    """`masks_of` for one id."""
    return _PAIRS[hi & _FIELD] | _PAIRS[(hi >> 12) & _FIELD]


def tops_of(key_hi: np.ndarray) -> np.ndarray:
    """The upper 32 bits of `hi` (int64), which choose the word: times the words of a filter, shifted right by 32."""
    return (key_hi >> _HALF).astype(np.int64)


def fill(words: np.ndarray, key_hi: np.ndarray) -> None:
    """Enter ids, ascending by `hi`, into a filter."""
    if len(key_hi) == 0:
        return
    places = (tops_of(key_hi) * len(words)) >> 32
    starts = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
    words[places[starts]] |= np.bitwise_or.reduceat(masks_of(key_hi), starts)
