"""Adding up flow sums that speak of the same, in integers that cannot overflow."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.collected import MAPPED_HI, MAPPED_LO
from weighbridge.metering.counting import LARGEST_PART

if TYPE_CHECKING:
    from collections.abc import Sequence

AMOUNTS = ("bytes_in", "bytes_out", "packets", "flows")
KEYS = ("slot", "hi", "lo", "mac", "vlan", "flags", "fate")
"""Rows that are equal in these speak of the same. Sorted by them, rows compress best."""
FLOAT_SURE = LARGEST_PART // 2
"""Sums whose 64-bit float is below this are below LARGEST_PART: a float's error grows with the number of rows, but stays
far below half."""


def summed(rows: np.ndarray, keys: Sequence[str] = KEYS) -> np.ndarray:
    """One row for each value of the keys, sorted by them, the first key first; other columns are those of its first row.

    Rows whose sum would reach 2**62 stay as they are, next to each other: they add up for whoever adds them in Python.
    """
    if not len(rows):
        return rows
    ordered = sorted_by(rows, keys)
    begins = run_starts([ordered[name] for name in keys])
    if len(begins) == len(ordered):
        return ordered
    huge = np.zeros(len(begins), bool)
    for name in AMOUNTS:
        huge |= np.add.reduceat(ordered[name].astype("f8"), begins) >= FLOAT_SURE
    sums: np.ndarray = ordered[begins]
    for name in AMOUNTS:
        sums[name] = np.add.reduceat(ordered[name], begins)
    if not huge.any():
        return sums
    apart = np.repeat(huge, np.diff(begins, append=len(ordered)))
    return sorted_by(np.concatenate([sums[~huge], ordered[apart]]), keys)


def sorted_by(rows: np.ndarray, keys: Sequence[str] = KEYS) -> np.ndarray:
    """The rows in the order of the keys, the first key first. Keys in which all rows agree cost nothing."""
    columns = [rows[name] for name in reversed(keys)]
    varying = [column for column in columns if len(column) and column.min() != column.max()]
    ordered: np.ndarray = rows[np.lexsort(varying)] if varying else rows
    return ordered


def run_starts(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Where runs of equal rows begin, of sorted columns of at least one row."""
    differs = np.zeros(len(columns[0]), bool)
    differs[0] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def exact_sum(column: np.ndarray) -> int:
    """The sum of a column of int64 that are not negative, however large."""
    low = int((column & 0xFFFFFFFF).sum(dtype="u8"))
    return (int((column >> 32).sum(dtype="u8")) << 32) + low


def address_text(hi: int, lo: int) -> str:
    """An address of a flow sum as people write it."""
    if hi == MAPPED_HI and lo >> 32 == MAPPED_LO >> 32:
        return str(ipaddress.IPv4Address(lo & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(hi << 64 | lo))
