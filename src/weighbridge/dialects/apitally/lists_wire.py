"""What the lists answer (team, apps, consumers, endpoints), and their JSON Schemas.

The vendor's lists of apps and endpoints have no pages; ours have, in the form of its other lists (CONTRACT part 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.dialects.apitally.token import MAX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence


class Team(msgspec.Struct, frozen=True):
    """The organization."""

    id: int
    name: str


class EnvironmentItem(msgspec.Struct, frozen=True):
    """A deployment of an app."""

    id: int
    name: str
    created_at: str
    last_sync_at: str | None


class AppItem(msgspec.Struct, frozen=True):
    """An app with its environments."""

    id: int
    name: str
    framework: str
    client_id: str
    envs: list[EnvironmentItem]
    created_at: str


class GroupItem(msgspec.Struct, frozen=True):
    """What consumers are put together by."""

    id: int
    name: str


class ConsumerItem(msgspec.Struct, frozen=True):
    """Who calls an app."""

    id: int
    identifier: str
    name: str
    group: GroupItem | None
    created_at: str
    last_request_at: str


class EndpointItem(msgspec.Struct, frozen=True):
    """A route of an app."""

    id: int
    method: str
    path: str


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    data: Sequence[AppItem | ConsumerItem | EndpointItem]
    has_more: bool
    next_token: str | None


def _object(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title, "type": "object", "required": list(properties), "additionalProperties": False,
        "properties": properties,
    }


def _page(title: str, item: dict[str, Any]) -> dict[str, Any]:
    return _object(title, {
        "data": {"type": "array", "items": item},
        "has_more": {"type": "boolean", "description": "Whether there are more to fetch."},
        "next_token": {
            "type": ["string", "null"], "maxLength": MAX_LENGTH,
            "description": "Token to fetch the next page, if there are more.",
        },
    })


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _instant(description: str) -> dict[str, Any]:
    return {"type": "string", "format": "date-time", "description": description}


def _id(description: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "description": description}


_CREATED = _instant("When it was entered; 1970 where that was not kept yet.")
_ENVIRONMENT = _object("AppEnvItem", {
    "id": _id("App environment ID"),
    "name": _text("App environment name"),
    "created_at": _CREATED,
    "last_sync_at": {
        "type": ["string", "null"], "format": "date-time",
        "description": "Start of the newest 5 minutes that it told of; null where it never did.",
    },
})
_APP = _object("AppItem", {
    "id": _id("App ID"),
    "name": _text("App name"),
    "framework": _text("What the app runs on, as its client says; `unknown` until then."),
    "client_id": _text("The app's client ID; empty where it has none."),
    "envs": {"type": "array", "items": _ENVIRONMENT, "description": "The app's environments, by ID."},
    "created_at": _CREATED,
})
_CONSUMER = _object("ConsumerItem", {
    "id": _id("Consumer ID"),
    "identifier": _text("Consumer identifier"),
    "name": _text("Consumer name; the identifier where it has none."),
    "group": {
        "anyOf": [
            _object("ConsumerGroupItem", {"id": _id("Consumer group ID"), "name": _text("Consumer group name")}),
            {"type": "null"},
        ],
    },
    "created_at": _CREATED,
    "last_request_at": _instant("Start of the newest 5 minutes with traffic; without any, when it was entered."),
})
_ENDPOINT = _object("EndpointItem", {
    "id": _id("Endpoint ID"), "method": _text("HTTP method"), "path": _text("Path, as a template"),
})

TEAM_SCHEMA = _object("GetTeamResponse", {"id": _id("Team ID"), "name": _text("Team name")})
APPS_SCHEMA = _page("ListAppsResponse", _APP)
CONSUMERS_SCHEMA = _page("ListConsumersResponse", _CONSUMER)
ENDPOINTS_SCHEMA = _page("ListEndpointsResponse", _ENDPOINT)

TEAM_EXAMPLE = {"id": 1203467, "name": "Acme Hosting"}
APPS_EXAMPLE = {
    "data": [
        {
            "id": 1,
            "name": "shop-api",
            "framework": "python:starlette",
            "client_id": "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9",
            "envs": [
                {"id": 1, "name": "prod", "created_at": "2025-01-02T03:04:05Z", "last_sync_at": "2025-05-14T11:55:00Z"},
                {"id": 2, "name": "dev", "created_at": "2025-01-02T03:04:05Z", "last_sync_at": None},
            ],
            "created_at": "2025-01-02T03:04:05Z",
        },
    ],
    "has_more": False,
    "next_token": None,
}
CONSUMERS_EXAMPLE = {
    "data": [
        {
            "id": 8,
            "identifier": "bob",
            "name": "bob",
            "group": None,
            "created_at": "2025-03-01T00:00:00Z",
            "last_request_at": "2025-03-01T00:00:00Z",
        },
        {
            "id": 7,
            "identifier": "alice",
            "name": "Alice",
            "group": {"id": 1801439850, "name": "Gold"},
            "created_at": "2025-01-02T03:04:05Z",
            "last_request_at": "2025-05-14T11:55:00Z",
        },
    ],
    "has_more": False,
    "next_token": None,
}
ENDPOINTS_EXAMPLE = {
    "data": [{"id": 1000001, "method": "POST", "path": "/orders"}, {"id": 1000000, "method": "GET", "path": "/orders/{id}"}],
    "has_more": False,
    "next_token": None,
}
