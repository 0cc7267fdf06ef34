"""Things that are polled, each at its own pace, by one thread: what was read is handed in, or owed until it can be."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from weighbridge.collected import Collected
from weighbridge.domain.errors import WeighbridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weighbridge.collected import CounterReading, Stop, Thing
    from weighbridge.sources.collector import Surroundings

OWED_MOST: Final = 200_000
"""Counters, each once for each of its beginnings, of which readings wait for the sink. More has no room in memory."""
AT_ONCE: Final = 10_000
"""Readings handed in together: what one body of an agent holds."""
LONGEST_WAIT_S: Final = 3600.0
"""Between two looks at what is due; waits that are longer overflow some systems' timers."""

_log = structlog.get_logger("weighbridge.polled")


class UnreadError(WeighbridgeError):
    """What was asked for could not be read: absence, never zero (law 10). `word` is what it counts as."""

    def __init__(self, detail: str, word: str = "polls_failed") -> None:
        super().__init__(detail)
        self.word = word


class Polled(Protocol):
    """One thing that is polled. It remembers by itself what it must, over restarts too."""

    name: str
    """As `counts` and the log know it."""
    interval_s: float
    counts: Counter[str]
    """What it met besides, since it was emptied last."""

    def read(self, now_us: int, stop: Stop) -> Sequence[CounterReading]:
        """What it shows now, in the order of time. UnreadError, OSError: nothing could be read."""

    def mark_kept(self) -> None:
        """What was read last is durable: remembers it. OSError: it cannot."""

    def close(self) -> None:
        """Lets go of connections."""


class Rounds:
    """Polls things until it is told to stop, and hands in what they show."""

    def __init__(self, source: str, things: Sequence[Polled], surroundings: Surroundings) -> None:
        self._source = source
        self._things = things
        self._sink = surroundings.sink
        self._clock = surroundings.clock
        self._owed: dict[tuple[Thing, str, int | None], list[CounterReading]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._troubles: dict[str, str] = {}
        self._polled_us = 0

    def run(self, stop: Stop) -> None:
        """Works until `stop` is set. A poll that comes late is not made up for: the next one has its bytes."""
        due_s = [time.monotonic()] * len(self._things)
        while not stop.is_set():
            for number, thing in enumerate(self._things):
                if due_s[number] <= time.monotonic() and not stop.is_set():
                    self.poll(thing, stop)
                    due_s[number] = max(due_s[number] + thing.interval_s, time.monotonic())
            stop.wait(max(0.0, min([*due_s, time.monotonic() + LONGEST_WAIT_S]) - time.monotonic()))
        if self._owed:
            self._hand_in([])
        for thing in self._things:
            thing.close()

    def poll(self, thing: Polled, stop: Stop) -> int:
        """Reads a thing once and hands in what it shows; how many readings were kept. Trouble is logged until it is over."""
        now_us = self._clock.now_us()
        if now_us < self._polled_us:  # the clock was set back: what is owed would come after what it was read before
            self._drop_owed(len(self._owed))
        self._polled_us = now_us
        try:
            readings = thing.read(now_us, stop)
        except (OSError, WeighbridgeError) as error:
            self._counts[thing.name, error.word if isinstance(error, UnreadError) else "polls_failed"] += 1
            self._tell(thing.name, "poll_failed", str(error))
            self._hand_in([])
            return 0
        finally:
            self._counts.update({(thing.name, word): count for word, count in thing.counts.items() if count})
            thing.counts.clear()
        self._counts[thing.name, "polls"] += 1
        self._tell(thing.name, "poll_failed", "")
        if not self._hand_in(readings):
            return 0
        try:
            thing.mark_kept()
        except OSError as error:
            self._tell(thing.name, "state_not_saved", str(error))
        return len(readings)

    def _hand_in(self, readings: Sequence[CounterReading]) -> bool:
        """Whether the sink took these and all that was owed. Otherwise they are owed: their counters may end meanwhile."""
        waiting = [*(reading for owed in self._owed.values() for reading in owed), *readings]
        self._owed.clear()
        for start in range(0, max(len(waiting), 1), AT_ONCE):
            portion = waiting[start:start + AT_ONCE]
            try:
                self._sink(Collected(self._source, portion, counts=dict(self._counts)))
            except WeighbridgeError as error:
                self._tell("", "not_handed_in", str(error))
                self._owe(waiting[start:])
                return False
            self._counts.clear()
        self._tell("", "not_handed_in", "")
        return True

    def _owe(self, readings: Sequence[CounterReading]) -> None:
        """Of each counter the first and the last are kept: what it counts from, and how far it came."""
        for reading in readings:
            owed = self._owed.setdefault((reading.thing, reading.counter, reading.since_us), [])
            owed[1:] = [reading]  # the first stays
        self._drop_owed(len(self._owed) - OWED_MOST)

    def _drop_owed(self, count: int) -> None:
        """The oldest so many of what is owed are given up, and counted."""
        for _ in range(count):
            lost = self._owed.pop(next(iter(self._owed)))
            self._counts[lost[0].thing.device, "readings_dropped"] += len(lost)

    def _tell(self, name: str, event: str, trouble: str) -> None:
        """Logs trouble when it begins or changes, and that it is over."""
        key = f"{name} {event}"
        before = self._troubles.get(key, "")
        if trouble == before:
            return
        self._troubles[key] = trouble
        if trouble:
            _log.warning(f"{self._source}_{event}", of=name, reason=trouble)
        else:
            _log.info(f"{self._source}_{event}_no_more", of=name)


def save_state(path: Path, body: bytes, *, is_durable: bool) -> None:
    """The file is there whole, with this content; durable: even if the machine stops now. OSError: the disk is at fault."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor, for its mode
        file.write(body)
        file.flush()
        if is_durable:
            os.fsync(file.fileno())
    draft.replace(path)
