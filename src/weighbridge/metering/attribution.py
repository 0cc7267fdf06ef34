"""What is known on the network by what, from when to when: the catalog's attributions as stretches of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.units import SLOT_S
from weighbridge.metering.subjects import owner_at
from weighbridge.model import END_S, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weighbridge.model import Attribution, CatalogView, Peer, Server, VpnInstance


@dataclass(frozen=True, slots=True)
class Stretch:
    """A thing (kind and object of its series) was known by `attribution` over [from_s, until_s), on 5-minute slots."""

    kind: Kind
    object: str
    attribution: Attribution
    from_s: int
    until_s: int


def stretches(view: CatalogView) -> Iterator[Stretch]:
    """Every stretch of every thing, deleted ones included up to the slot of their deletion."""
    for server in tuple(view.servers.values()):
        yield from _of(Kind.SERVER, server.id, server)
    for vpn in tuple(view.vpns.values()):
        yield from _of(Kind.VPN, vpn.id, vpn)
    for peer in tuple(view.peers.values()):
        yield from _of(Kind.PEER, f"{peer.vpn}/{peer.id}", peer)


def _of(kind: Kind, name: str, thing: Server | VpnInstance | Peer) -> Iterator[Stretch]:
    gone_s = END_S if thing.deleted_at_s is None else thing.deleted_at_s // SLOT_S * SLOT_S
    ends_s = [attribution.from_s for attribution in thing.attributions[1:]] + [END_S]
    for attribution, end_s in zip(thing.attributions, ends_s, strict=False):  # nothing declared: no stretch, but one end
        until_s = min(end_s, gone_s)
        if attribution.from_s < until_s:
            yield Stretch(kind, name, attribution, attribution.from_s, until_s)


def organization_at(view: CatalogView, kind: Kind, name: str, at_s: int) -> str | None:
    """The organization that a thing belonged to at an instant; None: it is not in the catalog."""
    if kind is Kind.SERVER:
        server = view.servers.get(name)
        project = None if server is None else view.projects.get(owner_at(server, at_s))
        return None if project is None else project.organization
    vpn = view.vpns.get(name.partition("/")[0])
    return None if vpn is None else vpn.organization
