"""The peer of single events: the same HTTP server, key check and body limit, and a handler that does nothing.

    python -m bench.noop PORT
"""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import Any, cast

from bench.server import ADMIN

from weighbridge.app.clock import SystemClock
from weighbridge.dialects.native.errors import refuse
from weighbridge.http.route import Answer, Call, Dialect, Route
from weighbridge.http.run import serve
from weighbridge.http.server import make_app
from weighbridge.http.services import Services
from weighbridge.model import CatalogView, Key, Scope

RECEIPT = b'{"accepted":1,"duplicates":0,"rejected":[]}'


class _Catalog:
    def __init__(self) -> None:
        digest = sha256(ADMIN.encode()).hexdigest()
        self._view = CatalogView(keys_by_sha256={digest: Key("k", digest, None, "bench", frozenset([Scope.ADMIN]))})

    def view(self) -> CatalogView:
        """One key, nothing else."""
        return self._view


async def _receive(_call: Call) -> Answer:
    return Answer(200, RECEIPT)


async def _ready(_call: Call) -> Answer:
    return Answer(200, b"{}")


def _routes() -> tuple[Route, ...]:
    posted = Route(
        method="POST", path="/api/v1/events", name="post", summary="No-op", handler=_receive, scope=Scope.INGEST,
        body_limit=16 * 1024 * 1024,
    )
    return posted, Route(method="GET", path="/readyz", name="ready", summary="Ready", handler=_ready, scope=None)


def main() -> None:
    """Serves until SIGTERM."""
    nothing = cast("Any", None)
    services = Services(cast("Any", _Catalog()), nothing, nothing, nothing, SystemClock())
    serve(make_app(services, [Dialect("native", ("/",), _routes(), refuse)]), "127.0.0.1", int(sys.argv[1]))


if __name__ == "__main__":
    main()
