"""What PostgreSQL does to keep events once: `INSERT … ON CONFLICT DO NOTHING`, 1,000 rows a batch, in pipelines.

    python -m bench.peer_insert WAY FOLDER PORT      (a process of its own, started by the benchmark)

Only the insert with its check for known ids: no HTTP, no JSON, no look-up of subjects, no sums by slot. Ids ascend, the
best case for its index. Every batch is a transaction of its own, durable before it counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg
from bench.client import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000
WAYS = ("multi-row VALUES", "executemany", "unnest of arrays")
TABLE = """
CREATE TABLE IF NOT EXISTS events (
    source text NOT NULL, id text NOT NULL, series integer NOT NULL, at timestamptz NOT NULL,
    bytes_in bigint, bytes_out bigint, requests bigint, PRIMARY KEY (source, id))
"""
_ONE = "INSERT INTO events VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_ARRAYS = """
INSERT INTO events
SELECT * FROM unnest(%s::text[], %s::text[], %s::integer[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT DO NOTHING
"""
_AT = "2026-11-20 12:00:00+00"

Event = tuple[str, str, int, str, int, int, int]


def events(prefix: str, number: int) -> list[Event]:
    """Batch `number` of a run."""
    first = number * BATCH
    return [
        ("edge-1", f"{prefix}-{at:012}", at % 2000 + 1, _AT, at * 7919 % 10**9, at * 104_729 % 10**9, at % 40_000)
        for at in range(first, first + BATCH)
    ]


def as_values(rows: list[Event]) -> tuple[str, None]:
    """One statement that holds all rows, encoded beforehand."""
    texts = (f"('{s}','{i}',{n},'{t}',{bi},{bo},{r})" for s, i, n, t, bi, bo, r in rows)
    return f"INSERT INTO events VALUES {','.join(texts)} ON CONFLICT DO NOTHING", None


def as_arrays(rows: list[Event]) -> tuple[str, tuple[str, ...]]:
    """One statement and seven arrays as text, encoded beforehand."""
    columns = zip(*rows, strict=True)
    return _ARRAYS, tuple("{" + ",".join(f'"{value}"' for value in column) + "}" for column in columns)


def insert(
    way: str, connection: psycopg.Connection[tuple[object, ...]], prefix: str, batches: int
) -> tuple[int, float]:
    """Inserts so many batches; how many rows were new, and the seconds it took, encoding left out."""
    prepared = [_encoded(way, events(prefix, number)) for number in range(batches)]
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    with connection.pipeline() as pipeline:
        answers = []
        for send in prepared:
            answers.append(send(connection))
            pipeline.sync()
    seconds = time.perf_counter() - began  # leaving the pipeline waits for every answer
    return sum(answer.rowcount for answer in answers), seconds


def _encoded(
    way: str, rows: list[Event]
) -> Callable[[psycopg.Connection[tuple[object, ...]]], psycopg.Cursor[tuple[object, ...]]]:
    if way == "executemany":
        def send_many(connection: psycopg.Connection[tuple[object, ...]]) -> psycopg.Cursor[tuple[object, ...]]:
            cursor = connection.cursor()
            cursor.executemany(_ONE, rows)
            return cursor

        return send_many
    query, parameters = as_values(rows) if way == WAYS[0] else as_arrays(rows)
    return lambda connection: connection.execute(query, parameters)


class Inserter:
    """A process that inserts. Encoded when made; starts at `go`; then `outcome`."""

    def __init__(self, way: str, folder: str, port: int, prefix: str, batches: int) -> None:
        """It is connected and has encoded what it inserts."""
        command = [sys.executable, "-m", "bench.peer_insert", way, folder, str(port), prefix, str(batches)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != "ready":
            msg = "the peer's client did not start"
            raise RuntimeError(msg)

    def go(self) -> None:
        """It inserts from now on."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def outcome(self) -> dict[str, float]:
        """Waits for the end: rows that were new, and seconds."""
        out, _ = self.process.communicate()
        found: dict[str, float] = json.loads(out)
        return found


def main() -> None:
    """One run, from arguments to JSON."""
    way, folder, port, prefix, batches = sys.argv[1:]
    with psycopg.connect(host=folder, port=int(port), user="bench", dbname="postgres", autocommit=True) as connection:
        new, seconds = insert(way, connection, prefix, int(batches))
    print(json.dumps({"new": new, "seconds": seconds}))


if __name__ == "__main__":
    main()
