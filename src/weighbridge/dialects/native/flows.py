"""What flows are nobody's, and working attribution out anew, over HTTP. For operators: both take the scope `admin`."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.dialects.native import flows_docs as docs
from weighbridge.dialects.native.asking_query import must_know, now_s, read_bounded, read_range
from weighbridge.dialects.native.catalog import answer_json, read_json
from weighbridge.domain.errors import InvalidInputError, NotVisibleError, OutOfRangeError
from weighbridge.domain.timegrid import parse_instant, rfc3339, zone
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.http.route import Route
from weighbridge.metering.attribution import organization_at
from weighbridge.metering.flows.corrections import EARLIEST_S
from weighbridge.metering.flows.unattributed import strangers
from weighbridge.model import Kind, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.http.route import Answer, Call
    from weighbridge.metering.flows.corrections import Change, Reattribution
    from weighbridge.metering.flows.unattributed import Stranger
    from weighbridge.model import CatalogView
    from weighbridge.ports import FlowStore

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
MAX_DAYS = 3_660
"""Most days that one reattribution is asked about; it looks at what is kept of them."""
_FIELDS = ("days", "from", "to", "dry_run")


def ask_unattributed(call: Call) -> Answer:
    """GET /api/v1/unattributed."""
    must_know(call, ("from", "to", "time_zone", "exporter", "limit", "next_token"))
    asked = read_range(call)
    limit = read_bounded(call, "limit", DEFAULT_LIMIT, (1, MAX_LIMIT))
    store, view = _store(call), call.services.catalog.view()
    exporter = _exporter(call, view)
    listed, totals = strangers(store, view, *asked.window, exporter)
    page, token = _page(call, listed, limit)
    return answer_json({
        "meta": {
            "from": asked.show(asked.window.start_s), "to": asked.show(asked.window.end_s), "time_zone": asked.zone.key,
            "kept_since": rfc3339(max(store.kept_since_s(), EARLIEST_S)),
        },
        "data": [asdict(stranger) for stranger in page],
        "exporters": [
            {"exporter": name, "bytes": bytes_, "packets": packets, "flows": flows}
            for name, (bytes_, packets, flows) in totals.items()
        ],
        "has_more": token is not None,
        "next_token": token,
    })


def _exporter(call: Call, view: CatalogView) -> str | None:
    """The exporter that is asked about: an id or an address. NotVisibleError: it is neither."""
    name = call.one("exporter")
    if name is None or name in view.exporters:
        return name
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        raise NotVisibleError("exporter", name) from None


def _page(call: Call, listed: Sequence[Stranger], limit: int) -> tuple[Sequence[Stranger], str | None]:
    """`limit` of those behind `next_token`, and the token of those behind them. A token names what stood last."""
    last = _last(call)
    rest = [each for each in listed if _place(each) > last] if last is not None else listed
    page = rest[:limit]
    if len(rest) <= limit:
        return page, None
    return page, base64.urlsafe_b64encode(msgspec.json.encode([_question(call), *_place(page[-1])])).decode().rstrip("=")


def _place(stranger: Stranger) -> tuple[int, str, str]:
    return -stranger.bytes, stranger.exporter, stranger.address


def _last(call: Call) -> tuple[int, str, str] | None:
    token = call.one("next_token")
    if token is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        question, less_bytes, exporter, address = msgspec.json.decode(raw, type=tuple[str, int, str, str])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        question = ""
    if question != _question(call):
        raise InvalidInputError("is no token of this list with these parameters; begin without it", where="next_token")
    return less_bytes, exporter, address


def _question(call: Call) -> str:
    asked = sorted(pair for pair in call.query if pair[0] not in ("limit", "next_token"))
    return sha256(msgspec.json.encode([call.path, asked])).hexdigest()[:16]


def reattribute(call: Call) -> Answer:
    """POST /api/v1/reattribution."""
    must_know(call, ())
    from_s, to_s, dry_run = _wanted(call)
    reattribution = _reattribution(call)
    outcome = reattribution.run(from_s, to_s, dry_run=dry_run)
    view = call.services.catalog.view()
    since_s, settled_s = reattribution.bounds_s()
    changes = sorted(outcome.changes.items(), key=lambda item: (-_moved(item[1]), item[0]))
    return answer_json({
        "meta": {
            "from": rfc3339(outcome.from_s), "to": rfc3339(outcome.to_s), "dry_run": dry_run,
            "kept_since": rfc3339(since_s), "settled_until": rfc3339(settled_s), "corrections": outcome.corrections,
            "unattributed_bytes_before": outcome.unattributed_before,
            "unattributed_bytes_after": outcome.unattributed_after,
        },
        "data": [_show(view, kind, name, change, outcome.from_s) for (kind, name), change in changes],
    })


def _moved(change: Change) -> int:
    return change.gained_in + change.gained_out + change.lost_in + change.lost_out


def _show(view: CatalogView, kind: Kind, name: str, change: Change, at_s: int) -> dict[str, Any]:
    vpn, _, peer = name.partition("/")
    subject = f"vpn/{vpn}/peer/{peer}" if kind is Kind.PEER else f"{kind}/{name}"
    return {
        "subject": subject,
        "organization": organization_at(view, kind, name, at_s),
        "gained_bytes_in": change.gained_in, "lost_bytes_in": change.lost_in,
        "gained_bytes_out": change.gained_out, "lost_bytes_out": change.lost_out,
    }


def _wanted(call: Call) -> tuple[int, int, bool]:
    """The range that is asked for, in seconds, and whether only to look."""
    body = read_json(call)
    if not isinstance(body, dict):
        raise InvalidInputError('the body must be an object, such as {"days": 7, "dry_run": true}')
    for name in body:
        if name not in _FIELDS:
            raise InvalidInputError(f"no field {str(name)[:60]!r} here; there are {', '.join(_FIELDS)}", where=str(name)[:60])
    dry_run = body.get("dry_run", True)
    if not isinstance(dry_run, bool):
        raise InvalidInputError("`dry_run` must be true or false", where="dry_run")
    if "days" in body:
        if "from" in body or "to" in body:
            raise InvalidInputError("give `days`, or `from` and `to`, not both", where="days")
        return *_last_days(call, body["days"]), dry_run
    start_s, end_s = _instant(body, "from"), _instant(body, "to")
    if start_s > end_s:
        raise OutOfRangeError("`from` lies after `to`; the range is [from, to)", where="from")
    return start_s, end_s, dry_run


def _last_days(call: Call, days: object) -> tuple[int, int]:
    if isinstance(days, bool) or not isinstance(days, int):
        raise InvalidInputError("`days` must be a whole number of days, such as 7", where="days")
    if not 1 <= days <= MAX_DAYS:
        raise OutOfRangeError(f"`days` goes from 1 to {MAX_DAYS}", where="days")
    end_s = now_s(call) // SLOT_S * SLOT_S
    return max(end_s - days * DAY_S, 0), end_s


def _instant(body: dict[str, Any], name: str) -> int:
    text = body.get(name)
    if not isinstance(text, str):
        raise InvalidInputError(f"`{name}` is missing; write an instant such as 2025-12-14T16:00:00Z, or give `days`",
                                where=name)
    try:
        return parse_instant(text, zone("UTC")) // 1_000_000
    except InvalidInputError as error:
        raise type(error)(f"`{name}`: {error.detail}", where=name) from None


def _store(call: Call) -> FlowStore:
    if call.services.flows is None:
        raise RuntimeError("BUG: a server without a store of flows was asked for it")
    return call.services.flows


def _reattribution(call: Call) -> Reattribution:
    if call.services.reattribution is None:
        raise RuntimeError("BUG: a server without a store of flows was asked to work them out anew")
    return call.services.reattribution


FLOW_ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/v1/unattributed", "unattributed", "Flows that are nobody's, by exporter and address",
          ask_unattributed, Scope.ADMIN, docs.UNATTRIBUTED_PARAMS, answers={200: docs.UNATTRIBUTED},
          description=docs.UNATTRIBUTED_DESCRIPTION),
    Route("POST", "/api/v1/reattribution", "reattribute", "Work out anew whose kept flows are", reattribute, Scope.ADMIN,
          body=docs.REATTRIBUTION_BODY, answers={200: docs.REATTRIBUTION}, description=docs.REATTRIBUTION_DESCRIPTION),
)
"""What operators ask about flows, and the one correction there is."""
