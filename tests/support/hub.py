"""Bodies of the hub protocol as the clients send them, and a hub over a real journal with a clock by hand."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from support.catalog import acme
from support.kit import app_of, client_of
from support.message_bench import NOW_S, MessageBench, at_us
from weighbridge.http.services import Services
from weighbridge.model import App, Kind
from weighbridge.sources.hub.routes import HUB

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from support.message_bench import Amounts

CLIENT_ID = "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"
SECOND_ID, FOREIGN_ID = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
APPS = {CLIENT_ID: App(1, "org_acme", "shop-api", CLIENT_ID), SECOND_ID: App(3, "org_acme", "blog-api", SECOND_ID),
        FOREIGN_ID: App(2, "org_other", "their-api", FOREIGN_ID)}


def uuid_of(number: int) -> str:
    """The same UUID for the same number."""
    return str(UUID(int=number, version=4))


def row(requests: int = 1, received: int = 0, sent: int = 0, **fields: Any) -> dict[str, Any]:
    """Counts of one consumer, endpoint and status."""
    return {
        "consumer": None, "method": "GET", "path": "/x", "status_code": 200, "request_count": requests,
        "request_size_sum": received, "response_size_sum": sent, "response_times": {"10": requests}, "request_sizes": {},
        "response_sizes": {"0": requests},
    } | fields


def sync(seconds: float, *rows: dict[str, Any], message: int = 1, instance: int = 1, **fields: Any) -> dict[str, Any]:
    """A sync told at `seconds` from NOW_S."""
    return {
        "timestamp": NOW_S + seconds, "instance_uuid": uuid_of(instance), "message_uuid": uuid_of(1000 + message),
        "requests": list(rows), "validation_errors": [], "server_errors": [], "consumers": [], "resources": None,
    } | fields


def startup(*paths: tuple[str, str], instance: int = 1, **fields: Any) -> dict[str, Any]:
    """A start."""
    return {
        "instance_uuid": uuid_of(instance), "message_uuid": uuid_of(5000), "versions": {"apitally": "0.25.1"},
        "client": "python:starlette", "paths": [{"method": method, "path": path} for method, path in paths],
    } | fields


class HubBench(MessageBench):
    """The hub's routes over an intake with a real journal; apps 1 and 3 of org_acme, app 2 of org_other."""

    def __init__(self, folder: Path, **bounds: int) -> None:
        view = acme()
        for client_id, app in APPS.items():
            view.apps[app.id] = app
            view.apps_by_client_id[client_id] = app.id
        self._loop = asyncio.Runner()
        super().__init__(folder, view, **bounds)

    def _open(self) -> None:
        super()._open()
        self.services = Services(self.catalog, self.store, self.journal, self.intake, self.clock)
        self._client = client_of(app_of([HUB], self.services))

    def post(self, what: str, body: Any, client_id: str = CLIENT_ID, env: str = "prod", **options: Any) -> httpx.Response:
        """The answer to a body, which is JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._loop.run(self._client.post(f"/v2/{client_id}/{env}/{what}", content=content, **options))

    def start(self, seconds: float, instance: int = 1) -> None:
        """A start is heard at that time; then it is now again."""
        self.clock.at_us = at_us(seconds)
        assert self.post("startup", startup(instance=instance)).status_code == 202
        self.clock.at_us = at_us(0)

    def taken(self, *args: Any, **fields: Any) -> dict[str, int]:
        """What became of a sync; for arguments see `sync`."""
        answer = self.post("sync", sync(*args, **fields))
        assert answer.status_code == 202, answer.text
        found: dict[str, int] = answer.json()
        return found

    def requests(self, app: int = 1, **key: Any) -> dict[int, int]:
        """Requests by slot, relative to NOW_S, of `GET /x` in `prod` unless `key` says otherwise."""
        slots = self.endpoint(app, **key)
        return {start_s: amounts[2] for start_s, amounts in slots.items() if amounts[2]}

    def endpoint(self, app: int = 1, **key: Any) -> dict[int, Amounts]:
        """All that is known of it."""
        prod = self.catalog.view().environments_of.get(app, {}).get("prod")
        return self.slots(**({"kind": Kind.APP, "object": str(app), "environment": prod, "method": "GET", "path": "/x"} | key))

    def finish(self) -> None:
        """Everything is closed, the loop too."""
        self.close()
        self._loop.run(self._client.aclose())
        self._loop.close()
