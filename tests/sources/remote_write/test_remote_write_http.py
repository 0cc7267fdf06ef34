"""POST /api/v1/write over HTTP: what a sender hears, and what the operator sees of what became of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog

from support.application import ADMIN, application_in
from support.clock import HandClock
from support.remote_write import HEADERS_V1, HEADERS_V2, Sent, sent, snappy, write_v1, write_v2
from support.server import running
from weighbridge.domain.errors import BusyError, DiskFullError
from weighbridge.sources.remote_write import routes
from weighbridge.sources.remote_write.accounts import NOTICE_EVERY_US

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from weighbridge.app.build import Application

AT_MS = 1_765_728_000_000
EVERY_MS = 15_000
TABLES = """
[[sources.remote_write]]
metric_in = "rx"
metric_out = "tx"
exclude = {device = "lo"}
subject = "server/{instance}"
[[sources.remote_write]]
preset = "traefik"
subject = "app/1"
consumer = "{team}"
"""
CATALOG: dict[str, Any] = {
    "regions": [{"id": "reg_1", "slug": "r1", "name": "R"}],
    "organizations": [
        {"id": "org_a", "slug": "a", "name": "A", "apps": [{"id": 1, "name": "shop"}],
         "projects": [{"id": "proj_a", "slug": "pa", "servers": [{"id": "sv_a", "hostname": "a", "region": "r1"}]},
                      {"id": "proj_b", "slug": "pb", "servers": [{"id": "sv_b", "hostname": "b", "region": "r1"}]}]},
        {"id": "org_z", "slug": "z", "name": "Z",
         "projects": [{"id": "proj_z", "slug": "pz", "servers": [{"id": "sv_z", "hostname": "z", "region": "r1"}]}]},
    ],
}
WRITTEN = "X-Prometheus-Remote-Write-Samples-Written"


@dataclass
class Site:
    application: Application
    client: httpx.Client
    clock: HandClock
    sender: str

    def post(self, body: bytes, key: str | None = None, **headers: str) -> httpx.Response:
        authorization = {"Authorization": f"Bearer {key or self.sender}"}
        return self.client.post("/api/v1/write", content=body, headers=HEADERS_V1 | authorization | headers)

    def send(self, *series: Sent, key: str | None = None, version: int = 2) -> httpx.Response:
        if version == 2:
            return self.post(snappy(write_v2(series)), key, **HEADERS_V2)
        return self.post(snappy(write_v1(series)), key)

    def key(self, **fields: Any) -> str:
        wanted = {"organization": "org_a", "name": "k", "scopes": ["ingest"]} | fields
        return self.client.post("/api/v1/keys", json=wanted).raise_for_status().json()["key"]

    def usage(self, **filters: Any) -> dict[str, int | None]:
        self.application.fold()
        asked = {"from": "2025-12-14T00:00:00Z", "to": "2025-12-15T00:00:00Z", "window": "total", **filters}
        row, = self.client.get("/api/v1/usage", params=asked).raise_for_status().json()["data"]
        return {name: row[name] for name in ("bytes_in", "bytes_out", "requests")}

    def metric(self, name: str) -> dict[str, float]:
        """A counter of /metrics by outcome, zeros left out."""
        text = self.client.get("/metrics").raise_for_status().text
        found = re.findall(rf'^weighbridge_remote_write_{name}_total{{outcome="(\w+)"}} (\S+)$', text, re.MULTILINE)
        return {outcome: float(value) for outcome, value in found if float(value)}


def site_in(folder: Path, tables: str = TABLES) -> Iterator[Site]:
    config = folder / "weighbridge.toml"
    config.write_text(tables)
    clock = HandClock((AT_MS + 3_600_000) * 1000)
    with (
        application_in(folder / "data", clock, config=str(config)) as application,
        running(application.app) as url,
        httpx.Client(base_url=url, headers={"Authorization": ADMIN}, timeout=30) as client,
    ):
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        site = Site(application, client, clock, "")
        site.sender = site.key()
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    yield from site_in(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
def test_counters_become_usage(site: Site, version: int) -> None:
    for number, (received, transmitted) in enumerate([(100, 7), (400, 20), (1000, 21)]):
        at_ms = AT_MS + number * EVERY_MS
        answer = site.send(
            sent("rx", (received, at_ms), instance="sv_a", device="eth0"),
            sent("tx", (transmitted, at_ms), instance="sv_a", device="eth0"),
            sent("rx", (9**9 * number, at_ms), instance="sv_a", device="lo"),
            sent("traefik_service_requests_total", (10 + number, at_ms), service="shop@docker", team="red"),
            version=version,
        )
        assert (answer.status_code, answer.content) == (204, b"")
    assert site.usage(server="sv_a") == {"bytes_in": 900, "bytes_out": 14, "requests": None}
    assert site.usage(app="1") == {"bytes_in": None, "bytes_out": None, "requests": 2}
    assert [row["identifier"] for row in site.client.get("/api/v1/consumers?app=1").json()["data"]] == ["red"]
    assert site.metric("samples") == {"read": 9, "no_mapping": 3}
    assert site.metric("readings") == {"accepted": 6}


def test_2_0_hears_what_was_accepted(site: Site) -> None:
    answer = site.send(
        Sent((("__name__", "rx"), ("instance", "sv_a")), ((1.0, AT_MS, 0), (-1.0, AT_MS + 1, 0)), exemplars=2, histograms=0),
        Sent((("__name__", "h"),), (), exemplars=1, histograms=3),
        sent("go_goroutines", (5, AT_MS)),
    )
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-prometheus")}
    assert told == {
        "x-prometheus-remote-write-samples-written": "2", "x-prometheus-remote-write-histograms-written": "3",
        "x-prometheus-remote-write-exemplars-written": "3",
    }
    again = site.send(sent("rx", (1, AT_MS), instance="sv_a"))
    assert again.headers[WRITTEN] == "1"  # known already, and safe
    assert WRITTEN not in site.send(sent("rx", (1, AT_MS), instance="sv_a"), version=1).headers


GOOD = snappy(write_v1([sent("rx", (1, AT_MS), instance="sv_a")]))
LYING = b"\x80\x80\x80\x08" + b"\x08abc"  # says 16 MiB, holds three bytes
REFUSALS = {
    "no protobuf": (snappy(b"\xff\xff"), {}, 400, "cannot be parsed"),
    "cut off": (snappy(write_v1([sent("rx", (1, AT_MS))])[:-1]), {}, 400, "cannot be parsed"),
    "no snappy": (b"plain", {}, 400, "no snappy block"),
    "an empty body": (b"", {}, 400, "no snappy block"),
    "framed snappy": (b"\xff\x06\x00\x00sNaPpY", {}, 400, "no snappy block"),
    "a length that lies": (LYING, {}, 400, "no snappy block"),
    "a length over the limit": (b"\x81\x80\x80\x08" + b"\x08abc", {}, 413, "larger than 16777216 bytes"),
    "the largest length": (b"\xff\xff\xff\xff\x0f\x08abc", {}, 413, "larger than 16777216 bytes"),
    "a bomb": (snappy(bytes(17 * 1024 * 1024)), {}, 413, "larger than 16777216 bytes"),
    "too many series": (snappy(b"\x0a\x00" * 100_001), {}, 413, "more than 100,000 series in one request"),
    "another message": (GOOD, {"Content-Type": HEADERS_V2["Content-Type"]}, 400, "this is prometheus.WriteRequest"),
    "an unknown message": (GOOD, {"Content-Type": "application/x-protobuf;proto=x.Y"}, 415, "Content-Type must be"),
    "another type": (GOOD, {"Content-Type": "application/json"}, 415, "application/x-protobuf"),
    "no encoding": (GOOD, {"Content-Encoding": ""}, 415, "use snappy"),
    "another encoding": (GOOD, {"Content-Encoding": "zstd"}, 415, "use snappy"),
    "two encodings": (GOOD, {"Content-Encoding": "snappy, gzip"}, 415, "use snappy"),
}


@pytest.mark.parametrize(("body", "headers", "status", "told"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_taken_is_refused_whole(
    site: Site, body: bytes, headers: dict[str, str], status: int, told: str,
) -> None:
    answer = site.post(body, **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]
    assert site.metric("samples") == {}
    assert site.post(GOOD).status_code == 204


def test_a_content_type_is_not_needed(site: Site) -> None:
    headers = {"Content-Encoding": "snappy", "Authorization": site.sender}
    assert site.client.post("/api/v1/write", content=GOOD, headers=headers).status_code == 204
    assert site.metric("readings") == {"accepted": 1}


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 401), ({"Authorization": "Bearer nobody"}, 401), ({"Authorization": "Basic eDp5"}, 401),
])
def test_who_has_no_key_is_told_so(site: Site, headers: dict[str, str], status: int) -> None:
    answer = httpx.post(f"{site.client.base_url}/api/v1/write", content=GOOD, headers=HEADERS_V1 | headers)
    assert answer.status_code == status


def test_the_scope_is_ingest(site: Site) -> None:
    assert site.post(GOOD, site.key(scopes=["traffic:read"])).status_code == 403
    assert site.client.get("/api/v1/write").status_code == 405


@pytest.mark.parametrize(("fields", "seen"), [
    ({}, {"sv_a", "sv_b"}),
    ({"project": "proj_a"}, {"sv_a"}),
    ({"organization": "org_z"}, {"sv_z"}),
    (None, {"sv_a", "sv_b", "sv_z"}),  # the admin: ids are unique over the server
])
def test_a_key_reaches_its_own(site: Site, fields: dict[str, str] | None, seen: set[str]) -> None:
    key = ADMIN if fields is None else site.key(**fields)
    for number in range(2):
        series = [sent("rx", (5 * number, AT_MS + number), instance=server) for server in ("sv_a", "sv_b", "sv_z", "sv_x")]
        assert site.send(*series, key=key).status_code == 204
    found = {server for server in ("sv_a", "sv_b", "sv_z") if site.usage(server=server)["bytes_in"] == 5}
    assert found == seen
    assert site.metric("readings") == {"accepted": 2 * len(seen), "unknown_subject": 2 * (4 - len(seen))}


def test_what_became_of_readings_is_counted(site: Site) -> None:
    first = sent("rx", (100, AT_MS), instance="sv_a"), sent("tx", (1, AT_MS), instance="sv_a")
    site.send(*first)
    site.send(*first)
    ahead_ms = AT_MS + 3_600_000 + 301_000
    for value, at_ms in ((90, AT_MS - 1), (101, AT_MS), (1, ahead_ms), (1, 1000), (1, 2**62), (1, -(2**63))):
        assert site.send(sent("rx", (value, at_ms), instance="sv_a")).status_code == 204
    assert site.metric("readings") == {
        "accepted": 1, "duplicate": 1, "out_of_order": 1, "conflict": 1, "in_future": 2, "invalid": 2,
    }
    assert site.metric("samples") == {"read": 10}


def logged(site: Site, *series: Sent) -> list[dict[str, Any]]:
    with structlog.testing.capture_logs() as entries:
        site.send(*series)
    return [dict(entry) for entry in entries if entry["event"].startswith("remote_write")]


def test_the_log_says_now_and_then_what_to_enter(site: Site) -> None:
    unknown = [sent("rx", (1, AT_MS), instance=f"sv_{number}") for number in range(7)]
    entry, = logged(site, *unknown, sent("rx", (1, AT_MS), instance="sv_a"))
    assert (entry["event"], entry["count"]) == ("remote_write_unknown_subjects", 7)
    assert entry["subjects"] == [f"server/sv_{number}" for number in range(5)]
    assert "enter them into the catalog" in entry["advice"]
    assert logged(site, *unknown) == []
    entry, = logged(site, sent("rx", (1, AT_MS), node="sv_a"))
    assert (entry["event"], entry["labels"]) == ("remote_write_without_subject", ["instance"])
    site.clock.at_us += NOTICE_EVERY_US
    assert [entry["event"] for entry in logged(site, *unknown)] == ["remote_write_unknown_subjects"]


def test_without_tables_it_is_acknowledged_and_said(tmp_path: Path) -> None:
    for site in site_in(tmp_path, ""):
        entry, = logged(site, sent("rx", (1, AT_MS), instance="sv_a"))
        assert entry["event"] == "remote_write_without_tables"
        assert site.metric("samples") == {"no_mapping": 1}
        assert site.send(sent("rx", (1, AT_MS), instance="sv_a")).headers[WRITTEN] == "1"


@pytest.mark.parametrize(("error", "seconds"), [(BusyError("full", retry_after_s=2), "2"), (DiskFullError("full"), "5")])
def test_our_own_trouble_is_503_and_a_retry_counts_once(site: Site, monkeypatch: Any, error: Exception, seconds: str) -> None:
    """The second of three messages finds no room: what came before it is kept, and known when all of it comes again."""
    monkeypatch.setattr(routes, "FIGURES_A_MESSAGE", 1)
    site.send(*[sent("rx", (0, AT_MS), instance=server) for server in ("sv_a", "sv_b")])
    submit, calls = site.application.services.intake.submit, iter(range(10))

    def refuse_second(*arguments: Any) -> None:
        if next(calls) == 1:
            raise error
        submit(*arguments)

    series = [sent("rx", (5, AT_MS + 1), (9, AT_MS + 2), instance="sv_a"), sent("rx", (3, AT_MS + 1), instance="sv_b")]
    with monkeypatch.context() as patched:
        patched.setattr(site.application.services.intake, "submit", refuse_second)
        answer = site.send(*series)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, seconds)
    before = site.metric("samples")
    assert site.send(*series).status_code == 204
    assert site.usage(organization="org_a")["bytes_in"] == 12
    assert site.metric("samples")["read"] == before["read"] + 3  # told once, when it was acknowledged


def test_too_many_large_bodies_at_once_hear_503(site: Site, monkeypatch: Any) -> None:
    monkeypatch.setattr(routes, "MAX_READING", 0)
    large = [sent("rx", (1, AT_MS), instance="sv_a", device=f"eth{number}", note="x" * 100) for number in range(200)]
    answer = site.send(*large, version=1)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert site.send(large[0]).status_code == 204
    monkeypatch.setattr(routes, "MAX_READING", 1)
    assert [site.send(*large, version=1).status_code for _ in range(2)] == [204, 204]
    assert site.metric("readings") == {"accepted": 200, "duplicate": 201}
