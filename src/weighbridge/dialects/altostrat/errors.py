"""How this dialect words what went wrong: `type`, `code`, `message` and a link to the code's documentation."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.errors import NotPermittedError, NotVisibleError
from weighbridge.http.failures import NoRouteError, RateLimitedError, WrongMethodError, status_of
from weighbridge.http.route import Answer, Documented

if TYPE_CHECKING:
    from weighbridge.http.route import Call

DOCS = "/api/reference"
"""The page of this server that documents the codes; a path, since only the caller knows by which name he reached it."""

_BAD_REQUEST, _SERVER_FAULT = 400, 500
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODES = {
    401: "unauthenticated",
    403: "insufficient_scope",
    404: "instance_not_found",
    405: "method_not_allowed",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "service_unavailable",
}


class ErrorResponse(msgspec.Struct, frozen=True):
    """Every error of this dialect."""

    type: str
    code: str
    message: str
    doc_url: str


def refuse(_call: Call, error: Exception) -> Answer:
    """The vendor's answer to an error."""
    status = status_of(error)
    code = "route_not_found" if isinstance(error, NoRouteError) else _CODES.get(status, "invalid_request")
    other = "api_error" if status >= _SERVER_FAULT else "invalid_request_error"
    body = ErrorResponse(_TYPES.get(status, other), code, _message(error, status), f"{DOCS}#errors-{code}")
    return Answer(status, msgspec.json.encode(body))


def _message(error: Exception, status: int) -> str:
    if isinstance(error, NotVisibleError):
        return "The specified instance was not found."
    if status == HTTPStatus.UNAUTHORIZED:
        return "A valid API key or token is needed, as Authorization: Bearer."
    told = isinstance(error, NotPermittedError | RateLimitedError | WrongMethodError | NoRouteError)
    if told or _BAD_REQUEST <= status < _SERVER_FAULT:
        return str(error)
    return f"{HTTPStatus(status).phrase}: try again later."  # what a store says of its files is for the log


ERROR_SCHEMA = {
    "title": "ErrorResponse",
    "type": "object",
    "required": ["type", "code", "message", "doc_url"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "description": "A broad category for the error."},
        "code": {"type": "string", "description": "A short, unique string identifying the specific error."},
        "message": {"type": "string", "description": "A human-readable description of what went wrong."},
        "doc_url": {
            "type": "string",
            "format": "uri-reference",
            "description": "A direct link to the documentation page for this specific error code, on this server.",
        },
    },
}
ERROR = Documented(
    "An error",
    {"application/json": ERROR_SCHEMA},
    example={
        "type": "not_found_error",
        "code": "instance_not_found",
        "message": "The specified instance was not found.",
        "doc_url": f"{DOCS}#errors-instance_not_found",
    },
)
