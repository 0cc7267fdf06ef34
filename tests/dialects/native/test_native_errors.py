"""Every error in our own words is a problem as RFC 9457 has it."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from support.kit import services_with
from weighbridge.dialects.native.errors import refuse
from weighbridge.domain import errors
from weighbridge.http import failures
from weighbridge.http.route import PROBLEM, Call

CALL = Call(services_with(), "GET", "/x", {}, (), {}, b"", None)
SHAPE = Draft202012Validator(PROBLEM.content["application/problem+json"])


@pytest.mark.parametrize(
    ("exc", "problem"),
    [
        (
            errors.InvalidInputError("`from` is no date", where="from"),
            {"title": "Unprocessable Entity", "status": 422, "detail": "`from` is no date", "where": "from"},
        ),
        (
            errors.OutOfRangeError("p is 1 to 99"),
            {"title": "Unprocessable Entity", "status": 422, "detail": "p is 1 to 99"},
        ),
        (
            errors.InvalidDocumentError([("a.b", "no"), (None, "nor this")]),
            {
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "2 things are wrong, first: no",
                "where": "a.b",
                "errors": [{"where": "a.b", "detail": "no"}, {"detail": "nor this"}],
            },
        ),
        (failures.UnreadableBodyError("no JSON"), {"title": "Bad Request", "status": 400, "detail": "no JSON"}),
        (
            errors.ConflictError("taken", where="slug"),
            {"title": "Conflict", "status": 409, "detail": "taken", "where": "slug"},
        ),
        (errors.NotVisibleError("server", "sv_x"), {"title": "Not Found", "status": 404, "detail": "no server 'sv_x'"}),
        (
            errors.NotPermittedError("ingest"),
            {"title": "Forbidden", "status": 403, "detail": "this key lacks the scope 'ingest'"},
        ),
        (errors.NotAuthenticatedError("no key"), {"title": "Unauthorized", "status": 401, "detail": "no key"}),
        (errors.BusyError("full"), {"title": "Service Unavailable", "status": 503, "detail": "full"}),
        (
            errors.DamagedStoreError("/srv/secret is damaged"),
            {
                "title": "Service Unavailable",
                "status": 503,
                "detail": "a store is at fault; nothing was kept, try again later",
            },
        ),
        (
            failures.RateLimitedError(3, 60, 60),
            {"title": "Too Many Requests", "status": 429, "detail": "too many requests: 60 in 60 s; try again in 3 s"},
        ),
        (
            failures.WrongMethodError(("GET", "PUT")),
            {"title": "Method Not Allowed", "status": 405, "detail": "use GET or PUT here"},
        ),
        (
            KeyError("secret"),
            {
                "title": "Internal Server Error",
                "status": 500,
                "detail": "something went wrong here; the log has the rest",
            },
        ),
    ],
)
def test_problems(exc: Exception, problem: dict[str, object]) -> None:
    answer = refuse(CALL, exc)
    said = json.loads(answer.body)
    assert said.pop("title") in {problem.pop("title"), "Unprocessable Content"}  # Python 3.13 says it as RFC 9110 does
    assert said == {"type": "about:blank"} | problem
    assert (answer.status, answer.content_type) == (problem["status"], "application/problem+json")
    SHAPE.validate(json.loads(answer.body))
