"""Prints, as JSON, what a body of OTLP metrics on standard input holds, as OpenTelemetry's own decoder reads it."""

from __future__ import annotations

import json
import sys

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

VALUES = {"bool_value", "int_value", "double_value", "string_value"}


def attributes_of(holder):
    found = {}
    for pair in holder.attributes:
        kind = pair.value.WhichOneof("value")
        found[pair.key] = getattr(pair.value, kind) if kind in VALUES else str(pair.value)
    return found


def points_of(metric):
    """Every point: its attributes, its stretch of time in ns, and its figures; an absent sum is null."""
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    temporality = getattr(data, "aggregation_temporality", 0)
    for point in data.data_points:
        figures = {"start": point.start_time_unix_nano, "time": point.time_unix_nano}
        if "histogram" in kind:
            figures |= {"count": point.count, "sum": point.sum if point.HasField("sum") else None}
        else:
            figures["value"] = getattr(point, point.WhichOneof("value"))
        yield {"name": metric.name, "unit": metric.unit, "kind": kind, "temporality": temporality,
               "attributes": attributes_of(point), **figures}


def listing(body: bytes):
    message = ExportMetricsServiceRequest()
    message.ParseFromString(body)
    return [
        {"resource": attributes_of(part.resource), "scope": scope.scope.name, "points": [
            point for metric in scope.metrics for point in points_of(metric)
        ]}
        for part in message.resource_metrics
        for scope in part.scope_metrics
    ]


if __name__ == "__main__":
    json.dump(listing(sys.stdin.buffer.read()), sys.stdout, indent=1)
