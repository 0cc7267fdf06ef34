"""One body of events to the server, and its answer."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from weighbridge import __version__
from weighbridge.reporter.settings import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.reporter.settings import Settings

EVENTS_PATH = "/api/v1/events"
ANSWER_BYTES = 4 * 1024 * 1024
"""Read of an answer: a thousand refusals with their sentences are a tenth of it."""
LONGEST_WAIT_S = 60.0
"""Between two tries: after a long outage the figures are there within a minute. Also as much as Retry-After may ask."""


class NoAnswerError(Exception):
    """Nothing came back, or no HTTP. The server may have taken the body all the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    retry_after_s: float | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: of how many events it says so, and which were refused (index, code, detail)."""

    accepted: int
    duplicates: int
    refused: tuple[tuple[int, str, str], ...]


class Post:
    """A connection of its own for each body: one a minute, and none that a firewall has forgotten meanwhile."""

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.url)
        self.origin = origin(settings.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if parts.scheme == "https":  # once: reading who is trusted takes tens of milliseconds, in which the app stands still
            self._connect = partial(http.client.HTTPSConnection, context=ssl.create_default_context())
        self._path = parts.path.rstrip("/") + EVENTS_PATH
        self._headers = {
            "Authorization": f"Bearer {settings.key}",
            "Content-Type": "application/cloudevents-batch+json",
            "Content-Encoding": "gzip",
            "User-Agent": f"weighbridge-middleware/{__version__}",
            "Connection": "close",
        }

    def __call__(self, body: bytes, timeout_s: float) -> Answer:
        """The answer. NoAnswerError: there is none. `timeout_s` bounds each wait for the network, not their sum."""
        connection = self._connect(self._host, self._port, timeout=timeout_s)
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            return Answer(response.status, _retry_after_s(response.getheader("Retry-After")), response.read(ANSWER_BYTES))
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise NoAnswerError(str(error) or type(error).__name__) from error
        finally:
            connection.close()


def read_receipt(answer: Answer, events: int) -> Receipt | None:
    """The receipt for that many events; None if the answer is none: a login page says 200 too, and proves nothing."""
    if answer.status != http.client.OK:
        return None
    try:
        found: Any = json.loads(answer.content)
        refused = tuple((int(each["index"]), str(each["code"]), str(each["detail"])) for each in found["rejected"])
        receipt = Receipt(int(found["accepted"]), int(found["duplicates"]), refused)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    indexes = {index for index, _, _ in refused}
    is_whole = receipt.accepted + receipt.duplicates + len(refused) == events
    return receipt if is_whole and len(indexes) == len(refused) and indexes <= set(range(events)) else None


def _retry_after_s(text: str | None) -> float | None:
    """Seconds, within bounds; None for a date, or nonsense."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 10  # noqa: PLR2004  30 years in seconds
    return min(float(text or ""), LONGEST_WAIT_S) if is_number else None
