"""Stretches of time: who was known by what from when to when, through deletions and restorations."""

from __future__ import annotations

import msgspec
import pytest

from weighbridge.metering.attribution import Stretch, organization_at, show_attribution, stretches
from weighbridge.model import (
    END_S,
    Attribution,
    CatalogView,
    Kind,
    Metering,
    Peer,
    Placement,
    Port,
    Project,
    Server,
    VpnInstance,
)

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
A = Attribution(300, ("192.0.2.10/32",))
B = Attribution(900, ("192.0.2.11/32",))
NOTHING = Attribution(600)
THINGS = {
    Kind.SERVER: Server("sv_1", "web-1", "p", "r", (Placement(0, "p", "r"),)),
    Kind.VPN: VpnInstance(VPN, "o", "hq"),
    Kind.PEER: Peer(VPN, "alice"),
}
LABELS = {Kind.SERVER: "sv_1", Kind.VPN: VPN, Kind.PEER: f"{VPN}/alice"}


def view_of(kind: Kind, attributions: tuple[Attribution, ...], deleted_at_s: int | None) -> CatalogView:
    thing = msgspec.structs.replace(THINGS[kind], attributions=attributions, deleted_at_s=deleted_at_s)
    if isinstance(thing, Server):
        return CatalogView(servers={thing.id: thing})
    if isinstance(thing, VpnInstance):
        return CatalogView(vpns={thing.id: thing})
    return CatalogView(peers={(thing.vpn, thing.id): thing})


@pytest.mark.parametrize("kind", THINGS)
@pytest.mark.parametrize(("attributions", "deleted_at_s", "expected"), [
    pytest.param((), None, [], id="nothing declared"),
    pytest.param((A,), None, [(A, 300, END_S)], id="for good"),
    pytest.param((A, B), None, [(A, 300, 900), (B, 900, END_S)], id="one after the other"),
    pytest.param((A, NOTHING, B), None, [(A, 300, 600), (NOTHING, 600, 900), (B, 900, END_S)],
                 id="restored: known by nothing in between"),
    pytest.param((), 700, [], id="deleted, nothing declared"),
    pytest.param((A,), 700, [(A, 300, 600)], id="deleted: up to its slot"),
    pytest.param((A,), 600, [(A, 300, 600)], id="deleted on the border of slots"),
    pytest.param((A,), 599, [], id="deleted in its first slot"),
    pytest.param((A,), 100, [], id="deleted before it began"),
    pytest.param((A, B), 700, [(A, 300, 600)], id="deleted before the second began"),
    pytest.param((A, B), 1000, [(A, 300, 900)], id="deleted in the first slot of the second"),
    pytest.param((A, B), 1200, [(A, 300, 900), (B, 900, 1200)], id="deleted after both"),
    pytest.param((A, NOTHING, B), 1500, [(A, 300, 600), (NOTHING, 600, 900), (B, 900, 1500)],
                 id="deleted, restored, deleted again"),
])
def test_stretches(
    kind: Kind, attributions: tuple[Attribution, ...], deleted_at_s: int | None,
    expected: list[tuple[Attribution, int, int]],
) -> None:
    assert list(stretches(view_of(kind, attributions, deleted_at_s))) == [
        Stretch(kind, LABELS[kind], *each) for each in expected]


def test_the_organization_is_that_of_the_time() -> None:
    places = Placement(0, "p", "r"), Placement(600, "q", "r")
    view = CatalogView(
        servers={"sv_1": msgspec.structs.replace(THINGS[Kind.SERVER], placements=places, project="q")},
        projects={"p": Project("p", "p", "acme"), "q": Project("q", "q", "bolt")},
        vpns={VPN: THINGS[Kind.VPN]},  # type: ignore[dict-item]  # a VPN instance
    )
    assert [organization_at(view, Kind.SERVER, "sv_1", at_s) for at_s in (0, 599, 600)] == ["acme", "acme", "bolt"]
    assert organization_at(view, Kind.VPN, VPN, 0) == organization_at(view, Kind.PEER, f"{VPN}/alice", 0) == "o"
    assert organization_at(view, Kind.SERVER, "none", 0) is organization_at(view, Kind.PEER, "none/x", 0) is None


@pytest.mark.parametrize(("fields", "billed"), [
    ({}, Metering.HOST),
    ({"exporter": "edge-1"}, Metering.HOST),
    ({"addresses": ("192.0.2.10/32",)}, Metering.FLOWS),
    ({"macs": ("52:54:00:12:34:56",)}, Metering.FLOWS),
    ({"vlans": (5,)}, Metering.FLOWS),
    ({"interfaces": (Port("tor-1", "1"),), "vlans": (5,)}, Metering.INTERFACES),
    ({"interfaces": (Port("tor-1", "1"),), "metering": Metering.FLOWS}, Metering.FLOWS),
    ({"addresses": ("192.0.2.10/32",), "metering": Metering.HOST}, Metering.HOST),
])
def test_what_is_billed(fields: dict[str, object], billed: Metering) -> None:
    assert Attribution(0, **fields).billed is billed  # type: ignore[arg-type]  # a table


def test_an_attribution_as_files_hold_it() -> None:
    whole = Attribution(
        300, ("192.0.2.10/32", "192.0.2.16/28", "2001:db8::1/128", "2001:db8::/32"), ("52:54:00:12:34:56",), (5,),
        (Port("tor-1", "ge-0/0/1", "server"),), Metering.INTERFACES, "edge-1")
    assert show_attribution(whole) == {
        "addresses": ["192.0.2.10", "192.0.2.16/28", "2001:db8::1", "2001:db8::/32"], "macs": ["52:54:00:12:34:56"],
        "vlans": [5], "interfaces": [{"device": "tor-1", "name": "ge-0/0/1", "facing": "server"}],
        "metering": "interfaces", "exporter": "edge-1"}
