"""A naive server of events for the middleware, a line to it that fails as a test says, and ASGI and WSGI by hand."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weighbridge.reporter.post import Answer, NoAnswerError
from weighbridge.reporter.settings import Settings
from weighbridge.reporter.worker import Reporter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from support.clock import HandClock
    from weighbridge.reporter.tally import Key

SETTINGS = Settings("http://127.0.0.1:9", "k", "app/1", "prod", 60)


@dataclass
class Referee:
    """Every event once, by source and id; what has another content under a known id is a conflict."""

    known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refuse: Callable[[dict[str, Any]], str | None] = lambda _event: None
    bodies: int = 0
    duplicates: int = 0

    def take(self, body: bytes) -> bytes:
        """The receipt for a gzipped body."""
        self.bodies += 1
        accepted = duplicates = 0
        rejected = []
        for index, event in enumerate(json.loads(gzip.decompress(body))):
            name = (event["source"], event["id"])
            code = self.refuse(event) or ("conflict" if self.known.get(name, event) != event else None)
            if code is not None:
                rejected.append({"index": index, "id": event["id"], "code": code, "detail": f"it is {code}"})
            elif name in self.known:
                duplicates += 1
            else:
                self.known[name] = event
                accepted += 1
        self.duplicates += duplicates
        return json.dumps({"accepted": accepted, "duplicates": duplicates, "rejected": rejected}).encode()

    def events(self) -> list[dict[str, Any]]:
        return list(self.known.values())

    def sums(self) -> dict[Key, tuple[int, int, int]]:
        """Bytes in, bytes out and requests by environment, consumer, method and path."""
        sums: dict[Key, tuple[int, int, int]] = {}
        for event in self.events():
            data = event["data"]
            key = (data.get("environment"), data.get("consumer"), data.get("method"), data.get("path"))
            before = sums.get(key, (0, 0, 0))
            amounts = (data["bytes_in"], data["bytes_out"], data["requests"])
            sums[key] = tuple(a + b for a, b in zip(before, amounts, strict=True))
        return sums

    def totals(self) -> tuple[int, int, int]:
        return tuple(map(sum, zip((0, 0, 0), *self.sums().values(), strict=True)))


RECEIPT, REFUSED, LOST, BUSY, GARBAGE, LARGE, KEY = "receipt", "refused", "lost", "busy", "garbage", "large", "key"
FATES = (RECEIPT, REFUSED, LOST, BUSY, GARBAGE, LARGE, KEY)


@dataclass
class Line:
    """Delivers to a referee, or fails: each delivery meets the next of `fates`, and a receipt when there are no more."""

    referee: Referee
    fates: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    retry_after_s: float | None = None

    def __call__(self, body: bytes, _timeout_s: float) -> Answer:
        self.bodies.append(body)
        fate = self.fates.pop(0) if self.fates else RECEIPT
        if fate == RECEIPT:
            return Answer(200, None, self.referee.take(body))
        if fate == LOST:
            self.referee.take(body)
        if fate in (LOST, REFUSED):
            raise NoAnswerError(fate)
        status = {BUSY: 503, GARBAGE: 200, LARGE: 413, KEY: 401}[fate]
        return Answer(status, self.retry_after_s, b"<html>hello</html>")


def reporter_on(line: Callable[[bytes, float], Answer], clock: HandClock, settings: Settings = SETTINGS) -> Reporter:
    """A reporter without a thread: `step` it."""
    return Reporter(settings, post=line, now_us=clock.now_us, is_threaded=False)


def run_until_sent(reporter: Reporter, clock: HandClock, steps: int = 1_000) -> None:
    """The clock goes on until nothing waits any more."""
    clock.at_us += 60_000_000
    for _ in range(steps):
        clock.at_us += int(reporter.step() * 1_000_000) + 1
        if reporter._spool.is_empty():
            return
    raise AssertionError(f"{reporter._spool.rows()} rows still wait")


def pass_by(reporter: Reporter, key: Key, bytes_in: int = 0, bytes_out: int = 0) -> None:
    """One whole request."""
    passage = reporter.begin(lambda: key)
    passage.bytes_in += bytes_in
    passage.bytes_out += bytes_out
    passage.end()


def asgi_scope(method: str = "GET", *headers: tuple[bytes, bytes], path: str = "/", **more: Any) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": list(headers), **more}


def call_asgi(app: Callable[..., Awaitable[None]], scope: MutableMapping[str, Any], *received: dict[str, Any]) -> list[Any]:
    """What the app sends, given what it receives (and then the client's leaving)."""
    sent: list[Any] = []
    coming = list(received)

    async def receive() -> dict[str, Any]:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def wsgi_environ(method: str = "GET", body: bytes = b"", **more: Any) -> dict[str, Any]:
    length = {"CONTENT_LENGTH": str(len(body))} if body else {}
    return {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": "/", "wsgi.input": io.BytesIO(body), **length, **more}


def call_wsgi(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> tuple[list[Any], bytes]:
    """What start_response was given, and the body: a server as PEP 3333 has it."""
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        started[:] = [status, headers, exc_info]
        return written.append

    parts = app(environ, start_response)
    try:
        written.extend(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return started, b"".join(written)
