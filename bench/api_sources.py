"""How fast an API's own clients are heard: hub syncs and OTLP exports a second, beside the same server's events.

    python -m bench.api_sources [--requests 4000] [--rounds 3]

One connection for each of 16 instances, each request an idempotent message of its own, durable before its answer. The
peer is POST /api/v1/events with as many events as a sync or an export has figures, on the same server in the same run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bodies import event
from bench.connection import RECEIVE_BYTES, ask, connect, missing_bytes, post_head
from bench.machine import describe, load, settle
from bench.server import ADMIN, Server
from bench.table import median
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

FIGURES = 20
"""Endpoint, status and consumer combinations of a small API in one report."""
INSTANCES = 16
CLIENT_ID = "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"
APP = {"id": 1, "name": "shop-api", "client_id": CLIENT_ID}
CATALOG = {"organizations": [{"id": "org_a", "slug": "a", "name": "A", "apps": [APP]}]}


@dataclass
class Rates:
    """What the rounds of one kind came to."""

    requests_s: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def text(self) -> str:
        """Medians, for a person."""
        rate, cpu_us = median(self.requests_s), median(self.cpu_us)
        return f"{rate:>8,.0f} requests/s  {rate * FIGURES:>10,.0f} figures/s  {cpu_us:>7.0f} µs CPU a request"


def syncs() -> Iterator[bytes]:
    """Requests of the hub protocol, each of another instant, instances in turn."""
    instances = [str(uuid.uuid4()) for _ in range(INSTANCES)]
    start_s = time.time() - 3600
    rows = [
        {
            "consumer": f"c{at % 5}", "method": "GET", "path": f"/items/{at}", "status_code": 200, "request_count": 7,
            "request_size_sum": 700, "response_size_sum": 70_000, "response_times": {"10": 7},
            "request_sizes": {"0": 7}, "response_sizes": {"10": 7},
        }
        for at in range(FIGURES)
    ]
    number = 0
    while True:
        number += 1
        body = json.dumps({
            "timestamp": start_s + number * 0.01, "instance_uuid": instances[number % INSTANCES],
            "message_uuid": str(uuid.uuid4()), "requests": rows, "validation_errors": [], "server_errors": [],
            "consumers": [], "resources": None,
        }).encode()
        yield post_head(f"/v2/{CLIENT_ID}/prod/sync", "none", "application/json", len(body)) + body


def exports(token: str) -> Iterator[bytes]:
    """OTLP exports of three exponential histograms with delta temporality, gzip, as apitally 1.x sends them."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for name in ("request.duration", "request.body.size", "response.body.size"):
        metric = scope.metrics.add(name=f"http.server.{name}", unit="s" if "duration" in name else "By")
        metric.exponential_histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_DELTA
        for at in range(FIGURES):
            point = metric.exponential_histogram.data_points.add(count=7, sum=700.0)
            for key, value in (
                ("http.request.method", "GET"), ("http.route", f"/items/{at}"), ("apitally.consumer.identifier", f"c{at % 5}")
            ):
                point.attributes.add(key=key).value.string_value = value
    start_ns = (int(time.time()) - 3600) * 10**9
    number = 0
    while True:
        number += 1
        for metric in scope.metrics:
            for point in metric.exponential_histogram.data_points:
                point.start_time_unix_nano = start_ns + number * 10**7
                point.time_unix_nano = start_ns + (number + 1) * 10**7
        body = gzip.compress(request.SerializeToString(), 1)
        head = post_head("/v1/metrics", token, "application/x-protobuf", len(body))
        yield head.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + body


def events() -> Iterator[bytes]:
    """As many events, in a request each time."""
    now_s, number = int(time.time()), 0
    while True:
        number += 1
        rows = [
            event(f"b{number}-{at}", f"app/1|prod|c{at % 5}", now_s - number % 240, (700, 70_000)) for at in range(FIGURES)
        ]
        body = b"[" + b",".join(rows) + b"]"
        yield post_head("/api/v1/events", ADMIN, "application/json", len(body)) + body


def run(server: Server, requests: list[bytes], rates: Rates) -> None:
    """All requests are answered 2xx, INSTANCES of them at a time; rate and CPU."""
    connections = [connect(server.port) for _ in range(INSTANCES)]
    before_s = settle(server.pid)
    began = time.perf_counter()
    for first in range(0, len(requests), INSTANCES):
        batch = list(zip(connections, requests[first : first + INSTANCES], strict=False))
        for connection, request in batch:
            connection.sendall(request)
        for connection, _ in batch:
            _must_be_well(connection)
    took_s = time.perf_counter() - began
    rates.requests_s.append(len(requests) / took_s)
    rates.cpu_us.append((settle(server.pid) - before_s) / len(requests) * 1e6)
    for connection in connections:
        connection.close()


def _must_be_well(connection: socket.socket) -> None:
    data = b""
    while missing_bytes(data) > 0:
        data += connection.recv(RECEIVE_BYTES)
    if data[9:10] != b"2":
        raise RuntimeError(data[:500])


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000, help="of each kind in a round")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    print(f"{describe()}; load {load()}; {FIGURES} figures a request, {INSTANCES} connections")
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder, Server(Path(folder) / "data") as server:
        with connect(server.port) as connection:
            body = json.dumps(CATALOG).encode()
            put = post_head("/api/v1/catalog", ADMIN, "application/json", len(body)).replace(b"POST", b"PUT", 1)
            ask(connection, put + body)
            made = ask(connection, post_head("/api/v1/apps/1/write-tokens", ADMIN, "application/json", 2) + b"{}")
            token = json.loads(made[1])["token"]
        kinds: dict[str, Callable[[], Iterator[bytes]]] = {"hub syncs": syncs, "OTLP exports": lambda: exports(token),
                                                           "events (peer)": events}
        sources = {name: make() for name, make in kinds.items()}
        found = {name: Rates() for name in kinds}
        for turn in range(-1, chosen.rounds):
            for name, source in sources.items():
                count = chosen.requests if turn >= 0 else chosen.requests // 10
                run(server, [next(source) for _ in range(count)], found[name] if turn >= 0 else Rates())
    for name, rates in found.items():
        print(f"{name:<14} {rates.text()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
