"""What the HTTP kit costs per request beyond the handler, in process, beside Starlette's own pieces.

    python bench/http_kit.py [REQUESTS]

The handler is the same everywhere: it returns 2 KB that are already there. No sockets: uvicorn costs the same for all.
"""

from __future__ import annotations

import asyncio
import sys
from hashlib import sha256
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, cast

import uvloop
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from weighbridge.dialects.native.errors import refuse
from weighbridge.http.route import Answer, Call, Dialect, RateLimit, Route
from weighbridge.http.server import make_app
from weighbridge.http.services import Services
from weighbridge.model import CatalogView, Key, Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from weighbridge.http.route import Handler

    App = Callable[..., Awaitable[None]]

BODY = b"x" * 2048
SECRET = "bench-key"


class _Clock:
    def __init__(self) -> None:
        self.at_us = 1_765_728_000_000_000

    def now_us(self) -> int:
        self.at_us += 1_000_000  # each call in a window of its own, so that no limit bites
        return self.at_us


class _Catalog:
    def __init__(self) -> None:
        digest = sha256(SECRET.encode()).hexdigest()
        scopes = frozenset([Scope.TRAFFIC_READ])
        self.living = CatalogView(keys_by_sha256={digest: Key("k", digest, "org", "bench", scopes)})

    def view(self) -> CatalogView:
        return self.living


async def _on_loop(_call: Call) -> Answer:
    return Answer(200, BODY)


def _in_thread(_call: Call) -> Answer:
    return Answer(200, BODY)


async def _starlette(request: Request) -> Response:
    request.query_params.get("project")
    request.headers.get("authorization")
    return Response(BODY, media_type="application/json")


def _route(
    path: str, handler: Handler, scope: Scope | None = None, rate: RateLimit | None = None, method: str = "GET"
) -> Route:
    return Route(method=method, path=path, name=path, summary=path, handler=handler, scope=scope, rate=rate)


def _kit() -> App:
    routes = (
        _route("/open", _on_loop),
        _route("/keyed", _on_loop, Scope.TRAFFIC_READ),
        _route("/limited", _on_loop, Scope.TRAFFIC_READ, RateLimit(60, 60)),
        _route("/v1/apps/{app_id}/traffic", _on_loop, Scope.TRAFFIC_READ),
        _route("/thread", _in_thread, Scope.TRAFFIC_READ),
        _route("/posted", _on_loop, Scope.TRAFFIC_READ, method="POST"),
    )
    nothing = cast("Any", None)
    services = Services(cast("Any", _Catalog()), nothing, nothing, nothing, _Clock())
    return make_app(services, [Dialect("native", ("/",), routes, refuse)])


async def _measure(app: App, request: tuple[str, str, bytes, bytes], rounds: int, at_once: int) -> tuple[float, float]:
    """Wall and CPU microseconds per request."""
    method, path, query, body = request
    headers = [
        (b"host", b"127.0.0.1:8080"),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
        (b"authorization", b"Bearer " + SECRET.encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": headers,
        "root_path": "",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: object) -> None:
        pass

    async def ask(times: int) -> None:
        for _ in range(times):
            await app(dict(scope), receive, send)

    await ask(rounds // 10)
    wall, cpu = perf_counter(), process_time()
    if at_once == 1:
        await ask(rounds)
    else:
        await asyncio.gather(*(ask(rounds // at_once) for _ in range(at_once)))
    return (perf_counter() - wall) / rounds * 1e6, (process_time() - cpu) / rounds * 1e6


async def _main(rounds: int) -> None:
    kit = _kit()
    reference = Starlette(routes=[StarletteRoute("/open", _starlette)])
    query = (
        b"filter%5Bdate%5D%5Bgte%5D=2025-01-01T00%3A00%3A00Z&filter%5Bdate%5D%5Blte%5D=2025-02-01&filter%5Bproject%5D=p"
    )
    cases = (
        ("starlette, open, no key check", reference, "GET", "/open", b"", b""),
        ("starlette, open, 3 parameters", reference, "GET", "/open", query, b""),
        ("kit, open", kit, "GET", "/open", b"", b""),
        ("kit, key", kit, "GET", "/keyed", b"", b""),
        ("kit, key, 3 parameters", kit, "GET", "/keyed", query, b""),
        ("kit, key, rate limit", kit, "GET", "/limited", b"", b""),
        ("kit, key, path parameter", kit, "GET", "/v1/apps/17/traffic", b"", b""),
        ("kit, key, handler in a thread", kit, "GET", "/thread", b"", b""),
        ("kit, key, POST of 2 KB", kit, "POST", "/posted", b"", BODY),
        ("kit, 404", kit, "GET", "/nowhere", b"", b""),
    )
    print(f"{'case':<34}{'wall µs':>9}{'CPU µs':>9}")
    for name, app, method, path, asked, body in cases:
        wall, cpu = await _measure(app, (method, path, asked, body), rounds, at_once=1)
        print(f"{name:<34}{wall:>9.1f}{cpu:>9.1f}")
    wall, cpu = await _measure(kit, ("GET", "/thread", b"", b""), rounds, at_once=16)
    print(f"{'kit, key, in a thread, 16 at once':<34}{wall:>9.1f}{cpu:>9.1f}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
