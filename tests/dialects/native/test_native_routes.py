"""Health, version, metrics, and the pages, over ASGI."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from support.kit import ADMIN, READER, app_of, client_of, services_with
from weighbridge import __version__
from weighbridge.dialects.native.routes import native_dialect
from weighbridge.web.pages import WEB_ROUTES

if TYPE_CHECKING:
    import httpx


@dataclass
class Sickly:
    """A health that the test decides."""

    is_ready: bool

    def ready(self) -> tuple[bool, dict[str, str]]:
        return self.is_ready, {"journal": "open" if self.is_ready else "opening"}


def ask(path: str, secret: str | None = None, *, method: str = "GET", **parts: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        async with client_of(app_of([native_dialect(WEB_ROUTES)], services_with(**parts))) as client:
            return await client.request(method, path, headers={"Api-Key": secret} if secret else {})

    return asyncio.run(go())


def test_the_process_answers_and_says_what_it_is() -> None:
    assert ask("/livez").json() == {"status": "ok"}
    assert ask("/version").json() == {"name": "weighbridge", "version": __version__}


@pytest.mark.parametrize(
    ("is_ready", "status", "body"),
    [
        (True, 200, {"status": "ok", "parts": {"journal": "open"}}),
        (False, 503, {"status": "not ready", "parts": {"journal": "opening"}}),
    ],
)
def test_readiness_is_that_of_the_parts(is_ready: bool, status: int, body: dict[str, object]) -> None:
    response = ask("/readyz", health=Sickly(is_ready))
    assert (response.status_code, response.json()) == (status, body)


def test_metrics_are_for_admins() -> None:
    assert ask("/metrics").status_code == 401
    assert ask("/metrics", READER).status_code == 403
    response = ask("/metrics", ADMIN)
    assert response.headers["content-type"].startswith("text/plain")
    assert "# TYPE weighbridge_http_requests_total counter" in response.text


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html"),
        ("/api/reference", "text/html"),
        ("/api/pages.css", "text/css"),
        ("/api/reference.js", "text/javascript"),
    ],
)
def test_pages_load_nothing_from_elsewhere(path: str, content_type: str) -> None:
    response = ask(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{content_type}; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|unsafe|\*", policy)
    assert not re.search(r"https?://|src=\"//|@import|url\(", response.text)
    assert not re.search(
        r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|<script>| style=\"| on\w+=\"", response.text
    )


def test_every_address_that_a_page_names_is_there() -> None:
    for page in ("/", "/api/reference"):
        named = re.findall(r"(?:href|src)=\"(/[^\"]*)\"", ask(page).text)
        assert len(named) > 2
        for path in named:
            assert ask(path).status_code == 200, path
