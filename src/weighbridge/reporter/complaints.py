"""Trouble is told through `logging.getLogger("weighbridge")`, and each kind of it seldom."""

from __future__ import annotations

import logging
from time import monotonic

QUIET_S = 300.0
"""A kind of trouble that was told is not told again for so long: an app's log is the app's."""
KINDS_KEPT = 100
"""Kinds that are remembered; with more, all are forgotten, and told once again."""

_log = logging.getLogger("weighbridge")


class Complaints:
    """Tells each kind of trouble at most once in QUIET_S seconds, with how often it was held back since."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def tell(self, kind: str, text: str) -> None:
        """Trouble of this kind is in the log, or was lately. Never raises."""
        now_s = monotonic()
        told_s = self._told_s.get(kind)
        if told_s is not None and now_s - told_s < QUIET_S:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return
        if len(self._told_s) >= KINDS_KEPT:
            self._told_s.clear()
            self._held_back.clear()
        self._told_s[kind] = now_s
        held_back = self._held_back.pop(kind, 0)
        _log.warning("weighbridge: %s%s", text, f" ({held_back} times more since it was last told)" if held_back else "")

    def is_over(self, kind: str, text: str) -> None:
        """Trouble of this kind has ended: told if the trouble was, and the next one is told at once."""
        if self._told_s.pop(kind, None) is not None:
            self._held_back.pop(kind, None)
            _log.info("weighbridge: %s", text)
