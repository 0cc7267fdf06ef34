"""The three routes over HTTP: each status, in the encoding of the request."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from backports import zstd
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from support.application import ADMIN, application_in
from support.otlp import (
    CUMULATIVE,
    DURATION,
    OLD_DURATION,
    RECEIVED,
    SENT,
    consumer_update,
    encode,
    export,
    joined,
    logs,
    metric,
    point,
    startup,
)
from support.server import running
from weighbridge.app.build import dialects
from weighbridge.app.config import load
from weighbridge.domain.errors import BusyError, DiskFullError
from weighbridge.metering.intake import Intake
from weighbridge.model import Endpoint
from weighbridge.sources.otlp import json as json_reader
from weighbridge.sources.otlp import logs as logs_module
from weighbridge.sources.otlp import protobuf as protobuf_reader
from weighbridge.sources.otlp.decode import JSON, MEDIA_TYPES, PROTOBUF
from weighbridge.sources.otlp.routes import MAX_BODY_BYTES

APPS = [
    {"id": 1, "name": "shop-api"}, {"id": 2, "name": "other-api"}, {"id": 3, "name": "gone-api"},
]
CATALOG = {
    "organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "apps": APPS}],
}
SIGNALS = ("metrics", "traces", "logs")
both = pytest.mark.parametrize("media_type", MEDIA_TYPES)
each_signal = pytest.mark.parametrize("signal", SIGNALS)
GOOD = export(metric(DURATION, point(count="7")), metric(SENT, point(count="7", sum=700.0)))
UNREADABLE = {JSON: b"{", PROTOBUF: b"garbage"}
EMPTY = {JSON: b"{}", PROTOBUF: b""}


@dataclass
class Server:
    application: Any
    client: httpx.Client
    admin: httpx.Client
    token: str

    def post(self, body, media_type=PROTOBUF, signal="metrics", token=None, **headers):
        sent = {"Authorization": f"Bearer {token or self.token}", "Content-Type": media_type, **headers}
        return self.client.post(f"/v1/{signal}", content=body, headers={k: v for k, v in sent.items() if v is not None})

    def make_token(self, app=1):
        made = self.admin.post(f"/api/v1/apps/{app}/write-tokens", json={})
        return made.raise_for_status().json()["token"]

    def usage(self, **query):
        self.application.fold()
        asked = {"from": "2025-12-14T00:00:00Z", "to": "2025-12-15T00:00:00Z", "window": "total", "app": 1, **query}
        rows = self.admin.get("/api/v1/usage", params=asked).raise_for_status().json()["data"]
        return [(row["requests"], row["bytes_in"], row["bytes_out"]) for row in rows]

    def passed_over(self, what):
        registry = self.application.services.metrics.registry
        return registry.get_sample_value("weighbridge_passed_over_total", {"source": "otlp", "what": what}) or 0


@contextmanager
def server_in(folder):
    with (
        application_in(folder / "data") as application,
        running(application.app) as url,
        httpx.Client(base_url=url, timeout=60) as client,
        httpx.Client(base_url=url, headers={"Authorization": ADMIN}, timeout=60) as admin,
    ):
        admin.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        found = Server(application, client, admin, "")
        found.token = found.make_token()
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """For what leaves nothing behind."""
    with server_in(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def fresh(tmp_path):
    with server_in(tmp_path) as found:
        yield found


def complaint(answer):
    """(google.rpc.Code, message) of an error, which has the request's encoding."""
    if answer.headers["content-type"] == JSON:
        return answer.json()["code"], answer.json()["message"]
    # google.rpc.Status has the numbers of this message: an integer, a text.
    status = ExportMetricsPartialSuccess.FromString(answer.content)
    return status.rejected_data_points, status.error_message


def partial(answer):
    assert answer.status_code == 200
    if answer.headers["content-type"] == JSON:
        told = answer.json().get("partialSuccess", {})
        return int(told.get("rejectedDataPoints", 0)), told.get("errorMessage", "")
    success = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    return success.rejected_data_points, success.error_message


