"""Apitally's traffic of an app, by hour or by day (`GET /v1/apps/{app_id}/traffic`), and the dialect as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from weighbridge.dialects.apitally.described import (
    APP_ID,
    ENVIRONMENT_ID,
    ID,
    INSTANT,
    NEXT_TOKEN,
    RATE,
    RATE_HEADERS,
    limit,
    nullable,
    rate_headers,
)
from weighbridge.dialects.apitally.errors import ERROR, VALIDATION_ERROR, InvalidParametersError, refuse, value_fault
from weighbridge.dialects.apitally.lists_docs import LIST_ROUTES
from weighbridge.dialects.apitally.pages import FOREIGN_TOKEN
from weighbridge.dialects.apitally.parameters import Reader
from weighbridge.dialects.apitally.token import MAX_LENGTH, Rest, read_token, write_token
from weighbridge.dialects.apitally.wire import TRAFFIC_EXAMPLE, TRAFFIC_SCHEMA, TrafficPage, traffic_item
from weighbridge.dialects.exact_json import encode
from weighbridge.domain.timegrid import Window, floor, window_start, windows_whole
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.http.route import Answer, Dialect, Documented, Param, Route
from weighbridge.model import Kind, Scope
from weighbridge.ports import Members
from weighbridge.reports.selection import Reach, Selection, resolve, select
from weighbridge.reports.usage import NOTHING, sum_windows

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView

MAX_PAGE = 1000
DEFAULT_PAGE = 100
_INTERVALS = ("hour", "day")
_WINDOW = {"hour": "1h", "day": "1d"}
_LONGEST_S = {"hour": 3600, "day": 2 * DAY_S}  # no interval of any zone is longer: bounds what a page looks at
_DEFAULT_LENGTH_S = {"hour": DAY_S, "day": 30 * DAY_S}
_US = 1_000_000
_NOBODY = Members((), (), (), ())
_QUERY = ("app_env_id", "consumer_id", "start", "end", "interval", "timezone", "limit")


@dataclass(frozen=True, slots=True)
class _Asked:
    """The parameters of a call, read."""

    app: int
    environment: int | None
    consumer: int | None
    start_us: int | None
    end_us: int | None
    interval: str
    zone: ZoneInfo
    limit: int
    token: str | None


def traffic(call: Call) -> Answer:
    """One page of an app's intervals, every one of the range listed."""
    asked = _read(call)
    view = call.services.catalog.view()
    found = resolve(view, Reach(call.who.organization, call.who.project), Selection(app=asked.app))
    rest = _rest(call, asked)
    listed = _intervals(rest, asked)
    more = bool(listed) and listed[-1].end_s < rest.end_s
    sums = {}
    if listed:
        counted = [*listed[:-1], Window(listed[-1].start_s, min(listed[-1].end_s, rest.end_s))]
        sums = sum_windows(call.services.store, _members(view, found, asked), counted)
    page = TrafficPage(
        data=[traffic_item(window, sums.get((0, i), NOTHING), asked.zone) for i, window in enumerate(listed)],
        has_more=more,
        next_token=write_token(_fingerprint(call, asked), Rest(listed[-1].end_s, rest.end_s)) if more else None,
    )
    return Answer(200, encode(page))


def _read(call: Call) -> _Asked:
    """The parameters, or all that is wrong with them, in the order in which the vendor documents them."""
    reader = Reader(call)
    app = reader.path_integer("app_id", 1)
    environment = reader.integer("app_env_id", 1)
    consumer = reader.integer("consumer_id", 1)
    zone = Reader(call).zone("timezone")  # its fault is told in its turn, below
    start_us = reader.instant("start", zone)
    end_us = reader.instant("end", zone)
    interval = reader.choice("interval", _INTERVALS)
    reader.zone("timezone")
    limit = reader.integer("limit", 1, MAX_PAGE)
    token = reader.text("next_token", MAX_LENGTH)
    reader.check()
    return _Asked(app, environment, consumer, start_us, end_us, interval, zone, limit or DEFAULT_PAGE, token)


