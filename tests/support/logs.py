"""Logs for tests: lines of the simplest format there is, a naive reader of them, and a server that keeps what it is sent."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.clock import HandClock
from weighbridge.measurement import Receipt, Rejection
from weighbridge.sources.log.decode import Chunk, Sum
from weighbridge.sources.log.deliver import Delivery, UnansweredError
from weighbridge.sources.log.follow import IDLE_S, Begin, Follower
from weighbridge.sources.log.place import Place
from weighbridge.sources.log.sight import SETTLE_S

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SLOT_S = 1_764_000_000


def sum_of(subject: str, slot_s: int, requests: int, bytes_out: int | None, **more) -> Sum:
    """A sum that says no more than it must."""
    nothing = dict.fromkeys(("environment", "consumer", "method", "path", "bytes_in"))
    return Sum(subject=subject, slot_s=slot_s, requests=requests, bytes_out=bytes_out, **(nothing | more))


def chunk_of(lines: int = 0, counted: int = 0, bad: int = 0, first_bad: tuple = (), sums: tuple[Sum, ...] = ()) -> Chunk:
    """A chunk without unmatched and blank lines."""
    return Chunk(lines, counted, bad, 0, 0, first_bad, sums)


def line_of(number: int, width: int = 30) -> bytes:
    """A line that no other is like; its amount is its number."""
    return f"{number} {'x' * width}\n".encode()


@dataclass
class NaiveReader:
    """Sums lines `NUMBER anything`: a request of NUMBER bytes each. Everything else is bad. Some slots, some subjects."""

    chunks: list[bytes] = field(default_factory=list)
    header: str = ""

    def read(self, data: bytes) -> Chunk:
        self.chunks.append(data)
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        found: dict[tuple[str, int], list[int]] = {}
        bad = []
        for at, line in enumerate(lines, 1):
            number = line.partition(b" ")[0]
            if not number.isdigit():
                bad.append((at, "no number", line[:200].decode("utf-8", "replace")))
                continue
            key = (f"app/{int(number) % 3 + 1}", SLOT_S + int(number) % 2 * 300)
            found.setdefault(key, []).append(int(number))
        sums = tuple(sum_of(subject, slot, len(each), sum(each)) for (subject, slot), each in sorted(found.items()))
        return chunk_of(len(lines), len(lines) - len(bad), len(bad), tuple(bad[:10]), sums)

    def close(self) -> None:
        pass


@dataclass
class Keeper:
    """A server in memory, exact about ids. `refusing`: subjects that its catalog lacks."""

    events: dict[tuple[str, str], dict] = field(default_factory=dict)
    refusing: set[str] = field(default_factory=set)
    bodies: int = 0

    def take(self, body: bytes) -> Receipt:
        self.bodies += 1
        accepted = duplicates = 0
        rejected = []
        for index, event in enumerate(json.loads(gzip.decompress(body))):
            key = (event["source"], event["id"])
            if event["subject"] in self.refusing:
                rejected.append(Rejection(index, event["id"], "unknown_subject", f"no {event['subject']}; enter it"))
            elif key in self.events:
                assert self.events[key] == event, "the same id with other content"
                duplicates += 1
            else:
                self.events[key] = event
                accepted += 1
        return Receipt(accepted, duplicates, tuple(rejected))

    def lose_answer(self, body: bytes) -> Receipt:
        self.take(body)
        raise UnansweredError("the line went dead")

    def be_away(self, body: bytes) -> Receipt:
        raise UnansweredError("nobody answers")

    def totals(self) -> tuple[int, int]:
        """Requests and bytes that count."""
        data = [event["data"] for event in self.events.values()]
        return sum(each["requests"] for each in data), sum(each["bytes_out"] for each in data)

    def by_subject(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for event in self.events.values():
            found[event["subject"]] += event["data"]["requests"]
        return found


def sums_of(numbers: Iterable[int]) -> tuple[int, int]:
    """What lines with these numbers amount to."""
    listed = list(numbers)
    return len(listed), sum(listed)


class Seconds:
    """A monotonic clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


CHUNK = 8192
"""Small, so that most files take several."""


class Followed:
    """A log in a folder, its follower and a server; `crash` forgets all that is not on disk."""

    def __init__(self, folder: Path, begin: Begin | None = None, linger_s: float = 0.0) -> None:
        self.folder, self.log = folder, folder / "access.log"
        self.clock, self.seconds, self.server = HandClock(1_764_000_000_000_000), Seconds(), Keeper()
        self.reader = NaiveReader()
        self._options = {"chunk_bytes": CHUNK, "monotonic_s": self.seconds, "linger_s": linger_s, "begin": begin}
        self.start()

    def start(self) -> None:
        self.place = Place(self.folder / "state" / "place.sqlite", self.log)
        self.follower = Follower(self.log, self.reader, self.place, self.clock, **self._options)
        self.delivery = Delivery("access.log", self.place, self.server.take, self.seconds)

    def crash(self) -> None:
        self.close()
        self.start()

    def close(self) -> None:
        self.follower.close()
        self.place.close()

    def poll(self, step_s: float = 0.0) -> bool:
        self.seconds.now_s += step_s
        self.clock.at_us += int(step_s * 1e6)
        return self.follower.poll()

    def settle(self) -> None:
        """Everything that can be read has been."""
        for step_s in (0.0, SETTLE_S, IDLE_S + 1, SETTLE_S, 0.0):
            self.poll(step_s)

    def total(self) -> int:
        """How many lines count, once all that was read is delivered."""
        self.delivery.run()
        return self.server.totals()[0]

    def numbers(self) -> list[int]:
        """The numbers of all lines that were read, in the order of reading."""
        return [int(line.split()[0]) for chunk in self.reader.chunks for line in chunk.split(b"\n") if line[:1].isdigit()]

    def append(self, *numbers: int, name: str = "access.log", width: int = 30) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(b"".join(line_of(number, width) for number in numbers))
