"""Every error below /traffic is in the vendor's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.kit import READER, SENDER
from support.latitude import app_with, ask, must_be
from support.worlds import World
from weighbridge.dialects.latitude.errors import refuse
from weighbridge.dialects.latitude.routes import DIALECT
from weighbridge.domain.errors import BusyError, DiskFullError, StorageError, WeighbridgeError
from weighbridge.http.failures import InternalError

PATHS = ["/traffic", "/traffic/quota"]
RANGE = {"[date][gte]": "2025-12-14", "[date][lte]": "2025-12-15"}


def world() -> World:
    made = World()
    made.organization("org_acme")
    return made


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("secret", "status", "code"), [("nobody", 401, "UNAUTHORIZED"), (SENDER, 403, "FORBIDDEN")])
def test_who_may_not_ask(path: str, secret: str, status: int, code: str) -> None:
    answer = ask(app_with(world()), path, secret=secret)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("secret", [READER, f"Bearer {READER}", f"bearer {READER}"])
def test_a_key_comes_raw_or_behind_bearer(path: str, secret: str) -> None:
    assert ask(app_with(world()), path, RANGE if path == "/traffic" else None, secret=secret).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_is_405(path: str, method: str) -> None:
    answer = ask(app_with(world()), path, method=method)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/traffic/", "/traffic/quotas", "/traffic/quota/x", "/traffic/x"])
def test_an_unknown_path_is_404(path: str) -> None:
    answer = ask(app_with(world()), path)
    assert (answer.status_code, answer.json()["errors"][0]["title"]) == (404, "Not Found")


@pytest.mark.parametrize("path", ["//traffic/quota", "/traffic//quota", "///traffic///quota"])
def test_repeated_slashes_count_as_one(path: str) -> None:
    assert ask(app_with(world()), f"http://weighbridge.test{path}").status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_the_61st_request_of_a_minute_is_429(path: str) -> None:
    app = app_with(world())
    filters = RANGE if path == "/traffic" else None
    assert {ask(app, path, filters).status_code for _ in range(60)} == {200}
    answer = ask(app, path, filters)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"
    assert answer.json() == {"errors": [{
        "code": "RATE_LIMIT_EXCEEDED", "status": "429", "title": "Rate Limit Exceeded",
        "detail": "Too many requests. Please slow down and retry.", "meta": {"retry_after": 60},
    }]}
    other = next(each for each in PATHS if each != path)
    assert ask(app, other, RANGE if other == "/traffic" else None).status_code == 200


@pytest.mark.parametrize(("exc", "status", "meta"), [
    (BusyError("the queue is full", retry_after_s=7), 503, {"retry_after": 7}),
    (StorageError("cannot read /srv/secret"), 503, {"retry_after": 5}),
    (DiskFullError("no room at /srv/secret"), 503, {"retry_after": 5}),
    (InternalError("something went wrong here; the log has the rest"), 500, {}),
    (WeighbridgeError("something"), 500, {}),
    (ZeroDivisionError("/srv/secret"), 500, {}),
])
def test_our_own_faults_tell_nothing_of_the_machine(exc: Exception, status: int, meta: dict[str, Any]) -> None:
    call: Any = None
    answer = refuse(call, exc)
    must_be("errors", json.loads(answer.body))
    assert answer.status == status
    assert json.loads(answer.body)["errors"][0]["meta"] == meta
    assert b"secret" not in answer.body


def test_a_store_at_fault_is_503_with_retry_after() -> None:
    closed = world()
    closed.store.close()
    closed.project("p1", "org_acme")
    closed.region("brazil")
    closed.server("sv_1", (0, "p1", "brazil"))
    answer = ask(app_with(closed), "/traffic", RANGE)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"


def test_examples_are_what_the_schemas_say() -> None:
    for route in DIALECT.routes:
        must_be({"/traffic": "traffic", "/traffic/quota": "traffic_quota"}[route.path], route.answers[200].example)
