"""The same history in PostgreSQL, and each endpoint's question as one SQL statement.

A row for every series and 30 minutes, in the order of time as it would have come in, under a primary key that holds the
amounts too, so that questions read the index alone. No tiers of days; nothing comes in while it is asked.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from bench import world as worlds

from weighbridge.model import Kind

if TYPE_CHECKING:
    import psycopg
    from bench.postgres import Postgres
    from bench.world import World

TABLES = """
CREATE TABLE usage (series integer NOT NULL, slot integer NOT NULL, bytes_in bigint, bytes_out bigint, requests bigint);
CREATE TABLE things (
    series integer PRIMARY KEY, kind text, project text, region text, app integer, space integer, vpn text);
CREATE TABLE projects (id text PRIMARY KEY, slug text, billing_method text, price integer);
CREATE TABLE quotas (project text, region text, price integer, granted integer, additional integer,
    PRIMARY KEY (project, region));
"""
KEY = "ALTER TABLE usage ADD PRIMARY KEY (series, slot) INCLUDE (bytes_in, bytes_out, requests)"
_WIRE = np.dtype([
    ("fields", ">i2"), ("l1", ">i4"), ("series", ">i4"), ("l2", ">i4"), ("slot", ">i4"),
    ("l3", ">i4"), ("bytes_in", ">i8"), ("l4", ">i4"), ("bytes_out", ">i8"), ("l5", ">i4"), ("requests", ">i8"),
])
_COPY = "COPY usage FROM STDIN (FORMAT binary)"
_HEAD, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_PORTION = 200_000
"""Rows given to COPY at once."""

TRAFFIC = """
WITH slots AS (
    SELECT t.region, u.slot, sum(u.bytes_in)::bigint AS i, sum(u.bytes_out)::bigint AS o
    FROM things t JOIN usage u ON u.series = t.series
    WHERE t.project = %(project)s AND u.slot >= %(month)s AND u.slot < %(now)s GROUP BY 1, 2),
whole AS (SELECT slot, sum(i)::bigint AS i, sum(o)::bigint AS o FROM slots GROUP BY slot)
SELECT NULL AS region, NULL::integer AS day, sum(i), sum(o), percentile_disc(0.95) WITHIN GROUP (ORDER BY i),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY o) FROM whole
UNION ALL SELECT region, NULL::integer, sum(i), sum(o), percentile_disc(0.95) WITHIN GROUP (ORDER BY i),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY o) FROM slots GROUP BY region
UNION ALL SELECT region, slot / 48, sum(i), sum(o), NULL, NULL FROM slots GROUP BY region, slot / 48
"""
QUOTA = """
SELECT p.id, p.slug, p.billing_method, p.price, q.region, q.price, q.granted, q.additional, q.granted + q.additional
FROM projects p JOIN quotas q ON q.project = p.id WHERE p.id = %(project)s ORDER BY q.region
"""
APP = """
SELECT date_trunc('hour', to_timestamp(u.slot * 1800::bigint), 'America/New_York') AS hour,
    sum(u.bytes_in), sum(u.bytes_out), sum(u.requests)
FROM things t JOIN usage u ON u.series = t.series
WHERE t.app = %(app)s AND u.slot >= %(month)s AND u.slot < %(now)s GROUP BY 1 ORDER BY 1
"""
SPACES = """
WITH days AS (
    SELECT t.space, u.slot / 48 AS day, sum(u.bytes_in)::bigint + sum(u.bytes_out)::bigint AS bytes,
        sum(u.requests)::bigint AS requests
    FROM things t JOIN usage u ON u.series = t.series
    WHERE t.kind = 'space' AND u.slot >= %(year)s AND u.slot < %(now)s GROUP BY 1, 2),
months AS (
    SELECT space, date_trunc('month', to_timestamp(day * 86400::bigint), 'UTC') AS month, sum(bytes)::bigint AS bytes,
        sum(requests)::bigint AS requests FROM days GROUP BY 1, 2),
ten AS (SELECT space FROM months GROUP BY space ORDER BY sum(requests) DESC, space LIMIT 10)
SELECT 'all' AS what, NULL::integer AS space, month, sum(bytes), sum(requests) FROM months GROUP BY month
UNION ALL SELECT 'each', space, month, bytes, requests FROM months
UNION ALL SELECT 'top', CASE WHEN space IN (SELECT space FROM ten) THEN space ELSE 0 END, month, sum(bytes),
    sum(requests) FROM months GROUP BY 2, 3
