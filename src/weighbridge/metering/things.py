"""Whose a thing in the network is, from when to when: the stretches of time in which its counter feeds a series.

A port of a device feeds what the catalog's attributions say, by date, with in and out swapped where it faces the metered
thing. A device that is told by its address alone (sFlow) goes by the id of the exporter with that address, too.
A machine's own counters are its server's always. A tunnel's are those of the peer that has this key or name now, up to
the slot in which that peer was deleted, and the instance's where there is no such peer: a peer that is entered later
takes over what is read from then on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from weighbridge.collected import Thing, ThingKind
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.metering.attribution import organization_at, stretches
from weighbridge.metering.subjects import owner_at
from weighbridge.model import BEGINNING_S, END_S, Kind, Metering, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from weighbridge.metering.subjects import Sender
    from weighbridge.model import CatalogView, Peer, Server, VpnInstance
    from weighbridge.ports import Catalog

FEEDS_KEPT = 200_000
"""Things remembered with what they feed, some 100 MB at worst; forgotten together when full or the catalog changed."""
NEW_COUNTERS_A_DAY = 1_000_000
"""Counters that nobody read before, and that one owner may add in a day to those remembered: 150 MB on disk. More than
any network has; a device that makes up names by the million must not fill the disk."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A thing's counter feeds this series over [from_s, until_s), on 5-minute slots; `is_swapped`: in and out."""

    key: SeriesKey
    from_s: int
    until_s: int
    is_swapped: bool = False


def name_of(thing: Thing) -> str:
    """The thing as its counters' states are kept under it, such as interface/tor-1/ge-0/0/1; no two things share one."""
    device = thing.device.lower() if thing.kind is ThingKind.TUNNEL else thing.device
    return f"{thing.kind}/{device.replace('%', '%25').replace('/', '%2F')}/{thing.name}"


def owner_of(sender: Sender) -> str:
    """Among whose counters a sender's are: nobody must move the counters that another's bills rest on."""
    organization = sender.organization or ""
    return organization if sender.project is None else f"{organization}\0{sender.project}"


