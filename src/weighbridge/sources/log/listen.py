"""Follows the logs that the settings name and hands what they add up to to the intake."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from weighbridge.domain.errors import BusyError, InvalidInputError, WeighbridgeError
from weighbridge.measurement import Event, Rejection, RejectReason
from weighbridge.metering.accept import Batch
from weighbridge.metering.subjects import Sender
from weighbridge.sources.log.decode import CHUNK_BYTES, LogReader
from weighbridge.sources.log.deliver import Delivery, UnansweredError
from weighbridge.sources.log.follow import Follower
from weighbridge.sources.log.place import Place, path_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weighbridge.measurement import Receipt
    from weighbridge.ports import Clock
    from weighbridge.sources.log.settings import LogSettings

WORK_S: Final = 5.0
"""Most that one poll goes on reading: a stop waits for it, and a log of a year is read in many polls."""
POLL_EVERY_S: Final = 1.0
"""How often a log is looked at: one look at a few files."""

_one = msgspec.json.Decoder(Event)
_many = msgspec.json.Decoder(list[Event])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_log = structlog.get_logger("weighbridge.log")


class LogCollector:
    """One log on its way into the intake, its place in the data folder. One poll at a time, from any thread."""

    def __init__(
        self, settings: LogSettings, take: Callable[[Batch], Receipt], folder: Path, clock: Clock
    ) -> None:
        """The place is open. InvalidInputError: the settings make no sense; StorageError: the folder is at fault."""
        self.path = Path(settings.path).absolute()
        self._take = take
        self._sender = Sender(None)
        self._trouble = ""
        self._reader = LogReader(settings)
        try:
            self._place = Place(path_in(folder, self.path), self.path)
        except BaseException:
            self._reader.close()
            raise
        self._follower = Follower(self.path, self._reader, self._place, clock, chunk_bytes=CHUNK_BYTES)
        self._delivery = Delivery(self.path.name, self._place, self._send, time.monotonic)

    def poll(self) -> int:
        """What was written since the last poll is counted, or waits in the place; how many bodies still wait there.

        Trouble is logged once until it is over: the next poll has the lines.
        """
        until_s = time.monotonic() + WORK_S

        def enough() -> bool:
            return time.monotonic() >= until_s

        try:
            self._delivery.run(enough)
            self._follower.poll(enough)
            self._delivery.run(enough)
        except WeighbridgeError as error:
            if str(error) != self._trouble:
                _log.warning("log_poll_failed", log=str(self.path), reason=str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""
        return self._place.waiting

    def counts(self) -> dict[str, int]:
        """What became of lines and events so far, from the first start on: see LINE_COUNTS and REFUSED in place.py."""
        return dict(self._place.counts)

    def close(self) -> None:
        """Everything is let go of; what waits is on disk."""
        self._follower.close()
        self._place.close()
        self._reader.close()

    def _send(self, body: bytes) -> Receipt:
        events, indexes, refused = _events(gzip.decompress(body))
        try:
            return self._take(Batch(events, self._sender, indexes, refused))
        except BusyError as error:
            raise UnansweredError(str(error), wait_s=error.retry_after_s) from error
        except WeighbridgeError as error:
            raise UnansweredError(str(error)) from error


def make_log_collectors(
    settings: Sequence[LogSettings], take: Callable[[Batch], Receipt], folder: Path, clock: Clock
) -> list[LogCollector]:
    """A collector for each log, their places in `folder`. Poll each every POLL_EVERY_S, in a lane of its own.

    InvalidInputError: settings make no sense, or name a log twice; StorageError: the folder is at fault.
    """
    paths = [str(Path(each.path).absolute()) for each in settings]
    for path in paths:
        if paths.count(path) > 1:
            raise InvalidInputError(
                f"{path} stands in two [[sources.log]]: each line would count twice; make it one, with rules", where="path"
            )
    collectors: list[LogCollector] = []
    try:
        for each in settings:
            collectors.append(LogCollector(each, take, folder, clock))  # noqa: PERF401  those that are open must be closed
    except BaseException:
        for collector in collectors:
            collector.close()
        raise
    return collectors


def _events(body: bytes) -> tuple[list[Event], list[int] | None, tuple[Rejection, ...]]:
    """The events of a body, where each stood, and those that are none: a name in a log may be longer than any may be."""
    try:
        return _many.decode(body), None, ()
    except msgspec.ValidationError:
        pass
    events: list[Event] = []
    indexes: list[int] = []
    refused: list[Rejection] = []
    for index, raw in enumerate(_raws.decode(body)):
        try:
            events.append(_one.decode(raw))
            indexes.append(index)
        except msgspec.ValidationError as error:
            refused.append(Rejection(index, None, RejectReason.INVALID, str(error)))
    return events, indexes, tuple(refused)
