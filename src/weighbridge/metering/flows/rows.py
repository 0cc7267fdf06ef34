"""Attributed flow sums as rows for the journal."""

from __future__ import annotations

import numpy as np

from weighbridge.collected import FlowFlag
from weighbridge.domain.units import SLOT_S
from weighbridge.measurement import MEASUREMENT, UNKNOWN, MeasurementFlag
from weighbridge.metering.counting import LARGEST_PART
from weighbridge.metering.flows.sums import AMOUNTS, summed

THING_SUM = np.dtype([("thing", "<u4"), ("slot", "<i4"), ("flags", "u1"), *((name, "<i8") for name in AMOUNTS)])
"""What a thing moved in a slot; `flags` is FlowFlag.ESTIMATED or 0. `thing` is a number that the asker gives meaning to."""
THING_KEYS = ("thing", "slot", "flags")
SLOT_US = SLOT_S * 1_000_000


def sums_by_thing(rows: np.ndarray, things: np.ndarray) -> np.ndarray:
    """Sums (dtype THING_SUM) of flow sums, each with the number of its thing; ordered by thing, slot and flags.

    Sums that would reach 2**62 stay in several rows.
    """
    listed = np.zeros(len(rows), THING_SUM)
    listed["thing"] = things
    listed["slot"] = rows["slot"]
    listed["flags"] = rows["flags"] & FlowFlag.ESTIMATED
    for name in AMOUNTS:
        listed[name] = rows[name]
    return summed(listed, THING_KEYS)


def measurement_rows(sums: np.ndarray) -> np.ndarray:
    """Instants at the slot's start (dtype MEASUREMENT, keys 0) of sums whose `thing` is the number of its series.

    Requests are unknown; bytes are as the thing sees them.
    """
    rows = np.zeros(len(sums), MEASUREMENT)
    rows["series"] = sums["thing"]
    rows["flags"] = np.where(sums["flags"] != 0, int(MeasurementFlag.SAMPLED), 0)
    rows["start_us"] = rows["end_us"] = sums["slot"].astype("i8") * SLOT_US
    rows["bytes_in"], rows["bytes_out"], rows["requests"] = sums["bytes_in"], sums["bytes_out"], UNKNOWN
    return rows


def difference_rows(series: int, slot: int, more: tuple[int, int], flags: int) -> list[tuple[int, ...]]:
    """Rows (as tuples of MEASUREMENT) that change bytes in and out of a series' slot by `more`, of either sign.

    What is added and what is taken away stand in rows of their own; each has both amounts, so that both are known.
    """
    at_us = slot * SLOT_US
    rows: list[tuple[int, ...]] = []
    for sign, flag in ((1, flags), (-1, int(MeasurementFlag.SUBTRACT))):
        left = [max(sign * amount, 0) for amount in more]
        while any(left):
            part = [min(amount, LARGEST_PART - 1) for amount in left]
            rows.append((series, flag, at_us, at_us, *part, UNKNOWN, 0, 0))
            left = [amount - less for amount, less in zip(left, part, strict=True)]
    return rows
