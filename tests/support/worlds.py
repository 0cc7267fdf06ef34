"""Small catalogs with traffic, made by hand or drawn by hypothesis, and a referee that adds up every row by itself.

The referee knows rows and who owned what when. It knows no members, no groups, no buckets and no tiers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from support.catalog import MemoryCatalog
from weighbridge.measurement import SLOT_ROW, UNKNOWN
from weighbridge.model import (
    App,
    Attribution,
    CatalogView,
    Consumer,
    Endpoint,
    Environment,
    Kind,
    Metering,
    Organization,
    Peer,
    Placement,
    Port,
    Project,
    Quota,
    Region,
    SeriesKey,
    Server,
    Space,
    VpnInstance,
)
from weighbridge.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"

Moved = tuple[int | None, int | None, int | None]
"""Bytes in, bytes out, requests; None: not known."""


@dataclass(frozen=True)
class Row:
    """What one series moved in one 5-minute slot."""

    series: int
    at_s: int
    moved: Moved


@dataclass
class World:
    """A catalog, a store and all that ever went into it. Adders return the number of the series, if there is one."""

    catalog: MemoryCatalog = field(default_factory=lambda: MemoryCatalog(CatalogView()))
    store: MemoryStore = field(default_factory=MemoryStore)
    rows: list[Row] = field(default_factory=list)

    @property
    def view(self) -> CatalogView:
        return self.catalog.living

    def region(self, slug: str) -> None:
        region = Region(f"reg_{slug}", slug, slug.title())
        self.view.regions[region.id] = self.view.regions_by_slug[slug] = region

    def organization(self, name: str, **more: object) -> None:
        self.view.organizations[name] = Organization(name, f"{name}-slug", name.title(), **more)

    def project(self, name: str, organization: str, *quotas: Quota, **more: object) -> None:
        slug = str(more.pop("slug", f"{name}-slug"))
        self.view.projects[name] = Project(name, slug, organization, quotas=quotas, **more)
        self.view.projects_of[organization] = (*self.view.projects_of.get(organization, ()), name)

    def server(self, name: str, *placements: tuple[int, str, str], deleted_at_s: int | None = None) -> int:
        placed = tuple(Placement(*placement) for placement in placements)
        last = placed[-1]
        self.view.servers[name] = Server(
            name, f"{name}.test", last.project, last.region, placed, deleted_at_s=deleted_at_s)
        for project in dict.fromkeys(placement.project for placement in placed):
            self.view.servers_of[project] = (*self.view.servers_of.get(project, ()), name)
        return self.series(Kind.SERVER, name)

    def vpn(self, organization: str, region: str | None, *peers: str) -> list[int]:
        self.view.vpns[VPN] = VpnInstance(VPN, organization, "hq", region)
        self.view.vpns_of[organization] = (VPN,)
        self.view.peers_of[VPN] = peers
        for peer in peers:
            self.view.peers[VPN, peer] = Peer(VPN, peer)
        return [self.series(Kind.VPN, VPN), *(self.series(Kind.PEER, f"{VPN}/{peer}") for peer in peers)]

    def app(self, number: int, organization: str, *excluded: Endpoint) -> None:
        self.view.apps[number] = App(number, organization, f"app {number}", excluded_endpoints=excluded)
        self.view.apps_of[organization] = (*self.view.apps_of.get(organization, ()), number)

    def environment(self, number: int, app: int, name: str) -> None:
        self.view.environments[number] = Environment(number, app, name)
        self.view.environments_of.setdefault(app, {})[name] = number

    def consumer(self, number: int, app: int, identifier: str) -> None:
        self.view.consumers[number] = Consumer(number, app, identifier)
        self.view.consumers_of.setdefault(app, {})[identifier] = number

    def space(self, number: int, organization: str) -> int:
        self.view.spaces[number] = Space(number, organization, f"space {number}")
        self.view.spaces_of[organization] = (*self.view.spaces_of.get(organization, ()), number)
        return self.series(Kind.SPACE, str(number))

    def series(self, kind: Kind, name: str, *, polled: bool = False, **dimensions: object) -> int:
        return self.catalog.enter_series([SeriesKey(kind, name, **dimensions)], polled=polled)[0].id

    def moves(self, series: int, at_s: int, *moved: int | None, flags: int = 1) -> None:
        """A row of the slot that begins at `at_s`: bytes in, bytes out and requests, as far as they are given."""
        padded = (*moved, None, None, None)[:3]
        self.rows.append(Row(series, at_s, padded))
        stored = [UNKNOWN if amount is None else amount for amount in padded]
        self.store.load(np.array([(series, at_s // 300, *stored, flags)], SLOT_ROW))

    def owner(self, row: Row) -> dict[str, str | int | None]:
        """Who owned the traffic of a row, at its time: the labels that it can be grouped and filtered by."""
        key = self.view.series[row.series].key
        if key.kind == Kind.SERVER:
            server = self.view.servers[key.object]
            placement = [placement for placement in server.placements if placement.from_s <= row.at_s][-1]
            organization = self.view.projects[placement.project].organization
            return {"organization": organization, "project": placement.project, "region": placement.region,
                    "server": server.id}
        if key.kind in {Kind.VPN, Kind.PEER}:
            vpn, _, peer = key.object.partition("/")
            instance = self.view.vpns[vpn]
            return {"organization": instance.organization, "region": instance.region, "vpn": vpn, "peer": peer or None}
        if key.kind == Kind.APP:
            return {"organization": self.view.apps[int(key.object)].organization, "app": int(key.object),
                    "environment": key.environment, "consumer": key.consumer}
        return {"organization": self.view.spaces[int(key.object)].organization, "space": int(key.object)}

    def is_billed(self, row: Row) -> bool:
        """Whether what saw the traffic of a row was, at its time, the one that is billed."""
        key = self.view.series[row.series].key
        if key.via is None:
            return True
        vpn, _, peer = key.object.partition("/")
        thing = self.view.servers[key.object] if key.kind is Kind.SERVER else \
            self.view.peers[vpn, peer] if peer else self.view.vpns[vpn]
        declared = [attribution for attribution in thing.attributions if attribution.from_s <= row.at_s]
        return key.via == (declared[-1].billed if declared else "host")

    @property
    def counted(self) -> list[Row]:
        """The rows that count."""
        return [row for row in self.rows if self.is_billed(row)]

    def within(self, start_s: int, end_s: int, **filters: str | int | None) -> list[Row]:
        """The rows of the range that count, and whose owner at the time was as the filters say."""
        asked = {name: value for name, value in filters.items() if value is not None}
        return [row for row in self.counted if start_s <= row.at_s < end_s
                and all(self.owner(row).get(name) == value for name, value in asked.items())]

    def seen_by_several(self, draw: st.DrawFn, slot: st.SearchStrategy[int], kind: Kind, name: str) -> list[int]:
        """Some of what may see a thing does, and what is billed changes some times; the numbers of its series then."""
        known = draw(st.lists(st.sampled_from(ATTRIBUTED), max_size=3))
        times_s = sorted(draw(st.sets(slot, min_size=len(known), max_size=len(known))))
        dated = tuple(Attribution(at_s, **fields) for at_s, fields in zip(times_s, known, strict=True))
        vpn, _, peer = name.partition("/")
        things: dict[Any, Any] = {
            Kind.SERVER: self.view.servers, Kind.VPN: self.view.vpns, Kind.PEER: self.view.peers}[kind]
        place: Any = (vpn, peer) if kind is Kind.PEER else name
        things[place] = msgspec.structs.replace(things[place], attributions=dated)
        return [self.series(kind, name, via=via, polled=via != "flows")
                for via in sorted(draw(st.sets(st.sampled_from(sorted(Metering)))))]


def added(rows: Iterable[Row]) -> Moved:
    """The sum of rows: zeros without any, None where none knows."""
    listed = list(rows)
    if not listed:
        return (0, 0, 0)

    def known(column: int) -> int | None:
        amounts = [amount for row in listed if (amount := row.moved[column]) is not None]
        return sum(amounts) if amounts else None

    return known(0), known(1), known(2)


ATTRIBUTED: tuple[dict[str, Any], ...] = (
    {},
    {"interfaces": (Port("tor-1", "ge-0/0/1"),)},
    {"addresses": ("192.0.2.1/32",)},
    {"addresses": ("192.0.2.1/32",), "interfaces": (Port("tor-1", "ge-0/0/1"),)},
    {"interfaces": (Port("tor-1", "ge-0/0/1"),), "metering": Metering.FLOWS},
    {"macs": ("02:00:00:00:00:01",), "metering": Metering.HOST},
)
"""By what a thing may be known, so that each of the three is billed by some, as declared and by itself."""
ORGANIZATIONS = ("acme", "bolt")
PROJECTS = {"p1": "acme", "p2": "acme", "p3": "bolt"}
REGIONS = ("brazil", "chile", "dallas")


@st.composite
def worlds(draw: st.DrawFn, start_s: int, slots: int) -> World:
    """Worlds in which servers move between projects and regions, beside a VPN, an app and spaces; `slots` slots long.

    Servers, the VPN and its peer are seen by several, of whom one is billed at a time.

    `start_s` is the first slot; some placements begin before it, some never come.
    """
    world = World()
    for slug in REGIONS:
        world.region(slug)
    for name in ORGANIZATIONS:
        world.organization(name)
    for name, organization in PROJECTS.items():
        world.project(name, organization)
    slot = st.integers(-2, slots + 2).map(lambda number: start_s + number * 300)
    series: list[int] = []
    for number in range(draw(st.integers(1, 3))):
        starts = sorted(draw(st.sets(slot, max_size=3)))
        placements = [(at_s, draw(st.sampled_from(sorted(PROJECTS))), draw(st.sampled_from(REGIONS)))
                      for at_s in (0, *starts)]
        series.append(world.server(f"sv_{number}", *placements, deleted_at_s=draw(st.none() | slot)))
        series += world.seen_by_several(draw, slot, Kind.SERVER, f"sv_{number}")
    if draw(st.booleans()):
        series += world.vpn("acme", draw(st.none() | st.sampled_from(REGIONS)), "alice")
        series += world.seen_by_several(draw, slot, Kind.VPN, VPN)
        series += world.seen_by_several(draw, slot, Kind.PEER, f"{VPN}/alice")
        series += [world.space(1, "acme"), world.space(2, "bolt")]
        world.app(1, "acme")
        world.environment(1, 1, "prod")
        world.environment(2, 1, "test")
        world.consumer(7, 1, "alice")
        series += [world.series(Kind.APP, "1", environment=environment, consumer=consumer)
                   for environment, consumer in ((1, None), (1, 7), (2, 7))]
    amount = st.one_of(st.none(), st.integers(0, 3), st.integers(0, 2**62))
    at_s = st.integers(0, slots - 1).map(lambda number: start_s + number * 300)
    for row in draw(st.lists(st.tuples(st.sampled_from(series), at_s, amount, amount, amount), max_size=12)):
        world.moves(*row)
    return world
