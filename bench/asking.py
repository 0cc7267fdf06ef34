"""How long questions take while events come in, when accepted usage shows, and what history adds."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from bench import world as worlds
from bench.client import Client, Plan
from bench.connection import ask, connect, get, post_head
from bench.machine import cpu_s, resident_mb, settle
from bench.peer_usage import PeerUsage
from bench.server import ADMIN, Server
from bench.sizes import INCOMING
from bench.table import Check, Row, median, ratio, share_at, times
from bench.world import World, enter_catalog, enter_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.postgres import Postgres
    from bench.sizes import Sizes

WATCH_S = 0.25
POLL_S = 0.004
"""Pause between two looks whether a probe shows."""
MONTH_S = 30 * 86400
QUIET_ASKED = 40
"""How often something is asked, in a round, without anything coming in."""
ENDPOINTS = {
    "/traffic": "`/traffic`: project of {big} servers in 4 regions, 30 days, p95 each and whole",
    "/traffic/quota": "`/traffic/quota`: the same project",
    "apitally": "`/v1/apps/1/traffic`: 50 series, 30 days by hour of New York",
    "storyblok": "`/v1/orgs/me/statistics/all_traffic`: {spaces} spaces, a year by month, top 10",
    "altostrat": "`/vpn/instances/…/bandwidth`: instance with 3 peers, current period",
}


def paths(world: World, end_s: int) -> dict[str, str]:
    """What is asked, by name, up to an instant."""
    def iso(at_s: int) -> str:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    month = {"filter[date][gte]": iso(world.now_s - MONTH_S), "filter[date][lte]": iso(end_s)}
    hours = {"interval": "hour", "timezone": "America/New_York", "limit": 1000,
             "start": iso(world.now_s - MONTH_S), "end": iso(end_s)}
    year = {"group_by": "month", "start_date": iso(world.now_s - 365 * 86400)[:10], "end_date": iso(world.now_s)[:10]}
    return {
        "/traffic": "/traffic?" + urlencode(month | {"filter[project]": worlds.PROJECT}),
        "/traffic/quota": "/traffic/quota?" + urlencode({"filter[project]": worlds.PROJECT}),
        "apitally": f"/v1/apps/{worlds.APP}/traffic?" + urlencode(hours),
        "storyblok": "/v1/orgs/me/statistics/all_traffic?" + urlencode(year),
        "altostrat": f"/vpn/instances/{worlds.VPN}/bandwidth",
    }


@dataclass
class Watch:
    """The largest resident memory of a process while the `with` lasts, MB."""

    pid: int
    peak_mb: float = 0.0
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._done.wait(WATCH_S):
            self.peak_mb = max(self.peak_mb, resident_mb(self.pid))

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


@contextmanager
def incoming(server: Server, world: World, prefix: str) -> Iterator[Client]:
    """INCOMING events a second, over all series, while the context lasts."""
    plan = Plan(
        server.port, ADMIN, seconds=3600, connections=4, batch=1000, rate=INCOMING / 1000, prefix=prefix,
        subjects=world.subjects(),
    )
    with Client(plan) as client:
        client.go()
        time.sleep(2)  # in full swing
        yield client


class Asking:
    """One world in Weighbridge and in PostgreSQL, and what is asked of both."""

    def __init__(self, folder: Path, sizes: Sizes, postgres: Postgres | None, say: Callable[[str], None]) -> None:
        self._sizes = sizes
        self._say = say
        self.world = World(sizes.series, sizes.days)
        self.folder = folder / "history"
        say(f"entering {sizes.days} days of {sizes.series:,} series" + (", PostgreSQL's too" if postgres else ""))
        enter_catalog(self.world, self.folder)
        self.peer = PeerUsage(postgres, self.world) if postgres else None
        self.weight = enter_history(self.world, self.folder, *([self.peer.load] if self.peer else []))
        if self.peer:
            self.peer.finish()
            size_gb = self.peer.bytes() / 1e9
            say(f"PostgreSQL: {self.peer.rows:,} rows, {size_gb:.1f} GB, loaded in {self.peer.load_s:.0f} s")
        say(f"Weighbridge: {self.weight.rows:,} rows, loaded in {self.weight.load_s:.0f} s")

    def weight_row(self) -> Row:
        """The bar of bytes on disk."""
        value = self.weight.bytes_per_slot
        return Row(
            "bytes on disk per series and 5-minute slot, all tiers", f"{value:.1f}", "≤ 15, then 12",
            checks=(Check(value, 15, 12, at_most=True),), figures={"bytes_per_slot": value},
            notes=("Made-up traffic with noise of a third in every slot, the newest 35 days, in and out.",),
        )

    def under_load(self) -> tuple[list[Row], list[Row], float]:
        """Rows of the endpoints, rows of visibility, and the peak of resident memory in MB."""
        peer_ms = self._ask_peer()
        with Server(self.folder) as server:
            self._compare(server)
            quiet = {name: ask_quietly(server, paths(self.world, int(time.time()) + 600), name) for name in ENDPOINTS}
            with incoming(server, self.world, "load"), Watch(server.pid) as watch:
                self._say("asking the endpoints, with events coming in")
                questions = Plan(
                    server.port, ADMIN, kind="questions", seconds=600, rounds=self._sizes.asked,
                    paths=paths(self.world, int(time.time()) + 600), organization=worlds.SPACES_ORGANIZATION,
                )
                with Client(questions) as client:
                    client.go()
                    outcome = client.outcome()
                self._say("waiting for probes to show, with events coming in")
                delays_ms = probe(server, self.world, self._sizes.probes)
        if set(outcome["statuses"]) != {"200"}:  # type: ignore[call-overload]
            msg = f"not every question was answered: {outcome['statuses']}"
            raise RuntimeError(msg)
        own_ms: dict[str, list[float]] = outcome["latencies_ms"]  # type: ignore[assignment]
        endpoints = [self._endpoint_row(name, own_ms[name], quiet[name], peer_ms.get(name)) for name in ENDPOINTS]
        return endpoints, [visible_row(delays_ms)], watch.peak_mb

    def _ask_peer(self) -> dict[str, list[float]]:
        if self.peer is None:
            return {}
        self._say("asking PostgreSQL")
        return {
            name: self.peer.time_ms(name, max(5, self._sizes.asked // (20 if name == "storyblok" else 3)))
            for name in ENDPOINTS
        }

    def _compare(self, server: Server) -> None:
        """Both sides must say the same of the project's month, or the ratios mean nothing."""
        if self.peer is None:
            return
        with connect(server.port) as connection:
            status, body = ask(connection, get(paths(self.world, self.world.now_s)["/traffic"], ADMIN))
        found = json.loads(body)["data"]["attributes"]
        whole = next(row for row in self.peer.ask("/traffic") if row[0] is None)
        due = [round(float(value) * 8 / 1800 / 1e6, 2) for value in whole[4:6]]  # type: ignore[arg-type]
        own = [found[f"total_{way}_95th_percentile_mbps"] for way in ("inbound", "outbound")]
        if status != 200 or any(abs(a - b) > 0.011 for a, b in zip(own, due, strict=True)):
            msg = f"the two sides differ: p95 of the project in Mbps is {own} here and {due} in PostgreSQL"
            raise RuntimeError(msg)

    def _endpoint_row(
        self, name: str, own_ms: list[float], quiet: tuple[float, float], peer_ms: list[float] | None
    ) -> Row:
        p50, p99 = median(own_ms), share_at(own_ms, 0.99)
        peer_p50 = median(peer_ms) if peer_ms else None
        faster = ratio(peer_p50, p50) if peer_p50 else None
        quiet_ms, cpu_ms = quiet
        figures = {"p50_ms": p50, "p99_ms": p99, "quiet_p50_ms": quiet_ms, "cpu_ms": cpu_ms, "answers": len(own_ms)}
        if peer_ms:
            figures |= {"peer_p50_ms": median(peer_ms), "peer_p99_ms": share_at(peer_ms, 0.99)}
        return Row(
            ENDPOINTS[name].format(big=self.world.big, spaces=len(self.world.spaces)),
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms; with nothing coming in p50 {quiet_ms:.1f} ms, {cpu_ms:.1f} ms CPU",
            "p50 ≤ 15 ms, p99 ≤ 50 ms, then 10 and 20; ≥ 5 times PostgreSQL",
            f"p50 {median(peer_ms):.1f} ms, p99 {share_at(peer_ms, 0.99):.1f} ms" if peer_ms else "absent",
            times(faster),
            (Check(p50, 15, 10, at_most=True), Check(p99, 50, 20, at_most=True), Check(faster, 5, 5)),
            figures,
            (f"Endpoints: {self.world.series:,} series, {self.world.days} days, {LOADED_NOTE}", PEER_NOTE),
        )

    def close(self) -> None:
        """The peer's table is gone."""
        if self.peer:
            self.peer.close()


