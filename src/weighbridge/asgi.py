"""Meters an ASGI app (FastAPI, Starlette, Litestar, Django) and sends what it moved to a Weighbridge, by two lines.

    from weighbridge.asgi import Meter
    app = Meter(app, url="https://meter.example", key="…", app_id=1)   # or app.add_middleware(Meter, …)

Counted are bodies and websocket messages as the app sends and receives them (docs/middleware.md). The standard library
is all it needs. Source: ASGI 3.0, its HTTP, WebSocket and Lifespan protocols and extensions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from weighbridge.reporter.metering import prepare
from weighbridge.reporter.settings import DEFAULT_INTERVAL_S
from weighbridge.reporter.tally import UNREAD_BYTES, size
from weighbridge.reporter.templates import asgi_template
from weighbridge.reporter.worker import EXIT_S

if TYPE_CHECKING:
    from weighbridge.reporter.metering import Metering
    from weighbridge.reporter.tally import Passage
    from weighbridge.reporter.worker import Reporter

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PAST_US = frozenset(("http.response.pathsend", "http.response.zerocopysend"))
"""Extensions by which a server sends a file itself: not offered to the app, so that its bytes come by and are counted."""
FLUSH_LOOK_S = 0.01
"""How often the end of a flush is looked for, at shutdown only."""

_BODIES = frozenset(("http.response.body", "websocket.http.response.body"))
_STARTS = frozenset(("http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start"))
_FAREWELLS = frozenset(("http.disconnect", "websocket.disconnect"))
_SHUT_DOWN = frozenset(("lifespan.shutdown.complete", "lifespan.shutdown.failed"))


class Meter:
    """The app, metered. Without a URL it is the app as it was; with wrong settings ValueError at the start.

    `consumer` is given the scope when the answer begins, and says whose request it is: a text, or None.
    """

    def __init__(
        self,
        app: App,
        *,
        url: str | None = None,
        key: str | None = None,
        app_id: int | None = None,
        environment: str | None = None,
        consumer: Callable[[Scope], str | None] | None = None,
        interval_s: int = DEFAULT_INTERVAL_S,
    ) -> None:
        self.app = app
        self._metering = prepare(
            app, consumer, url=url, key=key, app_id=app_id, environment=environment, interval_s=interval_s
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the app; whatever it raises comes through unchanged, and what went before counts."""
        metering = self._metering
        if metering is None or metering.mark in scope:  # a Meter further out counts it for the same app already
            await self.app(scope, receive, send)
            return
        scope[metering.mark] = True
        if scope["type"] in ("http", "websocket"):
            await self._meter(metering, scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._outlive(metering.reporter, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _meter(self, metering: Metering, scope: Scope, receive: Receive, send: Send) -> None:
        offered = scope.get("extensions")
        if offered and not PAST_US.isdisjoint(offered):
            scope["extensions"] = {name: offered[name] for name in offered if name not in PAST_US}
        method: str = scope.get("method", "GET")  # a websocket's handshake is a GET
        sends_body = method != "HEAD"
        passage = metering.reporter.begin(
            lambda: metering.dimensions.key(scope, method, lambda: asgi_template(scope))
        )

        async def receive_counted() -> Message:
            message = await receive()
            _count_received(passage, message)
            return message

        async def send_counted(message: Message) -> None:
            is_heard = not passage.is_gone
            await send(message)
            kind = message["type"]
            if kind in _BODIES:
                if is_heard and sends_body:
                    passage.bytes_out += size(message.get("body"))
            elif kind in _STARTS:
                passage.identify()
            elif kind == "websocket.send" and is_heard:
                passage.bytes_out += _message_size(message)

        try:
            await self.app(scope, receive_counted, send_counted)
        finally:
            if not passage.is_read and scope["type"] == "http":
                passage.bytes_in += _unread_size(scope)
            passage.end()

    async def _outlive(self, reporter: Reporter, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's lifespan, with a flush before its end is told; for an app that has none, one of our own.

        Without it the end of the process would take the last interval along: uvicorn ends by the signal that stopped it,
        and `atexit` is not heard.
        """
        is_asked = False

        async def receive_noted() -> Message:
            nonlocal is_asked
            is_asked = True
            return await receive()

        async def send_flushed(message: Message) -> None:
            if message["type"] in _SHUT_DOWN:
                await _flush(reporter)
            await send(message)

        try:
            await self.app(scope, receive_noted, send_flushed)
        except Exception:
            if is_asked:  # it knows what a lifespan is, and fails in it
                raise
        if not is_asked:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send_flushed({"type": "lifespan.shutdown.complete"})


def _count_received(passage: Passage, message: Message) -> None:
    kind = message["type"]
    if kind == "http.request":
        passage.is_read = True
        passage.bytes_in += size(message.get("body"))
    elif kind == "websocket.receive":
        passage.bytes_in += _message_size(message)
    elif kind in _FAREWELLS:
        passage.is_gone = True


def _message_size(message: Message) -> int:
    """The payload of a websocket message, text as UTF-8."""
    text: str | None = message.get("text")
    if text is None:
        return size(message.get("bytes"))
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _unread_size(scope: Scope) -> int:
    """What was announced and not asked for: it was sent, unless the client waits to be asked (RFC 9110 10.1.1)."""
    length = 0
    for name, value in scope.get("headers", ()):
        if name == b"content-length" and value.isdigit() and len(value) < len(str(2**63)):
            length = int(value)
        elif name == b"expect":
            return 0
    return min(length, UNREAD_BYTES)


async def _flush(reporter: Reporter) -> None:
    """Everything counted so far is sent, within EXIT_S; other tasks of the loop go on meanwhile."""
    ticket = reporter.ask_flush()
    deadline_s = monotonic() + EXIT_S
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another kind of loop: nothing else is left to do at shutdown
        reporter.await_flush(ticket)
        return
    while not reporter.is_flushed(ticket) and monotonic() < deadline_s:  # noqa: ASYNC110  it is a thread that is waited for
        await asyncio.sleep(FLUSH_LOOK_S)
