"""What an OpenVPN server says of its sessions: status format versions 2 and 3, and the statistics of a point-to-point end.

Source: openvpn(8), --status and --status-version; doc/management-notes.txt; multi_print_status in src/openvpn/multi.c.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weighbridge.sources.polled import UnreadError

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS_MOST: Final = 16 * 2**20
"""Bytes of a status: 100,000 sessions at the length of their longest lines in practice, two lines each."""
SESSIONS_MOST: Final = 50_000
"""Sessions of one server, ten times what one carries. Each is a reading at every poll."""
LINE_MOST: Final = 4096
"""Bytes of a line: its longest are those of a name with 64 characters."""
NAME_MOST: Final = 255
"""Characters of a name."""

_TOTAL_END = 2**64
_TIME_END = 2**33  # the year 2242
_NAME, _ADDRESS, _IN, _OUT = "Common Name", "Real Address", "Bytes Received", "Bytes Sent"
_SINCE, _USER, _CLIENT = "Connected Since (time_t)", "Username", "Client ID"
_NEEDED = (_NAME, _ADDRESS, _IN, _OUT, _SINCE)
_FREE = (_NAME, _USER)  # columns that may hold the separator of version 2 themselves
_UNNAMED = ("", "UNDEF")
_TAG = re.compile(rb"[A-Z][A-Z0-9_]*[,\t]")
_READ, _WRITTEN = b"TCP/UDP read bytes,", b"TCP/UDP write bytes,"
_PROMPT = b"ENTER PASSWORD:"


@dataclass(frozen=True, slots=True)
class Session:
    """A client's session, its totals as the server sees them: in is what it received from the client.

    `name` None: it is not known yet who it is. `connected_s`: when it began, floored to a second of the server's clock.
    `key` tells it from all others of this server: no two of a second have the same number.
    """

    key: str
    name: str | None
    connected_s: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All sessions of a server at `time_s` of its clock. `unread`: lines of sessions that made no sense."""

    time_s: int
    sessions: dict[str, Session]
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """The totals of an end without sessions of its own (point to point). `updated` is when, in words of its own."""

    updated: str
    bytes_in: int
    bytes_out: int


def parse_status(text: bytes) -> Listing | Statistics:
    """What a status says. UnreadError: it is not whole (being rewritten, for instance), or of version 1."""
    if len(text) > STATUS_MOST:
        raise UnreadError(f"the status has more than {STATUS_MOST} bytes")
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    if lines[-2:] != [b"END", b""] or lines.count(b"END") > 1:
        raise UnreadError("the status does not end with END: it is being rewritten, or it is none of OpenVPN's", "torn")
    if lines[0] == b"OpenVPN STATISTICS":
        return _statistics(lines)
    if lines[0] == b"OpenVPN CLIENT LIST":
        raise UnreadError(
            "the status is of version 1, which tells times without their zone: write `status-version 2` (or 3) into "
            "the server's configuration", "version_1")
    return _listing(lines[:-2])


def _statistics(lines: Sequence[bytes]) -> Statistics:
    read, written = (
        [_number(line.removeprefix(word), _TOTAL_END) for line in lines if line.startswith(word)] for word in (_READ, _WRITTEN)
    )
    if len(read) != 1 or len(written) != 1 or read[0] is None or written[0] is None or not lines[1].startswith(b"Updated,"):
        raise UnreadError("the statistics lack the bytes of TCP/UDP", "torn")
    return Statistics(lines[1].partition(b",")[2].decode("utf-8", "replace"), read[0], written[0])


def _listing(lines: Sequence[bytes]) -> Listing:
    time_s: int | None = None
    columns: list[str] | None = None
    sessions: dict[str, Session] = {}
    unread = 0
    for line in lines:
        if not _TAG.match(line) or len(line) > LINE_MOST:  # the rest of a line that was there before
            raise UnreadError(f"the status holds {line[:60]!r}: it is being rewritten, or it is none of OpenVPN's", "torn")
        separator = b"\t" if b"\t" in line else b","
        fields = line.split(separator)
        if fields[0] == b"TIME":
            time_s = _number(fields[-1], _TIME_END)
        elif fields[:2] == [b"HEADER", b"CLIENT_LIST"]:
            columns = [field.decode("utf-8", "replace") for field in fields[2:]]
        elif fields[0] == b"CLIENT_LIST":
            session = _session(columns, fields[1:])
            if session is None:
                unread += 1
            elif session.key not in sessions or session.bytes_in >= sessions[session.key].bytes_in:
                sessions[session.key] = session
    if time_s is None or columns is None or not set(_NEEDED) <= set(columns):
        raise UnreadError(f"the status lacks its TIME, or one of the columns {', '.join(_NEEDED)}", "torn")
    if len(sessions) > SESSIONS_MOST:
        raise UnreadError(f"{len(sessions)} sessions; {SESSIONS_MOST} are the most of one server", "sessions_too_many")
    return Listing(time_s, sessions, unread)


