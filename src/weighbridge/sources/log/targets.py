"""What a request asks for: method, path and host, from a request line or from its parts."""

from __future__ import annotations

import re
from typing import NamedTuple

_METHOD = re.compile(r"[A-Za-z][!#$%&'*+.^_`|~0-9A-Za-z-]{0,31}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)")
_NO_METHOD = frozenset({"-", "nan", "inf", "infinity"})
"""What formats write for none, and what readers of JSON make of a number that is none."""
_QUERY = re.compile(r"[?#]")
_PORT = re.compile(r":[0-9]*")


class Target(NamedTuple):
    """Method, path before any percent-decoding, and host, each "" where it is not told or makes no sense."""

    method: str
    path: str
    host: str


NOTHING = Target("", "", "")


def before_query(text: str) -> str:
    """What stands before the query or the fragment."""
    return _QUERY.split(text, maxsplit=1)[0]


def read_request(line: str) -> Target:
    """The target of a request line such as `GET /items/1?a=b HTTP/1.1` (RFC 9112, 3); nothing behind the path matters."""
    method, _, rest = before_query(line).strip().partition(" ")
    uri, space, version = rest.rpartition(" ")
    return read_parts(method, uri if space and version.startswith("HTTP/") else rest)


def read_parts(method: str, uri: str) -> Target:
    """The target of a method and a request target, in any form of RFC 9112, 3.2."""
    uri = before_query(uri).strip()
    method = "" if method.lower() in _NO_METHOD else method
    if method and not _METHOD.fullmatch(method):
        return NOTHING
    host = ""
    if not uri.startswith("/") and (found := _URL.match(uri)):
        host = found[1].rpartition("@")[2]
        uri = uri[found.end() :]
        uri = uri if uri.startswith("/") else f"/{uri}"
    return Target(method, uri if uri.startswith("/") else "", host)


def plain_host(host: str) -> str:
    """The host in lower case, without port and final dot; IPv6 addresses keep their brackets."""
    host = host.strip().lower()
    name, bracket, rest = host.rpartition("]")
    if bracket:
        return name + bracket if not rest or _PORT.fullmatch(rest) else host
    return host.partition(":")[0].removesuffix(".") if host.count(":") <= 1 else host
