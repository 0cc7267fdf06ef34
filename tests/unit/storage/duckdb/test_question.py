"""Two ways to the same answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weighbridge.measurement import SLOT_ROW
from weighbridge.ports import Members
from weighbridge.storage.duckdb import question
from weighbridge.storage.duckdb.store import DuckDBStore

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SLOT = 20_000 * 288


def test_alive_counts_the_same_by_bits_and_by_hashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DuckDBStore(tmp_path)
    rng = np.random.default_rng(1)
    rows = np.zeros(5000, SLOT_ROW)
    rows["series"], rows["slot"] = rng.integers(1, 9, 5000), SLOT + rng.integers(0, 2000, 5000)
    rows["flags"] = rng.integers(0, 4, 5000)
    store.load(rows)
    members = Members(tuple(range(1, 8)), (0,) * 7, (0,) * 7, (2**62,) * 7)
    asked = rows[(rows["series"] < 8) & (rows["flags"] & 1 == 1) & (rows["slot"] >= SLOT + 7)]
    for step_s in (300, 1800):
        expected = len({(series, slot * 300 // step_s) for series, slot in asked[["series", "slot"]].tolist()})
        assert expected > 1000
        for bits in (question.BITS_MAX, 0):
            with monkeypatch.context() as patch:
                patch.setattr(question, "BITS_MAX", bits)
                assert store.alive(members, (SLOT + 7) * 300, (SLOT + 2000) * 300, step_s) == expected
    store.close()
