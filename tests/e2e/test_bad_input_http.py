"""Whatever is sent to the whole application, it answers, and never that the fault is its own."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.application import ADMIN
from support.fuzz_site import CLIENT_ID, ORGANIZATION, PROJECT, SERVER, VPN, event, site_in
from support.fuzz_wire import SURROGATES, TEXTS, Reply, damaged_json, escaped, exchange, request, texts
from weighbridge.app.build import dialects
from weighbridge.app.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fuzz_site import Site
    from weighbridge.http.route import Route

SETTINGS, _ = load({"no_host": "true"}, {}, Path.cwd())
ROUTES = [route for dialect in dialects(SETTINGS) for route in dialect.routes]
READING = [route for route in ROUTES if route.method == "GET"]
WRITING = [route for route in ROUTES if route.body is not None]
VENDORS = (
    "/traffic", "/v1/apps", "/v1/team", "/v1/orgs", "/vpn", "/v2", "/v1/metrics", "/v1/traces", "/v1/logs",
)
OWN = {
    "project": PROJECT, "server": SERVER, "vpn": VPN, "instanceId": VPN, "organization": ORGANIZATION, "app": "1",
    "app_id": "1", "environment": "1", "consumer": "7", "space": "123", "peer": "alice", "region": "reg_9QDB5qag",
    "exporter": "edge-1", "key": "key_none", "write_token": "wt_none", "client_id": CLIENT_ID, "env": "prod",
}
AUTHORIZED = ("Authorization", ADMIN)


def bounded(examples: int) -> settings:
    """So many examples, the same ones every time."""
    return settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site") / "data") as found:
        yield found


def assert_answered(reply: Reply, path: str = "/api/") -> None:
    """An answer that blames the caller or serves him, in the words of its path, without a look inside."""
    assert 200 <= reply.status < 500, f"{reply.status} {reply.body[:500]!r}"
    assert b"Traceback" not in reply.body
    assert b'File "' not in reply.body
    if reply.status >= 400 and reply.body and "json" in reply.headers.get("content-type", ""):
        told = json.loads(reply.body)
        assert told
        if not path.startswith(VENDORS):
            assert reply.headers["content-type"] == "application/problem+json"
            assert told["detail"]
            assert told["status"] == reply.status


def filled(path: str, part: str | None) -> str:
    """A route's path, with `part` in the place of its last parameter and own objects in that of the others."""
    pieces = path.split("/")
    names = [index for index, piece in enumerate(pieces) if piece.startswith("{")]
    for index in names:
        is_last = index == names[-1]
        pieces[index] = part if is_last and part is not None else OWN[pieces[index][1:-1]]
    return "/".join(pieces)


wild_parts = st.one_of(texts.map(escaped), st.sampled_from(SURROGATES))


@st.composite
def questions(draw: st.DrawFn) -> tuple[Route, str]:
    """A route that reads, with wild values for some of its parameters, twice, too many, or unheard of."""
    route = draw(st.sampled_from(READING))
    path = filled(route.path, draw(st.none() | wild_parts.filter(bool)) if "{" in route.path else None)
    names = [param.name for param in route.params if param.where == "query"]
    pairs = [(param.name, escaped(str(param.example))) for param in route.params if param.required and param.example]
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(names) if names else st.just("x")) if draw(st.integers(0, 9)) else draw(wild_parts)
        pairs.append((name, draw(wild_parts)))
    return route, path + "?" + "&".join(f"{escaped(name)}={value}" for name, value in pairs)


@bounded(500)
@given(question=questions(), name=st.sampled_from(["Accept", "Weighbridge-Organization", "X"]), value=st.sampled_from(TEXTS))
def test_questions(site: Site, question: tuple[Route, str], name: str, value: str) -> None:
    route, target = question
    sent = value.translate({0: None, 10: None, 13: None}).encode()[:300]
    reply = exchange(site.url, request("GET", target, [AUTHORIZED, (name, sent)]))
    assert_answered(reply, route.path)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Route, str, bytes, str]:
    """A route that takes a body, with a damaged one."""
    route = draw(st.sampled_from(WRITING))
    assert route.body is not None
    body = draw(damaged_json(route.body.example))
    kind = draw(st.sampled_from(list(route.body.content) or ["application/json"]))
    return route, filled(route.path, None), body, kind


@bounded(400)
@given(order=orders())
def test_bodies(site: Site, order: tuple[Route, str, bytes, str]) -> None:
    route, target, body, kind = order
    reply = exchange(site.url, request(route.method, target, [AUTHORIZED, ("Content-Type", kind)], body))
    assert_answered(reply, route.path)
    if reply.status < 300 and route.method != "POST":
        site.mend()


