"""What is known on the network by what, from when to when: the catalog's attributions as stretches of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.units import SLOT_S
from weighbridge.metering.subjects import owner_at
from weighbridge.model import END_S, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weighbridge.model import Attribution, CatalogView, Peer, Server, VpnInstance


@dataclass(frozen=True, slots=True)
class Stretch:
    """A thing (kind and object of its series) was known by `attribution` over [from_s, until_s), on 5-minute slots.

    An attribution that names nothing is a stretch as any other: nothing is seen of the thing but what it tells itself.
    """

    kind: Kind
    object: str
    attribution: Attribution
    from_s: int
    until_s: int


def stretches(view: CatalogView) -> Iterator[Stretch]:
    """Every stretch of every thing, deleted ones included up to the slot of their deletion.

    Those of one thing follow each other without overlap. They have a gap only where nothing was declared yet: what was
    restored after a deletion is known by nothing in between, which is an attribution of its own.
    """
    for server in tuple(view.servers.values()):
        yield from stretches_of(Kind.SERVER, server)
    for vpn in tuple(view.vpns.values()):
        yield from stretches_of(Kind.VPN, vpn)
    for peer in tuple(view.peers.values()):
        yield from stretches_of(Kind.PEER, peer)


def stretches_of(kind: Kind, thing: Server | VpnInstance | Peer) -> Iterator[Stretch]:
    """Those of one thing, oldest first."""
    name = f"{thing.vpn}/{thing.id}" if kind is Kind.PEER else thing.id  # type: ignore[union-attr]
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


def show_prefix(prefix: str) -> str:
    """A prefix as a person writes it: without its length where it is one address."""
    return prefix.removesuffix("/128" if ":" in prefix else "/32")


def show_attribution(attribution: Attribution) -> dict[str, Any]:
    """What was declared, as files and answers hold it; without its date."""
    return {
        "addresses": [show_prefix(prefix) for prefix in attribution.addresses],
        "macs": list(attribution.macs),
        "vlans": list(attribution.vlans),
        "interfaces": [msgspec.to_builtins(port) for port in attribution.interfaces],
        "metering": None if attribution.metering is None else attribution.metering.value,
        "exporter": attribution.exporter,
    }
