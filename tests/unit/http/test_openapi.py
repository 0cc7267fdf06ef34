from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from support.kit import app_of, client_of
from weighbridge.dialects.native.errors import refuse
from weighbridge.http.openapi import describe, kit_statuses, with_openapi
from weighbridge.http.route import Answer, Call, Dialect, Documented, Param, RateLimit, Route
from weighbridge.model import Scope


def _answer(_call: Call) -> Answer:
    return Answer(200, b"{}")


THING = {
    "$ref": "#/$defs/Thing",
    "$defs": {
        "Thing": {"type": "object", "properties": {"parts": {"$ref": "#/$defs/Parts"}}},
        "Parts": {"type": "array", "items": {"type": "string"}},
    },
}
OPEN = Route("GET", "/open", "open", "Open", _answer, None, answers={200: Documented("Fine")})
FULL = Route(
    "PUT",
    "/things/{id}",
    "put_thing",
    "Change a thing",
    _answer,
    Scope.CATALOG_WRITE,
    params=(Param("id", "Which", where="path", example="a"), Param("dry_run", "Only say", {"type": "boolean"})),
    body=Documented("The thing", {"application/json": THING, "application/yaml": {"type": "string"}}, {"parts": ["a"]}),
    answers={
        200: Documented("Changed", {"application/json": THING}, {"parts": []}, {"X-Odd": "What is odd"}),
        404: Documented("No such thing here"),
    },
    rate=RateLimit(5, 10),
    sees=("thing",),
    description="Long words.",
)
NATIVE = Dialect("native", ("/",), (OPEN, FULL), refuse)
VENDOR = Dialect(
    "vendor",
    ("/vendor",),
    (Route("GET", "/vendor/{what}", "vendor_get", "Get", _answer, Scope.TRAFFIC_READ, params=(Param("x", "X"),)),),
    refuse,
    accepts_auth=("bearer",),
    error_content=Documented("Vendor's error", {"application/json": {"type": "object", "required": ["error"]}}),
    error_content_by_status={422: Documented("Bad", {"application/json": {"type": "object", "required": ["bad"]}})},
)
DOCUMENT = describe([NATIVE, VENDOR])


def _operation(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def test_it_is_valid_openapi() -> None:
    assert [error.message for error in Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    ("route", "statuses"),
    [
        (OPEN, (503,)),
        (FULL, (400, 401, 403, 404, 413, 415, 422, 429, 503)),
        (VENDOR.routes[0], (401, 403, 404, 422, 503)),
    ],
)
def test_what_the_kit_answers_by_itself_follows_from_the_route(route: Route, statuses: tuple[int, ...]) -> None:
    assert kit_statuses(route) == statuses


def test_an_operation_has_all_that_its_route_says() -> None:
    operation = _operation("/things/{id}", "put")
    assert operation["operationId"] == "native.put_thing"
    assert operation["security"] == [{"raw": []}, {"bearer": []}, {"api-key": []}]
    assert operation["parameters"][0] == {
        "name": "id",
        "in": "path",
        "description": "Which",
        "required": True,
        "schema": {"type": "string"},
        "example": "a",
    }
    assert operation["requestBody"]["content"]["application/json"]["example"] == {"parts": ["a"]}
    assert sorted(operation["responses"]) == ["200", "400", "401", "403", "404", "413", "415", "422", "429", "503"]
    assert operation["responses"]["404"]["description"] == "No such thing here"
    assert operation["responses"]["429"] == {"$ref": "#/components/responses/native.429"}
    assert "catalog:write" in operation["description"]
    assert "5 requests in 10 s" in operation["description"]
    assert _operation("/open", "get")["security"] == []


def test_definitions_are_moved_to_where_references_find_them() -> None:
    schema = _operation("/things/{id}", "put")["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/native.Thing"}
    assert DOCUMENT["components"]["schemas"]["native.Thing"]["properties"]["parts"] == {
        "$ref": "#/components/schemas/native.Parts"
    }


def test_two_schemas_of_one_name_are_refused() -> None:
    other = {"$ref": "#/$defs/Thing", "$defs": {"Thing": {"type": "string"}}}
    clash = Route(
        "GET", "/clash", "clash", "Clash", _answer, None, answers={200: Documented("", {"application/json": other})}
    )
    with pytest.raises(ValueError, match=r"native\.Thing"):
        describe([Dialect("native", ("/",), (FULL, clash), refuse)])


def test_errors_have_the_dialects_shape() -> None:
    responses = DOCUMENT["components"]["responses"]
    assert list(responses["native.401"]["content"]) == ["application/problem+json"]
    assert responses["vendor.401"]["content"]["application/json"]["schema"]["required"] == ["error"]
    assert responses["vendor.422"]["content"]["application/json"]["schema"]["required"] == ["bad"]
    assert "Retry-After" in responses["native.429"]["headers"]


def test_a_vendors_name_is_not_said_twice_and_undocumented_path_parts_are_parameters() -> None:
    operation = _operation("/vendor/{what}", "get")
    assert operation["operationId"] == "vendor_get"
    assert [(each["name"], each["in"], each["required"]) for each in operation["parameters"]] == [
        ("what", "path", True),
        ("x", "query", False),
    ]


def test_it_is_served_and_names_itself() -> None:
    async def go() -> dict[str, Any]:
        async with client_of(app_of([NATIVE, VENDOR])) as client:
            response = await client.get("/openapi.json")
            assert response.headers["content-type"] == "application/json"
            document: dict[str, Any] = response.json()
            return document

    document = asyncio.run(go())
    assert set(document["paths"]) == set(DOCUMENT["paths"]) | {"/openapi.json"}


def test_it_is_added_once() -> None:
    once = with_openapi([NATIVE, VENDOR])
    assert with_openapi(once) == once
