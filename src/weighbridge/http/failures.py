"""Errors that only HTTP knows; dialects word them like those of domain/errors.py.

    WeighbridgeError
    └── HttpFailure
        ├── NoRouteError            404: nothing at this path
        ├── WrongMethodError        405
        ├── TooLargeError           413
        ├── WrongContentTypeError   415
        ├── RateLimitedError        429
        └── InternalError           500: our fault; the log has the rest
"""

from __future__ import annotations

from weighbridge.domain.errors import WeighbridgeError


class HttpFailure(WeighbridgeError):
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
