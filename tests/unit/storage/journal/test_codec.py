"""Batches as blobs: exact both ways, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.errors import DamagedStoreError
from weighbridge.measurement import MEASUREMENT, Totals, totals_of
from weighbridge.storage.journal import codec

I64 = st.integers(-(2**63), 2**63 - 1)
U64 = st.integers(0, 2**64 - 1)
ROWS = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 255), I64, I64, I64, I64, I64, U64, U64)


def rows_of(count: int) -> np.ndarray:
    measurements = np.zeros(count, MEASUREMENT)
    measurements["series"] = np.arange(count)
    measurements["bytes_in"] = 2**61
    measurements["bytes_out"] = -1
    return measurements


@given(st.lists(ROWS, max_size=5), st.sampled_from([1, codec.COMPRESSED_FROM]), st.integers(1, 2**62))
def test_decode_undoes_encode(rows: list[tuple[int, ...]], times: int, position: int) -> None:
    measurements = np.array(rows * times, MEASUREMENT)
    decoded = codec.decode(codec.encode(measurements, position), position, len(measurements))
    assert decoded.dtype == MEASUREMENT
    assert decoded.tolist() == measurements.tolist()


@pytest.mark.parametrize("count", [1, codec.COMPRESSED_FROM - 1, codec.COMPRESSED_FROM, 1000])
def test_damage_is_found(count: int) -> None:
    blob = codec.encode(rows_of(count), 5)
    for wrong in (b"", blob[:5], blob[:-1], blob + b"\0", b"\7" + blob[1:], blob[:20] + b"?" + blob[21:]):
        with pytest.raises(DamagedStoreError, match="row 5 of the journal"):
            codec.decode(wrong, 5, count)
    with pytest.raises(DamagedStoreError):  # a blob that stands in another row
        codec.decode(blob, 6, count)
    with pytest.raises(DamagedStoreError, match=f"{count} events instead of {count + 1}"):
        codec.decode(blob, 5, count + 1)


def test_large_batches_are_compressed() -> None:
    assert len(codec.encode(rows_of(1000), 1)) < 0.1 * rows_of(1000).nbytes


@given(st.lists(ROWS, max_size=2 * codec.FEW))
def test_totals_of_few_and_of_many_agree(rows: list[tuple[int, ...]]) -> None:
    measurements = np.array(rows, MEASUREMENT)
    assert codec.batch_totals(measurements) == totals_of(measurements)


def test_totals_are_exact_beyond_64_bits() -> None:
    assert codec.batch_totals(rows_of(10)) == Totals(10, 10 * 2**61, 0, 0)
