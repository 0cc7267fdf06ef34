"""What our ASGI middleware costs a request, beside Apitally's and none.

    python bench/middleware.py [--python PYTHON] [--requests N] [--rounds N]

PYTHON is an interpreter that has Starlette, and Apitally's package for that row (`pip install apitally[starlette]==0.25.1`
into an environment of its own); without it, the one that runs this. Each measurement is a process of its own around the
same Starlette app with one route, driven without sockets; the three take turns, and the medians of all rounds are told.
CPU time is that of the whole process: our thread that sends (every second here, to a sink on loopback) is in it,
Apitally's sync loop is not, because nobody starts its lifespan.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

CASES = ("none", "weighbridge", "apitally")
REQUESTS, ROUNDS = 20_000, 7
BAR_US = 20.0
BODY = b"x" * 2_048
ROOT = Path(__file__).resolve().parent.parent


class Sink(BaseHTTPRequestHandler):
    """Says of every body that all of its events were accepted."""

    def do_POST(self) -> None:
        """Answers with a receipt."""
        body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
        answer = json.dumps({"accepted": len(json.loads(body)), "duplicates": 0, "rejected": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""


def app_of(case: str) -> Any:  # noqa: ANN401  any ASGI callable
    from starlette.applications import Starlette  # noqa: PLC0415  only where it is measured
    from starlette.requests import Request  # noqa: PLC0415, TC002
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def item(_request: Request) -> Response:
        return Response(BODY)

    app: Any = Starlette(routes=[Route("/items/{item_id}", item)])
    if case == "weighbridge":
        from weighbridge.asgi import Meter  # noqa: PLC0415

        app = Meter(app, consumer=lambda scope: "alice" if scope["headers"] else None, interval_s=1)
    if case == "apitally":
        from apitally.starlette import ApitallyMiddleware  # noqa: PLC0415

        app.add_middleware(
            ApitallyMiddleware, client_id="76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9", env="bench", openapi_url=None,
            consumer_callback=lambda request: "alice" if request.scope["headers"] else None,
        )
    return app


async def drive(app: Any, requests: int) -> None:  # noqa: ANN401  any ASGI callable
    headers = [
        (b"host", b"127.0.0.1:8080"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip"),
        (b"authorization", b"Bearer 0123456789abcdef"), (b"content-type", b"application/json"),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/items/17", "raw_path": b"/items/17", "query_string": b"", "root_path": "", "headers": headers,
        "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 40_000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: object) -> None:
        pass

    for number in range(requests):
        await app({**scope, "path": f"/items/{number}", "state": {}}, receive, send)


def measure(case: str, requests: int) -> tuple[float, float]:
    """Wall and CPU microseconds a request."""
    import asyncio  # noqa: PLC0415

    async def run() -> tuple[float, float]:
        app = app_of(case)
        await drive(app, requests // 10)
        wall, cpu = perf_counter(), process_time()
        await drive(app, requests)
        return (perf_counter() - wall) / requests * 1e6, (process_time() - cpu) / requests * 1e6

    return asyncio.run(run())


def measure_apart(python: str, case: str, requests: int, url: str) -> tuple[float, float] | None:
    """The same in a process of its own; None where the interpreter lacks what the case needs."""
    told = {"PYTHONPATH": str(ROOT / "src"), "WEIGHBRIDGE_URL": url, "WEIGHBRIDGE_KEY": "k", "APITALLY_HUB_BASE_URL": url}
    command = [python, __file__, "--measure", case, "--requests", str(requests)]
    done = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, check=False)
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        sys.exit(done.stderr)
    wall, cpu = json.loads(done.stdout)
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that is measured")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--measure", choices=CASES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.measure, chosen.requests)))
        return
    sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    found: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    for _ in range(chosen.rounds):
        for case in CASES:
            figures = measure_apart(chosen.python, case, chosen.requests, f"http://127.0.0.1:{sink.server_port}")
            if figures:
                found[case].append(figures)
    medians = {case: [statistics.median(column) for column in zip(*rows, strict=True)] for case, rows in found.items() if rows}
    print(f"{'µs a request':<14}{'wall':>8}{'CPU':>8}{'more, wall':>12}{'more, CPU':>12}")
    for case, (wall, cpu) in medians.items():
        print(f"{case:<14}{wall:>8.1f}{cpu:>8.1f}{wall - medians['none'][0]:>12.1f}{cpu - medians['none'][1]:>12.1f}")
    costs_us = medians["weighbridge"][1] - medians["none"][1]
    print(f"bar: at most {BAR_US:g} µs more a request: {'met' if costs_us <= BAR_US else 'missed'}")
    if "apitally" not in medians:
        print("no Apitally in this interpreter; see --help")


if __name__ == "__main__":
    main()
