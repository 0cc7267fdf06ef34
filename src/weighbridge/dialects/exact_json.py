"""JSON without a largest integer: sums are exact however large, and msgspec stops at 64 bits."""

from __future__ import annotations

import json

import msgspec


def encode(value: object) -> bytes:
    """`value` (structs, dicts, lists, …) as JSON; integers beyond 64 bits take the slow way."""
    try:
        return msgspec.json.encode(value)
    except OverflowError:
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":")).encode()
