"""The event-id index against RocksDB and SQLite: claims a second, bytes an id, resident memory.

    python bench/index.py                        # 0, 10^6 and 10^7 known ids, a few minutes
    python bench/index.py --known 100000000 --peers index

Each store runs in a process of its own. A claim is a batch of random 96-bit keys with 32 bits of content, all new,
checked and entered; durability is left out on all sides, as the journal provides it. RocksDB needs `pip install
rocksdict` (not a dependency) and is left out where that is missing. `fill` enters the known ids, sorted for the peers,
which is the best case for them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from weighbridge.storage.journal.index import EventIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCHES = (100, 1_000, 10_000)
FILL_IDS = 50_000
"""Ids in a batch while the known ids are entered."""
MEASURE_S = 3.0
"""How long each figure is measured."""
MAX_MEASURED_IDS = 1_500_000
"""A measurement also ends here, so that `known` stays about what it says."""
SETTLE_S = 600.0
"""Longest wait for merges before a measurement."""


class Peer(Protocol):
    """A store of ids under measurement."""

    def claim(self, key_hi: np.ndarray, key_lo: np.ndarray) -> int:
        """Enter the ids; how many were new."""

    def rest(self) -> None:
        """Work in the background is done."""

    def close(self) -> None:
        """Let go of the files."""


class Index:
    """Weighbridge's own."""

    def __init__(self, folder: Path) -> None:
        self.index = EventIndex(folder / "index")
        self.position = 0

    def claim(self, key_hi: np.ndarray, key_lo: np.ndarray) -> int:
        """As an append to the journal does it."""
        new = len(key_hi) - int(np.count_nonzero(self.index.claim(key_hi, key_lo)))
        self.index.begin(key_hi, key_lo)
        self.position += 1
        self.index.settle(self.position, len(key_hi))
        return new

    def rest(self) -> None:
        """Frozen tables are written and runs merged."""
        self.index.wait_until_idle(SETTLE_S)

    def close(self) -> None:
        """Let go of the files."""
        self.index.close()


class Rocks:
    """RocksDB with Bloom filters of 10 bits and without its log."""

    def __init__(self, folder: Path) -> None:
        import rocksdict  # noqa: PLC0415  optional

        options = rocksdict.Options(raw_mode=True)
        tables = rocksdict.BlockBasedOptions()
        tables.set_bloom_filter(10, block_based=False)
        tables.set_block_cache(rocksdict.Cache(64 << 20))
        options.set_block_based_table_factory(tables)
        self.rocksdict = rocksdict
        self.store = rocksdict.Rdict(str(folder / "rocks"), options)
        self.writes = rocksdict.WriteOptions()
        self.writes.disable_wal = True

    def claim(self, key_hi: np.ndarray, key_lo: np.ndarray) -> int:
        """One multi-get, one write batch."""
        raw = np.column_stack((key_hi.astype(">u8"), key_lo.astype(">u8"))).astype(">u8").tobytes()
        keys = [raw[start : start + 12] for start in range(0, len(raw), 16)]
        held = self.store[keys]
        batch = self.rocksdict.WriteBatch(raw_mode=True)
        for index, key in enumerate(keys):
            if held[index] is None:
                batch.put(key, raw[16 * index + 12 : 16 * index + 16])
        self.store.write(batch, self.writes)
        return held.count(None)

    def rest(self) -> None:
        """Memtables are flushed."""
        self.store.flush()

    def close(self) -> None:
        """Let go of the files."""
        self.store.close()


class Sqlite:
    """A table WITHOUT ROWID, a transaction a batch, 64 MB of cache."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "ids.sqlite", isolation_level=None)
        self.connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;"
            "CREATE TABLE ids (key BLOB PRIMARY KEY, content INTEGER) WITHOUT ROWID")

    def claim(self, key_hi: np.ndarray, key_lo: np.ndarray) -> int:
        """INSERT OR IGNORE tells how many were new."""
        raw = np.column_stack((key_hi.astype(">u8"), key_lo.astype(">u8"))).astype(">u8").tobytes()
        contents = (key_lo & np.uint64(0xFFFFFFFF)).tolist()
        rows = [(raw[16 * index : 16 * index + 12], content) for index, content in enumerate(contents)]
        self.connection.execute("BEGIN")
        new = self.connection.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", rows).rowcount
        self.connection.execute("COMMIT")
        return new

    def rest(self) -> None:
        """The log is in the database."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Let go of the files."""
        self.connection.close()


