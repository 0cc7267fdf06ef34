"""What the routes of this dialect share: their limit, its headers, and the parameters that several take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.dialects.apitally.token import MAX_LENGTH
from weighbridge.http.route import Param, RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.http.route import RateState

RATE = RateLimit(calls=100, window_s=60)
RATE_HEADERS = {
    "X-RateLimit-Limit": "Requests a minute for this key",
    "X-RateLimit-Remaining": "How many of them are left",
    "X-RateLimit-Reset": "When there are more again, in unix seconds",
}


def rate_headers(state: RateState) -> tuple[tuple[str, str], ...]:
    """How a key stands, in the vendor's header names."""
    return (
        ("X-RateLimit-Limit", str(state.limit)),
        ("X-RateLimit-Remaining", str(state.remaining)),
        ("X-RateLimit-Reset", str(state.reset_at_s)),
    )


def nullable(schema: Mapping[str, object]) -> dict[str, object]:
    """The schema of a parameter that may be left out, as the vendor writes it."""
    return {"anyOf": [schema, {"type": "null"}]}


ID = {"type": "integer", "minimum": 1}
INSTANT = {"type": "string", "format": "date-time"}
APP_ID = Param("app_id", "App ID", ID, where="path", required=True, example=1)
ENVIRONMENT_ID = Param("app_env_id", "Filter to environment ID, if provided.", nullable(ID))
NEXT_TOKEN = Param(
    "next_token",
    "Token to fetch the next page of records, as returned by a previous request with the same parameters.",
    nullable({"type": "string", "maxLength": MAX_LENGTH}),
)


def limit(default: int, most: int) -> Param:
    """The parameter that says how long a page is."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Param("limit", "Maximum number of records to return per page", schema)
