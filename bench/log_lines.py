"""Access logs: how many lines a second one core turns into sums, beside goaccess with the same files.

    python -m bench.log_lines                    1,000,000 lines each of nginx's combined format and of JSON
    python -m bench.log_lines --lines 100000     fewer

goaccess is the peer where it is installed (Debian: goaccess). Both sides must find the same requests and bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import describe, load
from bench.table import Check, Row, as_markdown, median, ratio, times

from weighbridge.sources.log.decode import CHUNK_BYTES, LogReader
from weighbridge.sources.log.settings import LogSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BAR_LINES_A_S = 1_500_000
BAR_RATIO = 15
INSTALL = "goaccess is not here, the rest is measured without it; Debian: apt-get install goaccess"
START_S = 1_764_410_400  # 2025-11-29T10:00:00Z
SPAN_S = 7200
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "curl/8.4.0", "python-requests/2.31.0", "okhttp/4.12.0", "Go-http-client/1.1",
)
PATHS = ("/items/{}", "/users/{}/orders", "/healthz", "/v2/search?q={}", "/assets/app.{}.js", "/api/v1/events")
ENDPOINTS = ("/items/{id}", "/users/{id}/orders", "/healthz", "/v2/search", "/api/v1/events")
USERS = ("-", "-", "-", "-", "-", "alice", "bob", "carol", "acme-corp", "svc-billing")
NOTES = (
    ("Access logs: made-up lines of two hours, one thread, from the bytes of the file to sums by slot, app, environment and "
    "consumer (`$remote_user`), in one process; CPU seconds are user and system of that process, or of goaccess."),
    ("goaccess writes its report as JSON, without progress and without a configuration file; it counts visitors, referrers "
    "and much else besides, and keeps no sums by slot."),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A format: its name here, how goaccess calls it, and how a line is written."""

    name: str
    peer: tuple[str, ...]
    write: Callable[[Request], str]


@dataclass(frozen=True, slots=True)
class Request:
    """What a line tells."""

    at_s: int
    address: str
    user: str
    method: str
    uri: str
    status: int
    bytes_in: int
    bytes_out: int
    agent: str


def make_requests(count: int) -> Iterator[Request]:
    """Requests in the order of time, the same ones whenever they are made."""
    chance = random.Random(1)
    for number in range(count):
        yield Request(
            START_S + number * SPAN_S // count,
            f"{chance.randrange(1, 224)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}",
            chance.choice(USERS),
            chance.choice(("GET", "GET", "GET", "POST")),
            chance.choice(PATHS).format(chance.randrange(2000)),
            chance.choice((200, 200, 200, 304, 404, 500)),
            chance.randrange(300, 2000),
            chance.randrange(200_000),
            chance.choice(AGENTS),
        )


def combined(told: Request) -> str:
    """A line of nginx's format `combined`."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(told.at_s))
    return (
        f'{told.address} - {told.user} [{at}] "{told.method} {told.uri} HTTP/1.1" {told.status} {told.bytes_out} "-" '
        f'"{told.agent}"\n'
    )


def objects(told: Request) -> str:
    """A line of nginx with `escape=json`, some 250 bytes long."""
    return json.dumps({
        "time_iso8601": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(told.at_s)), "remote_addr": told.address,
        "remote_user": told.user, "request_method": told.method, "request_uri": told.uri, "status": str(told.status),
        "bytes_sent": told.bytes_out, "request_length": told.bytes_in, "http_user_agent": told.agent[:70],
    }, separators=(",", ":")) + "\n"


GOACCESS_JSON = (
    '{"time_iso8601":"%x","remote_addr":"%h","remote_user":"%e","request_method":"%m","request_uri":"%U","status":"%s",'
    '"bytes_sent":"%b","request_length":"%^","http_user_agent":"%u"}'
)
KINDS = (
    Kind("combined", ("--log-format=COMBINED",), combined),
    Kind("nginx-json", (
        f"--log-format={GOACCESS_JSON}",
        "--datetime-format=%Y-%m-%dT%H:%M:%S%z",
    ), objects),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a run, by the clock and of CPU."""

    wall_s: float
    cpu_s: float


def read_log(path: Path, settings: LogSettings) -> tuple[int, int]:
    """Requests and bytes sent of a whole file, read in chunks of whole lines."""
    requests = bytes_out = at = 0
    with closing(LogReader(settings)) as reader, path.open("rb") as file:
        while True:
            file.seek(at + CHUNK_BYTES)
            size = CHUNK_BYTES + len(file.readline())
            file.seek(at)
            data = file.read(size)
            if not data:
                return requests, bytes_out
            chunk = reader.read(data)
            at += size
            requests += chunk.counted
            bytes_out += sum(each.bytes_out or 0 for each in chunk.sums)


