"""Measure the usage store: what it weighs, how fast it folds, and how long questions take while it does.

    python3 bench/store.py                  2,000 series and 13 months in about a minute
    python3 bench/store.py --series 10000   five times as much
    python3 bench/store.py --keep FOLDER    build in FOLDER, or ask what was built there before

Traffic is made up: a daily wave, weekends at half, noise of a third, so amounts compress as badly as real ones. The
5-minute tier holds the newest 35 days; before that the store has 30 minutes and days.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.measurement import SLOT_ROW, UNKNOWN, Mark, Totals, totals_of
from weighbridge.ports import Members
from weighbridge.storage.duckdb.store import DuckDBStore

if TYPE_CHECKING:
    from collections.abc import Callable

DAY_S = 86400
NOW_S = 20_400 * DAY_S
FINE_DAYS = 35
LOAD_DAYS = 7
"""Days of one load call: what the generator holds in memory at once."""


def traffic(rng: np.random.Generator, series: int, from_s: int, until_s: int, step_s: int) -> np.ndarray:
    """A row for every series and slot of `step_s` in the range; servers know no requests."""
    slots = np.arange(from_s // 300, until_s // 300, step_s // 300, dtype="i4")
    rows = np.empty(series * len(slots), SLOT_ROW)
    numbers = np.arange(1, series + 1, dtype="u4")
    at_s = slots.astype("f8") * 300
    wave = (1.2 + np.sin(at_s / DAY_S * 2 * np.pi)) * np.where(at_s // DAY_S % 7 < 5, 1.0, 0.5)
    scale = 10 ** rng.uniform(4, 9, series) * (step_s // 300)
    expected = scale[:, None] * wave[None, :]
    rows["series"] = np.repeat(numbers, len(slots))
    rows["slot"] = np.tile(slots, series)
    for name in ("bytes_in", "bytes_out"):
        rows[name] = (expected * rng.uniform(0.7, 1.3, expected.shape)).ravel().astype("i8")
    rows["requests"] = np.where(rows["series"] % 4 == 0, rows["bytes_in"] // 20_000, UNKNOWN)
    rows["flags"] = 1
    return rows


def build(store: DuckDBStore, series: int, days: int) -> dict[str, float]:
    """A loaded store; figures about the loading. The newest days come first, to weigh all three tiers together."""
    rng = np.random.default_rng(7)
    store.retain(300, NOW_S - FINE_DAYS * DAY_S)
    started = time.perf_counter()
    spent = count = 0.0
    figures = {}
    fine_s = NOW_S - FINE_DAYS * DAY_S
    for first_s, last_s, step_s in ((fine_s, NOW_S, 300), (NOW_S - days * DAY_S, fine_s, 1800)):
        span_s = LOAD_DAYS * DAY_S * step_s // 300
        for from_s in range(first_s, last_s, span_s):
            rows = traffic(rng, series, from_s, min(from_s + span_s, last_s), step_s)
            before = time.perf_counter()
            store.load(rows)
            spent += time.perf_counter() - before
            count += len(rows)
        if step_s == 300:
            figures["bytes per series and 5-minute slot, all tiers"] = weight(store) / (series * FINE_DAYS * 288)
    figures["load: rows/s"] = count / spent
    figures["load: s, generating included"] = time.perf_counter() - started
    return figures


def weight(store: DuckDBStore) -> int:
    """Bytes on disk once the log is in the file."""
    store.checkpoint()
    return sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())


def everybody(numbers: range | np.ndarray, groups: int = 1) -> Members:
    """These series, dealt to so many groups, for all time."""
    n = len(numbers)
    return Members(tuple(int(i) for i in numbers), tuple(i % groups for i in range(n)), (0,) * n, (2**62,) * n)


def by_month(numbers: range, from_s: int, until_s: int) -> Members:
    """Each of these series in each stretch of 30 days, as a group of its own."""
    starts = range(from_s, until_s, 30 * DAY_S)
    entries = [(one, at_s) for one in numbers for at_s in starts]
    return Members(
        tuple(one for one, _ in entries),
        tuple(range(len(entries))),
        tuple(at_s for _, at_s in entries),
        tuple(at_s + 30 * DAY_S for _, at_s in entries),
    )


def questions(store: DuckDBStore, series: int, days: int) -> dict[str, Callable[[], object]]:
    """The questions that dashboards and bills ask, by name."""
    rng = np.random.default_rng(3)
    picked = np.sort(rng.choice(np.arange(1, series + 1), min(200, series), replace=False))
    servers, regions, scattered = everybody(range(201, 401)), everybody(range(201, 401), 8), everybody(picked)
    app, spaces = everybody(range(100, 150)), everybody(range(500, 1000), 500)
    far_s = NOW_S - min(366, days) * DAY_S
    month_s, end_s = NOW_S - 30 * DAY_S, NOW_S + 3600
    now_s = NOW_S + 1500
    months = by_month(range(500, 1000), far_s, end_s)
    over_s = NOW_S  # percentiles count slots that are over
    return {
        "project of 200 servers, 30 days by 30 minutes": lambda: store.sums(servers, month_s, over_s, 1800),
        "the same, series from all over the place": lambda: store.sums(scattered, month_s, over_s, 1800),
        "the same by region (8 groups)": lambda: store.sums(regions, month_s, over_s, 1800),
        "the same alive": lambda: store.alive(servers, month_s, over_s, 1800),
        "day by region, 366 days": lambda: store.sums(regions, far_s, now_s, 86400),
        "one app (50 series), 30 days hourly": lambda: store.sums(app, month_s + 1500, now_s, 3600),
        "500 spaces by day over a year": lambda: store.sums(spaces, far_s, end_s, 86400),
        "500 spaces by month over a year": lambda: store.sums(months, far_s, end_s, 0),
        "total of one server": lambda: store.sums(everybody(range(77, 78)), 0, end_s, 0),
        "one server, newest day by 5 minutes": lambda: store.sums(everybody(range(77, 78)), NOW_S - DAY_S, now_s, 300),
        "last slot of the project": lambda: store.last_slot_s(servers, 0, end_s),
    }


class Load(threading.Thread):
    """Folds `rate` rows a second in ten batches, flushes every 5 s (three times as often as the job), and compacts."""

    def __init__(self, store: DuckDBStore, series: int, rate: int) -> None:
        super().__init__(daemon=True)
        self.store, self.series, self.rate = store, series, rate
        self.done = threading.Event()
        self.longest_ms: dict[str, float] = {}
        self.position, self.totals = store.mark().position, store.mark().totals

    def run(self) -> None:
        """Keeps folding until `done`."""
        rng = np.random.default_rng(5)
        turn = 0
        while not self.done.wait(0.1):
            turn += 1
            at_s = NOW_S + turn // 10
            self.timed("fold", lambda at_s=at_s: self.fold(rng, self.rate // 10, at_s))
            if turn % 50 == 0:
                self.timed("flush", self.store.flush)
            if turn % 120 == 0:
                self.timed("compact", lambda at_s=at_s: self.store.compact(at_s))

    def fold(self, rng: np.random.Generator, n: int, at_s: int) -> None:
        """One batch of `n` rows around an instant, one in a hundred of them a day late."""
        rows = np.zeros(n, SLOT_ROW)
        rows["series"] = rng.integers(1, self.series + 1, n)
        rows["slot"] = at_s // 300 - np.where(rng.random(n) < 0.01, 288, 0)
        rows["bytes_in"] = rng.integers(0, 10**9, n)
        rows["bytes_out"] = rng.integers(0, 10**9, n)
        rows["requests"] = UNKNOWN
        rows["flags"] = 1
        new, old = totals_of(rows), self.totals
        self.position += 1
        self.totals = Totals(old.events + n, old.bytes_in + new.bytes_in, old.bytes_out + new.bytes_out, old.requests)
        self.store.fold(rows, Mark(self.position, self.totals))

    def timed(self, name: str, work: Callable[[], object]) -> None:
        """Remembers how long the longest of a kind took."""
        before = time.perf_counter()
        work()
        self.longest_ms[name] = max(self.longest_ms.get(name, 0), (time.perf_counter() - before) * 1000)


def fold_rates(store: DuckDBStore, series: int) -> dict[str, float]:
    """Rows a second that go in, flushes included, by batch size."""
    figures = {}
    rng = np.random.default_rng(9)
    for size, batches in ((1000, 200), (10_000, 40)):
        load = Load(store, series, 0)
        started = time.perf_counter()
        for _ in range(batches):
            load.fold(rng, size, NOW_S)
        store.flush()
        figures[f"fold: rows/s at {size:,} a batch"] = size * batches / (time.perf_counter() - started)
    return figures


def ask(asked: dict[str, Callable[[], object]], seconds: float) -> None:
    """Prints p50, p99 and the worst of each question, asked in turn for so long."""
    took: dict[str, list[float]] = {name: [] for name in asked}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, question in asked.items():
            before = time.perf_counter()
            question()
            took[name].append((time.perf_counter() - before) * 1000)
    for name, times in took.items():
        times.sort()
        p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
        p50, n = statistics.median(times), len(times)
        print(f"  {name:<50} p50 {p50:7.1f}   p99 {p99:7.1f}   max {times[-1]:7.1f} ms   n {n}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--days", type=int, default=396)
    parser.add_argument("--rate", type=int, default=10_000, help="rows folded a second while questions are asked")
    parser.add_argument("--seconds", type=float, default=10, help="how long to ask, quiet and again under load")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-mb", type=int, default=160)
    parser.add_argument("--keep", type=Path, help="where to build, or what to ask")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        store = DuckDBStore(folder, memory_limit_mb=arguments.memory_mb, threads=arguments.threads)
        run(store, arguments)
        store.close()
    return 0


def run(store: DuckDBStore, arguments: argparse.Namespace) -> None:
    """Builds what is not there, asks, and prints."""
    print(f"{arguments.series:,} series, {arguments.days} days")
    if store.sums(everybody(range(1, 2)), 0, NOW_S, 0).group == []:
        show(build(store, arguments.series, arguments.days))
    show({"MB on disk": weight(store) / 1e6})
    asked = questions(store, arguments.series, arguments.days)
    print("quiet:")
    ask(asked, arguments.seconds)
    show(fold_rates(store, arguments.series))
    load = Load(store, arguments.series, arguments.rate)
    load.start()
    print(f"with {arguments.rate:,} rows/s coming in:")
    ask(asked, arguments.seconds)
    load.done.set()
    load.join()
    show({f"longest {name}: ms": value for name, value in load.longest_ms.items()})
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    show({"resident memory: MB": pages * resource.getpagesize() / 1e6})


def show(figures: dict[str, float]) -> None:
    """Prints one figure a line."""
    for name, value in figures.items():
        print(f"  {name:<50} {value:,.1f}")


if __name__ == "__main__":
    sys.exit(main())
