"""How OpenAPI documents unattributed flows and reattribution."""

from __future__ import annotations

from typing import Any

from weighbridge.dialects.native.catalog_docs import JSON, PAGE_PARAMS
from weighbridge.http.route import Documented, Param

_TEXT = {"type": "string"}
_AMOUNT = {"type": "integer", "minimum": 0}
_INSTANT = {"type": "string", "examples": ["2025-12-14T16:00:00Z", "2025-12-14T17:00:00+01:00", "2025-12-14"]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object of which every property is always there."""
    return {"type": "object", "required": list(properties), "properties": properties}


_MOVED = {
    "bytes": _AMOUNT | {"description": "In and out"},
    "packets": _AMOUNT,
    "flows": _AMOUNT | {"description": "Flow records"},
}
_EXPORTER = _TEXT | {"description": "Id of a declared exporter, otherwise its address"}

UNATTRIBUTED_DESCRIPTION = (
    "Flows of which neither end was known by the catalog when they came, or when attribution was last worked out anew."
    " Both ends of a flow are listed, most bytes first; in `exporters` each flow counts once. Where a collector had not"
    " been told yet which addresses are known, ends are listed whose other end is attributed."
)
UNATTRIBUTED_PARAMS = (
    Param("from", "Start of the range, RFC 3339, rounded down to 5 minutes. Without an offset it is in `time_zone`",
          _INSTANT, required=True, example="2025-12-14T00:00:00Z"),
    Param("to", "End of the range, not included; as `from`, and not before it", _INSTANT, required=True,
          example="2025-12-15T00:00:00Z"),
    Param("time_zone", "IANA time zone of instants. UTC by default", _TEXT | {"default": "UTC"}, example="Europe/Berlin"),
    Param("exporter", "Only what this exporter saw: its id or its address", example="edge-1"),
    *PAGE_PARAMS,
)
UNATTRIBUTED = Documented(
    "Addresses that are nobody's",
    {JSON: _object({
        "meta": _object({"from": _TEXT, "to": _TEXT, "time_zone": _TEXT, "kept_since": _TEXT | {
            "description": "From when on flows are kept (1972: ever); before it nothing is listed"}}),
        "data": {"type": "array", "items": _object({"exporter": _EXPORTER, "address": _TEXT, **_MOVED})},
        "exporters": {"type": "array", "items": _object({"exporter": _EXPORTER, **_MOVED})},
        "has_more": {"type": "boolean"},
        "next_token": {"type": ["string", "null"]},
    })},
    {
        "meta": {
            "from": "2025-12-14T00:00:00Z", "to": "2025-12-15T00:00:00Z", "time_zone": "UTC",
            "kept_since": "2025-11-09T00:00:00Z",
        },
        "data": [
            {"exporter": "edge-1", "address": "192.0.2.77", "bytes": 48123, "packets": 210, "flows": 12},
            {"exporter": "edge-1", "address": "198.51.100.9", "bytes": 48123, "packets": 210, "flows": 12},
        ],
        "exporters": [{"exporter": "edge-1", "bytes": 48123, "packets": 210, "flows": 12}],
        "has_more": False,
        "next_token": None,
    },
)

REATTRIBUTION_DESCRIPTION = (
    "Usage via flows of every 5-minute slot in the range becomes what the kept flows say under today's catalog, whose"
    " attributions are dated: what was declared late with a `from` in the past counts from then on. Slots of which not"
    " everything is kept, and the last 70 minutes, are left alone; `from` and `to` of the answer say what was looked at."
    " With `dry_run`, the default, nothing is changed. Asked a second time, there is nothing to correct."
)
REATTRIBUTION_BODY = Documented(
    "The last `days` days, or `from` and `to`",
    {JSON: {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "days": {"type": "integer", "minimum": 1, "maximum": 3660},
            "from": _INSTANT,
            "to": _INSTANT,
            "dry_run": {"type": "boolean", "default": True, "description": "Only say what would change"},
        },
    }},
    {"days": 7, "dry_run": True},
)
_CHANGE = {
    "subject": _TEXT | {"description": "As events name it"},
    "organization": {"type": ["string", "null"]},
    **{
        f"{what}_bytes_{way}": _AMOUNT
        for way in ("in", "out") for what in ("gained", "lost")
    },
}
REATTRIBUTION = Documented(
    "Who gained and who lost what, most first",
    {JSON: _object({
        "meta": _object({
            "from": _TEXT, "to": _TEXT, "dry_run": {"type": "boolean"},
            "kept_since": _TEXT | {"description": "Before this instant not everything is kept that corrections need"},
            "settled_until": _TEXT | {"description": "Later slots may still get flows, and are left alone"},
            "corrections": _AMOUNT | {"description": "How many corrections that are, of single slots"},
            "unattributed_bytes_before": _AMOUNT,
            "unattributed_bytes_after": _AMOUNT,
        }),
        "data": {"type": "array", "items": _object(_CHANGE)},
    })},
    {
        "meta": {
            "from": "2025-12-07T16:00:00Z", "to": "2025-12-14T14:50:00Z", "dry_run": True,
            "kept_since": "2025-11-09T00:00:00Z", "settled_until": "2025-12-14T14:50:00Z", "corrections": 2011,
            "unattributed_bytes_before": 9301442, "unattributed_bytes_after": 48123,
        },
        "data": [{
            "subject": "server/sv_A05EdQ50dvKYQ", "organization": "org_acme", "gained_bytes_in": 1203311,
            "lost_bytes_in": 0, "gained_bytes_out": 8050008, "lost_bytes_out": 0,
        }],
    },
)
