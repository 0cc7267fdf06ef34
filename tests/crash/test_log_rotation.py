"""A follower that never rests, beside a writer that never rests, and a rotation of some kind every few moments."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support import log_writer
from support.log_crash import Rotator
from support.logs import SLOT_S, Keeper, chunk_of, sum_of
from weighbridge.app.clock import SystemClock
from weighbridge.sources.log.deliver import Delivery
from weighbridge.sources.log.follow import Follower
from weighbridge.sources.log.place import Place

if TYPE_CHECKING:
    from weighbridge.sources.log.decode import Chunk

SECONDS = 10.0
LINE = re.compile(rb'"GET /items/(\d+) HTTP/1.1" 200 (\d+) ')


@dataclass
class EachLine:
    """Remembers every line by its number, so that a fault can be told by its lines."""

    header: str = ""
    seen: dict[int, int] = field(default_factory=dict)
    twice: list[int] = field(default_factory=list)

    def read(self, data: bytes) -> Chunk:
        lines = data.splitlines()
        found = [(int(match[1]), int(match[2])) for line in lines if (match := LINE.search(line))]
        self.twice += [number for number, _ in found if number in self.seen]
        self.seen.update(found)
        sums = (sum_of("app/1", SLOT_S, len(found), sum(amount for _, amount in found)),) if found else ()
        return chunk_of(len(lines), len(found), len(lines) - len(found), sums=sums)

    def close(self) -> None:
        pass


def test_rotation_under_load(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    log, lock, tally = logs / "access.log", tmp_path / "gate", tmp_path / "tally.json"
    lock.touch()
    reader, server = EachLine(), Keeper()
    place = Place(tmp_path / "state" / "place.sqlite", log)
    follower = Follower(log, reader, place, SystemClock(), chunk_bytes=64 * 1024, linger_s=0.0)
    delivery = Delivery("access.log", place, server.take, time.monotonic)
    follower.poll()
    writer = subprocess.Popen([sys.executable, log_writer.__file__, str(log), str(lock), str(tally)])
    rotator = Rotator(log, lock, random.Random(5), pace_s=(0.01, 0.2))
    turning = threading.Thread(target=rotator.run)
    turning.start()
    try:
        until_s = time.monotonic() + SECONDS
        while time.monotonic() < until_s:
            follower.poll()
            delivery.run()
    finally:
        rotator.stop.set()
        turning.join()
        writer.terminate()
        writer.wait(30)
    is_more = True
    while is_more:
        is_more = follower.poll()
        time.sleep(0.05)
    delivery.run()
    written = json.loads(tally.read_text())
    counts = dict(place.counts)
    follower.close()
    place.close()
    assert reader.twice == []
    assert server.totals() == (written["requests"], written["bytes"])
    assert (counts["lines"], counts["bad"]) == (written["lines"], written["bad"])
    assert rotator.rotations > 10
    assert written["lines"] > 10_000