@bounded(150)
@given(change=damaged_json([event("app/1", 1), event("server/sv_A05EdQ50dvKYQ", 2), event("space/123", 3)]))
def test_events_then_questions(site: Site, change: bytes) -> None:
    """What is taken can be folded and asked for: nothing that is accepted breaks what comes later."""
    reply = exchange(site.url, request("POST", "/api/v1/events", [AUTHORIZED, ("Content-Type", "application/json")], change))
    assert_answered(reply)
    if reply.status == 200:
        site.application.fold()
        with site.client() as client:
            ever = {"from": "1972-01-01T00:00:00Z", "to": "9998-01-01T00:00:00Z", "window": "total"}
            assert client.get("/api/v1/usage", params={**ever, "group_by": "consumer"}).status_code == 200


NAMES = (
    "Authorization", "Api-Key", "Content-Type", "Content-Encoding", "Accept", "Accept-Encoding", "Range", "Expect", "Host",
    "If-None-Match", "Weighbridge-Organization", "X-Forwarded-For", "X-HTTP-Method-Override", "Cookie", "Upgrade",
)
values = st.binary(max_size=30) | st.sampled_from([b"gzip", b"\xff" * 9, b"a" * 9000])


@bounded(200)
@given(
    headers=st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=6),
    route=st.sampled_from(ROUTES),
    body=st.binary(max_size=20),
)
def test_headers(site: Site, headers: list[tuple[str, bytes]], route: Route, body: bytes) -> None:
    clean = [(name, value.translate(None, b"\r\n\0")) for name, value in headers]
    reply = exchange(site.url, request(route.method, filled(route.path, None), clean, body))
    assert_answered(reply, route.path)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_methods(site: Site, path: str) -> None:
    """Of each path: those that it has are served, OPTIONS lists them, all others are 405 and say which to use."""
    has = {route.method for route in ROUTES if route.path == path}
    allowed = has | {"OPTIONS"} | ({"HEAD"} if "GET" in has else set())
    target = filled(path, "none" if "{" in path else None)
    for method in METHODS:
        if method == "CONNECT":
            continue  # takes no path
        reply = exchange(site.url, request(method, target, [AUTHORIZED]))
        assert_answered(reply, path)
        if method not in allowed:
            assert reply.status == 405, method
            told = all(each in reply.body.decode() for each in has)
            assert told or method == "HEAD" or path.startswith(VENDORS)
        if method not in allowed or method == "OPTIONS":
            assert set(reply.headers["allow"].split(", ")) == allowed
        if method == "HEAD":
            assert reply.body == b""


BOMB = b"organizations: [" + b",".join(b"&a%d [%b]" % (n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)) + b"]"
DEEP = 50_000
CATALOGS = {
    "aliases": b"a0: &a0 x\n" + BOMB,
    "laughs": b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%b]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 9)) for n in range(ord("a"), ord("j"))),
    "deep": b"[" * DEEP,
    "deep and whole": b"[" * DEEP + b"]" * DEEP,
    "deep mappings": b"{a: " * DEEP,
    "deep by dashes": b"- " * DEEP + b"x",
    "itself": b"&a [*a]",
    "itself as a key": b"&a {*a : 1}",
    "merge": b"a: &a {x: 1}\nb: {<<: [*a, *a, *a]}\nc: {<<: 1}",
    "merge itself": b"a: &a {<<: *a}",
    "list as a key": b"? [a, b]\n: 1",
    "python": b"!!python/object/apply:os.system ['true']",
    "binary": b"regions: !!binary aGk=",
    "set": b"regions: !!set {a, b}",
    "timestamp": b"regions: 2025-12-14",
    "number": b"regions: [{id: 0o17, slug: .inf, name: 1e999}]",
    "large number": b"regions: [{id: r, slug: s, name: " + b"9" * 100_000 + b"}]",
    "sexagesimal": b"regions: " + b"1" + b":59" * 10_000,
    "documents": b"a: 1\n---\nb: 2",
    "directive": b"%YAML 9.9\n---\na: 1",
    "tag directive": b"%TAG ! tag:x,2000:\n---\n!a b",
    "utf-16": "planets: []".encode("utf-16"),
    "utf-8 cut": b"regions: \xe2\x82",
    "control": b"regions: \x01",
    "escape": b'regions: "\\ud800\\x00"',
    "nul": b"regions: \0",
    "long line": b"regions: " + b"a" * 1_000_000,
    "anchors": b"".join(b"k%d: &a%d x\n" % (n, n) for n in range(20_000)),
    "tabs": b"regions:\n\t- a",
    "json deep": b'{"regions":' * DEEP,
}


@pytest.mark.parametrize("kind", ["application/yaml", "application/json"])
@pytest.mark.parametrize("name", list(CATALOGS))
def test_catalogs(site: Site, name: str, kind: str) -> None:
    sent = [AUTHORIZED, ("Content-Type", kind)]
    reply = exchange(site.url, request("PUT", "/api/v1/catalog?dry_run=true", sent, CATALOGS[name]))
    assert_answered(reply)
    assert reply.status in (400, 422), reply.body