@both
@pytest.mark.parametrize("encoding", [None, "gzip", "zstd", "members"])
def test_an_export_is_taken_and_counted(fresh, media_type, encoding):
    body = encode(GOOD, media_type)
    pack = {
        None: bytes, "gzip": gzip.compress, "zstd": zstd.compress,
        "members": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    }
    headers = {} if encoding is None else {"Content-Encoding": encoding.replace("members", "gzip")}
    answer = fresh.post(pack[encoding](body), media_type, **headers, **{"Apitally-Env": "prod"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, EMPTY[media_type], media_type)
    assert fresh.usage() == [(7, None, 700)]
    (environment,) = fresh.application.services.catalog.view().environments_of[1]
    assert environment == "prod"
    again = fresh.post(body, f"{media_type}; charset=utf-8", **{"Apitally-Env": "prod"})
    assert (again.status_code, again.content) == (200, EMPTY[media_type])
    assert fresh.usage() == [(7, None, 700)]


def test_what_is_asked_of_the_vendors_endpoint_is_what_was_sent(fresh):
    who = {"http.request.method": "GET", "http.route": "/items/{id}", "apitally.consumer.identifier": "alice"}
    told = export(
        metric(DURATION, point(count="7", attributes_=who)), metric(RECEIVED, point(sum=30.0, attributes_=who)),
        metric(SENT, point(sum=700.0, attributes_=who)),
    )
    assert fresh.post(encode(told, PROTOBUF)).content == b""
    fresh.application.fold()
    asked = {"start": "2025-12-14T00:00:00Z", "end": "2025-12-15T00:00:00Z", "interval": "day"}
    answer = fresh.admin.get("/v1/apps/1/traffic", params=asked).raise_for_status().json()
    assert "700" in json.dumps(answer)
    view = fresh.application.services.catalog.view()
    assert list(view.consumers_of[1]) == ["alice"]
    assert [(each.method, each.path) for each in view.endpoints_of[1]] == [("GET", "/items/{id}")]


@both
def test_a_token_feeds_its_own_app_only(fresh, media_type):
    assert fresh.post(encode(GOOD, media_type), media_type, token=fresh.make_token(2)).status_code == 200
    assert [fresh.usage(app=app) for app in (1, 2)] == [[(0, 0, 0)], [(7, None, 700)]]


@both
def test_cumulative_exports_count_over_a_restart_of_the_server(tmp_path, media_type):
    def body(count, time):
        return encode(export(metric(DURATION, point(-60, time, count=str(count)), temporality=CUMULATIVE)), media_type)

    with server_in(tmp_path) as first:
        token = first.token
        assert first.post(body(10, 0), media_type).status_code == 200
    with server_in(tmp_path) as second:
        assert second.post(body(13, 60), media_type, token=token).status_code == 200
        assert second.post(body(10, 0), media_type, token=token).status_code == 200
        assert second.usage() == [(13, None, None)]


@both
def test_points_that_cannot_be_counted_are_told_and_the_rest_counts(fresh, media_type):
    bad = export(
        metric(SENT, point(sum=0.5), point(sum=0.25)), metric(RECEIVED, point(sum=1.0), unit="kBy"),
        metric(DURATION, point(0, -60, count="1")),
    )
    rejected, message = partial(fresh.post(encode(joined(bad, GOOD), media_type), media_type))
    assert rejected == 4
    assert "http.server.response.body.size: a sum is no whole number of bytes (2)" in message
    assert "its unit is 'kBy'" in message
    assert "the start lies after the end" in message
    assert fresh.usage() == [(7, None, 700)]


def test_only_the_stable_names_count_where_both_are_told(fresh):
    assert fresh.post(encode(export(metric(OLD_DURATION, point(count="7")), metric(DURATION, point(count="7"))), JSON), JSON)
    assert fresh.usage() == [(7, None, None)]


@both
@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_spans_and_logs_are_taken_and_do_not_count(fresh, signal, media_type):
    body = {JSON: b'{"resourceSpans":[{"resource":{}}],"resourceLogs":[]}', PROTOBUF: b"\x0a\x02\x0a\x00" * 3}[media_type]
    answer = fresh.post(gzip.compress(body), media_type, signal, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, EMPTY[media_type], media_type)
    assert fresh.usage() == [(0, 0, 0)]
    assert fresh.application.services.journal.mark().position == 0


EVENTS = logs(
    startup(("GET", "/items/{id}"), framework="fastapi"), consumer_update(identifier="alice", name="Alice A.", group="gold"),
    consumer_update(identifier="bob", group="x" * 300),
)


@both
def test_what_the_events_among_logs_say_is_answered_by_the_vendors_endpoints(fresh, media_type):
    body = encode(EVENTS, media_type)
    answer = fresh.post(gzip.compress(body), media_type, "logs", **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, EMPTY[media_type], media_type)
    consumers = fresh.admin.get("/v1/apps/1/consumers").raise_for_status().json()["data"]
    told = [(each["identifier"], each["name"], each["group"] and each["group"]["name"]) for each in consumers]
    assert sorted(told) == [("alice", "Alice A.", "gold"), ("bob", "bob", None)]
    apps = fresh.admin.get("/v1/apps").raise_for_status().json()["data"]
    assert {each["id"]: each["framework"] for each in apps} == {1: "fastapi", 2: "unknown", 3: "unknown"}
    view = fresh.application.services.catalog.view()
    assert (list(view.endpoints_of[1]), list(view.environments_of[1])) == ([Endpoint("GET", "/items/{id}")], ["prod"])
    assert fresh.passed_over("name") == 1
    assert fresh.application.services.journal.mark().position == 0


def test_the_environment_of_logs_is_what_the_client_says_beside_them(fresh):
    assert fresh.post(encode(EVENTS, PROTOBUF), signal="logs", **{"Apitally-Env": "staging"}).status_code == 200
    assert list(fresh.application.services.catalog.view().environments_of[1]) == ["staging"]


def test_events_that_tell_nothing_new_write_nothing(fresh):
    body = encode(EVENTS, PROTOBUF)
    catalog = fresh.application.services.catalog
    versions = []
    for _ in range(2):
        assert fresh.post(body, signal="logs").status_code == 200
        versions.append(catalog.view().version)
    assert versions[0] == versions[1]
    assert fresh.post(encode(logs(consumer_update(identifier="bob", name="Bob")), JSON), JSON, "logs").status_code == 200
    assert catalog.view().version > versions[1]
    assert {each.identifier: (each.name, each.group) for each in catalog.view().consumers.values()} == {
        "alice": ("Alice A.", "gold"), "bob": ("Bob", None)}


@pytest.mark.parametrize(("media_type", "body"), [
    (PROTOBUF, b"\x0a\x18" + b"apitally.consumer.update"), (PROTOBUF, b"\x0a\x14" + b"apitally.app.startup"),
    (JSON, b'{"resourceLogs":7}'), (JSON, b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":7}]}]}]}'),
    (JSON, b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"apitally.app.startup","body":[]}]}]}]}'),
])
def test_logs_that_are_of_no_use_are_taken_and_passed_over(server, media_type, body):
    before = server.passed_over("body")
    answer = server.post(body, media_type, "logs")
    assert (answer.status_code, answer.content) == (200, EMPTY[media_type])
    assert server.passed_over("body") == before + 1


