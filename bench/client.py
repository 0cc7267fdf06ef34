"""The load generator, a process of its own: `python -m bench.client` reads a plan on stdin and tells on stdout.

It says `ready` once all is encoded and connected, starts at the next line on stdin, and ends with one line of JSON.
One thread, epoll and blocking sends: some 6 µs of its own for each request, so that the server stays what is measured.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.bodies import Batches, Singles
from bench.connection import RECEIVE_BYTES, BrokenAnswerError, ask, connect, get, missing_bytes, post_head

if TYPE_CHECKING:
    import socket

ROOT = Path(__file__).resolve().parent.parent
WAIT_S = 60.0
"""A server that answers nobody for so long ends the benchmark."""
_ACCEPTED = re.compile(rb'"accepted":(\d+)')


@dataclass
class Plan:
    """What to send. `rate` 0: as fast as the answers come; else so many requests a second, if the answers keep up."""

    port: int
    key: str
    kind: str = "events"  # or "questions"
    seconds: float = 5.0
    connections: int = 4
    batch: int = 1000
    rate: float = 0.0
    prefix: str = "run"
    subjects: list[str] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    organization: str = ""
    rounds: int = 1


class Client:
    """A running generator. Use it in a `with`: it is gone at the end."""

    def __init__(self, plan: Plan) -> None:
        """It is connected and has encoded what it sends."""
        command = [sys.executable, "-m", "bench.client"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say(json.dumps(asdict(plan)))
        self._hear("ready")

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _hear(self, wanted: str) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line.startswith(wanted):
            msg = f"the load generator said {line[:200]!r} where {wanted!r} was due"
            raise RuntimeError(msg)
        return line

    def go(self) -> None:
        """It sends from now on."""
        self._say("go")

    def outcome(self) -> dict[str, object]:
        """Waits for the end: requests, accepted, seconds, statuses, latencies in ms by name."""
        found: dict[str, object] = json.loads(self._hear("{"))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Account:
    """What came of the requests."""

    def __init__(self) -> None:
        self.requests = self.accepted = 0
        self.statuses: dict[str, int] = {}
        self.latencies_ms: dict[str, list[float]] = {}

    def enter(self, name: str, data: bytes, took_s: float) -> None:
        """One answer, whole."""
        self.requests += 1
        status = data[9:12].decode("ascii", "replace")
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.latencies_ms.setdefault(name, []).append(round(took_s * 1000, 3))
        found = _ACCEPTED.search(data, len(data) - 300 if len(data) > 300 else 0)
        if found:
            self.accepted += int(found[1])


def send_events(plan: Plan, account: Account) -> float:
    """Sends for `seconds` and waits for the last answers; how long it took."""
    source = _source(plan)
    connections = [connect(plan.port) for _ in range(plan.connections)]
    _wait_for_go()
    began = time.perf_counter()
    _run(plan, account, source, {each.fileno(): each for each in connections})
    took_s = time.perf_counter() - began
    for each in connections:
        each.close()
    return took_s


def _source(plan: Plan) -> Batches | Singles:
    now_s = int(time.time())
    content_type = "application/cloudevents-batch+json" if plan.batch > 1 else "application/cloudevents+json"
    head = post_head("/api/v1/events", plan.key, content_type, 0).replace(b"Length: 0", b"Length: %d")
    if plan.batch > 1:
        return Batches(head, plan.prefix, plan.subjects, now_s, plan.batch)
    return Singles(head, plan.prefix, plan.subjects, now_s)


def _run(plan: Plan, account: Account, source: Batches | Singles, by_number: dict[int, socket.socket]) -> None:
    """Keeps every connection busy, or the rate, until the time is over and all is answered."""
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    idle = list(by_number)
    sent_at: dict[int, float] = {}
    parts = dict.fromkeys(by_number, b"")
    due = time.perf_counter()
    end = due + plan.seconds
    step_s = 1 / plan.rate if plan.rate else 0.0
    clock = time.perf_counter
    while True:
        now = clock()
        while idle and due <= now < end:
            number = idle.pop()
            request = source.next()
            sent_at[number] = clock()
            by_number[number].sendall(request)
            due += step_s
            now = clock()
        if not sent_at and now >= end:
            return
        wait_s = max(due - now, 0.0) if plan.rate and idle and now < end else WAIT_S
        ready = poll.poll(wait_s)
        if not ready and wait_s == WAIT_S:
            msg = "no answer"
            raise BrokenAnswerError(msg)
        for number, _ in ready:
            data = parts[number] + by_number[number].recv(RECEIVE_BYTES)
            if missing_bytes(data) > 0:
                parts[number] = data
                continue
            parts[number] = b""
            account.enter("events", data, clock() - sent_at.pop(number))
            idle.append(number)


def ask_questions(plan: Plan, account: Account) -> float:
    """Asks every path in turn, so many rounds or seconds long, over one connection; how long it took."""
    requests = {name: get(path, plan.key, plan.organization) for name, path in plan.paths.items()}
    connection = connect(plan.port)
    for request in requests.values():  # once for warmth
        ask(connection, request)
    _wait_for_go()
    began = time.perf_counter()
    for _ in range(plan.rounds):
        for name, request in requests.items():
            before = time.perf_counter()
            status, _body = ask(connection, request)
            account.enter(name, b"HTTP/1.1 %d" % status, time.perf_counter() - before)
        if time.perf_counter() - began > plan.seconds:
            break
    return time.perf_counter() - began


def _wait_for_go() -> None:
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(0)


def main() -> None:
    """One plan, from stdin to stdout."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    account = Account()
    seconds = (send_events if plan.kind == "events" else ask_questions)(plan, account)
    print(json.dumps({"seconds": seconds, **account.__dict__}), flush=True)


if __name__ == "__main__":
    main()
