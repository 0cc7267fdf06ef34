"""Flow sums of one slot as blobs and back. A blob is a byte for the layout, eight for the checksum, then columns.

The columns of sorted rows stand one behind the other, compressed; the slot is not among them. The checksum is seeded with
the slot, so a blob that stands in the wrong row is found out as well.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from weighbridge.collected import KEPT_SUM
from weighbridge.storage.journal import faults

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

COLUMNS = 1
"""First byte of a blob. A change of KEPT_SUM needs a new number here, and the old one stays readable."""
ZSTD_LEVEL = 3
"""10,000 rows take 2 ms; higher levels save some percent at several times that."""

_HEAD = 9
_NAMES = tuple(name for name in KEPT_SUM.names or () if name != "slot")
_ROW_BYTES = sum(KEPT_SUM[name].itemsize for name in _NAMES)


def encode(rows: np.ndarray, slot: int) -> bytes | None:
    """The blob of sorted rows (dtype KEPT_SUM), all of one slot; None where there are none."""
    if not len(rows):
        return None
    payload = zstd.compress(b"".join([rows[name].tobytes() for name in _NAMES]), ZSTD_LEVEL)
    return bytes((COLUMNS,)) + xxhash.xxh3_64_digest(payload, slot) + payload


def decode(blob: bytes | None, slot: int) -> np.ndarray:
    """The rows of a blob. DamagedStoreError if it is not what `encode` made for this slot."""
    if blob is None:
        return np.zeros(0, KEPT_SUM)
    payload = blob[_HEAD:]
    if len(blob) < _HEAD or blob[0] != COLUMNS or blob[1:_HEAD] != xxhash.xxh3_64_digest(payload, slot):
        faults.refuse(f"a blob of flow sums of slot {slot}", "its checksum is wrong")
    columns = zstd.decompress(payload)
    count, rest = divmod(len(columns), _ROW_BYTES)
    if rest:
        faults.refuse(f"a blob of flow sums of slot {slot}", "its length is wrong")
    rows = np.empty(count, KEPT_SUM)
    rows["slot"] = slot
    start = 0
    for name in _NAMES:
        width = KEPT_SUM[name]
        rows[name] = np.frombuffer(columns, width, count, start)
        start += count * width.itemsize
    return rows
