"""Asking in our own words (CONTRACT part 4): usage, top, percentile, quota, the billing period, and reconciliation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.dialects.native import asking_docs as docs
from weighbridge.dialects.native.asking_query import (
    FILTERS,
    Range,
    must_know,
    now_s,
    read_bounded,
    read_choice,
    read_group_by,
    read_range,
    read_selection,
    span_of,
    watermark,
)
from weighbridge.dialects.native.asking_words import (
    csv_of,
    direction_of,
    moved_of,
    name_of,
    reconciled_of,
    row_of,
    standing_of,
    wants_csv,
)
from weighbridge.dialects.native.catalog import paged
from weighbridge.domain.errors import InvalidInputError, NotVisibleError
from weighbridge.domain.timegrid import WINDOWS, windows, zone
from weighbridge.domain.units import SLOT_S
from weighbridge.http.route import Answer, Route
from weighbridge.model import Scope
from weighbridge.reports.percentile import coverage, percentile, slot_range
from weighbridge.reports.period import current_period, period
from weighbridge.reports.quota import projects_in_sight, quota
from weighbridge.reports.reconciliation import reconcile
from weighbridge.reports.selection import GROUP_KEYS, Reach, resolve, select
from weighbridge.reports.top import METRICS, top
from weighbridge.reports.usage import usage

if TYPE_CHECKING:
    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView, Organization
    from weighbridge.reports.selection import Selected

DEFAULT_LIMIT = 10
MAX_LIMIT = 1000
"""Most items of a top list: more is a question for `usage`."""
SLOTS_S = {"30m": 1800, "5m": 300}
"""What a percentile can be taken over; the first is the default."""
RECONCILED_BY = ("organization", "project", "region", "server", "vpn")
"""What narrows a reconciliation: the filters of what has counters and flows."""
ORGANIZATION_HEADER = "weighbridge-organization"


def ask_usage(call: Call) -> Answer:
    """GET /api/v1/usage."""
    must_know(call, ("from", "to", "window", "time_zone", "group_by", *FILTERS))
    asked = read_range(call)
    window = read_choice(call, "window", WINDOWS, "1d")
    group_by = read_group_by(call)
    view = call.services.catalog.view()
    selected = select(view, read_selection(call, view), group_by, span_of(asked.window, now_s(call)))
    meta = _meta(call, asked) | {"window": window}  # the watermark is read first: what it promises is in the sums
    found = usage(call.services.store, selected, windows(*asked.window, window, asked.zone))
    if wants_csv(call.headers.get("accept", "")):
        body = csv_of(found, group_by, asked.show)
        return Answer(200, body, "text/csv; charset=utf-8", headers=(("Vary", "Accept"),))
    shown = {window.start_s: (asked.show(window.start_s), asked.show(window.end_s)) for window in found.windows}
    data = [row_of(shown[window.start_s], group_by, key, amounts) for window, key, amounts in found.rows()]
    meta["coverage"] = _coverage(call, asked, selected)
    meta["estimated"] = found.is_estimated
    return _json({"meta": meta, "data": data}, vary=True)


def ask_top(call: Call) -> Answer:
    """GET /api/v1/top."""
    must_know(call, ("from", "to", "by", "metric", "limit", "time_zone", *FILTERS))
    asked = read_range(call)
    by = read_choice(call, "by", GROUP_KEYS)
    metric = read_choice(call, "metric", METRICS, METRICS[0])
    limit = read_bounded(call, "limit", DEFAULT_LIMIT, (1, MAX_LIMIT))
    group_by = ("vpn", "peer") if by == "peer" else (by,)  # a peer's id is its own only within its instance
    view = call.services.catalog.view()
    selected = select(view, read_selection(call, view), group_by, span_of(asked.window, now_s(call)))
    meta = _meta(call, asked) | {"by": by, "metric": metric, "limit": limit}
    found = top(call.services.store, selected, asked.window, metric, limit)
    meta["coverage"] = _coverage(call, asked, selected)
    data = [
        {**dict(zip(group_by, key, strict=True)), "name": name_of(view, by, key[-1]), **moved_of(amounts)}
        for key, amounts in found.items
    ]
    return _json({"meta": meta, "data": data, "other": moved_of(found.other)})


def ask_percentile(call: Call) -> Answer:
    """GET /api/v1/percentile."""
    must_know(call, ("from", "to", "slot", "p", "time_zone", *FILTERS))
    asked = read_range(call, step_s=1)  # law 4: slots that start before `to` count, however little of them it holds
    slot = read_choice(call, "slot", tuple(SLOTS_S), next(iter(SLOTS_S)))
    p = read_bounded(call, "p", 95, (1, 99))
    view = call.services.catalog.view()
    at_s = now_s(call)
    selected = select(view, read_selection(call, view), (), span_of(asked.window, at_s))
    slots = slot_range(asked.window.start_s, asked.window.end_s, at_s, SLOTS_S[slot])
    meta = _meta(call, asked) | {"slot": slot, "p": p}
    found = percentile(call.services.store, selected, slots, p)
    meta |= {name: value for name, value in call.query if name in FILTERS}
    return _json({
        "meta": meta,
        "in": direction_of(found.bytes_in, asked.show),
        "out": direction_of(found.bytes_out, asked.show),
    })


def ask_quota(call: Call) -> Answer:
    """GET /api/v1/quota.

    NotVisibleError: what is asked for is unknown, foreign or deleted.
    """
    filters = ("organization", "project", "region")
    must_know(call, filters)
    view = call.services.catalog.view()
    found = read_selection(call, view, filters)
    named = call.one("project")
    if named is not None and not projects_in_sight(view, found):
        raise NotVisibleError("project", named)  # it was deleted: it has no quota any more
    meta = {"watermark": watermark(call)}
    standings = quota(call.services.store, view, found, now_s(call))
    return _json({"meta": meta, "data": [standing_of(standing, view) for standing in standings]})


def ask_period(call: Call) -> Answer:
    """GET /api/v1/period."""
    must_know(call, ("organization", "project"))
    view = call.services.catalog.view()
    found = read_selection(call, view, ("organization", "project"))
    named = call.headers.get(ORGANIZATION_HEADER)
    if named is not None and call.one("organization") is None:
        found = resolve(view, Reach(call.who.organization, call.who.project), replace(found, organization=named))
    organization = _one_organization(view, found.organization, found.project)
    meta = {"watermark": watermark(call)}
    report = period(call.services.store, view, found, organization, now_s(call))
    asked = Range(current_period(organization, now_s(call)), zone(organization.time_zone))
    data = {
        "organization": organization.id,
        "start": asked.show(report.window.start_s),
        "end": asked.show(report.window.end_s),
        "time_zone": organization.time_zone,
        "billing_day": organization.billing_day,
    }
    return _json({"meta": meta, "data": data | moved_of(report.amounts)})


def ask_reconciliation(call: Call) -> Answer:
    """GET /api/v1/reconciliation."""
    must_know(call, ("from", "to", "time_zone", "limit", "next_token", *RECONCILED_BY))
    asked = read_range(call)
    view = call.services.catalog.view()
    found = read_selection(call, view, RECONCILED_BY)
    meta = _meta(call, asked)
    items = reconcile(call.services.store, view, found, asked.window, now_s(call))
    return _json({"meta": meta, **paged(call, items, reconciled_of)})


def _one_organization(view: CatalogView, asked: str | None, project: str | None) -> Organization:
    """The organization that is meant: the named one, the key's, the project's, or the only one."""
    if asked is None and project is not None:
        asked = view.projects[project].organization
    if asked is not None:
        return view.organizations[asked]
    living = [organization for organization in list(view.organizations.values()) if organization.deleted_at_s is None]
    if len(living) != 1:
        detail = f"there are {len(living)} organizations; say which one is meant with `organization`"
        raise InvalidInputError(detail, where="organization")
    return living[0]


def _meta(call: Call, asked: Range) -> dict[str, Any]:
    """What every answer over a range says of it. Made before the store is asked: the watermark must not run ahead."""
    return {
        "from": asked.show(asked.window.start_s),
        "to": asked.show(asked.window.end_s),
        "time_zone": asked.zone.key,
        "watermark": watermark(call),
    }


def _coverage(call: Call, asked: Range, selected: Selected) -> float | None:
    """The share of finished 5-minute slots in which the sources were alive."""
    if not selected.polled.series:  # nobody is polled, so nothing can be missing: no need to bound the slots
        return 1.0 if asked.window.start_s < min(asked.window.end_s, now_s(call) // SLOT_S * SLOT_S) else None
    slots = slot_range(asked.window.start_s, asked.window.end_s, now_s(call), SLOT_S)
    return coverage(call.services.store, selected, slots)


def _json(answer: dict[str, Any], *, vary: bool = False) -> Answer:
    return Answer(200, msgspec.json.encode(answer), headers=(("Vary", "Accept"),) if vary else ())


ASKING_ROUTES = (
    Route("GET", "/api/v1/usage", "usage", "What moved, by window and group", ask_usage, Scope.TRAFFIC_READ,
          params=docs.USAGE_PARAMS, answers={200: docs.USAGE}, sees=FILTERS, description=docs.USAGE_DESCRIPTION),
    Route("GET", "/api/v1/top", "top", "What moved most, and all the rest in one sum", ask_top, Scope.TRAFFIC_READ,
          params=docs.TOP_PARAMS, answers={200: docs.TOP}, sees=FILTERS, description=docs.TOP_DESCRIPTION),
    Route("GET", "/api/v1/percentile", "percentile", "A percentile of bandwidth, with its receipt", ask_percentile,
          Scope.TRAFFIC_READ, params=docs.PERCENTILE_PARAMS, answers={200: docs.PERCENTILE}, sees=FILTERS,
          description=docs.PERCENTILE_DESCRIPTION),
    Route("GET", "/api/v1/quota", "quota", "What is left of each quota in the current billing period", ask_quota,
          Scope.TRAFFIC_READ, params=docs.QUOTA_PARAMS, answers={200: docs.QUOTA},
          sees=("organization", "project", "region"), description=docs.QUOTA_DESCRIPTION),
    Route("GET", "/api/v1/period", "period", "The current billing period and what moved in it", ask_period,
          Scope.TRAFFIC_READ, params=docs.PERIOD_PARAMS, answers={200: docs.PERIOD}, sees=("organization", "project"),
          description=docs.PERIOD_DESCRIPTION),
    Route("GET", "/api/v1/reconciliation", "reconciliation", "What counters and what flows say of the same thing",
          ask_reconciliation, Scope.TRAFFIC_READ, params=docs.RECONCILIATION_PARAMS,
          answers={200: docs.RECONCILIATION}, sees=RECONCILED_BY, description=docs.RECONCILIATION_DESCRIPTION),
)
"""The routes of CONTRACT part 4, and what reconciles counters with flows; all need the scope `traffic:read`."""
