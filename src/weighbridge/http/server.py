"""The ASGI app: from a request to a route's handler and back, in whatever words the route's dialect uses.

The order, for each request: path → route (else 404), method (405), key (401), scope (403), rate (429), query (422),
body (400, 413, 415), handler. Whatever goes wrong on the way is worded by the dialect. It is written straight on ASGI:
the framework's own routing, request and response objects cost more than the rest of this page together.
"""

from __future__ import annotations

import asyncio
import traceback
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import structlog

from weighbridge.domain.errors import NotAuthenticatedError, StorageError, WeighbridgeError
from weighbridge.http.auth import principal_of, require_scope
from weighbridge.http.body import ClientGoneError, decode_body, receive_body
from weighbridge.http.failures import (
    InternalError,
    NoRouteError,
    WrongContentTypeError,
    WrongMethodError,
    retry_after_s,
)
from weighbridge.http.limits import RateLimiter, refusal
from weighbridge.http.openapi import with_openapi
from weighbridge.http.paths import RouteTable
from weighbridge.http.query import parse_query
from weighbridge.http.route import Answer, Call
from weighbridge.http.threads import HandlerThreads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    from weighbridge.http.paths import Bound, Found
    from weighbridge.http.route import Dialect, Principal, RateLimit, RateState, Route
    from weighbridge.http.services import Services

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

HANDLER_THREADS = 8
"""Plain handlers at work at once: they wait for stores, which have two to four threads of their own."""
MAX_WAITING_CALLS = 1000
"""Calls that wait for a handler thread or are in one; at 10 ms each the last waits about a second. Beyond it: 503."""
INLINE_DECODE_LIMIT = 16 * 1024
"""Encoded bodies up to this size are decoded on the event loop, larger ones in a thread."""

