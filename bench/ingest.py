"""How fast events come in: by the thousand, one by one, and with many known ids."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from bench.client import Client, Plan
from bench.machine import family_cpu_s, settle
from bench.peer_insert import BATCH, TABLE, WAYS, Inserter
from bench.postgres import TUNING
from bench.server import ADMIN, Server
from bench.table import Check, Row, median, ratio, share_at, times
from bench.world import World, enter_catalog

from weighbridge.storage.journal.index import FREEZE_IDS, EventIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.postgres import Postgres
    from bench.sizes import Sizes

BATCH_CONNECTIONS = 4
SINGLE_CONNECTIONS = 64
WARM_S = 1.0
"""A short run before the first of a server: code is compiled, subjects are known."""


@dataclass
class Rounds:
    """What the rounds of one kind came to."""

    rates: list[float] = field(default_factory=list)  # a second, by the clock
    cpu_us: list[float] = field(default_factory=list)  # of the server, each
    p99_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median, a second."""
        return median(self.rates)

    @property
    def core_rate(self) -> float:
        """A second of one core's time: a million over the CPU microseconds of each."""
        return 1e6 / median(self.cpu_us)

    def text(self, what: str) -> str:
        """Both rates and the CPU time."""
        return f"{self.rate:,.0f} {what}/s; {median(self.cpu_us):.1f} µs CPU each: {self.core_rate:,.0f}/s a core"


def run_round(server: Server, rounds: Rounds, plan: Plan) -> None:
    """One round of sending; its rate, and the server's CPU time until everything is folded."""
    with Client(plan) as client:
        cpu_s = settle(server.pid)
        client.go()
        outcome = client.outcome()
    cpu_s = settle(server.pid) - cpu_s
    accepted, requests, seconds = (float(outcome[name]) for name in ("accepted", "requests", "seconds"))  # type: ignore[arg-type]
    if accepted != requests * plan.batch:
        msg = f"{requests * plan.batch:.0f} events were sent and {accepted:.0f} accepted: {outcome['statuses']}"
        raise RuntimeError(msg)
    rounds.rates.append(accepted / seconds)
    rounds.cpu_us.append(cpu_s / accepted * 1e6)
    rounds.p99_ms.append(share_at(outcome["latencies_ms"]["events"], 0.99))  # type: ignore[index]


