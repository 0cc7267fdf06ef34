"""Bodies of events, encoded beforehand up to the digits of the ids, which are written in just before sending.

Every event of a benchmark has an id that was never sent before: a run's own prefix and a number of 12 digits.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGITS = 12
TEMPLATES = 8
"""Batches that differ in everything but the ids: subjects, amounts, times."""
SPREAD_S = 240
"""Events lie in the last 4 minutes, as those of agents that send every few minutes."""
_POWERS = 10 ** np.arange(DIGITS - 1, -1, -1, dtype=np.int64)
_HOLE = "#" * DIGITS


def event(prefix: str, subject: str, at_s: int, amounts: tuple[int, int]) -> bytes:
    """One event as agents send it, some 250 bytes, with a hole where the digits of its id go."""
    data: dict[str, object] = {"bytes_in": amounts[0], "bytes_out": amounts[1], "requests": amounts[0] // 20_000}
    if subject.startswith("app/"):
        subject, data["environment"], data["consumer"] = subject.split("|")
    return json.dumps({
        "specversion": "1.0", "id": f"{prefix}-{_HOLE}", "source": "edge-1", "type": "weighbridge.usage",
        "subject": subject, "time": datetime.fromtimestamp(at_s, UTC).isoformat(), "data": data,
    }, separators=(",", ":")).encode()


class Batches:
    """Requests of `size` events each, over the subjects in turn."""

    def __init__(self, head: bytes, prefix: str, subjects: Sequence[str], now_s: int, size: int) -> None:
        rng = np.random.default_rng(11)
        self.size = size
        self._next = 0
        self._head = head
        self._templates = [self._template(prefix, subjects, now_s, turn, rng) for turn in range(TEMPLATES)]
        self.length = len(self._templates[0][0])

    def _template(
        self, prefix: str, subjects: Sequence[str], now_s: int, turn: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A body as an array of bytes, and where the digits of each event's id lie in it."""
        events = [
            event(
                prefix, subjects[(turn * self.size + at) % len(subjects)], now_s - int(rng.integers(0, SPREAD_S)),
                (int(rng.integers(10**6, 10**9)), int(rng.integers(10**6, 10**9))),
            )
            for at in range(self.size)
        ]
        body = b"[" + b",".join(events) + b"]"
        holes = np.cumsum([1] + [len(each) + 1 for each in events[:-1]]) + [each.index(b"#") for each in events]
        return np.frombuffer(body, np.uint8).copy(), holes[:, None] + np.arange(DIGITS)

    def next(self) -> bytes:
        """A whole request with ids that were never sent."""
        body, holes = self._templates[self._next // self.size % TEMPLATES]
        numbers = np.arange(self._next, self._next + self.size, dtype=np.int64)
        body[holes] = numbers[:, None] // _POWERS % 10 + 48
        self._next += self.size
        return self._head % len(body) + body.tobytes()


class Singles:
    """Requests of one event each, over the subjects in turn."""

    size = 1

    def __init__(self, head: bytes, prefix: str, subjects: Sequence[str], now_s: int) -> None:
        rng = np.random.default_rng(12)
        self._next = 0
        self._parts = []
        for at, subject in enumerate(subjects):
            whole = event(prefix, subject, now_s - at % SPREAD_S, (int(rng.integers(10**6, 10**9)), at))
            before, _, after = whole.partition(_HOLE.encode())
            self._parts.append((head % len(whole) + before, after))

    def next(self) -> bytes:
        """A whole request with an id that was never sent."""
        number = self._next
        self._next += 1
        before, after = self._parts[number % len(self._parts)]
        return b"%b%012d%b" % (before, number, after)
