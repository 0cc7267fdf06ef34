"""A block of flow records as columns: what every flow protocol decodes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class FlowBlock:
    """Records of one exporter that were received at `received_us`, n of them, as parallel columns in native byte order.

    Addresses: of family 4 uint32, shape (n,); of family 6 uint64, shape (n, 2), the upper half first. `octets`,
    `packets`: int64 as sent, not multiplied by any rate, none negative. `start_us`, `end_us`: int64, when the flow lasted;
    None: told by nobody. Times more than an hour from the receipt, or an end before its start, are the tally's to mend.
    `rate`: int64 of shape (n,), or one int for all, packets each sampled one stands for: at least 1, with two values
    that are none: UNRATED, UNKNOWN_SAMPLER. MACs are uint64, VLANs uint16, 0 where none was told; None: none at all.
    """

    exporter: str
    family: int
    received_us: int
    src: np.ndarray
    dst: np.ndarray
    octets: np.ndarray
    packets: np.ndarray
    start_us: np.ndarray | None = None
    end_us: np.ndarray | None = None
    rate: np.ndarray | int = 1
    src_mac: np.ndarray | None = None
    dst_mac: np.ndarray | None = None
    src_vlan: np.ndarray | None = None
    dst_vlan: np.ndarray | None = None


UNRATED = 0
"""A `rate`: nobody told one, and no sampler was named."""
UNKNOWN_SAMPLER = -1
"""A `rate`: a sampler was named whose rate nobody told."""
