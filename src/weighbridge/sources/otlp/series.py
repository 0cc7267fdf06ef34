"""Data points to figures: whose they are, over which stretch of time, and which of them cannot be counted.

Points of delta temporality are usage over [start, time). Of cumulative temporality they are readings of a counter, which
is known by everything that tells one stream from another, its start included (docs/decisions/0008-otlp-streams.md).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from weighbridge.measurement import MAX_DURATION_S
from weighbridge.metering.counting import LARGEST_PART
from weighbridge.metering.messages import Figure
from weighbridge.sources.otlp.metrics import MAX_ATTRIBUTES, Kind, Temporality, canonical, digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weighbridge.sources.otlp.metrics import Attributes, Metric, Point, Value

DEFAULT_ENVIRONMENT = "default"
REASONS_TOLD = 5
"""Different reasons in one answer: what is wrong with a sender is rarely more than one thing."""
REASON_CHARACTERS = 300

_ENVIRONMENT_NAMES = ("deployment.environment.name", "deployment.environment")
_METHOD_NAMES = ("http.request.method", "http.method")
_ROUTE_NAMES = ("http.route",)
_CONSUMER_NAMES = ("apitally.consumer.identifier",)
_TOO_MANY_ATTRIBUTES = f"more than {MAX_ATTRIBUTES} attributes, or 1 MiB of them"


class Refusals:
    """How many points were not counted, and why; and what else the sender should know."""

    def __init__(self) -> None:
        self.points = 0
        self.warning = ""
        self._reasons: Counter[str] = Counter()

    def add(self, reason: str, points: int = 1) -> None:
        """So many points were not counted for this reason."""
        self.points += points
        reason = reason[:REASON_CHARACTERS]
        if reason in self._reasons or len(self._reasons) < REASONS_TOLD:
            self._reasons[reason] += points

    def sentence(self) -> str:
        """What a person reads; empty where all is well."""
        if not self.points:
            return self.warning
        told = "; ".join(f"{reason} ({count})" for reason, count in self._reasons.items())
        more = "" if self._reasons.total() == self.points else "; and other reasons"
        return f"{self.points} data points were not counted: {told}{more}" + (self.warning and f". {self.warning}")


@dataclass
class Told:
    """What an export says: figures, how many of its points each stands for, and what cannot be counted."""

    figures: list[Figure] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)

    def add(self, figure: Figure, points: int) -> None:
        """One figure more."""
        self.figures.append(figure)
        self.points.append(points)


class _UncountableError(Exception):
    """The point cannot be counted; the text is the reason."""


@dataclass(slots=True)
class _Usage:
    """Points of one series over one stretch of time."""

    amounts: dict[str, int | None]
    points: int = 0


_Place = tuple[str | None, str | None, str | None, str | None]
"""Environment, consumer, method, path."""


def figures_of(metrics: Iterable[Metric], subject: str, environment: str | None) -> Told:
    """What these metrics say of `subject`. `environment` None: as their resources say. UnreadableError of their points.

    Where one resource and scope tells the same under the stable names and the older ones, the stable ones count.
    """
    metrics = list(metrics)
    stable = {metric.origin.digest for metric in metrics if metric.quantity.is_stable}
    telling = _Telling(subject, environment)
    for metric in metrics:
        if metric.quantity.is_stable or metric.origin.digest not in stable:
            telling.take(metric)
    return telling.finish()


class _Telling:
    """Figures in the making."""

    def __init__(self, subject: str, environment: str | None) -> None:
        self._subject = subject
        self._environment = environment
        self._told = Told()
        self._usage: dict[tuple[_Place, int | None, int], _Usage] = {}

    def take(self, metric: Metric) -> None:
        """The points of a metric are figures, or refused."""
        reason = _uncountable(metric)
        if reason is not None:
            self._told.refusals.add(f"{metric.name}: {reason}", len(metric.points))
            return
        environment = self._environment or environment_of(metric.origin.resource.attributes or {})
        for point in metric.points:
            if point.is_absent:
                continue
            try:
                self._take_point(metric, point, environment)
            except _UncountableError as error:
                self._told.refusals.add(f"{metric.name}: {error}")

    def _take_point(self, metric: Metric, point: Point, environment: str) -> None:
        if point.attributes is None:
            raise _UncountableError(_TOO_MANY_ATTRIBUTES)
        if not point.time_ns:
            raise _UncountableError("a point has no time")
        amount = _amount(metric, point)
        place = _place(point.attributes, environment)
        if metric.temporality == Temporality.DELTA:
            if amount is not None and amount >= LARGEST_PART:  # refused alone, not with those of its series
                raise _UncountableError(f"an amount is larger than {LARGEST_PART - 1}")
            self._add_usage(place, _stretch(point), metric.quantity.column, amount)
        elif amount is not None:
            self._told.add(self._reading(metric, point, place, amount), 1)

    def _reading(self, metric: Metric, point: Point, place: _Place, amount: int) -> Figure:
        start_us, end_us = _stretch(point)
        if start_us is not None and end_us - start_us > MAX_DURATION_S * 1_000_000:
            start_us = None  # longer than anything may be told of: counted from its first reading on
        return self._figure(place, start_us, end_us, {metric.quantity.column: amount}, _stream(metric, point))

    def _add_usage(self, place: _Place, stretch: tuple[int | None, int], column: str, amount: int | None) -> None:
        """Points of one series and stretch are one figure, so that what one metric does not tell another may."""
        key = (place, *stretch)
        usage = self._usage.setdefault(key, _Usage({}))
        known = usage.amounts.get(column)
        if known is not None and amount is not None and known + amount >= LARGEST_PART:
            self._add_figure(key, usage)
            usage = self._usage[key] = _Usage({})
            known = None
        usage.amounts[column] = known if amount is None else amount + (known or 0)
        usage.points += 1

    def _add_figure(self, key: tuple[_Place, int | None, int], usage: _Usage) -> None:
        self._told.add(self._figure(*key, usage.amounts, None), usage.points)

    def _figure(
        self, place: _Place, start_us: int | None, end_us: int, amounts: dict[str, int | None], counter: str | None
    ) -> Figure:
        environment, consumer, method, path = place
        return Figure(
            subject=self._subject, end_us=end_us, start_us=start_us, environment=environment, consumer=consumer,
            method=method, path=path, counter=counter, requests=amounts.get("requests"),
            bytes_in=amounts.get("bytes_in"), bytes_out=amounts.get("bytes_out"),
        )

    def finish(self) -> Told:
        """Everything that was taken."""
        for key, usage in self._usage.items():
            self._add_figure(key, usage)
        self._usage = {}
        return self._told


def without_starts(figures: Iterable[Figure]) -> list[Figure]:
    """The same, but no counter says when it began: those that are new begin now, and bill nothing yet."""
    return [
        figure if figure.counter is None else msgspec.structs.replace(figure, start_us=None) for figure in figures
    ]


def _uncountable(metric: Metric) -> str | None:
    """Why no point of a metric can be counted, whatever it says; None: they can."""
    column = metric.quantity.column
    if metric.origin.resource.attributes is None or metric.origin.scope is None:
        return f"its resource or scope has {_TOO_MANY_ATTRIBUTES}"
    if metric.kind not in (Kind.HISTOGRAM, Kind.SUM):
        return f"a {metric.kind.value} cannot be added up; send a histogram"
    if metric.kind is Kind.SUM and (column == "requests" or not metric.is_monotonic):
        return "this sum does not count anything; send a histogram"
    if metric.temporality not in (Temporality.DELTA, Temporality.CUMULATIVE):
        return "its aggregation temporality is neither delta nor cumulative"
    if column != "requests" and metric.unit not in ("By", ""):
        return f"its unit is {metric.unit[:40]!r}; bytes are By"
    return None


def _amount(metric: Metric, point: Point) -> int | None:
    """What a point adds to its column, None where it does not tell. _UncountableError: it cannot be."""
    if metric.quantity.column == "requests":
        return point.count
    told = point.sum
    if told is None:
        return 0 if metric.kind is Kind.HISTOGRAM and point.count == 0 else None
    if isinstance(told, float):
        if not math.isfinite(told):
            raise _UncountableError("a sum is not finite")
        if not told.is_integer():
            raise _UncountableError("a sum is no whole number of bytes")
    if told < 0:
        raise _UncountableError("a sum is negative")
    return int(told)


def _stretch(point: Point) -> tuple[int | None, int]:
    """Start (None: unknown) and end in µs."""
    return (point.start_ns // 1000 if point.start_ns else None), point.time_ns // 1000


def _place(attributes: Attributes, environment: str) -> _Place:
    """Method and path go together. A path is a route's template, never a raw target: those have no end."""
    method, path = _text(attributes, _METHOD_NAMES), _text(attributes, _ROUTE_NAMES)
    if method is None or path is None:
        method = path = None
    return environment, _text(attributes, _CONSUMER_NAMES), method and method.upper(), path


def environment_of(resource: Attributes) -> str:
    """The environment that a resource with these attributes is in."""
    return _text(resource, _ENVIRONMENT_NAMES) or DEFAULT_ENVIRONMENT


def _text(attributes: Attributes, names: tuple[str, ...]) -> str | None:
    """The first attribute of these names that can be a name of ours; texts are, and integers and truth values."""
    for name in names:
        value: Value = attributes.get(name)
        if isinstance(value, str | int) and value != "":
            return str(value)
    return None


def _stream(metric: Metric, point: Point) -> str:
    """The name of the counter that a cumulative point reads: the same for no two streams, and for ever for one."""
    return digest(metric.origin.digest, metric.name, canonical(point.attributes), str(point.start_ns))
