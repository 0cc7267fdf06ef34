"""A server that was away for days: what waited arrives, all of it, in order, each once."""

from __future__ import annotations

import gzip
import random
import time
from functools import partial
from typing import TYPE_CHECKING

from weighbridge.collected import Collected, CounterReading, Thing, ThingKind
from weighbridge.domain.counters import Reading, advance
from weighbridge.spool.delivery import Delivery, UnansweredError
from weighbridge.spool.outbox import Outbox
from weighbridge.spool.wire import decode, encode

if TYPE_CHECKING:
    from pathlib import Path

BODIES = 20_000
"""Two days of a reading every ten seconds; `python3 -m bench.agent_crash` has a real server catch up with 100,000."""
THING = Thing(ThingKind.HOST, "sv_1")


class Server:
    """Keeps bodies by id; now and then its answer is lost, or it is away."""

    def __init__(self) -> None:
        self.rng = random.Random(1)
        self.known: set[str] = set()
        self.state = None
        self.total = 0
        self.failures = 0

    def take(self, body: bytes) -> dict:
        if self.rng.random() < 0.002:
            self.failures += 1
            raise UnansweredError("nobody answers")
        sent = decode(gzip.decompress(body))
        if sent.id not in self.known:
            self.known.add(sent.id)
            (reading,) = sent.collected.readings
            step = advance(self.state, Reading(reading.at_us, reading.bytes_in, None))
            self.state = step.state  # None, and a failure at the next, if it came out of order
            self.total += sum(part.bytes_in or 0 for part in step.parts)
        if self.rng.random() < 0.002:
            self.failures += 1
            raise UnansweredError("the line went dead")
        return {}


def made(number: int) -> Collected:
    return Collected("host", [CounterReading(thing=THING, at_us=number, bytes_in=number * 1_000_003, bytes_out=None)])


def test_days_of_absence_are_caught_up(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for begin in range(0, BODIES, 1_000):
        outbox.put([partial(encode, made(number)) for number in range(begin, begin + 1_000)])
    outbox.close()
    outbox = Outbox(tmp_path)  # everything that waits was put there by a process that is gone
    assert outbox.waiting == BODIES
    full_bytes = outbox.path.stat().st_size
    server = Server()
    delivery = Delivery("host", outbox, server.take, lambda: 0.0)
    began_s = time.monotonic()
    while outbox.waiting:
        delivery.hurry()
        delivery.run()
    assert time.monotonic() - began_s < 120
    assert (outbox.delivered, outbox.waiting_bytes) == (BODIES, 0)
    assert len(server.known) == BODIES
    assert server.total == (BODIES - 1) * 1_000_003
    assert server.failures > 20
    outbox.close()
    assert outbox.path.stat().st_size < full_bytes / 50  # the disk has its room back
