"""Measurements to slot rows: every byte, and a word on what is an estimate."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.domain.spread import spread
from weighbridge.measurement import MEASUREMENT, SLOT_ROW, UNKNOWN, MeasurementFlag, SlotFlag
from weighbridge.metering import spreading
from weighbridge.metering.spreading import slot_rows

SLOT_US = 300_000_000


def rows_of(*measurements):
    blocks = list(slot_rows(np.array([(*m, 0, 0) for m in measurements], dtype=MEASUREMENT)))
    assert all(block.dtype == SLOT_ROW for block in blocks)
    return sorted(np.concatenate(blocks).tolist())


def test_an_instant_and_a_whole_slot_stay_in_their_slot():
    assert rows_of((1, 0, 0, 0, 5, UNKNOWN, 0), (2, 0, SLOT_US, 2 * SLOT_US, 7, 8, 9)) == [
        (1, 0, 5, UNKNOWN, 0, SlotFlag.MEASURED), (2, 1, 7, 8, 9, SlotFlag.MEASURED)]


def test_a_stretch_is_spread_by_time_with_zeros_and_unknowns_kept():
    assert rows_of((1, 0, SLOT_US // 2, 2 * SLOT_US, 3, UNKNOWN, 0)) == [
        (1, 0, 1, UNKNOWN, 0, SlotFlag.MEASURED), (1, 1, 2, UNKNOWN, 0, SlotFlag.MEASURED)]


def test_inside_a_counters_gap_is_an_estimate():
    flags = [row[5] for row in rows_of((1, MeasurementFlag.COUNTER, 10, 4 * SLOT_US - 10, 400, 0, UNKNOWN))]
    assert flags == [SlotFlag.MEASURED, SlotFlag.ESTIMATED, SlotFlag.ESTIMATED, SlotFlag.MEASURED]


amounts = st.just(UNKNOWN) | st.integers(0, 7) | st.integers(0, 2**53 - 1) | st.integers(0, 2**62 - 1)
starts_us = (
    st.integers(0, 10**12) | st.integers(0, 10**6).map(lambda s: s * 10**6) | st.integers(0, 100).map(lambda n: n * SLOT_US)
)
lengths_us = (
    st.integers(0, 3 * SLOT_US) | st.integers(0, 5000).map(lambda s: s * 10**6) | st.integers(0, 40).map(lambda n: n * SLOT_US)
    | st.integers(2**31 - 2, 2**31 + 2) | st.integers(0, 10 * 86400 * 10**6)
)
measurements = st.tuples(
    st.integers(1, 9), st.sampled_from([0, MeasurementFlag.COUNTER]), starts_us, lengths_us, amounts, amounts, amounts)


@settings(max_examples=150)
@given(st.lists(measurements, min_size=1, max_size=8), st.sampled_from([1, 7, 500_000]))
def test_columns_and_the_ground_floor_spread_alike(drawn, block):
    said = [(series, flags, start, start + length, *rest) for series, flags, start, length, *rest in drawn]
    before, spreading.ROWS_A_BLOCK = spreading.ROWS_A_BLOCK, block
    try:
        found = [row[:5] for row in rows_of(*said)]
    finally:
        spreading.ROWS_A_BLOCK = before
    wanted = []
    for series, _, start, end, *three in said:
        parts = [None if amount == UNKNOWN else spread(amount, start, end) for amount in three]
        slots = [slot_s for slot_s, _ in spread(0, start, end)]
        for index, slot_s in enumerate(slots):
            wanted.append((series, slot_s // 300, *(UNKNOWN if part is None else part[index][1] for part in parts)))
    assert found == sorted(wanted)


def test_a_long_stretch_is_made_in_bounded_blocks():
    year = np.array([(1, 0, 0, 400 * 86400 * 10**6, 10**15, 0, 0, 0, 0)] * 12, dtype=MEASUREMENT)
    blocks = list(slot_rows(year))
    assert max(len(block) for block in blocks) <= spreading.ROWS_A_BLOCK + 400 * 288
    assert sum(int(block["bytes_in"].sum()) for block in blocks) == 12 * 10**15
