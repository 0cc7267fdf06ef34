"""How OpenAPI documents the questions of CONTRACT part 4: parameters, answers, examples."""

from __future__ import annotations

from typing import Any

from weighbridge.dialects.native.catalog_docs import PAGE_PARAMS
from weighbridge.domain.timegrid import WINDOWS
from weighbridge.http.route import Documented, Param
from weighbridge.model import Metering
from weighbridge.reports.selection import GROUP_KEYS
from weighbridge.reports.top import METRICS

_INSTANT = {"type": "string", "examples": ["2025-12-14T16:00:00Z", "2025-12-14T17:00:00+01:00", "2025-12-14"]}
_INTEGER = {"type": "integer"}
_AMOUNT = {"type": ["integer", "null"], "minimum": 0}
_TEXT = {"type": "string"}
_AMOUNTS = {
    "bytes_in": _AMOUNT | {"description": "What the metered thing received; null where it is not known"},
    "bytes_out": _AMOUNT | {"description": "What the metered thing sent; null where it is not known"},
    "requests": _AMOUNT | {"description": "Requests served; null where that is not known"},
}
_WATERMARK = {"type": "string", "description": "All usage accepted before this instant is in the answer"}
_COVERAGE = {
    "type": ["number", "null"], "minimum": 0, "maximum": 1,
    "description": "Share of the finished slots in which the sources were alive; null without a finished slot",
}
_ESTIMATED = {
    "type": "boolean",
    "description": "Whether a part is an estimate: spread over a gap of a counter, or scaled up from samples",
}

_FROM = Param("from", "Start of the range, RFC 3339, rounded down to 5 minutes. Without an offset it is in `time_zone`",
              _INSTANT, required=True, example="2025-12-01T00:00:00Z")
_TO = Param("to", "End of the range, not included; as `from`, and not before it", _INSTANT, required=True,
            example="2025-12-14T16:00:00Z")
_ZONE = Param("time_zone", "IANA time zone of windows, and of instants in the answer. UTC, written `Z`, by default",
              _TEXT | {"default": "UTC"}, example="Europe/Berlin")
_FILTERS = (
    Param("organization", "Only this organization: id or slug", example="org_acme"),
    Param("project", "Only servers while they are in this project: id or slug", example="proj_lkg1DekRdvZE5"),
    Param("region", "Only what is in this region, while it is there: slug", example="brazil"),
    Param("server", "Only this server: id", example="sv_A05EdQ50dvKYQ"),
    Param("vpn", "Only this VPN instance and its peers: UUID", example="d290f1ee-6c54-4b01-90e6-d701748f0851"),
    Param("app", "Only this app: id", _INTEGER, example=1),
    Param("environment", "Only this environment of an app: id", _INTEGER, example=1),
    Param("consumer", "Only this consumer of an app: id", _INTEGER, example=7),
    Param("space", "Only this space: id", _INTEGER, example=123),
)


def _object(properties: dict[str, Any], more: dict[str, Any] | None = None) -> dict[str, Any]:
    """The schema of an object of which every property is always there."""
    return {"type": "object", "required": list(properties), "properties": properties} | (more or {})


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


_RANGE_META = {"from": _TEXT, "to": _TEXT, "time_zone": _TEXT, "watermark": _WATERMARK}

