"""Errors that only HTTP knows; dialects word them like those of domain/errors.py.

    WeighbridgeError
    ├── InvalidInputError
    │   └── UnreadableBodyError     400: the body cannot be parsed at all
    └── HttpFailure
        ├── NoRouteError            404: nothing at this path
        ├── WrongMethodError        405
        ├── TooLargeError           413
        ├── WrongContentTypeError   415
        ├── RateLimitedError        429
        └── InternalError           500: our fault; the log has the rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain.errors import (
    BusyError,
    ConflictError,
    InvalidInputError,
    NotAuthenticatedError,
    NotPermittedError,
    NotVisibleError,
    StorageError,
    WeighbridgeError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

STORAGE_RETRY_S = 5
"""When to come back after a store was at fault: enough for a disk that stalls, and short for a sender's queue."""


class UnreadableBodyError(InvalidInputError):
    """The body cannot be parsed at all (no JSON, a gzip cut off): 400, where a body that says wrong things is 422."""


class HttpFailure(WeighbridgeError):  # noqa: N818  a root: its members are the errors
    """Root of the errors that only HTTP knows."""


class NoRouteError(HttpFailure):
    """Nothing is at this path."""


class WrongMethodError(HttpFailure):
    """The path exists, the method does not. `allowed` are the ones that do."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"use {' or '.join(allowed)} here")
        self.allowed = allowed


class TooLargeError(HttpFailure):
    """The body, or the number of things in it, is over the limit."""


class WrongContentTypeError(HttpFailure):
    """The content type or encoding of the body is not one that this route takes."""


class RateLimitedError(HttpFailure):
    """Too many calls. `retry_after_s` says when the next one is welcome."""

    def __init__(self, retry_after_s: int, limit: int, window_s: int) -> None:
        super().__init__(f"too many requests: {limit} in {window_s} s; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s
        self.limit = limit
        self.window_s = window_s


class InternalError(HttpFailure):
    """Our fault. The answer says no more than that; the log does."""


_STATUS: Mapping[type[Exception], int] = {
    InvalidInputError: 422,
    UnreadableBodyError: 400,
    NotAuthenticatedError: 401,
    NotPermittedError: 403,
    NotVisibleError: 404,
    NoRouteError: 404,
    WrongMethodError: 405,
    ConflictError: 409,
    TooLargeError: 413,
    WrongContentTypeError: 415,
    RateLimitedError: 429,
    BusyError: 503,
    StorageError: 503,
}


def status_of(exc: Exception) -> int:
    """The HTTP status of an error, by its nearest ancestor in the table; 500 for what is not in it."""
    for kind in type(exc).__mro__:
        status = _STATUS.get(kind)
        if status is not None:
            return status
    return 500


def retry_after_s(exc: Exception) -> int | None:
    """After how many seconds the same request may succeed, at least 1; None where waiting does not help."""
    if isinstance(exc, RateLimitedError | BusyError):
        return max(1, exc.retry_after_s)
    return STORAGE_RETRY_S if isinstance(exc, StorageError) else None
