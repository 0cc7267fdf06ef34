"""Batches as blobs and back. A blob is one byte for the layout, eight for the checksum, then the measurements.

Small batches are kept record by record, which costs 1 µs; large ones column by column and compressed, which halves
them (half of what is left are the keys, which are random). The checksum is seeded with the position, so a blob that
stands in the wrong row is found out as well.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from weighbridge.measurement import MEASUREMENT, MeasurementFlag, Totals, totals_of
from weighbridge.storage.journal import faults

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

RECORDS = 1
COLUMNS = 2
LAYOUTS = {RECORDS, COLUMNS}
"""First byte of a blob. A change of MEASUREMENT needs new numbers here, and the old ones stay readable."""

COMPRESSED_FROM = 64
"""Events from which compression saves more in writing and syncing than it costs; below, a batch fits a page anyway."""

ZSTD_LEVEL = 1
"""The fastest level: higher ones save 3 % at thrice the time, as keys do not compress."""

FEW = 12
"""Up to so many events plain Python is faster than NumPy, whose every call costs a microsecond."""

_HEAD = 9
_NAMES = MEASUREMENT.names or ()
_FLAGS = _NAMES.index("flags")
_SUBTRACT = int(MeasurementFlag.SUBTRACT)
_AMOUNTS = slice(_NAMES.index("bytes_in"), _NAMES.index("requests") + 1)


def encode(measurements: np.ndarray, position: int) -> bytes:
    """The blob of a batch (dtype MEASUREMENT) that is to stand at `position`."""
    if len(measurements) < COMPRESSED_FROM:
        return _sealed(RECORDS, measurements.tobytes(), position)
    columns = b"".join([measurements[name].tobytes() for name in _NAMES])
    return _sealed(COLUMNS, zstd.compress(columns, ZSTD_LEVEL), position)


def _sealed(layout: int, payload: bytes, position: int) -> bytes:
    return bytes((layout,)) + xxhash.xxh3_64_digest(payload, position) + payload


def decode(blob: bytes, position: int, events: int) -> np.ndarray:
    """The batch of a blob, read-only. DamagedStoreError if it is not what `encode` made for this position."""
    payload = blob[_HEAD:]
    if len(blob) < _HEAD or blob[0] not in LAYOUTS or blob[1:_HEAD] != xxhash.xxh3_64_digest(payload, position):
        faults.refuse(f"row {position} of the journal", "its checksum is wrong")
    is_plain = blob[0] == RECORDS
    try:
        measurements = np.frombuffer(payload, MEASUREMENT) if is_plain else _from_columns(zstd.decompress(payload))
    except (ValueError, zstd.ZstdError):  # the checksum does not cover the layout's own byte
        faults.refuse(f"row {position} of the journal", "its layout is wrong")
    if len(measurements) != events:
        faults.refuse(f"row {position} of the journal", f"{len(measurements)} events instead of {events}")
    return measurements


def _from_columns(columns: bytes) -> np.ndarray:
    events = len(columns) // MEASUREMENT.itemsize
    measurements = np.empty(events, MEASUREMENT)
    start = 0
    for name in _NAMES:
        width = MEASUREMENT[name]
        measurements[name] = np.frombuffer(columns, width, events, start)
        start += events * width.itemsize
    measurements.flags.writeable = False
    return measurements


def batch_totals(measurements: np.ndarray) -> Totals:
    """The same as `totals_of`, faster for few measurements."""
    if len(measurements) > FEW:
        return totals_of(measurements)
    listed = measurements.tolist()
    if any(row[_FLAGS] & _SUBTRACT for row in listed):
        return totals_of(measurements)
    amounts = [row[_AMOUNTS] for row in listed]
    columns = zip(*amounts, strict=True)
    return Totals(len(amounts), *(sum(amount for amount in column if amount > 0) for column in columns))
