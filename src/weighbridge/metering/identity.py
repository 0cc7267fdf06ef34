"""Who an event is and what it says, as numbers: 96 bits of identity and 32 bits of content.

Identity: xxh3_128 over organization, source and id; the first 64 bits and 32 more. At 10**9 events two different ids fall
together with a chance of 10**-11. Content: a mix of everything that counts, so that the same id with other content is
told apart without reading the first one back. Time is content, never identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xxhash

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASK64 = 2**64 - 1
# Odd 64-bit constants: the first digits of sqrt(2), sqrt(3), sqrt(5), ...: nothing up the sleeve, full period.
_FACTORS = (
    0x6A09E667F3BCC909,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
)


def identity_prefix(organization: str, source: str) -> str:
    """What goes before the id when it is hashed. The length keeps a NUL in a source from shifting the border."""
    return f"{organization}\0{len(source)}\0{source}\0"


def identities(texts: Sequence[str]) -> np.ndarray:
    """Shape (n, 2), uint64: the 128-bit hashes of prefix + id, high half first."""
    digests = b"".join([xxhash.xxh3_128_digest(text.encode()) for text in texts])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def identity(text: str) -> tuple[int, int]:
    """The 128-bit hash of prefix + id as two 64-bit integers, high half first."""
    whole = xxhash.xxh3_128_intdigest(text.encode())
    return whole >> 64, whole & _MASK64


def contents(columns: Sequence[np.ndarray]) -> np.ndarray:
    """uint64 below 2**32 per row: a mix of up to 6 integer columns."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for factor, column in zip(_FACTORS, columns, strict=False):
        mixed ^= column.astype(np.int64).view(np.uint64)
        mixed *= np.uint64(factor)
        mixed ^= mixed >> np.uint64(29)
    return mixed >> np.uint64(32)


def content(values: Sequence[int]) -> int:
    """The same mix for one row."""
    mixed = 0
    for factor, value in zip(_FACTORS, values, strict=False):
        mixed ^= value & _MASK64
        mixed = mixed * factor & _MASK64
        mixed ^= mixed >> 29
    return mixed >> 32


def reading_content(text: str) -> int:
    """32 bits of everything that a reading says."""
    return xxhash.xxh3_64_intdigest(text.encode()) >> 32


def key_low(hash_low: int, content32: int) -> int:
    """`key_lo` of a measurement: the upper 32 bits of the second half of the hash, then the content."""
    return hash_low & 0xFFFFFFFF00000000 | content32
