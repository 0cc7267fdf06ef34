"""Every route of every dialect is documented, and its examples are what its schemas say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from weighbridge.app.build import dialects
from weighbridge.app.config import load
from weighbridge.http.openapi import describe, operation_id, with_openapi
from weighbridge.http.paths import RouteTable
from weighbridge.web import pages

if TYPE_CHECKING:
    from weighbridge.http.route import Dialect, Documented, Route

SERVED = with_openapi(dialects(load({"no_host": "true"}, {}, Path.cwd())[0]))
DOCUMENT = json.loads(json.dumps(describe(SERVED)))
CASES = [
    pytest.param(dialect, route, id=f"{route.method} {route.path}") for dialect in SERVED for route in dialect.routes
]
each_route = pytest.mark.parametrize(("dialect", "route"), CASES)


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].endswith(("/json", "+json"))


def _check_example(documented: Documented) -> None:
    content_type, schema = next(iter(documented.content.items()))
    if not _is_json(content_type):
        return
    Draft202012Validator.check_schema(schema)
    faults = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(documented.example)
    ]
    assert faults == []


def test_the_document_is_valid_openapi() -> None:
    assert [error.message for error in Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)] == []


def test_all_routes_can_be_served_together_and_have_names_of_their_own() -> None:
    RouteTable(SERVED)
    ids = [operation_id(dialect, route) for dialect in SERVED for route in dialect.routes]
    assert len(ids) == len(set(ids))


@each_route
def test_a_route_says_what_it_does_and_what_it_answers(dialect: Dialect, route: Route) -> None:
    assert re.fullmatch(r"[A-Z].{5,79}", route.summary), "a short line that begins with a capital letter"
    good = [answer for status, answer in route.answers.items() if 200 <= status < 300]
    assert good, "an answer for success"
    for status, answer in route.answers.items():
        assert answer.description, status
        assert answer.example is not None or not answer.content or status >= 300, f"an example of {status}"
        if answer.example is not None:
            _check_example(answer)
    assert DOCUMENT["paths"][route.path][route.method.lower()]["tags"] == [dialect.name]


@each_route
def test_parameters_are_documented(dialect: Dialect, route: Route) -> None:
    named = re.findall(r"\{([^}]+)\}", route.path)
    assert named == [param.name for param in route.params if param.where == "path"], dialect.name
    assert len({(param.where, param.name) for param in route.params}) == len(route.params)
    for param in route.params:
        assert param.description, param.name
        Draft202012Validator.check_schema(param.schema)
        if param.example is not None:
            Draft202012Validator(param.schema).validate(param.example)


@each_route
def test_a_body_is_documented_with_an_example(dialect: Dialect, route: Route) -> None:
    if route.body is not None:
        assert route.body.content, dialect.name
        assert route.body.example is not None
        _check_example(route.body)


@pytest.mark.parametrize("dialect", [pytest.param(dialect, id=dialect.name) for dialect in SERVED])
def test_errors_of_a_dialect_are_documented(dialect: Dialect) -> None:
    assert dialect.prefixes
    for documented in (dialect.error_content, *dialect.error_content_by_status.values()):
        schemas: Any = list(documented.content.values())
        assert schemas
        if documented.example is not None:
            _check_example(documented)


def test_every_dialect_has_a_name_on_the_reference_page() -> None:
    script = (Path(pages.__file__).parent / "static" / "reference.js").read_text("utf-8")
    names = re.search(r"const NAMES = \{(.*?)\};", script, re.DOTALL)
    assert names is not None
    assert set(re.findall(r"(\w+): \"", names[1])) == {dialect.name for dialect in SERVED}
