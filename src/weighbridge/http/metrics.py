"""What is counted about requests, and the registry that other parts add their own figures to."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from weighbridge.metering.desk import Desk
    from weighbridge.metering.intake import Intake

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histogram: fine around the targets of 15 and 50 ms."""


class RequestCounts:
    """Requests by route and status, and their durations by route; a Prometheus collector.

    Plain dicts and lists instead of the library's labelled counters: a third of the time per request. One event loop
    writes; a scrape from another thread may see a request counted and not yet timed, never a torn number.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, route: str, status: int, duration_s: float) -> None:
        """One more request of `route` has been answered with `status`."""
        key = (route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets = self._durations.get(route)
        if buckets is None:
            buckets = self._durations[route] = [0] * (len(BUCKETS_S) + 1)
        buckets[bisect_left(BUCKETS_S, duration_s)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + duration_s

    def collect(self) -> Iterator[Metric]:
        """The figures as Prometheus reads them."""
        requests = CounterMetricFamily("weighbridge_http_requests", "Requests answered", labels=["route", "status"])
        for (route, status), count in list(self._counts.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        durations = HistogramMetricFamily("weighbridge_http_request_seconds", "Time to answer", labels=["route"])
        for route, buckets in list(self._durations.items()):
            durations.add_metric([route], _cumulative(buckets), self._seconds.get(route, 0.0))
        yield durations


class IntakeCounts:
    """What became of usage at the intake; a Prometheus collector."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def collect(self) -> Iterator[Metric]:
        """The figures as Prometheus reads them."""
        taken = CounterMetricFamily("weighbridge_usage", "Events and figures, by what became of them", labels=["outcome"])
        for outcome, count in sorted(self._intake.outcomes().items()):
            taken.add_metric([outcome], count)
        yield taken
        coarser = CounterMetricFamily(
            "weighbridge_usage_coarser", "Figures counted without a name that is over its app's bound", labels=["without"]
        )
        for what, count in sorted(self._intake.coarser().items()):
            coarser.add_metric([what], count)
        yield coarser


class SourceCounts:
    """What collectors say happened, and what became of what they brought in; a Prometheus collector.

    How many label values there may be is the desk's to bound.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        """The figures as Prometheus reads them."""
        counts = CounterMetricFamily(
            "weighbridge_source", "What happened at collectors, by exporter or device", labels=["source", "exporter", "what"]
        )
        for (source, exporter, what), count in sorted(self._desk.counts().items()):
            counts.add_metric([source, exporter, what], count)
        yield counts


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    rows: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), list(buckets), strict=True):
        total += count
        rows.append((bound, total))
    return rows


class Metrics:
    """The process's registry. Each part registers its own collectors; `requests` are those of HTTP.

    `passed_over` is for sources: what they leave out on purpose is counted there by what it is.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestCounts()
        self.registry.register(self.requests)
        self.passed_over = Counter(
            "weighbridge_passed_over", "What sources were sent and did not take, or not as it was", ["source", "what"],
            registry=self.registry,
        )
