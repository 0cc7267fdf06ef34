"""A Weighbridge with one app for each client, the apps' processes that send to it, and what it answers of them."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from support.api_calls import EXCLUDED, Amount, Counted, add, make_known_calls
from support.api_clients import RunningApp
from support.process import ADMIN, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Self

    from support.api_clients import Client

ANY = "*"
Seen = dict[tuple[str, str], Amount]
"""By environment and consumer, each a name or ANY."""


def expected_of(counted: Counted) -> Seen:
    """Every answer that there is about what was counted: the whole, each environment, each consumer, and both."""
    seen: Seen = {(ANY, ANY): Amount()}
    for (environment, consumer), amount in counted.items():
        for place in (ANY, environment):
            for who in (ANY, consumer):
                if who is not None:
                    seen[place, who] = seen.get((place, who), Amount()).plus(amount)
    return seen


@dataclass
class Scene:
    """One server, and an app of it for each client; `counted` is what the answers must hold, by client."""

    folder: Path
    clients: Mapping[str, Client]
    counted: dict[str, Counted] = field(default_factory=dict)
    running: list[RunningApp] = field(default_factory=list)
    credentials: dict[str, str] = field(default_factory=dict)
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server(self.folder / "data")
        self._pool = ThreadPoolExecutor(len(self.clients))
        self._began = dt.datetime.now(dt.UTC)

    def __enter__(self) -> Self:
        try:
            self.server.start()
            self._enter_apps()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for app in self.running:
            if app.process is not None:
                app.kill()
        self.server.__exit__()

    def number(self, client: str) -> int:
        """The id of a client's app."""
        return list(self.clients).index(client) + 1

    def _enter_apps(self) -> None:
        apps = [
            {"id": self.number(name), "name": f"shop-{name}", "client_id": f"76b5cb91-a0a4-4ea0-a894-{self.number(name):012}",
             "excluded_endpoints": [{"method": "GET", "path": EXCLUDED}]}
            for name in self.clients
        ]
        catalog = {"organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "apps": apps}]}
        with self.server.client() as api:
            api.put("/api/v1/catalog", json=catalog).raise_for_status()
            for app, (name, kind) in zip(apps, self.clients.items(), strict=True):
                if kind.is_hub:
                    self.credentials[name] = str(app["client_id"])
                else:
                    made = api.post(f"/api/v1/apps/{app['id']}/write-tokens", json={"name": name})
                    self.credentials[name] = made.raise_for_status().json()["token"]

    def start(self, *environments: str) -> None:
        """One more process of every client's app in each of these environments listens."""
        started = [
            RunningApp(kind, self.folder, environment, self.credentials[name], self.server.url)
            for environment in environments
            for name, kind in self.clients.items()
        ]
        self.running += started
        for app in started:
            app.spawn()
        for app in started:
            app.wait()

    def stop(self, apps: Iterable[RunningApp] | None = None) -> None:
        """These processes, or all, have ended, and have sent before what they could."""
        ending = list(self.running if apps is None else apps)
        list(self._pool.map(RunningApp.stop, ending))
        self.running = [app for app in self.running if app.process is not None]

    def call(self, base: int = 0) -> list[Future[None]]:
        """Every process is asked the known set of requests, those of a client one after another; `counted` grows."""
        return [self._pool.submit(self._call_client, name, base) for name in self.clients]

    def _call_client(self, client: str, base: int) -> None:
        for number, app in enumerate([app for app in self.running if app.client.name == client]):
            made = make_known_calls({app.environment: app.url}, client, base + 1000 * number)
            self.counted[client] = add(self.counted.get(client, {}), made)

    def expected(self, client: str) -> Seen:
        return expected_of(self.counted[client])

    def seen(self, client: str) -> Seen:
        """The answers of the server about a client's app, for every environment and consumer that it knows of."""
        environments = {ANY: None, **self._ids(client, "environments", "name")}
        consumers = {ANY: None, **self._ids(client, "consumers", "identifier")}
        amounts = {
            (environment, consumer): self.traffic(client, app_env_id=place, consumer_id=who)
            for environment, place in environments.items()
            for consumer, who in consumers.items()
        }
        return {key: amount for key, amount in amounts.items() if amount != Amount() or key == (ANY, ANY)}

    def consumers(self, client: str) -> dict[str, tuple[str | None, str | None]]:
        """Name and group of every consumer that the server knows of."""
        return {each["identifier"]: (each["name"], each["group"]) for each in self._objects(client, "consumers")}

    def _ids(self, client: str, kind: str, name: str) -> dict[str, int]:
        return {each[name]: each["id"] for each in self._objects(client, kind)}

    def _objects(self, client: str, kind: str) -> list[dict[str, Any]]:
        with self.server.client() as api:
            return api.get(f"/api/v1/{kind}", params={"app": self.number(client)}).raise_for_status().json()["data"]

    def traffic(self, client: str, **asked: int | None) -> Amount:
        """The sum over all hours; AssertionError if an hour holds something that lies outside of the test."""
        given = {name: value for name, value in asked.items() if value is not None}
        answer = httpx.get(
            f"{self.server.url}/v1/apps/{self.number(client)}/traffic", headers={"Api-Key": ADMIN}, timeout=30,
            params={"interval": "hour", "limit": 1000, **given}, trust_env=False,
        )
        whole = Amount()
        for hour in answer.raise_for_status().json()["data"]:
            amount = Amount(hour["requests"], hour["bytes_received"], hour["bytes_sent"])
            ours = dt.datetime.fromisoformat(hour["period_end"]) > self._began
            assert ours or amount == Amount(), hour
            whole = whole.plus(amount)
        return whole

    def settle(self, timeout_s: float) -> None:
        """Returns as soon as the whole of every client is as expected, or after `timeout_s`: the caller compares."""
        give_up_s = time.monotonic() + timeout_s
        waiting = dict.fromkeys(self.clients)
        while waiting and time.monotonic() < give_up_s:
            for client in list(waiting):
                if self.traffic(client) == self.expected(client)[ANY, ANY]:
                    del waiting[client]
            time.sleep(0.1)