ZEROS = bytes(200 * 1024 * 1024)
"""A body that is a thousand times larger than it looks."""
ENCODED = {
    "gzip bomb": ("gzip", gzip.compress(ZEROS, 1)),
    "gzip of gzip": ("gzip", gzip.compress(gzip.compress(ZEROS, 1), 1)),
    "many members": ("gzip", gzip.compress(b"") * 1000),
    "garbage behind": ("gzip", gzip.compress(b"[]") + b"garbage"),
    "wrong sum": ("gzip", gzip.compress(b"[]")[:-8] + bytes(8)),
    "zstd bomb": ("zstd", zstd.compress(ZEROS, 1)),
    "zstd frames": ("zstd", zstd.compress(b" ") * 1000),
    "zstd window": ("zstd", b"\x28\xb5\x2f\xfd\x04\xff" + bytes(20)),
    "zstd dictionary": ("zstd", b"\x28\xb5\x2f\xfd\x03\xff\xff\xff\xff" + bytes(20)),
    "zstd skippable": ("zstd", b"\x50\x2a\x4d\x18\xff\xff\xff\xff"),
    "deflate": ("deflate", b"x"),
    "latin": (b"gz\xffip", b"x"),
}


@pytest.mark.parametrize("name", list(ENCODED))
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/servers"])
def test_encodings(site: Site, name: str, path: str) -> None:
    encoding, body = ENCODED[name]
    sent = [AUTHORIZED, ("Content-Type", "application/json"), ("Content-Encoding", encoding)]
    reply = exchange(site.url, request("POST", path, sent, body))
    assert_answered(reply)
    assert reply.status in (400, 413, 415), reply.body


@bounded(150)
@given(encoding=st.sampled_from(["gzip", "zstd", "x-gzip", "identity"]), body=st.binary(max_size=200), at=st.integers(0, 60))
def test_encoded_garbage(site: Site, encoding: str, body: bytes, at: int) -> None:
    """Random bytes, alone and in the middle of what is right."""
    good = json.dumps(event(number="encoded")).encode()
    whole = zstd.compress(good) if encoding == "zstd" else gzip.compress(good, mtime=0) if "gzip" in encoding else good
    for sent in (body, whole[:at] + body + whole[at:], whole[:at] + body):
        headers = [AUTHORIZED, ("Content-Type", "application/json"), ("Content-Encoding", encoding)]
        assert_answered(exchange(site.url, request("POST", "/api/v1/events", headers, sent)))


GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: " + ADMIN.encode() + b"\r\n"
WIRE = {
    "no protocol": b"GET /livez\r\n\r\n",
    "unknown protocol": b"GET /livez HTTP/9.9\r\n\r\n",
    "http/1.0": b"GET /livez HTTP/1.0\r\n\r\n",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
    "absolute": b"GET http://x/livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "connect": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "unknown method": b"BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "lower-case method": b"get /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "space before colon": GET + b"A : b\r\nConnection: close\r\n\r\n",
    "folded header": GET + b"A: b\r\n c\r\nConnection: close\r\n\r\n",
    "no colon": GET + b"nonsense\r\n\r\n",
    "nul in header": GET + b"A: \0\r\n\r\n",
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: x\nConnection: close\n\n",
    "long path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": GET + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
    "many headers": GET + b"A: b\r\n" * 20_000 + b"\r\n",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "length is no number": POST + b"Content-Length: ten\r\n\r\n",
    "huge length": POST + b"Content-Length: " + b"9" * 18 + b"\r\n\r\nx",
    "length beyond 64 bits": POST + b"Content-Length: " + b"9" * 400 + b"\r\n\r\nx",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size is no number": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk too large": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n",
    "unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\nx",
    "chunked": POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
    "expect": POST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n[]",
    "upgrade": GET + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
    "upgrade to http/2": GET + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
}
WAITING_S = 2.0
"""How long bytes that may be the beginning of a request are left without an answer, before they are taken for one."""
SILENT = {"no protocol", "bare line feeds"}
"""What may be left without an answer: it may go on."""


@pytest.mark.parametrize("name", list(WIRE))
def test_bytes_that_are_hardly_http(site: Site, name: str) -> None:
    reply = exchange(site.url, WIRE[name], WAITING_S)
    if name not in SILENT or reply.status:
        assert 100 <= reply.status < 500, reply
    assert exchange(site.url, request("GET", "/livez")).status == 200


@bounded(150)
@given(junk=st.binary(min_size=1, max_size=60), behind=st.sampled_from([b"\r\n\r\n", GET, POST]))
def test_junk_is_answered(site: Site, junk: bytes, behind: bytes) -> None:
    for sent in (junk + b"\r\n\r\n", behind + junk + b"\r\n\r\n"):
        assert exchange(site.url, sent, WAITING_S).status < 500
    assert exchange(site.url, request("GET", "/livez")).status == 200