def time_own(path: Path, kind: Kind, expected: tuple[int, int], **more: tuple[str, ...]) -> Cost:
    """What reading the file costs. RuntimeError: it does not add up."""
    settings = LogSettings(str(path), kind.name, app=1, environment="prod", consumer="$remote_user", **more)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    found = read_log(path, settings)
    cost = Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)
    if found != expected:
        raise RuntimeError(f"{found} requests and bytes instead of {expected} in {path.name}")
    return cost


def time_goaccess(path: Path, kind: Kind, expected: tuple[int, int]) -> Cost:
    """What goaccess's report of the file costs. RuntimeError: it does not add up."""
    report = path.with_suffix(".report.json")
    command = ["goaccess", str(path), *kind.peer, "--no-global-config", "--no-progress", "-o", str(report)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    wall_s = time.perf_counter() - wall_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    general = json.loads(report.read_text("utf-8"))["general"]
    found = (general["valid_requests"], general["bandwidth"])
    if found != expected:
        raise RuntimeError(f"goaccess finds {found} requests and bytes instead of {expected} in {path.name}")
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _middle(costs: list[Cost]) -> Cost:
    return Cost(median([cost.wall_s for cost in costs]), median([cost.cpu_s for cost in costs]))


def _rates(lines: int, cost: Cost) -> str:
    each_us = cost.cpu_s / lines * 1e6
    return f"{lines / cost.wall_s:,.0f} lines/s; {each_us:.2f} µs CPU each: {lines / cost.cpu_s:,.0f}/s a core"


def log_rows(folder: Path, lines: int, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """A row for each kind of log."""
    version = _find_goaccess()
    if version is None:
        say(INSTALL)
    rows = []
    for kind in KINDS:
        path = folder / f"{kind.name}.log"
        say(f"writing {lines:,} lines of {kind.name}")
        requests = list(make_requests(lines))
        path.write_text("".join(map(kind.write, requests)), "ascii")
        expected = (lines, sum(each.bytes_out for each in requests))
        requests.clear()
        own, detailed, peer = [], [], []
        for number in range(rounds):
            say(f"reading {kind.name}, round {number + 1}")
            own.append(time_own(path, kind, expected))
            detailed.append(time_own(path, kind, expected, endpoints=ENDPOINTS))
            if version is not None:
                peer.append(time_goaccess(path, kind, expected))
        name = f"{kind.name}, {lines:,} lines of {path.stat().st_size // lines} bytes"
        rows.append(_row(name, lines, _middle(own), _middle(detailed), (version, _middle(peer)) if version else None))
        path.unlink()
    return rows


def _row(name: str, lines: int, own: Cost, detailed: Cost, known: tuple[str, Cost] | None) -> Row:
    version, peer = known or ("", None)
    by_cpu = None if peer is None else ratio(peer.cpu_s, own.cpu_s)
    by_clock = None if peer is None else ratio(peer.wall_s, own.wall_s)
    rate = lines / own.cpu_s
    figures = {"lines_a_core_s": rate, "lines_with_endpoints_a_core_s": lines / detailed.cpu_s}
    if peer is not None:
        figures["peer_lines_a_core_s"] = lines / peer.cpu_s
    return Row(
        f"access log to sums, {name}",
        f"{_rates(lines, own)}; with {len(ENDPOINTS)} endpoint templates {lines / detailed.cpu_s:,.0f}/s a core",
        f"≥ {BAR_LINES_A_S:,} lines/s a core; ≥ {BAR_RATIO} times goaccess",
        "–" if peer is None else f"{version}: {_rates(lines, peer)}",
        "–" if peer is None else f"{times(by_clock)} by the clock, {times(by_cpu)} by CPU",
        (Check(rate, BAR_LINES_A_S, BAR_LINES_A_S), Check(by_cpu, BAR_RATIO, BAR_RATIO)),
        figures,
        NOTES,
    )


def _find_goaccess() -> str | None:
    """Name and version, None where there is none."""
    if shutil.which("goaccess") is None:
        return None
    said = subprocess.run(["goaccess", "--version"], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return said.stdout.splitlines()[0].replace("GoAccess - ", "goaccess ").rstrip(".")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    load_before = load()
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
        rows = log_rows(Path(folder), chosen.lines, chosen.rounds, print)
    print(as_markdown(rows, [f"On {describe()}. Load averages (1 and 5 minutes): before {load_before}, after {load()}."]))


if __name__ == "__main__":
    main()
