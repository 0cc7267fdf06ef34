"""API keys over HTTP. A secret is in one answer, that of its making."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weighbridge.dialects.native.asking_query import must_know
from weighbridge.dialects.native.catalog import CONFLICT, answer_json, answer_page, catalog_of, read_json
from weighbridge.dialects.native.catalog_docs import FILTER_PARAMS, JSON, PAGE_PARAMS, page_of
from weighbridge.domain.timegrid import rfc3339
from weighbridge.http.route import Answer, Documented, Param, Route
from weighbridge.model import Scope

if TYPE_CHECKING:
    from weighbridge.http.route import Call
    from weighbridge.model import Key


def show_key(key: Key) -> dict[str, Any]:
    """A key as answers show it: all but the secret, and what was kept of it."""
    return {
        "id": key.id,
        "organization": key.organization,
        "project": key.project,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": rfc3339(key.created_at_s),
        "expires_at": None if key.expires_at_s is None else rfc3339(key.expires_at_s),
    }


def create_key(call: Call) -> Answer:
    """The key is in force; this answer alone shows it."""
    must_know(call, ())
    key, secret = catalog_of(call).create_key(read_json(call), call.who)
    shown = show_key(key)
    return answer_json(
        {"id": shown.pop("id"), "key": secret, **shown}, 201,
        (("Location", f"{call.path}/{key.id}"),),
    )


def list_keys(call: Call) -> Answer:
    """A page of the keys that are in force."""
    must_know(call, ("limit", "next_token", "organization"))
    return answer_page(call, catalog_of(call).list_keys(call.who, call.one("organization")), show_key)


def get_key(call: Call) -> Answer:
    """One key."""
    must_know(call, ())
    return answer_json(show_key(catalog_of(call).get_key(call.path_params["key"], call.who)))


def delete_key(call: Call) -> Answer:
    """The key is revoked: it opens nothing any more."""
    must_know(call, ())
    catalog_of(call).revoke_key(call.path_params["key"], call.who)
    return Answer(204, b"")


_TEXT_OR_NULL = {"type": ["string", "null"]}
_SCOPES = {"type": "array", "minItems": 1, "items": {"enum": [scope.value for scope in Scope]}}
_PROPERTIES: dict[str, Any] = {
    "id": {"type": "string"},
    "organization": _TEXT_OR_NULL,
    "project": _TEXT_OR_NULL,
    "name": {"type": "string"},
    "scopes": _SCOPES,
    "created_at": {"type": "string"},
    "expires_at": _TEXT_OR_NULL,
}
_EXAMPLE = {
    "id": "key_Zk3vQ9sB1xT7L", "organization": "org_acme", "project": None, "name": "edge-1", "scopes": ["ingest"],
    "created_at": "2025-12-14T16:00:00Z", "expires_at": None,
}
_SECRET = {"type": "string", "pattern": "^[a-zA-Z0-9]{7}\\.[a-zA-Z0-9]{32}$"}
_SCHEMA = {"type": "object", "required": list(_PROPERTIES), "properties": _PROPERTIES}
_CREATED = {
    "type": "object", "required": ["key", *_PROPERTIES], "properties": {"key": _SECRET, **_PROPERTIES},
}
_BODY = Documented(
    "What the key is for",
    {JSON: {
        "type": "object",
        "required": ["name", "scopes"],
        "additionalProperties": False,
        "properties": {
            "organization": {**_TEXT_OR_NULL, "description": "The key's own by default; null for the scope admin"},
            "project": {**_TEXT_OR_NULL, "description": "Only this project; that of the asking key by default"},
            "name": {"type": "string", "minLength": 1, "maxLength": 255},
            "scopes": _SCOPES,
            "expires_at": {**_TEXT_OR_NULL, "description": "RFC 3339; for ever by default"},
        },
    }},
    {"organization": "org_acme", "name": "edge-1", "scopes": ["ingest"]},
)
_KEY = Param("key", "The key: id, not the key itself", where="path", required=True)
_PATH = "/api/v1/keys"
_ORGANIZATION = FILTER_PARAMS["organization"]

KEY_ROUTES: tuple[Route, ...] = (
    Route("POST", _PATH, "create-key", "Make an API key", create_key, Scope.CATALOG_WRITE, body=_BODY,
          answers={201: Documented("The key, shown this once", {JSON: _CREATED},
                                   {"key": "a1B2c3D.e4F5g6H7i8J9k0L1m2N3o4P5q6R7s8T9", **_EXAMPLE},
                                   {"Location": "Where it is, without the secret"}), 409: CONFLICT},
          sees=("organization", "project"),
          description="Within the organization (and project) of the asking key, and with no scope that it lacks."),
    Route("GET", _PATH, "list-keys", "The API keys in force", list_keys, Scope.CATALOG_WRITE,
          (_ORGANIZATION, *PAGE_PARAMS), answers={200: page_of(_SCHEMA, _EXAMPLE, "Keys by id")},
          sees=("organization",)),
    Route("GET", f"{_PATH}/{{key}}", "get-key", "Read one API key, without the secret", get_key, Scope.CATALOG_WRITE,
          (_KEY,), answers={200: Documented("The key", {JSON: _SCHEMA}, _EXAMPLE)}, sees=("key",)),
    Route("DELETE", f"{_PATH}/{{key}}", "delete-key", "Revoke an API key", delete_key, Scope.CATALOG_WRITE, (_KEY,),
          answers={204: Documented("It opens nothing any more"), 409: CONFLICT}, sees=("key",)),
)
"""Making, listing and revoking API keys."""
