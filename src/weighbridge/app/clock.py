"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's clock, UTC."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return time.time_ns() // 1000
