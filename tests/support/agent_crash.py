"""kill -9 of an agent while what it meters goes on; at the end the server has every byte, once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support import agent_source
from support.agent_source import DONE, TRY, flow_of
from support.process import ADMIN, STARTED_S, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CATALOG = {
    "regions": [{"id": "r1", "slug": "brazil", "name": "Brazil"}],
    "organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "projects": [{"id": "p1", "slug": "p", "servers": [
        {"id": agent_source.SERVER, "hostname": "web-1", "region": "brazil"},
        {"id": "sv_2", "hostname": "web-2", "region": "brazil", "from": "2020-01-01T00:00:00Z",
         "addresses": ["192.0.2.10"]}]}]}],
}
SLOT_S = 300
CALM_S = 1.0
"""How long the agent is left alone once without a server."""


@dataclass
class Ticker:
    """A counter that a file holds, and that grows all the time."""

    file: Path
    rng: random.Random
    totals: list[int] = field(default_factory=lambda: [10**15, 10**12])
    stop: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{self.totals[0]} {self.totals[1]}")
        draft.replace(self.file)

    def run(self) -> None:
        while not self.stop.wait(0.003):
            self.totals[0] += self.rng.randrange(10**7)
            self.totals[1] += self.rng.randrange(10**4)
            self.write()


class Agent:
    """`weighbridge collect made` as a process."""

    def __init__(self, folder: Path, url: str, *more: str) -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        self.output = folder / "agent.log"
        self._ticker = Ticker(folder / "counter", random.Random(7))
        self._first = list(self._ticker.totals)
        self._ticking = threading.Thread(target=self._ticker.run)
        self.first_slot = int(time.time()) // SLOT_S - 9_000
        command = [sys.executable, agent_source.__file__, "collect", "made", "--counter", str(self._ticker.file)]
        command += ["--ledger", str(self.ledger), "--first-slot", str(self.first_slot)]
        self._command = [*command, "--to", url, "--state", str(folder / "state"), *more]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        self._variables = variables | {"WEIGHBRIDGE_KEY": ADMIN}
        self.process: subprocess.Popen[bytes] | None = None
        self._ticker.write()

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(self._command, stdout=output, stderr=output, env=self._variables)

    def begin(self) -> None:
        """It runs, its first reading is kept on its disk, and the counter grows from there."""
        self.start()
        self.wait_for(1)
        self._ticking.start()

    def end_ticking(self) -> None:
        self._ticker.stop.set()
        if self._ticking.is_alive():
            self._ticking.join()

    def marks(self, mark: str) -> list[int]:
        if not self.ledger.exists():
            return []
        return [int(line.split()[1]) for line in self.ledger.read_text().splitlines() if line.startswith(mark)]

    def wait_for(self, done: int) -> None:
        """Until so many have been handed in."""
        deadline = time.monotonic() + STARTED_S
        while len(self.marks(DONE)) < done:
            assert time.monotonic() < deadline, self.output.read_text()[-3000:]
            time.sleep(0.01)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        """Nothing of it runs any more."""
        self.end_ticking()
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def counted(self) -> tuple[int, int]:
        """What went through the counter, in and out, since its first reading."""
        return self._ticker.totals[0] - self._first[0], self._ticker.totals[1] - self._first[1]

    def troubles(self, found: dict[int, tuple[int, int]]) -> list[str]:
        """What is wrong with the flows that a server has, by their numbers."""
        done, tried = set(self.marks(DONE)), set(self.marks(TRY))
        lost = [f"flow {number} was lost" for number in sorted(done - set(found))]
        made_up = [f"flow {number} was never there" for number in sorted(set(found) - tried)]
        wrong = [f"flow {number} is {amounts}" for number, amounts in sorted(found.items()) if amounts != flow_of(number)]
        return lost + made_up + wrong


@dataclass
class Outcome:
    """What went through, and what the server says."""

    kills: int
    handed_in: int
    expected: tuple[int, int]
    found: tuple[int, int]
    troubles: list[str]
    exit_code: int
    reported: str


def kill_agent(folder: Path, rounds: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Kills the agent `rounds` times, the server a few times too; then lets all arrive."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder / "data")
    server.start()
    with server.client() as client:
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
    agent = Agent(folder, server.url)
    try:
        agent.begin()
        for round_number in range(rounds):
            before = len(agent.marks(DONE))
            if rng.random() < 0.8:
                agent.wait_for(before + 1)
            time.sleep(rng.uniform(0.0, 0.4))
            if round_number % 20 == 10:
                server.kill()
                time.sleep(CALM_S)
            agent.kill()
            if round_number % 20 == 10:
                server.start()
            agent.start()
            tell(f"{round_number + 1} kills, {len(agent.marks(DONE))} handed in")
        agent.end_ticking()
        agent.wait_for(len(agent.marks(DONE)) + 2)  # of which the second was read after the counter stood still
        exit_code = agent.stop()
    except BaseException:
        server.kill()
        raise
    finally:
        agent.close()
    found, flows = totals(server), flows_of(server, agent.first_slot)
    server.stop()
    return Outcome(
        rounds, len(agent.marks(DONE)), agent.counted(), found, agent.troubles(flows), exit_code, agent.output.read_text(),
    )


def totals(server: Server) -> tuple[int, int]:
    """Bytes of the server whose the counter is, once everything is folded."""
    time.sleep(1.0)  # accepted usage is in every answer within one second
    query = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "window": "total", "server": agent_source.SERVER}
    with server.client() as client:
        (row,) = client.get("/api/v1/usage", params=query).raise_for_status().json()["data"]
    return row["bytes_in"], row["bytes_out"]


def flows_of(server: Server, first_slot: int) -> dict[int, tuple[int, int]]:
    """Bytes in and out of each flow that the server has, by its number."""
    start_s, end_s = first_slot * SLOT_S, (first_slot + 9_000) * SLOT_S
    query = {"from": instant(start_s), "to": instant(end_s), "window": "5m", "server": "sv_2"}
    with server.client() as client:
        rows = client.get("/api/v1/usage", params=query).raise_for_status().json()["data"]
    found = {}
    for row in rows:
        number = (read_instant(row["start"]) - start_s) // SLOT_S
        if row["bytes_in"] or row["bytes_out"]:
            found[number] = (row["bytes_in"], row["bytes_out"])
    return found


def instant(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def read_instant(text: str) -> int:
    from datetime import datetime  # noqa: PLC0415

    return int(datetime.fromisoformat(text).timestamp())
