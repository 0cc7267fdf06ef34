"""The worst bodies of 16 MiB that we can think of, and a command that decodes one of them.

    python otlp_bombs.py SIGNAL MEDIA_TYPE FILE    prints peak memory in MB and what came of it, as JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.sources.otlp.decode import JSON, PROTOBUF, check_export, read_logs, read_metrics
from weighbridge.sources.otlp.logs import MAX_EVENTS, news_of
from weighbridge.sources.otlp.metrics import MAX_POINTS, TooManyError, UnreadableError
from weighbridge.sources.otlp.routes import MAX_BODY_BYTES
from weighbridge.sources.otlp.series import figures_of
from weighbridge.sources.otlp.wire import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UPDATE, _STARTUP = b"apitally.consumer.update", b"apitally.app.startup"
_NAME = b"http.server.request.duration"
_CUMULATIVE = b"\x10\x02"
_TIME = b"\x19" + (10**18).to_bytes(8, "little")
_ROOM = MAX_BODY_BYTES - 256
_MIB = 1024 * 1024 - 256


def _filled(unit: bytes, size: int = _ROOM) -> bytes:
    return unit * (size // len(unit))


def _metric(data: bytes) -> bytes:
    return write_bytes(2, write_bytes(1, _NAME) + write_bytes(9, data))


def _export(data: bytes) -> bytes:
    return write_bytes(1, write_bytes(2, _metric(data)))


def _point(*attributes: bytes) -> bytes:
    return write_bytes(1, _TIME + b"".join(write_bytes(9, each) for each in attributes))


def _pair(key: bytes, value: bytes) -> bytes:
    return write_bytes(1, key) + write_bytes(2, write_bytes(1, value))


def _json_export(points: bytes) -> bytes:
    data = b'{"aggregationTemporality":2,"dataPoints":[' + points + b"]}"
    metric = b'{"name":"' + _NAME + b'","histogram":' + data + b"}"
    return b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[' + metric + b"]}]}]}"


def _listed(unit: bytes, count: int | None = None) -> bytes:
    return ((unit + b",") * (count or _ROOM // (len(unit) + 1)))[:-1]


def _consumers() -> bytes:
    return b"".join(_point(_pair(b"apitally.consumer.identifier", b"%080d" % number)) for number in range(MAX_POINTS))


def _record(event: bytes, body: bytes) -> bytes:
    return write_bytes(2, write_bytes(12, event) + write_bytes(5, body))


def _logs(records: bytes) -> bytes:
    return write_bytes(1, write_bytes(2, records))


def _kvlist(*pairs: bytes) -> bytes:
    return write_bytes(6, b"".join(write_bytes(1, each) for each in pairs))


def _consumer_updates(count: int) -> bytes:
    named = (_kvlist(_pair(b"identifier", b"%08d" % number), _pair(b"name", b"n" * 255)) for number in range(count))
    return b"".join(_record(_UPDATE, each) for each in named)


def _nested(levels: int) -> bytes:
    told = b""
    for _ in range(levels):
        told = write_bytes(5, write_bytes(1, told))
    return told


def _startup(paths: bytes) -> bytes:
    return _logs(_record(_STARTUP, write_bytes(1, b'{"paths":[' + paths + b"]}")))


def _json_logs(records: bytes) -> bytes:
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + records + b"]}]}]}"


def _json_update(values: bytes) -> bytes:
    return b'{"eventName":"' + _UPDATE + b'","body":{"kvlistValue":{"values":[' + values + b"]}}}"


_ALMOST = 999_900
"""Objects of JSON, just below the bound."""

_MANY, _BAD = "TooManyError", "UnreadableError"

BOMBS: Mapping[str, tuple[str, Callable[[], bytes], str]] = {
    "resources": (PROTOBUF, lambda: _filled(b"\x0a\x00"), _MANY),
    "metrics": (PROTOBUF, lambda: write_bytes(1, write_bytes(2, _filled(b"\x12\x00"))), _MANY),
    "points": (PROTOBUF, lambda: _export(_filled(b"\x0a\x00")), _MANY),
    "good points": (PROTOBUF, lambda: _export(_CUMULATIVE + _consumers()), "100000 figures, 0 refused"),
    "good deltas": (PROTOBUF, lambda: _export(b"\x10\x01" + _consumers()), "100000 figures, 0 refused"),
    "attributes of points": (PROTOBUF, lambda: _export(_CUMULATIVE + _point(*[b""] * 64) * MAX_POINTS), _MANY),
    "attributes of a point": (
        PROTOBUF, lambda: _export(_CUMULATIVE + write_bytes(1, _filled(b"\x4a\x00"))), "0 figures, 1 refused"),
    "attributes of points of 1 MiB": (
        PROTOBUF, lambda: _export(_CUMULATIVE + _filled(write_bytes(1, _filled(b"\x4a\x00", _MIB)))), "0 figures, 16 refused"),
    "attributes of resources of 1 MiB": (
        PROTOBUF,
        lambda: _filled(write_bytes(1, write_bytes(1, _filled(b"\x0a\x00", _MIB)) + write_bytes(2, _metric(_point())))),
        "0 figures, 16 refused"),
    "scopes of a large resource": (
        PROTOBUF,
        lambda: write_bytes(1, write_bytes(1, write_bytes(1, _pair(b"k", b"v" * _MIB))) + b"".join(
            write_bytes(2, write_bytes(1, write_bytes(1, b"%d" % number)) + _metric(_CUMULATIVE + _point()))
            for number in range(MAX_POINTS))),
        "100000 figures, 0 refused"),
    "JSON points": (JSON, lambda: _json_export(_listed(b"{}")), _MANY),
    "JSON points below the bound": (JSON, lambda: _json_export(_listed(b"{}" + b" " * 13, _ALMOST)), _MANY),
    "JSON values": (
        JSON,
        lambda: _json_export(
            b'{"attributes":[{"key":"k","value":{"arrayValue":{"values":[' + _listed(b"{}", _ALMOST) + b"]}}}]}"),
        "0 figures, 1 refused"),
    "JSON attributes of points": (
        JSON,
        lambda: _json_export(_listed(
            b'{"timeUnixNano":9,"attributes":[' + _listed(b'{"key":"abcdefgh","value":{}}', 4) + b"]}", MAX_POINTS - 1)),
        "99999 figures, 0 refused"),
    "JSON digits": (JSON, lambda: _json_export(b'{"count":"' + _filled(b"9") + b'"}'), _BAD),
    "JSON depth": (JSON, lambda: b'{"x":' + _filled(b"["), _BAD),
}
"""Media type, body and what becomes of it, by name."""


_PATHS = _ROOM // len(b'{"method":"","path":""},')

LOG_BOMBS: Mapping[str, tuple[str, Callable[[], bytes], str]] = {
    "other logs": (PROTOBUF, lambda: _logs(_filled(b"\x12\x00")), "0 consumers, 0 endpoints, 0 passed over"),
    "log resources": (PROTOBUF, lambda: _filled(b"\x0a\x00") + _logs(_record(_STARTUP, b"")), _MANY),
    "log scopes": (PROTOBUF, lambda: write_bytes(1, _filled(b"\x12\x00") + write_bytes(2, _record(_STARTUP, b""))), _MANY),
    "log records": (PROTOBUF, lambda: _logs(_filled(b"\x12\x00") + _record(_STARTUP, b"")), _MANY),
    "pieces of a log body": (
        PROTOBUF, lambda: _logs(write_bytes(2, _filled(b"\x2a\x02\x0a\x00") + write_bytes(12, _STARTUP))), _MANY),
    "events": (PROTOBUF, lambda: _logs(_filled(_record(_STARTUP, b""))), _MANY),
    "consumers": (
        PROTOBUF, lambda: _logs(_consumer_updates(MAX_EVENTS)), f"{MAX_EVENTS} consumers, 0 endpoints, 0 passed over"),
    "values of consumers of 1 MiB": (
        PROTOBUF, lambda: _logs(_filled(_record(_UPDATE, write_bytes(6, _filled(b"\x0a\x00", _MIB))))),
        "0 consumers, 0 endpoints, 16 passed over"),
    "a large consumer": (
        PROTOBUF, lambda: _logs(_record(_UPDATE, write_bytes(6, _filled(b"\x0a\x00")))),
        "0 consumers, 0 endpoints, 1 passed over"),
    "a deep consumer": (
        PROTOBUF, lambda: _logs(_record(_UPDATE, _nested(2000)) + write_bytes(2, write_bytes(5, _filled(b"x", 15 * _MIB)))),
        _BAD),
    "endpoints": (
        PROTOBUF, lambda: _startup(_listed(b'{"method":"","path":""}')),
        f"0 consumers, 0 endpoints, {_PATHS} passed over"),
    "objects of a start": (PROTOBUF, lambda: _startup(_listed(b"{}")), "0 consumers, 0 endpoints, 1 passed over"),
    "a wide text": (
        PROTOBUF, lambda: _startup(b'{"method":"\xf0\x9f\x98\x80","path":"' + _filled(b"x") + b'"}'),
        "0 consumers, 0 endpoints, 1 passed over"),
    "depth of a start": (PROTOBUF, lambda: _startup(_filled(b"[")), "0 consumers, 0 endpoints, 1 passed over"),
    "JSON log records": (JSON, lambda: _json_logs(_listed(b"{}")), _MANY),
    "JSON log records below the bound": (
        JSON, lambda: _json_logs(_listed(b"{}" + b" " * 13, _ALMOST)), "0 consumers, 0 endpoints, 0 passed over"),
    "JSON values of a consumer": (
        JSON, lambda: _json_logs(_json_update(_listed(b"{}" + b" " * 13, _ALMOST))),
        "0 consumers, 0 endpoints, 1 passed over"),
    "JSON events": (JSON, lambda: _json_logs(_listed(_json_update(b""))), _MANY),
    "JSON log depth": (
        JSON, lambda: _json_logs(b'{"eventName":"' + _UPDATE + b'","body":' + _filled(b"[") + b"}"), _BAD),
}
"""The same for logs."""


def _peak_mb() -> float:
    """Of this process: getrusage would tell its parent's, where that was larger."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def _figures(body: bytes, media_type: str) -> str:
    told = figures_of(read_metrics(body, media_type), "app/1", None)
    return f"{len(told.figures)} figures, {told.refusals.points} refused"


def _news(body: bytes, media_type: str) -> str:
    told = news_of(read_logs(body, media_type), None)
    return f"{len(told.consumers)} consumers, {len(told.endpoints)} endpoints, {told.passed_over.total()} passed over"


def main(signal: str, media_type: str, file: str) -> None:
    body = Path(file).read_bytes()
    try:
        outcome = {"metrics": _figures, "logs": _news}[signal](body, media_type)
        check_export(body, media_type)
    except (UnreadableError, TooManyError) as error:
        outcome = type(error).__name__
    print(json.dumps({"bytes": len(body), "peak_mb": round(_peak_mb()), "outcome": outcome}))  # noqa: T201  a command


if __name__ == "__main__":
    main(*sys.argv[1:])
