"""The wire format of protobuf: where the fields of a message lie, without parsing them, and small messages to bytes.

A parser makes an object of every empty message: 16 MiB of them take 900 MB. Walking takes nothing, so that whole subtrees
are passed over, and what is parsed is parsed in small parts. Source: the protobuf encoding guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.sources.otlp.metrics import TooManyError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FIELDS = 1_000_000
"""Fields of one body that are looked at, attributes included: a second or two of work. A body has fewer, at 16 bytes each."""

NUMBER = -1
"""In the place of a field's end: the field is a number, not a stretch of bytes."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CONTINUES = 0x80
_VARINT_BITS = 64


class Walk:
    """A body on which fields are looked up; all walks over it have one bound together."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._left = MAX_FIELDS

    def fields(self, at: int, past: int) -> Iterator[tuple[int, int, int]]:
        """(number, start, end) of each field of the message at [at, past), or (number, value, NUMBER).

        Fields of a fixed size are checked and passed over. UnreadableError: this is no message. TooManyError.
        """
        body = self.body
        while at < past:
            self.spend(1)
            tag, at = self._varint(at, past)
            kind, number = tag & 7, tag >> 3
            if kind == _BYTES:
                size, at = self._varint(at, past)
                end = at + size
                if end > past or number == 0:
                    raise _broken(at)
                yield number, at, end
                at = end
            elif kind == _VARINT and number:
                value, at = self._varint(at, past)
                yield number, value, NUMBER
            elif kind in (_FIXED64, _FIXED32) and number:
                at += 8 if kind == _FIXED64 else 4
            else:  # groups, which no message of OpenTelemetry has, or nothing known
                raise _broken(at)
        if at != past:
            raise _broken(len(body))

    def spend(self, fields: int) -> None:
        """So many fields more are looked at. TooManyError."""
        self._left -= fields
        if self._left < 0:
            raise TooManyError(f"the body has more than {MAX_FIELDS:,} fields; send it in several requests")

    def _varint(self, at: int, past: int) -> tuple[int, int]:
        body = self.body
        value = shift = 0
        while at < past:
            byte = body[at]
            at += 1
            if byte < _CONTINUES:
                value |= byte << shift
                if value >> _VARINT_BITS:
                    break
                return value, at
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift >= _VARINT_BITS + 6:
                break
        raise _broken(at)


def check_message(body: bytes) -> None:
    """The body is a message, as far as its outermost fields tell. UnreadableError, TooManyError."""
    for _ in Walk(body).fields(0, len(body)):
        pass


def write_number(number: int, value: int) -> bytes:
    """A field that holds an integer from 0 to 2^64 - 1; nothing for 0, which is what its absence says."""
    return _write_varint(number << 3 | _VARINT) + _write_varint(value) if value else b""


def write_bytes(number: int, value: bytes) -> bytes:
    """A field that holds a text, or a message."""
    return _write_varint(number << 3 | _BYTES) + _write_varint(len(value)) + value


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value >= _CONTINUES:
        written.append(value & 0x7F | _CONTINUES)
        value >>= 7
    written.append(value)
    return bytes(written)


def _broken(at: int) -> UnreadableError:
    return UnreadableError(f"no protobuf message: it breaks at byte {at}")
