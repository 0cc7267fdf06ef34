"""What a test of the HTTP kit needs: services over a view and a clock that the test owns, and a client on the app."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import httpx

from weighbridge.http.server import App, HttpSettings, make_app
from weighbridge.http.services import Services
from weighbridge.model import CatalogView, Key, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weighbridge.http.route import Dialect

NOW_S = 1_765_728_000
"""2025-12-14T16:00:00Z."""
ADMIN = "admin-key"
READER = "reader-key"
SENDER = "sender-key"


@dataclass
class HandClock:
    """A clock that moves when the test says so."""

    at_us: int = NOW_S * 1_000_000

    def now_us(self) -> int:
        return self.at_us

    def advance(self, seconds: float) -> None:
        self.at_us += round(seconds * 1_000_000)


@dataclass
class StillCatalog:
    """A catalog of which only the view is asked for."""

    living: CatalogView

    def view(self) -> CatalogView:
        return self.living


def key(secret: str, scopes: Iterable[Scope], organization: str | None = "org_acme", **fields: Any) -> Key:
    return Key(
        id=f"key_{secret}",
        sha256=sha256(secret.encode()).hexdigest(),
        organization=organization,
        name=secret,
        scopes=frozenset(scopes),
        **fields,
    )


KEYS = (
    key(ADMIN, [Scope.ADMIN], None),
    key(READER, [Scope.TRAFFIC_READ]),
    key(SENDER, [Scope.INGEST]),
)


def view_with(*keys: Key) -> CatalogView:
    return CatalogView(keys_by_sha256={each.sha256: each for each in keys or KEYS})


def services_with(view: CatalogView | None = None, clock: HandClock | None = None, **parts: Any) -> Services:
    """Services whose catalog is `view`; stores, journal and intake are there only where `parts` names them."""
    nothing = cast("Any", None)
    return Services(
        catalog=cast("Any", StillCatalog(view or view_with())),
        store=parts.pop("store", nothing),
        journal=parts.pop("journal", nothing),
        intake=parts.pop("intake", nothing),
        clock=clock or HandClock(),
        **parts,
    )


def app_of(dialects: Sequence[Dialect], services: Services | None = None, **settings: Any) -> App:
    return make_app(services or services_with(), dialects, settings=HttpSettings(**settings))


def client_of(app: App) -> httpx.AsyncClient:
    """A client that talks to the app without a socket; exceptions of the app reach the test."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://weighbridge.test")
