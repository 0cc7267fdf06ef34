"""The real clock of the middleware: the server's own stands behind imports that an app must not pay for."""

from __future__ import annotations

import time


def now_us() -> int:
    """Microseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1000