USAGE_DESCRIPTION = (
    "Rows are ordered by start, then keys. Every window is listed for every group that is there now or was at a"
    " time in the range, with zeros where nothing moved; the first and the last row are clipped to it. A window of"
    " a zone ends where its wall clock reaches the boundary or its offset changes. With `Accept: text/csv` the"
    " same rows come as CSV, with a header; an empty field is a null. At most 100,000 rows."
)
USAGE_PARAMS = (
    _FROM,
    _TO,
    Param("window", "Length of the rows", {"enum": list(WINDOWS), "default": "1d"}, example="1h"),
    _ZONE,
    *_FILTERS,
    Param("group_by", f"Keys, separated by commas, each a column of the rows: {', '.join(GROUP_KEYS)}",
          example="project,region"),
)
_USAGE_ROW = _object(
    {"start": _TEXT, "end": _TEXT, **_AMOUNTS},
    {"additionalProperties": {"type": ["string", "integer", "null"], "description": "A key of `group_by`: an id"}},
)
USAGE = Documented(
    "What moved in each window, for each group",
    content={
        "application/json": _object({
            "meta": _object({
                **_RANGE_META, "window": {"enum": list(WINDOWS)}, "coverage": _COVERAGE, "estimated": _ESTIMATED,
            }),
            "data": _list(_USAGE_ROW),
        }),
        "text/csv": _TEXT,
    },
    example={
        "meta": {
            "from": "2025-12-14T00:00:00Z", "to": "2025-12-15T00:00:00Z", "time_zone": "UTC",
            "watermark": "2025-12-14T16:00:01.250000Z", "window": "1d", "coverage": 1.0, "estimated": False,
        },
        "data": [{
            "start": "2025-12-14T00:00:00Z", "end": "2025-12-15T00:00:00Z", "region": "brazil",
            "bytes_in": 123, "bytes_out": 456, "requests": None,
        }],
    },
)

TOP_DESCRIPTION = (
    "The things that moved most over the range, most first, of equals the smaller id first; what moved nothing is"
    " no item. `other` is the sum of everything else that the filters let through, also of what belongs to no such"
    " thing, so that items and `other` add up to the whole."
)
TOP_PARAMS = (
    Param("by", "What to list", {"enum": list(GROUP_KEYS)}, required=True, example="server"),
    _FROM,
    _TO,
    Param("metric", "What to be first in; `bytes` is in plus out", {"enum": list(METRICS), "default": "bytes"}),
    Param("limit", "Most items", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}),
    _ZONE,
    *_FILTERS,
)
TOP = Documented(
    "The first ones, and all the rest in one sum",
    content={
        "application/json": _object({
            "meta": _object({
                **_RANGE_META, "by": {"enum": list(GROUP_KEYS)}, "metric": {"enum": list(METRICS)}, "limit": _INTEGER,
                "coverage": _COVERAGE,
            }),
            "data": _list(_object(
                {"name": {"type": ["string", "null"]}, **_AMOUNTS},
                {"additionalProperties": {"type": ["string", "integer"], "description": "The id, named as `by`"}},
            )),
            "other": _object(_AMOUNTS),
        }),
    },
    example={
        "meta": {
            "from": "2025-12-01T00:00:00Z", "to": "2025-12-14T16:00:00Z", "time_zone": "UTC",
            "watermark": "2025-12-14T16:00:01.250000Z", "by": "server", "metric": "bytes", "limit": 10, "coverage": 1.0,
        },
        "data": [{"server": "sv_A05EdQ50dvKYQ", "name": "web-1", "bytes_in": 123, "bytes_out": 456, "requests": None}],
        "other": {"bytes_in": 0, "bytes_out": 0, "requests": 0},
    },
)

