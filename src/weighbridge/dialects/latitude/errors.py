"""Errors in Latitude.sh's words: JSON:API, `{"errors":[{"code","status","title","detail","source"?,"meta"}]}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.errors import InvalidInputError, NotVisibleError, StorageError, WeighbridgeError
from weighbridge.http.failures import RateLimitedError, retry_after_s, status_of
from weighbridge.http.route import Answer

if TYPE_CHECKING:
    from weighbridge.http.route import Call

CONTENT_TYPE = "application/vnd.api+json"
"""Of every answer; the vendor's SDKs refuse a 200 of any other type."""

_WORDS = {
    400: ("BAD_REQUEST", "Bad Request"),
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    404: ("NOT_FOUND", "Not Found"),
    405: ("METHOD_NOT_ALLOWED", "Method Not Allowed"),
    413: ("CONTENT_TOO_LARGE", "Content Too Large"),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type"),
    422: ("VALIDATION_ERROR", "Unprocessable Entity"),
    429: ("RATE_LIMIT_EXCEEDED", "Rate Limit Exceeded"),
    500: ("INTERNAL_SERVER_ERROR", "Internal Server Error"),
    503: ("SERVICE_UNAVAILABLE", "Service Unavailable"),
}
"""Code and title by status."""
_PARAMETERS = {"project": "filter[project]", "server": "filter[server]"}
"""What the vendor calls our fields."""


def refuse(_call: Call, exc: Exception) -> Answer:
    """The answer to an error; `source` where a parameter is at fault, `meta.retry_after` where waiting helps."""
    status = status_of(exc)
    code, title = _WORDS.get(status, _WORDS[500])
    error: dict[str, Any] = {"code": code, "status": str(status), "title": title, "detail": _detail(exc)}
    parameter = _parameter(exc)
    if parameter is not None:
        error["source"] = {"parameter": parameter}
    wait_s = retry_after_s(exc)
    error["meta"] = {} if wait_s is None else {"retry_after": wait_s}
    return Answer(status, msgspec.json.encode({"errors": [error]}), CONTENT_TYPE)


def _parameter(exc: Exception) -> str | None:
    if isinstance(exc, InvalidInputError) and exc.where is not None:
        return _PARAMETERS.get(exc.where, exc.where)
    return _PARAMETERS.get(exc.kind) if isinstance(exc, NotVisibleError) else None


def _detail(exc: Exception) -> str:
    """A sentence that gives nothing of the machine away: paths of a store at fault are for the log."""
    if isinstance(exc, RateLimitedError):
        return "Too many requests. Please slow down and retry."
    if isinstance(exc, StorageError):
        return "A store is at fault; try again later."
    if isinstance(exc, WeighbridgeError):
        return str(exc)
    return "Something went wrong here; the log has the rest."
