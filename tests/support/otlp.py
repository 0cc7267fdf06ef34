"""Exports of OTLP, written by hand in JSON; Google's own parser makes protobuf of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from weighbridge.sources.otlp.decode import JSON, PROTOBUF
from weighbridge.sources.otlp.series import figures_of

if TYPE_CHECKING:
    from weighbridge.metering.messages import Figure

DELTA, CUMULATIVE = 1, 2
DURATION = "http.server.request.duration"
RECEIVED, SENT = "http.server.request.body.size", "http.server.response.body.size"
OLD_DURATION, OLD_RECEIVED, OLD_SENT = "http.server.duration", "http.server.request.size", "http.server.response.size"
NOW_S = 1_765_728_000
"""2025-12-14T16:00:00Z."""
GET_ITEMS = {"http.request.method": "GET", "http.route": "/items/{id}"}


def ns(seconds: float) -> str:
    """An instant relative to NOW_S, as OTLP writes it in JSON."""
    return str((NOW_S * 1000 + round(seconds * 1000)) * 10**6)


def value(told: Any) -> dict[str, Any]:
    """An attribute's value."""
    if isinstance(told, dict):
        return told["raw"] if "raw" in told else {"kvlistValue": {"values": attributes(told)}}
    kinds = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    return {kinds[type(told)]: str(told) if type(told) is int else told}


def attributes(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(each)} for key, each in told.items()]


def point(
    start: float | None = -15, time: float = 0, attributes_: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A data point over [start, time), seconds relative to NOW_S; `start` None: it does not say."""
    made = {"timeUnixNano": ns(time), "attributes": attributes(GET_ITEMS if attributes_ is None else attributes_), **fields}
    return made if start is None else {"startTimeUnixNano": ns(start), **made}


def metric(
    name: str, *points: dict[str, Any], temporality: Any = DELTA, kind: str = "histogram", unit: str | None = None, **data: Any
) -> dict[str, Any]:
    """A metric; its unit as the conventions have it, unless it is given."""
    unit = unit if unit is not None else "By" if "size" in name else "s"
    told = {"dataPoints": list(points), **data}
    if kind in ("histogram", "exponentialHistogram", "sum"):
        told["aggregationTemporality"] = temporality
    return {"name": name, "unit": unit, kind: told}


def export(
    *metrics: dict[str, Any], resource: dict[str, Any] | None = None, scope: str = "lib", version: str = "1"
) -> dict[str, Any]:
    """An export of one resource and scope."""
    scoped = {"scope": {"name": scope, "version": version}, "metrics": list(metrics)}
    return {"resourceMetrics": [{"resource": {"attributes": attributes(resource or {})}, "scopeMetrics": [scoped]}]}


def consumer_update(**told: Any) -> dict[str, Any]:
    """A record that says what a consumer is called."""
    return {"eventName": "apitally.consumer.update", "body": value(told)}


def startup(*paths: tuple[str, str], **told: Any) -> dict[str, Any]:
    """A record that says what an app is made of."""
    told["paths"] = [{"method": method, "path": path} for method, path in paths]
    return {"eventName": "apitally.app.startup", "body": value(json.dumps(told))}


def logs(*records: dict[str, Any], environment: str | None = "prod") -> dict[str, Any]:
    """An export of logs of one resource and scope."""
    resource = {} if environment is None else {"deployment.environment.name": environment}
    scoped = {"scope": {"name": "apitally"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": {"attributes": attributes(resource)}, "scopeLogs": [scoped]}]}


def joined(*exports: dict[str, Any]) -> dict[str, Any]:
    """Several exports of a signal in one body."""
    (name,) = {name for told in exports for name in told}
    return {name: [each for told in exports for each in told[name]]}


def encode(told: dict[str, Any], media_type: str) -> bytes:
    """An export as a body of that type."""
    if media_type == JSON:
        return json.dumps(told).encode()
    assert media_type == PROTOBUF
    empty = ExportLogsServiceRequest() if "resourceLogs" in told else ExportMetricsServiceRequest()
    message = json_format.ParseDict(told, empty)
    encoded: bytes = message.SerializeToString()
    return encoded


def figures(metrics: Any, environment: str | None = None) -> list[Figure]:
    """What counts, where nothing is refused."""
    told = figures_of(metrics, "app/1", environment)
    assert told.refusals.sentence() == ""
    assert sum(told.points) >= len(told.figures)
    return told.figures
