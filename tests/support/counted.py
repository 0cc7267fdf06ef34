"""A sink that counts as the desk does, each thing for itself, and that fails or dies when a test says so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from weighbridge.domain.errors import BusyError
from weighbridge.metering.gathering import _advance, _fault

if TYPE_CHECKING:
    from weighbridge.collected import Collected
    from weighbridge.ports import CounterState


class CrashError(Exception):
    """kill -9, as far as a collector can tell."""


class CountingSink:
    """`received` and `sent`: what was counted of each thing, by its name. Nothing is attributed, nothing is spread."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.is_busy = False
        self.dies: str | None = None  # "before" or "after" it keeps what comes
        self._states: dict[tuple[str, str], CounterState] = {}

    def __call__(self, collected: Collected) -> None:
        if self.dies == "before":
            raise CrashError
        if self.is_busy:
            raise BusyError("not now")
        for reading in sorted(collected.readings, key=lambda reading: reading.at_us):
            assert _fault(reading, reading.at_us) is None
            key = (reading.thing.name, reading.counter)
            step = _advance(self._states.get(key), reading)
            self.outcomes[step.outcome.value] += 1
            if step.state is not None:
                self._states[key] = step.state
            for part in step.parts:
                self.received[reading.thing.name] += part.bytes_in or 0
                self.sent[reading.thing.name] += part.bytes_out or 0
        for (_, what), number in collected.counts.items():
            self.told[what] += number
        if self.dies == "after":
            raise CrashError

    @property
    def counters(self) -> int:
        """How many counters were seen."""
        return len(self._states)
