"""What `GET /v1/apps/{app_id}/traffic` answers, and its JSON Schema as the vendor documents it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.timegrid import isoformat

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from weighbridge.domain.timegrid import Window
    from weighbridge.reports.usage import Amounts


class TrafficItem(msgspec.Struct, frozen=True, gc=False):
    """One interval."""

    period_start: str
    period_end: str
    requests: int
    bytes_received: int
    bytes_sent: int


class TrafficPage(msgspec.Struct, frozen=True):
    """One page of intervals."""

    data: list[TrafficItem]
    has_more: bool
    next_token: str | None


def traffic_item(window: Window, amounts: Amounts, zone: ZoneInfo) -> TrafficItem:
    """An interval in the vendor's words; it has none for an unknown amount, so that is 0."""
    return TrafficItem(
        isoformat(window.start_s, zone),
        isoformat(window.end_s, zone),
        amounts.requests or 0,
        amounts.bytes_in or 0,
        amounts.bytes_out or 0,
    )


_TRAFFIC_ITEM = {
    "title": "TrafficItem",
    "type": "object",
    "required": ["period_start", "period_end", "requests", "bytes_received", "bytes_sent"],
    "additionalProperties": False,
    "properties": {
        "period_start": {
            "type": "string",
            "format": "date-time",
            "title": "Period Start",
            "description": "Start of the period in ISO 8601 format with timezone offset.",
        },
        "period_end": {
            "type": "string",
            "format": "date-time",
            "title": "Period End",
            "description": "End of the period in ISO 8601 format with timezone offset.",
        },
        "requests": {"type": "integer", "minimum": 0, "title": "Requests", "description": "Number of requests."},
        "bytes_received": {
            "type": "integer",
            "minimum": 0,
            "title": "Bytes Received",
            "description": "Number of bytes received.",
        },
        "bytes_sent": {
            "type": "integer", "minimum": 0, "title": "Bytes Sent", "description": "Number of bytes sent.",
        },
    },
}

TRAFFIC_SCHEMA = {
    "title": "GetTrafficResponse",
    "type": "object",
    "required": ["data", "has_more", "next_token"],
    "additionalProperties": False,
    "properties": {
        "data": {"type": "array", "items": _TRAFFIC_ITEM, "title": "Data", "description": "List of traffic data."},
        "has_more": {
            "type": "boolean", "title": "Has More", "description": "Whether there are more records to fetch.",
        },
        "next_token": {
            "type": ["string", "null"],
            "maxLength": 1024,
            "title": "Next Token",
            "description": "Token to fetch the next page of records, if there are more.",
        },
    },
}

TRAFFIC_EXAMPLE = {
    "data": [
        {
            "period_start": "2025-05-14T00:00:00-04:00",
            "period_end": "2025-05-14T01:00:00-04:00",
            "requests": 123,
            "bytes_received": 45678,
            "bytes_sent": 901234,
        },
    ],
    "has_more": False,
    "next_token": None,
}
