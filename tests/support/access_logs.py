"""Readers of access logs for tests, and strategies for lines of every format: most as servers write them, some odd."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from weighbridge.sources.log.decode import LogReader
from weighbridge.sources.log.settings import read_settings

if TYPE_CHECKING:
    from weighbridge.sources.log.sieve import Sieved
    from weighbridge.sources.log.tally import Tally

AT_10 = 1764410400
"""2025-11-29T10:00:00Z, where a slot begins."""


def reader(format_: str, *, kind=LogReader, header="", **table):
    """A reader; lines belong to app 1 unless the table says something else."""
    if not {"app", "space", "rules"} & set(table):
        table["app"] = 1
    return kind(read_settings({"path": "/var/log/access.log", "format": format_, **table}), header)


class CountingReader(LogReader):
    """A reader that counts how often DuckDB's way was gone to its end."""

    fast = 0

    def _take_fast(self, data: bytes, sieved: Sieved, tally: Tally) -> bool:
        is_done = super()._take_fast(data, sieved, tally)
        self.fast += is_done
        return is_done


class FastReader(LogReader):
    """A reader that must not go line by line."""

    def _take_slowly(self, data: bytes, offset: int, tally: Tally) -> None:
        raise AssertionError(data[:500])


def fast_reader(format_: str, **table):
    return reader(format_, kind=FastReader, **table)


def read_slowly(made: LogReader, data: bytes):
    """What the format as written says of each line: the referee."""
    return made._read(data, made._take_slowly)


def count_lines(data: bytes) -> int:
    return len(data.split(b"\n")) - (not data or data.endswith(b"\n"))


def _mostly(usual, *odd):
    """Values as they usually are, and now and then another."""
    return st.integers(0, 31).flatmap(lambda at: st.sampled_from(odd) if at == 0 else st.sampled_from(usual))


CLF = _mostly(
    ["29/Nov/2025:10:00:00 +0000", "29/Nov/2025:10:04:59 +0000", "29/Nov/2025:10:05:00 +0000", "29/Nov/2025:12:07:30 +0200"],
    "29/Nov/2025:10:00:60 +0000", "31/Feb/2025:10:00:00 +0000", "29/nov/2025:10:00:00 +0000", "29/Xxx/2025:10:00:00 +0000",
    "9/Nov/2025:10:00:00 +0000", "29/Nov/2025:10:00:00", "29/Nov/2025:10:00:00 +0530", "29/Nov/0001:10:00:00 +0000", "-",
    "29/Nov/2025:10:00:0x +0000", "29/Nov/2025:24:00:00 +0000", "29/Nov/2025:10:00:00 +0099",
)
ISO = ["2025-11-29T10:00:00+00:00", "2025-11-29T10:04:59+00:00", "2025-11-29T10:05:00+00:00"]
FRACTION = ["2025-11-29T10:04:59.999+01:00", "2025-11-29T10:05:00.000+01:00"]
OTHER_TIMES = [
    "2025-11-29T10:00:00Z", "2025-11-29T10:00:00.123Z", "2025-11-29 10:00:00+02", "2025-11-29T10:00:00",
    "2025-13-29T10:00:00Z",
    "1764410400", "1764410400.5", "1764410400.", "1764410400123", "17644104001234567", "99999999999.99999999", "-5", "", "nan",
    "1e9", "1" * 30, "0", "253370764800",
]
AMOUNTS = ["0", "1", "512", "9007199254740991"]
ODD_AMOUNTS = [
    "-", "-1", "1e3", "1.5", "", "007", "9007199254740992", "9" * 20, "1_0", "0x1f", "+5", "²", "\u0661", "1e2", "00",
]
REQUESTS = ["GET /items/1 HTTP/1.1", "POST /items/1/x?q=1 HTTP/1.1", "GET /v2/a HTTP/2.0", "GET /assets/a.css HTTP/1.1", "-"]
ODD_REQUESTS = [
    "", "\\x16\\x03\\x01", "GET http://h.example:80/assets/a.css HTTP/1.1", "CONNECT h:443 HTTP/1.1", "OPTIONS * HTTP/1.1",
    "GET /v2/#f HTTP/1.1", "get /items/new HTTP/1.0", "GET", "GET /items/%2F HTTP/1.1", "GET /v2/a b?x y HTTP/2.0",
    "GET /?HTTP/1.1",
    "GET /assets/" + "a" * 1100 + " HTTP/1.1", 'G\\"T / HTTP/1.1', "GET /items/é HTTP/1.1", "\x01", "GET ?/items/1 HTTP/1.1",
]
USERS = ["-", "alice", "bob"]
ODD_USERS = ["a b", "x" * 256, "\\x22q\\x22", "", "é", 'us"er', '"a b"', '"ab"', "\x07", "::1", "[x]", "\\", "\\xff"]
AGENTS = ["-", "Mozilla/5.0 (X11; Linux x86_64)", "curl/8.4.0"]
ODD_AGENTS = ["", '\\"x\\"', "a\tb", '"', "\\", "a\rb", "a\0b", "  ", "x" * 300]

