"""A block of datagrams: what a decoder reads side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Datagrams in the order in which they came: number i is the `lengths[i]` bytes of `octets` (uint8) from `starts[i]`.

    `starts` and `lengths` are int64. `sources`: from which address, as text; IPv4 that is mapped into IPv6 is IPv4.
    Whoever made the block may use `octets` again for the next one: what is to stay has to be copied.
    """

    octets: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    sources: Sequence[str]
    received_us: int

    def __len__(self) -> int:
        return len(self.lengths)
