"""Commands that run until they are told to end."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set the event while the `with` lasts; a second one ends the process as it is used to."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def heard(_number: int, _frame: object) -> None:
        stop.set()
        restore()

    for each in before:
        signal.signal(each, heard)
    try:
        yield
    finally:
        restore()