amounts = _mostly(AMOUNTS, *ODD_AMOUNTS)
requests = _mostly(REQUESTS, *ODD_REQUESTS)
users = _mostly(USERS, *ODD_USERS)
agents = _mostly(AGENTS, *ODD_AGENTS)

addresses = _mostly(["192.0.2.1", "2001:db8::1"], "fe80::1%eth0", "", "a b")
common = st.builds(
    '{} {} {} [{}] "{}" {} {}'.format,
    addresses, _mostly(["-"], "ident", ""), users, CLF, requests, _mostly(["200", "404", "304"], "-", "20", "abc", "2e2"),
    amounts,
)
combined = st.builds('{} "{}" "{}"'.format, common, agents, agents)
tokens = st.builds(
    '{} {} "{}" {} {} {} {}'.format,
    _mostly(["a.example", "b.example"], "a.example:80", ""),
    _mostly(["1764410400.123", "1764410699.999", "1764410700.000"], *OTHER_TIMES), requests, amounts, amounts,
    _mostly(["192.0.2.9:80"], "10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80", "-"), users,
)
fractions = st.builds('{} "{}" {}'.format, _mostly(FRACTION, *OTHER_TIMES), requests, amounts)
LOAD_BALANCER = (
    'https {} app/lb/1 192.0.2.1:2817 10.0.0.1:80 0.1 0.2 0.3 200 200 {} {} "{}" "{}" A B arn "Root=1" "{}" "-" 0 t '
    '"forward"{}'
)
load_balancer = st.builds(
    LOAD_BALANCER.format,
    _mostly(["2025-11-29T10:00:00.186641Z", "2025-11-29T10:04:59.999999Z"], *OTHER_TIMES), amounts, amounts,
    _mostly(["GET https://a.example:443/items/1?x HTTP/1.1", "POST http://b.example:80/v2/ HTTP/1.1"], "- - -", "-",
        *ODD_REQUESTS),
    agents, _mostly(["a.example", "-"], *ODD_USERS), _mostly([""], ' "-"', " ", " x"),
)
CLOUDFRONT_FIELDS = "#Fields: date time sc-bytes cs-bytes x-host-header cs-uri-stem cs-method c-ip"
cloudfront = st.builds(
    "\t".join,
    st.tuples(
        _mostly(["2025-11-29"], "2025-11-2", ""), _mostly(["10:00:01", "10:05:09"], "10:00", ""), amounts, amounts,
        st.sampled_from(["a.example", "b.example"]), _mostly(["/items/1", "/v2/%2520x"], "/assets/%FF", "/assets/a%20b",
            "/a%3Fb"),
        st.just("GET"), _mostly(["192.0.2.1"], '"x', "a%20b"),
    ),
)