_CONTROLS = dict.fromkeys([*range(32), 127], " ")
_log = structlog.get_logger("weighbridge.http")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What an operator may set. `rates` replaces the limits of single routes, by route name."""

    rate_limits: bool = True
    rates: Mapping[str, RateLimit] = field(default_factory=dict)
    handler_threads: int = HANDLER_THREADS
    waiting: int = MAX_WAITING_CALLS


def make_app(
    services: Services,
    dialects: Sequence[Dialect],
    *,
    settings: HttpSettings | None = None,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> App:
    """An ASGI app that serves all routes of `dialects`, and /openapi.json of them.

    `lifespan` is entered when the server starts and left when it stops. ValueError: two routes claim the same path.
    """
    return App(services, with_openapi(dialects), settings or HttpSettings(), lifespan)


class _Draft:
    """What is known of a request so far; an error can come at any point."""

    __slots__ = ("body", "headers", "method", "path", "path_params", "principal", "query", "rate_state")

    def __init__(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.path_params: Mapping[str, str] = {}
        self.query: tuple[tuple[str, str], ...] = ()
        self.body = b""
        self.principal: Principal | None = None
        self.rate_state: RateState | None = None

    def call(self, services: Services) -> Call:
        return Call(
            services, self.method, self.path, self.path_params, self.query, self.headers, self.body, self.principal
        )


class App:
    """See make_app. `dialects` are those that it serves."""

    def __init__(
        self,
        services: Services,
        dialects: Sequence[Dialect],
        settings: HttpSettings,
        lifespan: Callable[[], AbstractAsyncContextManager[None]] | None,
    ) -> None:
        self.dialects = tuple(dialects)
        self._services = services
        self._settings = settings
        self._lifespan = lifespan
        self._table = RouteTable(dialects)
        self._limiter = RateLimiter()
        self._threads = HandlerThreads(settings.handler_threads, settings.waiting)
        self._content_types: dict[str, bytes] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """One ASGI connection: a request, or the server's life."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            try:
                if self._lifespan is not None:
                    await stack.enter_async_context(self._lifespan())
            except Exception:
                await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
                raise
            await send({"type": "lifespan.startup.complete"})
            try:
                await receive()
            except asyncio.CancelledError:  # a second signal: whoever sent it does not wait for a clean end
                return
        self._threads.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        began = perf_counter()
        method: str = scope["method"]
        found = self._table.find(scope.get("raw_path") or scope["path"].encode())
        bound, params = _choose(found, method)
        draft = _Draft("GET" if method == "HEAD" else method, found.path, _headers(scope["headers"]))
        draft.path_params = params
        dialect = bound.dialect if bound else self._table.dialect_of(found.path)
        try:
            if bound is None:
                answer = _without_route(found, method)
            else:
                answer = await self._run(bound, draft, scope, receive)
        except ClientGoneError:
            return
        except WeighbridgeError as exc:
            answer = self._refuse(dialect, draft, exc, found)
        except Exception as exc:  # noqa: BLE001  whatever it is, the caller gets an answer and the log the rest
            _log_fault(draft, bound, exc)
            answer = self._refuse(dialect, draft, InternalError("something went wrong here"), found)
        if dialect.rate_headers is not None and draft.rate_state is not None:
            answer = _with_headers(answer, dialect.rate_headers(draft.rate_state))
        private = bound is not None and bound.route.scope is not None
        await self._send(send, answer, is_head=method == "HEAD", is_private=private)
        name = bound.route.name if bound else "none"
        self._services.metrics.requests.count(name, answer.status, perf_counter() - began)

    async def _run(self, bound: Bound, draft: _Draft, scope: Mapping[str, Any], receive: Receive) -> Answer:
        """The handler's answer, or the error of the first step that fails."""
        route = bound.route
        query_error: WeighbridgeError | None = None
        try:
            draft.query = parse_query(scope["query_string"])
        except WeighbridgeError as exc:  # told only to who may ask
            query_error = exc
        if route.scope is not None:
            self._authenticate(bound, draft)
            self._limit(bound, draft)
        if query_error is not None:
            raise query_error
        if route.admit is not None:
            route.admit(draft.call(self._services))
        if route.body is not None or draft.method not in ("GET", "DELETE"):
            draft.body = await self._read(route, draft, receive)
            _check_content_type(bound, draft)
        call = draft.call(self._services)
        if bound.is_coroutine:
            return await cast("Awaitable[Answer]", route.handler(call))
        return cast("Answer", await self._threads.run(route.handler, call))

    def _authenticate(self, bound: Bound, draft: _Draft) -> None:
        dialect = bound.dialect
        now_s = self._services.clock.now_us() // 1_000_000
        principal = principal_of(draft.headers, dialect.accepts_auth, self._services.catalog.view(), now_s)
        if principal is None and dialect.authenticate is not None:
            principal = dialect.authenticate(draft.call(self._services))
        if principal is None:
            msg = "a valid API key is needed here"
            raise NotAuthenticatedError(msg)
        draft.principal = principal
        if bound.route.scope is not None:
            require_scope(principal, bound.route)

    def _limit(self, bound: Bound, draft: _Draft) -> None:
        rate = self._settings.rates.get(bound.route.name, bound.route.rate)
        if rate is None or not self._settings.rate_limits or draft.principal is None:
            return
        now_us = self._services.clock.now_us()
        # The handler is the endpoint: a path that is served in two spellings has one limit.
        draft.rate_state, allowed = self._limiter.take(draft.principal.key_id, bound.route.handler, rate, now_us)
        if not allowed:
            raise refusal(draft.rate_state, now_us)

    async def _read(self, route: Route, draft: _Draft, receive: Receive) -> bytes:
        encoding = draft.headers.get("content-encoding", "")
        body = await receive_body(receive, draft.headers, route.body_limit)
        if not encoding and "identity" in route.encodings:
            return body
        if len(body) <= INLINE_DECODE_LIMIT:
            return decode_body(body, encoding, route.body_limit, route.encodings)
        return await self._threads.run(decode_body, body, encoding, route.body_limit, route.encodings)

    def _refuse(self, dialect: Dialect, draft: _Draft, exc: Exception, found: Found) -> Answer:
        """The dialect's words for an error, with the headers that HTTP asks for."""
        if isinstance(exc, StorageError):
            _log.error("a store is at fault", path=draft.path, error=type(exc).__name__, detail=str(exc))
        try:
            answer = dialect.refuse(draft.call(self._services), exc)
        except Exception as bug:  # noqa: BLE001  `refuse` must not raise; if it does, there is still an answer
            _log_fault(draft, None, bug)
            answer = Answer(500, b'{"title":"Internal Server Error","status":500}')
        wait_s = retry_after_s(exc)
        headers = []
        if wait_s is not None:
            headers.append(("Retry-After", str(wait_s)))
        if isinstance(exc, WrongMethodError):
            headers.append(("Allow", _allow(found)))
        if answer.status == 401:  # noqa: PLR2004
            headers.append(("WWW-Authenticate", "Bearer"))
        return _with_headers(answer, tuple(headers)) if headers else answer

    async def _send(self, send: Send, answer: Answer, *, is_head: bool, is_private: bool) -> None:
        body = answer.body
        headers = [(b"x-content-type-options", b"nosniff")]
        if is_private:
            headers.append((b"cache-control", b"private, no-store"))
        if answer.status != 204:  # noqa: PLR2004
            content_type = self._content_types.get(answer.content_type)
            if content_type is None:
                content_type = _encode_header(answer.content_type)
                if len(self._content_types) < 64:  # noqa: PLR2004  every type there is; a handler that makes up types is not cached
                    self._content_types[answer.content_type] = content_type
            headers.append((b"content-type", content_type))
            headers.append((b"content-length", b"%d" % len(body)))
        headers.extend((name.lower().encode("ascii"), _encode_header(value)) for name, value in answer.headers)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if is_head else body})


