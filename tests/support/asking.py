"""Two organizations with a little traffic, and what our own routes of CONTRACT part 4 answer about them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from support.kit import KEYS, READER, HandClock, app_of, client_of, key, services_with
from support.worlds import World
from weighbridge.dialects.native.asking import ASKING_ROUTES
from weighbridge.dialects.native.errors import refuse
from weighbridge.http.route import Dialect
from weighbridge.model import Allowance, Kind, Quota, Scope

if TYPE_CHECKING:
    import httpx

NATIVE = Dialect("native", ("/",), ASKING_ROUTES, refuse)
T = 1_765_728_000  # 2025-12-14T16:00:00Z
OTHER = "other-key"
NARROW = "narrow-key"


@dataclass
class StillIntake:
    """An intake of which only the watermark is asked."""

    at_us: int = T * 1_000_000 + 250

    def watermark_us(self) -> int:
        return self.at_us


def world_of_two() -> World:
    world = World()
    for slug in ("brazil", "chile"):
        world.region(slug)
    world.organization("org_acme")
    world.organization("org_bolt", time_zone="America/New_York", billing_day=14)
    world.project("p1", "org_acme", Quota("brazil", 500, Allowance(20, 1), Allowance(100, 0)), price=500)
    world.project("p2", "org_acme")
    world.project("p3", "org_bolt")
    world.moves(world.server("sv_1", (0, "p1", "brazil"), (T - 3600, "p2", "chile")), T - 7200, 100, 200)
    world.moves(1, T - 3600, 1000, 2000)
    world.moves(world.server("sv_2", (0, "p3", "chile")), T - 3600, 5, 6, 7)
    world.vpn("org_acme", "brazil", "alice")
    world.moves(4, T - 3600, 10, None, None)
    world.app(1, "org_acme")
    world.environment(1, 1, "prod")
    world.consumer(7, 1, "alice")
    world.moves(world.series(Kind.APP, "1", environment=1, consumer=7), T - 3600, None, None, 9)
    world.space(123, "org_acme")
    return world


def get(path: str, secret: str = READER, world: World | None = None, **headers: str) -> httpx.Response:
    """The answer to one request of a world, at T plus 10 minutes."""
    asked = world or world_of_two()
    keys = (*KEYS, key(OTHER, [Scope.TRAFFIC_READ], "org_bolt"),
            key(NARROW, [Scope.TRAFFIC_READ], "org_acme", project="p1"))
    asked.view.keys_by_sha256.update({each.sha256: each for each in keys})
    services = services_with(asked.view, HandClock((T + 600) * 1_000_000), store=asked.store, intake=StillIntake())

    async def ask() -> httpx.Response:
        async with client_of(app_of([NATIVE], services)) as client:
            return await client.get(path, headers={"Authorization": secret} | headers)

    return asyncio.run(ask())


def good(path: str, secret: str = READER, world: World | None = None, **headers: str) -> Any:
    """The body of a 200, which holds what OpenAPI promises."""
    answer = get(path, secret, world, **headers)
    assert answer.status_code == 200, answer.text
    route = next(route for route in ASKING_ROUTES if route.path == path.partition("?")[0])
    schema = route.answers[200].content["application/json"]
    Draft202012Validator(dict(schema)).validate(answer.json())
    Draft202012Validator(dict(schema)).validate(route.answers[200].example)
    return answer.json()
