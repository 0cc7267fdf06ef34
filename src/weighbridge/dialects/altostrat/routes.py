"""Altostrat's bandwidth of a VPN instance: `GET /vpn/instances/{instanceId}/bandwidth`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weighbridge.dialects.altostrat.errors import ERROR, refuse
from weighbridge.dialects.altostrat.wire import BANDWIDTH_EXAMPLE, BANDWIDTH_SCHEMA, Bandwidth
from weighbridge.dialects.exact_json import encode
from weighbridge.domain.errors import NotVisibleError
from weighbridge.domain.periods import billing_period
from weighbridge.domain.timegrid import local_date, zone
from weighbridge.http.jwt import make_authenticator
from weighbridge.http.route import Answer, Dialect, Documented, Param, RateLimit, Route
from weighbridge.model import Kind, Scope
from weighbridge.ports import Members
from weighbridge.reports.selection import Reach, Selection, resolve, select
from weighbridge.reports.usage import total

if TYPE_CHECKING:
    from weighbridge.domain.timegrid import Window
    from weighbridge.http.jwt import JwtSettings
    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView, VpnInstance
    from weighbridge.ports import UsageStore

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def bandwidth(call: Call) -> Answer:
    """What the instance's primary server, or else the instance with its peers, moved in the current billing period."""
    view = call.services.catalog.view()
    vpn = _instance(call, view)
    organization = view.organizations[vpn.organization]
    local_zone = zone(organization.time_zone)
    now_s = call.services.clock.now_us() // 1_000_000
    period = billing_period(now_s, organization.billing_day, local_zone)
    members = _members(view, vpn)
    amounts = total(call.services.store, members, period.start_s, period.end_s)
    date = local_date(_last_s(call.services.store, members, period, now_s), local_zone)
    return Answer(200, encode(Bandwidth(amounts.bytes_in or 0, amounts.bytes_out or 0, date.isoformat())))


def _last_s(store: UsageStore, members: Members, period: Window, now_s: int) -> int:
    """The last instant measured in the period, else now."""
    last_s = store.last_slot_s(members, period.start_s, period.end_s) if members.series else None
    return now_s if last_s is None else last_s


def _instance(call: Call, view: CatalogView) -> VpnInstance:
    name = call.path_params["instanceId"].lower()
    if not _UUID.fullmatch(name):
        raise NotVisibleError("instance", name)
    found = resolve(view, Reach(call.who.organization, call.who.project), Selection(vpn=name))
    return view.vpns[found.vpn or name]


def _members(view: CatalogView, vpn: VpnInstance) -> Members:
    """The series that count, a server's only for the time in which it belonged to the instance's organization."""
    reach = Reach(vpn.organization)
    if vpn.primary_server is None:
        kinds = frozenset((Kind.VPN, Kind.PEER))
        return select(view, resolve(view, reach, Selection(vpn=vpn.id, kinds=kinds))).members
    asked = Selection(server=vpn.primary_server, kinds=frozenset((Kind.SERVER,)))
    try:
        return select(view, resolve(view, reach, asked)).members
    except NotVisibleError:  # it never was theirs
        return Members((), (), (), ())


_INSTANCE_ID = Param(
    "instanceId",
    "The unique identifier (UUID) for the VPN instance.",
    {"type": "string", "format": "uuid"},
    where="path",
    required=True,
    example="d290f1ee-6c54-4b01-90e6-d701748f0851",
)


def make_dialect(jwt: JwtSettings | None = None) -> Dialect:
    """The dialect; with `jwt`, tokens of that issuer are taken beside API keys."""
    return Dialect(
        name="altostrat",
        prefixes=("/vpn",),
        routes=(
            Route(
                method="GET",
                path="/vpn/instances/{instanceId}/bandwidth",
                name="altostrat_bandwidth",
                summary="Retrieve instance bandwidth",
                description=(
                    "Fetches the bandwidth usage statistics for the primary server associated with a VPN instance, or "
                    "where none is named, for the instance and its peers."
                ),
                handler=bandwidth,
                scope=Scope.VPN_VIEW,
                params=(_INSTANCE_ID,),
                answers={
                    200: Documented("Bandwidth usage data.", {"application/json": BANDWIDTH_SCHEMA}, BANDWIDTH_EXAMPLE),
                },
                rate=RateLimit(calls=60, window_s=60),
                sees=("vpn",),
            ),
        ),
        refuse=refuse,
        authenticate=None if jwt is None else make_authenticator(jwt, Scope.VPN_VIEW),
        error_content=ERROR,
    )


DIALECT = make_dialect()
