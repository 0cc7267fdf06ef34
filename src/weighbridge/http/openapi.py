"""OpenAPI 3.1 from the route tables: what is served is what is documented."""

from __future__ import annotations

import dataclasses
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge import __version__
from weighbridge.http.auth import scopes_of
from weighbridge.http.route import Answer, Documented, Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weighbridge.http.route import Call, Dialect, Param

OPENAPI_PATH = "/openapi.json"
_SECURITY = {
    "raw": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "The key as it is"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key behind the word Bearer"},
    "api-key": {"type": "apiKey", "in": "header", "name": "Api-Key", "description": "The key as it is"},
}
_DESCRIPTIONS = {
    400: "The body cannot be read",
    401: "No valid key came with the request",
    403: "The key lacks the scope that is needed here",
    404: "There is no such thing, or not for this key",
    413: "The body is too large",
    415: "The body has a content type or an encoding that is not taken here",
    422: "A parameter or the body says what cannot be",
    429: "Too many requests with this key",
    503: "Busy, or a store is at fault: try again later",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds until it is worth trying again", "schema": {"type": "integer"}}}


def with_openapi(dialects: Sequence[Dialect]) -> tuple[Dialect, ...]:
    """`dialects`, of which the one that answers for `/` also serves GET /openapi.json, a description of all of them."""
    if any(route.path == OPENAPI_PATH for dialect in dialects for route in dialect.routes):
        return tuple(dialects)
    holder: dict[str, bytes] = {}

    async def answer(_call: Call) -> Answer:
        return Answer(200, holder["body"], headers=(("Cache-Control", "no-cache"),))

    route = Route(
        method="GET",
        path=OPENAPI_PATH,
        name="openapi",
        summary="All routes as OpenAPI 3.1",
        handler=answer,
        scope=None,
        answers={200: Documented("The description", {"application/json": {"type": "object"}}, {"openapi": "3.1.0"})},
    )
    served = tuple(
        dataclasses.replace(dialect, routes=(*dialect.routes, route)) if "/" in dialect.prefixes else dialect
        for dialect in dialects
    )
    holder["body"] = msgspec.json.encode(describe(served))
    return served


def describe(dialects: Sequence[Dialect]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all routes of `dialects`."""
    components: dict[str, dict[str, Any]] = {"securitySchemes": dict(_SECURITY), "responses": {}, "schemas": {}}
    paths: dict[str, dict[str, Any]] = {}
    for dialect in dialects:
        for route in dialect.routes:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(dialect, route, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weighbridge",
            "version": __version__,
            "description": "Self-hosted traffic meter: weighs what servers, VPNs and APIs move, to the byte.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": dialect.name} for dialect in dialects],
        "paths": paths,
        "components": components,
    }


def operation_id(dialect: Dialect, route: Route) -> str:
    """The name of a route among all: its dialect's name goes before it, unless it is there already."""
    return route.name if route.name.startswith(dialect.name) else f"{dialect.name}.{route.name}"


def kit_statuses(route: Route) -> tuple[int, ...]:
    """The errors that the kit itself can answer for this route, before or around its handler."""
    statuses = {503}
    if route.scope is not None:
        statuses |= {401, 403}
    if route.sees or "{" in route.path:
        statuses.add(404)
    if route.params:
        statuses.add(422)
    if route.body is not None:
        statuses |= {400, 413, 415, 422}
    if route.rate is not None:
        statuses.add(429)
    return tuple(sorted(statuses))


def _operation(dialect: Dialect, route: Route, components: dict[str, dict[str, Any]]) -> dict[str, Any]:
    hoist = _Hoist(dialect.name, components["schemas"])
    operation: dict[str, Any] = {
        "operationId": operation_id(dialect, route),
        "summary": route.summary,
        "tags": [dialect.name],
        "security": [] if route.scope is None else [{name: []} for name in dialect.accepts_auth],
        "responses": _responses(dialect, route, components, hoist),
    }
    description = route.description
    if route.scope is not None:
        scopes = " or ".join(f"`{scope.value}`" for scope in scopes_of(route))
        description = f"{description}\n\nNeeds a key with the scope {scopes}.".strip()
    if route.rate is not None:
        description = (
            f"{description}\n\nAt most {route.rate.calls} requests in {route.rate.window_s} s with one key.".strip()
        )
    if description:
        operation["description"] = description
    parameters = [_parameter(param, hoist) for param in _all_params(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "description": route.body.description,
            "required": True,
            "content": _content(route.body, hoist) or {"application/octet-stream": {}},
        }
    return operation


def _all_params(route: Route) -> list[Param | _PathParam]:
    documented = {param.name for param in route.params if param.where == "path"}
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{") and part.endswith("}")]
    return [*(_PathParam(name) for name in names if name not in documented), *route.params]


@dataclasses.dataclass(frozen=True, slots=True)
class _PathParam:
    """A part of the path that its route does not document."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"type": "string"})
    where: str = "path"
    required: bool = True
    example: Any = None


def _parameter(param: Param | _PathParam, hoist: _Hoist) -> dict[str, Any]:
    parameter: dict[str, Any] = {
        "name": param.name,
        "in": param.where,
        "description": param.description,
        "required": param.required or param.where == "path",
        "schema": hoist(param.schema),
    }
    if param.example is not None:
        parameter["example"] = param.example
    return parameter


def _responses(dialect: Dialect, route: Route, components: dict[str, dict[str, Any]], hoist: _Hoist) -> dict[str, Any]:
    responses = {str(status): _response(status, answer, hoist) for status, answer in route.answers.items()}
    for status in kit_statuses(route):
        if status in route.answers:
            continue
        name = f"{dialect.name}.{status}"
        if name not in components["responses"]:
            answer = dialect.error_content_by_status.get(status, dialect.error_content)
            components["responses"][name] = _response(
                status, dataclasses.replace(answer, description=_DESCRIPTIONS[status]), hoist
            )
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(responses.items()))


def _response(status: int, answer: Documented, hoist: _Hoist) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description or HTTPStatus(status).phrase}
    content = _content(answer, hoist)
    if content:
        response["content"] = content
    headers = {
        name: {"description": description, "schema": {"type": "string"}} for name, description in answer.headers.items()
    }
    if status in (429, 503):
        headers = {**_RETRY_AFTER, **headers}
    if headers:
        response["headers"] = headers
    return response


def _content(documented: Documented, hoist: _Hoist) -> dict[str, Any]:
    """Media types with their schemas; the example stands with the first one."""
    content: dict[str, Any] = {}
    for media_type, schema in documented.content.items():
        content[media_type] = {"schema": hoist(schema)}
        if documented.example is not None and len(content) == 1:
            content[media_type]["example"] = documented.example
    return content


class _Hoist:
    """Moves the `$defs` of a schema to the components, where references from anywhere in the document find them."""

    def __init__(self, prefix: str, schemas: dict[str, Any]) -> None:
        self._prefix = prefix
        self._schemas = schemas

    def __call__(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The schema without `$defs`. ValueError: two different ones of one dialect have the same name."""
        for name, definition in schema.get("$defs", {}).items():
            key = f"{self._prefix}.{name}"
            placed = self._moved(definition)
            if self._schemas.setdefault(key, placed) != placed:
                msg = f"two different schemas are named {key}"
                raise ValueError(msg)
        moved: dict[str, Any] = self._moved({name: value for name, value in schema.items() if name != "$defs"})
        return moved

    def _moved(self, part: Any) -> Any:  # noqa: ANN401  any JSON value
        if isinstance(part, list | tuple):
            return [self._moved(value) for value in part]
        if not isinstance(part, dict):
            return part
        return {
            key: f"#/components/schemas/{self._prefix}.{value.removeprefix('#/$defs/')}"
            if key == "$ref" and isinstance(value, str) and value.startswith("#/$defs/")
            else self._moved(value)
            for key, value in part.items()
        }
