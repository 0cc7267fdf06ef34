"""Measurements to slot rows: every byte, and a word on what is an estimate."""

from __future__ import annotations

import numpy as np

from weighbridge.measurement import MEASUREMENT, UNKNOWN, MeasurementFlag, SlotFlag
from weighbridge.metering.spreading import slot_rows

SLOT_US = 300_000_000


def rows_of(*measurements):
    rows = slot_rows(np.array([(*m, 0, 0) for m in measurements], dtype=MEASUREMENT))
    return sorted(rows.tolist())


def test_an_instant_and_a_whole_slot_stay_in_their_slot():
    assert rows_of((1, 0, 0, 0, 5, UNKNOWN, 0), (2, 0, SLOT_US, 2 * SLOT_US, 7, 8, 9)) == [
        (1, 0, 5, UNKNOWN, 0, SlotFlag.MEASURED), (2, 1, 7, 8, 9, SlotFlag.MEASURED)]


def test_a_stretch_is_spread_by_time_with_zeros_and_unknowns_kept():
    assert rows_of((1, 0, SLOT_US // 2, 2 * SLOT_US, 3, UNKNOWN, 0)) == [
        (1, 0, 1, UNKNOWN, 0, SlotFlag.MEASURED), (1, 1, 2, UNKNOWN, 0, SlotFlag.MEASURED)]


def test_inside_a_counters_gap_is_an_estimate():
    flags = [row[5] for row in rows_of((1, MeasurementFlag.COUNTER, 10, 4 * SLOT_US - 10, 400, 0, UNKNOWN))]
    assert flags == [SlotFlag.MEASURED, SlotFlag.ESTIMATED, SlotFlag.ESTIMATED, SlotFlag.MEASURED]
