"""Agents over HTTP: what they bring in counts once, for what their key reaches; and what they are told to keep apart."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from support.application import ADMIN, application_in
from support.server import running
from weighbridge.collected import FLOW_SUM, MAPPED_LO, Collected, CounterReading, FlowSums, Thing, ThingKind
from weighbridge.domain.errors import BusyError, DiskFullError
from weighbridge.spool.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT, OTHER = "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10", "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f11"
NOW_S = int(time.time()) // 300 * 300
OLD = {"from": "2020-01-01T00:00:00Z"}
CATALOG = {
    "regions": [{"id": "r1", "slug": "brazil", "name": "Brazil"}],
    "exporters": [{"id": "edge-1", "address": "198.51.100.1", "networks": ["203.0.113.0/24"]}],
    "organizations": [
        {"id": f"org_{name}", "slug": name, "name": name, "projects": [{"id": f"p_{name}", "slug": "p", "servers": [
            {"id": f"sv_{name}", "hostname": "h", "region": "brazil"},
            {"id": f"fl_{name}", "hostname": "f", "region": "brazil", "addresses": [f"192.0.2.{n}"], **OLD}]}]}
        for n, name in ((10, "mine"), (20, "theirs"))
    ],
}


class Scene:
    """A server, an admin's client and one of an organization."""

    def __init__(self, application, url: str) -> None:
        self.application = application
        self.admin = httpx.Client(base_url=url, headers={"Authorization": ADMIN}, timeout=30)
        self.admin.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        self.mine = self._client(url, ["ingest"])
        self.reader = self._client(url, ["traffic:read"])

    def _client(self, url: str, scopes: list[str]) -> httpx.Client:
        made = self.admin.post("/api/v1/keys", json={"organization": "org_mine", "name": "x", "scopes": scopes})
        return httpx.Client(base_url=url, headers={"Authorization": made.raise_for_status().json()["key"]}, timeout=30)

    def close(self) -> None:
        for client in (self.admin, self.mine, self.reader):
            client.close()

    def send(self, client: httpx.Client, collected: Collected, number: int, agent: str = AGENT) -> httpx.Response:
        body = encode(collected, agent, number)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return client.post("/api/v1/collected", content=body, headers=headers)

    def usage(self) -> dict[str, tuple[int, int]]:
        """Bytes in and out by server."""
        self.application.fold()
        query = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "window": "total", "group_by": "server"}
        rows = self.admin.get("/api/v1/usage", params=query).raise_for_status().json()["data"]
        return {row["server"]: (row["bytes_in"], row["bytes_out"]) for row in rows if row["bytes_in"] or row["bytes_out"]}


@pytest.fixture
def scene(tmp_path) -> Iterator[Scene]:
    with application_in(tmp_path / "data") as application, running(application.app) as url:
        scene = Scene(application, url)
        yield scene
        scene.close()


def host(server: str, minute: int, bytes_in: int) -> Collected:
    at_us = (NOW_S - 3600 + 60 * minute) * 1_000_000
    thing = Thing(ThingKind.HOST, server)
    return Collected("host", [CounterReading(thing=thing, at_us=at_us, bytes_in=bytes_in, bytes_out=0)])


def flows(*octets: int, bytes_in: int = 100) -> Collected:
    rows = np.zeros(len(octets), FLOW_SUM)
    rows["slot"], rows["bytes_in"], rows["flows"] = NOW_S // 300 - 2, bytes_in, 1
    rows["lo"] = [MAPPED_LO | 0xC0000200 | octet for octet in octets]
    return Collected("netflow", (), [FlowSums("198.51.100.1", rows)], {("198.51.100.1", "datagrams"): 5})


