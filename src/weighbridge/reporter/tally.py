"""What requests move, while they move it: sums by environment, consumer and endpoint, until an interval is cut.

Nothing here waits: a request that finds the sums in use leaves itself in a queue, which whoever has the lock empties. The
same holds inside of garbage collection, where a request may end in the middle of another one's bookkeeping.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Key: TypeAlias = tuple[str | None, str | None, str | None, str | None]
"""Environment, consumer, method, path; None where it is not known or left out."""
Rows: TypeAlias = dict[Key, list[int]]
"""Bytes in, bytes out and requests by key."""

KEYS_AT_ONCE = 5_000
"""Keys of one interval, some 2 MB: far above the endpoints times the consumers that one process sees in a minute.
What comes beyond them is counted under its environment alone."""
UNREAD_BYTES = 1024 * 1024
"""As much of a body that nobody read is believed to its Content-Length. It was sent to us, but a header alone proves
nothing: without a bound one forged line would put a petabyte on an invoice."""


def size(body: bytes | memoryview | None) -> int:
    """Bytes of a piece of a body."""
    if not body:
        return 0
    return body.nbytes if isinstance(body, memoryview) else len(body)


def add(rows: Rows, key: Key, bytes_in: int, bytes_out: int, requests: int) -> None:
    """The amounts are in the rows, under `key` while there is room for it, else under its environment."""
    row = rows.get(key)
    if row is None:
        if len(rows) >= KEYS_AT_ONCE:
            key = (key[0], None, None, None)
        row = rows.setdefault(key, [0, 0, 0])
    row[0] += bytes_in
    row[1] += bytes_out
    row[2] += requests


class Passage:
    """One request or connection, and what it has moved so far. Only its own code counts it up."""

    __slots__ = ("_name", "bytes_in", "bytes_out", "is_counted", "is_gone", "is_over", "is_read", "key", "settled_in",
                 "settled_out", "tally")

    def __init__(self, tally: Tally, name: Callable[[], Key]) -> None:
        self.tally = tally
        self._name = name
        self.key: Key | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.is_read = False     # the app has asked for the body
        self.is_gone = False     # the client has left: what is sent from now on reaches nobody
        self.is_over = False
        self.is_counted = False  # the next three are the tally's: what it has entered already
        self.settled_in = 0
        self.settled_out = 0

    def identify(self) -> None:
        """From now on it is known whose traffic this is, and a long one is entered while it lasts."""
        if self.key is None:
            self.key = self._name()

    def end(self) -> None:
        """All it has moved is entered, once, however often this is called. Never waits."""
        if not self.is_over:
            self.is_over = True
            self.identify()
            self.tally.end(self)


class Tally:
    """The sums of the interval that runs, and the passages that have not ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: deque[Passage] = deque()
        self._living: set[Passage] = set()
        self._rows: Rows = {}

    def begin(self, name: Callable[[], Key]) -> Passage:
        """A passage that is swept into every interval from its `identify` to its end."""
        passage = Passage(self, name)
        self._living.add(passage)
        return passage

    def end(self, passage: Passage) -> None:
        """The passage is entered now, or by whoever has the lock or gets it next."""
        self._ended.append(passage)
        if self._lock.acquire(blocking=False):
            try:
                self._gather()
            finally:
                self._lock.release()

    def cut(self) -> Rows:
        """The sums since the last cut, those of passages that go on included; counting begins anew."""
        with self._lock:
            self._gather()
            for passage in self._living.copy():
                if passage.key is not None:
                    self._settle(passage, passage.key)
            rows, self._rows = self._rows, {}
        return rows

    def _gather(self) -> None:
        ended = self._ended
        while ended:
            passage = ended.popleft()
            if passage.key is not None:
                self._settle(passage, passage.key)
            self._living.discard(passage)

    def _settle(self, passage: Passage, key: Key) -> None:
        """What was not entered yet. The amounts are read once, since another thread may be counting them up."""
        bytes_in, bytes_out = passage.bytes_in, passage.bytes_out
        new_in, new_out, new_request = bytes_in - passage.settled_in, bytes_out - passage.settled_out, not passage.is_counted
        if new_in or new_out or new_request:
            add(self._rows, key, new_in, new_out, int(new_request))
            passage.settled_in, passage.settled_out, passage.is_counted = bytes_in, bytes_out, True
