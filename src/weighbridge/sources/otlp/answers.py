"""What an export hears: a response of OTLP, or a google.rpc.Status, encoded as the request was.

Source: OTLP specification, OTLP/HTTP Response; google/rpc/status.proto and code.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.errors import StorageError, WeighbridgeError
from weighbridge.http.failures import status_of
from weighbridge.http.route import Answer, Documented
from weighbridge.sources.otlp.decode import JSON, PROTOBUF
from weighbridge.sources.otlp.wire import write_bytes, write_number

if TYPE_CHECKING:
    from weighbridge.http.route import Call

_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 3, 415: 3, 422: 3, 429: 8, 503: 14}
"""The numbers of google.rpc.Code by HTTP status."""
_INTERNAL, _UNAVAILABLE = 500, 503
RETRY_S = 1
"""When an export is welcome again. OpenTelemetry's SDKs try for 10 s in all and throw the data away at once where
Retry-After is longer than what is left of them: a second leaves room for several attempts."""


def media_type_of(call: Call) -> str:
    """The media type of a request's body, in lower case and without parameters; empty where it has none."""
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def answer_export(media_type: str, rejected: int = 0, sentence: str = "") -> Answer:
    """The export was taken, but for `rejected` of its data points, for the reasons in `sentence`."""
    is_plain = not (rejected or sentence)
    if media_type == JSON:
        partial = {"partialSuccess": {"rejectedDataPoints": str(rejected), "errorMessage": sentence}}
        return Answer(200, b"{}" if is_plain else msgspec.json.encode(partial), JSON)
    message = write_number(1, rejected) + write_bytes(2, sentence.encode("utf-8", "replace"))
    return Answer(200, b"" if is_plain else write_bytes(1, message), PROTOBUF)


def refuse(call: Call, exc: Exception) -> Answer:
    """The answer to an error. A fault of ours is 503, never 500: clients throw away what a 500 refused."""
    status = status_of(exc)
    if status == _INTERNAL:
        status = _UNAVAILABLE
    headers = (("Retry-After", str(RETRY_S)),) if status == _UNAVAILABLE else ()
    code, detail = _CODES.get(status, _CODES[400]), _detail(exc)
    if media_type_of(call) == PROTOBUF:
        message = write_number(1, code) + write_bytes(2, detail.encode("utf-8", "replace"))
        return Answer(status, message, PROTOBUF, headers)
    return Answer(status, msgspec.json.encode({"code": code, "message": detail}), JSON, headers)


def _detail(exc: Exception) -> str:
    """A sentence that gives nothing of the machine away: paths of a store at fault are for the log."""
    if isinstance(exc, StorageError):
        return "a store is at fault; nothing was kept, try again later"
    if status_of(exc) == _INTERNAL or not isinstance(exc, WeighbridgeError):
        return "something went wrong here; nothing was kept, try again later"
    return str(exc)


_BINARY = {"type": "string", "format": "binary"}
STATUS = Documented(
    "An error (google.rpc.Status)",
    {
        JSON: {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "integer", "description": "A number of google.rpc.Code"},
                "message": {"type": "string", "description": "What is wrong, for a person"},
            },
        },
        PROTOBUF: _BINARY,
    },
    {"code": 16, "message": "a write token of an app is needed here"},
)
"""How errors look, in JSON where the request was not in protobuf."""
TAKEN = Documented(
    "Taken; what it reports is on disk",
    {
        JSON: {
            "type": "object",
            "properties": {
                "partialSuccess": {
                    "type": "object",
                    "properties": {
                        "rejectedDataPoints": {"type": "string", "description": "How many points were not counted"},
                        "errorMessage": {"type": "string", "description": "Why, for a person"},
                    },
                },
            },
        },
        PROTOBUF: _BINARY,
    },
    {},
)
"""How success looks, encoded as the request was."""
