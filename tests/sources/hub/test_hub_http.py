"""The hub as a client meets it: every status, and what it costs to be refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import time

import httpx
import pytest
from backports import zstd

from support.application import ADMIN, application_in
from support.hub import CLIENT_ID, row, startup, sync, uuid_of
from support.server import running
from weighbridge.sources.hub.decode import MAX_BODY_BYTES
from weighbridge.sources.hub.routes import HUB, INLINE_BYTES, MAX_LOG_BYTES

DELETED_ID, GONE_ID, QUIET_ID = uuid_of(77), uuid_of(78), uuid_of(79)
CATALOG = {"organizations": [
    {"id": "org_acme", "slug": "acme", "name": "Acme",
     "apps": [{"id": 1, "name": "shop-api", "client_id": CLIENT_ID}, {"id": 2, "name": "old", "client_id": DELETED_ID},
              {"id": 3, "name": "without"}, {"id": 5, "name": "quiet", "client_id": QUIET_ID}]},
    {"id": "org_gone", "slug": "gone", "name": "Gone", "apps": [{"id": 4, "name": "gone", "client_id": GONE_ID}]},
]}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with application_in(tmp_path_factory.mktemp("hub") / "data") as application, running(application.app) as url:
        with httpx.Client(base_url=url, headers={"Authorization": ADMIN}) as admin:
            admin.put("/api/v1/catalog", json=CATALOG).raise_for_status()
            assert admin.delete("/api/v1/apps/2").status_code == 204
            assert admin.delete("/api/v1/organizations/org_gone").status_code == 204
        with httpx.Client(base_url=url, timeout=30) as client:
            client.application = application
            yield client


def now(*rows, **fields):
    """A sync of this moment."""
    return sync(0, *rows, **({"timestamp": time.time()} | fields))


numbers = iter(range(10_000))


def path(what="sync", client_id=CLIENT_ID, env="prod"):
    return f"/v2/{client_id}/{env}/{what}"


@pytest.mark.parametrize(("what", "body", "answered"), [
    ("startup", startup(("get", "/x")), {"status": "accepted"}),
    ("sync", None, {"accepted": 1, "duplicates": 0}),
    ("log?uuid=1", b"\x1f\x8b", {"status": "accepted"}),
    ("log", b"", {"status": "accepted"}),
])
def test_what_the_clients_send_is_accepted(site, what, body, answered):
    body = now(row(), message=next(numbers)) if body is None else body
    answer = site.post(path(what), **({"content": body} if isinstance(body, bytes) else {"json": body}))
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (202, answered, "application/json")


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-unheard-of", "", None])
def test_the_content_type_is_not_looked_at(site, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    body = json.dumps(now(row(), message=next(numbers))).encode()
    assert site.post(path(), content=body, headers=headers).status_code == 202


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress), ("identity", bytes)])
def test_encoded_bodies_are_taken(site, encoding, encode):
    body = json.dumps(now(row(), message=next(numbers))).encode()
    assert site.post(path(), content=encode(body), headers={"Content-Encoding": encoding}).json()["accepted"] == 1


def test_bodies_may_come_in_pieces(site):
    body = json.dumps(now(row(), message=next(numbers))).encode()
    assert site.post(path(), content=iter([body[:10], body[10:]])).json()["accepted"] == 1
    assert site.post(path("log?uuid=1"), content=iter([b"\x1f"] * 100)).status_code == 202


def test_large_bodies_are_taken(site):
    rows = [row(path=f"/{number}", consumer="c") for number in range(1000)]
    body = now(*rows, message=next(numbers))
    assert len(json.dumps(body)) > INLINE_BYTES
    assert site.post(path(), json=body).json() == {"accepted": 1000, "duplicates": 0}


@pytest.mark.parametrize("client_id", [CLIENT_ID, CLIENT_ID.upper(), CLIENT_ID.replace("-", ""), f"%7B{CLIENT_ID}%7D"])
def test_a_client_id_may_be_spelled_as_the_clients_take_it(site, client_id):
    assert site.post(path(client_id=client_id), json=now(row(), message=next(numbers))).status_code == 202


@pytest.mark.parametrize("env", ["prod", "a", "A_b-9", "x" * 32, "prod%C3%A9"])
def test_names_of_environments(site, env):
    assert site.post(path("startup", env=env), json=startup()).status_code == 202


NO_CLIENT_ID = ["nonsense", "1", uuid_of(9), DELETED_ID, GONE_ID, CLIENT_ID[:-1], f"{CLIENT_ID}0", "%00", "%EF%BC%91" * 32]
NO_ENVIRONMENT = ["a.b", "x" * 33, "a%20b", "a%2Fb", "prod%0A", "%00"]


@pytest.mark.parametrize("what", ["startup", "sync", "log"])
@pytest.mark.parametrize("client_id", NO_CLIENT_ID)
def test_without_a_good_client_id_there_is_nothing(site, what, client_id):
    answer = site.post(path(what, client_id), json=now(row()))
    assert answer.status_code == 404
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("what", ["startup", "sync", "log"])
@pytest.mark.parametrize("env", NO_ENVIRONMENT)
def test_without_a_good_environment_there_is_nothing(site, what, env):
    answer = site.post(path(what, env=env), json=now(row()))
    assert answer.status_code == 404
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("raw", [path(client_id=uuid_of(9)), path(env="a.b"), path("log", uuid_of(9)), path("log", env="a.b")])
def test_who_may_not_come_in_is_told_before_the_body_is_read(site, raw):
    async def receive():
        raise AssertionError("somebody reads the body")

    answered = []

    async def send(message):
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "", "raw_path": raw.encode(), "query_string": b"",
             "headers": [(b"content-length", b"99999999999")]}
    asyncio.run(site.application.app(scope, receive, send))
    assert answered[0]["status"] == 404


@pytest.mark.parametrize("what", ["metrics", "sync/", "sync/more", "v1", "startup%2F"])
def test_other_paths_are_not_found_in_the_hubs_words(site, what):
    answer = site.post(path(what), json={})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405_in_the_hubs_words(site, method):
    answer = site.request(method, path())
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(("what", "limit"), [("sync", MAX_BODY_BYTES), ("startup", MAX_BODY_BYTES), ("log", MAX_LOG_BYTES)])
def test_too_large_is_413(site, what, limit):
    assert site.post(path(what), content=b" " * (limit + 1)).status_code == 413
    answer = site.post(path(what), content=gzip.compress(b" " * (limit + 1)), headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (413, True)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff", b"[]", b"null", b'{"timestamp":1}'])
@pytest.mark.parametrize("what", ["startup", "sync"])
def test_what_can_never_be_taken_is_422_with_reasons(site, what, content):
    answer = site.post(path(what), content=content)
    assert answer.status_code == 422
    for fault in answer.json()["detail"]:
        assert set(fault) == {"type", "loc", "msg"}
        assert fault["loc"][0] == "body"


def test_a_damaged_encoding_is_422_as_well(site):
    answer = site.post(path(), content=b"\x1f\x8b nonsense", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body"])


def test_an_encoding_that_nobody_sends_is_415(site):
    answer = site.post(path(), content=b"x", headers={"Content-Encoding": "br"})
    assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (415, True)


def test_a_query_that_cannot_be_read_is_422(site):
    answer = site.post(path("log?uuid=%00"), content=b"x")
    assert (answer.status_code, answer.json()["detail"][0]["loc"][0]) == (422, "query")


def test_a_client_id_that_moves_to_another_app_takes_its_clients_along(site):
    headers = {"Authorization": ADMIN}
    moved = uuid_of(500)
    assert site.patch("/api/v1/apps/3", json={"client_id": moved}, headers=headers).status_code == 200
    assert site.post(path(client_id=moved), json=now(row(), message=next(numbers))).status_code == 202
    assert site.patch("/api/v1/apps/3", json={"client_id": None}, headers=headers).status_code == 200
    assert site.post(path(client_id=moved), json=now(row(), message=next(numbers))).status_code == 404


def test_a_fault_of_ours_is_500_without_a_word_of_it(site, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(site.application.services.intake, "submit", broken)
    answer = site.post(path(), json=now(row(), message=next(numbers)))
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


def test_what_was_accepted_is_in_the_answers_at_once(site):
    expected = [0, 0, 0]
    for requests, received, sent in ((7, 10, 20), (1, 2, 3)):
        told = now(row(requests, received, sent, consumer="alice"), message=next(numbers))
        assert site.post(path(client_id=QUIET_ID), json=told).status_code == 202
        site.application.fold()
        expected = [left + right for left, right in zip(expected, (requests, received, sent), strict=True)]
        listed = site.get("/v1/apps/5/traffic", headers={"Authorization": ADMIN}).json()["data"]
        assert [sum(each[name] for each in listed) for name in ("requests", "bytes_received", "bytes_sent")] == expected


def test_the_hub_has_no_routes_but_these():
    assert {route.path.rpartition("/")[2] for route in HUB.routes} == {"startup", "sync", "log"}
    assert all(route.scope is None and route.admit is not None for route in HUB.routes)
