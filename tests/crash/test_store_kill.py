"""kill -9 while the store folds, flushes, compacts and forgets: what it confirmed is there, once, and nothing else is.

Run as a program, this file is the writer that gets killed: it says what it is about to do and what it has done.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np

from weighbridge.measurement import SLOT_ROW, UNKNOWN, Mark, Totals, totals_of
from weighbridge.ports import Members
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.memory import MemoryStore

ROUNDS = 12
SERIES = 20
ROWS = 150
START_S = 20_001 * 86400
EVERYBODY = Members(
    tuple(range(1, SERIES + 1)), tuple(range(1, SERIES + 1)), (0,) * SERIES, (2**62,) * SERIES)
MOMENTS = ("folded", "folded", "fold", "flush", "compact", "retain")
"""What the writer has just said when it dies: in the middle of the last four."""


def batch(position: int) -> np.ndarray:
    """The rows of a position: always the same ones."""
    rng = np.random.default_rng(position)
    rows = np.zeros(ROWS, SLOT_ROW)
    rows["series"] = rng.integers(1, SERIES + 1, ROWS)
    rows["slot"] = START_S // 300 + position // 2 + rng.integers(0, 40, ROWS)
    for name in ("bytes_in", "bytes_out"):
        rows[name] = rng.integers(0, 2**61, ROWS)
    rows["requests"] = np.where(rng.random(ROWS) < 0.5, UNKNOWN, 1)
    rows["flags"] = rng.integers(0, 4, ROWS)
    return rows


def mark(before: Mark, rows: np.ndarray) -> Mark:
    old, new = before.totals, totals_of(rows)
    return Mark(before.position + 1, Totals(
        old.events + new.events, old.bytes_in + new.bytes_in,
        old.bytes_out + new.bytes_out, old.requests + new.requests))


def retained(position: int) -> int:
    """Before which instant the 5-minute tier is forgotten once a position divisible by 40 is folded."""
    return START_S + position // 40 * 3600


def write(folder: Path) -> None:
    """Folds on from the mark for ever, and tends the store in between."""
    store = DuckDBStore(folder)
    while True:
        rows = batch(store.mark().position + 1)
        say(f"fold {store.mark().position + 1}")
        store.fold(rows, mark(store.mark(), rows))
        position = store.mark().position
        say(f"folded {position}")
        if position % 5 == 0:
            say("flush")
            store.flush()
        if position % 15 == 0:
            say("compact")
            store.compact(START_S + position * 150 + 90 * 86400)
        if position % 40 == 0:
            say("retain")
            store.retain(300, retained(position))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def kill_at(folder: Path, moment: str, lines: int) -> int:
    """The last position that the writer confirmed before it was killed, having said `moment` after so many lines."""
    confirmed = 0
    with subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for count, line in enumerate(writer.stdout):  # to its end: what it said before the blow is confirmed too
            word, _, number = line.strip().partition(" ")
            if word == "folded":
                confirmed = int(number)
            if count >= lines and word == moment:
                writer.kill()
    return confirmed


def test_a_killed_store_holds_what_it_confirmed_once(tmp_path: Path) -> None:
    dice = random.Random(11)
    confirmed = replayed = 0
    referee = MemoryStore()
    for turn in range(ROUNDS):
        confirmed = max(confirmed, kill_at(tmp_path, MOMENTS[turn % len(MOMENTS)], dice.randint(5, 60)))
        store = DuckDBStore(tmp_path)
        position = store.mark().position
        assert position in (confirmed, confirmed + 1), "a confirmed fold is gone, or one appeared that nobody asked for"
        while replayed < position:
            rows = batch(replayed + 1)
            referee.fold(rows, mark(referee.mark(), rows))
            replayed += 1
            if replayed % 40 == 0 and replayed < position:
                referee.retain(300, retained(replayed))
        if position % 40 == 0:  # it may have died before it forgot, or after
            store.retain(300, retained(position))
            referee.retain(300, retained(position))
        assert store.mark() == referee.mark()
        for step_s in (300, 86400):
            answers = [each.sums(EVERYBODY, START_S, START_S + 30 * 86400, step_s) for each in (store, referee)]
            assert answers[0] == answers[1]
        assert store.check() == []
        store.close()
    assert replayed > ROUNDS


if __name__ == "__main__":
    write(Path(sys.argv[1]))