class Ingest:
    """Servers and peers for the three bars, measured in turn so that all see the same machine."""

    def __init__(self, folder: Path, sizes: Sizes, postgres: Postgres | None, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._sizes = sizes
        self._postgres = postgres
        self._say = say
        self._world = World(sizes.series, 1)
        self._subjects = self._world.subjects()
        self._runs = 0
        self._template = folder / "catalog-only"
        enter_catalog(self._world, self._template)

    def _plan(self, server: Server, batch: int, seconds: float, connections: int) -> Plan:
        self._runs += 1
        return Plan(
            server.port, ADMIN, seconds=seconds, connections=connections, batch=batch, prefix=f"r{self._runs:03}",
            subjects=self._subjects,
        )

    def _fresh(self) -> Server:
        """A server over a catalog and nothing else."""
        self._runs += 1
        folder = self._folder / f"fresh-{self._runs}"
        shutil.copytree(self._template, folder)
        return Server(folder)

    def _batches(self, server: Server, rounds: Rounds) -> None:
        run_round(server, rounds, self._plan(server, BATCH, self._sizes.round_s, BATCH_CONNECTIONS))

    def _warm(self, server: Server, batch: int) -> None:
        run_round(server, Rounds(), self._plan(server, batch, WARM_S, BATCH_CONNECTIONS))

    def batches(self) -> list[Row]:
        """Events by the thousand, beside PostgreSQL; and with many known ids, beside no known ids."""
        own, known, peer = Rounds(), Rounds(), Rounds()
        folder = self._folder / "known"
        shutil.copytree(self._template, folder)
        self._say(f"entering {self._sizes.known_ids:,} ids")
        fill_index(folder / "journal" / "index", self._sizes.known_ids)
        ways = self._try_ways() if self._postgres else {}
        way = max(ways, key=lambda each: ways[each]) if ways else ""
        with Server(folder) as full:
            self._warm(full, BATCH)
            for turn in range(self._sizes.rounds):
                self._say(f"batches, round {turn + 1} of {self._sizes.rounds}")
                with self._fresh() as server:
                    self._warm(server, BATCH)
                    self._batches(server, own)
                if self._postgres:
                    self._insert(way, peer, self._sizes.peer_batches)
                self._batches(full, known)
        return [batch_row(own, peer if self._postgres else None, ways), known_row(known, own, self._sizes.known_ids)]

    def _try_ways(self) -> dict[str, float]:
        """Rows a second of each way to insert, by a short round."""
        assert self._postgres is not None
        with self._postgres.connect() as connection:
            connection.execute(TABLE)
        found = {}
        for way in WAYS:
            rounds = Rounds()
            self._insert(way, rounds, self._sizes.peer_batches // 4)
            found[way] = rounds.rate
            self._say(f"PostgreSQL by {way}: {rounds.rate:,.0f} rows/s")
        return found

    def _insert(self, way: str, rounds: Rounds, batches: int) -> None:
        """One round on PostgreSQL, over the connections that serve it best on two cores: two."""
        postgres = self._postgres
        assert postgres is not None
        with postgres.connect() as connection:
            connection.execute("TRUNCATE events")
            connection.execute("CHECKPOINT")
        self._runs += 1
        each = max(batches // 2, 1)
        names = [f"p{self._runs:03}-{at}" for at in range(2)]
        inserters = [Inserter(way, str(postgres.folder), postgres.port, name, each) for name in names]
        cpu_s = family_cpu_s(postgres.pid)
        for inserter in inserters:
            inserter.go()
        began = time.perf_counter()
        outcomes = [inserter.outcome() for inserter in inserters]
        seconds = max(outcome["seconds"] for outcome in outcomes)
        time.sleep(max(0.0, 0.5 - (time.perf_counter() - began - seconds)))  # backends end, and are in the account
        cpu_s = family_cpu_s(postgres.pid) - cpu_s
        new = sum(outcome["new"] for outcome in outcomes)
        if new != 2 * each * BATCH:
            msg = f"PostgreSQL took {new} of {2 * each * BATCH} rows"
            raise RuntimeError(msg)
        rounds.rates.append(new / seconds)
        rounds.cpu_us.append(cpu_s / new * 1e6)

    def singles(self) -> list[Row]:
        """One event a request over 64 connections, beside a handler that does nothing."""
        own, peer = Rounds(), Rounds()
        with self._fresh() as server, Server(self._folder / "noop", is_noop=True) as noop:
            for each in (server, noop):
                self._warm(each, 1)
            for turn in range(self._sizes.rounds):
                self._say(f"single events, round {turn + 1} of {self._sizes.rounds}")
                for each, rounds in ((server, own), (noop, peer)):
                    run_round(each, rounds, self._plan(each, 1, self._sizes.round_s, SINGLE_CONNECTIONS))
        return [single_row(own, peer)]


def batch_row(own: Rounds, peer: Rounds | None, ways: dict[str, float]) -> Row:
    """The bar of events by the thousand; the peer's `ways` with the rows a second of a first try."""
    ordered = sorted(ways, key=lambda way: -ways[way])
    others = " and ".join(f"{way} ({ways[way]:,.0f} rows/s)" for way in ordered[1:])
    by_clock = ratio(own.rate, peer.rate if peer else None)
    by_core = ratio(own.core_rate, peer.core_rate if peer else None)
    figures = {"events_per_s": own.rate, "cpu_us_per_event": median(own.cpu_us), "request_p99_ms": median(own.p99_ms)}
    if peer:
        figures |= {"peer_rows_per_s": peer.rate, "peer_cpu_us_per_row": median(peer.cpu_us)}
    note = (
        f"PostgreSQL's rows: INSERT … ON CONFLICT DO NOTHING of {BATCH:,} rows by {ordered[0]}, which was faster than "
        f"{others} in a first try; one durable transaction a batch, pipelined over two connections. Only the insert and "
        "its key: no HTTP, JSON, catalog, or sums by slot; ids ascend. All of this favours PostgreSQL."
    ) if ordered else ""
    return Row(
        f"`POST /api/v1/events`, {BATCH:,} a batch, {BATCH_CONNECTIONS} connections",
        own.text("events") + f"; request p99 {median(own.p99_ms):.0f} ms",
        "200,000 events/s a core, then 450,000; ≥ 3 times PostgreSQL, then 5",
        peer.text("rows") if peer else "absent",
        f"{times(by_clock)} by the clock, {times(by_core)} by CPU" if peer else "–",
        (Check(own.core_rate, 200_000, 450_000), Check(by_clock, 3, 5)),
        figures,
        (note, TUNING, CPU_NOTE) if peer else (CPU_NOTE,),
    )


CPU_NOTE = (
    "CPU times are the server process's own (all threads, fold and flush included, until it is idle again); the rate "
    "by the clock shares the machine's cores with the load generator."
)


def known_row(known: Rounds, own: Rounds, ids: int) -> Row:
    """The bar of many known ids."""
    kept = known.rate / own.rate
    return Row(
        f"the same with {ids:,} known ids",
        known.text("events"),
        "≥ 0.7 of empty, then 0.9 (at 10^8, `--full`)",
        "itself, no known ids",
        times(kept),
        (Check(kept, 0.7, 0.9),),
        {"events_per_s": known.rate, "cpu_us_per_event": median(known.cpu_us), "known_ids": ids, "ratio": kept},
    )


def single_row(own: Rounds, peer: Rounds) -> Row:
    """The bar of single events."""
    share = own.rate / peer.rate
    return Row(
        f"the same, 1 event a request, {SINGLE_CONNECTIONS} connections",
        own.text("requests") + f"; p99 {median(own.p99_ms):.0f} ms",
        "10,000 requests/s, then 24,000; ≥ 0.4 of a no-op POST, then 0.55",
        "same server, no-op POST: " + peer.text("requests"),
        f"{times(share)} by the clock, {times(own.core_rate / peer.core_rate)} by CPU",
        (Check(own.rate, 10_000, 24_000), Check(share, 0.4, 0.55)),
        {
            "requests_per_s": own.rate,
            "cpu_us_per_request": median(own.cpu_us),
            "request_p99_ms": median(own.p99_ms),
            "noop_requests_per_s": peer.rate,
            "noop_cpu_us_per_request": median(peer.cpu_us),
        },
        ("The no-op POST goes through the same HTTP server, route look-up, key check and body limit.", CPU_NOTE),
    )


def fill_index(folder: Path, ids: int) -> None:
    """An index of so many random ids, as if they had been accepted before."""
    folder.mkdir(parents=True)
    index = EventIndex(folder)
    rng = np.random.default_rng(3)
    for position in range(1, ids // FREEZE_IDS + 1):
        key_hi, key_lo = rng.integers(1, 2**64 - 1, (2, FREEZE_IDS), np.uint64)
        index.claim(key_hi, key_lo)
        index.begin(key_hi, key_lo)
        index.settle(position, FREEZE_IDS)
    while not index.wait_until_idle():  # merging 10^8 ids takes minutes
        pass
    index.close()