PEERS: dict[str, type[Index | Rocks | Sqlite]] = {"index": Index, "rocksdict": Rocks, "sqlite": Sqlite}


def random_ids(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids as xxh3_128 would spread them."""
    both = rng.integers(0, 2**64 - 1, (2, count), np.uint64, endpoint=True)
    return both[0], both[1]


def fill(peer: Peer, known: int, rng: np.random.Generator) -> float:
    """Enter `known` ids; seconds. Peers get them in the order of their keys."""
    seconds = 0.0
    step = 2**64 // max(known // FILL_IDS, 1)
    for number in range(known // FILL_IDS):
        key_hi, key_lo = random_ids(rng, FILL_IDS)
        if not isinstance(peer, Index):
            key_hi = np.sort((key_hi // np.uint64(max(known // FILL_IDS, 1))) + np.uint64(number * step))
        start = time.perf_counter()
        peer.claim(key_hi, key_lo)
        seconds += time.perf_counter() - start
    return seconds


def measure(peer: Peer, batch: int, rng: np.random.Generator) -> float:
    """Claims a second at one batch size."""
    claimed, seconds = 0, 0.0
    while seconds < MEASURE_S and claimed < MAX_MEASURED_IDS:
        ids = [random_ids(rng, batch) for _ in range(max(1, 20_000 // batch))]
        start = time.perf_counter()
        new = sum(peer.claim(*each) for each in ids)
        seconds += time.perf_counter() - start
        assert new == batch * len(ids)
        claimed += new
    return claimed / seconds


def resident_mb() -> float:
    """Resident memory of this process (Linux)."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def run_one(name: str, known: int, folder: Path) -> dict[str, float]:
    """All figures of one store at one size."""
    rng = np.random.default_rng(known + 1)
    before_mb = resident_mb()
    peer = PEERS[name](folder)
    figures = {"fill": known / max(fill(peer, known, rng), 1e-9)}
    peer.rest()
    if known:
        figures["bytes an id"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / known
    for batch in BATCHES:
        figures[f"{batch}"] = measure(peer, batch, rng)
        peer.rest()
    figures["resident MB"] = resident_mb() - before_mb
    peer.close()
    return figures


def lines(peers: list[str], sizes: list[int]) -> Iterator[str]:
    """The table, line by line."""
    columns = [*(f"{batch:,} a batch" for batch in BATCHES), "bytes an id", "resident MB"]
    yield f"| store | known | {' | '.join(columns)} |"
    yield "|---|---|" + "---|" * (len(BATCHES) + 2)
    for known in sizes:
        for name in peers:
            with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
                command = [sys.executable, __file__, "--one", name, "--known", str(known), "--folder", folder]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                shutil.rmtree(folder, ignore_errors=True)
            figures = json.loads(done.stdout)
            speeds = " | ".join(f"{figures[str(batch)]:,.0f}" for batch in BATCHES)
            size = f"{figures['bytes an id']:.1f}" if known else "–"
            yield f"| {name} | {known:,} | {speeds} | {size} | {figures['resident MB']:.0f} |"


def main() -> None:
    """Print the table, or the figures of one store as JSON (`--one`, used by the command itself)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", type=int, nargs="+", default=[0, 1_000_000, 10_000_000], help="known ids")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--one", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(run_one(asked.one, asked.known[0], asked.folder)))
        return
    peers = [name for name in asked.peers if name != "rocksdict" or importlib.util.find_spec("rocksdict")]
    for line in lines(peers, asked.known):
        print(line, flush=True)


if __name__ == "__main__":
    main()
