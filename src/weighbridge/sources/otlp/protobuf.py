"""Exports in protobuf, the binary encoding of OTLP.

The outer messages are walked, so that what does not count is never parsed and what does is parsed in small parts. Several
exports back to back are one: that is what concatenation means in protobuf, for messages that are in several pieces, too.
Source: opentelemetry/proto/metrics/v1/metrics.proto, and logs/v1/logs.proto.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage

from weighbridge.sources.otlp.logs import EVENTS, Record
from weighbridge.sources.otlp.metrics import (
    COUNTED,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_POINTS,
    Attributes,
    Kind,
    Metric,
    Origin,
    Point,
    Points,
    Resource,
    TooManyError,
    UnreadableError,
    Value,
)
from weighbridge.sources.otlp.wire import NUMBER, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_PART_BYTES = 1024 * 1024
"""Largest resource, scope or point that is parsed: hundreds of times what they weigh, and 30 MB as objects at worst."""

Span = tuple[int, int]
"""Where something lies in the body: start and end."""

# Numbers of fields.
_RESOURCE_METRICS = 1
_RESOURCE, _SCOPE_METRICS = 1, 2
_SCOPE, _METRIC = 1, 2
_NAME, _UNIT = 1, 3
_POINT, _TEMPORALITY, _IS_MONOTONIC = 1, 2, 3
_RESOURCE_LOGS = 1
_SCOPE_LOGS = 2
_LOG_RECORD = 2
_BODY, _EVENT_NAME = 5, 12
_STRING_VALUE = 1
_NO_VALUE = 1  # bit of a point's flags

_DATA: dict[int, tuple[Kind, Any]] = {
    5: (Kind.GAUGE, NumberDataPoint),
    7: (Kind.SUM, NumberDataPoint),
    9: (Kind.HISTOGRAM, HistogramDataPoint),
    10: (Kind.HISTOGRAM, ExponentialHistogramDataPoint),
    11: (Kind.SUMMARY, NumberDataPoint),  # never read, only numbered
}
_NAMES = {name.encode(): name for name in COUNTED}
_EVENTS = {name.encode(): name for name in EVENTS}


def read_metrics(body: bytes) -> list[Metric]:
    """The metrics that count, their points still to be read. UnreadableError, TooManyError."""
    walk = Walk(body)
    metrics: list[Metric] = []
    points = 0
    for number, at, past in walk.fields(0, len(body)):
        if number == _RESOURCE_METRICS and past != NUMBER:
            for metric in _read_resource(walk, (at, past)):
                metrics.append(metric)
                points += len(metric.points)
                if points > MAX_POINTS:
                    raise TooManyError(f"more than {MAX_POINTS:,} data points; send them in several requests")
    return metrics


def _read_resource(walk: Walk, span: Span) -> Iterator[Metric]:
    """The metrics that count of one resource, which is parsed only if there is any."""
    parts = _spans(walk, span, (_RESOURCE, _SCOPE_METRICS))
    resource: Resource | None = None
    for scope_span in parts[_SCOPE_METRICS]:
        inner = _spans(walk, scope_span, (_SCOPE, _METRIC))
        makes = [make for metric_span in inner[_METRIC] if (make := _read_metric(walk, metric_span)) is not None]
        if not makes:
            continue
        if resource is None:
            resource = _resource(walk, parts[_RESOURCE])
        origin = _origin(walk, resource, _parse(InstrumentationScope, _joined(walk.body, inner[_SCOPE])))
        yield from (make(origin) for make in makes)


def _resource(walk: Walk, spans: Sequence[Span]) -> Resource:
    described = _parse(ResourceMessage, _joined(walk.body, spans))
    return Resource(None if described is None else _attributes(walk, described.attributes))


def _origin(walk: Walk, resource: Resource, scope: Any) -> Origin:  # noqa: ANN401  a message, of which there are no types
    if scope is None:
        return Origin(resource, None)
    return Origin(resource, _attributes(walk, scope.attributes), scope.name, scope.version)


def _read_metric(walk: Walk, span: Span) -> Callable[[Origin], Metric] | None:
    """A metric, but for its origin; None: it is none that counts, or has no points."""
    name = unit = b""
    data = 0
    spans: list[Span] = []
    for number, at, past in walk.fields(*span):
        if past == NUMBER:
            continue
        if number == _NAME:
            name = walk.body[at:past]
        elif number == _UNIT:
            unit = walk.body[at:past]
        elif number in _DATA:
            if number != data:  # one of several: the last one holds
                data, spans = number, []
            spans.append((at, past))
    if name not in _NAMES or not spans:
        return None
    kind, message = _DATA[data]
    points, numbers = _read_data(walk, spans)
    if not points:
        return None
    return partial(
        Metric,
        name=_NAMES[name],
        unit=_text(unit),
        kind=kind,
        temporality=numbers.get(_TEMPORALITY, 0),
        is_monotonic=bool(numbers.get(_IS_MONOTONIC, 0)),
        points=Points(points, partial(_read_point, walk, kind, message)),
    )


def _read_data(walk: Walk, spans: Sequence[Span]) -> tuple[list[Span], dict[int, int]]:
    """Where the points lie, and the fields that are numbers."""
    points: list[Span] = []
    numbers: dict[int, int] = {}
    for span in spans:
        for number, at, past in walk.fields(*span):
            if past == NUMBER:
                numbers[number] = at
            elif number == _POINT:
                points.append((at, past))
    return points, numbers


def _read_point(walk: Walk, kind: Kind, message: Any, span: Span) -> Point:  # noqa: ANN401  a message's class
    at, past = span
    point = _parse(message, walk.body[at:past])
    if point is None:
        return Point(attributes=None)
    amount: float | None = None
    if kind is Kind.HISTOGRAM:
        amount = point.sum if point.HasField("sum") else None
    elif (told := point.WhichOneof("value")) is not None:
        amount = getattr(point, told)
    return Point(
        time_ns=point.time_unix_nano,
        start_ns=point.start_time_unix_nano,
        count=point.count if kind is Kind.HISTOGRAM else 0,
        sum=amount,
        attributes=_attributes(walk, point.attributes),
        is_absent=bool(point.flags & _NO_VALUE),
    )


def read_logs(body: bytes) -> Iterator[Record]:
    """The records of EVENTS, decoded one by one. UnreadableError, TooManyError."""
    if not any(name in body for name in _EVENTS):
        return  # of most exports there is nothing to read
    walk = Walk(body)
    for number, at, past in walk.fields(0, len(body)):
        if number == _RESOURCE_LOGS and past != NUMBER:
            yield from _read_records(walk, (at, past))


def _read_records(walk: Walk, span: Span) -> Iterator[Record]:
    """The records that are read of one resource, which is parsed only if there is any."""
    parts = _spans(walk, span, (_RESOURCE, _SCOPE_LOGS))
    resource: Resource | None = None
    for number, at, past in (told for scope_span in parts[_SCOPE_LOGS] for told in walk.fields(*scope_span)):
        if number != _LOG_RECORD or past == NUMBER:
            continue
        record = _spans(walk, (at, past), (_BODY, _EVENT_NAME))
        event = _EVENTS.get(_joined(walk.body, record[_EVENT_NAME][-1:]))  # of several texts the last one holds
        if event is not None:
            resource = resource or _resource(walk, parts[_RESOURCE])
            yield Record(resource, event, _read_body(walk, record[_BODY]))


def _read_body(walk: Walk, spans: Sequence[Span]) -> Value:
    """A record's body. A text may be as long as it likes: a start's has the OpenAPI document of its app in it."""
    text: Span | None = None
    for number, at, past in (told for span in spans for told in walk.fields(*span)):
        if number != _STRING_VALUE or past == NUMBER:
            told = _parse(AnyValue, _joined(walk.body, spans))
            return None if told is None else _value(walk, told, 0)
        text = (at, past)
    return None if text is None else _text(walk.body[slice(*text)])


def _spans(walk: Walk, span: Span, numbers: tuple[int, ...]) -> dict[int, list[Span]]:
    """Where the fields of these numbers lie."""
    found: dict[int, list[Span]] = {number: [] for number in numbers}
    for number, at, past in walk.fields(*span):
        if past != NUMBER and number in found:
            found[number].append((at, past))
    return found


def _joined(body: bytes, spans: Sequence[Span]) -> bytes:
    """A message that may be in several pieces."""
    return b"".join([body[at:past] for at, past in spans])


def _parse(message: Any, encoded: bytes) -> Any:  # noqa: ANN401  messages, of which there are no types
    """A message of this class; None where it is too large. UnreadableError: it is none."""
    if len(encoded) > MAX_PART_BYTES:
        return None
    try:
        return message.FromString(encoded)
    except (DecodeError, RecursionError) as error:
        raise UnreadableError(f"a {message.DESCRIPTOR.name} is no protobuf message") from error


def _attributes(walk: Walk, pairs: Any, depth: int = 0) -> Attributes | None:  # noqa: ANN401  messages
    if len(pairs) > MAX_ATTRIBUTES:
        return None
    walk.spend(len(pairs))
    # Most are texts; where it is another kind, its text is empty.
    return {pair.key: pair.value.string_value or _value(walk, pair.value, depth) for pair in pairs}


def _value(walk: Walk, told: Any, depth: int) -> Value:  # noqa: ANN401  a message
    if depth > MAX_DEPTH:
        raise UnreadableError(f"attributes are nested more than {MAX_DEPTH} levels deep")
    kind = told.WhichOneof("value")
    if kind in _SCALARS:
        found: Value = getattr(told, kind)
        return found
    if kind == "array_value":
        walk.spend(len(told.array_value.values))
        return [_value(walk, each, depth + 1) for each in told.array_value.values]
    if kind == "kvlist_value":
        return _attributes(walk, told.kvlist_value.values, depth + 1)
    return None


_SCALARS = frozenset({"string_value", "bool_value", "int_value", "double_value", "bytes_value"})


def _text(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError as error:
        raise UnreadableError("a text is no UTF-8") from error
