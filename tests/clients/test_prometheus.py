"""Prometheus, as it comes, against a real server: what its targets count is billed once, through every restart."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.process import Server
from support.prometheus import Page, Prometheus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

TABLES = """
[[sources.remote_write]]
preset = "node_exporter"
subject = "server/{instance}"
"""
CATALOG = {
    "regions": [{"id": "reg_1", "slug": "r1", "name": "R"}],
    "organizations": [{"id": "org_a", "slug": "a", "name": "A", "projects": [
        {"id": "proj_a", "slug": "pa", "servers": [{"id": "sv_1", "hostname": "web-1", "region": "r1"}]}]}],
}
WITHIN_S = 60.0
"""How long something may take to arrive: two scrapes a second, a backoff of half a second, and a machine that is busy."""


def usage(client: httpx.Client) -> tuple[int, int]:
    """Bytes in and out of the server around now."""
    now = dt.datetime.now(dt.UTC)
    asked = {"from": (now - dt.timedelta(hours=2)).isoformat(), "to": (now + dt.timedelta(hours=2)).isoformat()}
    answer = client.get("/api/v1/usage", params=asked | {"window": "total", "server": "sv_1"})
    row, = answer.raise_for_status().json()["data"]
    return row["bytes_in"] or 0, row["bytes_out"] or 0


def outcomes(client: httpx.Client) -> dict[str, float]:
    lines = client.get("/metrics").raise_for_status().text.splitlines()
    found = [line.partition('outcome="')[2] for line in lines if line.startswith("weighbridge_remote_write_readings_total{")]
    return {name: float(value) for name, _, value in (each.partition('"} ') for each in found)}


def until(holds: Callable[[], Any], told: Callable[[], object]) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end_s, told()
        time.sleep(0.1)


def billed_of(page: Page) -> tuple[int, int]:
    """What the scrapes prove: all growth from one to the next of each device but loopback, nothing for a fall."""
    sums = {"receive": 0, "transmit": 0}
    for before, now in zip(page.served, page.served[1:], strict=False):
        for (name, device), total in now.items():
            fell = any(now[each, device] < before[each, device] for each in sums)
            if device != "lo" and not fell:
                sums[name] += total - before[name, device]
    return sums["receive"], sums["transmit"]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    config = tmp_path / "weighbridge.toml"
    config.write_text(TABLES)
    return Server(tmp_path / "data", ("--no-host", "--config", str(config)))


def test_counters_of_a_target_are_billed_through_resets_and_restarts(server: Server, tmp_path: Path) -> None:
    with Page() as page, server, server.client() as client:
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        wanted = {"organization": "org_a", "name": "prometheus", "scopes": ["ingest"]}
        key = client.post("/api/v1/keys", json=wanted).raise_for_status().json()["key"]
        page.count(10**12, 10**12)  # from before anybody looked: never billed
        with Prometheus(tmp_path / "prometheus", page.port, server.port, key) as prometheus:
            def scraped() -> None:
                count = len(page.served)
                until(lambda: len(page.served) > count + 1, lambda: "no scrape came")

            def settle() -> None:
                scraped()
                until(lambda: usage(client) == billed_of(page), lambda: (usage(client), billed_of(page), page.served[-2:]))

            prometheus.start()
            until(lambda: outcomes(client).get("accepted", 0) >= 2, lambda: outcomes(client))
            page.count(1_000_003, 7)
            settle()
            page.count(5_000, 3_000_000_000)
            server.kill()  # nobody is there to take what is sent now
            page.count(600, 60)
            scraped()
            server.start()
            settle()
            page.reset(17)  # what came before the scrape is lost: nobody can prove it
            settle()
            page.count(20, 2)
            settle()
            page.is_there = False  # the series goes stale, and comes back
            time.sleep(1.5)
            page.count(30, 3)
            page.is_there = True
            settle()
            prometheus.stop()
            page.count(40, 4)
            prometheus.start()
            settle()
            counts = outcomes(client)
        assert usage(client) == (2 * (1_000_003 + 5_000 + 600 + 20 + 30 + 40), 2 * (7 + 3_000_000_000 + 60 + 2 + 3 + 4))
        assert {name for name, count in counts.items() if count} <= {"accepted", "duplicate", "out_of_order"}
