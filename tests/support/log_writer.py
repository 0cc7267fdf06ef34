"""A web server as far as its log can tell: `python log_writer.py LOG LOCK TALLY` until SIGTERM.

Writes lines of the combined format without pause, some of them bad, opens the log anew once it was renamed, and at the end
writes down what the lines amount to. While somebody holds LOCK it does not write: copytruncate loses what is written
between the copy and the cut, and nobody could tell how much.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

BATCH_LINES = 40
PAUSE_S = 0.01
BAD_SHARE = 0.002


def write(log: Path, lock: Path, tally: Path) -> None:
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    rng = random.Random(7)
    told = {"lines": 0, "bad": 0, "requests": 0, "bytes": 0}
    descriptor = _open(log)
    with lock.open("ab") as gate:
        while not stop:
            if not _is_still(log, descriptor):
                os.close(descriptor)
                descriptor = _open(log)
            batch = b"".join(_line(rng, told) for _ in range(BATCH_LINES))
            fcntl.flock(gate, fcntl.LOCK_SH)
            if rng.random() < 0.1:  # a line in two writes, as servers do when a buffer is full
                half = len(batch) - 20
                os.write(descriptor, batch[:half])
                time.sleep(0.002)
                os.write(descriptor, batch[half:])
            else:
                os.write(descriptor, batch)
            fcntl.flock(gate, fcntl.LOCK_UN)
            time.sleep(PAUSE_S)
    tally.write_text(json.dumps(told))


def _open(log: Path) -> int:
    return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def _is_still(log: Path, descriptor: int) -> bool:
    try:
        return log.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _line(rng: random.Random, told: dict[str, int]) -> bytes:
    told["lines"] += 1
    number = told["lines"]
    if rng.random() < BAD_SHARE:
        told["bad"] += 1
        return b"%d this is no line of a log\n" % number
    amount = rng.randrange(10**6)
    told["requests"] += 1
    told["bytes"] += amount
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    return f'192.0.2.{number % 250} - - [{at}] "GET /items/{number} HTTP/1.1" 200 {amount} "-" "test"\n'.encode()


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:4]))
