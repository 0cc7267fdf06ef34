"""A world in which some things have counters and flows, and what its reconciliation says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from support.asking import T, world_of_two
from support.worlds import VPN
from weighbridge.model import Attribution, Kind, Metering, Port

if TYPE_CHECKING:
    from support.worlds import World

PORTS = (Port("tor-1", "ge-0/0/1"),)


def world_of_both() -> World:
    """sv_1 has counters and flows, before it moved from p1 to p2 and after; sv_2 and the VPN have both, sv_3 has one."""
    world = world_of_two()
    known = {
        "sv_1": (Attribution(0, interfaces=PORTS), Attribution(T, interfaces=PORTS, metering=Metering.FLOWS)),
        "sv_2": (Attribution(0, addresses=("192.0.2.1/32",)),),
    }
    for server, attributions in known.items():
        world.view.servers[server] = msgspec.structs.replace(world.view.servers[server], attributions=attributions)
    world.server("sv_3", (0, "p3", "chile"))
    for name, via, at_s, amounts in (
        ("sv_1", "interfaces", T - 7200, (1_000, 9_000)), ("sv_1", "flows", T - 7200, (900, 8_000)),
        ("sv_1", "interfaces", T - 3600, (100, 0)), ("sv_1", "flows", T - 3600, (110, 0)),
        ("sv_2", "host", T - 3600, (4, None)), ("sv_2", "flows", T - 3600, (5, 6)), ("sv_3", "flows", T - 3600, (5, 6)),
    ):
        world.moves(world.series(Kind.SERVER, name, via=via), at_s, *amounts)
    world.moves(world.series(Kind.VPN, VPN, via="flows"), T - 3600, 10, 20)
    world.moves(world.series(Kind.PEER, f"{VPN}/alice", via="host"), T - 3600, 11, 20)
    return world


def of(server: str | None, vpn: str | None, billed: str, *sides: tuple[Any, ...]) -> dict[str, Any]:
    (via, *counters), flows, (less_in, less_out, percent) = sides
    return {
        "server": server, "vpn": vpn, "billed": billed,
        "counters": {"via": via, "bytes_in": counters[0], "bytes_out": counters[1]},
        "flows": {"bytes_in": flows[0], "bytes_out": flows[1]},
        "difference": {"bytes_in": less_in, "bytes_out": less_out, "percent": percent},
    }


SV_1 = of("sv_1", None, "flows", ("interfaces", 1_100, 9_000), (1_010, 8_000), (-90, -1_000, -10.79))
SV_2 = of("sv_2", None, "flows", ("host", 4, None), (5, 6), (1, None, 25.0))
HQ = of(None, VPN, "host", ("host", 11, 20), (10, 20), (-1, 0, -3.23))
