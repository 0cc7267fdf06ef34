"""kill -9 of a process that keeps flows and journals them: what was acknowledged counts once, and usage is what is kept.

Run as a program, this file is the process that is killed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from support.flows import NOON, FlowNetwork, flow, sums_of
from weighbridge.model import Kind, Metering, SeriesKey
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.flows.store import SqliteFlowStore

ROUNDS = 4
BEFORE_S = 0.6
"""Longest life of a child after its first batch; most are killed much earlier."""
MARKER = "2001:db8::"
SERVERS = ("192.0.2.10", "192.0.2.11")


def rows_of(number: int) -> list[tuple[int, ...]]:
    """What batch `number` says: of one day or of two, each with a row of nobody's that tells it by its address."""
    days = (0, 288) if number % 3 == 0 else (288 * (number % 2),)
    return [
        row for day in days for row in (
            flow(SERVERS[number % 2], number + 1, 3, slot=NOON + day + number % 5),
            flow(f"{MARKER}{number:x}", 1, slot=NOON + day),
        )
    ]


def opened(folder: Path) -> FlowNetwork:
    usage, flows = DuckDBStore(folder / "usage"), SqliteFlowStore(folder / "flows", lambda: 0)
    network = FlowNetwork(folder / "journal", store=flows, usage=usage)
    for number, address in enumerate(SERVERS):
        network.know(f"sv_{number}", address)
        network.catalog.enter_series([SeriesKey(Kind.SERVER, f"sv_{number}", via=Metering.FLOWS)])  # the same in each process
    return network


def live(folder: Path, number: int, seed: int) -> None:
    """Batches from `number` on, each told when it is acknowledged, with all upkeep in between, until it is killed."""
    network, rng = opened(folder), random.Random(seed)
    steps = [network.fold, network.usage.flush, network.flow_desk.compact, network.reattribute, network.journal.checkpoint]
    while True:
        network.take(sums_of(*rows_of(number)), name=str(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1
        if rng.random() < 0.2:
            rng.choice(steps)()


def live_and_die(folder: Path, number: int, seed: int) -> list[int]:
    """The batches that a child acknowledged before it was killed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])}
    command = [sys.executable, __file__, str(folder), str(number), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        timer = threading.Timer(random.Random(seed).uniform(0, BEFORE_S) ** 2 / BEFORE_S, child.kill)
        timer.start()
        lines += child.stdout.readlines()
        timer.cancel()
        child.kill()
    return [int(line) for line in lines if line.strip().isdigit() and line.endswith("\n")]


def kept_batches(network: FlowNetwork) -> set[tuple[int, int]]:
    """(number, slot of the marker) of everything that is kept, each once."""
    rows = [row for pile in network.store.read(0, (NOON + 10**6) * 300) for row in pile.rows]
    markers = [row for row in rows if row["hi"] == 0x20010DB8 << 32]
    assert all(row["bytes_in"] == 1 for row in markers), "kept twice"
    found = [(int(row["lo"]), int(row["slot"])) for row in markers]
    assert len(found) == len(set(found))
    return set(found)


def naive_usage(batches: set[tuple[int, int]]) -> dict[tuple[str, int], tuple[int, int]]:
    sums: Counter[tuple[str, int, int]] = Counter()
    for number, marker in batches:
        for row in rows_of(number):
            if row[6:8] != (1, 0) and row[0] - number % 5 == marker:
                sums[f"sv_{number % 2}", row[0], 0] += row[6]
                sums[f"sv_{number % 2}", row[0], 1] += row[7]
    return {(server, slot): (sums[server, slot, 0], sums[server, slot, 1]) for server, slot, _ in sums}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("comes_back", [True, False], ids=["an agent comes again", "what nobody brings again"])
def test_what_was_acknowledged_counts_once_and_usage_is_what_is_kept(tmp_path: Path, comes_back: bool) -> None:
    acknowledged: set[int] = set()
    number = 1
    for seed in range(ROUNDS):
        told = live_and_die(tmp_path, number, seed)
        assert told
        acknowledged |= set(told)
        number = max(told) + (1 if comes_back else 2)
    network = opened(tmp_path)
    if comes_back:
        network.take(sums_of(*rows_of(number)), name=str(number))
        acknowledged.add(number)
    network.reattribute()
    kept = kept_batches(network)
    for each in acknowledged:
        markers = {(each, row[0]) for row in rows_of(each) if row[6:8] == (1, 0)}
        assert markers <= kept
    assert len({each for each, _ in kept} - acknowledged) <= (0 if comes_back else ROUNDS)
    assert network.usage_by_slot() == naive_usage(kept)
    assert network.reattribute().corrections == 0
    network.usage.flush()
    assert network.usage.check() == network.store.check() == network.journal.check() == []
    network.close()
    network.usage.close()
    network.store.close()


if __name__ == "__main__":
    live(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
