"""How the hub words what went wrong: `{"detail": …}` as FastAPI does.

What the clients make of a status (docs/api-clients.md): 404 ends them, 422 drops what was sent, all else is sent again. So
a body that can never be taken is 422, also where its encoding is at fault, and 404 means the client id or the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.errors import InvalidInputError, NotVisibleError, StorageError
from weighbridge.http.failures import NoRouteError, UnreadableBodyError, WrongMethodError, status_of
from weighbridge.http.route import Answer, Documented
from weighbridge.sources.hub.decode import Fault, InvalidBodyError

if TYPE_CHECKING:
    from weighbridge.http.route import Call

_UNPROCESSABLE = 422
_INTERNAL = 500

CLIENT_ID, ENVIRONMENT = "client id", "environment"
_SENTENCES = {
    CLIENT_ID: "no app has this client id; give it to one in the catalog, as its client_id",
    ENVIRONMENT: "an environment's name is 1 to 32 letters, digits, _ and -",
}


def refuse(_call: Call, error: Exception) -> Answer:
    """The answer to an error."""
    status = _UNPROCESSABLE if isinstance(error, UnreadableBodyError) else status_of(error)
    detail: Any = _sentence(error, status)
    if isinstance(error, InvalidBodyError):
        detail = error.faults
    elif isinstance(error, InvalidInputError):
        detail = (Fault("value_error", ("body",) if error.where is None else ("query", error.where), error.detail),)
    return Answer(status, msgspec.json.encode({"detail": detail}))


def _sentence(error: Exception, status: int) -> str:
    if isinstance(error, NotVisibleError):
        return _SENTENCES.get(error.kind, str(error))
    if isinstance(error, NoRouteError):
        return "Not Found"
    if isinstance(error, WrongMethodError):
        return "Method Not Allowed"
    if status == _INTERNAL:
        return "Internal Server Error"
    if isinstance(error, StorageError):  # paths on the disk are for the log
        return "a store is at fault; nothing was counted, send it again later"
    return str(error)


ERROR = Documented(
    "An error",
    {"application/json": {
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": {"type": "string", "description": "What went wrong, for a person"}},
    }},
    {"detail": _SENTENCES[CLIENT_ID]},
)
"""Every status but 422."""
VALIDATION_ERROR = Documented(
    "What is wrong with the body; nothing of it was counted",
    {"application/json": {
        "type": "object",
        "required": ["detail"],
        "properties": {
            "detail": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["type", "loc", "msg"],
                    "properties": {
                        "type": {"type": "string"},
                        "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                        "msg": {"type": "string"},
                    },
                },
            },
        },
    }},
    {"detail": [
        {"type": "value_error", "loc": ["body", "requests", 0, "request_count"], "msg": "Expected `int` >= 0"},
    ]},
)
"""Status 422."""
