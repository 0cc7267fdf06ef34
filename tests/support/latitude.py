"""Requests to the Latitude.sh dialect; every answer is held against two schemas, in which integers are integers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from support.kit import KEYS, READER, HandClock, app_of, client_of, key, services_with
from weighbridge.dialects.latitude.routes import DIALECT
from weighbridge.dialects.latitude.wire import SCHEMAS
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from support.worlds import World
    from weighbridge.http.server import App

T = 1_765_728_000
"""2025-12-14T16:00:00Z."""
CONTENT_TYPE = "application/vnd.api+json"
OTHER = "other-key"
NARROW = "narrow-key"

SEED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "dialects/latitude/seed.json").read_text(encoding="utf-8"))
"""The schemas of the vendor's documents, typed again by hand; what its answers always hold is required."""

_STRICT = extend(Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)))


def must_be(name: str, body: object) -> None:
    """Raises ValidationError unless the body is what both schemas say."""
    for schemas in (SCHEMAS, SEED):
        if name in schemas:
            _STRICT(schemas[name]).validate(body)


def app_with(world: World, now_s: int = T, **settings: Any) -> App:
    """The dialect alone, over a world."""
    own = (key(OTHER, [Scope.TRAFFIC_READ], "org_bolt"), key(NARROW, [Scope.TRAFFIC_READ], "org_acme", project="p2"))
    world.view.keys_by_sha256.update({each.sha256: each for each in (*KEYS, *own)})
    services = services_with(world.view, HandClock(now_s * 1_000_000), store=world.store)
    return app_of([DIALECT], services, **settings)


def ask(
    app: App, path: str, filters: Mapping[str, str] | None = None, *, secret: str = READER, method: str = "GET",
) -> httpx.Response:
    """The answer, of the vendor's content type, whatever it says; an error is of the errors' shape."""
    params = {f"filter{name}": value for name, value in (filters or {}).items()}

    async def send() -> httpx.Response:
        async with client_of(app) as client:
            return await client.request(method, path, params=params or None, headers={"Authorization": secret})

    answer = asyncio.run(send())
    assert answer.headers["content-type"] == CONTENT_TYPE
    if answer.status_code != 200:
        must_be("errors", answer.json())
        assert answer.json()["errors"][0]["status"] == str(answer.status_code)
    return answer


def traffic(world: World, gte: str, lte: str, now_s: int = T, secret: str = READER, **filters: str) -> dict[str, Any]:
    """`data.attributes` of a 200 of /traffic."""
    asked = {"[date][gte]": gte, "[date][lte]": lte} | {f"[{name}]": value for name, value in filters.items()}
    answer = ask(app_with(world, now_s), "/traffic", asked, secret=secret)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    must_be("traffic", body)
    assert (body["data"]["id"], body["data"]["type"], body["meta"]) == ("", "traffic", {})
    assert b"null" not in answer.content
    return cast("dict[str, Any]", body["data"]["attributes"])
