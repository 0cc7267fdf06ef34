"""The token that continues a list: where the next page begins and where the list ends, bound to its query.

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

_VERSION = 1
_LAYOUT = struct.Struct(">Bqq")
_DIGEST_BYTES = 16


class Rest(NamedTuple):
    """What is still to be listed: [start_s, end_s)."""

    start_s: int
    end_s: int


def write_token(query: bytes, rest: Rest) -> str:
    """The token for the rest of the list that `query` asks for."""
    content = _LAYOUT.pack(_VERSION, *rest)
    return base64.urlsafe_b64encode(content + _digest(query, content)).decode().rstrip("=")


def read_token(query: bytes, text: str) -> Rest:
    """The rest that a token speaks of. ValueError: it was made for another query, or not here."""
    try:
        given = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, *rest = _LAYOUT.unpack(given[: _LAYOUT.size])
    except (UnicodeEncodeError, binascii.Error, struct.error):
        raise ValueError(text) from None
    found = Rest(*rest)
    aligned = not found.start_s % SLOT_S and not found.end_s % SLOT_S
    if version != _VERSION or not aligned or write_token(query, found) != text:
        raise ValueError(text)
    return found


def _digest(query: bytes, content: bytes) -> bytes:
    return blake2b(content + query, digest_size=_DIGEST_BYTES, person=b"apitally-page").digest()
