"""A server that was away for long: an agent whose disk holds what it collected meanwhile catches up."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from support import agent_source
from support.agent_crash import CATALOG, totals
from support.process import ADMIN, Server
from weighbridge.collected import Collected, CounterReading, Thing, ThingKind
from weighbridge.spool.outbox import Outbox
from weighbridge.spool.wire import encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEP_US = 10_000_000
"""A reading every ten seconds."""


@dataclass
class Outcome:
    """What waited, what the server has, and how long it took to arrive."""

    bodies: int
    spool_bytes: int
    expected: tuple[int, int]
    found: tuple[int, int]
    took_s: float
    left: int


def catch_up(folder: Path, bodies: int, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """An outbox that days of absence filled, delivered by a real agent to a real server."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state" / "made"
    expected = _fill(state, bodies)
    spool_bytes = (state / "outbox.sqlite").stat().st_size
    server = Server(folder / "data")
    server.start()
    with server.client() as client:
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
    (folder / "counter").write_text("0 0")
    command = [
        sys.executable, agent_source.__file__, "collect", "made", "--counter", str(folder / "counter"), "--ledger",
        str(folder / "ledger"), "--first-slot", "0", "--no-flows", "--interval-ms", "3600000", "--to", server.url,
        "--state", str(folder / "state"),
    ]
    variables = {**os.environ, "WEIGHBRIDGE_KEY": ADMIN}
    began_s = time.monotonic()
    with (folder / "agent.log").open("ab") as output:
        agent = subprocess.Popen(command, stdout=output, stderr=output, env=variables)
    try:
        while _accepted(server) < bodies:
            assert agent.poll() is None, (folder / "agent.log").read_text()[-3000:]
            time.sleep(0.5)
            tell(f"{_accepted(server):,} bodies arrived")
        took_s = time.monotonic() - began_s
    finally:
        agent.terminate()
        agent.wait(60)
    found = totals(server)
    server.stop()
    outbox = Outbox(state)
    left = outbox.waiting
    outbox.close()
    return Outcome(bodies, spool_bytes, expected, found, took_s, left)


def _fill(state: Path, bodies: int) -> tuple[int, int]:
    """So many readings wait, of a counter that began before them; the bytes in and out that they come to."""
    rng = random.Random(3)
    outbox = Outbox(state)
    begin_us = time.time_ns() // 1000 - (bodies + 10) * STEP_US
    first = total = [10**12, 10**9]
    waiting = []
    for number in range(bodies):
        reading = CounterReading(
            thing=Thing(ThingKind.HOST, agent_source.SERVER), at_us=begin_us + number * STEP_US, bytes_in=total[0],
            bytes_out=total[1], counter="eth0",
        )
        waiting.append(partial(encode, Collected("made", [reading])))
        if len(waiting) == 1_000 or number == bodies - 1:
            outbox.put(waiting)
            waiting = []
        last, total = total, [total[0] + rng.randrange(10**8), total[1] + rng.randrange(10**6)]
    outbox.close()
    return last[0] - first[0], last[1] - first[1]


def _accepted(server: Server) -> int:
    with server.client() as client:
        text = client.get("/metrics").raise_for_status().text
    lines = [line for line in text.splitlines() if line.startswith("weighbridge_source_total{") and 'what="readings"' in line]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))
