"""A server of agents that fails in every way there is, and keeps what it takes, by id."""

from __future__ import annotations

import gzip
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from weighbridge.spool.wire import Sent, decode

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES = ("busy", "limited", "broken", "silent", "late", "cut", "cut_after", "half", "proxy", "refused")
"""What it may do instead of answering: of these `late`, `cut_after`, `half` and `proxy` take what they are sent."""
SILENT_S = 0.6
"""Longer than the agents of these tests wait for an answer."""
REFUSED_S = 0.03
"""How long nobody listens."""


class FlakyServer:
    """Answers as `choose` says: "take", or one of FAILURES. `kept` by id, in the order in which it came."""

    def __init__(self, choose: Callable[[], str]) -> None:
        self.kept: dict[str, Sent] = {}
        self.failed: Counter[str] = Counter()
        self.conflicts: list[str] = []
        self.lock = threading.Lock()
        self._choose = choose
        self._bodies: dict[str, bytes] = {}
        self._stop = threading.Event()
        self._closed_until_s = 0.0
        self._port = 0
        self._server = self._listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._server.server_close()

    def _listen(self) -> ThreadingHTTPServer:
        flaky = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                flaky.answer(self)

            def do_GET(self) -> None:
                reply(self, 200, b'{"version":1,"prefixes":[],"macs":[],"vlans":[],"networks":[]}')

            def log_message(self, *_: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        server.daemon_threads = True
        server.timeout = 0.02
        self._port = server.server_port
        return server

    def _run(self) -> None:
        while not self._stop.is_set():
            if time.monotonic() < self._closed_until_s:
                self._server.server_close()  # who comes now is refused
                time.sleep(max(self._closed_until_s - time.monotonic(), 0))
                self._server = self._listen()
            self._server.handle_request()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Reads what was sent, and does what was chosen."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        how = self._choose()
        with self.lock:
            if how != "take":
                self.failed[how] += 1
            known = self._keep(body) if how in ("take", "late", "cut_after", "half", "proxy") else False
        if how == "take":
            receipt = {"id": "x", "accepted": int(not known), "duplicates": int(known), "known": known, "counts": {}}
            reply(request, 200, json.dumps(receipt).encode())
        elif how in ("busy", "limited", "broken"):
            reply(request, {"busy": 503, "limited": 429, "broken": 500}[how], b'{"title":"no"}', ("Retry-After", "0"))
        elif how == "proxy":
            reply(request, 200, b"<html>welcome</html>")
        else:
            self._break_off(request, how)

    def _break_off(self, request: BaseHTTPRequestHandler, how: str) -> None:
        if how in ("silent", "late"):
            time.sleep(SILENT_S)
        if how == "half":
            with suppress(OSError):
                request.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n{"id":')
        if how == "refused":
            self._closed_until_s = time.monotonic() + REFUSED_S
        request.close_connection = True
        with suppress(OSError):  # closed with a reset, as where a machine goes down
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()

    def _keep(self, body: bytes) -> bool:
        sent = decode(gzip.decompress(body))
        if sent.id in self.kept:
            if self._bodies[sent.id] != body:
                self.conflicts.append(sent.id)
            return True
        self.kept[sent.id] = sent
        self._bodies[sent.id] = body
        return False


def reply(request: BaseHTTPRequestHandler, status: int, body: bytes, *headers: tuple[str, str]) -> None:
    with suppress(OSError):
        request.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)


class Chooser:
    """Fails `failures` times, in every way by turns that chance decides; then takes everything."""

    def __init__(self, failures: int, seed: int, *, slow: float = 0.03) -> None:
        self.left = failures
        self._rng = random.Random(seed)
        self._slow = slow

    def __call__(self) -> str:
        if not self.left or self._rng.random() < 0.15:
            return "take"
        self.left -= 1
        if self._rng.random() < self._slow:
            return self._rng.choice(["silent", "late"])
        return self._rng.choice([how for how in FAILURES if how not in ("silent", "late")])