_ODD_VALUES = [
    1, "1", "x", None, True, False, 1.5, 1e16, 10**20, -1, "", [], ["a"], [1], {}, {"a": 1}, "é", "\ud800", "\0", float("nan"),
    float("-inf"), "a?b", '["GET"]',
]


def _or_odd(usual, *odd):
    return _mostly(usual, *odd, *_ODD_VALUES)


def _without(found, names):
    return {name: value for name, value in found.items() if name not in names}


def _objects(**fields):
    """Objects with these fields, of which some may lack one."""
    whole = st.fixed_dictionaries(fields)
    return st.builds(_without, whole, _mostly([()], *[(name,) for name in fields]))


_ENDS = [
    ",}", "} ", "}}", "", ',"time_iso8601":"2025-11-29T10:00:00Z"}', ',"z":nan}', ',"z":[1,]}', ',"z":-INF}', ',"x":Infinity}',
    ',"z":' + "[" * 600 + "]" * 600 + "}", ',"z":' + "[" * 400 + "]" * 400 + "}", ',"z":' + "9" * 400 + "}", ',"z":"\\ud800"}',
    ',"body_bytes_sent":7}', ',"request":"GET /v2/ HTTP/1.1"}', ',"\\u0078":"y"}', ',"z":"\t"}', ',"z":1}{"z":1}', "}//",
]


def _written(found, is_ascii, end):
    return json.dumps(found, ensure_ascii=is_ascii, separators=(",", ":"))[:-1] + end


def written(objects):
    """Objects as lines."""
    return st.builds(_written, objects, st.booleans(), _mostly(["}"], *_ENDS))


_paths = [request.split(" ")[1] if " " in request else request for request in REQUESTS]
_odd_paths = [request.split(" ")[1] if " " in request else request for request in ODD_REQUESTS]
nginx = written(_objects(
    time_iso8601=_or_odd(ISO, *FRACTION, *OTHER_TIMES), remote_user=_or_odd(["", "alice", "bob"], "x" * 300, "a\tb"),
    host=_or_odd(["a.example", "b.example"], "[::1]:80", "A.example."), request_method=_or_odd(["GET", "POST"], "get", "1x"),
    request_uri=_or_odd(_paths, *_odd_paths), status=st.just("200"), bytes_sent=_or_odd([0, 5, "77"], *ODD_AMOUNTS, 2**53),
    request_length=_or_odd([1, 300]),
))
caddy = written(_objects(
    level=st.just("info"), ts=_or_odd([1764410400.123, 1764410699.9999, 1764410700.5], "2025-11-29T10:00:00Z", 1e400,
        1764410400123),
    request=_objects(
        host=_or_odd(["a.example", "b.example:443"]), method=_or_odd(["GET", "PUT"]), uri=_or_odd(_paths, *_odd_paths),
        headers=_objects(**{"X-Tenant": _or_odd([["acme"], ["other", "acme"]])}),
    ) | st.sampled_from(["x", None]),
    user_id=_or_odd(["", "alice"]), bytes_read=_or_odd([0, 3]), size=_or_odd([10, 20]), status=st.just(200),
))

