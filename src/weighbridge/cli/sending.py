"""Batches of events to the server, again and again until each is answered: the same ids never count twice."""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weighbridge.cli.client import failure_of
from weighbridge.cli.failures import CommandError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from weighbridge.cli.client import Client

BATCH_EVENTS = 5_000
"""Half of what the server takes at once: large enough that a round trip costs nothing, small enough to be repeated."""
BATCH_BYTES = 8 * 1024 * 1024
"""Half of what the server takes at once, before gzip."""
ATTEMPTS = 12
"""Times a batch is sent before it is given up: with the waits below some five minutes."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
GZIP_LEVEL = 1
"""Level 6 takes four times as long for a tenth less."""


class BusyServerError(CommandError):
    """The server takes nothing right now; `wait_s` is how long it asks to wait, if it does."""

    def __init__(self, message: str, wait_s: float | None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(slots=True)
class Counts:
    """What became of the rows of a file so far."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0


@dataclass(slots=True)
class Refusal:
    """A row that was not kept, and why. `number` counts data rows from 1."""

    number: int
    line: int
    id: str | None
    code: str
    detail: str
    content: object = field(default=None)


def send(
    client: Client,
    body: bytes,
    *,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """The server's receipt for a batch, a JSON array of events; see `send_packed`."""
    return send_packed(client, gzip.compress(body, GZIP_LEVEL), sleep=sleep, tell=tell)


def send_packed(
    client: Client,
    content: bytes,
    *,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """The server's receipt for a batch, a gzipped JSON array of events.

    Waits and repeats while the server is busy, limits calls or cannot be reached. CommandError with the right exit
    code: it was refused, or ATTEMPTS were not enough.
    """
    failure: CommandError = UnreachableError("never sent")
    for attempt in range(ATTEMPTS):
        wait_s = min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S)
        try:
            return send_once(client, content)
        except UnreachableError as error:
            failure = error
        except BusyServerError as error:
            failure = error
            wait_s = wait_s if error.wait_s is None else error.wait_s
        if attempt + 1 < ATTEMPTS:
            tell(f"{failure.message}; once more in {wait_s:g} s")
            sleep(wait_s)
    raise failure


def send_once(
    client: Client,
    content: bytes,
    *,
    path: str = "/api/v1/events",
    content_type: str = "application/cloudevents-batch+json",
    **more: Any,  # noqa: ANN401  options of httpx
) -> dict[str, Any]:
    """The server's receipt for a gzipped body: a JSON array of events, unless `path` takes others.

    UnreachableError or BusyServerError: send it again. CommandError: it was refused.
    """
    headers = {"Content-Type": content_type, "Content-Encoding": "gzip"}
    answer = client.try_once("POST", path, content=content, headers=headers, **more)
    if answer.is_success:
        return _receipt(answer)
    failure = failure_of(answer, client.url)
    if answer.status_code in (429, 502, 503, 504):
        raise BusyServerError(failure.message, _asked_wait_s(answer))
    raise failure


def _receipt(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise CommandError("the server answered a batch with something that is no receipt") from error
    if not isinstance(found, dict):
        raise CommandError("the server answered a batch with something that is no receipt")
    return found


def _asked_wait_s(answer: httpx.Response) -> float | None:
    """What the server asks for in Retry-After, within bounds; None where it asks for nothing."""
    asked = answer.headers.get("retry-after", "")
    return min(max(float(asked), 0.05), LONGEST_WAIT_S) if asked.isdigit() else None