class Things:
    """What every thing feeds, remembered until the catalog changes. One thread uses it: the intake's writer."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = -1
        self._ports: dict[tuple[str, str], list[Feed]] = {}
        self._peers: dict[tuple[str, str], list[Peer]] = {}
        self._known: dict[tuple[Thing, Sender], tuple[Feed, ...]] = {}
        self._day = -1
        self._new: Counter[str] = Counter()

    def feeds(self, thing: Thing, sender: Sender) -> tuple[Feed, ...]:
        """What the thing feeds, as far as the sender reaches: in order of time, never two at once, with gaps where nobody."""
        view = self._catalog.view()
        if view.version != self._version or len(self._known) >= FEEDS_KEPT:
            self._learn(view)
        found = self._known.get((thing, sender))
        if found is None:
            found = tuple(part for feed in _layered(self._candidates(view, thing)) for part in _within(view, feed, sender))
            self._known[thing, sender] = found
        return found

    def known_as(self, thing: Thing) -> tuple[Thing, ...]:
        """The thing as it was told, and as it is called where its device is known by another name too."""
        exporter = self._catalog.view().exporters_by_address.get(thing.device)
        if thing.kind is not ThingKind.INTERFACE or exporter is None:
            return (thing,)
        return thing, Thing(thing.kind, exporter.id, thing.name)

    def number(self, keys: Collection[SeriesKey]) -> dict[SeriesKey, int]:
        """The numbers of these series, which are made where new, and marked as fed by counters."""
        wanted = sorted(keys, key=lambda key: (key.object, key.kind))
        entered = self._catalog.enter_series(wanted, polled=True) if wanted else []
        return {key: series.id for key, series in zip(wanted, entered, strict=True)}

    def admit_new(self, owner: str, now_us: int) -> bool:
        """Whether one more counter of this owner, that nobody read before, may be remembered today; counts it."""
        day = now_us // (DAY_S * 1_000_000)
        if day != self._day:
            self._day = day
            self._new.clear()
        self._new[owner] += 1
        return self._new[owner] <= NEW_COUNTERS_A_DAY

    def _learn(self, view: CatalogView) -> None:
        self._version = view.version  # read first: what changes meanwhile is learned with the next version
        self._known.clear()
        self._ports = ports_of(view)
        self._peers = peers_by_name(view)

    def _candidates(self, view: CatalogView, thing: Thing) -> Sequence[Feed]:
        """Everything that may have the thing, who comes first before who comes later."""
        if thing.kind is ThingKind.INTERFACE:
            found = [feed for each in self.known_as(thing) for feed in self._ports.get((each.device, each.name), ())]
            return sorted(found, key=lambda feed: (feed.key.object, feed.key.kind))
        if thing.kind is ThingKind.HOST:
            server = view.servers.get(thing.device)
            return [] if server is None else [_whole(Kind.SERVER, server.id, _gone_s(server))]
        vpn = view.vpns.get(thing.device.lower())
        if vpn is None:
            return []
        peers = self._peers.get((vpn.id, thing.name), ()) if thing.name else ()
        owners = [(Kind.PEER, f"{vpn.id}/{peer.id}", min(_gone_s(peer), _gone_s(vpn))) for peer in peers]
        return [_whole(*owner) for owner in (*owners, (Kind.VPN, vpn.id, _gone_s(vpn)))]


def ports_of(view: CatalogView) -> dict[tuple[str, str], list[Feed]]:
    """What each port, by device and name, is declared to feed; stretches of one series that adjoin are one."""
    found: dict[tuple[str, str], list[Feed]] = defaultdict(list)
    for stretch in stretches(view):
        key = SeriesKey(stretch.kind, stretch.object, via=Metering.INTERFACES)
        for port in stretch.attribution.interfaces:
            feeds = found[port.device, port.name]
            feed = Feed(key, stretch.from_s, stretch.until_s, port.facing == "server")
            if feeds and _adjoin(feeds[-1], feed):
                feeds[-1] = replace(feeds[-1], until_s=feed.until_s)
            else:
                feeds.append(feed)
    return dict(found)


def peers_by_name(view: CatalogView) -> dict[tuple[str, str], list[Peer]]:
    """The peers of each instance by public key and by common name: deleted ones first, as they went, then by id."""
    found: dict[tuple[str, str], list[Peer]] = defaultdict(list)
    for peer in sorted(view.peers.values(), key=lambda peer: (_gone_s(peer), peer.id)):
        for name in {peer.public_key, peer.common_name} - {None, ""}:
            found[peer.vpn, name or ""].append(peer)
    return dict(found)


def _gone_s(thing: Server | VpnInstance | Peer) -> int:
    """The slot from which a thing counts nothing any more."""
    return END_S if thing.deleted_at_s is None else thing.deleted_at_s // SLOT_S * SLOT_S


def _whole(kind: Kind, name: str, until_s: int) -> Feed:
    """A feed from the beginning, of what tells its own counters."""
    return Feed(SeriesKey(kind, name, via=Metering.HOST), BEGINNING_S, until_s)


def _adjoin(left: Feed, right: Feed) -> bool:
    return left.until_s == right.from_s and left.key == right.key and left.is_swapped == right.is_swapped


def _layered(candidates: Sequence[Feed]) -> Iterator[Feed]:
    """At each time the first of the candidates that is there."""
    if len(candidates) < 2:  # noqa: PLR2004  one alone has nobody before it
        yield from candidates
        return
    borders_s = sorted({border_s for feed in candidates for border_s in (feed.from_s, feed.until_s)})
    last: Feed | None = None
    for from_s, until_s in pairwise(borders_s):
        first = next((feed for feed in candidates if feed.from_s <= from_s and until_s <= feed.until_s), None)
        part = None if first is None else replace(first, from_s=from_s, until_s=until_s)
        if last is not None and part is not None and _adjoin(last, part):
            last = replace(last, until_s=until_s)
            continue
        if last is not None:
            yield last
        last = part
    if last is not None:
        yield last


def _within(view: CatalogView, feed: Feed, sender: Sender) -> Iterable[Feed]:
    """The parts of a feed in which its series belonged to whom the sender speaks for."""
    if sender.organization is None and sender.project is None:
        return [feed]
    server = view.servers.get(feed.key.object) if feed.key.kind is Kind.SERVER else None
    moves_s = () if server is None else tuple(placement.from_s for placement in server.placements)
    borders_s = [feed.from_s, *(at_s for at_s in moves_s if feed.from_s < at_s < feed.until_s), feed.until_s]
    return [
        replace(feed, from_s=from_s, until_s=until_s)
        for from_s, until_s in pairwise(borders_s)
        if sender.organization in (None, organization_at(view, feed.key.kind, feed.key.object, from_s))
        and (sender.project is None or (server is not None and owner_at(server, from_s) == sender.project))
    ]
