"""POST /api/v1/write: what Prometheus and its kin send, as readings of counters; answered once they are on disk.

A sender drops what is answered 4xx and repeats what is answered 5xx or 429: so what is wrong with a single series never
becomes a 4xx of its batch, and trouble of our own never becomes one either.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from weighbridge.domain.errors import BusyError
from weighbridge.http.delivery import deliver
from weighbridge.http.failures import TooLargeError, UnreadableBodyError, WrongContentTypeError
from weighbridge.http.route import Answer, Documented, Route
from weighbridge.measurement import RejectReason
from weighbridge.metering.messages import Message
from weighbridge.metering.subjects import Sender
from weighbridge.model import Scope
from weighbridge.sources.remote_write.accounts import Accounts
from weighbridge.sources.remote_write.decode import (
    MEDIA_TYPE,
    V1,
    V2,
    TooManyError,
    UnknownTypeError,
    UnreadableError,
    message_of,
    read_series,
)
from weighbridge.sources.remote_write.mapping import Mapped, make_rules, map_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.http.route import Call
    from weighbridge.measurement import Receipt
    from weighbridge.metering.messages import Figure
    from weighbridge.sources.remote_write.mapping import Rules
    from weighbridge.sources.remote_write.settings import RemoteWriteSettings

SOURCE: Final = "remote_write"
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""After decoding: what Prometheus sends at once by default is half a megabyte."""
INLINE_BYTES: Final = 4 * 1024
"""Bodies up to this size, 20 series of 1.0 or 100 of 2.0, are read on the event loop in a millisecond or two; larger ones
in a thread."""
MAX_READING: Final = 16
"""Large bodies that are held at once, 256 MB at worst. One is read at a time, since the interpreter lock allows no more."""
FIGURES_A_MESSAGE: Final = 1_000
"""Readings that are kept together: a commit of some 50 ms, and a message may span few enough slots (metering/messages.py)
also after an outage of two months."""


class RemoteWrite:
    """The source at work: its rules, and the accounts of what became of everything."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._accounts = Accounts()
        self._turn = asyncio.Semaphore(1)
        self._reading = 0

    async def post_write(self, call: Call) -> Answer:
        """Takes a body of series; the answer is sent after the fsync.

        WrongContentTypeError; UnreadableBodyError and TooLargeError: nothing was kept. BusyError, StorageError: send it
        again.
        """
        self._accounts.register(call.services.metrics.registry)
        try:
            message = message_of(call.headers.get("content-type", ""))
        except UnknownTypeError as error:
            detail = f"Content-Type must be {MEDIA_TYPE}, with proto={V1} or proto={V2} or neither"
            raise WrongContentTypeError(detail) from error
        mapped = await self._read(call.body, message)
        receipts = await _deliver_all(call, mapped.figures)
        now_us = call.services.clock.now_us()
        self._accounts.enter(mapped, receipts, now_us)
        if not self._rules and mapped.samples:
            self._accounts.notice_unset(now_us)
        return Answer(204, b"", headers=_written(mapped) if message == V2 else ())

    async def _read(self, body: bytes, message: str) -> Mapped:
        if len(body) <= INLINE_BYTES:
            return read_body(body, message, self._rules)
        if self._reading >= MAX_READING:
            raise BusyError("too many large bodies are being read; nothing of this one was kept", retry_after_s=2)
        self._reading += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(read_body, body, message, self._rules)
        finally:
            self._reading -= 1


def read_body(body: bytes, message: str, rules: Rules) -> Mapped:
    """What a body says. UnreadableBodyError, TooLargeError."""
    try:
        return map_series(read_series(body, message), rules)
    except UnreadableError as error:
        raise UnreadableBodyError(f"the body cannot be parsed, nothing of it was kept: {error}") from error
    except TooManyError as error:
        raise TooLargeError(f"{error} in one request; nothing of it was kept, send fewer at a time") from error


async def _deliver_all(call: Call, figures: Sequence[Figure]) -> list[tuple[list[Figure], Receipt]]:
    """What became of all readings, in the order of their instants. BusyError, StorageError: send the whole body again.

    What was kept already is known when it comes again, and counts once.
    """
    receipts = []
    for first in range(0, len(figures), FIGURES_A_MESSAGE):
        receipts += await _deliver(call, list(figures[first : first + FIGURES_A_MESSAGE]))
    return receipts


async def _deliver(call: Call, figures: list[Figure]) -> list[tuple[list[Figure], Receipt]]:
    sender = Sender(call.who.organization, call.who.project)
    message = Message(figures, sender, owner=call.who.organization or "", source=SOURCE, is_polled=True)
    receipt = await deliver(call.services.intake, message)
    refused = [refusal.code for refusal in receipt.rejected]
    if len(figures) > 1 and refused == [RejectReason.TOO_MANY] * len(figures):  # too long a stretch for one message
        half = len(figures) // 2
        return [*await _deliver(call, figures[:half]), *await _deliver(call, figures[half:])]
    return [(figures, receipt)]


def _written(mapped: Mapped) -> tuple[tuple[str, str], ...]:
    """What 2.0 wants to hear. "Written" is what is accepted, whatever is done with it (specification, glossary)."""
    counts = {"Samples": mapped.acknowledged, "Histograms": mapped.histograms, "Exemplars": mapped.exemplars}
    return tuple((f"X-Prometheus-Remote-Write-{what}-Written", str(count)) for what, count in counts.items())


def make_routes(tables: Sequence[RemoteWriteSettings]) -> tuple[Route, ...]:
    """The route, by what the settings say. Without tables everything is acknowledged, counted as unmapped, and noticed."""
    source = RemoteWrite(make_rules(tables))
    return (
        Route(
            method="POST",
            path="/api/v1/write",
            name="post_write",
            summary="Send counters by Prometheus remote write, 1.0 or 2.0",
            description=(
                "A snappy block (not frames) of `prometheus.WriteRequest`, or of `io.prometheus.write.v2.Request` where the "
                "Content-Type says so in `proto`. `[[sources.remote_write]]` in the settings says which counters are whose; "
                "all others are acknowledged and counted in `/metrics`. Sending a body again changes nothing. The answer is "
                "sent after everything is on disk."
            ),
            handler=source.post_write,
            scope=Scope.INGEST,
            body=Documented(
                "Time series in protobuf, compressed",
                {MEDIA_TYPE: {"type": "string", "format": "binary"}},
                "(bytes)",
            ),
            body_limit=MAX_BODY_BYTES,
            encodings=("snappy",),
            answers={
                204: Documented(
                    "Taken. Samples without a mapping or a subject, stale markers and what is older than the newest are "
                    "acknowledged too.",
                    headers={
                        f"X-Prometheus-Remote-Write-{what}-Written": f"{what} that were acknowledged (2.0 only)"
                        for what in ("Samples", "Histograms", "Exemplars")
                    },
                )
            },
            sees=("server", "vpn", "peer", "app", "space"),
        ),
    )
