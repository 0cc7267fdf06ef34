"""Runs collectors, each in a thread of its own: inside the server, or as an agent on another host."""

from __future__ import annotations

import threading
import time
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import structlog

from weighbridge.sources import COLLECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weighbridge.collected import Collected, Collector, Sink
    from weighbridge.sources.collector import MakeCollector, Surroundings

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Between a collector's fall and its next start: an address that is taken may be free in a minute."""
STEADY_S: Final = 30.0
"""A collector that ran so long stands on its feet: it is in no trouble, and after its next fall the waits begin anew."""
STOP_S: Final = 10.0
"""How long a stop waits for a collector; they need a second or two."""

_log = structlog.get_logger("weighbridge.collectors")


class Collectors:
    """The collectors of some sources. One that falls is told, and started again after growing waits."""

    def __init__(self, tables: Mapping[str, tuple[Any, ...]], surround: Callable[[str], Surroundings]) -> None:
        """They are made, and do not run yet. `surround`: what the source of this name is given.

        InvalidInputError: tables contradict each other. Sources that have no collector are passed over.
        """
        self._stop = threading.Event()
        self._runs = [_Run(name, make_collector(name, tables[name], surround(name)), self._stop)
                      for name in COLLECTORS if tables.get(name)]

    def start(self) -> None:
        """Each of them runs."""
        for run in self._runs:
            run.thread.start()

    def stop(self) -> None:
        """Each has handed in what it had; one that does not end in time is left behind, and told."""
        self._stop.set()
        until_s = time.monotonic() + STOP_S
        for run in self._runs:
            if run.thread.is_alive():
                run.thread.join(max(until_s - time.monotonic(), 0.0))
            if run.thread.is_alive():
                _log.warning("collector_does_not_end", source=run.name, waited_s=STOP_S)

    def troubles(self) -> dict[str, str]:
        """The sources that fell and do not stand again yet, each with why."""
        return {run.name: run.trouble for run in self._runs if run.trouble}


class _Run:
    """One collector and its thread."""

    def __init__(self, name: str, collector: Collector, stop: threading.Event) -> None:
        self.name = name
        self.thread = threading.Thread(target=self._run, name=f"collect-{name}", daemon=True)
        self._collector = collector
        self._stop = stop
        self._trouble = ""
        self._began_s: float | None = None  # None: it waits

    @property
    def trouble(self) -> str:
        """Why it fell, until it has stood on its feet for a while."""
        began_s = self._began_s
        return "" if began_s is not None and time.monotonic() - began_s >= STEADY_S else self._trouble

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            began_s = self._began_s = time.monotonic()
            trouble = self._run_once()
            if self._stop.is_set():
                return
            self._trouble, self._began_s = trouble, None
            if time.monotonic() - began_s >= STEADY_S:
                wait_s = FIRST_WAIT_S
            _log.warning("collector_fell", source=self.name, reason=trouble, once_more_in_s=wait_s)
            if self._stop.wait(wait_s):
                return
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _run_once(self) -> str:
        """Runs until it ends; why it did."""
        try:
            self._collector.run(self._stop)
        except OSError as error:
            return str(error)  # an address that is taken, a file that may not be read: no defect
        except Exception as error:  # noqa: BLE001  one collector's defect must not end the others
            _log.exception("collector_failed", source=self.name)
            return f"{type(error).__name__}: {error}"
        return "it ended by itself"


def make_collector(name: str, tables: tuple[Any, ...], surroundings: Surroundings) -> Collector:
    """The collector of a source. InvalidInputError: its tables contradict each other."""
    module, _, maker = COLLECTORS[name].partition(":")
    make: MakeCollector = getattr(import_module(module), maker)
    return make(tables, surroundings)


def numbered(take: Callable[[Collected, str], object]) -> Sink:
    """A sink that hands on what it gets under an id of its own: this process's, and a number.

    A collector that tries again may do so with more, so `take` must be certain of what was not kept.
    """
    process = uuid4()
    numbers = count(1)

    def sink(collected: Collected) -> None:
        take(collected, f"{process}/{next(numbers)}")

    return sink
