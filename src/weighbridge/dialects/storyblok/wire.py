"""What `GET /v1/orgs/me/statistics/all_traffic` answers, and its JSON Schema. `montly` is the vendor's spelling."""

from __future__ import annotations

from typing import Any

import msgspec

from weighbridge.dialects import exact_json


class GroupRow(msgspec.Struct, frozen=True, gc=False):
    """Traffic in one group; `date` is its first day."""

    date: str
    api_requests: int
    total_bytes: int | None


class SpaceRow(msgspec.Struct, frozen=True, gc=False):
    """Traffic of one space in one group; `date` names the group."""

    date: str
    api_requests: int
    total_bytes: int | None
    space_id: int


class CumulatedTraffic(msgspec.Struct, frozen=True):
    """All spaces together."""

    requests_used_last_days: int
    total_requests_per_time_period: int
    total_traffic_per_time_period: int
    traffic: list[GroupRow]


class Statistics(msgspec.Struct, frozen=True):
    """The answer but for its last member, `traffic`, which may be long and is encoded in parts."""

    montly_traffic_limit: int | None
    yearly_traffic_limit: int | None
    traffic_used_this_year: int
    cumulated_traffic: CumulatedTraffic
    traffic_top_spaces: dict[str, list[GroupRow]]


def encode(statistics: Statistics, raw: list[bytes]) -> bytes:
    """The answer as JSON; `raw` are the encoded rows of `traffic`."""
    head = exact_json.encode(statistics)[:-1]
    return b"".join((head, b',"traffic":[', b",".join(raw), b"]}"))


def _amount(description: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "description": description}


_REQUESTS = _amount("The number of API requests made on the specified period (day, month, or year).")
_BYTES = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "The total bandwidth (in bytes), in plus out; null where requests are known and no bytes are.",
}
_LIMIT = {"type": ["integer", "null"], "minimum": 0}


def _rows(date: dict[str, Any], more: dict[str, Any], description: str) -> dict[str, Any]:
    properties = {"date": {"type": "string", **date}, "api_requests": _REQUESTS, "total_bytes": _BYTES, **more}
    row = {
        "type": "object", "required": list(properties), "additionalProperties": False, "properties": properties,
    }
    return {"type": "array", "items": row, "description": description}


_FIRST_DAY = {"format": "date", "description": "The first day of the day, month or year, in `YYYY-MM-DD` format."}
_LABEL = {
    "pattern": r"^\d{4}(-\d{2}(-\d{2})?)?$",
    "description": "`YYYY-MM-DD`, `YYYY-MM` or `YYYY`, as `group_by` says.",
}
_SPACE_ID = {"space_id": {"type": "integer", "description": "The ID of the tracked space."}}
_CUMULATED = {
    "requests_used_last_days": _amount("API request usage in the last 7 days, today included."),
    "total_requests_per_time_period": _amount("Total API requests during the specified period."),
    "total_traffic_per_time_period": _amount("Total traffic bytes during the specified period."),
    "traffic": _rows(_FIRST_DAY, {}, "All spaces together, by date; every group of the range is listed."),
}
_MEMBERS: dict[str, Any] = {
    "montly_traffic_limit": {**_LIMIT, "description": "The monthly traffic limit; null where none is agreed."},
    "yearly_traffic_limit": {**_LIMIT, "description": "12 times the monthly limit."},
    "traffic_used_this_year": _amount("The traffic of this calendar year (UTC), in the unit of the limits."),
    "cumulated_traffic": {
        "type": "object",
        "required": list(_CUMULATED),
        "additionalProperties": False,
        "properties": _CUMULATED,
    },
    "traffic_top_spaces": {
        "type": "object",
        "required": ["other_spaces"],
        "description": "The 10 spaces with most traffic by their `space_id`, and all others together.",
        "additionalProperties": _rows(_FIRST_DAY, {}, "By date, where something moved."),
    },
    "traffic": _rows(_LABEL, _SPACE_ID, "Raw traffic data per space, by date and space, where something moved."),
}
TRAFFIC_SCHEMA = {
    "title": "ApiTrafficStatistics",
    "type": "object",
    "required": list(_MEMBERS),
    "additionalProperties": False,
    "properties": _MEMBERS,
}
_EXAMPLE_ROW = {"date": "2023-01-01", "api_requests": 150, "total_bytes": 250000}
TRAFFIC_EXAMPLE = {
    "montly_traffic_limit": 10000000,
    "yearly_traffic_limit": 120000000,
    "traffic_used_this_year": 200,
    "cumulated_traffic": {
        "requests_used_last_days": 20,
        "total_requests_per_time_period": 200,
        "total_traffic_per_time_period": 325000,
        "traffic": [{"date": "2023-01-01", "api_requests": 200, "total_bytes": 325000}],
    },
    "traffic_top_spaces": {
        "789": [_EXAMPLE_ROW],
        "other_spaces": [{"date": "2023-01-01", "api_requests": 50, "total_bytes": 75000}],
    },
    "traffic": [
        {"date": "2023-01", "api_requests": 50, "total_bytes": 75000, "space_id": 123},
        {"date": "2023-01", "api_requests": 150, "total_bytes": 250000, "space_id": 789},
    ],
}
