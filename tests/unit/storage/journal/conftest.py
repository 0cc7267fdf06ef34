"""Batches for the journal's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.measurement import MEASUREMENT
from weighbridge.storage.journal.store import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def batch() -> Callable[..., np.ndarray]:
    """Makes a batch of `count` events whose ids are the numbers from `first`."""

    def make(count: int, first: int = 1, bytes_in: int = 10) -> np.ndarray:
        measurements = np.zeros(count, MEASUREMENT)
        measurements["series"] = 7
        measurements["start_us"] = measurements["end_us"] = 1_700_000_000_000_000 + np.arange(count)
        measurements["bytes_in"] = bytes_in
        measurements["bytes_out"] = -1
        measurements["requests"] = 1
        # Spread over all 64 bits, as hashes are.
        measurements["key_hi"] = np.arange(first, first + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        measurements["key_lo"] = np.arange(first, first + count, dtype=np.uint64) << np.uint64(32)
        return measurements

    return make


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., SqliteJournal]]:
    """Opens the journal of this test, and closes it in the end."""
    journals: list[SqliteJournal] = []

    def open_one(**settings: int) -> SqliteJournal:
        for journal in journals:
            journal.close()
        journals.append(SqliteJournal(tmp_path / "journal", **settings))
        return journals[-1]

    yield open_one
    for journal in journals:
        journal.close()


@pytest.fixture
def accept() -> Callable[[SqliteJournal, np.ndarray], int]:
    """Claims the ids of a batch and appends it; the position."""

    def accept_batch(journal: SqliteJournal, measurements: np.ndarray) -> int:
        assert not journal.claim(measurements["key_hi"], measurements["key_lo"]).any()
        return journal.append(measurements, {}).position

    return accept_batch
