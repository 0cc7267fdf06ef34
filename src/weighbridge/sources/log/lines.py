"""What a line tells, whatever its format; and what a format must be able to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from weighbridge.measurement import MAX_AMOUNT
from weighbridge.sources.log.rules import BadLineError
from weighbridge.sources.log.times import quoted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from weighbridge.sources.log.times import Shape

MAX_LINE: Final = 256 * 1024
"""Longest line that is read, in bytes: what a server takes in headers is far less, and a mistake shall not fill memory."""
DIGITS: Final = 16
"""Most digits of an amount: MAX_AMOUNT has as many."""

_AMOUNT = re.compile(rf"[0-9]{{1,{DIGITS}}}")

Request: TypeAlias = tuple[str, str, str]
"""Method, target, and request line, as texts for `Format.unescape`; "" where there is none."""
NO_REQUEST: Final[Request] = ("", "", "")


class Line(NamedTuple):
    """One line. `names`: the values that rules want, "" where there is none."""

    time: str
    bytes_in: int | None
    bytes_out: int | None
    names: tuple[str, ...]
    request: Request


class Wanted(NamedTuple):
    """What a format is asked for besides time and bytes: the names of Rules, and whether the request matters."""

    names: tuple[str, ...]
    request: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """How DuckDB reads lines of a format, as SQL. `reader` has {path} where the bytes are to be found.

    `time` is the text of the time, in parts with a space between. Amounts are texts, None where the format tells none;
    `names` are texts for `Format.value`, `request` (None: nobody asks for it) such for `Format.unescape`. `good` are
    conditions that each row must meet.
    """

    reader: str
    time: tuple[str, ...]
    shape: Shape
    bytes_in: str | None
    bytes_out: str | None
    names: tuple[str, ...]
    request: Request | None
    good: tuple[str, ...] = ()
    may_lack_bytes: bool = False


class Format(Protocol):
    """A way in which lines are written.

    What sends a line the long way: bytes of `odd`, a `separator` at its end, what is not ASCII if `ascii_only`, and much
    nesting if `nested`.
    """

    odd: bytes
    separator: bytes
    ascii_only: bool
    nested: bool

    def read(self, line: str) -> Line:
        """What the line tells. BadLineError: it is no line of this format."""

    def plan(self, sample: str) -> Plan | None:
        """How DuckDB reads lines like this one. None: it cannot, or the line is no such line."""

    def value(self, text: str | None) -> str:
        """The value of a text that DuckDB found for a name. BadLineError: it is none."""

    def unescape(self, text: str) -> str:
        """The value of a text that DuckDB found for a part of the request."""


def read_amount(text: str, what: str) -> int:
    """A number of bytes; `-` is 0, as in the common log format. BadLineError: it is none."""
    if text == "-":
        return 0
    if not _AMOUNT.fullmatch(text) or int(text) > MAX_AMOUNT:
        raise BadLineError(f"{what} {text[:32]!r} is no number of bytes")
    return int(text)


def first_of(names: Iterable[str], known: Container[str]) -> str | None:
    """The first of the names that is known."""
    return next((name for name in names if name in known), None)


def csv_reader(columns: int, separator: str, quote: str) -> str:
    """DuckDB's reader of so many columns c0, c1… of text; nothing about it is guessed, and a line that differs is an error.

    Neither a comment, nor an escape, nor a line that continues is known to it.
    """
    names = ", ".join(f"c{at}: 'VARCHAR'" for at in range(columns))
    return (
        f"read_csv('{{path}}', columns = {{{names}}}, delim = {quoted(separator)}, quote = {quoted(quote)}, escape = '', "
        "auto_detect = false, header = false, parallel = false, compression = 'none', strict_mode = true)"
    )
