"""A disk without room: the store says so in words, and what it confirmed is there once there is room again.

Run as a program, this file is the writer whose files may not grow.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from weighbridge.domain.errors import DiskFullError, StorageError
from weighbridge.measurement import SLOT_ROW, Mark, totals_of
from weighbridge.ports import Members
from weighbridge.storage.duckdb.store import DuckDBStore

ROOM = 3_000_000
ROWS = 5_000
BATCHES_MAX = 200


def batch(position: int) -> np.ndarray:
    rows = np.zeros(ROWS, SLOT_ROW)
    rows["series"] = np.arange(ROWS) % 100 + 1
    rows["slot"] = 5_760_000 + position
    rows["bytes_in"] = np.random.default_rng(position).integers(0, 2**61, ROWS)
    return rows


def write(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
    store = DuckDBStore(folder)
    try:
        for position in range(1, BATCHES_MAX):
            totals = totals_of(np.concatenate([batch(each) for each in range(1, position + 1)]))
            store.fold(batch(position), Mark(position, totals))
            sys.stdout.write(f"{position}\n")
            sys.stdout.flush()
    except DiskFullError as error:
        sys.stdout.write(f"full: {error}\n")
    except StorageError as error:
        sys.stdout.write(f"other: {type(error).__name__}: {error}\n")


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    writer = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60)
    *positions, last = writer.stdout.splitlines()
    assert last.startswith("full: no room is left on the disk"), writer.stdout + writer.stderr
    store = DuckDBStore(tmp_path)
    confirmed = int(positions[-1])
    assert store.mark().position in (confirmed, confirmed + 1)
    everybody = Members(tuple(range(1, 101)), (0,) * 100, (0,) * 100, (2**62,) * 100)
    assert store.sums(everybody, 0, 2_000_000_400, 0).bytes_in == [store.mark().totals.bytes_in]
    assert store.check() == []
    store.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