def ask_quietly(server: Server, asked: dict[str, str], name: str) -> tuple[float, float]:
    """Median milliseconds of one question with nothing coming in, and the server's CPU milliseconds an answer."""
    plan = Plan(server.port, ADMIN, kind="questions", seconds=60, rounds=QUIET_ASKED, paths={name: asked[name]},
                organization=worlds.SPACES_ORGANIZATION)
    with Client(plan) as client:
        before_s = settle(server.pid)
        client.go()
        took_ms = client.outcome()["latencies_ms"][name]  # type: ignore[index]
        used_s = cpu_s(server.pid) - before_s
    return median(took_ms), used_s * 1000 / len(took_ms)


LOADED_NOTE = (
    f"{INCOMING:,} events/s coming in; one connection asks them in turn; times are whole HTTP answers, as the client "
    "sees them."
)
PEER_NOTE = (
    "PostgreSQL answers from one table of 30-minute sums, its key holding the amounts, just vacuumed, with nothing "
    "coming in, no HTTP and no JSON: all of it favours PostgreSQL. It has no table of days, as a careful schema for "
    "long ranges would."
)


def probe(server: Server, world: World, probes: int) -> list[float]:
    """Milliseconds from a receipt to the first answer that holds what it is for, for each probe."""
    server_id = world.servers()[-1][0]
    today = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    until = datetime.fromtimestamp(time.time() + 86400, UTC).strftime("%Y-%m-%dT00:00:00Z")
    asked = {"server": server_id, "window": "total", "from": today, "to": until}
    look = get("/api/v1/usage?" + urlencode(asked), ADMIN)
    delays_ms = []
    with connect(server.port) as connection:
        for turn in range(probes):
            event = json.dumps({
                "specversion": "1.0", "id": f"probe-{time.time_ns()}", "source": "probe", "type": "weighbridge.usage",
                "subject": f"server/{server_id}", "time": datetime.now(UTC).isoformat(), "data": {"requests": 1},
            }).encode()
            before = _requests(ask(connection, look)[1])
            head = post_head("/api/v1/events", ADMIN, "application/json", len(event))
            status, receipt = ask(connection, head + event)
            accepted = time.perf_counter()
            if status != 200 or b'"accepted":1' not in receipt:
                msg = f"probe {turn} was not accepted: {receipt[:300]!r}"
                raise RuntimeError(msg)
            while _requests(ask(connection, look)[1]) == before:
                time.sleep(POLL_S)
            delays_ms.append((time.perf_counter() - accepted) * 1000)
            time.sleep(turn % 7 * 0.02)  # not in step with the fold
    return delays_ms


