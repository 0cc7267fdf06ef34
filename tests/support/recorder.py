"""A server on loopback that writes down every request, byte for byte, and answers as it is told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from support.answers import Asked, Reply
from support.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

LONGEST_BODY = 64 * 1024 * 1024
"""Bytes of one request that are read before the test gives up: far more than a client has to say."""

TAKEN = Reply(202)


@dataclass(frozen=True)
class Heard:
    """One request: when it came, in seconds of the epoch, and what was answered (None: the connection was closed)."""

    at_s: float
    asked: Asked
    answered: int | None

    @property
    def taken(self) -> bool:
        return self.answered is not None and self.answered < 300


@dataclass
class Recorder:
    """Listens from `start` to `stop`; `reply` may be changed at any time, and None closes a connection without an answer."""

    reply: Callable[[Asked], Reply | None] = field(default=lambda _: TAKEN)
    port: int = field(default_factory=free_port)
    heard: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def note(self, heard: Heard) -> None:
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()

    def wait(self, enough: Callable[[list[Heard]], bool], timeout_s: float) -> None:
        """Returns as soon as what was heard is enough; AssertionError after `timeout_s`."""
        with self._changed:
            found = self._changed.wait_for(lambda: enough(self.heard), timeout_s)
        listed = "\n".join(f"{each.at_s:.3f} {each.asked.path} {each.answered}" for each in self.heard[-50:])
        assert found, f"not enough was heard within {timeout_s} s:\n{listed}"

    def start(self) -> None:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """The port is free again."""
        assert self._server is not None
        assert self._thread is not None
        self._server.end()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", recorder.port), _Handler)

    def end(self) -> None:
        """Nothing is listened to any more, and no connection is left open that could be answered later."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # it has just ended by itself
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client that is killed says no farewell
            super().handle()

    def answer(self) -> None:
        body = self.chunked_body() if "chunked" in self.headers.get("transfer-encoding", "") else self.sized_body()
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        reply = self.server.recorder.reply(asked)
        self.server.recorder.note(Heard(time.time(), asked, reply.status if reply else None))
        if reply is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"content-type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  http.server's names

    def sized_body(self) -> bytes:
        size = int(self.headers.get("content-length", 0))
        assert size <= LONGEST_BODY
        return self.rfile.read(size)

    def chunked_body(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            assert len(body) <= LONGEST_BODY
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        pass
