"""Whose a line is: rules in their order, prefixes, hosts, fields and endpoints, each against a plain loop."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.access_logs import reader
from weighbridge.sources.log.rules import Endpoints, Rules
from weighbridge.sources.log.settings import read_settings
from weighbridge.sources.log.targets import plain_host, read_parts, read_request

RULES = [
    {"host": "API.example.com", "prefix": "/v2/", "app": 1, "environment": "v2"},
    {"field": "$http_x_tenant", "equals": "acme", "app": 3, "consumer": "$http_x_tenant"},
    {"prefix": "/assets/", "space": 123, "asset": True},
    {"prefix": "/files/", "space": 124},
]
FORMAT = '[$time_local] $host "$request" $bytes_sent "$http_x_tenant" "$http_x_user"'


def read(request, *, host="h", tenant="-", user="-", **table):
    settings = {"rules": RULES, "environment": "prod", "consumer": "$http_x_user", "endpoints": ["/v2/{id}", "/files/{id}"],
        **table}
    line = f'[29/Nov/2025:10:00:00 +0000] {host} "{request} HTTP/1.1" 5 "{tenant}" "{user}"'
    chunk = reader(FORMAT, **settings).read(line.encode())
    assert chunk.bad == 0
    return [(each.subject, each.environment, each.consumer, each.method, each.path) for each in chunk.sums]


@pytest.mark.parametrize(("line", "found"), [
    ({"request": "GET /v2/7?x", "host": "api.example.com:8443", "user": "u"}, ("app/1", "v2", "u", "GET", "/v2/{id}")),
    ({"request": "get /v2/7", "host": "api.EXAMPLE.com."}, ("app/1", "v2", None, "GET", "/v2/{id}")),
    ({"request": "GET /v2/7", "host": "other", "tenant": "acme"}, ("app/3", "prod", "acme", "GET", "/v2/{id}")),
    ({"request": "GET /assets/a%20b.css?v=1", "user": "u"}, ("space/123", None, None, None, "/assets/a%20b.css")),
    ({"request": "GET /files/7"}, ("space/124", None, None, None, None)),
    ({"request": "GET /assets/a", "tenant": "acme"}, ("app/3", "prod", "acme", None, None)),
    ({"request": "GET http://api.example.com:80/v2/7", "host": "-"}, ("app/1", "v2", None, "GET", "/v2/{id}")),
])
def test_the_first_rule_that_holds_takes_a_line(line, found):
    assert read(**line) == [found]


@pytest.mark.parametrize("line", [
    {"request": "GET /v2", "host": "api.example.com"}, {"request": "GET /%76%32/", "host": "api.example.com"},
    {"request": "-"}, {"request": "GET /x", "tenant": "ACME"},
])
def test_what_no_rule_takes_is_unmatched(line):
    assert read(**line) == []


def test_what_no_rule_takes_belongs_to_the_default():
    assert read("GET /x", app=9) == [("app/9", "prod", None, None, None)]
    assert read("GET /x", space=9) == [("space/9", None, None, None, None)]


def test_a_space_without_asset_has_no_path():
    assert read("GET /x", rules=[{"space": 5}]) == [("space/5", None, None, None, None)]
    assert read("GET /x", rules=[{"space": 5, "asset": True}]) == [("space/5", None, None, None, "/x")]
    assert read("-", rules=[{"space": 5, "asset": True}]) == [("space/5", None, None, None, None)]


SEGMENTS = st.sampled_from(["a", "b", "", "{x}", "{y}", "%7Bx%7D"])
TEMPLATES = st.lists(st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts)), max_size=6)
PATHS = st.lists(st.sampled_from(["a", "b", "", "c", "%7Bx%7D", "{x}"]), max_size=5).map(lambda parts: "/" + "/".join(parts))


def same_shape(template):
    return re.sub(r"\{[^}]*\}", "{}", template)


def naive(templates, path):
    """The template that the path fits; of several, the one that is written out furthest."""
    fits = []
    for template in templates:
        pairs = list(zip(template.split("/"), path.split("/"), strict=False))
        if template.count("/") == path.count("/") and all(
            bool(there) if wanted.startswith("{") else wanted == there for wanted, there in pairs
        ):
            fits.append(([wanted.startswith("{") for wanted, _ in pairs], template))
    return min(fits)[1] if fits else None


@given(TEMPLATES, PATHS)
def test_endpoints_are_found_as_a_loop_finds_them(templates, path):
    distinct = list({same_shape(template): template for template in templates}.values())
    assert Endpoints(distinct).find(path) == naive(distinct, path)


@given(
    st.lists(st.tuples(st.none() | st.sampled_from(["h", "i"]), st.none() | st.sampled_from(["/", "/a", "/a/", "/b/c"]),
                       st.none() | st.sampled_from(["x", "y"])), max_size=6),
    st.sampled_from(["h", "i", "j", ""]), st.sampled_from(["/", "/a", "/a/b", "/b/c/d", ""]), st.sampled_from(["x", "y", ""]),
)
def test_rules_are_chosen_as_a_loop_chooses_them(conditions, host, path, value):
    table = [
        {"app": number + 1, **{key: text for key, text in (("host", host_), ("prefix", prefix)) if text is not None},
         **({} if equals is None else {"field": "$f", "equals": equals})}
        for number, (host_, prefix, equals) in enumerate(conditions)
    ]
    rules = Rules(read_settings({"path": "x", "format": "combined", "space": 1, "rules": table}))
    values = [{"host": host, "$f": value}[name] for name in rules.names]
    chosen = next((
        f"app/{number + 1}" for number, (host_, prefix, equals) in enumerate(conditions)
        if host_ in (None, host) and (prefix is None or path.startswith(prefix)) and equals in (None, value)
    ), "space/1")
    assert rules.place(rules.see("GET", path, ""), values).subject == chosen


@pytest.mark.parametrize(("line", "target"), [
    ("GET /a?b HTTP/1.1", ("GET", "/a", "")), ("GET /a", ("GET", "/a", "")), ("GET /a b HTTP/2.0", ("GET", "/a b", "")),
    ("GET http://u:p@h:80/a?x HTTP/1.1", ("GET", "/a", "h:80")), ("GET HTTPS://h", ("GET", "/", "h")), ("OPTIONS * HTTP/1.1",
        ("OPTIONS", "", "")),
    ("CONNECT h:443 HTTP/1.1", ("CONNECT", "", "")), ("-", ("", "", "")), ("", ("", "", "")), ("\x16\x03 / HTTP/1.1", ("",
        "", "")),
    ("GET /a#b HTTP/1.1", ("GET", "/a", "")), ("M-SEARCH /a HTTP/1.1", ("M-SEARCH", "/a", "")), ("X" * 33 + " /a", ("", "",
        "")),
])
def test_a_request_line_is_read(line, target):
    assert tuple(read_request(line)) == target


def test_a_path_without_a_method_is_one():
    assert tuple(read_parts("", "/a")) == ("", "/a", "")
    assert tuple(read_parts("\x16", "/a")) == ("", "", "")


@pytest.mark.parametrize(("host", "plain"), [
    ("A.example:80", "a.example"), ("a.example.", "a.example"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("::1", "::1"),
    ("-", "-"),
    ("", ""), ("a:b:c", "a:b:c"), ("[::1]x", "[::1]x"),
])
def test_a_host_is_compared_without_port_and_case(host, plain):
    assert plain_host(host) == plain