def _requests(body: bytes) -> int:
    return sum(row["requests"] or 0 for row in json.loads(body)["data"])


def visible_row(delays_ms: list[float]) -> Row:
    """The bar of accepted to visible."""
    p50, p99 = median(delays_ms), share_at(delays_ms, 0.99)
    return Row(
        "accepted to visible", f"p50 {p50:.0f} ms, p99 {p99:.0f} ms", "≤ 500 ms p99, then 300",
        checks=(Check(p99, 500, 300, at_most=True),),
        figures={"p50_ms": p50, "p99_ms": p99, "probes": float(len(delays_ms))},
        notes=(f"From a receipt to the first `/api/v1/usage` that holds it, with {INCOMING:,} events/s coming in.",),
    )


def history_row(long_folder: Path, long: World, folder: Path, sizes: Sizes, say: Callable[[str], None]) -> Row:
    """The bar of ten times the history: the project's 30 days, on both stores in turn, nothing coming in."""
    short = World(sizes.series, sizes.short_days, long.now_s)
    say(f"entering {sizes.short_days} days of {sizes.series:,} series")
    enter_catalog(short, folder / "short")
    enter_history(short, folder / "short")
    question = {"/traffic": paths(long, long.now_s)["/traffic"]}
    took: dict[str, list[float]] = {"short": [], "long": []}
    with Server(folder / "short") as shorter, Server(long_folder) as longer:
        for _ in range(max(sizes.rounds, 3)):
            for name, server in (("short", shorter), ("long", longer)):
                took[name].append(ask_quietly(server, question, "/traffic")[0])
    own, other = median(took["long"]), median(took["short"])
    return Row(
        f"history {sizes.days / sizes.short_days:.1f} times longer, `/traffic` of 30 days",
        f"p50 {own:.1f} ms with {sizes.days} days", "≤ 1.2 times the time, then 1.05",
        f"itself with {sizes.short_days} days: p50 {other:.1f} ms", times(own / other),
        (Check(own / other, 1.2, 1.05, at_most=True),), {"long_p50_ms": own, "short_p50_ms": other},
    )
