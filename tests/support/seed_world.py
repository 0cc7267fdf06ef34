"""A small world to ask a dialect about: a catalog made by hand, the referee as its store, and the whole HTTP kit."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Self

import httpx
import jsonschema
import numpy as np

from support.kit import ADMIN, NOW_S, READER, HandClock, app_of, client_of, key, services_with
from weighbridge.measurement import SLOT_ROW, UNKNOWN, SlotFlag
from weighbridge.model import (
    App,
    CatalogView,
    Consumer,
    Endpoint,
    Environment,
    Kind,
    Organization,
    Peer,
    Placement,
    Project,
    Region,
    Scope,
    Series,
    SeriesKey,
    Server,
    Space,
    VpnInstance,
)
from weighbridge.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.http.route import Dialect, Route

ACME, OTHER = "org_acme", "org_other"
VIEWER, FOREIGNER, PROJECT_READER, SENDER = "viewer-key", "foreign-key", "project-key", "sender-key"


class World:
    """See above. `with World(DIALECT) as world: world.get("/path", {"limit": "1"})`."""

    def __init__(self, dialect: Dialect, now_s: int = NOW_S, *, rate_limits: bool = False) -> None:
        self.dialect = dialect
        self.view = CatalogView()
        self.store = MemoryStore()
        self.clock = HandClock(now_s * 1_000_000)
        services = services_with(self.view, self.clock, store=self.store)
        self.app = app_of((dialect,), services, rate_limits=rate_limits)
        self._runner = asyncio.Runner()
        self._enter_keys()
        self.organization(ACME)
        self.organization(OTHER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def _enter_keys(self) -> None:
        both = (Scope.TRAFFIC_READ, Scope.VPN_VIEW)
        for each in (
            key(ADMIN, [Scope.ADMIN], None),
            key(READER, [Scope.TRAFFIC_READ]),
            key(VIEWER, [Scope.VPN_VIEW]),
            key(SENDER, [Scope.INGEST]),
            key(FOREIGNER, both, OTHER),
            key(PROJECT_READER, both, project="proj_a"),
        ):
            self.view.keys_by_sha256[each.sha256] = each

    def organization(self, name: str, **fields: Any) -> None:
        self.view.organizations[name] = Organization(name, name.replace("org_", ""), name, **fields)

    def app_of(
        self, number: int, organization: str = ACME, excluded: tuple[Endpoint, ...] = (), **fields: Any
    ) -> int:
        self.view.apps[number] = App(number, organization, f"app-{number}", excluded_endpoints=excluded, **fields)
        self.view.apps_of[organization] = (*self.view.apps_of.get(organization, ()), number)
        return number

    def environment(self, number: int, app: int, **fields: Any) -> int:
        made = self.view.environments[number] = Environment(number, app, f"env-{number}", **fields)
        self.view.environments_of[app] = {**self.view.environments_of.get(app, {}), made.name: number}
        return number

    def consumer(self, number: int, app: int, **fields: Any) -> int:
        made = self.view.consumers[number] = Consumer(number, app, f"consumer-{number}", **fields)
        self.view.consumers_of[app] = {**self.view.consumers_of.get(app, {}), made.identifier: number}
        return number

    def endpoint(self, number: int, app: int, method: str, path: str) -> int:
        self.view.endpoints_of[app] = {**self.view.endpoints_of.get(app, {}), Endpoint(method, path): number}
        return number

    def space(self, number: int, organization: str = ACME) -> int:
        """Enters a space with its series; the number of the series."""
        self.view.spaces[number] = Space(number, organization, f"space-{number}")
        self.view.spaces_of[organization] = (*self.view.spaces_of.get(organization, ()), number)
        return self.series(Kind.SPACE, number)

    def project(self, name: str, organization: str = ACME) -> None:
        self.view.projects[name] = Project(name, name, organization)
        self.view.projects_of[organization] = (*self.view.projects_of.get(organization, ()), name)
        self.view.regions_by_slug["brazil"] = self.view.regions["reg_1"] = Region("reg_1", "brazil", "Brazil")

    def server(self, name: str, *stays: tuple[int, str], deleted_at_s: int | None = None) -> int:
        """Enters a server that stands in a project from an instant on, then in the next; the number of its series."""
        placements = tuple(Placement(from_s, project, "brazil") for from_s, project in stays)
        last = placements[-1]
        self.view.servers[name] = Server(name, name, last.project, last.region, placements, deleted_at_s=deleted_at_s)
        for project in dict.fromkeys(placement.project for placement in placements):
            self.view.servers_of[project] = (*self.view.servers_of.get(project, ()), name)
        return self.series(Kind.SERVER, name)

    def vpn(self, name: str, organization: str = ACME, primary_server: str | None = None) -> int:
        self.view.vpns[name] = VpnInstance(name, organization, "hq", None, primary_server)
        self.view.vpns_of[organization] = (*self.view.vpns_of.get(organization, ()), name)
        return self.series(Kind.VPN, name)

    def peer(self, vpn: str, name: str) -> int:
        self.view.peers[vpn, name] = Peer(vpn, name)
        self.view.peers_of[vpn] = (*self.view.peers_of.get(vpn, ()), name)
        return self.series(Kind.PEER, f"{vpn}/{name}")

    def series(self, kind: Kind, name: object, **dimensions: Any) -> int:
        """Enters a series; its number."""
        series_key = SeriesKey(kind, str(name), **dimensions)
        series = Series(len(self.view.series) + 1, series_key)
        self.view.series[series.id] = self.view.series_by_key[series_key] = series
        self.view.series_of[kind, str(name)] = (*self.view.series_of.get((kind, str(name)), ()), series.id)
        return series.id

    def put(
        self,
        series: int,
        at_s: int,
        bytes_in: int | None = None,
        bytes_out: int | None = None,
        requests: int | None = None,
    ) -> None:
        """Adds to the 5-minute slot that holds an instant."""
        amounts = (UNKNOWN if amount is None else amount for amount in (bytes_in, bytes_out, requests))
        self.store.load(np.array([(series, at_s // 300, *amounts, SlotFlag.MEASURED)], SLOT_ROW))

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | str | None = None,
        *,
        secret: str | None = READER,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> httpx.Response:
        """The answer; one of a documented status has the form that is documented for it."""
        sent = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        query = params if isinstance(params, str) or params is None else str(httpx.QueryParams(params))
        target = path if query is None else f"{path}?{query}"

        async def ask() -> httpx.Response:
            async with client_of(self.app) as client:
                return await client.request(method, target, headers=sent | dict(headers or {}))

        response = self._runner.run(ask())
        self._check_form(path, response)
        return response

    def _check_form(self, path: str, response: httpx.Response) -> None:
        if response.status_code == 204:
            return
        documented = self.dialect.error_content_by_status.get(response.status_code, self.dialect.error_content)
        if response.status_code == 200:
            documented = self._route(path).answers[200]
        schema = documented.content[response.headers["content-type"]]
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(response.json())

    def _route(self, path: str) -> Route:
        """The route that serves a path."""
        whole = re.sub("/+", "/", path)
        return next(route for route in self.dialect.routes if re.fullmatch(re.sub(r"{\w+}", "[^/]+", route.path), whole))
