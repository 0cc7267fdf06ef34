"""The HTTP server process: uvicorn with uvloop and httptools, its bounds, and a clean end."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

GRACE_S = 10
"""How long requests may finish after SIGTERM, before they are cut off."""
KEEP_ALIVE_S = 75
"""Idle connections stay longer than the 60 s between polls of most agents."""
BACKLOG = 2048
"""Connections that the kernel holds until they are accepted."""
MAX_HEADER_BYTES = 64 * 1024
"""Request line and headers together: room for long filters and tokens, not for filling memory."""
SILENCE_S = 30
"""In the middle of a request: a sender that says nothing for so long is gone, or holds the connection on purpose."""
NOT_STARTED = "the server did not start; its log says why"


class BoundedProtocol(HttpToolsProtocol):
    """httptools' protocol with a bound on the request head, and on the silence in the middle of a request."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  as in the base class
        """A connection is there, and watched."""
        super().connection_made(transport)
        self._head_bytes = 0
        self._head_is_whole = False
        self._heard_at = self.loop.time()
        self._watch = self.loop.call_later(SILENCE_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something came."""
        self._heard_at = self.loop.time()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = 0
        self._head_is_whole = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the request line. ValueError, which the parser turns into 400: too long."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. ValueError, which the parser turns into 400: too many."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; between requests keep-alive watches."""
        self._head_is_whole = True
        super().on_headers_complete()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEADER_BYTES:
            msg = "request head too large"
            raise ValueError(msg)

    def _look(self) -> None:
        """Close the connection if the rest of a request is missing and nothing came for SILENCE_S; else look later."""
        left_s = self._heard_at + SILENCE_S - self.loop.time()
        if left_s > 0 or not self._is_owed_data():
            self._watch = self.loop.call_later(max(left_s, 1.0), self._look)
        else:
            self.transport.close()

    def _is_owed_data(self) -> bool:
        if not self._head_is_whole:
            return True
        return self.cycle.more_body and not self.cycle.response_complete and not self.flow.read_paused


class _Server(uvicorn.Server):
    """uvicorn's server, which after a clean end does not die of the signal that asked for it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        """The first signal asks for a clean end, the second does not wait for it."""
        self.force_exit = self.should_exit
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A listening socket's beginnings; port 0 takes any that is free. OSError: the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def serve(app: Callable[..., Any], host: str, port: int, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serves `app` until SIGTERM or SIGINT, then lets requests finish for up to GRACE_S seconds and returns.

    `on_ready` hears the base URL once connections are accepted. OSError: the address cannot be had. RuntimeError: the
    app's lifespan failed.
    """
    listener = bind(host, port)
    try:
        server = _ready_server(app, (lambda: on_ready(url_of(listener))) if on_ready else lambda: None)
        server.run(sockets=[listener])
    except SystemExit as exc:  # uvicorn's way of saying that the lifespan failed
        raise RuntimeError(NOT_STARTED) from exc
    finally:
        listener.close()


@contextlib.contextmanager
def running(app: Callable[..., Any], host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serves `app` in a thread of its own while the context lasts; gives the base URL.

    RuntimeError: the server did not start.
    """
    listener = bind(host, port)
    started = threading.Event()
    server = _ready_server(app, started.set)
    thread = threading.Thread(target=_run_then_tell, args=(server, listener, started), name="http-server")
    thread.start()
    started.wait()
    try:
        if not server.started:
            raise RuntimeError(NOT_STARTED)
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def url_of(listener: socket.socket) -> str:
    """The base URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run_then_tell(server: uvicorn.Server, listener: socket.socket, started: threading.Event) -> None:
    try:
        server.run(sockets=[listener])
    except SystemExit:  # uvicorn's way of saying that the lifespan failed; `running` raises for it
        pass
    finally:
        started.set()


def _ready_server(app: Callable[..., Any], on_ready: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _TellingServer(config)
    server.on_ready = on_ready
    return server


class _TellingServer(_Server):
    """Tells when connections are accepted."""

    on_ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()
