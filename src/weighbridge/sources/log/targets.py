"""What a request asks for: method, path and host, from a request line or from its parts."""

from __future__ import annotations

import re
from typing import NamedTuple

_METHOD = re.compile(r"(?!(?:nan|inf|infinity)\Z)[A-Za-z][!#$%&'*+.^_`|~0-9A-Za-z-]{0,31}", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)")
_NO_METHOD = frozenset({"", "-", "nan", "inf", "infinity"})
"""What formats write for none, and what readers of JSON make of a number that is none."""

_PORT = re.compile(r":[0-9]*")


class Target(NamedTuple):
    """Method, path before any percent-decoding, and host, each "" where it is not told or makes no sense."""

    method: str
    path: str
    host: str


NOTHING = Target("", "", "")


def before_query(text: str) -> str:
    """What stands before the query or the fragment."""
    return text.partition("?")[0].partition("#")[0]


def read_request(line: str) -> Target:
    """The target of a request line such as `GET /items/1?a=b HTTP/1.1` (RFC 9112, 3); nothing behind the path matters."""
    method, _, rest = before_query(line).strip().partition(" ")
    uri, space, version = rest.rpartition(" ")
    return read_parts(method, uri if space and version.startswith("HTTP/") else rest)


def read_parts(method: str, uri: str) -> Target:
    """The target of a method and a request target without query, in any form of RFC 9112, 3.2."""
    uri = uri.strip()
    if not _METHOD.fullmatch(method):
        if method.lower() not in _NO_METHOD:
            return NOTHING
        method = ""
    if uri.startswith("/"):
        return Target(method, uri, "")
    found = _URL.match(uri)
    if found is None:
        return Target(method, "", "")
    uri = uri[found.end() :]
    return Target(method, uri if uri.startswith("/") else f"/{uri}", found[1].rpartition("@")[2])


def plain_host(host: str) -> str:
    """The host in lower case, without port and final dot; IPv6 addresses keep their brackets."""
    host = host.strip().lower()
    name, bracket, rest = host.rpartition("]")
    if bracket:
        return name + bracket if not rest or _PORT.fullmatch(rest) else host
    return host.partition(":")[0].removesuffix(".") if host.count(":") <= 1 else host
