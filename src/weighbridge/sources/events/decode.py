"""Bodies of usage events to events: CloudEvents 1.0 in JSON, alone, in an array, or one a line.

Source: CloudEvents 1.0 JSON format and its batch format; NDJSON for what has no end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from weighbridge.measurement import Event, EventData, Rejection, RejectReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_EVENTS = 10_000
"""Events of one body (CONTRACT part 3)."""
SHOWN = 300
"""Characters of a decoder's complaint that are passed on."""

CONTENT_TYPES = (
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-ndjson",
    "application/json",
)


class UnreadableError(Exception):
    """The body cannot be parsed; nothing of it is kept. The sentence says where it breaks."""


class UnknownTypeError(Exception):
    """The content type is none of CONTENT_TYPES."""


class TooManyError(Exception):
    """More than MAX_EVENTS in one body."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a body holds: well-formed events, where each stood (None: event i at i), and those that are not."""

    events: Sequence[Event]
    indexes: Sequence[int] | None = None
    refused: tuple[Rejection, ...] = ()


class _Hint(msgspec.Struct):
    """Just enough of a malformed event to name it."""

    id: str | None = None


_HINTS = {
    "$.data": f"known there: {', '.join(EventData.__struct_fields__)}",
    "$.data.counter_bits": "write 64 or 32",
    "$.data.since": "write it like 2025-12-14T16:00:00Z",
    "$.specversion": "write 1.0",
    "$.time": "write it like 2025-12-14T16:00:00Z",
    "$.type": "write weighbridge.usage or weighbridge.reading",
}
"""What would be right, where the decoder says only what is wrong; by the place that it names."""

_one = msgspec.json.Decoder(Event)
_many = msgspec.json.Decoder(list[Event])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_hint = msgspec.json.Decoder(_Hint)
_any = msgspec.json.Decoder()


def decode(body: bytes, content_type: str) -> Decoded:
    """The events of a body, or UnreadableError, UnknownTypeError, TooManyError. `content_type` may have parameters."""
    reader = _READERS.get(content_type.partition(";")[0].strip().lower())
    if reader is None:
        raise UnknownTypeError
    try:
        return reader(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(str(error)[:SHOWN]) from error
    except RecursionError as error:
        detail = "nested too deeply"
        raise UnreadableError(detail) from error


def _read_either(body: bytes) -> Decoded:
    first = body.lstrip(b" \t\r\n")[:1]
    if first == b"[":
        return _read_batch(body)
    if first == b"{":
        return _read_one(body)
    _any.decode(body)  # says where it is no JSON
    detail = "wants a JSON object or an array of objects"
    raise UnreadableError(detail)


def _read_one(body: bytes) -> Decoded:
    try:
        return Decoded((_one.decode(body),))
    except msgspec.ValidationError:
        if body.lstrip(b" \t\r\n")[:1] != b"{":
            _any.decode(body)
            detail = "wants one JSON object; an array goes as application/cloudevents-batch+json"
            raise UnreadableError(detail) from None
        return _read_singly([body])


def _read_batch(body: bytes) -> Decoded:
    try:
        events = _many.decode(body)
    except msgspec.ValidationError:
        if body.lstrip(b" \t\r\n")[:1] != b"[":
            _any.decode(body)
            detail = "wants a JSON array; a single event goes as application/cloudevents+json"
            raise UnreadableError(detail) from None
        return _read_singly(_raws.decode(body))
    _check_count(len(events))
    return Decoded(events)


def _read_lines(body: bytes) -> Decoded:
    if body.count(b"\n") > 2 * MAX_EVENTS:
        raise TooManyError
    numbered = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    lines = []
    for number, line in numbered:
        try:
            lines.append(_one_line(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            detail = f"line {number}: {error}"[:SHOWN]
            raise UnreadableError(detail) from error
    return _gather(lines)


def _read_singly(raws: Sequence[bytes | msgspec.Raw]) -> Decoded:
    _check_count(len(raws))
    return _gather([_one_line(raw) for raw in raws])


def _one_line(raw: bytes | msgspec.Raw) -> Event | tuple[str, str | None]:
    """The event, or why it is none and its id if it has one. DecodeError: no JSON."""
    try:
        return _one.decode(raw)
    except msgspec.ValidationError as error:
        complaint = _complaint(error)
    _any.decode(raw)
    try:
        return complaint, _hint.decode(raw).id
    except msgspec.ValidationError:
        return complaint, None


def _complaint(error: msgspec.ValidationError) -> str:
    """What is wrong, where, and, if the decoder does not say it, what would be right."""
    told = str(error)[:SHOWN]
    hint = _HINTS.get(told.rpartition(" - at `")[2].removesuffix("`"))
    return told if hint is None else f"{told}; {hint}"


def _gather(found: Sequence[Event | tuple[str, str | None]]) -> Decoded:
    _check_count(len(found))
    events: list[Event] = []
    indexes: list[int] = []
    refused: list[Rejection] = []
    for index, item in enumerate(found):
        if isinstance(item, Event):
            events.append(item)
            indexes.append(index)
        else:
            complaint, event_id = item
            refused.append(Rejection(index, event_id, RejectReason.INVALID, complaint))
    return Decoded(events, indexes if refused else None, tuple(refused))


def _check_count(count: int) -> None:
    if count > MAX_EVENTS:
        raise TooManyError


_READERS: dict[str, Callable[[bytes], Decoded]] = {
    "application/cloudevents+json": _read_one,
    "application/cloudevents-batch+json": _read_batch,
    "application/x-ndjson": _read_lines,
    "application/json": _read_either,
}
