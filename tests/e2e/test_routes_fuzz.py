"""Whatever is asked of the served routes, in any words, the answer is never our fault: no 5xx, and always an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.kit import ADMIN, READER, SENDER, app_of, services_with
from weighbridge.dialects.native.errors import refuse
from weighbridge.dialects.native.routes import HEALTH_ROUTES
from weighbridge.http.openapi import with_openapi
from weighbridge.http.route import Answer, Call, Dialect, Documented, Param, RateLimit, Route
from weighbridge.model import Scope
from weighbridge.web.pages import WEB_ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping


def _echo(call: Call) -> Answer:
    """Uses all that a handler may use."""
    seen = [
        call.path,
        *call.path_params.values(),
        *(part for pair in call.query for part in pair),
        *call.headers.values(),
    ]
    return Answer(200, "\n".join(seen).encode() + call.body, headers=(("X-Last", seen[-1]),))


async def _echo_on_loop(call: Call) -> Answer:
    return _echo(call)


def _refuse(call: Call, exc: Exception) -> Answer:
    return Answer(400, f"{call.method} {call.path} {call.query} {dict(call.headers)} {exc}".encode(), "text/plain")


ECHO = (
    Route("GET", "/echo/{a}", "echo", "Echo", _echo_on_loop, None, params=(Param("a", "A", where="path"),)),
    Route(
        "POST",
        "/echo/{a}/{b}",
        "echo_post",
        "Echo",
        _echo,
        Scope.INGEST,
        body=Documented("Any", {"application/json": {}}),
        body_limit=64,
        rate=RateLimit(3, 60),
    ),
)
VENDOR = Dialect(
    "vendor", ("/vendor",), (Route("GET", "/vendor/{a}", "vendor_a", "A", _echo_on_loop, Scope.TRAFFIC_READ),), _refuse
)
NATIVE = Dialect("native", ("/",), (*HEALTH_ROUTES, *WEB_ROUTES, *ECHO), refuse)  # those that need no store
DIALECTS = with_openapi([NATIVE, VENDOR])
ROOT = [b"livez", b"readyz", b"version", b"metrics", b"openapi.json", b"api", b"v1", b"reference", b"echo", b"vendor"]

piece = st.one_of(
    st.sampled_from(ROOT),
    st.sampled_from([b"%00", b"%ff", b"%2F", b"%", b"..", b"", b":x", b"\xff"]),
    st.binary(max_size=6),
)
raw_paths = st.lists(piece, max_size=5).map(lambda parts: b"/" + b"/".join(parts))
queries = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"a=%00", b"a=%ff&a=%", b"from=x&to=y", b"&" * 2000, b"=&=&&"])
)
keys = st.sampled_from([key.encode() for key in (ADMIN, READER, SENDER)])
headers = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from([b"authorization", b"api-key"]), st.one_of(keys, keys.map(lambda key: b"Bearer " + key))
        ),
        st.tuples(
            st.sampled_from(
                [b"authorization", b"content-encoding", b"content-type", b"content-length", b"accept", b"x"]
            ),
            st.one_of(
                st.binary(max_size=12),
                st.sampled_from([b"gzip", b"zstd", b"application/json", b"99", b"Bearer", b"\xff"]),
            ),
        ),
    ),
    max_size=5,
)
bodies = st.lists(st.binary(max_size=50), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def runner() -> Any:
    """One loop and one app for all examples."""
    app = app_of(DIALECTS, services_with())
    with asyncio.Runner() as loop:
        yield lambda scope, receive, send: loop.run(app(scope, receive, send))


@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"]),
    raw_path=raw_paths,
    query=queries,
    sent=headers,
    body=bodies,
    breaks_off=st.booleans(),
)
@example(
    method="POST",
    raw_path=b"/echo/%ff/%2F",
    query=b"",
    sent=[(b"api-key", SENDER.encode())],
    body=[b"x"],
    breaks_off=False,
)
@example(method="GET", raw_path=b"", query=b"", sent=[], body=[b""], breaks_off=False)
def test_never_a_fault(
    *,
    runner: Any,
    method: str,
    raw_path: bytes,
    query: bytes,
    sent: list[tuple[bytes, bytes]],
    body: list[bytes],
    breaks_off: bool,
) -> None:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    if breaks_off:
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False
    left = iter(messages)
    answered: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return next(left)

    async def send(message: Mapping[str, Any]) -> None:
        answered.append(message)

    scope = {"type": "http", "method": method, "path": "", "raw_path": raw_path, "query_string": query, "headers": sent}
    with structlog.testing.capture_logs() as logged:
        runner(scope, receive, send)
    assert logged == []
    if breaks_off and not answered:  # nobody is there to hear an answer
        return
    start, end = answered
    assert start["status"] < 500
    for name, value in start["headers"]:
        assert not set(b"\r\n\0\x7f") & set(name + value)
    lengths = [int(value) for name, value in start["headers"] if name == b"content-length"]
    assert start["status"] == 204 or method == "HEAD" or lengths == [len(end["body"])]