PERCENTILE_DESCRIPTION = (
    "The bytes of everything that the filters let through are summed in each slot, then the nearest-rank"
    " percentile is taken, for each direction by itself. Slots lie on the UTC clock; one that the range cuts"
    " counts whole, one that is not over does not count, one without traffic is zero."
)
PERCENTILE_PARAMS = (
    Param("from", "Start of the range, RFC 3339; slots from the one that holds it count. Without an offset it is in"
          " `time_zone`", _INSTANT, required=True, example="2025-12-01T00:00:00Z"),
    Param("to", "End of the range; slots that start before it count", _INSTANT, required=True,
          example="2025-12-11T00:00:00Z"),
    Param("slot", "Length of the slots", {"enum": ["30m", "5m"], "default": "30m"}),
    Param("p", "Which percentile", {"type": "integer", "minimum": 1, "maximum": 99, "default": 95}),
    _ZONE,
    *_FILTERS,
)
_DIRECTION = _object({
    "bits_per_second": _INTEGER | {"description": "Rate of the picked slot, rounded half up"},
    "mbps": {"type": "number", "description": "The same in megabits (10^6) a second, 2 decimals, half up"},
    "rank": _INTEGER | {"description": "Place of the picked slot among all, ascending, from 1; 0 without slots"},
    "slots": _INTEGER | {"description": "How many slots count"},
    "discarded": _INTEGER | {"description": "How many slots rank above the picked one"},
    "slot_start": {"type": ["string", "null"], "description": "Start of the picked slot, the earliest of equals"},
    "coverage": _COVERAGE,
})
PERCENTILE = Documented(
    "A receipt for each direction",
    content={
        "application/json": _object({
            "meta": _object(
                {**_RANGE_META, "slot": {"enum": ["30m", "5m"]}, "p": _INTEGER},
                {"additionalProperties": _TEXT | {"description": "A filter, as it was given"}},
            ),
            "in": _DIRECTION,
            "out": _DIRECTION,
        }),
    },
    example={
        "meta": {
            "from": "2025-12-01T00:00:00Z", "to": "2025-12-11T00:00:00Z", "time_zone": "UTC",
            "watermark": "2025-12-14T16:00:01.250000Z", "slot": "30m", "p": 95, "region": "brazil",
        },
        "in": {
            "bits_per_second": 1832910000, "mbps": 1832.91, "rank": 456, "slots": 480, "discarded": 24,
            "slot_start": "2025-12-07T19:30:00Z", "coverage": 1.0,
        },
        "out": {
            "bits_per_second": 1819990000, "mbps": 1819.99, "rank": 456, "slots": 480, "discarded": 24,
            "slot_start": "2025-12-07T20:00:00Z", "coverage": 1.0,
        },
    },
)

QUOTA_DESCRIPTION = (
    "One row for each quota of each living project, by project and region, over the organization's current"
    " billing period (its time zone, its billing day). What was sent counts against the terabytes, and the larger"
    " of the two directions' 95th percentiles so far against the megabits. `exceeded` speaks of the megabits where"
    " the method is `95th percentile`, else of the terabytes; all of a quota exactly is not more than it."
)
QUOTA_PARAMS = tuple(param for param in _FILTERS if param.name in {"organization", "project", "region"})
_ALLOWANCE = _object({"granted": _INTEGER, "additional": _INTEGER, "total": _INTEGER})
_PERCENT = {"type": ["number", "null"], "description": "Used share of the total, rounded down; null of a total of 0"}
QUOTA = Documented(
    "How each project stands in each region",
    content={
        "application/json": _object({
            "meta": _object({"watermark": _WATERMARK}),
            "data": _list(_object({
                "organization": _TEXT,
                "project": _TEXT,
                "project_slug": _TEXT,
                "region": _TEXT,
                "billing_method": _TEXT,
                "start": _TEXT,
                "end": _TEXT,
                "tb": _ALLOWANCE,
                "mbps": _ALLOWANCE,
                "bytes_in": _AMOUNT,
                "bytes_out": _AMOUNT,
                "used": _INTEGER | {"description": "Bytes that count against the terabytes: what was sent"},
                "remaining": _INTEGER | {"description": "Bytes that are left of the terabytes"},
                "percent": _PERCENT,
                "percentile": _object({
                    "in_mbps": {"type": "number"},
                    "out_mbps": {"type": "number"},
                    "used_mbps": {"type": "number", "description": "What counts against the megabits: the larger one"},
                    "remaining_mbps": {"type": "number"},
                    "percent": _PERCENT,
                }),
                "exceeded": {"type": "boolean"},
            })),
        }),
    },
    example={
        "meta": {"watermark": "2025-12-14T16:00:01.250000Z"},
        "data": [{
            "organization": "org_acme", "project": "proj_lkg1DekRdvZE5", "project_slug": "incredible-bronze-knife",
            "region": "brazil", "billing_method": "Normal",
            "start": "2025-12-01T00:00:00Z", "end": "2026-01-01T00:00:00Z",
            "tb": {"granted": 20, "additional": 0, "total": 20}, "mbps": {"granted": 0, "additional": 0, "total": 0},
            "bytes_in": 102_000_000_000, "bytes_out": 241_000_000_000,
            "used": 241_000_000_000, "remaining": 19_759_000_000_000, "percent": 1.2,
            "percentile": {"in_mbps": 1832.91, "out_mbps": 1819.99, "used_mbps": 1832.91, "remaining_mbps": 0.0,
                           "percent": None},
            "exceeded": False,
        }],
    },
)

