"""The intake: a bounded queue in front of one writer thread, with one fsync for all that waits (group commit)."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, TypeAlias

from weighbridge.domain.errors import BusyError
from weighbridge.metering.accept import Batch, Job, gather, keep
from weighbridge.metering.gathering import Gathered, GatheredJob
from weighbridge.metering.messages import MessageJob
from weighbridge.metering.places import Places
from weighbridge.metering.things import Things

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.measurement import Mark, Receipt
    from weighbridge.metering.messages import Message
    from weighbridge.ports import Catalog, Clock, Journal

EVENTS_A_COMMIT = 20_000
"""Most events in one journal transaction: some 50 ms of work, so no sender waits long for its answer."""
EVENTS_QUEUED = 200_000
"""Most events waiting for the writer: about a second of work and 100 MB; beyond it senders hear 503."""
EVENTS_UNFOLDED = 20_000_000
"""Most events in the journal that the store has not taken: about 1 GB on disk; beyond it senders hear 503."""
ANSWER_S = 30.0
"""How long a collector waits for its receipt before it tries again."""


_Job: TypeAlias = "Job | MessageJob | GatheredJob"


class Intake:
    """The way in. `submit` from any thread; answers come from the writer thread, after the fsync."""

    def __init__(self, catalog: Catalog, journal: Journal, clock: Clock, folded: Mark) -> None:
        self._catalog = catalog
        self._journal = journal
        self._clock = clock
        self._folded = folded
        self._places = Places(catalog)
        self._things = Things(catalog)
        self._queue: deque[_Job] = deque()
        self._queued = 0
        self._wake = threading.Condition()
        self._closing = False
        self._outcomes: Counter[str] = Counter()  # the writer's alone
        self._unfolded: deque[tuple[int, int]] = deque()  # (position, when it was journaled in µs), oldest first
        self._writer = threading.Thread(target=self._run, name="intake", daemon=True)
        self._writer.start()

    def submit(self, batch: Batch | Message | Gathered, done: Callable[[Receipt | Exception], None]) -> None:
        """Queues what came; `done` is called once, from the writer thread, with the receipt or the error.

        Raises BusyError when too much waits already; then nothing of the batch is kept.
        """
        job = _job_of(batch, done)
        unfolded = self._journal.mark().totals.events - self._folded.totals.events
        with self._wake:
            if self._closing:
                msg = "the server is stopping"
                raise BusyError(msg, retry_after_s=5)
            if self._queued + job.size > EVENTS_QUEUED or unfolded > EVENTS_UNFOLDED:
                msg = "more usage is waiting than can be taken right now; nothing of this request was kept"
                raise BusyError(msg, retry_after_s=2)
            self._queue.append(job)
            self._queued += job.size
            self._wake.notify()

    def take(self, batch: Batch | Message | Gathered, timeout_s: float | None = ANSWER_S) -> Receipt:
        """Submits and waits, for collectors with a thread of their own. Raises what `submit` and the journal raise.

        BusyError: too much waits, or no answer came in time; with no `timeout_s` it means that nothing was kept.
        """
        answered = threading.Event()
        answers: list[Receipt | Exception] = []

        def done(answer: Receipt | Exception) -> None:
            answers.append(answer)
            answered.set()

        self.submit(batch, done)
        if not answered.wait(timeout_s):
            msg = f"no answer from the journal within {timeout_s} s"
            raise BusyError(msg)
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    def outcomes(self) -> dict[str, int]:
        """How many events and figures were accepted, known already, or refused by each reason, since the start."""
        return dict(self._outcomes)

    def coarser(self) -> dict[str, int]:
        """How many lookups of messages left out a name that is over its app's bound, by what was left out."""
        return dict(self._places.coarser)

    def watermark_us(self) -> int:
        """The newest instant such that everything accepted before it is in every answer."""
        now_us = self._clock.now_us()
        with self._wake:
            return self._unfolded[0][1] if self._unfolded else now_us

    def note_folded(self, mark: Mark) -> None:
        """The store has everything up to `mark`; told by whoever folds."""
        with self._wake:
            self._folded = mark
            while self._unfolded and self._unfolded[0][0] <= mark.position:
                self._unfolded.popleft()

    def close(self) -> None:
        """Answers everything that is queued, then stops."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._writer.join()

    def _run(self) -> None:
        while jobs := self._next_jobs():
            try:
                self._commit(jobs)
            except Exception as error:  # noqa: BLE001  whatever it is, each sender must hear of it
                for job in jobs:
                    job.done(error)
            else:
                for job in jobs:
                    receipt = job.receipt()
                    self._count(receipt)
                    job.done(receipt)

    def _count(self, receipt: Receipt) -> None:
        self._outcomes["accepted"] += receipt.accepted
        self._outcomes["duplicate"] += receipt.duplicates
        for refusal in receipt.rejected:
            self._outcomes[refusal.code.value] += 1

    def _next_jobs(self) -> list[_Job]:
        """Everything queued, up to a commit's bound; waits for the first. Empty: closed and drained."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            jobs: list[_Job] = []
            events = 0
            while self._queue and (not jobs or events + self._queue[0].size <= EVENTS_A_COMMIT):
                job = self._queue.popleft()
                jobs.append(job)
                events += job.size
            self._queued -= events
            return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        now_us = self._clock.now_us()
        portion = gather(jobs, self._places)
        mark = keep(portion, self._catalog, self._things, self._journal, now_us)
        if mark is not None:
            with self._wake:
                self._unfolded.append((mark.position, now_us))


def _job_of(batch: Batch | Message | Gathered, done: Callable[[Receipt | Exception], None]) -> _Job:
    if isinstance(batch, Batch):
        return Job(batch, done)
    return GatheredJob(batch, done) if isinstance(batch, Gathered) else MessageJob(batch, done)
