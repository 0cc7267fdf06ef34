"""Threads in which plain handlers run.

Own code for one reason: a hand-over costs 5 µs under load, against 16 to 23 with the standard library's executor, whose
futures bring a condition variable each, and 50 to 95 with anyio (bench/http_kit.py, 16 calls at once on two cores).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from weighbridge.domain.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_Job = tuple["Callable[..., Any]", tuple[Any, ...], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class HandlerThreads:
    """`count` threads that start with the first call. At most `max_waiting` calls are inside, at work or waiting."""

    def __init__(self, count: int, max_waiting: int) -> None:
        self._count = count
        self._max_waiting = max_waiting
        self._inside = 0
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def run(self, function: Callable[..., T], *args: Any) -> T:  # noqa: ANN401  whatever the function takes
        """What `function(*args)` returns or raises, from one of the threads. BusyError: too many are waiting."""
        if self._inside >= self._max_waiting:
            msg = "too many calls are waiting here"
            raise BusyError(msg)
        if not self._threads:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._inside += 1
        try:
            self._jobs.put((function, args, loop, future))
            return await future
        finally:
            self._inside -= 1

    def close(self) -> None:
        """Every job that was handed over is done, and the threads are gone."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _start(self) -> None:
        self._threads = [
            threading.Thread(target=self._work, name=f"handler-{number}", daemon=True) for number in range(self._count)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, args, loop, future = job
            try:
                result, error = function(*args), None
            except BaseException as exc:  # noqa: BLE001  it belongs to who awaits the future
                result, error = None, exc
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, future, result, error)
            del job, function, args, loop, future, result, error  # hold nothing while idle


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # who asked has gone
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        future.set_exception(error)
    else:
        msg = f"a handler ended with {type(error).__name__}"
        future.set_exception(RuntimeError(msg))
