"""API keys over HTTP."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from support.kit import HandClock, app_of, client_of, services_with
from weighbridge.dialects.native.catalog import CATALOG_ROUTES
from weighbridge.dialects.native.errors import refuse
from weighbridge.dialects.native.keys import KEY_ROUTES
from weighbridge.http.route import Dialect
from weighbridge.storage.catalog.store import FILE_NAME, SqlCatalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    Ask = Callable[..., httpx.Response]

ADMIN = "the operator's secret"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog's file to begin with."""
    folder = tmp_path_factory.mktemp("prepared")
    catalog = SqlCatalog(folder, HandClock())
    catalog.admin_key(ADMIN)
    catalog.apply({"organizations": [
        {"id": "org_acme", "slug": "acme", "name": "Acme", "projects": [{"id": "p", "slug": "p"}]},
        {"id": "org_bolt", "slug": "bolt", "name": "Bolt"}]})
    catalog.close()
    return folder / FILE_NAME


@pytest.fixture
def ask(tmp_path: Path, prepared: Path) -> Iterator[Ask]:
    shutil.copy(prepared, tmp_path / FILE_NAME)
    catalog = SqlCatalog(tmp_path, HandClock())
    services = services_with(catalog.view())
    object.__setattr__(services, "catalog", catalog)
    app = app_of([Dialect("native", ("/",), (*CATALOG_ROUTES, *KEY_ROUTES), refuse)], services)

    def send(method: str, path: str, secret: str = ADMIN, body: Any = None) -> httpx.Response:
        async def send() -> httpx.Response:
            async with client_of(app) as client:
                return await client.request(method, f"/api/v1{path}", json=body, headers={"Authorization": secret})

        return asyncio.run(send())

    yield send
    catalog.close()


def made(ask: Ask, secret: str = ADMIN, **fields: Any) -> dict[str, Any]:
    body = {"organization": "org_acme", "name": "k", "scopes": ["catalog:write"]} | fields
    answer = ask("POST", "/keys", secret, body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_key_is_shown_once(ask: Ask) -> None:
    answer = ask("POST", "/keys", body={"organization": "org_acme", "name": "edge-1", "scopes": ["ingest"]})
    shown = answer.json()
    assert answer.status_code == 201
    assert "no-store" in answer.headers["cache-control"]
    assert re.fullmatch(r"[a-zA-Z0-9]{7}\.[a-zA-Z0-9]{32}", shown["key"])
    assert shown == {
        "id": shown["id"], "key": shown["key"], "organization": "org_acme", "project": None, "name": "edge-1",
        "scopes": ["ingest"], "created_at": "2025-12-14T16:00:00Z", "expires_at": None}
    del shown["key"]
    one = ask("GET", answer.headers["location"].removeprefix("/api/v1"))
    assert one.json() == shown
    listed = ask("GET", "/keys?organization=org_acme").json()
    assert listed == {"data": [shown], "has_more": False, "next_token": None}


def test_a_key_works_at_once_and_not_once_it_is_revoked(ask: Ask) -> None:
    key = made(ask)
    assert ask("GET", "/keys", key["key"]).json()["data"][0]["id"] == key["id"]
    assert ask("DELETE", f"/keys/{key['id']}", key["key"]).status_code == 204
    assert ask("GET", "/keys", key["key"]).status_code == 401
    assert ask("GET", f"/keys/{key['id']}").status_code == 404


def test_a_key_with_an_end(ask: Ask) -> None:
    assert made(ask, expires_at="2025-12-15T00:00:00+01:00")["expires_at"] == "2025-12-14T23:00:00Z"


@pytest.mark.parametrize(("fields", "status"), [
    ({"scopes": ["ingest"]}, 403),
    ({"scopes": ["admin"], "organization": None}, 403),
    ({"organization": "org_bolt"}, 404),
    ({"organization": "nix"}, 404),
    ({"project": "nix"}, 404),
    ({"scopes": ["all"]}, 422),
    ({"expires_at": "2020-01-01"}, 422),
    ({"name": "\x00"}, 422),
    ({"key": "mine"}, 422),
    ({}, 201),
    ({"organization": None}, 201),
    ({"project": "p"}, 201),
])
def test_what_a_key_may_make(ask: Ask, fields: dict[str, Any], status: int) -> None:
    secret = made(ask)["key"]
    body = {"organization": "org_acme", "name": "k", "scopes": ["catalog:write"]} | fields
    assert ask("POST", "/keys", secret, body).status_code == status


def test_keys_take_the_scope_for_them(ask: Ask) -> None:
    secret = made(ask, scopes=["ingest", "traffic:read", "vpn:view", "billing"])["key"]
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("GET", "/keys/x"), ("DELETE", "/keys/x")):
        assert ask(method, path, secret).status_code == 403


def test_keys_of_others_are_not_there(ask: Ask) -> None:
    mine, other = made(ask)["key"], made(ask, organization="org_bolt")["id"]
    for method in ("GET", "DELETE"):
        assert ask(method, f"/keys/{other}", mine).status_code == 404
        assert ask(method, "/keys/key_admin", mine).status_code == 404
    assert ask("GET", "/keys?organization=org_bolt", mine).status_code == 404
    assert other not in [key["id"] for key in ask("GET", "/keys", mine).json()["data"]]


def test_the_operators_key_stays(ask: Ask) -> None:
    assert ask("DELETE", "/keys/key_admin").status_code == 409
    assert ask("GET", "/keys/key_admin").json()["organization"] is None
