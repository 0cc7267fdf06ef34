"""Exports in JSON, the other encoding of OTLP: names in lowerCamelCase, 64-bit integers as texts or numbers.

Source: OTLP specification, JSON Protobuf Encoding. Only what counts is decoded; all else is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

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
    Temporality,
    TooManyError,
    UnreadableError,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Decoded = TypeVar("Decoded")

MAX_OBJECTS = 1_000_000
"""Objects in one body, some 100 MB of memory at worst. The largest body has fewer, at 16 bytes each."""
SHOWN = 300
"""Characters of a decoder's complaint that are passed on."""

MAX_UINT64 = 2**64 - 1
MIN_INT64, MAX_INT64 = -(2**63), 2**63 - 1

_NO_VALUE = 1  # bit of a point's flags
_TEMPORALITIES = {f"AGGREGATION_TEMPORALITY_{each.name}": each.value for each in Temporality}


class _Value(msgspec.Struct, rename="camel", gc=False):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | None = None
    bytes_value: bytes | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None


class _Array(msgspec.Struct, gc=False):
    values: list[_Value] | None = None


class _Pair(msgspec.Struct, gc=False):
    key: str | None = None
    value: _Value | None = None


class _Pairs(msgspec.Struct, gc=False):
    values: list[_Pair] | None = None


class _Point(msgspec.Struct, rename="camel", gc=False):
    attributes: list[_Pair] | None = None
    start_time_unix_nano: int | None = None
    time_unix_nano: int | None = None
    count: int | None = None
    sum: float | None = None
    as_double: float | None = None
    as_int: int | None = None
    flags: int | None = None


class _Data(msgspec.Struct, rename="camel", gc=False):
    data_points: list[_Point] | None = None
    aggregation_temporality: int | str | None = None
    is_monotonic: bool | None = None