_RULES = [
    {"host": "a.example", "prefix": "/v2/", "app": 2, "environment": "v2"}, {"prefix": "/assets/", "space": 9, "asset": True},
    {"host": "[::1]", "app": 5},
]
_WITHOUT_HOST = [_RULES[1], {"prefix": "/v2/", "app": 2, "environment": "v2"}]
_ENDPOINTS = ["/items/{id}", "/items/new", "/items/{id}/{part}"]
_MUCH = {"endpoints": _ENDPOINTS, "environment": "prod", "rules": _RULES}
_TOKENS = '$host $msec "$request" $bytes_sent $request_length $upstream_addr $remote_user'
_TEMPLATE = (
    '{"time_iso8601":"$time_iso8601","remote_user":"$remote_user","host":"$host","request_method":"$request_method",'
    '"request_uri":"$request_uri","status":"$status","bytes_sent":$bytes_sent,"request_length":$request_length}'
)
KINDS = {
    "common": (common, {"format_": "common"}),
    "common-rules": (common, {"format_": "common", **_MUCH, "rules": _WITHOUT_HOST}),
    "combined": (combined, {"format_": "combined", "consumer": "$remote_user"}),
    "combined-rules": (combined, {"format_": "combined", "consumer": "$remote_user", "app": 1, **_MUCH,
        "rules": _WITHOUT_HOST}),
    "msec": (tokens, {"format_": _TOKENS, "consumer": "$remote_user"}),
    "msec-rules": (tokens, {"format_": _TOKENS, "app": 1, **_MUCH}),
    "fractions": (fractions, {"format_": '$time_iso8601 "$request" $body_bytes_sent'}),
    "fractions-rules": (fractions, {"format_": '$time_iso8601 "$request" $body_bytes_sent', **_MUCH, "rules": _WITHOUT_HOST}),
    "nginx-json": (nginx, {"format_": "nginx-json", "consumer": "$remote_user"}),
    "nginx-json-rules": (nginx, {"format_": "nginx-json", "space": 4, **_MUCH}),
    "template": (nginx, {"format_": _TEMPLATE, "app": 1, "consumer": "$remote_user", **_MUCH}),
    "json": (nginx, {"format_": "json", "fields": {"time": "time_iso8601", "bytes_out": "bytes_sent"}, "consumer": "$x.y"}),
    "caddy": (caddy, {"format_": "caddy", "consumer": "$user_id"}),
    "caddy-rules": (caddy, {"format_": "caddy", **_MUCH, "rules": [
        *_RULES, {"field": "$request.headers.X-Tenant", "equals": "acme", "app": 7,
            "consumer": "$request.headers.X-Tenant"}]}),
    "alb": (load_balancer, {"format_": "alb", "consumer": "$domain_name"}),
    "alb-rules": (load_balancer, {"format_": "alb", "app": 1, **_MUCH}),
    "cloudfront": (cloudfront, {"format_": "cloudfront", "consumer": "$c-ip"}),
    "cloudfront-rules": (cloudfront, {"format_": "cloudfront", **_MUCH}),
}
"""Lines and settings by kind."""

_JUNK = ["", " ", "\r", '"', "\0", "x" * 9000, "\ufeff", "{}", "[]", "null", "a b c", "-", "\t", "#"]


def _encode(begin, lines, end, damage):
    data = bytearray("\n".join(lines).encode("utf-8", "surrogatepass") + end)
    for at, value in damage:
        if data:
            data[at % len(data)] = value
    return begin + bytes(data)


def logs(kind):
    """Whole logs: lines of a kind, with junk between, white space around, and now and then a damaged byte."""
    lines = KINDS[kind][0]
    begin = b""
    if kind.startswith("cloudfront"):  # a reader goes on with the fields that it was told last
        begin = CLOUDFRONT_FIELDS.encode() + b"\n"
        others = ("#Fields: x", "#", "#Fields: time date sc-bytes cs-bytes c-ip a b c")
        lines |= _mostly(["#Version: 1.0", CLOUDFRONT_FIELDS], *others)
    spoilt = st.builds(str.__add__, lines, st.sampled_from(["\r", " ", "\t", "\\", '"', "\n"]))
    some = st.integers(0, 11).flatmap(lambda at: lines if at > 1 else spoilt if at else st.sampled_from(_JUNK))
    bytes_anywhere = st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=3)
    damage = st.integers(0, 31).flatmap(lambda at: st.just([]) if at else bytes_anywhere)
    return st.builds(_encode, st.just(begin), st.lists(some, max_size=8), st.sampled_from([b"\n", b""]), damage)