def _session(columns: list[str] | None, fields: list[bytes]) -> Session | None:
    """The session of a line; None: it makes no sense, in no way or in more than one."""
    if columns is None:
        return None
    read = [found for values in _arranged(columns, fields) if (found := _one(dict(zip(columns, values, strict=True))))]
    return read[0] if len(read) == 1 else None


def _arranged(columns: list[str], fields: list[bytes]) -> list[list[bytes]]:
    """The ways to lay the fields out in the columns: a name may hold commas, and version 2 does not quote them."""
    more = len(fields) - len(columns)
    if more <= 0 or any(name not in columns for name in _FREE):
        return [fields] if more == 0 else []
    first, second = (columns.index(name) for name in _FREE)
    ways = []
    for share in range(more + 1):
        values = [*fields[:first], b",".join(fields[first:first + share + 1]), *fields[first + share + 1:]]
        rest = more - share
        ways.append([*values[:second], b",".join(values[second:second + rest + 1]), *values[second + rest + 1:]])
    return ways


def _one(values: dict[str, bytes]) -> Session | None:
    bytes_in, bytes_out = _number(values[_IN], _TOTAL_END), _number(values[_OUT], _TOTAL_END)
    connected_s = _number(values[_SINCE], _TIME_END)
    client = values.get(_CLIENT)
    if bytes_in is None or bytes_out is None or connected_s is None or not (client is None or client.isdigit()):
        return None
    names = [values[column].decode("utf-8", "replace") for column in _FREE if column in values]
    if any(len(name) > NAME_MOST for name in names):
        return None
    name = next((name for name in names if name not in _UNNAMED), None)
    number = (values[_ADDRESS] if client is None else client).decode("utf-8", "replace")
    return Session(f"{connected_s}.{number}", name, connected_s, bytes_in, bytes_out)


def _number(text: bytes, end: int) -> int | None:
    return int(text) if text.isdigit() and len(text) <= len(str(end)) and int(text) < end else None


class Dialogue:
    """What comes over a management socket, in lines; what the server says by itself (`>…`) is passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._ends = 0
        self.greeted = False
        """Whether the server has said that it takes commands."""
        self.refusal = b""
        """The last error that it told."""

    def feed(self, data: bytes) -> None:
        """Takes in what was received. UnreadError: a line or an answer is longer than any may be."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.removesuffix(b"\r"))
        if len(self._rest) > LINE_MOST or self._waiting_bytes > STATUS_MOST:
            raise UnreadError("the management socket does not speak as OpenVPN does")

    def _take(self, line: bytes) -> None:
        words = line.removeprefix(_PROMPT)
        if words.startswith(b">"):
            self.greeted |= words.startswith(b">INFO:")
        elif words.startswith(b"ERROR:"):
            self.refusal = words
        elif not words.startswith(b"SUCCESS:"):
            self._lines.append(words)
            self._waiting_bytes += len(words) + 1
            self._ends += words == b"END"

    @property
    def wants_password(self) -> bool:
        """Whether the server waits for the password: a prompt without a newline."""
        return self._rest == _PROMPT

    def forget(self) -> None:
        """What was said before a command is no part of its answer."""
        self._lines.clear()
        self._waiting_bytes = self._ends = 0
        self.refusal = b""

    def take_answer(self) -> bytes | None:
        """The answer to a command of several lines, with its END; None: it has not ended yet."""
        if not self._ends:
            return None
        taken: list[bytes] = []
        while not taken or taken[-1] != b"END":
            taken.append(self._lines.popleft())
        answer = b"".join(line + b"\n" for line in taken)
        self._waiting_bytes -= len(answer)
        self._ends -= 1
        return answer