def test_logs_with_too_many_events_are_taken_and_passed_over(server, monkeypatch):
    monkeypatch.setattr(logs_module, "MAX_EVENTS", 2)
    before = server.passed_over("body")
    assert server.post(encode(EVENTS, PROTOBUF), signal="logs").status_code == 200
    assert server.passed_over("body") == before + 1
    assert 1 not in server.application.services.catalog.view().consumers_of


@both
def test_names_come_again_after_a_fault_of_ours(fresh, media_type, monkeypatch):
    def fail(*_):
        raise DiskFullError("/var/secret is full")

    body = encode(EVENTS, media_type)
    with monkeypatch.context() as patch:
        patch.setattr(fresh.application.services.catalog, "describe_consumers", fail)
        answer = fresh.post(body, media_type, "logs")
    assert (answer.status_code, complaint(answer)[0]) == (503, 14)
    assert fresh.post(body, media_type, "logs").status_code == 200
    assert set(fresh.application.services.catalog.view().consumers_of[1]) == {"alice", "bob"}


def test_a_token_names_consumers_of_its_own_app_only(fresh):
    assert fresh.post(encode(EVENTS, PROTOBUF), signal="logs", token=fresh.make_token(2)).status_code == 200
    view = fresh.application.services.catalog.view()
    assert {app for app, known in view.consumers_of.items() if known} == {2}


@both
@each_signal
def test_garbage_is_400(server, signal, media_type):
    answer = server.post(UNREADABLE[media_type], media_type, signal)
    assert (answer.status_code, answer.headers["content-type"]) == (400, media_type)
    code, message = complaint(answer)
    assert code == 3
    assert message.startswith("the body cannot be parsed, nothing of it was kept")


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"\x0a\x00", mtime=0)[:-9], b""])
def test_a_damaged_encoding_is_400(server, body):
    answer = server.post(body, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert complaint(answer)[0] == 3


@both
@each_signal
@pytest.mark.parametrize("headers", [
    {"Authorization": None}, {"Authorization": "Bearer apt_" + "x" * 24}, {"Authorization": f"Bearer {ADMIN}"},
    {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"Authorization": None, "Api-Key": ADMIN},
])
def test_without_a_write_token_it_is_401_before_the_body_is_read(server, signal, media_type, headers):
    answer = server.post(UNREADABLE[media_type], media_type, signal, **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, media_type)
    assert answer.headers["www-authenticate"] == "Bearer"
    code, message = complaint(answer)
    assert code == 16
    assert "weighbridge write-tokens create" in message


@each_signal
def test_a_token_may_come_as_any_key(server, signal):
    for headers in (
        {"Authorization": server.token}, {"Authorization": f"bearer {server.token}"},
        {"Authorization": None, "Api-Key": server.token},
    ):
        assert server.post(b"", signal=signal, **headers).status_code == 200


def test_a_revoked_token_and_that_of_a_deleted_app_are_401(fresh):
    tokens = {app: fresh.make_token(app) for app in (1, 3)}
    assert [fresh.post(b"", token=token).status_code for token in tokens.values()] == [200, 200]
    listed = fresh.admin.get("/api/v1/apps/1/write-tokens").json()["data"]
    for each in listed:
        fresh.admin.delete(f"/api/v1/apps/1/write-tokens/{each['id']}").raise_for_status()
    fresh.admin.delete("/api/v1/apps/3").raise_for_status()
    assert [fresh.post(b"", token=token).status_code for token in tokens.values()] == [401, 401]


def keyed_routes():
    settings, _ = load({"no_host": "true"}, {}, Path.cwd())
    return [route for dialect in dialects(settings) for route in dialect.routes if route.scope is not None]


@pytest.mark.parametrize("route", keyed_routes(), ids=lambda route: f"{route.method} {route.path}")
def test_a_write_token_opens_nothing_else(server, route):
    """The path's parts name nothing that is there: whoever is let in hears 404 or 422, never 401."""
    path = "/".join("1" if part.startswith("{") else part for part in route.path.split("/"))
    for headers in (
        {"Authorization": server.token}, {"Authorization": f"Bearer {server.token}"}, {"Api-Key": server.token},
    ):
        assert server.client.request(route.method, path, headers=headers).status_code == 401


@each_signal
@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "application/grpc", None])
def test_another_content_type_is_415(server, signal, content_type):
    answer = server.post(b"x", content_type, signal)
    assert (answer.status_code, answer.headers["content-type"]) == (415, JSON)
    assert "application/x-protobuf" in complaint(answer)[1]


