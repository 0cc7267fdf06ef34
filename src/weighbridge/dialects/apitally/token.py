"""The token that continues a list, bound to its query: where the next page begins, and of a range also where it ends.

It grants nothing that the key may not see anyway; its digest only keeps it from being used with another question.
"""

from __future__ import annotations

import base64
import binascii
import struct
from hashlib import blake2b
from typing import NamedTuple

from weighbridge.domain.units import SLOT_S

MAX_LENGTH = 1024
"""Longest text that is looked at as a token: the vendor's bound."""

_RANGE = struct.Struct(">Bqq")
_PLACE = struct.Struct(">Bq")
_RANGE_KIND, _PLACE_KIND = 1, 2
_DIGEST_BYTES = 16


class Rest(NamedTuple):
    """What is still to be listed: [start_s, end_s)."""

    start_s: int
    end_s: int


def write_token(query: bytes, rest: Rest) -> str:
    """The token for the rest of the range that `query` asks for."""
    return _seal(query, _RANGE.pack(_RANGE_KIND, *rest))


def read_token(query: bytes, text: str) -> Rest:
    """The rest that a token speaks of. ValueError: it was made for another query, or not here."""
    kind, *rest = _open(query, text, _RANGE)
    found = Rest(*rest)
    if kind != _RANGE_KIND or found.start_s % SLOT_S or found.end_s % SLOT_S:
        raise ValueError(text)
    return found


def write_place(query: bytes, last: int) -> str:
    """The token for what comes behind the object with the id `last`, in the list that `query` asks for."""
    return _seal(query, _PLACE.pack(_PLACE_KIND, last))


def read_place(query: bytes, text: str) -> int:
    """The id of the last object before the page. ValueError: the token was made for another query, or not here."""
    kind, last = _open(query, text, _PLACE)
    if kind != _PLACE_KIND:
        raise ValueError(text)
    return last


def _seal(query: bytes, content: bytes) -> str:
    digest = blake2b(content + query, digest_size=_DIGEST_BYTES, person=b"apitally-page").digest()
    return base64.urlsafe_b64encode(content + digest).decode().rstrip("=")


def _open(query: bytes, text: str, layout: struct.Struct) -> tuple[int, ...]:
    try:
        given = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = layout.unpack(given[: layout.size])
    except (UnicodeEncodeError, binascii.Error, struct.error):
        raise ValueError(text) from None
    if _seal(query, given[: layout.size]) != text:
        raise ValueError(text)
    return found
