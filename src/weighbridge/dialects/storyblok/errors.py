"""How this dialect words what went wrong: `{"error": …}`, and for a parameter `{"start_date": ["is invalid"]}`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.errors import InvalidInputError, NotPermittedError
from weighbridge.http.failures import RateLimitedError, status_of
from weighbridge.http.route import Answer, Documented

if TYPE_CHECKING:
    from weighbridge.http.route import Call

_UNPROCESSABLE = 422


def refuse(_call: Call, error: Exception) -> Answer:
    """The vendor's answer to an error."""
    status = status_of(error)
    if isinstance(error, InvalidInputError) and status == _UNPROCESSABLE:
        return Answer(status, msgspec.json.encode({error.where or "base": [error.detail]}))
    told = isinstance(error, NotPermittedError | RateLimitedError)
    sentence = str(error) if told else HTTPStatus(status).phrase
    return Answer(status, msgspec.json.encode({"error": sentence}))


ERROR_SCHEMA = {
    "title": "Error",
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {"error": {"type": "string", "description": "What went wrong"}},
}
INVALID_SCHEMA = {
    "title": "InvalidParameters",
    "type": "object",
    "minProperties": 1,
    "description": "What is wrong, by the name of the parameter",
    "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string"}},
}
ERROR = Documented("An error", {"application/json": ERROR_SCHEMA}, example={"error": "Unauthorized"})
INVALID = Documented(
    "A parameter is wrong", {"application/json": INVALID_SCHEMA}, example={"start_date": ["is invalid"]}
)
