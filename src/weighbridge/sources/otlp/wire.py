"""The wire format of protobuf: where the fields of a message lie, without parsing them, and small messages to bytes.

Walking takes no memory, so that whole subtrees are passed over, and what is parsed is parsed in small parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.http.wire import BYTES, VARINT, WireError, read_fields
from weighbridge.sources.otlp.metrics import TooManyError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FIELDS = 1_000_000
"""Fields of one body that are looked at, attributes included: a second or two of work. A body has fewer, at 16 bytes each."""

NUMBER = -1
"""In the place of a field's end: the field is a number, not a stretch of bytes."""

_CONTINUES = 0x80


class Walk:
    """A body on which fields are looked up; all walks over it have one bound together."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._left = MAX_FIELDS

    def fields(self, at: int, past: int) -> Iterator[tuple[int, int, int]]:
        """(number, start, end) of each field of the message at [at, past), or (number, value, NUMBER).

        Fields of a fixed size are checked and passed over. UnreadableError: this is no message. TooManyError.
        """
        try:
            for tag, start, end in read_fields(self.body, at, past):
                self.spend(1)
                kind, number = tag & 7, tag >> 3
                if kind == BYTES:
                    yield number, start, end
                elif kind == VARINT:
                    yield number, start, NUMBER
        except WireError as error:
            raise _broken(at) from error

    def spend(self, fields: int) -> None:
        """So many fields more are looked at. TooManyError."""
        self._left -= fields
        if self._left < 0:
            raise TooManyError(f"the body has more than {MAX_FIELDS:,} fields; send it in several requests")


def check_message(body: bytes) -> None:
    """The body is a message, as far as its outermost fields tell. UnreadableError, TooManyError."""
    for _ in Walk(body).fields(0, len(body)):
        pass


def write_number(number: int, value: int) -> bytes:
    """A field that holds an integer from 0 to 2^64 - 1; nothing for 0, which is what its absence says."""
    return _write_varint(number << 3 | VARINT) + _write_varint(value) if value else b""


def write_bytes(number: int, value: bytes) -> bytes:
    """A field that holds a text, or a message."""
    return _write_varint(number << 3 | BYTES) + _write_varint(len(value)) + value


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value >= _CONTINUES:
        written.append(value & 0x7F | _CONTINUES)
        value >>= 7
    written.append(value)
    return bytes(written)


def _broken(at: int) -> UnreadableError:
    return UnreadableError(f"no protobuf message: it breaks at byte {at}")