def test_a_body_counts_once_however_often_it_comes(scene: Scene) -> None:
    assert scene.send(scene.admin, host("sv_mine", 0, 1_000), 1).status_code == 200
    for n in range(3):
        answer = scene.send(scene.admin, host("sv_mine", 1, 5_000), 2).raise_for_status().json()
        assert (answer["id"], answer["known"]) == (f"{AGENT}/2", n > 0)
    for n in range(3):
        answer = scene.send(scene.admin, flows(10, 20), 3).raise_for_status().json()
        assert answer["known"] is (n > 0)
    assert scene.send(scene.admin, flows(10), 4).json()["known"] is False
    assert scene.send(scene.admin, flows(10), 4, OTHER).json()["known"] is False, "another agent has its own numbers"
    assert scene.usage() == {"sv_mine": (4_000, 0), "fl_mine": (300, 0), "fl_theirs": (100, 0)}
    lines = scene.admin.get("/metrics").text.splitlines()
    assert 'weighbridge_source_total{exporter="198.51.100.1",source="netflow",what="datagrams"} 15.0' in lines


def test_a_key_of_an_organization_reaches_its_own_things_alone(scene: Scene) -> None:
    for number, (minute, total) in enumerate([(0, 1_000), (1, 5_000)], 1):
        for at, server in enumerate(["sv_mine", "sv_theirs"]):
            answer = scene.send(scene.mine, host(server, minute, total), 10 * at + number).raise_for_status().json()
            assert ("unattributed" in answer["counts"]) is (server == "sv_theirs")
    scene.send(scene.mine, flows(10, 20), 30).raise_for_status()
    assert scene.usage() == {"sv_mine": (4_000, 0), "fl_mine": (100, 0)}
    # the same agent and number by another key is another body
    assert scene.send(scene.admin, flows(10, 20), 30).json()["known"] is False
    assert scene.usage() == {"sv_mine": (4_000, 0), "fl_mine": (200, 0), "fl_theirs": (100, 0)}


def test_the_interest_is_what_the_key_reaches(scene: Scene) -> None:
    assert scene.admin.get("/api/v1/interest").json() == {
        "version": 1, "prefixes": ["192.0.2.10/32", "192.0.2.20/32"], "macs": [], "vlans": [], "networks": ["203.0.113.0/24"]}
    assert scene.mine.get("/api/v1/interest").json() == {
        "version": 1, "prefixes": ["192.0.2.10/32"], "macs": [], "vlans": [], "networks": []}
    scene.admin.patch("/api/v1/servers/fl_mine", json={"addresses": ["192.0.2.11"]}).raise_for_status()
    found = scene.mine.get("/api/v1/interest").json()["prefixes"]
    assert set(found) == {"192.0.2.10/32", "192.0.2.11/32"}, "late flows may still tell of the old one"


def test_both_want_the_scope_ingest(scene: Scene) -> None:
    assert scene.reader.get("/api/v1/interest").status_code == 403
    assert scene.send(scene.reader, host("sv_mine", 0, 1), 1).status_code == 403
    nobody = {"Authorization": "none"}
    assert scene.reader.get("/api/v1/interest", headers=nobody).status_code == 401


@pytest.mark.parametrize(("body", "status", "told"), [
    (b"{}", 400, "nothing of it was kept"),
    (b'{"version":9,"agent":"x"}', 400, "this server is older than the agent"),
    (b"[" * 17_000_000, 413, "16777216 bytes"),
])
def test_other_bodies_are_refused(scene: Scene, body: bytes, status: int, told: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = scene.admin.post("/api/v1/collected", content=gzip.compress(body, 1), headers=headers)
    assert answer.status_code == status
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("error", [BusyError("much waits", retry_after_s=7), DiskFullError("no room")])
def test_what_was_not_kept_is_to_be_sent_again(scene: Scene, error: Exception, monkeypatch) -> None:
    scene.send(scene.admin, host("sv_mine", 0, 1_000), 1).raise_for_status()

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(scene.application.services.intake, "take", fail)
        for number, collected in ((2, host("sv_mine", 1, 2_000)), (3, flows(10))):
            answer = scene.send(scene.admin, collected, number)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
    for number, collected in ((2, host("sv_mine", 1, 2_000)), (3, flows(10))):
        assert scene.send(scene.admin, collected, number).json()["known"] is False
    assert scene.usage() == {"sv_mine": (1_000, 0), "fl_mine": (100, 0)}
