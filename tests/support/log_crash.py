"""kill -9 of `weighbridge collect log` while a log is written and rotated; its lines must be counted, each once."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support import log_writer
from support.process import ADMIN, STARTED_S, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CATALOG = {"organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "apps": [
    {"id": 1, "name": "shop", "client_id": "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"}]}]}


CALM_S = 3.0
"""How long the collector is left alone once without a server, and then with one."""


@dataclass
class Rotator:
    """Rotates a log every second or so, in turns by renaming and by copying; and compresses what is rotated.

    It deletes nothing: on a busy machine that might be before anybody could read it.
    """

    log: Path
    lock: Path
    rng: random.Random
    pace_s: tuple[float, float] = (0.4, 1.4)
    stop: threading.Event = field(default_factory=threading.Event)
    rotations: int = 0

    def run(self) -> None:
        while not self.stop.wait(self.rng.uniform(*self.pace_s)):
            if not self.log.exists() or not self.log.stat().st_size:
                continue
            self._shift()
            if self.rotations % 2:
                self._copy_and_cut()
            else:
                self.log.rename(self._sibling(1))
                if self.rng.random() < 0.5:
                    time.sleep(0.15)  # until the writer has another file; otherwise it is compressed at the next turn
                    self._pack(self._sibling(1))
            self.rotations += 1

    def _sibling(self, number: int) -> Path:
        return self.log.with_name(f"{self.log.name}.{number}")

    def _shift(self) -> None:
        for path in sorted(self.log.parent.glob("access.log.*"), key=lambda path: -int(path.name.split(".")[2])):
            number, *ending = path.name.split(".")[2:]
            path.rename(self.log.with_name(".".join([self.log.name, str(int(number) + 1), *ending])))
        if self._sibling(2).exists():
            self._pack(self._sibling(2))

    def _copy_and_cut(self) -> None:
        with self.lock.open("ab") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            shutil.copyfile(self.log, self._sibling(1))
            os.truncate(self.log, 0)

    def _pack(self, path: Path) -> None:
        """As gzip does it: the compressed file has its name before it is complete."""
        with path.open("rb") as plain, gzip.open(path.with_name(path.name + ".gz"), "wb", 6) as packed:
            shutil.copyfileobj(plain, packed, 64 * 1024)
        path.unlink()


@dataclass
class Outcome:
    """What was written, and what the server says."""

    kills: int
    rotations: int
    written: dict[str, int]
    found: dict[str, int]
    reported: str
    exit_code: int


class Collector:
    """`weighbridge collect log` as a process."""

    def __init__(self, log: Path, url: str, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "collector.log"
        self._command = [sys.executable, "-m", "weighbridge", "collect", "log", str(log), "--app", "1", "--url", url]
        self._command += ["--state", str(folder / "state")]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        self._variables = variables | {"WEIGHBRIDGE_KEY": ADMIN}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        self._begun = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._command, *more], stdout=output, stderr=output, env=self._variables, cwd=self.folder
            )
        return self._process

    def wait(self) -> None:
        """Until it is about to look at the log for the first time."""
        deadline = time.monotonic() + STARTED_S
        while b"collecting" not in self.output.read_bytes()[self._begun:]:
            assert time.monotonic() < deadline, self.output.read_text()[-3000:]
            time.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)


def kill_collector(folder: Path, rounds: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Kills the collector `rounds` times, about once a second, and the server once; then reads on to the end."""
    rng = random.Random(seed)
    logs = folder / "logs"
    logs.mkdir(parents=True)
    log, lock, tally = logs / "access.log", folder / "gate", folder / "tally.json"
    lock.touch()
    server = Server(folder / "data")
    server.start()
    with server.client() as client:
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
    writer = subprocess.Popen([sys.executable, log_writer.__file__, str(log), str(lock), str(tally)])
    rotator = Rotator(log, lock, random.Random(seed + 1))
    turning = threading.Thread(target=rotator.run)
    collector = Collector(log, server.url, folder)
    try:
        collector.start("--from-start")
        turning.start()
        for round_number in range(rounds):
            collector.wait()
            time.sleep(rng.uniform(0.0, 1.5))
            if round_number == rounds // 2:
                server.kill()
                time.sleep(CALM_S)
                server.start()
                time.sleep(CALM_S)
            collector.kill()
            collector.start("--from-start")
            tell(f"{round_number + 1} kills, {rotator.rotations} rotations")
    finally:
        rotator.stop.set()
        turning.join()
        writer.terminate()
        writer.wait(30)
        collector.kill()
    last = collector.start("--once")
    exit_code = last.wait(120)
    found = _totals(server)
    server.stop()
    return Outcome(
        rounds, rotator.rotations, json.loads(tally.read_text()), found, collector.output.read_text(), exit_code
    )


def _totals(server: Server) -> dict[str, int]:
    """Requests and bytes of the app, once everything is folded."""
    time.sleep(1.0)  # accepted usage is in every answer within one second
    parameters = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "window": "total", "group_by": "app"}
    with server.client() as client:
        (row,) = client.get("/api/v1/usage", params=parameters).raise_for_status().json()["data"]
    return {"requests": row["requests"], "bytes": row["bytes_out"]}
