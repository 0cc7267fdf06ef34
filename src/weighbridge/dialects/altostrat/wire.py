"""What `GET /vpn/instances/{instanceId}/bandwidth` answers, and its JSON Schema as the vendor documents it."""

from __future__ import annotations

import msgspec


class Bandwidth(msgspec.Struct, frozen=True):
    """What an instance moved in its billing period so far; `date` is the day of the last measurement in it."""

    incoming_bytes: int
    outgoing_bytes: int
    date: str


BANDWIDTH_SCHEMA = {
    "title": "Bandwidth",
    "type": "object",
    "required": ["incoming_bytes", "outgoing_bytes", "date"],
    "additionalProperties": False,
    "properties": {
        "incoming_bytes": {
            "type": "integer",
            "minimum": 0,
            "description": "Total incoming data transfer in bytes for the current billing period.",
        },
        "outgoing_bytes": {
            "type": "integer",
            "minimum": 0,
            "description": "Total outgoing data transfer in bytes for the current billing period.",
        },
        "date": {
            "type": "string",
            "format": "date",
            "description": "The date the bandwidth measurement was taken, in the organization's time zone.",
        },
    },
}
BANDWIDTH_EXAMPLE = {"incoming_bytes": 1234567890, "outgoing_bytes": 9876543210, "date": "2025-10-29"}
