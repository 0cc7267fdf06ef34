"""Data that came before its template: held for a while, then dropped and counted."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weighbridge.sources.netflow.streams import Key

HELD_S: Final = 1_800
"""How long data waits: Cisco's routers send a template every 30 minutes unless they are told otherwise."""
HELD_BYTES: Final = 8 * 2**20
"""Bytes held of one exporter: some 3,000 full datagrams, half an hour of a small router."""
HELD_SETS: Final = 4_096
"""Sets held of one exporter, however small they are."""
ALL_BYTES: Final = 64 * 2**20
"""Bytes held of all exporters; beyond it nothing more is held."""
ALL_SETS: Final = 65_536
"""Sets held of all exporters, those taken meanwhile included while their turn to expire has not come."""
SET_BYTES: Final = 1_024
"""What a held set costs besides its content."""
LOOK_EVERY_US: Final = 1_000_000
"""How often what waited for too long is looked for."""


@dataclass(frozen=True, slots=True)
class HeldSet:
    """A data set without a template, and what its datagram said of the time."""

    content: bytes
    export_us: int
    uptime_ms: int
    received_us: int


class _Queue:
    """What is held of one exporter: sets by stream and number, and the order in which they came."""

    __slots__ = ("arrivals", "bytes", "sets")

    def __init__(self) -> None:
        self.sets: dict[tuple[Key, int], deque[tuple[int, HeldSet]]] = {}
        self.arrivals: deque[tuple[int, int, tuple[Key, int]]] = deque()  # serial number, when, whose; may be taken already
        self.bytes = 0


class Held:
    """Queues by exporter. What leaves one unused is in `dropped` (exporter → sets) until somebody takes it."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self._queues: dict[str, _Queue] = {}
        self._bytes = 0
        self._serial = 0
        self._count = 0
        self._looked_us = 0

    def put(self, key: Key, set_id: int, held: HeldSet) -> None:
        """The set waits, unless there is no room; for it the oldest of its exporter go."""
        size = len(held.content) + SET_BYTES
        queue = self._queues.get(key.exporter)
        if self._bytes + size > ALL_BYTES or self._count >= ALL_SETS:
            self.dropped[key.exporter] += 1
            return
        if queue is None:
            queue = self._queues[key.exporter] = _Queue()
        self._serial += 1
        self._count += 1
        queue.sets.setdefault((key, set_id), deque()).append((self._serial, held))
        queue.arrivals.append((self._serial, held.received_us, (key, set_id)))
        self._add(queue, size)
        while queue.bytes > HELD_BYTES or len(queue.arrivals) > HELD_SETS:
            self._drop_oldest(key.exporter, queue)

    def take(self, key: Key, set_id: int) -> list[HeldSet]:
        """What waits for this template, in the order in which it came. It waits no longer."""
        queue = self._queues.get(key.exporter)
        if queue is None:
            return []
        found = queue.sets.pop((key, set_id), ())
        for _, held in found:
            self._add(queue, -len(held.content) - SET_BYTES)
        return [held for _, held in found]

    def expire(self, now_us: int) -> None:
        """What waited for too long is dropped."""
        if abs(now_us - self._looked_us) < LOOK_EVERY_US:
            return
        self._looked_us = now_us
        before_us = now_us - HELD_S * 1_000_000
        for exporter, queue in list(self._queues.items()):
            while queue.arrivals and queue.arrivals[0][1] < before_us:
                self._drop_oldest(exporter, queue)
            if not queue.arrivals:
                del self._queues[exporter]

    def _drop_oldest(self, exporter: str, queue: _Queue) -> None:
        serial, _, whose = queue.arrivals.popleft()
        self._count -= 1
        waiting = queue.sets.get(whose)
        if not waiting or waiting[0][0] != serial:
            return  # taken meanwhile
        _, held = waiting.popleft()
        if not waiting:
            del queue.sets[whose]
        self._add(queue, -len(held.content) - SET_BYTES)
        self.dropped[exporter] += 1

    def _add(self, queue: _Queue, size: int) -> None:
        self._bytes += size
        queue.bytes += size
