"""Storyblok's API traffic statistics (`GET /v1/orgs/me/statistics/all_traffic`), and the dialect as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weighbridge.dialects.organization import ORGANIZATION_PARAM
from weighbridge.dialects.storyblok.assets import assets_traffic
from weighbridge.dialects.storyblok.assets_wire import ASSETS_EXAMPLE, ASSETS_SCHEMA
from weighbridge.dialects.storyblok.errors import ERROR, INVALID, refuse
from weighbridge.dialects.storyblok.groups import date_s, groups_of, parse_dates, parse_group_by, today
from weighbridge.dialects.storyblok.me import organization_of_me
from weighbridge.dialects.storyblok.tally import Spaces, tally, total
from weighbridge.dialects.storyblok.wire import (
    TRAFFIC_EXAMPLE,
    TRAFFIC_SCHEMA,
    CumulatedTraffic,
    GroupRow,
    Statistics,
    encode,
)
from weighbridge.domain.units import DAY_S
from weighbridge.http.route import Answer, Dialect, Documented, Param, RateLimit, Route
from weighbridge.model import Kind, Scope
from weighbridge.reports.selection import Reach, Selection, resolve, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.dialects.storyblok.groups import Dates, Group
    from weighbridge.dialects.storyblok.tally import Moved, Tally
    from weighbridge.http.route import Call, RateState
    from weighbridge.model import CatalogView, Organization

LAST_DAYS = 7
_MONTHS = 12


def all_traffic(call: Call) -> Answer:
    """The traffic of the organization's spaces: its sums by group, its top spaces, and the raw rows."""
    day = today(call.services.clock.now_us())
    dates = parse_dates(call.one("start_date"), call.one("end_date"), day)
    groups = groups_of(dates, parse_group_by(call.one("group_by")))
    view = call.services.catalog.view()
    organization = organization_of_me(call, view)
    store = call.services.store
    spaces = _spaces(view, organization)
    unit = organization.traffic_limit_unit
    found = tally(store, spaces, groups, unit)
    tomorrow_s = date_s(day) + DAY_S
    this_year = (date_s(day.replace(month=1, day=1)), tomorrow_s)
    used = _used(found, dates, this_year) or total(store, spaces, *this_year)
    lately = total(store, spaces, tomorrow_s - LAST_DAYS * DAY_S, tomorrow_s)
    limit = organization.monthly_traffic_limit
    statistics = Statistics(
        montly_traffic_limit=limit,
        yearly_traffic_limit=None if limit is None else limit * _MONTHS,
        traffic_used_this_year=used.amount(unit),
        cumulated_traffic=_cumulated(found, groups, lately),
        traffic_top_spaces={str(spaces.ids[space]): rows for space, rows in found.top.items()}
        | {"other_spaces": _rows(found.others, groups, only_moved=True)},
    )
    return Answer(200, encode(statistics, found.raw))


def _spaces(view: CatalogView, organization: Organization) -> Spaces:
    asked = resolve(view, Reach(organization.id), Selection(kinds=frozenset((Kind.SPACE,))))
    selected = select(view, replace(asked, organization=organization.id), ("space",))
    return Spaces(tuple(int(key[0] or 0) for key in selected.keys), selected.members)


def _used(found: Tally, dates: Dates, this_year: tuple[int, int]) -> Moved | None:
    """What moved this year, where the asked range is this year: then it need not be asked for again."""
    return found.total if (dates.start_s, dates.end_s) == this_year else None


def _cumulated(found: Tally, groups: Sequence[Group], lately: Moved) -> CumulatedTraffic:
    together = found.total
    return CumulatedTraffic(
        requests_used_last_days=lately.requests or 0,
        total_requests_per_time_period=together.requests or 0,
        total_traffic_per_time_period=together.bytes or 0,
        traffic=_rows(found.cumulated, groups, only_moved=False),
    )


def _rows(sums: Sequence[Moved], groups: Sequence[Group], *, only_moved: bool) -> list[GroupRow]:
    return [
        GroupRow(group.first_day, moved.requests or 0, moved.total_bytes)
        for group, moved in zip(groups, sums, strict=True)
        if moved.anything or not only_moved
    ]


def rate_headers(state: RateState) -> tuple[tuple[str, str], ...]:
    """How a key stands, as the vendor's JavaScript client reads it: `q` a second, `r` of them left."""
    return (
        ("X-RateLimit-Policy", f'"requests";q={state.limit};w={state.window_s}'),
        ("X-RateLimit", f'"requests";r={state.remaining}'),
    )


_DATE = {"type": "string", "format": "date"}
_DATES = (
    Param("start_date", "Start date for traffic statistics (UTC), included. Defaults to 1 January.", _DATE),
    Param("end_date", "End date for traffic statistics (UTC), included. Defaults to today.", _DATE),
)
_GROUP_BY = Param(
    "group_by", "Group statistics by `day`, `month`, or `year`. Defaults to `month`.",
    {"type": "string", "enum": ["day", "month", "year"], "default": "month"},
)
_RATE_HEADERS = {"X-RateLimit-Policy": "Requests a second for this key", "X-RateLimit": "How many of them are left"}


def _all_traffic(path: str, name: str) -> Route:
    """The route of all traffic, at one of its paths."""
    told = "API traffic usage statistics for the organization"
    return Route(
        method="GET",
        path=path,
        name=name,
        summary="Retrieve API Traffic Statistics",
        description="Returns API traffic usage statistics for the organization. Filter the response by date.",
        handler=all_traffic,
        scope=Scope.TRAFFIC_READ,
        params=(*_DATES, _GROUP_BY, ORGANIZATION_PARAM),
        answers={200: Documented(told, {"application/json": TRAFFIC_SCHEMA}, TRAFFIC_EXAMPLE, _RATE_HEADERS)},
        rate=RateLimit(calls=6, window_s=1),
        sees=("organization",),
    )


def _assets_traffic(path: str, name: str) -> Route:
    """The route of the traffic of assets, at one of its paths."""
    told = "Assets that moved something, most bytes first"
    return Route(
        method="GET",
        path=path,
        name=name,
        summary="Retrieve Assets Traffic Statistics",
        description=(
            "Returns assets traffic usage statistics for the organization. Filter the response by date. An asset is a path"
            " that usage of a space was sent with."
        ),
        handler=assets_traffic,
        scope=Scope.TRAFFIC_READ,
        params=(*_DATES, ORGANIZATION_PARAM),
        answers={200: Documented(told, {"application/json": ASSETS_SCHEMA}, ASSETS_EXAMPLE, _RATE_HEADERS)},
        rate=RateLimit(calls=6, window_s=1),
        sees=("organization",),
    )


DIALECT = Dialect(
    name="storyblok",
    prefixes=("/v1/orgs",),
    routes=(  # with the colon, too, as the vendor's pages head them
        _all_traffic("/v1/orgs/me/statistics/all_traffic", "storyblok_all_traffic"),
        _all_traffic("/v1/orgs/me/statistics/:all_traffic", "storyblok_colon_all_traffic"),
        _assets_traffic("/v1/orgs/me/statistics/assets_traffic", "storyblok_assets_traffic"),
        _assets_traffic("/v1/orgs/me/statistics/:assets_traffic", "storyblok_colon_assets_traffic"),
    ),
    refuse=refuse,
    error_content=ERROR,
    error_content_by_status={422: INVALID},
    rate_headers=rate_headers,
)
