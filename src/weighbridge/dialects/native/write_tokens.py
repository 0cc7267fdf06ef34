"""Write tokens of apps over HTTP. A token is in one answer, that of its making."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from weighbridge.dialects.native.asking_query import must_know
from weighbridge.dialects.native.catalog import CONFLICT, answer_json, answer_page, read_json
from weighbridge.dialects.native.catalog_docs import JSON, PAGE_PARAMS, page_of
from weighbridge.domain.timegrid import rfc3339
from weighbridge.http.route import Answer, Documented, Param, Route
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.http.route import Call, Principal
    from weighbridge.model import WriteToken


class WriteTokens(Protocol):
    """What these routes need of the catalog. Errors: InvalidDocumentError, NotVisibleError, ConflictError, StorageError."""

    def create_write_token(self, app: str, fields: object, who: Principal) -> tuple[WriteToken, str]:
        """A new token of an app, and its secret."""

    def list_write_tokens(self, app: str, who: Principal) -> Sequence[WriteToken]:
        """The tokens of an app that are in force, by id."""

    def revoke_write_token(self, app: str, token_id: str, who: Principal) -> None:
        """The token lets nothing in any more."""


def _catalog(call: Call) -> WriteTokens:
    return cast("WriteTokens", call.services.catalog)


def show_token(token: WriteToken) -> dict[str, Any]:
    """A token as answers show it: all but the secret, and what was kept of it."""
    return {"id": token.id, "app": token.app, "name": token.name, "created_at": rfc3339(token.created_at_s)}


def create_write_token(call: Call) -> Answer:
    """The token is in force; this answer alone shows it."""
    must_know(call, ())
    fields = read_json(call) if call.body.strip() else None
    token, secret = _catalog(call).create_write_token(call.path_params["app"], fields, call.who)
    shown = show_token(token)
    location = (("Location", f"{call.path}/{token.id}"),)
    return answer_json({"id": shown.pop("id"), "token": secret, **shown}, 201, location)


def list_write_tokens(call: Call) -> Answer:
    """A page of the tokens that are in force."""
    must_know(call, ("limit", "next_token"))
    return answer_page(call, _catalog(call).list_write_tokens(call.path_params["app"], call.who), show_token)


def delete_write_token(call: Call) -> Answer:
    """The token is revoked: it lets nothing in any more."""
    must_know(call, ())
    _catalog(call).revoke_write_token(call.path_params["app"], call.path_params["write_token"], call.who)
    return Answer(204, b"")


_PROPERTIES: dict[str, Any] = {
    "id": {"type": "string"},
    "app": {"type": "integer"},
    "name": {"type": ["string", "null"]},
    "created_at": {"type": "string"},
}
_EXAMPLE = {"id": "wt_Zk3vQ9sB1xT7L", "app": 1, "name": "prod", "created_at": "2025-12-14T16:00:00Z"}
_SECRET = {"type": "string", "pattern": "^apt_[a-zA-Z0-9]{24}$"}
_SCHEMA = {"type": "object", "required": list(_PROPERTIES), "properties": _PROPERTIES}
_CREATED = {"type": "object", "required": ["token", *_PROPERTIES], "properties": {"token": _SECRET, **_PROPERTIES}}
_BODY = Documented(
    "What the token is for; may be left out",
    {JSON: {
        "type": "object",
        "additionalProperties": False,
        "properties": {"name": {"type": ["string", "null"], "minLength": 1, "maxLength": 255}},
    }},
    {"name": "prod"},
)
_APP = Param("app", "The app, its number", {"type": "integer", "minimum": 1}, where="path", required=True, example=1)
_TOKEN = Param("write_token", "The token: its id, not the token itself", where="path", required=True)
_PATH = "/api/v1/apps/{app}/write-tokens"

WRITE_TOKEN_ROUTES: tuple[Route, ...] = (
    Route("POST", _PATH, "create-write-token", "Make a write token of an app", create_write_token, Scope.CATALOG_WRITE,
          (_APP,), body=_BODY,
          answers={201: Documented("The token, shown this once", {JSON: _CREATED},
                                   {"token": "apt_a1B2c3D4e5F6g7H8i9J0k1L2", **_EXAMPLE},
                                   {"Location": "Where it is, without the secret"}), 409: CONFLICT},
          sees=("app",),
          description="It lets the app's telemetry in at /v1/metrics, /v1/traces and /v1/logs, and opens nothing else."),
    Route("GET", _PATH, "list-write-tokens", "The write tokens of an app that are in force", list_write_tokens,
          Scope.CATALOG_WRITE, (_APP, *PAGE_PARAMS), answers={200: page_of(_SCHEMA, _EXAMPLE, "Tokens by id")},
          sees=("app",)),
    Route("DELETE", f"{_PATH}/{{write_token}}", "delete-write-token", "Revoke a write token", delete_write_token,
          Scope.CATALOG_WRITE, (_APP, _TOKEN), answers={204: Documented("It lets nothing in any more")},
          sees=("app", "write_token")),
)
"""Making, listing and revoking write tokens."""
