"""Errors in our own words: problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.errors import (
    ConflictError,
    InvalidDocumentError,
    InvalidInputError,
    StorageError,
    WeighbridgeError,
)
from weighbridge.http.failures import status_of
from weighbridge.http.route import Answer

if TYPE_CHECKING:
    from weighbridge.http.route import Call

PROBLEM_TYPE = "application/problem+json"


def refuse(_call: Call, exc: Exception) -> Answer:
    """The answer to an error: `type`, `title`, `status`, `detail`, and `where` or `errors` where the error has them."""
    status = status_of(exc)
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _detail(exc),
    }
    if isinstance(exc, InvalidInputError | ConflictError) and exc.where is not None:
        problem["where"] = exc.where
    if isinstance(exc, InvalidDocumentError):
        problem["errors"] = [
            {"detail": detail} if where is None else {"where": where, "detail": detail} for where, detail in exc.errors
        ]
    return Answer(status, msgspec.json.encode(problem), PROBLEM_TYPE)


def _detail(exc: Exception) -> str:
    """A sentence that gives nothing of the machine away: paths of a store at fault are for the log."""
    if isinstance(exc, StorageError):
        return "a store is at fault; nothing was kept, try again later"
    if isinstance(exc, WeighbridgeError):
        return str(exc)
    return "something went wrong here; the log has the rest"
