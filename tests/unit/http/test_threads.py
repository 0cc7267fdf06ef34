from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from weighbridge.domain.errors import BusyError
from weighbridge.http.threads import HandlerThreads


def test_results_and_errors_come_back() -> None:
    async def go() -> None:
        threads = HandlerThreads(2, 10)
        assert await asyncio.gather(*(threads.run(divmod, number, 3) for number in range(9))) == [
            divmod(number, 3) for number in range(9)
        ]
        with pytest.raises(ZeroDivisionError):
            await threads.run(divmod, 1, 0)
        with pytest.raises(RuntimeError, match="SystemExit"):
            await threads.run(exit, 1)
        assert await threads.run(abs, -1) == 1
        threads.close()

    asyncio.run(go())


def test_closing_ends_the_threads() -> None:
    async def go() -> None:
        threads = HandlerThreads(3, 10)
        running = await threads.run(threading.current_thread)
        threads.close()
        assert not running.is_alive()

    asyncio.run(go())


def test_one_who_leaves_makes_room_and_harms_nobody() -> None:
    gate = threading.Event()

    async def go() -> None:
        threads = HandlerThreads(1, 1)
        waiting = asyncio.create_task(threads.run(gate.wait))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await threads.run(abs, -1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        assert await threads.run(abs, -2) == 2
        threads.close()

    asyncio.run(go())


def test_an_idle_thread_holds_nothing() -> None:
    class Big:
        pass

    async def go() -> None:
        threads = HandlerThreads(1, 10)
        big = Big()
        alive = weakref.ref(big)
        await threads.run(id, big)
        del big
        await threads.run(abs, 1)  # the one thread has gone on, so it has let go
        gc.collect()
        assert alive() is None
        threads.close()

    asyncio.run(go())
