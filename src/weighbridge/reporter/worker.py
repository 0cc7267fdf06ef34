"""The thread that cuts intervals and posts them, and what happens to it at a fork and at the end of the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from weighbridge.reporter.clock import now_us as system_now_us
from weighbridge.reporter.complaints import Complaints
from weighbridge.reporter.post import LONGEST_WAIT_S, NoAnswerError, Post, read_receipt
from weighbridge.reporter.spool import CONFLICT, WAITS, Spool
from weighbridge.reporter.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.reporter.post import Answer, Receipt
    from weighbridge.reporter.settings import Settings
    from weighbridge.reporter.spool import Refusal, Row
    from weighbridge.reporter.tally import Key, Passage

ANSWERED_S = 10.0
"""Longest silence of the server before a try counts as failed; nobody waits for it but the thread."""
EXIT_S = 2.0
"""How long the end of a process may wait for what is still to be sent."""
FIRST_WAIT_S = 1.0
"""Before the second try; each later wait is twice as long, up to LONGEST_WAIT_S."""
STEADY_S = 3600
"""An interval longer than this is none: the machine slept, or its clock was set."""
SCATTER_S = 5
"""Intervals end at the same second everywhere: each process posts at a moment of its own within so many seconds after."""
SHOWN = 300
"""Characters of the server's words that go into a log."""
TOO_LARGE = 413
BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Answers that pass by themselves; all others are tried again just as often as the longest wait allows."""

_ADVICE = {
    401: "give a key that it knows",
    403: "give a key with the scope ingest",
    404: "is this the URL of a Weighbridge?",
}


class Reporter:
    """Counts what passes and sends it. Nothing of it is ever waited for by a request, nor raised into one."""

    def __init__(
        self,
        settings: Settings,
        *,
        complaints: Complaints | None = None,
        post: Callable[[bytes, float], Answer] | None = None,
        now_us: Callable[[], int] = system_now_us,
        is_threaded: bool = True,
    ) -> None:
        """`is_threaded` False: no thread; whoever made it calls `step`."""
        self._settings = settings
        self._complaints = complaints or Complaints()
        self._post = post or Post(settings)
        self._now_us = now_us
        self._is_threaded = is_threaded
        self._begin_anew()
        _living.add(self)

    def _begin_anew(self) -> None:
        """As if nothing had been counted: at the start, and in a forked child, whose parent reports what it saw."""
        self._tally = Tally()
        self._spool = Spool(self._settings.subject)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Condition()
        self._flushes_asked = 0
        self._flushes_done = 0
        self._start_s: int | None = None
        self._next_cut_s = 0
        self._not_before_us = 0
        self._failures = 0
        self._failing = ""
        self._lost = Lost()

    def begin(self, name: Callable[[], Key]) -> Passage:
        """A passage to count with; `name` is asked once, at its `identify` or its end. The first one starts the thread."""
        if self._thread is None:
            self._start()
        return self._tally.begin(name)

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._start_s is None:
                self._start_s = self._now_us() // 1_000_000
                self._plan_cut(self._start_s)
            if self._thread is None and self._is_threaded:
                thread = threading.Thread(target=self._run, name="weighbridge-reporter", daemon=True)
                thread.start()
                self._thread = thread
                _arrange_end()
        except RuntimeError as error:  # no more threads may be started
            self._complaints.tell("thread", f"usage is counted but not sent yet: {error}")
        finally:
            self._starting.release()

    def ask_flush(self) -> int:
        """Everything counted so far is sent as soon as can be; `is_flushed` tells of the ticket when it was tried."""
        with self._wake:
            self._flushes_asked += 1
            self._wake.notify_all()
            return self._flushes_asked

    def is_flushed(self, ticket: int) -> bool:
        """Whether there is nothing to wait for any more: all was tried once since the ticket was given."""
        return self._thread is None or not self._thread.is_alive() or self._flushes_done >= ticket

    def await_flush(self, ticket: int, timeout_s: float = EXIT_S) -> None:
        """Returns once `is_flushed`, or the time is up."""
        with self._wake:
            self._wake.wait_for(lambda: self.is_flushed(ticket), timeout_s)

    def step(self) -> float:
        """Cuts and sends what is due, at most one batch; the seconds until there is more to do."""
        if self._flushes_done < self._flushes_asked:
            self._flush_now()
        now_us = self._now_us()
        now_s = now_us // 1_000_000
        if now_s >= self._next_cut_s or self._next_cut_s - now_s > self._settings.interval_s:  # or the clock was set back
            is_first = self._spool.is_empty()
            self._cut(now_s)
            self._plan_cut(now_s)
            if is_first:
                self._not_before_us = now_us + self._scatter_us()
        wait_us = self._not_before_us - now_us
        if not self._spool.is_empty() and not 0 < wait_us <= LONGEST_WAIT_S * 1_000_000:
            self._deliver(ANSWERED_S)
            now_us = self._now_us()
        due_us = self._next_cut_s * 1_000_000
        if not self._spool.is_empty():
            due_us = min(due_us, self._not_before_us)
        return max(0.0, (due_us - now_us) / 1_000_000)

    def _run(self) -> None:
        while True:
            try:
                wait_s = self.step()
            except Exception as error:  # noqa: BLE001  the thread must outlive whatever it is; what is sealed stays sealed
                self._complaints.tell("bug", f"usage could not be sent: {error!r}")
                wait_s = LONGEST_WAIT_S
            with self._wake:
                if self._flushes_done == self._flushes_asked:
                    self._wake.wait(wait_s)

    def _flush_now(self) -> None:
        ticket = self._flushes_asked
        try:
            self._cut(self._now_us() // 1_000_000)
            while self._deliver(EXIT_S):
                pass
        finally:
            with self._wake:
                self._flushes_done = ticket
                self._wake.notify_all()

    def _cut(self, now_s: int) -> None:
        """What was counted since the last cut waits to be sent, as of the time in between."""
        start_s = now_s if self._start_s is None else self._start_s
        self._start_s = now_s
        if not 0 <= now_s - start_s <= STEADY_S:
            start_s = now_s - self._settings.interval_s
        self._spool.add(start_s, now_s, self._tally.cut())

    def _plan_cut(self, now_s: int) -> None:
        self._next_cut_s = now_s - now_s % self._settings.interval_s + self._settings.interval_s

    def _scatter_us(self) -> int:
        return hash((id(self), os.getpid())) % (min(2 * SCATTER_S, self._settings.interval_s) * 500_000)

    def _deliver(self, timeout_s: float) -> bool:
        """Posts the head of the spool, if there is one; whether it makes sense to go on at once."""
        batch = self._spool.head()
        if batch is None:
            return False
        try:
            answer = self._post(batch.body, timeout_s)
        except NoAnswerError as error:
            self._fail("no answer", f"does not answer ({error})", None, is_passing=True)
            return False
        except Exception:
            self._spool.doubt()
            raise
        receipt = read_receipt(answer, len(batch.rows))
        if receipt is not None:
            return self._take(receipt)
        if answer.status == TOO_LARGE and self._spool.halve():
            return True
        advice = _ADVICE.get(answer.status)
        words = f"answers {answer.status} instead of a receipt" + (f": {advice}" if advice else "")
        self._fail(f"answer {answer.status}", words, answer.retry_after_s, is_passing=answer.status in BUSY)
        return False

    def _fail(self, kind: str, words: str, asked_s: float | None, *, is_passing: bool) -> None:
        self._spool.doubt()
        self._failures += 1
        self._failing = kind
        wait_s = min(FIRST_WAIT_S * 2 ** min(self._failures - 1, 30), LONGEST_WAIT_S) if is_passing else LONGEST_WAIT_S
        self._hold(wait_s if asked_s is None else max(asked_s, FIRST_WAIT_S))
        self._complaints.tell(kind, f"{self._where()} {words}; {self._spool.rows()} rows of usage are kept and sent again")

    def _take(self, receipt: Receipt) -> bool:
        """The receipt's word is kept; False if it makes sense to wait before the next batch."""
        if self._failures:
            self._failures = 0
            self._complaints.is_over(self._failing, f"{self._where()} takes usage again")
        for refusal in self._spool.settle(receipt):
            self._tell_refusal(refusal)
        if any(code in WAITS or code == CONFLICT for _, code, _ in receipt.refused):
            self._hold(LONGEST_WAIT_S)
            return False
        return True

    def _tell_refusal(self, refusal: Refusal) -> None:
        row = refusal.row
        said = f"{self._where()} refuses {_amounts(row)} as {refusal.code} ({refusal.detail[:SHOWN]})"
        if refusal.is_lost:
            lost = self._lost = self._lost.plus(row)
            self._complaints.tell(f"lost {refusal.code}", f"{said}; they are given up, so far {_amounts(lost)}")
        else:
            self._complaints.tell(refusal.code, f"{said}; they are offered again")

    def _hold(self, wait_s: float) -> None:
        self._not_before_us = self._now_us() + int(wait_s * 1_000_000)

    def _where(self) -> str:
        return getattr(self._post, "origin", "the server")