def _choose(found: Found, method: str) -> tuple[Bound | None, Mapping[str, str]]:
    """The route of a method among the candidates; HEAD is served as GET."""
    for methods, params in found.candidates:
        bound = methods.get(method)
        if bound is None and method == "HEAD":
            bound = methods.get("GET")
        if bound is not None:
            return bound, params
    return None, {}


def _without_route(found: Found, method: str) -> Answer:
    """The answer to OPTIONS; NoRouteError, WrongMethodError for all else."""
    if not found.candidates:
        msg = "nothing is at this path"
        raise NoRouteError(msg)
    if method == "OPTIONS":
        return Answer(204, b"", headers=(("Allow", _allow(found)),))
    raise WrongMethodError(found.allowed())


def _allow(found: Found) -> str:
    methods = {*found.allowed(), "OPTIONS"}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Lower-case names to values; repeated ones are joined as RFC 9110 5.3 says."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _check_content_type(bound: Bound, draft: _Draft) -> None:
    """WrongContentTypeError where a body came with a type that the route does not list; none at all is let through."""
    route = bound.route
    if not draft.body or route.body is None or not route.body.content or route.any_content_type:
        return
    sent = draft.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent and sent not in route.body.content:
        msg = f"send the body as {' or '.join(route.body.content)}, not as {sent[:80]!r}"
        raise WrongContentTypeError(msg)


def _with_headers(answer: Answer, headers: tuple[tuple[str, str], ...]) -> Answer:
    """`answer` with those of `headers` that it does not carry yet."""
    present = {name.lower() for name, _ in answer.headers}
    added = tuple(pair for pair in headers if pair[0].lower() not in present)
    return Answer(answer.status, answer.body, answer.content_type, answer.headers + added)


def _encode_header(value: str) -> bytes:
    """Bytes that cannot end the header early, whatever a handler put into it: control characters become spaces."""
    return value.translate(_CONTROLS).encode("latin-1", "replace")


def _log_fault(draft: _Draft, bound: Bound | None, exc: Exception) -> None:
    """Into the log, without headers, query and body: they may hold secrets, and a rich traceback would print locals."""
    _log.error(
        "a request failed",
        route=bound.route.name if bound else None,
        method=draft.method,
        path=draft.path,
        traceback="".join(traceback.format_exception(exc)),
    )