"""
VPN = """
SELECT sum(u.bytes_in), sum(u.bytes_out), max(u.slot) FROM things t JOIN usage u ON u.series = t.series
WHERE t.vpn = %(vpn)s AND u.slot >= %(period)s AND u.slot < %(now)s
"""
QUESTIONS = {"/traffic": TRAFFIC, "/traffic/quota": QUOTA, "apitally": APP, "storyblok": SPACES, "altostrat": VPN}
"""By the names in bench/asking.py."""


class PeerUsage:
    """A world in PostgreSQL: `load` it part by part, `finish`, then ask."""

    def __init__(self, postgres: Postgres, world: World) -> None:
        self._world = world
        self._connection: psycopg.Connection[tuple[object, ...]] = postgres.connect()
        self.load_s = 0.0
        self.rows = 0
        for statement in TABLES.split(";\n"):
            self._connection.execute(statement)
        self._enter_catalog()

    def _enter_catalog(self) -> None:
        places = {server: (project, region) for server, project, region in self._world.servers()}
        cursor = self._connection.cursor()
        with cursor.copy("COPY things FROM STDIN") as copy:
            for number, key in enumerate(self._world.numbered, 1):
                project, region = places.get(key.object, (None, None))
                copy.write_row((
                    number, key.kind.value, project, region,
                    int(key.object) if key.kind is Kind.APP else None,
                    int(key.object) if key.kind is Kind.SPACE else None,
                    worlds.VPN if key.kind in (Kind.VPN, Kind.PEER) else None,
                ))
        projects = sorted({project for project, _ in places.values()})
        cursor.executemany("INSERT INTO projects VALUES (%s, %s, '95th percentile', 500)", [(p, p) for p in projects])
        quotas = [(project, region) for project in projects for region in worlds.REGIONS]
        cursor.executemany("INSERT INTO quotas VALUES (%s, %s, 100, 20, 1)", quotas)

    def load(self, step_s: int, rows: np.ndarray) -> None:
        """Adds rows (SLOT_ROW, of all series in turn, gapless) as sums of 30 minutes."""
        before = time.perf_counter()
        wire = _as_wire(rows, worlds.SLOT_S // step_s, self._world.series)
        with self._connection.cursor().copy(_COPY) as copy:
            copy.write(_HEAD)
            for first in range(0, len(wire), _PORTION):
                copy.write(wire[first : first + _PORTION].tobytes())
            copy.write(_END)
        self.rows += len(wire)
        self.load_s += time.perf_counter() - before

    def finish(self) -> None:
        """The key is made, and the planner knows the table."""
        before = time.perf_counter()
        self._connection.execute(KEY)
        self._connection.execute("VACUUM ANALYZE")
        self._connection.execute("CHECKPOINT")
        self.load_s += time.perf_counter() - before

    def bytes(self) -> int:
        """On disk, key included."""
        row = self._connection.execute("SELECT pg_total_relation_size('usage')").fetchone()
        return int(str(row[0])) if row else 0

    def _parameters(self) -> dict[str, object]:
        now = datetime.fromtimestamp(self._world.now_s, UTC)
        period_s = int(now.replace(day=1, hour=0, minute=0).timestamp())
        return {
            "project": worlds.PROJECT, "app": worlds.APP, "vpn": worlds.VPN,
            "now": self._world.now_s // worlds.SLOT_S,
            "month": (self._world.now_s - 30 * 86400) // worlds.SLOT_S,
            "year": (self._world.now_s // 86400 - 365) * 48,
            "period": period_s // worlds.SLOT_S,
        }

    def ask(self, name: str) -> list[tuple[object, ...]]:
        """The rows of one question."""
        return self._connection.execute(QUESTIONS[name], self._parameters(), prepare=True).fetchall()

    def time_ms(self, name: str, rounds: int) -> list[float]:
        """Milliseconds of each of so many answers, after one for warmth."""
        self.ask(name)
        took = []
        for _ in range(rounds):
            before = time.perf_counter()
            self.ask(name)
            took.append((time.perf_counter() - before) * 1000)
        return took

    def close(self) -> None:
        """The connection is gone; the table too, with its disk."""
        self._connection.execute("DROP TABLE usage, things, projects, quotas")
        self._connection.close()


def _as_wire(rows: np.ndarray, slots: int, series: int) -> np.ndarray:
    """COPY's binary rows, sums of `slots` rows each, in the order of time. A last slot that is cut is left as it is."""
    shaped = rows.reshape(series, -1)
    starts = np.arange(0, shaped.shape[1], slots)
    wire = np.empty((len(starts), series), _WIRE)
    wire["fields"] = 5
    wire["l1"] = wire["l2"] = 4
    wire["l3"] = wire["l4"] = wire["l5"] = 8
    wire["series"] = shaped["series"][:, 0]
    wire["slot"] = (shaped["slot"][0, starts] // 6)[:, None]
    for name in ("bytes_in", "bytes_out", "requests"):
        wire[name] = np.add.reduceat(np.maximum(shaped[name], 0), starts, axis=1).T
    return wire.reshape(-1)
