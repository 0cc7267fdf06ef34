"""The routes of the lists, with their documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weighbridge.dialects.apitally.described import (
    APP_ID,
    ENVIRONMENT_ID,
    INSTANT,
    NEXT_TOKEN,
    RATE,
    RATE_HEADERS,
    limit,
    nullable,
)
from weighbridge.dialects.apitally.lists import (
    DEFAULT_CONSUMERS,
    MAX_APPS,
    MAX_CONSUMERS,
    MAX_ENDPOINTS,
    MAX_METHOD,
    MAX_PATH,
    apps,
    consumers,
    endpoints,
    team,
)
from weighbridge.dialects.apitally.lists_wire import (
    APPS_EXAMPLE,
    APPS_SCHEMA,
    CONSUMERS_EXAMPLE,
    CONSUMERS_SCHEMA,
    ENDPOINTS_EXAMPLE,
    ENDPOINTS_SCHEMA,
    TEAM_EXAMPLE,
    TEAM_SCHEMA,
)
from weighbridge.dialects.organization import ORGANIZATION_PARAM
from weighbridge.http.route import Documented, Param, Route
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weighbridge.http.route import Answer, Call

_SINCE = (
    "Filter to consumers that have made requests since the given date and time in ISO 8601 format, if given. Rounded down"
    " to 5 minutes."
)
_METHOD = "Filter to HTTP methods, separated by commas, if provided."
_PATH = "Filter to paths like this one, in which `*` stands for anything, if provided."


def _text(most: int) -> dict[str, object]:
    return nullable({"type": "string", "maxLength": most})


def _route(  # noqa: PLR0917  what the routes differ in
    path: str,
    handler: Callable[[Call], Answer],
    summary: str,
    description: str,
    params: tuple[Param, ...],
    form: tuple[Mapping[str, Any], Mapping[str, Any]],
    sees: tuple[str, ...],
) -> Route:
    schema, example = form
    return Route(
        method="GET",
        path=path,
        name=f"apitally_{handler.__name__}",
        summary=summary,
        description=description,
        handler=handler,
        scope=Scope.TRAFFIC_READ,
        params=params,
        answers={200: Documented("Successful Response", {"application/json": schema}, example, RATE_HEADERS)},
        rate=RATE,
        sees=sees,
    )


LIST_ROUTES = (
    _route(
        "/v1/team",
        team,
        "Get Team",
        "Get the organization that the API key belongs to.",
        (ORGANIZATION_PARAM,),
        (TEAM_SCHEMA, TEAM_EXAMPLE),
        ("organization",),
    ),
    _route(
        "/v1/apps",
        apps,
        "List Apps",
        "List apps and their environments. Ordered by ID.",
        (ORGANIZATION_PARAM, NEXT_TOKEN, limit(MAX_APPS, MAX_APPS)),
        (APPS_SCHEMA, APPS_EXAMPLE),
        ("organization",),
    ),
    _route(
        "/v1/apps/{app_id}/consumers",
        consumers,
        "List Consumers",
        "List API consumers for an app. Ordered by ID (descending). With pagination.",
        (
            APP_ID,
            Param("requests_since", _SINCE, nullable(INSTANT), example="2025-05-14T00:00:00Z"),
            NEXT_TOKEN,
            limit(DEFAULT_CONSUMERS, MAX_CONSUMERS),
        ),
        (CONSUMERS_SCHEMA, CONSUMERS_EXAMPLE),
        ("app",),
    ),
    _route(
        "/v1/apps/{app_id}/endpoints",
        endpoints,
        "List Endpoints",
        "List API endpoints for an app, excluded ones too. Ordered by path and method.",
        (
            APP_ID,
            ENVIRONMENT_ID,
            Param("method", _METHOD, _text(MAX_METHOD), example="GET,POST"),
            Param("path", _PATH, _text(MAX_PATH), example="/v1/*"),
            NEXT_TOKEN,
            limit(MAX_ENDPOINTS, MAX_ENDPOINTS),
        ),
        (ENDPOINTS_SCHEMA, ENDPOINTS_EXAMPLE),
        ("app", "environment"),
    ),
)
