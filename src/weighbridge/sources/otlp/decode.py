"""The body of an export to what is read of it, in either encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.sources.otlp import json, wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weighbridge.sources.otlp.logs import Record
    from weighbridge.sources.otlp.metrics import Metric

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MEDIA_TYPES = (PROTOBUF, JSON)


def read_metrics(body: bytes, media_type: str) -> list[Metric]:
    """The metrics of a body that count; their points are decoded while they are walked through.

    UnreadableError: here, or at a point. TooManyError: more than one export may hold.
    """
    if media_type == JSON:
        return json.read_metrics(body)
    from weighbridge.sources.otlp import protobuf  # noqa: PLC0415  40 ms and 3 MB, which the first export pays, not a start

    return protobuf.read_metrics(body)


def read_logs(body: bytes, media_type: str) -> Iterable[Record]:
    """The records of a body that are read, decoded while they are walked through.

    UnreadableError: here, or at a record. TooManyError: more than one export may hold, likewise.
    """
    if media_type == JSON:
        return json.read_logs(body)
    from weighbridge.sources.otlp import protobuf  # noqa: PLC0415  as above

    return protobuf.read_logs(body)


def check_export(body: bytes, media_type: str) -> None:
    """The body is a message of its media type, as far as its outermost level tells. UnreadableError, TooManyError."""
    if media_type == JSON:
        json.check_message(body)
    else:
        wire.check_message(body)
