"""POST /api/v1/events: a body of events to a receipt, sent once everything it reports is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weighbridge.http.delivery import deliver
from weighbridge.http.failures import TooLargeError, UnreadableBodyError, WrongContentTypeError
from weighbridge.http.route import Answer, Documented, Route
from weighbridge.measurement import MAX_AMOUNT, MAX_DURATION_S, MAX_NAME, MAX_PATH, RejectReason
from weighbridge.metering.accept import Batch
from weighbridge.metering.subjects import Sender
from weighbridge.model import Scope
from weighbridge.sources.events.decode import (
    CONTENT_TYPES,
    MAX_EVENTS,
    TooManyError,
    UnknownTypeError,
    UnreadableError,
    decode,
)

if TYPE_CHECKING:
    from weighbridge.http.route import Call
    from weighbridge.sources.events.decode import Decoded

MAX_BODY_BYTES = 16 * 1024 * 1024
"""After decoding (CONTRACT part 3)."""

_encode = msgspec.json.Encoder().encode


async def post_events(call: Call) -> Answer:
    """Takes a body of events; the answer is sent after the fsync."""
    decoded = _decode(call)
    sender = Sender(call.who.organization, call.who.project)
    batch = Batch(decoded.events, sender, decoded.indexes, decoded.refused)
    return Answer(200, _encode(await deliver(call.services.intake, batch)))


def _decode(call: Call) -> Decoded:
    content_type = call.headers.get("content-type", "application/json")
    try:
        return decode(call.body, content_type)
    except UnknownTypeError as error:
        detail = f"Content-Type {content_type!r} is none of {', '.join(CONTENT_TYPES)}"
        raise WrongContentTypeError(detail) from error
    except TooManyError as error:
        detail = f"more than {MAX_EVENTS:,} events in one request; send them in several"
        raise TooLargeError(detail) from error
    except UnreadableError as error:
        detail = f"the body cannot be parsed, nothing of it was kept: {error}"
        raise UnreadableBodyError(detail) from error


def _amount(text: str) -> dict[str, object]:
    return {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_AMOUNT, "description": text}


def _total(text: str) -> dict[str, object]:
    return {"type": ["integer", "null"], "minimum": 0, "maximum": 2**64 - 1, "description": text}


_NAME = {"type": ["string", "null"], "minLength": 1, "maxLength": MAX_NAME}
_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "description": "Unique within its source, for ever."},
        "source": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
        "type": {"enum": ["weighbridge.usage", "weighbridge.reading"]},
        "subject": {
            "type": "string",
            "description": "server/ID, vpn/UUID, vpn/UUID/peer/ID, app/NUMBER or space/NUMBER",
        },
        "time": {"type": "string", "format": "date-time"},
        "data": {
            "type": "object",
            "properties": {
                "bytes_in": _amount("Bytes that the metered thing received; missing means unknown."),
                "bytes_out": _amount("Bytes that it sent."),
                "requests": _amount("Requests that it answered."),
                "duration_s": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_DURATION_S},
                "environment": _NAME | {"description": "Of an app: the name of the environment."},
                "consumer": _NAME | {"description": "Of an app: the identifier of who called."},
                "method": _NAME | {"description": "Of an app: the method of the endpoint, together with its path."},
                "path": {
                    "type": ["string", "null"], "minLength": 1, "maxLength": MAX_PATH,
                    "description": "Of an app: the endpoint, a route template. Of a space: the path of an asset.",
                },
                "bytes_in_total": _total("A reading's counter of bytes received."),
                "bytes_out_total": _total("A reading's counter of bytes sent."),
                "counter_bits": {"enum": [32, 64, None]},
                "counter": _NAME,
                "since": {"type": ["string", "null"], "format": "date-time"},
                "line_rate_bps": _amount("What the line carries, bits a second."),
            },
        },
    },
}
_BATCH = {"type": "array", "items": _EVENT, "maxItems": MAX_EVENTS}
_RECEIPT = {
    "type": "object",
    "required": ["accepted", "duplicates", "rejected"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 0},
        "duplicates": {"type": "integer", "minimum": 0},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "id", "code", "detail"],
                "properties": {
                    "index": {"type": "integer", "minimum": 0},
                    "id": {"type": ["string", "null"]},
                    "code": {"enum": [reason.value for reason in RejectReason]},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_EXAMPLE = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "edge-1",
    "type": "weighbridge.usage",
    "subject": "server/sv_A05EdQ50dvKYQ",
    "time": "2025-12-14T16:00:00Z",
    "data": {"bytes_in": 123, "bytes_out": 456, "requests": 7, "duration_s": 300},
}
_EXAMPLE_RECEIPT = {
    "accepted": 2,
    "duplicates": 1,
    "rejected": [
        {"index": 3, "id": "e-4", "code": "unknown_subject", "detail": "no server 'sv_x'; enter it into the catalog first"}
    ],
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/events",
        name="post_events",
        summary="Send usage and counter readings",
        description=(
            "CloudEvents 1.0, gzip or zstd if you like. The same source and id within an organization is the same event,"
            " whenever it comes again. The answer is sent after everything it reports is on disk; good events are kept when"
            " others of the batch are refused."
        ),
        handler=post_events,
        scope=Scope.INGEST,
        body=Documented(
            "One event, an array, or one a line",
            {
                "application/json": {"anyOf": [_EVENT, _BATCH]},
                "application/cloudevents+json": _EVENT,
                "application/cloudevents-batch+json": _BATCH,
                "application/x-ndjson": {"type": "string"},
            },
            _EXAMPLE,
        ),
        body_limit=MAX_BODY_BYTES,
        answers={200: Documented("What became of each event", {"application/json": _RECEIPT}, _EXAMPLE_RECEIPT)},
        sees=("server", "vpn", "peer", "app", "space"),
    ),
)
