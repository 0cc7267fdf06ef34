"""Typical mistakes at each endpoint, and what the answer says: what is wrong, where, and what would be right."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.fuzz_site import ORGANIZATION, PROJECT, VPN, event, site_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fuzz_site import Site

TRAFFIC, APP = "/traffic?filter[date][gte]={}&filter[date][lte]={}", "/v1/apps/1/traffic"
SPACES = "/v1/orgs/me/statistics/all_traffic"
DAY = "from=2025-12-14T00:00:00Z&to=2025-12-15T00:00:00Z"
INSTANT = "2025-03-09T07:00:00Z"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site") / "data") as found:
        yield found


QUESTIONS = [
    (TRAFFIC.format("2025-12-15", "2025-12-14"), 422, ["filter[date][gte]", "before filter[date][lte]"]),
    (TRAFFIC.format("2025-12-14", "2025-12-14"), 422, ["filter[date][gte]", "before filter[date][lte]"]),
    (TRAFFIC.format("2024-01-01", "2025-12-14"), 422, ["filter[date][lte]", "366 days"]),
    (TRAFFIC.format("14.12.2025", "2025-12-15"), 422, ["filter[date][gte]", "14.12.2025", INSTANT]),
    (TRAFFIC.format("2025-12-14", "2025-13-45"), 422, ["filter[date][lte]", "month must be in 1..12", "2025-03-09T"]),
    (TRAFFIC.format("2025-12-14", "1765728000"), 422, ["filter[date][lte]", "1765728000", INSTANT]),
    (TRAFFIC.format("0001-01-01", "2025-12-14"), 422, ["filter[date][gte]", "1972 to 9998"]),
    ("/traffic", 422, ["filter[date][gte] is required", "ISO 8601", "2025-12-14T15:57:10Z"]),
    ("/traffic?filter[date][gte]=2025-12-14", 422, ["filter[date][lte] is required"]),
    (TRAFFIC.format("2025-12-14", "2025-12-15") + "&filter[srv]=x", 422, ["no filter[srv]", "filter[server]"]),
    (TRAFFIC.format("2025-12-14", "2025-12-15") + "&filter[server]=x", 404, ["no server 'x'", "filter[server]"]),
    (TRAFFIC.format("2025-12-14", "2025-12-15&filter[server]=a") + "&filter[server]=b", 422, ["given twice"]),
    ("/traffic/quota?filter[server]=x", 422, ["no filter[server]", "filter[project]"]),
    ("/traffic/quota?filter[project]=x", 404, ["no project 'x'", "filter[project]"]),
    (f"{APP}?limit=0", 422, ["limit", "greater than or equal to 1"]),
    (f"{APP}?limit=1001", 422, ["limit", "less than or equal to 1000"]),
    (f"{APP}?limit=ten", 422, ["limit", "valid integer"]),
    (f"{APP}?interval=week", 422, ["interval", "'hour' or 'day'"]),
    (f"{APP}?timezone=Mars/Base", 422, ["timezone", "Mars/Base", "Europe/Berlin"]),
    (f"{APP}?start=yesterday", 422, ["start", "valid datetime or date"]),
    (f"{APP}?start=2025-12-15&end=2025-12-14", 422, ["start", "must be before end"]),
    (f"{APP}?start=0001-01-01", 422, ["start", "1972 to 9998"]),
    (f"{APP}?next_token=garbage", 422, ["next_token", "other parameters"]),
    (f"{APP}?next_token={'x' * 1025}", 422, ["next_token", "at most 1024 characters"]),
    (f"{APP}?app_env_id=0", 422, ["app_env_id", "greater than or equal to 1"]),
    (f"{APP}?consumer_id=alice", 422, ["consumer_id", "valid integer"]),
    ("/v1/apps/shop-api/traffic", 422, ["path", "app_id", "valid integer"]),
    ("/v1/apps/99/traffic", 404, ["App not found"]),
    (f"{SPACES}?start_date=14.12.2025", 422, ["start_date", "is invalid"]),
    (f"{SPACES}?start_date=2025-02-30", 422, ["start_date", "is invalid"]),
    (f"{SPACES}?end_date=2020-01-01", 422, ["end_date", "must not be before start_date"]),
    (f"{SPACES}?start_date=0001-01-01", 422, ["start_date", "1972 to 9998"]),
    (f"{SPACES}?group_by=week", 422, ["group_by", "day, month or year"]),
    ("/vpn/instances/hq/bandwidth", 404, ["instance", "not found"]),
    (f"/vpn/instances/{VPN}", 404, ["route_not_found"]),
    ("/api/v1/usage", 422, ["`from` is missing", "2025-12-14T16:00:00Z"]),
    ("/api/v1/usage?from=x&to=y", 422, ["`from`", "'x' is no instant", INSTANT]),
    ("/api/v1/usage?from=2025-12-15T00:00:00Z&to=2025-12-14T00:00:00Z", 422, ["`from` lies after `to`"]),
    (f"/api/v1/usage?{DAY}&window=2h", 422, ["`window`", "'2h'", "5m, 15m, 30m, 1h, 1d, 1mo, 1y, total"]),
    (f"/api/v1/usage?{DAY}&time_zone=Nowhere", 422, ["time_zone", "Nowhere", "Europe/Berlin"]),
    (f"/api/v1/usage?{DAY}&group_by=servers", 422, ["`group_by`", "'servers'", "server"]),
    (f"/api/v1/usage?{DAY}&projct=x", 422, ["'projct'", "project"]),
    (f"/api/v1/usage?{DAY}&server=a&server=b", 422, ["server", "given twice"]),
    (f"/api/v1/usage?{DAY}&app=shop", 422, ["`app`", "integer"]),
    (f"/api/v1/usage?{DAY}&server=x", 404, ["no server 'x'"]),
    ("/api/v1/usage?from=1972-01-01T00:00:00Z&to=9990-01-01T00:00:00Z&window=5m", 422, ["window", "shorter range"]),
    (f"/api/v1/top?{DAY}", 422, ["`by` is missing", "organization, project, region, server"]),
    (f"/api/v1/top?{DAY}&by=server&metric=weight", 422, ["`metric`", "bytes, bytes_in, bytes_out, requests"]),
    (f"/api/v1/top?{DAY}&by=server&limit=0", 422, ["`limit`", "1 to 1000"]),
    (f"/api/v1/percentile?{DAY}&p=100", 422, ["`p`", "1 to 99"]),
    (f"/api/v1/percentile?{DAY}&slot=1h", 422, ["`slot`", "30m, 5m"]),
    ("/api/v1/servers?limit=0", 422, ["limit", "1 to 1000"]),
    ("/api/v1/servers?next_token=x", 422, ["next_token", "begin without it"]),
    ("/api/v1/servers?colour=red", 422, ["colour"]),
    ("/api/v1/servers/x", 404, ["no server 'x'"]),
    ("/api/v1/quota?project=x", 404, ["no project 'x'"]),
    ("/api/v2/usage", 404, ["nothing is at this path"]),
]


@pytest.mark.parametrize(("target", "status", "words"), QUESTIONS, ids=[case[0][:60] for case in QUESTIONS])
def test_questions(site: Site, target: str, status: int, words: list[str]) -> None:
    with site.client("organization") as client:
        answer = client.get(target)
    assert answer.status_code == status, answer.text
    assert [word for word in words if word not in answer.text] == []


def data(**fields: Any) -> dict[str, Any]:
    return {"data": fields}


def reading(**fields: Any) -> dict[str, Any]:
    return {"type": "weighbridge.reading", "data": fields}


EVENTS = [
    ({"subject": "server/x"}, "unknown_subject", ["no server 'x'", "catalog"]),
    ({"subject": "house/1"}, "invalid", ["house/1", "server/ID", "vpn/UUID", "app/NUMBER", "space/NUMBER"]),
    ({"subject": "app/shop"}, "invalid", ["app/1", "'shop'"]),
    ({"time": "yesterday"}, "invalid", ["$.time", "2025-12-14T16:00:00Z"]),
    ({"time": "2025-12-14T16:00:00"}, "invalid", ["time", "2025-12-14T16:00:00Z"]),
    ({"time": 1765728000}, "invalid", ["$.time", "2025-12-14T16:00:00Z"]),
    ({"time": "2099-01-01T00:00:00Z"}, "in_future", ["more than 5 minutes ahead"]),
    ({"type": "usage"}, "invalid", ["$.type", "weighbridge.usage or weighbridge.reading"]),
    ({"specversion": "0.3"}, "invalid", ["$.specversion", "0.3", "1.0"]),
    ({"id": ""}, "invalid", ["$.id", "length >= 1"]),
    ({"id": None}, "invalid", ["$.id", "`str`"]),
    ({"id": "x" * 5000}, "invalid", ["$.id", "length <="]),
    (data(bytes_in=-1), "invalid", ["$.data.bytes_in", ">= 0"]),
    (data(bytes_in=1.5), "invalid", ["$.data.bytes_in", "`int"]),
    (data(bytes_in="12"), "invalid", ["$.data.bytes_in", "`int"]),
    (data(bytes_in=2**53), "invalid", ["$.data.bytes_in", "<= 9007199254740991"]),
    (data(bytes=5), "invalid", ["`bytes`", "$.data", "bytes_in", "bytes_out", "requests"]),
    (data(bytes_in=1, duration_s=10**9), "invalid", ["$.data.duration_s", "<= 34560000"]),
    (data(bytes_in=1, duration_s=-5), "invalid", ["$.data.duration_s", ">= 0"]),
    ({"data": None}, "invalid", ["$.data"]),
    (reading(), "invalid", ["bytes_in_total", "bytes_out_total"]),
    (reading(bytes_in_total=-1), "invalid", ["bytes_in_total", "0 to 18446744073709551615"]),
    (reading(bytes_in_total=2**64), "invalid", ["bytes_in_total", "0 to 18446744073709551615"]),
    (reading(bytes_in_total=2**32, counter_bits=32), "invalid", ["bytes_in_total", "0 to 4294967295"]),
    (reading(bytes_in_total=1, counter_bits=48), "invalid", ["$.data.counter_bits", "64 or 32"]),
    (reading(bytes_in_total=1, since="then"), "invalid", ["$.data.since", "2025-12-14T16:00:00Z"]),
]


@pytest.mark.parametrize(("fields", "code", "words"), EVENTS, ids=[str(case[0])[:60] for case in EVENTS])
def test_events(site: Site, fields: dict[str, Any], code: str, words: list[str]) -> None:
    wrong = {**event(number=f"wrong {code} {words}"), **fields}
    with site.client() as client:
        answer = client.post("/api/v1/events", json=[wrong])
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 0
    refusal = answer.json()["rejected"][0]
    assert (refusal["index"], refusal["code"]) == (0, code)
    assert [word for word in words if word not in refusal["detail"]] == []


def test_an_event_lacks_a_field(site: Site) -> None:
    whole = event()
    with site.client() as client:
        for name in ("id", "source", "type", "subject", "time", "data"):
            lacking = {key: value for key, value in whole.items() if key != name}
            refusal = client.post("/api/v1/events", json=lacking).json()["rejected"][0]
            assert refusal["code"] == "invalid"
            assert f"`{name}`" in refusal["detail"]


JSON, LINES, YAML = "application/json", "application/x-ndjson", "application/yaml"
GOOD_LINE = json.dumps(event()).encode()
EVENTS_AT, CATALOG_AT, KEYS_AT = "/api/v1/events", "/api/v1/catalog", "/api/v1/keys"
NEW_KEY = {"organization": ORGANIZATION, "name": "k", "scopes": ["ingest"]}
BODIES = [
    ("POST", EVENTS_AT, JSON, b"", 400, ["cannot be parsed", "nothing of it was kept"]),
    ("POST", EVENTS_AT, JSON, b'[{"id": 1},', 400, ["cannot be parsed", "nothing of it was kept"]),
    ("POST", EVENTS_AT, JSON, b"{'id': 1}", 400, ["object keys must be strings", "byte 1"]),
    ("POST", EVENTS_AT, JSON, b"42", 400, ["a JSON object or an array of objects"]),
    ("POST", EVENTS_AT, "application/cloudevents+json", b"[]", 400, ["cloudevents-batch+json"]),
    ("POST", EVENTS_AT, "application/cloudevents-batch+json", b"{}", 400, ["application/cloudevents+json"]),
    ("POST", EVENTS_AT, LINES, GOOD_LINE + b"\n{oops", 400, ["line 2"]),
    ("POST", EVENTS_AT, "text/csv", b"a,b", 415, ["text/csv", "application/cloudevents+json", LINES]),
    ("POST", EVENTS_AT, JSON, b"[" + b"{}," * 10_000 + b"{}]", 413, ["10,000"]),
    ("POST", EVENTS_AT, JSON, b" " * (16 * 1024 * 1024 + 1), 413, ["16777216 bytes"]),
    ("PUT", CATALOG_AT, YAML, b"a: [1", 400, ["no YAML", "line 2, column 1"]),
    ("PUT", CATALOG_AT, YAML, b"id: 1\nid: 2", 400, ["'id'", "twice", "line 2"]),
    ("PUT", CATALOG_AT, YAML, b"a: &a [*a]", 400, ["anchor", "line 1"]),
    ("PUT", CATALOG_AT, YAML, b"!!python/object:os.system x", 400, ["tag", "not taken", "line 1"]),
    ("PUT", CATALOG_AT, YAML, b"planets: []", 422, ["planets", "known: exporters, organizations, regions"]),
    ("PUT", CATALOG_AT, YAML, b"- 1", 422, ["must be a mapping of fields"]),
    ("PUT", CATALOG_AT, YAML, b"regions: 7", 422, ["regions", "must be a list, not 7"]),
    ("PUT", CATALOG_AT, YAML, b"organizations: [{id: o}]", 422, ["organizations[0].slug", "organizations[0].name"]),
    ("PUT", CATALOG_AT, YAML, b"regions: [{id: r, slug: 'A B', name: x}]", 422, ["regions[0].slug", "a-z 0-9", "A B"]),
    ("PUT", CATALOG_AT, YAML, b"organizations: [{id: o, slug: o, name: o, billing_day: 32}]", 422,
     ["organizations[0].billing_day", "1 to 31"]),
    ("PUT", CATALOG_AT, "application/xml", b"<a/>", 415, ["application/xml", YAML, JSON]),
    ("PUT", f"{CATALOG_AT}?dry_run=maybe", YAML, b"{}", 422, ["dry_run", "true or false"]),
    ("POST", "/api/v1/servers", JSON, {}, 422, ["project", "is missing"]),
    ("POST", "/api/v1/servers", JSON, {"project": PROJECT, "hostname": "h", "region": "x"}, 422, ["region", "brazil"]),
    ("POST", "/api/v1/servers", JSON, {"project": "x", "hostname": "h", "region": "brazil"}, 404, ["no project 'x'"]),
    ("POST", "/api/v1/servers", JSON, {"project": PROJECT, "hostname": "", "region": "brazil", "color": 1}, 422,
     ["hostname", "1 to 255 characters", "color", "known: addresses, exporter, from, hostname, id, interfaces"]),
    ("POST", "/api/v1/servers", JSON, {"project": PROJECT, "hostname": "h", "region": "brazil", "addresses": ["192.0.2.1/24"]},
     422, ["addresses[0]", "write 192.0.2.0/24 for the network, 192.0.2.1 for the address"]),
    ("POST", "/api/v1/servers", JSON, {"project": PROJECT, "hostname": "h", "region": "brazil", "exporter": "edge_1"}, 422,
     ["exporter", "no exporter has the id 'edge_1'; did you mean 'edge-1'?"]),
    ("POST", "/api/v1/vpn_instances", JSON, {"id": "x", "organization": ORGANIZATION, "name": "n"}, 422, ["UUID", VPN]),
    ("POST", "/api/v1/spaces", JSON, {"id": "x", "organization": ORGANIZATION, "name": "n"}, 422, ["id", "integer from 1"]),
    ("POST", "/api/v1/spaces", JSON, {"id": 123, "organization": ORGANIZATION, "name": "n"}, 409, ["123", "taken"]),
    ("PATCH", f"/api/v1/projects/{PROJECT}", JSON, {"price": "much"}, 422, ["price", "much"]),
    ("PATCH", f"/api/v1/projects/{PROJECT}", JSON, b"{", 400, ["no JSON"]),
    ("POST", KEYS_AT, JSON, {}, 422, ["name", "scopes", "is missing"]),
    ("POST", KEYS_AT, JSON, {**NEW_KEY, "organization": "x"}, 404, ["no organization 'x'"]),
    ("POST", KEYS_AT, JSON, {**NEW_KEY, "scopes": ["fly"]}, 422, ["scopes[0]", "'fly'", "traffic:read"]),
    ("POST", KEYS_AT, JSON, {**NEW_KEY, "scopes": []}, 422, ["scopes", "at least one"]),
    ("POST", KEYS_AT, JSON, {**NEW_KEY, "expires_at": "soon"}, 422, ["expires_at", "'soon'", INSTANT]),
    ("POST", "/api/v1/usage", JSON, {}, 405, ["use GET here"]),
    ("DELETE", CATALOG_AT, JSON, b"", 405, ["GET or PUT"]),
]


@pytest.mark.parametrize(("method", "path", "kind", "body", "status", "words"), BODIES, ids=[
    f"{method} {path} {str(body)[:40]}" for method, path, _, body, _, _ in BODIES
])
def test_bodies(  # noqa: PLR0917  a row of the table
    site: Site, method: str, path: str, kind: str, body: Any, status: int, words: list[str]
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with site.client() as client:
        answer = client.request(method, path, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [word for word in words if word not in answer.text] == []


@pytest.mark.parametrize(
    ("encoding", "body", "status", "words"),
    [
        ("gzip", b"x", 400, ["cut off"]),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-3], 400, ["cut off"]),
        ("gzip", b"not gzip at all", 400, ["damaged", "gzip"]),
        ("gzip", b"", 400, ["empty", "gzip"]),
        ("zstd", b"not zstd at all", 400, ["damaged", "zstd"]),
        ("br", b"x", 415, ["'br'", "gzip, zstd or none"]),
        ("gzip, zstd", b"x", 415, ["'gzip, zstd'", "gzip, zstd or none"]),
        ("gzip", gzip.compress(b" " * (16 * 1024 * 1024 + 1), mtime=0), 413, ["16777216 bytes (decoded)"]),
    ],
)
def test_encodings(site: Site, encoding: str, body: bytes, status: int, words: list[str]) -> None:
    with site.client() as client:
        sent = {"Content-Type": JSON, "Content-Encoding": encoding}
        answer = client.post(EVENTS_AT, content=body, headers=sent)
    assert answer.status_code == status, answer.text
    assert [word for word in words if word not in answer.text] == []


def test_without_a_scope_the_answer_names_it(site: Site) -> None:
    with site.client() as admin:
        made = admin.post(KEYS_AT, json=NEW_KEY).json()["key"]
        for path, scope in (
            ("/traffic", "traffic:read"), (f"/vpn/instances/{VPN}/bandwidth", "vpn:view"), (KEYS_AT, "catalog:write"),
            ("/metrics", "admin"), (SPACES, "traffic:read"), (APP, "traffic:read"),
        ):
            answer = admin.get(path, headers={"Authorization": made})
            assert answer.status_code == 403
            assert scope in answer.text
