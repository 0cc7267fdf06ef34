"""The catalog's routes over a catalog on disk, as a client sees them; each answer is checked against its documentation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from support.kit import ADMIN, HandClock, app_of, client_of, key, services_with
from weighbridge.dialects.native.catalog import CATALOG_ROUTES
from weighbridge.dialects.native.errors import refuse
from weighbridge.dialects.native.keys import KEY_ROUTES
from weighbridge.http.route import Dialect
from weighbridge.model import Scope
from weighbridge.storage.catalog.book import enter_key
from weighbridge.storage.catalog.store import SqlCatalog

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

NATIVE = Dialect("native", ("/",), (*CATALOG_ROUTES, *KEY_ROUTES), refuse)
ACME, BOLT, PROJECT, READER = "acme-key", "bolt-key", "project-key", "reader-key"
VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
FILE = f"""
regions: [{{id: reg_br, slug: brazil, name: Brazil}}]
exporters: [{{id: edge-0, address: 198.51.100.1}}]
organizations:
  - id: org_acme
    slug: acme
    name: Acme Hosting
    projects:
      - {{id: proj_1, slug: knife, servers: [{{id: sv_1, hostname: web-1, region: brazil, from: 2025-12-01}}]}}
    vpn_instances: [{{id: {VPN}, name: hq, primary_server: sv_1, peers: [{{id: alice}}]}}]
    apps: [{{id: 1, name: shop, environments: [{{id: 1, name: prod}}], consumers: [{{id: 7, identifier: alice}}]}}]
    spaces: [{{id: 123, name: Blog}}]
  - {{id: org_bolt, slug: bolt, name: Bolt}}
"""
EVERY = set(Scope) - {Scope.ADMIN}


class CatalogServer:
    """A client's sight of the routes over a catalog on disk."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.catalog = SqlCatalog(folder, self.clock)
        book = self.catalog._book
        for each in (key(ADMIN, [Scope.ADMIN], None), key(ACME, EVERY), key(BOLT, EVERY, "org_bolt"),
                     key(PROJECT, EVERY, project="proj_1"), key(READER, [Scope.TRAFFIC_READ])):
            enter_key(book, each)  # in memory is enough
        self._app = app_of([NATIVE], services_with(self.catalog.view(), self.clock))
        object.__setattr__(self._app._services, "catalog", self.catalog)

    def ask(self, method: str, path: str, secret: str = ADMIN, **request: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with client_of(self._app) as client:
                headers = {"Authorization": secret, **request.pop("headers", {})}
                return await client.request(method, path, headers=headers, **request)

        answer = asyncio.run(ask())
        check(method, path, answer)
        return answer

    def put(self, body: str | bytes, query: str = "", content_type: str = "application/yaml") -> httpx.Response:
        return self.ask("PUT", f"/api/v1/catalog{query}", content=body, headers={"Content-Type": content_type})


def check(method: str, path: str, answer: httpx.Response) -> None:
    """A good answer is what its route documents, an error a problem."""
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        assert answer.json()["status"] == answer.status_code != 500
        return
    bare = path.partition("?")[0]
    for route in NATIVE.routes:
        pattern = route.path.split("/")
        if route.method == method and len(pattern) == len(bare.split("/")) and all(
            part == given or part.startswith("{") for part, given in zip(pattern, bare.split("/"), strict=True)
        ):
            documented = route.answers[answer.status_code]
            if documented.content:
                Draft202012Validator(documented.content["application/json"]).validate(answer.json())
            return
    raise AssertionError(f"no route for {path}")
