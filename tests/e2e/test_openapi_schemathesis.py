"""What /openapi.json says is what is served: schemathesis asks every operation, rightly and wrongly, with two keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from support.fuzz_site import site_in
from support.remote_write import snappy
from weighbridge.app.build import dialects
from weighbridge.app.config import load
from weighbridge.http.openapi import describe, with_openapi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case

    from support.fuzz_site import Site

EXAMPLES = 15
"""Random questions for each operation and key, beside those that the document gives: 75 operations fit a minute."""

KEPT = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.ignored_auth,
)
LEFT_OUT = {
    "positive_data_acceptance": "what fits the schema may still name nothing there is, or end before it starts: 404, 422",
    "unsupported_method": "asked of every path in test_bad_input_http.py, also where no key is needed",
    "allow_header_conformance": "the same; Allow names HEAD and OPTIONS as well, which the document does not list",
    "use_after_free": "needs a chain of calls; test_objects.py has them",
    "ensure_resource_availability": "the same",
    "object_level_authorization": "needs a second user; test_isolation.py walks every route with one",
}
TOLERANT = {
    "POST /api/v1/events": "a batch with bad events is 200, and each of them is named in the receipt",
    "PUT /api/v1/catalog": "an empty file is YAML, and declares nothing",
    "POST /api/v1/write": "protobuf passes over fields that it does not know",
}
"""Operations that take what their schema does not, on purpose."""
ENCODED = {"POST /api/v1/write": {"Content-Encoding": "snappy"}}
"""Operations that want their body encoded."""


def described() -> dict[str, Any]:
    """The document, before there is a server."""
    found, _ = load({"no_host": "true"}, {}, Path.cwd())
    document: dict[str, Any] = json.loads(json.dumps(describe(with_openapi(dialects(found)))))
    return document


CONFIG = schemathesis.Config.from_dict({
    "seed": 1,
    "phases": {"coverage": {"enabled": False}},  # every boundary of every field: seven minutes
    "generation": {"mode": "all", "deterministic": True, "database": "none"},
})
SCHEMA = schemathesis.openapi.from_dict(described(), config=CONFIG)
asked = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@schemathesis.serializer("application/x-ndjson")
def as_lines(_context: object, value: object) -> dict[str, Any]:
    """Text as it is; anything else as one line of JSON."""
    return {"data": (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")}


@schemathesis.serializer("application/x-protobuf")
def as_block(_context: object, value: object) -> dict[str, Any]:
    """Bytes as they are, anything else as JSON, which is no protobuf most of the time; compressed."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return {"data": snappy(body)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site") / "data") as found:
        yield found


def ask(case: Case, site: Site, who: str) -> None:
    tolerant = [checks.negative_data_rejection] if case.operation.label in TOLERANT else []
    response = case.call_and_validate(
        base_url=site.url,
        headers={"Authorization": site.keys[who], **ENCODED.get(case.operation.label, {})},
        checks=[check for check in KEPT if check not in tolerant],
    )
    if case.method not in ("GET", "POST") and response.status_code < 300:
        site.mend()


@SCHEMA.parametrize()
@asked
def test_an_operation_is_as_documented_for_the_admin(case: Case, site: Site) -> None:
    ask(case, site, "admin")


@SCHEMA.parametrize()
@asked
def test_an_operation_is_as_documented_for_an_organization(case: Case, site: Site) -> None:
    ask(case, site, "organization")


def test_the_document_that_was_read_is_the_one_that_is_served(site: Site) -> None:
    assert httpx.get(f"{site.url}/openapi.json").json() == described()


def test_every_check_there_is_was_decided_on() -> None:
    checks.load_all_checks()
    assert {check.__name__ for check in KEPT} | set(LEFT_OUT) == set(checks.CHECKS.get_all_names())


def test_the_fixtures_are_still_there(site: Site) -> None:
    """Runs last: the key of the admin outlives all that was asked with it."""
    site.mend()
    for who in site.keys:
        with site.client(who) as client:
            assert client.get("/api/v1/catalog").status_code == 200
