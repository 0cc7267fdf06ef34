"""Whose traffic a request is: its environment, consumer, method and route template, as the server takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weighbridge.reporter.settings import MAX_NAME, is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weighbridge.reporter.complaints import Complaints
    from weighbridge.reporter.tally import Key

MAX_PATH = 1024
"""Longest path that the server takes, in characters."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"))
"""A client may make up any word; those that it makes up are no series of their own."""


class Dimensions:
    """Names requests. Nothing that the app's own `consumer` or a framework's insides do comes out as an exception."""

    def __init__(self, environment: str, consumer: Callable[[Any], str | None] | None, complaints: Complaints) -> None:
        self._environment = environment
        self._consumer = consumer
        self._complaints = complaints

    def key(self, request: Mapping[str, Any], method: str, template: Callable[[], str | None]) -> Key:
        """The key of a request: its ASGI scope or WSGI environ, its method, and what finds its route template."""
        consumer = None if self._consumer is None else self._ask_consumer(self._consumer, request)
        path = self._ask_template(template) if method in METHODS else None
        return (self._environment, consumer, None if path is None else method, path)

    def _ask_consumer(self, consumer: Callable[[Any], object], request: Mapping[str, Any]) -> str | None:
        try:
            found = consumer(request)
        except Exception as error:  # noqa: BLE001  the app's own code: whatever it raises must not end the request
            self._complaints.tell("consumer", f"`consumer` raised {error!r}; such requests count without a consumer")
            return None
        if found is None or found == "":
            return None
        text = str(found) if isinstance(found, str | int) else ""
        if is_text(text, MAX_NAME):
            return text
        if hasattr(found, "close"):  # a coroutine, which would complain that nobody awaited it
            found.close()
        what = "a longer or unprintable text" if text else type(found).__name__
        self._complaints.tell("consumer", f"`consumer` must give a text of at most {MAX_NAME} characters or None, not {what}")
        return None

    def _ask_template(self, template: Callable[[], str | None]) -> str | None:
        try:
            path = template()
        except Exception as error:  # noqa: BLE001  a framework's insides, which change: the request must not end by it
            self._complaints.tell("template", f"no route template could be found ({error!r}); requests count without endpoint")
            return None
        return path if isinstance(path, str) and is_text(path, MAX_PATH) else None
