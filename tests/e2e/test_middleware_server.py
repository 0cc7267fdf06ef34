"""The middleware in an app on a real socket, a real server, and between them a line that swallows answers."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.answers import Reply, answering
from support.process import ADMIN, Server
from support.server import running
from weighbridge.asgi import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.answers import Asked

CATALOG = {"organizations": [{"id": "org_a", "slug": "a", "name": "A", "apps": [{"id": 1, "name": "shop"}]}]}
SOON_S = 30.0
"""Retries and a restart of the server included, on a machine that does other things too."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads all, answers `?pieces=N` pieces of 1,000 bytes; `/boom` raises after the first."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(int(scope["query_string"] or b"1")):
        await send({"type": "http.response.body", "body": bytes(1_000), "more_body": True})
        if scope["path"] == "/boom":
            raise KeyError("on purpose")
    await send({"type": "http.response.body"})


@contextmanager
def swallowing(url: str, every: int) -> Iterator[str]:
    """Hands bodies on to `url` and every so many-th answer back to nobody; 502 while nobody is there."""
    turns = count(1)

    def reply(asked: Asked) -> Reply | None:
        headers = {name: asked.headers[name] for name in ("authorization", "content-type", "content-encoding")}
        try:
            answer = httpx.post(f"{url}{asked.path}", content=asked.body, headers=headers, timeout=30)
        except httpx.TransportError:
            return Reply(502)
        return None if next(turns) % every == 0 else Reply(answer.status_code, answer.content)

    with answering(reply) as proxy:
        yield proxy


def totals(server: Server) -> tuple[int, int, int]:
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    asked = {"from": (today - timedelta(days=1)).isoformat(), "to": (today + timedelta(days=1)).isoformat(), "window": "total"}
    with server.client() as client:
        rows = client.get("/api/v1/usage", params={**asked, "app": "1"}).raise_for_status().json()["data"]
    return tuple(sum(row[name] or 0 for row in rows) for name in ("bytes_in", "bytes_out", "requests"))


def settled(server: Server, expected: tuple[int, int, int]) -> tuple[int, int, int]:
    """What the server says once it says what is expected and a second longer, or when there was time enough."""
    until_s = time.monotonic() + SOON_S
    while totals(server) != expected and time.monotonic() < until_s:
        time.sleep(0.1)
    time.sleep(1.2)
    return totals(server)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as found:
        with found.client() as client:
            client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        yield found


def test_every_byte_once_whatever_the_line_does(server: Server) -> None:
    bytes_in = bytes_out = requests = 0
    with swallowing(server.url, every=2) as line:
        meter = Meter(app, url=line, key=ADMIN, interval_s=1)
        with running(meter) as url, httpx.Client(base_url=url, timeout=30) as client:
            for number in range(120):
                size, pieces = number * 37 % 5_000, number % 4
                content: Any = bytes(size) if number % 3 else iter([bytes(size)] * 2)  # of known length, or in chunks
                answer = client.post(f"/items?{pieces}", content=content)
                assert len(answer.content) == pieces * 1_000
                bytes_in += size if number % 3 else 2 * size
                bytes_out, requests = bytes_out + pieces * 1_000, requests + 1
                if number == 40:
                    server.kill()
                if number == 80:
                    server.start()
                time.sleep(0.02)
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/boom?5")
            bytes_out, requests = bytes_out + 1_000, requests + 1
        assert settled(server, (bytes_in, bytes_out, requests)) == (bytes_in, bytes_out, requests)


def test_a_shutdown_hands_everything_over(server: Server) -> None:
    meter = Meter(app, url=server.url, key=ADMIN)  # a minute's interval: only the shutdown sends
    with running(meter) as url:
        for _ in range(10):
            httpx.post(f"{url}/items?3", content=b"12345")
    time.sleep(1.0)  # accepted usage is in every answer within one second
    assert totals(server) == (50, 30_000, 10)


def test_dimensions_arrive_as_they_are(server: Server) -> None:
    meter = Meter(app, url=server.url, key=ADMIN, environment="staging",
                  consumer=lambda scope: dict(scope["headers"])[b"x-who"].decode())
    with running(meter) as url:
        for who in ("alice", "bob", "bob"):
            httpx.get(f"{url}/", headers={"X-Who": who})
    with server.client() as client:
        environments, consumers = (client.get(f"/api/v1/{kind}").json()["data"] for kind in ("environments", "consumers"))
    assert [each["name"] for each in environments] == ["staging"]
    assert sorted(each["identifier"] for each in consumers) == ["alice", "bob"]
