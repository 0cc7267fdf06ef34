"""Latitude.sh: `GET /traffic` and `GET /traffic/quota` (CONTRACT 5.1 and 5.2; vendor API of 2023-06-01)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.dialects.latitude.errors import CONTENT_TYPE, refuse
from weighbridge.dialects.latitude.wire import SCHEMAS, Day, Direction, RegionTraffic, encode_quota, encode_traffic
from weighbridge.domain.errors import InvalidInputError, NotVisibleError, OutOfRangeError
from weighbridge.domain.timegrid import ceil, floor, parse_instant, windows, zone
from weighbridge.domain.units import BILLING_SLOT_S, DAY_S, SLOT_S
from weighbridge.http.route import Answer, Dialect, Documented, Param, RateLimit, Route
from weighbridge.model import Kind, Scope
from weighbridge.ports import Members
from weighbridge.reports.percentile import SlotRange, slot_bytes, slot_range
from weighbridge.reports.quota import projects_in_sight
from weighbridge.reports.selection import Reach, Selected, Selection, Span, resolve, select
from weighbridge.reports.usage import MAX_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.domain.timegrid import Window
    from weighbridge.http.route import Call
    from weighbridge.ports import UsageStore

MAX_RANGE_US = 366 * DAY_S * 1_000_000
"""Longest range of one question (the vendor's bound)."""
_LIMIT = RateLimit(calls=60, window_s=60)
_PROJECT, _SERVER = "filter[project]", "filter[server]"
_GTE, _LTE = "filter[date][gte]", "filter[date][lte]"
_EXAMPLE = "2025-12-14T15:57:10Z"


@dataclass(frozen=True, slots=True)
class Asked:
    """The range as it was asked for, in microseconds since the epoch, and the 5-minute buckets that it means."""

    gte_us: int
    lte_us: int

    @property
    def start_s(self) -> int:
        """Start of the first bucket."""
        return floor(self.gte_us // 1_000_000, SLOT_S)

    @property
    def end_s(self) -> int:
        """End of the last bucket: those that start before `lte` count whole."""
        return ceil(-(-self.lte_us // 1_000_000), SLOT_S)

    def day(self, window: Window) -> Day:
        """A day of the range, clipped to it, up to `lte` itself."""
        until_us = min(window.end_s * 1_000_000, self.lte_us)
        return Day(window.start_s, until_us - window.start_s * 1_000_000)


def answer_traffic(call: Call) -> Answer:
    """GET /traffic."""
    filters = _filters(call, (_GTE, _LTE, _SERVER, _PROJECT))
    asked = _range(filters)
    view = call.services.catalog.view()
    now_s = call.services.clock.now_us() // 1_000_000
    wanted = Selection(project=filters.get(_PROJECT), server=filters.get(_SERVER), kinds=frozenset({Kind.SERVER}))
    found = resolve(view, Reach(call.who.organization, call.who.project), wanted)
    selected = select(view, found, ("region",), Span(asked.start_s, asked.end_s, now_s))
    body = _traffic(call.services.store, selected, asked, now_s)
    return Answer(200, body, CONTENT_TYPE)


def _traffic(store: UsageStore, selected: Selected, asked: Asked, now_s: int) -> bytes:
    """The document, from one question to the store: 30-minute slots by region, which days and percentiles share.

    Where the range cuts its first or last slot, a small question says what of these slots lies outside its days.
    """
    over = slot_range(asked.start_s, asked.end_s, now_s).count
    whole = SlotRange(floor(asked.start_s, BILLING_SLOT_S), ceil(asked.end_s, BILLING_SLOT_S), BILLING_SLOT_S)
    by_slot = slot_bytes(store, selected.members, whole)
    outside = _outside(store, selected, ((whole.start_s, asked.start_s), (asked.end_s, whole.end_s)))
    days = windows(asked.start_s, asked.end_s, "1d", zone("UTC"))
    _check_size(len(days), len(selected.keys))
    nothing = ([0] * whole.count, [0] * whole.count)
    regions = []
    for group, (slug, *_) in enumerate(selected.keys):
        columns = by_slot.get(group, nothing)
        if group in selected.absent and not any(map(any, columns)):
            continue
        moved = [
            Direction(_days(slots, whole, days, [outside.get((edge, group), (0, 0))[at] for edge in (0, 1)]), slots[:over])
            for at, slots in enumerate(columns)
        ]
        regions.append(RegionTraffic(str(slug), *moved))
    # Each series is in one region at a time, so the whole is the sum of the regions (law 2: sums first).
    all_slots = (
        _sums([region.inbound.slots for region in regions], over),
        _sums([region.outbound.slots for region in regions], over),
    )
    asked_s = (asked.gte_us // 1_000_000, asked.lte_us // 1_000_000)
    return encode_traffic(asked_s, [asked.day(window) for window in days], regions, all_slots)


def _outside(
    store: UsageStore, selected: Selected, edges: tuple[tuple[int, int], tuple[int, int]]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Bytes in and out by (edge, group) of two stretches shorter than a slot, in one question; empty ones are left out."""
    members, count = selected.members, len(selected.keys)
    entries = [
        (series, group + edge * count, max(from_s, start_s), min(until_s, end_s))
        for edge, (start_s, end_s) in enumerate(edges) if start_s < end_s
        for series, group, from_s, until_s in zip(
            members.series, members.groups, members.from_s, members.until_s, strict=True
        )
    ]
    if not entries:
        return {}
    clipped = Members(*zip(*entries, strict=True))
    sums = store.sums(clipped, edges[0][0], edges[1][1], 0, bytes_only=True)
    rows = zip(sums.group, sums.bytes_in, sums.bytes_out, strict=True)
    return {divmod(group, count): (bytes_in or 0, bytes_out or 0) for group, bytes_in, bytes_out in rows}


def _days(slots: Sequence[int], whole: SlotRange, days: Sequence[Window], outside: Sequence[int]) -> list[int]:
    """Bytes of each day from those of its slots, less what of the first and the last slot lies outside the range."""
    bounds = [(floor(day.start_s, BILLING_SLOT_S), ceil(day.end_s, BILLING_SLOT_S)) for day in days]
    first_s = whole.start_s
    sums = [
        sum(slots[(start_s - first_s) // BILLING_SLOT_S : (end_s - first_s) // BILLING_SLOT_S]) for start_s, end_s in bounds
    ]
    sums[0] -= outside[0]
    sums[-1] -= outside[1]
    return sums


def _check_size(days: int, regions: int) -> None:
    if days * regions > MAX_ROWS:
        raise OutOfRangeError(f"{regions} regions over {days} days are too much at once; ask for a shorter range.", where=_LTE)


def _sums(columns: Sequence[Sequence[int]], count: int) -> Sequence[int]:
    if len(columns) == 1:
        return columns[0]
    return [sum(row) for row in zip(*columns, strict=True)] if columns else [0] * count


def answer_quota(call: Call) -> Answer:
    """GET /traffic/quota.

    NotVisibleError: the project is unknown, foreign or deleted.
    """
    project = _filters(call, (_PROJECT,)).get(_PROJECT)
    view = call.services.catalog.view()
    found = resolve(view, Reach(call.who.organization, call.who.project), Selection(project=project))
    projects = projects_in_sight(view, found)
    if project is not None and not projects:
        raise NotVisibleError("project", project)  # it was deleted: it has no quota any more
    return Answer(200, encode_quota(view, projects), CONTENT_TYPE)


def _filters(call: Call, known: tuple[str, ...]) -> dict[str, str]:
    """The filters by name. A filter that is not known, or comes twice, is an InvalidInputError: it would be ignored.

    Parameters that are no filters are not looked at, as with the vendor.
    """
    found: dict[str, str] = {}
    for name, value in call.query:
        if not name.startswith("filter"):
            continue
        if name not in known:
            raise InvalidInputError(f"There is no {name[:60]} here; there are {', '.join(known)}.", where=name[:60])
        if name in found:
            raise InvalidInputError(f"{name} was given twice.", where=name)
        found[name] = value
    return found


def _range(filters: dict[str, str]) -> Asked:
    asked = Asked(_instant(filters, _GTE), _instant(filters, _LTE))
    if asked.gte_us >= asked.lte_us:
        raise OutOfRangeError(f"{_GTE} must lie before {_LTE}.", where=_GTE)
    if asked.lte_us - asked.gte_us > MAX_RANGE_US:
        raise OutOfRangeError("The range is longer than 366 days.", where=_LTE)
    return asked


def _instant(filters: dict[str, str], name: str) -> int:
    """Microseconds since the epoch; without a zone it is UTC."""
    text = filters.get(name)
    if not text:
        raise InvalidInputError(f"{name} is required, in ISO 8601, for example {_EXAMPLE}.", where=name)
    try:
        return parse_instant(text, zone("UTC"))
    except InvalidInputError as error:
        raise type(error)(f"{name}: {error.detail}.", where=name) from None


_TRAFFIC_EXAMPLE = {
    "data": {
        "id": "",
        "type": "traffic",
        "attributes": {
            "from_date": 1765727830,
            "to_date": 1765814230,
            "total_inbound_gb": 12,
            "total_outbound_gb": 108,
            "total_inbound_95th_percentile_mbps": 1.83,
            "total_outbound_95th_percentile_mbps": 18.2,
            "regions": [{
                "region_slug": "brazil",
                "total_inbound_gb": 12,
                "total_outbound_gb": 108,
                "total_inbound_95th_percentile_mbps": 1.83,
                "total_outbound_95th_percentile_mbps": 18.2,
                "data": [{
                    "date": "2025-12-14T00:00:00.000+00:00",
                    "inbound_gb": 12,
                    "outbound_gb": 108,
                    "avg_inbound_speed_mbps": 1.11,
                    "avg_outbound_speed_mbps": 10.0,
                    "inbound_speed_mbps": 1.11,
                    "outbound_speed_mbps": 10.0,
                }],
            }],
        },
    },
    "meta": {},
}
_QUOTA_EXAMPLE = {
    "data": {
        "id": "traffic_quota",
        "type": "traffic_quota",
        "attributes": {
            "quota_per_project": [{
                "project_id": "proj_lkg1DekRdvZE5",
                "project_slug": "incredible-bronze-knife",
                "price": 500,
                "billing_method": "Normal",
                "quota_per_region": [{
                    "region_id": "reg_9QDB5qag",
                    "region_slug": "brazil",
                    "price": 500,
                    "quota_in_tb": {"granted": 20, "additional": 0, "total": 20},
                    "quota_in_mbps": {"granted": 0, "additional": 0, "total": 0},
                }],
            }],
        },
    },
    "meta": {},
}
_PROJECT_PARAM = Param(_PROJECT, "Only this project: id or slug", example="proj_lkg1DekRdvZE5")

DIALECT = Dialect(
    name="latitude",
    prefixes=("/traffic",),
    refuse=refuse,
    error_content=Documented("Errors, in the vendor's shape (JSON:API)", {CONTENT_TYPE: SCHEMAS["errors"]}),
    routes=(
        Route(
            "GET", "/traffic", "latitude.traffic", "Retrieve traffic", answer_traffic, Scope.TRAFFIC_READ,
            params=(
                Param(_GTE, "Start of the range, ISO 8601 (UTC without an offset), rounded down to 5 minutes",
                      required=True, example=_EXAMPLE),
                Param(_LTE, "End, at most 366 days later; 5-minute buckets that start before it count whole",
                      required=True, example="2025-12-15T15:57:10Z"),
                Param(_SERVER, "Only this server: id", example="sv_A05EdQ50dvKYQ"),
                _PROJECT_PARAM,
            ),
            answers={200: Documented("Traffic by region and day", {CONTENT_TYPE: SCHEMAS["traffic"]},
                                     _TRAFFIC_EXAMPLE)},
            rate=_LIMIT,
            sees=("server", "project"),
        ),
        Route(
            "GET", "/traffic/quota", "latitude.quota", "Retrieve traffic quota", answer_quota, Scope.TRAFFIC_READ,
            params=(_PROJECT_PARAM,),
            answers={200: Documented("Quotas by project and region", {CONTENT_TYPE: SCHEMAS["traffic_quota"]},
                                     _QUOTA_EXAMPLE)},
            rate=_LIMIT,
            sees=("project",),
        ),
    ),
)
