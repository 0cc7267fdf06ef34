"""kill -9 at random moments: what was acknowledged is there, once, and so are its ids."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.storage.journal.store import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 10
THRESHOLDS = {"freeze_ids": 150, "fan_in": 2}
"""So low that runs are written and merged all the time."""
BEFORE_S = 0.5
"""Longest life of a child after its first batch; most are killed much earlier."""

CHILD = """
import sys
from pathlib import Path
import numpy as np
from weighbridge.measurement import MEASUREMENT
from weighbridge.ports import CounterState
from weighbridge.storage.journal.store import SqliteJournal

journal = SqliteJournal(Path(sys.argv[1]), freeze_ids=int(sys.argv[2]), fan_in=int(sys.argv[3]))
rng = np.random.default_rng(int(sys.argv[4]))
while True:
    number = journal.mark().position + 1
    measurements = np.zeros(int(rng.choice([1, 5, 80])), MEASUREMENT)
    measurements["series"] = number
    measurements["bytes_in"] = np.arange(len(measurements))
    # Distinct ids, of which the position and the place in the batch can be read.
    measurements["key_hi"] = np.full(len(measurements), number, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    measurements["key_lo"] = (np.arange(len(measurements), dtype=np.uint64) + np.uint64(1)) << np.uint64(32)
    assert not journal.claim(measurements["key_hi"], measurements["key_lo"]).any()
    mark = journal.append(measurements, {("o", "s", "u", "c"): CounterState(number, number, None, 64)})
    print(mark.position, len(measurements), flush=True)
    if number % 7 == 0:
        journal.trim(number - 20)
    if number % 11 == 0:
        journal.checkpoint()
"""


def live_and_die(folder: Path, seed: int) -> list[tuple[int, int]]:
    """What a child acknowledged, as (position, events), before it was killed."""
    thresholds = [str(value) for value in THRESHOLDS.values()]
    command = [sys.executable, "-c", CHILD, str(folder), *thresholds, str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        timer = threading.Timer(random.Random(seed).uniform(0, BEFORE_S) ** 2 / BEFORE_S, child.kill)
        timer.start()
        lines += child.stdout.readlines()
        timer.cancel()
        child.kill()
    complete = [line.split() for line in lines if line.endswith("\n")]
    return [(int(position), int(events)) for position, events in complete]


@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    acknowledged: dict[int, int] = {}
    for seed in range(ROUNDS):
        printed = live_and_die(folder, seed)
        assert printed
        assert not acknowledged.keys() & dict(printed).keys()  # positions are never used again
        acknowledged.update(printed)
        journal = SqliteJournal(folder, **THRESHOLDS)
        assert_whole(journal, acknowledged)
        journal.close()


def assert_whole(journal: SqliteJournal, acknowledged: dict[int, int]) -> None:
    """Rows, totals, ids and counters of everything acknowledged; at most one batch more, committed but not told."""
    assert journal.check() == []
    rows = {row.mark.position: row for row in journal.read(0, 10**9)}
    newest = journal.mark().position
    unsaid = newest - max(acknowledged)
    assert unsaid in {0, 1}
    if unsaid:
        acknowledged[newest] = len(rows[newest].measurements)
    assert list(rows) == list(range(newest - len(rows) + 1, newest + 1))
    for position, row in rows.items():
        assert len(row.measurements) == acknowledged[position]
        assert (row.measurements["series"] == position).all()
    assert sorted(acknowledged) == list(range(1, newest + 1))
    assert journal.mark().totals.events == sum(acknowledged.values())
    assert journal.mark().totals.bytes_in == sum(count * (count - 1) // 2 for count in acknowledged.values())
    state = journal.counter(("o", "s", "u", "c"))
    assert state is not None
    assert state.at_us == newest
    assert_known(journal, acknowledged)


def assert_known(journal: SqliteJournal, acknowledged: dict[int, int]) -> None:
    """Every id of every row ever committed is known, with its content; the next one of each row is new."""
    positions = np.fromiter(acknowledged, np.uint64)
    counts = np.fromiter(acknowledged.values(), np.uint64)
    key_hi = np.repeat(positions * np.uint64(0x9E3779B97F4A7C15), counts.astype(np.int64))
    key_lo = np.concatenate([np.arange(count) + 1 for count in counts.tolist()]).astype(np.uint64) << np.uint64(32)
    assert (journal.claim(key_hi, key_lo) == 1).all()
    assert (journal.claim(key_hi, key_lo + np.uint64(1)) == 2).all()
    following = (counts + np.uint64(1)) << np.uint64(32)
    absent = positions * np.uint64(0x9E3779B97F4A7C15)
    assert not journal.claim(absent, following).any()
    journal.release(absent, following)