@dataclass(frozen=True, slots=True)
class Lost:
    """All that was given up: the counter beside the reason in the log."""

    bytes_in: int = 0
    bytes_out: int = 0
    requests: int = 0

    def plus(self, row: Row) -> Lost:
        """One row more."""
        return Lost(self.bytes_in + row.bytes_in, self.bytes_out + row.bytes_out, self.requests + row.requests)


def _amounts(moved: Row | Lost) -> str:
    return f"{moved.bytes_in} bytes in, {moved.bytes_out} out, {moved.requests} requests"


_living: weakref.WeakSet[Reporter] = weakref.WeakSet()


def _begin_anew_in_child() -> None:
    for reporter in list(_living):
        reporter._begin_anew()  # noqa: SLF001  its own module


def _flush_all() -> None:
    """At the end of the process: all reporters at once, together within EXIT_S."""
    deadline_s = monotonic() + EXIT_S
    asked = [(reporter, reporter.ask_flush()) for reporter in list(_living)]
    for reporter, ticket in asked:
        reporter.await_flush(ticket, max(0.0, deadline_s - monotonic()))


def _flush_all_in_child() -> None:
    _flush_all()
    atexit.unregister(_flush_all)  # which some of them hear too, and once is enough


def _arrange_end() -> None:
    """A process that multiprocessing started (Granian's workers are) ends without `atexit`, but not without its finalizers."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, _flush_all_in_child, exitpriority=0)


atexit.register(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
