"""One process at a time: what several test processes make, one of them makes while the others wait."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def alone(path: Path, wait_s: float) -> Iterator[None]:
    """No other process is in here for the same file meanwhile; the kernel lifts the lock when a process ends."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        give_up_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < give_up_s, f"another process has held {path.name} for {wait_s} s"
                time.sleep(0.1)
        yield
