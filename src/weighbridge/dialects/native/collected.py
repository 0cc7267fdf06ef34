"""Agents over HTTP: what they bring in, and what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from weighbridge.dialects.native.asking_query import must_know
from weighbridge.http.failures import UnreadableBodyError
from weighbridge.http.route import PROBLEM, Answer, Documented, Route
from weighbridge.metering.flows.interest_wire import write_interest
from weighbridge.metering.subjects import Sender
from weighbridge.model import Scope
from weighbridge.spool.wire import MAX_READINGS, MAX_ROWS, VERSION, UnreadableError, decode

if TYPE_CHECKING:
    from weighbridge.http.route import Call

T = TypeVar("T")

MAX_BODY_BYTES = 16 * 1024 * 1024
"""After decoding, as events."""
JSON = "application/json"

_encode = msgspec.json.Encoder(order="deterministic").encode


def post_collected(call: Call) -> Answer:
    """Takes what a collector brought in; the answer is sent once all of it is on disk.

    UnreadableBodyError: the body is none that is known here.
    """
    must_know(call, ())
    try:
        sent = decode(call.body)
    except UnreadableError as error:
        raise UnreadableBodyError(f"the body is none that is known here, nothing of it was kept: {error}") from error
    sender = Sender(call.who.organization, call.who.project)
    receipt = _there(call.services.desk).take(sent.collected, sender, sender.organization or "", sent.id)
    counts: dict[str, int] = {}
    for (_, what), count in receipt.counts.items():
        counts[what] = counts.get(what, 0) + count
    answer = {"id": sent.id, "accepted": receipt.accepted, "duplicates": receipt.duplicates, "known": receipt.is_known,
              "counts": counts}
    return Answer(200, _encode(answer))


def get_interest(call: Call) -> Answer:
    """Which addresses, MACs and VLANs the key reaches."""
    must_know(call, ())
    interest = _there(call.services.interests).of(Sender(call.who.organization, call.who.project))
    return Answer(200, write_interest(interest), headers=(("Cache-Control", "no-store"),))


def _there(part: T | None) -> T:
    if part is None:
        raise RuntimeError("BUG: the services lack the desk or what the catalog knows")
    return part


def _column(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "maxItems": MAX_ROWS, "items": items}


_NAME = {"type": "string", "maxLength": 255}
_TOTAL = {"type": ["integer", "null"], "minimum": 0, "maximum": 2**64 - 1}
_AMOUNT = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_INSTANT = {"type": "integer", "minimum": 0, "description": "Microseconds since the Unix epoch"}
_PREFIX = {"type": "string", "maxLength": 64}
_MAC = {"type": "string", "pattern": "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"}
_VLAN = {"type": "integer", "minimum": 0, "maximum": 2**16 - 1}
_READING: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "device", "at_us", "bytes_in", "bytes_out"],
    "additionalProperties": False,
    "properties": {
        "kind": {"enum": ["interface", "host", "tunnel"]},
        "device": {"type": "string", "minLength": 1, "maxLength": 255},
        "name": _NAME,
        "at_us": _INSTANT,
        "bytes_in": _TOTAL,
        "bytes_out": _TOTAL,
        "counter": _NAME | {"description": "Tells counters of one thing apart"},
        "bits": {"enum": [32, 64]},
        "since_us": {"type": ["integer", "null"], "minimum": 0, "description": "When the counter began at zero"},
        "line_rate_bps": {"type": ["integer", "null"], "minimum": 0},
        "is_whole": {"type": "boolean", "description": "A first reading counts too, since `since_us`"},
    },
}
_FLOWS: dict[str, Any] = {
    "type": "object",
    "required": ["exporter", "slot", "address", "mac", "vlan", "flags", "bytes_in", "bytes_out", "packets", "flows"],
    "additionalProperties": False,
    "description": "Columns of equal length: what one address moved in one slot, as one exporter saw it",
    "properties": {
        "exporter": {"type": "string", "minLength": 2, "maxLength": 64, "description": "Its address"},
        "slot": _column({"type": "integer", "description": "Number of the 5-minute slot: epoch seconds / 300"}),
        "address": _column({"type": "string", "minLength": 2, "maxLength": 64}),
        "mac": _column(_MAC | {"type": ["string", "null"]}),
        "vlan": _column(_VLAN),
        "flags": _column({
            "type": "integer", "minimum": 0, "maximum": 255,
            "description": "1 scaled up from a sample, 2 no sampling rate told, 4 a sampler that nobody told of, 8 neither "
            "end known to the collector, 16 of such a flow the source's row, 32 the collector knew of nobody",
        }),
        "bytes_in": _column(_AMOUNT),
        "bytes_out": _column(_AMOUNT),
        "packets": _column(_AMOUNT),
        "flows": _column(_AMOUNT),
    },
}
_BODY = {
    "type": "object",
    "required": ["version", "agent", "number", "source"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": VERSION},
        "agent": {"type": "string", "format": "uuid", "description": "Made at each start of the agent"},
        "number": {"type": "integer", "minimum": 1, "maximum": 2**62, "description": "Of the body; with `agent` its identity"},
        "source": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": 32},
        "readings": {"type": "array", "maxItems": MAX_READINGS, "items": _READING},
        "flows": {"type": "array", "items": _FLOWS},
        "counts": {
            "type": "array",
            "description": "What happened on the way: exporter or device, what, how often",
            "items": {"type": "array", "minItems": 3, "maxItems": 3},
        },
    },
}
_AGENT = "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10"
_EXAMPLE = {
    "version": 1, "agent": _AGENT, "number": 7, "source": "snmp",
    "readings": [{"kind": "interface", "device": "tor-1", "name": "ge-0/0/1", "at_us": 1765728000000000, "bytes_in": 123,
                  "bytes_out": 456}],
    "flows": [], "counts": [["tor-1", "polls", 1]],
}
_RECEIPT = {
    "type": "object",
    "required": ["id", "accepted", "duplicates", "known", "counts"],
    "properties": {
        "id": {"type": "string", "description": "`agent`/`number` of the body"},
        "accepted": {"type": "integer", "minimum": 0},
        "duplicates": {"type": "integer", "minimum": 0},
        "known": {"type": "boolean", "description": "All of it was kept before, and nothing now"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}
_INTEREST = {
    "type": "object",
    "required": ["version", "prefixes", "macs", "vlans", "networks"],
    "properties": {
        "version": {"type": "integer", "minimum": 1},
        "prefixes": {"type": "array", "items": _PREFIX},
        "macs": {"type": "array", "items": _MAC},
        "vlans": {"type": "array", "items": _VLAN},
        "networks": {"type": "array", "items": _PREFIX},
    },
}

COLLECTED_ROUTES: tuple[Route, ...] = (
    Route(
        "POST", "/api/v1/collected", "post-collected", "Send what a collector brought in", post_collected, Scope.INGEST,
        body=Documented("Readings of counters and sums of flows", {JSON: _BODY}, _EXAMPLE),
        body_limit=MAX_BODY_BYTES,
        answers={
            200: Documented("All of it is on disk", {JSON: _RECEIPT}, {
                "id": f"{_AGENT}/7", "accepted": 1, "duplicates": 0, "known": False, "counts": {"readings": 1},
            }),
            409: Documented("This body came before, with another content", PROBLEM.content),
        },
        sees=("server", "vpn", "peer"),
        description=(
            "What `weighbridge collect` sends, gzip. It is kept as a whole or not at all, and once, however often it comes."
            " A key of an organization reaches that organization's own things; what is another's counts as unattributed."
        ),
    ),
    Route(
        "GET", "/api/v1/interest", "get-interest", "Which addresses a collector of flows should keep apart", get_interest,
        Scope.INGEST,
        answers={200: Documented("What the key reaches now or later", {JSON: _INTEREST}, {
            "version": 1, "prefixes": ["192.0.2.10/32"], "macs": ["02:00:00:00:00:01"], "vlans": [100],
            "networks": ["198.51.100.0/24"],
        })},
        description="Prefixes, MACs and VLANs that things are known by; `networks` are those of exporters, for an admin key.",
    ),
)
"""Bringing in, and asking what for."""
