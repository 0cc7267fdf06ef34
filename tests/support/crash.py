"""kill -9 at random moments while clients send and retry; what was accepted must be there, once."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from support.process import ADMIN, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLIENTS = 4
START = datetime(2025, 6, 1, tzinfo=UTC)
CATALOG = {
    "regions": [{"id": "reg_1", "slug": "brazil", "name": "Brazil"}],
    "organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "projects": [
        {"id": "proj_a", "slug": "a", "servers": [
            {"id": f"sv_{n}", "hostname": f"web-{n}", "region": "brazil"} for n in range(CLIENTS)]}]}],
}


@dataclass
class Sender:
    """A client that sends batch after batch, each until it is answered, and keeps its own account."""

    number: int
    url: str
    rng: random.Random
    stop: threading.Event
    sent: list[int] = field(default_factory=list)  # bytes of each answered event
    accepted: int = 0
    troubles: list[str] = field(default_factory=list)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers={"Authorization": ADMIN}, timeout=10) as client:
            batch_number = 0
            while not self.stop.is_set():
                events = [self._event(batch_number, n) for n in range(self.rng.choice([1, 3, 40, 400]))]
                if not self._deliver(client, events):
                    return
                self.sent += [event["data"]["bytes_in"] for event in events]
                batch_number += 1

    def _event(self, batch: int, n: int) -> dict:
        at = START + timedelta(seconds=self.rng.randrange(30 * 86400))
        return {
            "specversion": "1.0", "id": f"{batch}-{n}", "source": f"client-{self.number}", "type": "weighbridge.usage",
            "subject": f"server/sv_{self.number}", "time": at.isoformat(),
            "data": {"bytes_in": self.rng.randrange(10**9), "duration_s": self.rng.choice([0, 300, 3600])},
        }

    def _deliver(self, client: httpx.Client, events: list[dict]) -> bool:
        """Sends until it is answered; a batch under way at the end is still brought to its answer."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                answer = client.post("/api/v1/events", json=events)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if answer.status_code != 200:
                time.sleep(0.05)
                continue
            receipt = answer.json()
            if receipt["rejected"] or receipt["accepted"] + receipt["duplicates"] != len(events):
                self.troubles.append(str(receipt)[:500])
            self.accepted += receipt["accepted"]
            return True
        self.troubles.append("no answer for two minutes")
        return False


@dataclass
class Outcome:
    """What the clients were told, what the server says, and how long each start took."""

    kills: int
    events: int
    expected: dict[str, int]
    found: dict[str, int]
    reopened_s: list[float]
    troubles: list[str]


def kill_rounds(folder: Path, rounds: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Runs a server, kills it `rounds` times while CLIENTS send, and compares both accounts at the end."""
    rng = random.Random(seed)
    server = Server(folder)
    server.start()
    with server.client() as client:
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
    stop = threading.Event()
    senders = [Sender(n, server.url, random.Random(seed * 10 + n), stop) for n in range(CLIENTS)]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    reopened_s = []
    try:
        for round_number in range(rounds):
            time.sleep(rng.uniform(0.0, 0.8))
            server.kill()
            reopened_s.append(server.start())
            tell(f"{round_number + 1} kills, {sum(len(s.sent) for s in senders)} events answered")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = _totals(server)
    server.stop()
    expected = {f"sv_{sender.number}": sum(sender.sent) for sender in senders}
    troubles = [trouble for sender in senders for trouble in sender.troubles]
    return Outcome(rounds, sum(len(s.sent) for s in senders), expected, found, reopened_s, troubles)


def _totals(server: Server) -> dict[str, int]:
    """Bytes by server, once everything is folded."""
    time.sleep(1.0)  # accepted usage is in every answer within one second
    parameters = {"from": "2025-05-01T00:00:00Z", "to": "2025-08-01T00:00:00Z", "window": "total", "group_by": "server"}
    with server.client() as client:
        rows = client.get("/api/v1/usage", params=parameters).raise_for_status().json()["data"]
    return {row["server"]: row["bytes_in"] for row in rows}