PERIOD_DESCRIPTION = (
    "The billing period that holds this moment, in the organization's time zone and from its billing day, and"
    " what moved in it so far. A key of every organization names one with `organization` or the header"
    " `Weighbridge-Organization`, unless there is only one."
)
PERIOD_PARAMS = (
    *(param for param in _FILTERS if param.name in {"organization", "project"}),
    Param("Weighbridge-Organization", "Which organization is meant, for a key that sees all: id", where="header"),
)
PERIOD = Documented(
    "The current billing period",
    content={
        "application/json": _object({
            "meta": _object({"watermark": _WATERMARK}),
            "data": _object({
                "organization": _TEXT, "start": _TEXT, "end": _TEXT, "time_zone": _TEXT,
                "billing_day": _INTEGER,
                **_AMOUNTS,
            }),
        }),
    },
    example={
        "meta": {"watermark": "2025-12-14T16:00:01.250000Z"},
        "data": {
            "organization": "org_acme", "start": "2025-12-01T00:00:00Z", "end": "2026-01-01T00:00:00Z",
            "time_zone": "UTC", "billing_day": 1, "bytes_in": 123, "bytes_out": 456, "requests": 7,
        },
    },
)

RECONCILIATION_DESCRIPTION = (
    "Every server and VPN instance (with its peers) that has both counters and flows in the range, servers first, by"
    " id. `billed` says whose figures are billed at the end of the range, whatever they differ by; `difference` is flows"
    " less counters, and `percent` its share of the counters, of both directions together. Flows lack what no IP"
    " packet carries, and a range in which only one of both was running all the time differs by the rest of it."
)
RECONCILIATION_PARAMS = (
    _FROM,
    _TO,
    _ZONE,
    *(param for param in _FILTERS if param.name in {"organization", "project", "region", "server", "vpn"}),
    *PAGE_PARAMS,
)
_SIGNED = {"type": ["integer", "null"], "description": "Flows less counters; null where one of them does not know"}
_METERING = {"enum": [each.value for each in Metering]}
RECONCILIATION = Documented(
    "A page of things, each with what both say",
    content={
        "application/json": _object({
            "meta": _object(_RANGE_META),
            "data": _list(_object({
                "server": {"type": ["string", "null"]},
                "vpn": {"type": ["string", "null"]},
                "billed": _METERING,
                "counters": _object({"via": {"enum": ["interfaces", "host"]}, "bytes_in": _AMOUNT, "bytes_out": _AMOUNT}),
                "flows": _object({"bytes_in": _AMOUNT, "bytes_out": _AMOUNT}),
                "difference": _object({
                    "bytes_in": _SIGNED,
                    "bytes_out": _SIGNED,
                    "percent": {
                        "type": ["number", "null"],
                        "description": "Share of the counters, in percent, 2 decimals, half up; null of counters of 0",
                    },
                }),
            })),
            "has_more": {"type": "boolean"},
            "next_token": {"type": ["string", "null"]},
        }),
    },
    example={
        "meta": {
            "from": "2025-12-01T00:00:00Z", "to": "2025-12-02T00:00:00Z", "time_zone": "UTC",
            "watermark": "2025-12-14T16:00:01.250000Z",
        },
        "data": [{
            "server": "sv_A05EdQ50dvKYQ", "vpn": None, "billed": "interfaces",
            "counters": {"via": "interfaces", "bytes_in": 1_000_000, "bytes_out": 4_000_000},
            "flows": {"bytes_in": 982_000, "bytes_out": 3_930_000},
            "difference": {"bytes_in": -18_000, "bytes_out": -70_000, "percent": -1.76},
        }],
        "has_more": False,
        "next_token": None,
    },
)
