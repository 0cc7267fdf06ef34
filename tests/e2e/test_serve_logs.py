"""`weighbridge serve` follows the logs that its settings name, into the answers, through rotation and restarts."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from support.process import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = """
[[sources.log]]
path = "access.log"
format = "combined"
app = 1
environment = "prod"
consumer = "$remote_user"
"""
CATALOG = {"organizations": [{"id": "org_a", "slug": "a", "name": "A", "apps": [{"id": 1, "name": "shop"}]}]}
NOW = dt.datetime.now(dt.UTC)
WITHIN_S = 60.0


def lines(first: int, past: int) -> str:
    stamp = NOW.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return "".join(f'192.0.2.1 - alice [{stamp}] "GET /{n} HTTP/1.1" 200 {n} "-" "-"\n' for n in range(first, past))


def counted(server: Server) -> tuple[int, int]:
    query = {"from": (NOW - dt.timedelta(hours=1)).isoformat(), "to": (NOW + dt.timedelta(hours=1)).isoformat()}
    with server.client() as client:
        answer = client.get("/api/v1/usage", params=query | {"window": "total", "app": "1"})
        row, = answer.raise_for_status().json()["data"]
    return row["requests"] or 0, row["bytes_out"] or 0


def until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.2)


def test_a_log_is_followed_into_the_answers(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    (tmp_path / "weighbridge.toml").write_text(SETTINGS)
    log.write_text(lines(0, 100) + "no line of a log\n")
    server = Server(tmp_path / "data", ("--no-host", "--config", str(tmp_path / "weighbridge.toml")))
    with server:
        with server.client() as client:
            time.sleep(2)  # lines that belong to nobody yet wait
            client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        until(lambda: counted(server)[0] == 100)
        log.rename(tmp_path / "access.log.1")
        log.write_text(lines(100, 150))
        until(lambda: counted(server)[0] == 150)
        assert server.stop() == 0
        with log.open("a") as file:
            file.write(lines(150, 170))
        server.start()
        until(lambda: counted(server)[0] == 170)
        assert counted(server) == (170, sum(range(170)))
        with server.client() as client:
            environments = client.get("/api/v1/environments", params={"app": "1"}).json()["data"]
            consumers = client.get("/api/v1/consumers", params={"app": "1"}).json()["data"]
        assert ([each["name"] for each in environments], [each["identifier"] for each in consumers]) == (["prod"], ["alice"])
        assert server.stop() == 0
    assert "bad_line" in server.log.read_text()
