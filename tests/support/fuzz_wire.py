"""Requests as bytes on a socket, and values that have broken servers before."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT_S = 60.0
"""Longer than any answer takes on a machine that does other things too."""
DEEP = 20_000
"""Levels of nesting: beyond any recursion limit."""


@dataclass(frozen=True)
class Reply:
    """An answer as it came. `status` 0: the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(url: str, sent: bytes, patience_s: float = TIMEOUT_S) -> Reply:
    """Sends bytes and reads one answer, to its end or to that of the connection; `patience_s` where more may be awaited."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=patience_s) as connection:
        with contextlib.suppress(OSError):  # it was refused before it was all sent: the answer is there to be read
            connection.sendall(sent)
        return _read(connection)


def _read(connection: socket.socket) -> Reply:
    came = b""
    reply = Reply(0, {}, b"")
    try:
        while part := connection.recv(65536):
            came += part
            reply = _parse(came)
            if reply.status >= 200 and len(reply.body) >= int(reply.headers.get("content-length", 10**9)):
                break
    except (ConnectionResetError, TimeoutError):  # closed on us after the answer, with bytes of ours unread; or it waits
        pass
    return reply


def _parse(answer: bytes) -> Reply:
    head, end, rest = answer.partition(b"\r\n\r\n")
    if not end:
        return Reply(0, {}, b"")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    if status == 100:
        return _parse(rest)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Reply(status, headers, rest)


def request(method: str, target: str | bytes, headers: Sequence[tuple[str, str | bytes]] = (), body: bytes = b"") -> bytes:
    """A request that is well formed as far as its parts are, with a length, on a connection of its own."""
    wanted = target if isinstance(target, bytes) else target.encode("latin-1")
    sent = [("Host", "x"), ("Connection", "close"), *headers]
    if body or method in ("POST", "PUT", "PATCH"):
        sent.append(("Content-Length", str(len(body))))
    lines = [b"%b: %b" % (name.encode(), _bytes(value)) for name, value in sent]
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method.encode(), wanted), *lines, b"", body])


def _bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value


TEXTS = (
    "", " ", "\0", "a\0b", "%", "%00", "..", "../../etc/passwd", "-1", "0", "+1", "1.0", "1_0", "1e309", "-1e309", "NaN",
    "9" * 400, "9" * 5000, str(2**53), str(2**63), str(2**64), "\u0661", "\uff12", "\u00b2", "\u2028", "\u202e",
    "\ufeff1", "x" * 300, "x" * 20_000, "null", "true", "[]", "{}", "' OR 1=1 --", '"', "\\", "{{7*7}}", "a,b,,",
    "\r\nSet-Cookie: a=b", "UTC", "Etc/../UTC", "/etc/passwd", "America/New_York\0", "Europe/berlin", "posixrules",
    "leapseconds", "2025-12-14", "2025-12-14T16:00:00Z", "2025-12-14 16:00", "0000-00-00", "9999-12-31T23:59:60Z",
    "9998-12-31T23:59:59-23:59", "1971-12-31", "1972-01-01T00:00:00+23:59", "2025-W50-7", "20251214", "2025-348",
    "2025-12-14T16:00:00.1234567890123Z", "2025-03-30T02:30:00", "2025-12-14T24:00:00Z", "-2025-12-14", "12025-12-14",
    "2025-12-14T16:00:00+99:99",
)
"""Texts for parameters, parts of paths and fields."""
SURROGATES = ("%ED%A0%80", "%ff%fe", "%C0%80", "%", "%zz", "%u0000", "a%00b", "%2e%2e%2f", "%0d%0aX:%20y")
"""What percent-decoding may stumble over; sent as it is."""

JSON_VALUES = (
    "null", "true", "-1", "0", "1.5", "-0", "1e400", "-1e400", "1E-400", "9" * 400, str(2**53), str(2**63), str(2**64),
    "NaN", "Infinity", '""', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '"\ufffe"', '"' + "x" * 70_000 + '"', "[]",
    "{}", "[null]", '{"a":1,"a":2}', '["a","a"]', "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "[" * DEEP,
    '{"":{}}', '"1"', "'1'", "0x10", "01", "1.", "/**/1", "", '"' + "\u0301" * 300 + '"', '"2025-12-14"',
    '"9999-12-31T23:59:59Z"', '"0001-01-01T00:00:00Z"',
)
"""JSON to put in the place of a value, well formed or not."""
_HOLE = "\u2588hole\u2588"

texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=20))
json_values = st.one_of(
    st.sampled_from(JSON_VALUES),
    st.integers().map(str),
    st.one_of(st.text(max_size=8), st.sampled_from(TEXTS)).map(json.dumps),
)


@st.composite
def damaged_json(draw: st.DrawFn, example: Any) -> bytes:
    """The example with a wild value in the place of one of its own, a field more, or cut off somewhere."""
    places = list(_places(example))
    where = draw(st.sampled_from(places))
    wild = draw(json_values)
    if draw(st.integers(0, 9)) == 0:
        whole = json.dumps(example).encode()
        return whole[: draw(st.integers(0, len(whole)))] + draw(st.sampled_from([b"", b"\xff", b"\xef\xbb\xbf", b"\0"]))
    return json.dumps(_replaced(example, where)).replace(json.dumps(_HOLE), wild).encode("utf-8", "replace")


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    if isinstance(value, dict):
        yield (*above, "unheard-of")
        for name, inner in value.items():
            yield from _places(inner, (*above, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*above, index))


def _replaced(value: Any, place: tuple[Any, ...]) -> Any:
    if not place:
        return _HOLE
    first, *rest = place
    if isinstance(value, dict):
        return {**value, first: _replaced(value.get(first), tuple(rest))}
    return [_replaced(inner, tuple(rest)) if index == first else inner for index, inner in enumerate(value)]


def escaped(text: str) -> str:
    """A text as a part of a URL; what percent-encoding cannot say (lone surrogates) as the bytes that stand for it."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
