"""What lines add up to, as bodies of `POST /api/v1/events`. Their ids are fixed once and for ever."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from weighbridge.domain.timegrid import rfc3339
from weighbridge.measurement import MAX_AMOUNT, USAGE_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weighbridge.sources.log.decode import Sum

BODY_EVENTS: Final = 5_000
"""Half of what the server takes at once: large enough that a round trip costs nothing, small enough to be repeated."""
BODY_BYTES: Final = 8 * 1024 * 1024
"""Half of what the server takes at once, before gzip."""
GZIP_LEVEL: Final = 1
"""Level 6 takes four times as long for a tenth less."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Body:
    """Events as they are sent: a JSON array, gzip. `ids` begin with `name`."""

    number: int
    events: int
    content: bytes


def numbered_bodies(sums: Sequence[Sum], source: str, first: int) -> list[Body]:
    """Bodies with the numbers `first` and up; ids are `NUMBER/ROW`, rows counted from 0 in each body."""
    return [
        _body(first + at, [{**event, "id": f"{first + at}/{row}"} for row, event in enumerate(events)], source)
        for at, events in enumerate(_portions(sums))
    ]


def named_bodies(sums: Sequence[Sum], source: str, name: str) -> list[Body]:
    """Bodies whose ids are `NAME/ROW`, rows counted from 0 over all of them."""
    bodies: list[Body] = []
    row = 0
    for at, events in enumerate(_portions(sums)):
        bodies.append(_body(at, [{**event, "id": f"{name}/{row + n}"} for n, event in enumerate(events)], source))
        row += len(events)
    return bodies


def _body(number: int, events: list[dict[str, Any]], source: str) -> Body:
    content = b"[" + b",".join(_encode({"specversion": "1.0", "source": source, **event}) for event in events) + b"]"
    return Body(number, len(events), gzip.compress(content, GZIP_LEVEL, mtime=0))


def _portions(sums: Sequence[Sum]) -> Iterator[list[dict[str, Any]]]:
    """Events without ids, as many at a time as a body may hold. The same sums give the same portions."""
    portion: list[dict[str, Any]] = []
    size = 0
    for event in (event for each in sums for event in _events(each)):
        length = len(_encode(event)) + _ENVELOPE_BYTES
        if portion and (len(portion) == BODY_EVENTS or size + length > BODY_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(event)
        size += length
    if portion:
        yield portion


_ENVELOPE_BYTES: Final = 160
"""What id, source and specversion add to an event, at most."""


def _events(each: Sum) -> Iterator[dict[str, Any]]:
    """The events of a sum: one, unless an amount is larger than an event may tell."""
    place = {name: getattr(each, name) for name in ("environment", "consumer", "method", "path")}
    named = {name: value for name, value in place.items() if value is not None}
    left = {"requests": each.requests, "bytes_in": each.bytes_in, "bytes_out": each.bytes_out}
    while True:
        told = {name: min(amount, MAX_AMOUNT) for name, amount in left.items() if amount is not None}
        yield {"type": USAGE_TYPE, "subject": each.subject, "time": rfc3339(each.slot_s), "data": {**named, **told}}
        left = {name: amount - told[name] for name, amount in left.items() if amount is not None}
        if not any(left.values()):
            return