class _Metric(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    unit: str | None = None
    histogram: _Data | None = None
    exponential_histogram: _Data | None = None
    sum: _Data | None = None
    gauge: _Data | None = None
    summary: _Data | None = None


class _Scope(msgspec.Struct, gc=False):
    name: str | None = None
    version: str | None = None
    attributes: list[_Pair] | None = None


class _ScopeMetrics(msgspec.Struct, gc=False):
    scope: _Scope | None = None
    metrics: list[_Metric] | None = None


class _Described(msgspec.Struct, gc=False):
    attributes: list[_Pair] | None = None


class _ResourceMetrics(msgspec.Struct, rename="camel", gc=False):
    resource: _Described | None = None
    scope_metrics: list[_ScopeMetrics] | None = None


class _Export(msgspec.Struct, rename="camel", gc=False):
    resource_metrics: list[_ResourceMetrics] | None = None


class _LogRecord(msgspec.Struct, rename="camel", gc=False):
    event_name: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")  # what others say is none of our business


class _ScopeLogs(msgspec.Struct, rename="camel", gc=False):
    log_records: list[_LogRecord] | None = None


class _ResourceLogs(msgspec.Struct, rename="camel", gc=False):
    resource: _Described | None = None
    scope_logs: list[_ScopeLogs] | None = None


class _LogsExport(msgspec.Struct, rename="camel", gc=False):
    resource_logs: list[_ResourceLogs] | None = None


class _Anything(msgspec.Struct):
    """An object of which nothing is kept."""


_export = msgspec.json.Decoder(_Export, strict=False)
_logs = msgspec.json.Decoder(_LogsExport, strict=False)
_body = msgspec.json.Decoder(_Value | None, strict=False)
_anything = msgspec.json.Decoder(_Anything)


def read_metrics(body: bytes) -> list[Metric]:
    """The metrics that count. UnreadableError, TooManyError."""
    _check_objects(body)
    metrics = [metric for each in _decode(_export, body).resource_metrics or () for metric in _read_resource(each)]
    if sum(len(metric.points) for metric in metrics) > MAX_POINTS:
        raise TooManyError(f"more than {MAX_POINTS:,} data points; send them in several requests")
    return metrics


def read_logs(body: bytes) -> Iterator[Record]:
    """The records of EVENTS, decoded one by one. UnreadableError, TooManyError."""
    _check_objects(body)
    for told in _decode(_logs, body).resource_logs or ():
        resource = _resource(told.resource)
        for record in (record for scope in told.scope_logs or () for record in scope.log_records or ()):
            if record.event_name in EVENTS:
                yield Record(resource, record.event_name, _value(_decode(_body, record.body), 0))


def check_message(body: bytes) -> None:
    """The body is a JSON object. UnreadableError."""
    _decode(_anything, body)


def _check_objects(body: bytes) -> None:
    if body.count(b"{") > MAX_OBJECTS:
        raise TooManyError(f"the body has more than {MAX_OBJECTS:,} objects; send it in several requests")


def _decode(decoder: msgspec.json.Decoder[Decoded], body: bytes | msgspec.Raw) -> Decoded:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: also no UTF-8, or an integer of thousands of digits
        raise UnreadableError(f"no OTLP in JSON: {error}"[:SHOWN]) from error
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error


def _read_resource(told: _ResourceMetrics) -> Iterator[Metric]:
    resource = _resource(told.resource)
    for each in told.scope_metrics or ():
        scope = each.scope or _Scope()
        origin = Origin(resource, _attributes(scope.attributes), scope.name or "", scope.version or "")
        for metric in each.metrics or ():
            if metric.name is not None and metric.name in COUNTED:
                yield from _read_metric(metric, metric.name, origin)


def _resource(told: _Described | None) -> Resource:
    return Resource(_attributes(told.attributes) if told is not None else {})


def _read_metric(told: _Metric, name: str, origin: Origin) -> Iterator[Metric]:
    """Nothing, if it has no points."""
    for kind, data in (
        (Kind.HISTOGRAM, told.histogram),
        (Kind.HISTOGRAM, told.exponential_histogram),
        (Kind.SUM, told.sum),
        (Kind.GAUGE, told.gauge),
        (Kind.SUMMARY, told.summary),
    ):
        if data is not None and data.data_points:
            temporality = data.aggregation_temporality or 0
            yield Metric(
                origin=origin,
                name=name,
                unit=told.unit or "",
                kind=kind,
                temporality=_TEMPORALITIES.get(temporality, 0) if isinstance(temporality, str) else temporality,
                is_monotonic=bool(data.is_monotonic),
                points=Points(data.data_points, _POINT_READERS[kind]),
            )
            return


def _read_histogram_point(told: _Point) -> Point:
    return _point(told, _within(told.count, 0, MAX_UINT64), told.sum)


def _read_number_point(told: _Point) -> Point:
    return _point(told, 0, told.as_double if told.as_int is None else _within(told.as_int, MIN_INT64, MAX_INT64))


def _point(told: _Point, count: int, amount: float | None) -> Point:
    return Point(
        time_ns=_within(told.time_unix_nano, 0, MAX_UINT64),
        start_ns=_within(told.start_time_unix_nano, 0, MAX_UINT64),
        count=count,
        sum=amount,
        attributes=_attributes(told.attributes),
        is_absent=bool((told.flags or 0) & _NO_VALUE),
    )


_POINT_READERS = {
    Kind.HISTOGRAM: _read_histogram_point,
    Kind.SUM: _read_number_point,
    Kind.GAUGE: _read_number_point,
    Kind.SUMMARY: _read_number_point,
}


def _within(number: int | None, least: int, most: int) -> int:
    """The number, 0 where there is none. UnreadableError: no integer of 64 bits."""
    if number is None:
        return 0
    if not least <= number <= most:
        raise UnreadableError(f"an integer lies outside {least} to {most}")
    return number


def _attributes(pairs: list[_Pair] | None, depth: int = 0) -> Attributes | None:
    if pairs is None:
        return {}
    if len(pairs) > MAX_ATTRIBUTES:
        return None
    return {pair.key or "": _value(pair.value, depth) for pair in pairs}


def _value(told: _Value | None, depth: int) -> Value:
    if told is None:
        return None
    if depth > MAX_DEPTH:
        raise UnreadableError(f"attributes are nested more than {MAX_DEPTH} levels deep")
    if told.array_value is not None:
        return [_value(each, depth + 1) for each in told.array_value.values or ()]
    if told.kvlist_value is not None:
        return _attributes(told.kvlist_value.values, depth + 1)
    if told.int_value is not None:
        return _within(told.int_value, MIN_INT64, MAX_INT64)
    scalars = (told.string_value, told.bool_value, told.double_value, told.bytes_value)
    return next((each for each in scalars if each is not None), None)
