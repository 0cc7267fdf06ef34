"""Our own API: everything outside the vendors' paths, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from weighbridge import __version__
from weighbridge.dialects.native.asking import ASKING_ROUTES
from weighbridge.dialects.native.catalog import CATALOG_ROUTES
from weighbridge.dialects.native.collected import COLLECTED_ROUTES
from weighbridge.dialects.native.errors import refuse
from weighbridge.dialects.native.flows import FLOW_ROUTES
from weighbridge.dialects.native.keys import KEY_ROUTES
from weighbridge.dialects.native.write_tokens import WRITE_TOKEN_ROUTES
from weighbridge.http.route import PROBLEM, Answer, Dialect, Documented, Route
from weighbridge.model import Scope

if TYPE_CHECKING:
    from weighbridge.http.route import Call


async def answer_livez(_call: Call) -> Answer:
    """The process answers."""
    return Answer(200, b'{"status":"ok"}')


def answer_readyz(call: Call) -> Answer:
    """Whether requests can be served: 200 or 503, with a word on each part."""
    is_ready, parts = call.services.health.ready()
    body = msgspec.json.encode({"status": "ok" if is_ready else "not ready", "parts": parts})
    return Answer(200 if is_ready else 503, body, headers=(("Cache-Control", "no-store"),))


async def answer_version(_call: Call) -> Answer:
    """What runs here."""
    return Answer(200, msgspec.json.encode({"name": "weighbridge", "version": __version__}))


def answer_metrics(call: Call) -> Answer:
    """The figures of this process, for Prometheus."""
    return Answer(200, generate_latest(call.services.metrics.registry), CONTENT_TYPE_LATEST)


_STATUS = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
_READINESS = {
    "type": "object",
    "required": ["status", "parts"],
    "properties": {
        "status": {"enum": ["ok", "not ready"]},
        "parts": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_VERSION = {
    "type": "object",
    "required": ["name", "version"],
    "properties": {"name": {"const": "weighbridge"}, "version": {"type": "string"}},
}

HEALTH_ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/livez",
        name="livez",
        summary="Whether the process answers",
        handler=answer_livez,
        scope=None,
        answers={200: Documented("It does", {"application/json": _STATUS}, {"status": "ok"})},
    ),
    Route(
        method="GET",
        path="/readyz",
        name="readyz",
        summary="Whether stores are open and the journal is folding",
        handler=answer_readyz,
        scope=None,
        answers={
            200: Documented(
                "Ready",
                {"application/json": _READINESS},
                {"status": "ok", "parts": {"journal": "open", "fold": "running"}},
            ),
            503: Documented(
                "Not ready, or busy",
                {"application/json": _READINESS, **PROBLEM.content},
                {"status": "not ready", "parts": {"store": "opening"}},
            ),
        },
    ),
    Route(
        method="GET",
        path="/version",
        name="version",
        summary="What runs here",
        handler=answer_version,
        scope=None,
        answers={
            200: Documented(
                "Name and version", {"application/json": _VERSION}, {"name": "weighbridge", "version": __version__}
            )
        },
    ),
    Route(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Figures of this process for Prometheus",
        handler=answer_metrics,
        scope=Scope.ADMIN,
        answers={
            200: Documented(
                "Text exposition format",
                {CONTENT_TYPE_LATEST: {"type": "string"}},
                'weighbridge_http_requests_total{route="livez",status="200"} 3.0\n',
            )
        },
    ),
)


def native_dialect(extra_routes: tuple[Route, ...] = ()) -> Dialect:
    """Our own dialect with `extra_routes`: those of sources and of the web pages, which only app/build.py knows."""
    ours = (*HEALTH_ROUTES, *ASKING_ROUTES, *FLOW_ROUTES, *CATALOG_ROUTES, *KEY_ROUTES, *WRITE_TOKEN_ROUTES)
    routes = (*ours, *COLLECTED_ROUTES, *extra_routes)
    return Dialect(name="native", prefixes=("/",), routes=routes, refuse=refuse)


DIALECT = native_dialect()
