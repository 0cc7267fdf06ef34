"""A catalog in memory for tests of what lies between a source and a store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from weighbridge.model import (
    App,
    CatalogView,
    Consumer,
    Environment,
    Kind,
    Organization,
    Peer,
    Placement,
    Project,
    Region,
    Series,
    Server,
    Space,
    VpnInstance,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weighbridge.model import Endpoint, SeriesKey

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"


class MemoryCatalog:
    """The Catalog port over a view that tests fill by hand."""

    def __init__(self, living: CatalogView | None = None, *, environments: int = 100, consumers: int = 10_000) -> None:
        self.living = living or CatalogView()
        self._most = {"environments": environments, "consumers": consumers}
        self._lock = threading.Lock()

    def view(self) -> CatalogView:
        return self.living

    def enter_series(self, keys: Sequence[SeriesKey], *, polled: bool = False) -> list[Series]:
        view = self.living
        with self._lock:
            entered = []
            for key in keys:
                known = view.series_by_key.get(key)
                number = known.id if known else len(view.series) + 1
                series = Series(number, key, polled or (known is not None and known.polled))
                view.series[number] = view.series_by_key[key] = series
                place = (key.kind, key.object)
                if number not in view.series_of.get(place, ()):
                    view.series_of[place] = (*view.series_of.get(place, ()), number)
                entered.append(series)
            return entered

    def enter_environment(self, app: int, name: str) -> int | None:
        children = self.living.environments_of.setdefault(app, {})
        if name not in children:
            if len(children) >= self._most["environments"]:
                return None
            number = len(self.living.environments) + 1
            self.living.environments[number] = Environment(number, app, name)
            children[name] = number
        return children[name]

    def enter_consumer(self, app: int, identifier: str) -> int | None:
        children = self.living.consumers_of.setdefault(app, {})
        if identifier not in children:
            if len(children) >= self._most["consumers"]:
                return None
            number = len(self.living.consumers) + 1
            self.living.consumers[number] = Consumer(number, app, identifier)
            children[identifier] = number
        return children[identifier]

    def enter_endpoints(self, app: int, endpoints: Sequence[Endpoint]) -> None:
        known = self.living.endpoints_of.get(app, {})
        new = [endpoint for endpoint in dict.fromkeys(endpoints) if endpoint not in known]
        self.living.endpoints_of[app] = known | {endpoint: len(known) + n for n, endpoint in enumerate(new, 1)}

    def describe_app(self, app: int, framework: str) -> None:
        self.living.apps[app] = msgspec.structs.replace(self.living.apps[app], framework=framework)

    def describe_consumers(self, app: int, described: Mapping[str, tuple[str | None, str | None]]) -> None:
        for identifier, (name, group) in described.items():
            number = self.enter_consumer(app, identifier)
            if number is not None:
                known = self.living.consumers[number]
                changed = msgspec.structs.replace(known, name=name or known.name, group=group or known.group)
                self.living.consumers[number] = changed

    def series_count(self, app: int) -> int:
        return len(self.living.series_of.get((Kind.APP, str(app)), ()))


def acme(servers: int = 3) -> CatalogView:
    """Two organizations: org_acme with servers sv_0 …, a VPN instance with peer alice, app 1 and space 123; org_other."""
    view = CatalogView()
    for region in (Region("reg_1", "brazil", "Brazil"), Region("reg_2", "miami", "Miami")):
        view.regions[region.id] = view.regions_by_slug[region.slug] = region
    for name, project in (("org_acme", "proj_a"), ("org_other", "proj_o")):
        view.organizations[name] = Organization(name, name.replace("_", "-"), name)
        view.projects[project] = Project(project, project.replace("_", "-"), name)
        view.projects_of[name] = (project,)
    for number in range(servers):
        place_server(view, f"sv_{number}", "proj_a", "brazil")
    place_server(view, "sv_other", "proj_o", "miami")
    view.vpns[VPN] = VpnInstance(VPN, "org_acme", "hq", "brazil")
    view.vpns_of["org_acme"] = (VPN,)
    view.peers[VPN, "alice"] = Peer(VPN, "alice")
    view.peers_of[VPN] = ("alice",)
    view.apps[1] = App(1, "org_acme", "shop-api")
    view.apps_of["org_acme"] = (1,)
    view.spaces[123] = Space(123, "org_acme", "Blog")
    view.spaces_of["org_acme"] = (123,)
    return view


def place_server(view: CatalogView, server: str, project: str, region: str) -> None:
    """Enters a server that has always stood in one place."""
    view.servers[server] = Server(server, server, project, region, (Placement(0, project, region),))
    view.servers_of[project] = (*view.servers_of.get(project, ()), server)
