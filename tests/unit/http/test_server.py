"""The kit from request to answer, over ASGI without sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from support.kit import ADMIN, READER, SENDER, HandClock, app_of, client_of, services_with
from weighbridge.dialects.native.errors import refuse
from weighbridge.domain.errors import (
    BusyError,
    DiskFullError,
    InvalidInputError,
    NotVisibleError,
    OutOfRangeError,
    StorageError,
    WeighbridgeError,
)
from weighbridge.http.failures import UnreadableBodyError
from weighbridge.http.route import Answer, Call, Dialect, Documented, Principal, RateLimit, RateState, Route
from weighbridge.http.server import make_app
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

SECRET_DETAIL = "/srv/secret/journal.sqlite"
FAULTS: dict[str, Callable[[], Exception]] = {
    "invalid": lambda: InvalidInputError("from is no date", where="from"),
    "range": lambda: OutOfRangeError("p is 1 to 99"),
    "unreadable": lambda: UnreadableBodyError("no JSON"),
    "unseen": lambda: NotVisibleError("server", "sv_x"),
    "busy": lambda: BusyError("the journal is full", retry_after_s=7),
    "disk": lambda: DiskFullError(f"no room at {SECRET_DETAIL}"),
    "store": lambda: StorageError(f"cannot open {SECRET_DETAIL}"),
    "unknown": lambda: WeighbridgeError("a new kind"),
    "bug": lambda: ZeroDivisionError("division by zero"),
    "stop": StopIteration,
}


def echo(call: Call) -> Answer:
    seen = {
        "method": call.method,
        "path": call.path,
        "params": dict(call.path_params),
        "query": call.query,
        "body": call.body.decode("latin-1"),
        "who": call.principal.key_id if call.principal else None,
        "thread": threading.current_thread().name.rstrip("0123456789"),
    }
    return Answer(200, json.dumps(seen).encode())


async def echo_on_loop(call: Call) -> Answer:
    return echo(call)


def fail(call: Call) -> Answer:
    fault = FAULTS[call.path_params["kind"]]()
    raise fault


async def fail_on_loop(call: Call) -> Answer:
    return fail(call)


def odd_headers(_call: Call) -> Answer:
    return Answer(200, b"", headers=(("X-Odd", "a\r\nSet-Cookie: b"), ("X-Wide", "ü€")))


def _route(method: str, path: str, handler: Any = echo, scope: Scope | None = Scope.TRAFFIC_READ, **more: Any) -> Route:
    return Route(method, path, f"{method} {path}", path, handler, scope, **more)


def _shout(call: Call, exc: Exception) -> Answer:
    if call.path.endswith("/refuse-raises"):
        raise RuntimeError
    return Answer(418, f"{type(exc).__name__} {call.path}".encode(), "text/plain")


def _rate_headers(state: RateState) -> tuple[tuple[str, str], ...]:
    return (("X-RateLimit", f"{state.limit};{state.remaining};{state.window_s};{state.reset_at_s}"),)


def _jwt(call: Call) -> Principal | None:
    if call.headers.get("authorization") == "Bearer a.b.c":
        return Principal("jwt", "org_acme", None, frozenset([Scope.VPN_VIEW]))
    return None


JSON_BODY = Documented("JSON", {"application/json": {"type": "object"}})
NATIVE = Dialect(
    "native",
    ("/",),
    (
        _route("GET", "/open", scope=None),
        _route("GET", "/loop", echo_on_loop),
        _route("GET", "/thread"),
        _route("GET", "/things/{id}"),
        _route("POST", "/things", scope=Scope.INGEST, body=JSON_BODY, body_limit=100),
        _route("POST", "/anything", scope=Scope.INGEST, body=JSON_BODY, any_content_type=True),
        _route("GET", "/fail/{kind}", fail, None),
        _route("GET", "/fail-on-loop/{kind}", fail_on_loop, None),
        _route("GET", "/odd", odd_headers, None),
        _route("GET", "/admin", scope=Scope.ADMIN),
    ),
    refuse,
)
VENDOR = Dialect(
    "vendor",
    ("/vendor",),
    (
        _route("GET", "/vendor/limited", rate=RateLimit(2, 60)),
        _route("GET", "/vendor/vpn", scope=Scope.VPN_VIEW),
        _route("GET", "/vendor/refuse-raises"),
    ),
    _shout,
    accepts_auth=("bearer",),
    authenticate=_jwt,
    rate_headers=_rate_headers,
)
DIALECTS = [NATIVE, VENDOR]


def ask(method: str, path: str, *, app: Any = None, **options: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        async with client_of(app or app_of(DIALECTS)) as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())


def as_key(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_a_handler_gets_the_request_and_its_answer_goes_out() -> None:
    response = ask("GET", "/things/a%2Fb?x=1&y=%C3%A9&x=+2", headers=as_key(READER))
    assert response.status_code == 200
    assert response.json() == {
        "method": "GET",
        "path": "/things/a/b",
        "params": {"id": "a/b"},
        "query": [["x", "1"], ["y", "é"], ["x", " 2"]],
        "body": "",
        "who": f"key_{READER}",
        "thread": "handler-",
    }
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_coroutines_run_on_the_loop_and_open_routes_need_no_key() -> None:
    assert ask("GET", "/loop", headers=as_key(READER)).json()["thread"] == "MainThread"
    response = ask("GET", "/open")
    assert response.json()["who"] is None
    assert "cache-control" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "secret", "status", "title"),
    [
        ("GET", "/thread", None, 401, "Unauthorized"),
        ("GET", "/thread", "wrong", 401, "Unauthorized"),
        ("GET", "/thread?x=%00", "wrong", 401, "Unauthorized"),
        ("GET", "/thread", SENDER, 403, "Forbidden"),
        ("GET", "/thread?x=%00", SENDER, 403, "Forbidden"),
        ("GET", "/thread?x=%00", READER, 422, "Unprocessable"),
        ("GET", "/admin", READER, 403, "Forbidden"),
        ("GET", "/nothing", None, 404, "Not Found"),
        ("GET", "/things/%00", READER, 404, "Not Found"),
        ("POST", "/thread", None, 405, "Method Not Allowed"),
        ("OPTIONS", "/nothing", None, 404, "Not Found"),
    ],
)
def test_refusals_before_the_handler(method: str, path: str, secret: str | None, status: int, title: str) -> None:
    response = ask(method, path, headers=as_key(secret) if secret else {})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["title"].startswith(title)
    assert response.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


def test_admin_may_everything() -> None:
    for path in ("/thread", "/admin", "/vendor/vpn"):
        assert ask("GET", path, headers=as_key(ADMIN)).status_code == 200


@pytest.mark.parametrize(("path", "allow"), [("/open", "GET, HEAD, OPTIONS"), ("/things", "OPTIONS, POST")])
def test_options_and_405_name_the_methods(path: str, allow: str) -> None:
    response = ask("OPTIONS", path)
    assert (response.status_code, response.content, response.headers["allow"]) == (204, b"", allow)
    assert "content-type" not in response.headers
    refused = ask("DELETE", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allow)


def test_head_is_get_without_the_body() -> None:
    got = ask("GET", "/open")
    head = ask("HEAD", "/open")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "secret", "word"),
    [
        ("/vendor/nothing", None, "NoRouteError /vendor/nothing"),
        ("/vendor//nothing", None, "NoRouteError /vendor/nothing"),
        ("/vendor/limited", None, "NotAuthenticatedError /vendor/limited"),
        ("/vendor/limited", SENDER, "NotPermittedError /vendor/limited"),
    ],
)
def test_a_vendors_paths_speak_the_vendors_words(path: str, secret: str | None, word: str) -> None:
    response = ask("GET", path, headers=as_key(secret) if secret else {})
    assert (response.status_code, response.text) == (418, word)


def test_a_dialect_that_takes_bearer_only() -> None:
    assert ask("GET", "/vendor/vpn", headers={"Authorization": ADMIN}).status_code == 418
    assert ask("GET", "/vendor/vpn", headers={"Api-Key": ADMIN}).status_code == 418
    assert ask("GET", "/vendor/vpn", headers=as_key(ADMIN)).status_code == 200


def test_a_dialect_may_know_other_credentials() -> None:
    assert ask("GET", "/vendor/vpn", headers=as_key("a.b.c")).json()["who"] == "jwt"
    assert ask("GET", "/vendor/limited", headers=as_key("a.b.c")).text.startswith("NotPermittedError")


def test_a_refusal_that_raises_still_answers() -> None:
    with structlog.testing.capture_logs():
        assert ask("GET", "/vendor/refuse-raises").status_code == 500


def test_limits_count_per_key_and_say_when_to_come_back() -> None:
    clock = HandClock()
    app = app_of(DIALECTS, services_with(clock=clock))
    standing = []
    for _ in range(3):
        response = ask("GET", "/vendor/limited", app=app, headers=as_key(READER))
        standing.append((response.status_code, response.headers["x-ratelimit"], response.headers.get("retry-after")))
        clock.advance(1)
    end = HandClock().at_us // 1_000_000 + 60
    assert standing == [(200, f"2;1;60;{end}", None), (200, f"2;0;60;{end}", None), (418, f"2;0;60;{end}", "58")]
    assert ask("GET", "/vendor/limited", app=app, headers=as_key(ADMIN)).status_code == 200
    clock.advance(58)
    assert ask("HEAD", "/vendor/limited", app=app, headers=as_key(READER)).status_code == 200


def test_limits_can_be_changed_and_turned_off() -> None:
    changed = app_of(DIALECTS, rates={"GET /vendor/limited": RateLimit(1, 1)})
    answers = [ask("GET", "/vendor/limited", app=changed, headers=as_key(READER)).status_code for _ in range(2)]
    assert answers == [200, 418]
    off = app_of(DIALECTS, rate_limits=False)
    responses = [ask("GET", "/vendor/limited", app=off, headers=as_key(READER)) for _ in range(5)]
    assert {response.status_code for response in responses} == {200}
    assert "x-ratelimit" not in responses[0].headers


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {}, 200),
        (b"{}", {"Content-Type": "application/json"}, 200),
        (b"{}", {"Content-Type": "Application/JSON; charset=utf-8"}, 200),
        (b"", {"Content-Type": "text/plain"}, 200),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b"x" * 100, {}, 200),
        (b"x" * 101, {}, 413),
        (gzip.compress(b"x" * 100, mtime=0), {"Content-Encoding": "gzip"}, 200),
        (gzip.compress(b"x" * 101, mtime=0), {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(b"x" * 100, mtime=0)[:-1], {"Content-Encoding": "gzip"}, 400),
        (b"{}", {"Content-Encoding": "zstd"}, 400),
    ],
)
def test_bodies(content: bytes, headers: dict[str, str], status: int) -> None:
    response = ask("POST", "/things", content=content, headers=as_key(SENDER) | headers)
    assert response.status_code == status
    if status == 200:
        assert len(response.json()["body"]) in {0, 2, 100}


def test_a_route_may_take_any_content_type() -> None:
    headers = as_key(SENDER) | {"Content-Type": "text/plain"}
    assert ask("POST", "/anything", content=b"x", headers=headers).json()["body"] == "x"


def test_a_large_encoded_body_is_decoded_beside_the_loop() -> None:
    body = bytes(range(256)) * 2000
    headers = as_key(SENDER) | {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = ask("POST", "/anything", content=gzip.compress(body, 0), headers=headers)
    assert response.json()["body"] == body.decode("latin-1")


@pytest.mark.parametrize("place", ["fail", "fail-on-loop"])
@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [
        ("invalid", 422, None),
        ("range", 422, None),
        ("unreadable", 400, None),
        ("unseen", 404, None),
        ("busy", 503, "7"),
        ("disk", 503, "5"),
        ("store", 503, "5"),
        ("unknown", 500, None),
        ("bug", 500, None),
    ],
)
def test_what_a_handler_raises(place: str, kind: str, status: int, retry_after: str | None) -> None:
    with structlog.testing.capture_logs() as logged:
        response = ask("GET", f"/{place}/{kind}")
    assert (response.status_code, response.headers.get("retry-after")) == (status, retry_after)
    assert SECRET_DETAIL not in response.text
    assert bool(logged) == (kind in {"disk", "store", "bug"})


def test_faults_are_logged_with_their_trace_and_without_the_key() -> None:
    with structlog.testing.capture_logs() as logged:
        response = ask("GET", "/fail/bug?token=hidden-too", headers=as_key("hidden"))
    assert "division" not in response.text
    assert "ZeroDivisionError" in logged[0]["traceback"]
    assert "hidden" not in str(logged)


def test_an_exception_that_threads_treat_specially_is_an_error_like_others() -> None:
    with structlog.testing.capture_logs():
        assert ask("GET", "/fail/stop").status_code == 500


def test_headers_cannot_be_broken_out_of() -> None:
    response = ask("GET", "/odd")
    assert response.headers["x-odd"] == "a  Set-Cookie: b"
    assert "set-cookie" not in response.headers
    assert response.status_code == 200


def test_repeated_headers_are_joined_and_so_are_no_key() -> None:
    headers = [("Authorization", f"Bearer {READER}"), ("Authorization", f"Bearer {ADMIN}")]
    assert ask("GET", "/thread", headers=headers).status_code == 401


def test_a_client_that_leaves_gets_no_answer_and_makes_no_noise() -> None:
    sent: list[Any] = []

    async def go() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", SENDER.encode())]
        scope = {"type": "http", "method": "POST", "path": "/things", "query_string": b"", "headers": headers}
        await app_of(DIALECTS)(scope, receive, send)

    with structlog.testing.capture_logs() as logged:
        asyncio.run(go())
    assert (sent, logged) == ([], [])


def test_calls_beyond_the_bound_are_refused_as_busy() -> None:
    gate = threading.Event()

    def wait(_call: Call) -> Answer:
        gate.wait()
        return Answer(200, b"")

    app = app_of(
        [Dialect("native", ("/",), (_route("GET", "/wait", wait, None),), refuse)], handler_threads=2, waiting=3
    )

    async def go() -> list[int]:
        async with client_of(app) as client:
            asked = [asyncio.create_task(client.get("/wait")) for _ in range(5)]
            refused = [await each for each in asked[3:]]  # tasks begin in order: three are inside
            gate.set()
            return [response.status_code for response in [*await asyncio.gather(*asked[:3]), *refused]]

    assert asyncio.run(go()) == [200, 200, 200, 503, 503]


def test_the_lifespan_is_entered_and_left() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        steps.append("start")
        yield
        steps.append("stop")

    async def go() -> None:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, Any]:
            return {"type": next(messages)}

        async def send(message: Any) -> None:
            steps.append(message["type"])

        await make_app(services_with(), DIALECTS, lifespan=life)({"type": "lifespan"}, receive, send)

    asyncio.run(go())
    assert steps == ["start", "lifespan.startup.complete", "stop", "lifespan.shutdown.complete"]


def test_requests_are_counted_by_route_and_status() -> None:
    services = services_with()
    app = app_of(DIALECTS, services)
    for path in ("/open", "/open", "/nothing", "/thread"):
        ask("GET", path, app=app)
    value = services.metrics.registry.get_sample_value
    name = "weighbridge_http_requests_total"
    assert value(name, {"route": "GET /open", "status": "200"}) == 2
    assert value(name, {"route": "none", "status": "404"}) == 1
    assert value(name, {"route": "GET /thread", "status": "401"}) == 1
    assert value("weighbridge_http_request_seconds_count", {"route": "GET /open"}) == 2
    assert value("weighbridge_http_request_seconds_bucket", {"route": "GET /open", "le": "+Inf"}) == 2