def _rest(call: Call, asked: _Asked) -> Rest:
    """What is to be listed from here on: of the token, or else the whole range."""
    if asked.token is not None:
        try:
            return read_token(_fingerprint(call, asked), asked.token)
        except ValueError:
            raise InvalidParametersError([value_fault("next_token", FOREIGN_TOKEN, asked.token)]) from None
    now_us = call.services.clock.now_us()
    end_us = now_us if asked.end_us is None else asked.end_us
    start_us = now_us - _DEFAULT_LENGTH_S[asked.interval] * _US if asked.start_us is None else asked.start_us
    if start_us >= end_us:
        where = "end" if asked.start_us is None else "start"
        raise InvalidParametersError([value_fault(where, "start must be before end", call.one(where))])
    end_s = floor(end_us // _US, SLOT_S)
    if asked.end_us is None:
        end_s += SLOT_S  # what was accepted a second ago is part of "now"
    return Rest(window_start(start_us // _US, _WINDOW[asked.interval], asked.zone), end_s)


def _intervals(rest: Rest, asked: _Asked) -> list[Window]:
    """The intervals of one page, whole. Not more is worked out than the page can hold, however long the range."""
    horizon_s = min(rest.end_s, rest.start_s + (asked.limit + 1) * _LONGEST_S[asked.interval])
    return windows_whole(rest.start_s, horizon_s, _WINDOW[asked.interval], asked.zone)[: asked.limit]


def _members(view: CatalogView, found: Selection, asked: _Asked) -> Members:
    """The series that count; none where the environment or the consumer is not one of this app's."""
    environment = None if asked.environment is None else view.environments.get(asked.environment)
    consumer = None if asked.consumer is None else view.consumers.get(asked.consumer)
    for wanted, item in ((asked.environment, environment), (asked.consumer, consumer)):
        if wanted is not None and (item is None or item.app != asked.app):
            return _NOBODY
    kinds = frozenset((Kind.APP,))
    narrowed = replace(found, environment=asked.environment, consumer=asked.consumer, kinds=kinds)
    return select(view, narrowed).members


def _fingerprint(call: Call, asked: _Asked) -> bytes:
    """What a token is bound to: every other parameter as it was sent, the app, and whose key asked."""
    sent = [call.one(name) for name in _QUERY]
    return msgspec.json.encode([asked.app, call.who.organization, call.who.project, *sent])


_START = (
    'Start date and time in ISO 8601 format. Defaults to 24 hours ago if `interval` is "hour", or 30 days ago if '
    '`interval` is "day". Will be rounded down to the beginning of the interval (hour or day).'
)
_ZONE = "Timezone to use for intervals and to interpret `start` and `end` if given without offset. Defaults to UTC."
_PARAMS = (
    APP_ID,
    ENVIRONMENT_ID,
    Param("consumer_id", "Filter to consumer ID, if provided.", nullable(ID)),
    Param("start", _START, nullable(INSTANT), example="2025-05-14T00:00:00Z"),
    Param("end", "End date and time in ISO 8601 format. Defaults to now.", nullable(INSTANT),
          example="2025-05-15T00:00:00Z"),
    Param("interval", "Whether to group by day or by hour.",
          nullable({"type": "string", "enum": list(_INTERVALS), "default": "hour"})),
    Param("timezone", _ZONE, nullable({"type": "string"}), example="America/New_York"),
    limit(DEFAULT_PAGE, MAX_PAGE),
    NEXT_TOKEN,
)

DIALECT = Dialect(
    name="apitally",
    prefixes=("/v1/apps", "/v1/team"),
    routes=(
        Route(
            method="GET",
            path="/v1/apps/{app_id}/traffic",
            name="apitally_traffic",
            summary="Get Traffic",
            description=(
                "Get API traffic data for an app. Grouped by hour or by day. With pagination. Traffic to endpoints "
                "that have been excluded is excluded here as well."
            ),
            handler=traffic,
            scope=Scope.TRAFFIC_READ,
            params=_PARAMS,
            answers={
                200: Documented(
                    "Successful Response", {"application/json": TRAFFIC_SCHEMA}, TRAFFIC_EXAMPLE, RATE_HEADERS,
                ),
            },
            rate=RATE,
            sees=("app", "environment", "consumer"),
        ),
        *LIST_ROUTES,
    ),
    refuse=refuse,
    accepts_auth=("raw", "bearer", "api-key"),
    error_content=ERROR,
    error_content_by_status={422: VALIDATION_ERROR},
    rate_headers=rate_headers,
)
