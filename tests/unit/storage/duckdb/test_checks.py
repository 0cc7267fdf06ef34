"""The self-check finds one changed byte, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from weighbridge.measurement import SLOT_ROW, Mark, totals_of
from weighbridge.storage.duckdb.database import FILE
from weighbridge.storage.duckdb.store import DuckDBStore

if TYPE_CHECKING:
    from pathlib import Path

SLOT = 20_000 * 288


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with two months of two series, closed and in order."""
    store = DuckDBStore(tmp_path)
    rows = np.array([(s, SLOT + i, i, i, i, 1) for i in range(0, 60 * 288, 97) for s in (1, 2)], SLOT_ROW)
    store.load(rows[:-9])
    store.fold(rows[-9:], Mark(1, totals_of(rows[-9:])))
    store.close()
    return tmp_path


@pytest.mark.parametrize(
    ("damage", "checks"),
    [
        (f"UPDATE t5m SET bytes_in = bytes_in + 1 WHERE series = 2 AND slot = {SLOT + 97}", {"rollup"}),
        (f"UPDATE t5m SET flags = 3 WHERE series = 2 AND slot = {SLOT + 97}", {"rollup"}),
        (f"UPDATE t5m SET slot = slot - 6 WHERE series = 2 AND slot = {SLOT + 97}", {"rollup"}),
        (f"UPDATE t5m SET requests = NULL WHERE series = 1 AND slot = {SLOT}", {"rollup"}),
        (f"DELETE FROM t5m WHERE series = 1 AND slot = {SLOT}", {"rollup"}),
        (f"UPDATE t30m SET bytes_out = bytes_out - 1 WHERE series = 1 AND slot = {SLOT // 6}", {"rollup"}),
        (f"UPDATE t1d SET requests = requests + 1 WHERE series = 1 AND slot = {SLOT // 288}", {"rollup", "totals"}),
        ("UPDATE mark SET bytes_out = bytes_out - 1", {"totals"}),
        ("UPDATE ledger SET bytes_in = bytes_in + 1 WHERE rowid = 0", {"totals"}),
        (f"INSERT INTO fresh VALUES (1, {SLOT}, 1, 0, 0, 0)", {"totals"}),
    ],
)
def test_a_changed_byte_is_found(folder: Path, damage: str, checks: set[str]) -> None:
    with duckdb.connect(folder / FILE) as connection:
        assert connection.execute(damage).fetchall() == [(1,)]
    store = DuckDBStore(folder)
    found = store.check()
    store.close()
    assert {finding.check for finding in found} == checks
    assert all(finding.detail and finding.remedy for finding in found)


def test_a_sound_store_has_no_findings(folder: Path) -> None:
    store = DuckDBStore(folder)
    assert store.check() == []
    store.close()


def test_much_damage_makes_a_short_list(folder: Path) -> None:
    with duckdb.connect(folder / FILE) as connection:
        connection.execute("UPDATE t5m SET bytes_in = bytes_in + 1")
    store = DuckDBStore(folder)
    found = store.check()
    store.close()
    assert 1 < len(found) <= 20
    assert "series 1" in found[0].detail
