"""What runs by itself: one table of jobs (what, in which lane, how often, how), and the threads that run it.

A lane is a thread; its jobs run one after another. Folding has a lane of its own, so that no upkeep delays what was
accepted on its way into the answers.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STOP_S = 30.0
"""How long a stop waits for a job under way; the longest, a compaction, takes about a second."""

_log = structlog.get_logger("weighbridge.jobs")


@dataclass(frozen=True, slots=True)
class Job:
    """`run` every `every_s` seconds in `lane`, first after one interval. What it returns is ignored."""

    what: str
    lane: str
    every_s: float
    run: Callable[[], object]


@dataclass(slots=True)
class _Turn:
    job: Job
    due_s: float
    trouble: str = ""


class Jobs:
    """The running table. A job that fails is logged once until it works again, and tried at its next turn."""

    def __init__(self, table: Sequence[Job], monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._stop = threading.Event()
        now_s = monotonic_s()
        self._turns = [_Turn(job, now_s + job.every_s) for job in table]
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"jobs-{lane}", daemon=True)
            for lane in dict.fromkeys(job.lane for job in table)
        ]

    def start(self) -> None:
        """Every lane runs."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No job runs any more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_S)

    def troubles(self) -> dict[str, str]:
        """The jobs whose last run failed, each with its error."""
        return {turn.job.what: turn.trouble for turn in self._turns if turn.trouble}

    def _run(self, lane: str) -> None:
        turns = [turn for turn in self._turns if turn.job.lane == lane]
        while True:
            turn = min(turns, key=lambda turn: turn.due_s)
            if self._stop.wait(max(turn.due_s - self._monotonic_s(), 0)):
                return
            self._take(turn)
            turn.due_s = self._monotonic_s() + turn.job.every_s

    def _take(self, turn: _Turn) -> None:
        try:
            turn.job.run()
        except Exception as error:  # noqa: BLE001  one failing job must not end its lane
            if not turn.trouble:
                _log.exception("job_failed", job=turn.job.what)
            turn.trouble = f"{type(error).__name__}: {error}"
        else:
            if turn.trouble:
                _log.info("job_works_again", job=turn.job.what)
            turn.trouble = ""
