"""From a handler on the event loop to the intake and back: the answer comes from the writer thread, after the fsync."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weighbridge.measurement import Receipt
    from weighbridge.metering.accept import Batch
    from weighbridge.metering.intake import Intake
    from weighbridge.metering.messages import Message


class Mailbox:
    """Hands answers from the writer thread to an event loop, waking it once for all that came together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[tuple[asyncio.Future[Receipt], Receipt | Exception]] = deque()
        self._woken = False

    def post(self, future: asyncio.Future[Receipt], answer: Receipt | Exception) -> None:
        """Called from the writer thread; `future` is resolved on the loop soon after."""
        self._waiting.append((future, answer))
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before emptying: what comes from now on wakes the loop again
        while self._waiting:
            future, answer = self._waiting.popleft()
            if future.done():  # the sender went away
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


_mailboxes: dict[int, Mailbox] = {}


def _mailbox() -> Mailbox:
    loop = asyncio.get_running_loop()
    box = _mailboxes.get(id(loop))
    if box is None or box.loop is not loop:
        for key in [key for key, old in _mailboxes.items() if old.loop.is_closed()]:
            del _mailboxes[key]
        box = _mailboxes[id(loop)] = Mailbox(loop)
    return box


async def deliver(intake: Intake, batch: Batch | Message) -> Receipt:
    """What became of a batch or a message, once all of it is on disk.

    BusyError: too much waits already, nothing was kept. StorageError: the disk is at fault, nothing was kept.
    """
    box = _mailbox()
    future: asyncio.Future[Receipt] = box.loop.create_future()
    intake.submit(batch, lambda answer: box.post(future, answer))
    return await future