def test_another_content_encoding_is_415(server):
    answer = server.post(b"x", **{"Content-Encoding": "br"})
    assert answer.status_code == 415
    assert "gzip, zstd" in complaint(answer)[1]


@each_signal
def test_other_methods_and_paths_are_refused_in_the_same_words(server, signal):
    wrong_method = server.client.get(f"/v1/{signal}")
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "OPTIONS, POST")
    assert complaint(wrong_method)[0] == 12
    nowhere = server.client.post(f"/v1/{signal}/x", content=b"", headers={"Content-Type": PROTOBUF})
    assert (nowhere.status_code, nowhere.headers["content-type"], complaint(nowhere)[0]) == (404, PROTOBUF, 5)


@both
def test_more_than_16_mib_is_413(server, media_type):
    fits, over = (b" " * (size - 2) + b"{}" for size in (MAX_BODY_BYTES, MAX_BODY_BYTES + 1))
    if media_type == PROTOBUF:
        fits, over = (b"\x7a\xf9\xff\xff\x07" + b"\0" * (size - 5) for size in (MAX_BODY_BYTES - 2, MAX_BODY_BYTES + 1))
    for headers, pack in (({}, bytes), ({"Content-Encoding": "gzip"}, lambda data: gzip.compress(data, 1))):
        assert server.post(pack(fits), media_type, **headers).status_code == 200
        answer = server.post(pack(over), media_type, **headers)
        assert (answer.status_code, complaint(answer)[0]) == (413, 3)


@both
def test_too_many_points_are_413(server, media_type, monkeypatch):
    for reader in (json_reader, protobuf_reader):
        monkeypatch.setattr(reader, "MAX_POINTS", 1)
    answer = server.post(encode(GOOD, media_type), media_type)
    assert answer.status_code == 413
    assert "more than 1 data points" in complaint(answer)[1]


@both
@pytest.mark.parametrize(("fault", "words"), [
    (BusyError("more usage is waiting", retry_after_s=7), "more usage is waiting"),
    (DiskFullError("/var/secret is full"), "a store is at fault; nothing was kept"),
    (RuntimeError("a defect in /var/secret"), "something went wrong here; nothing was kept"),
])
def test_what_is_our_fault_is_503_so_that_the_client_sends_it_again(server, media_type, monkeypatch, fault, words):
    def fail(*_):
        raise fault

    body = encode(export(metric(DURATION, point(count="3", time=0.001)), resource={"for": words}), media_type)
    with monkeypatch.context() as patch:
        patch.setattr(Intake, "take", fail)
        answer = server.post(body, media_type)
    assert (answer.status_code, answer.headers["content-type"]) == (503, media_type)
    assert int(answer.headers["retry-after"]) >= 1
    code, message = complaint(answer)
    assert code == 14
    assert message.startswith(words)
    assert "secret" not in message
    before = server.usage()
    assert server.post(body, media_type).status_code == 200
    assert server.usage()[0][0] == before[0][0] + 3


def test_several_large_bodies_at_once_are_all_taken(fresh):
    """One at a time is decoded; nobody waits for ever."""
    def body(number):
        padding = {"name": "x" * 1_200_000}
        told = export(metric(DURATION, point(count=str(10**number))), padding)
        return encode(told, PROTOBUF)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: fresh.post(body(number)).status_code, range(4)))
    assert answers == [200] * 4
    assert fresh.usage()[0][0] == 1111
