"""What is fuzzed: each pure decoder, with the errors that it may raise and what must hold for what it returns."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cramjam
import numpy as np
import snmp_targets
import tunnel_targets
from backports import zstd
from collected_targets import COLLECTED, INTEREST, collected, interest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support import fuzz_netflow
from support import sflow as sflow_wire
from weighbridge.datagrams.block import Datagrams
from weighbridge.dialects.apitally.token import Rest, read_place, read_token, write_place, write_token
from weighbridge.dialects.latitude.routes import DIALECT as LATITUDE
from weighbridge.dialects.native.catalog_yaml import read_yaml
from weighbridge.dialects.native.routes import native_dialect
from weighbridge.domain.errors import DamagedStoreError, InvalidInputError
from weighbridge.domain.timegrid import isoformat, parse_instant, zone
from weighbridge.http.body import decode_body
from weighbridge.http.failures import TooLargeError, UnreadableBodyError, WrongContentTypeError
from weighbridge.http.paths import RouteTable
from weighbridge.http.query import MAX_PARAMETERS, parse_query
from weighbridge.measurement import MAX_AMOUNT, MAX_NAME, MEASUREMENT
from weighbridge.metering.subjects import UNFIT
from weighbridge.sources.events.decode import (
    CONTENT_TYPES,
    MAX_EVENTS,
    TooManyError,
    UnknownTypeError,
    UnreadableError,
    decode,
)
from weighbridge.sources.host.decode import parse_net_dev
from weighbridge.sources.hub import decode as hub
from weighbridge.sources.log import decode as log_decode
from weighbridge.sources.log import sieve as log_sieve
from weighbridge.sources.log.decode import LogReader
from weighbridge.sources.log.settings import read_settings
from weighbridge.sources.otlp import decode as otlp
from weighbridge.sources.otlp import metrics as otlp_metrics
from weighbridge.sources.otlp.logs import EVENTS, MAX_ENDPOINTS, news_of
from weighbridge.sources.otlp.series import figures_of
from weighbridge.sources.remote_write import decode as remote_write
from weighbridge.sources.remote_write.mapping import make_rules, map_series
from weighbridge.sources.remote_write.settings import RemoteWriteSettings
from weighbridge.sources.sflow.decode import Decoder as SflowDecoder
from weighbridge.storage.journal import codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BODY_LIMIT = 4096
"""Decoded bytes that a body may have: small, so that the bound is met often."""
POSITION = 7
"""The row of the journal that a blob is read for."""
QUERY = b"app 1"
"""The question that a token must belong to."""

EVENT = (
    b'{"specversion":"1.0","id":"e","source":"s","type":"weighbridge.usage","subject":"app/1",'
    b'"time":"2025-12-14T16:00:00Z","data":{"bytes_in":1,"duration_s":300}}'
)
NET_DEV = b"""Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0
eth0:1: 18446744073709551615 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0
"""
_SFLOW_PACKET = sflow_wire.header_record(sflow_wire.frame(sflow_wire.ip("198.51.100.1", "203.0.113.2", 777), vlans=(5,)))
SFLOW_SOUND = sflow_wire.datagram(sflow_wire.flow_sample(_SFLOW_PACKET), agent="192.0.2.8")
SFLOW_DATAGRAMS = (
    sflow_wire.datagram(
        sflow_wire.flow_sample(_SFLOW_PACKET, sflow_wire.switch_record(5, 6), expanded=True),
        sflow_wire.counter_sample(sflow_wire.interface_record(1, 2, 3), sflow_wire.name_record("swp1")),
    ),
    sflow_wire.datagram(
        sflow_wire.flow_sample(sflow_wire.ip_record("2001:db8::1", "2001:db8::2", 99)), agent="2001:db8::9"
    ),
)
HUB_SYNC = (
    b'{"timestamp":1765728000.25,"instance_uuid":"0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10","message_uuid":'
    b'"6f3d3f0e-52a5-4e0e-9a53-0e4b7a0c1d22","requests":[{"consumer":"a\\ud83d","method":"get","path":"/x","status_code":null,'
    b'"request_count":7,"request_size_sum":0,"response_size_sum":9}],"consumers":[{"identifier":"a","name":null}]}'
)
HUB_STARTUP = (
    b'{"instance_uuid":"0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10","message_uuid":"6f3d3f0e-52a5-4e0e-9a53-0e4b7a0c1d22",'
    b'"client":"js:express","paths":[{"method":"get","path":"/items/:id"}]}'
)
CATALOG = b"""regions: [{id: r, slug: s, name: R}]
organizations:
  - &a {id: o, slug: o, name: "O \\u00e9", spaces: [{id: 1, name: x}]}
  - {<<: *a, id: p}
"""


@dataclass(frozen=True)
class Target:
    """`check` raises for a fault; `seeds` are where to begin."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def events(data: bytes) -> None:
    """The first byte says which content type."""
    kind = (*CONTENT_TYPES, "text/csv")[data[0] % 5] if data else CONTENT_TYPES[0]
    try:
        found = decode(data[1:], kind)
    except (UnreadableError, TooManyError, UnknownTypeError):
        return
    count = len(found.events) + len(found.refused)
    assert count <= MAX_EVENTS
    places = [*(found.indexes or range(len(found.events))), *(each.index for each in found.refused)]
    assert sorted(places) == list(range(count)), "each stood at a place of its own"
    for each in found.events:
        assert each.time.tzinfo is not None
        assert each.id


def hub_sync(data: bytes) -> None:
    """What is taken is within all bounds that accept has."""
    with suppress(hub.InvalidBodyError):
        found = hub.decode_sync(data)
        for figure in hub.figures_of(found, "app/1", "prod"):
            assert all(0 <= amount <= MAX_AMOUNT for amount in (figure.bytes_in, figure.bytes_out, figure.requests))
            assert (figure.method is None) == (figure.path is None)
            _check_names((figure.consumer, 255), (figure.method, 32), (figure.path, 1024))
        for identifier, (name, group) in found.consumers.items():
            assert identifier
            _check_names((identifier, 255), (name, 255), (group, 255))


def _check_names(*names: tuple[str | None, int]) -> None:
    for name, most in names:
        assert name is None or 0 < len(name) <= most
        assert not UNFIT.search(name or "")
        (name or "").encode()


def hub_startup(data: bytes) -> None:
    with suppress(hub.InvalidBodyError):
        found = hub.decode_startup(data)
        assert found.unlisted >= 0
        for endpoint in found.endpoints:
            _check_names((endpoint.method, 32), (endpoint.path, 1024))


def body(data: bytes) -> None:
    """The first byte says which encoding."""
    encoding = ("gzip", "zstd", "", "x-gzip", "br")[data[0] % 5] if data else ""
    with suppress(TooLargeError, UnreadableBodyError, WrongContentTypeError):
        found = decode_body(data[1:], encoding, BODY_LIMIT)
        assert len(found) <= BODY_LIMIT
        assert encoding or found == data[1:]


def snappy(data: bytes) -> None:
    with suppress(TooLargeError, UnreadableBodyError):
        assert len(decode_body(data, "snappy", BODY_LIMIT, ("snappy",))) <= BODY_LIMIT


TABLES = make_rules([RemoteWriteSettings(
    metric_in="m", metric_out="n", metric_requests="o", exclude={"d": "lo"}, subject="app/{i}", consumer="{c}",
    method="{d}", path="/{c}",
)])


def _write(data: bytes, message: str) -> None:
    try:
        found = list(remote_write.read_series(data, message))
    except (remote_write.UnreadableError, remote_write.TooManyError):
        return
    mapped = map_series(found, TABLES)
    assert mapped.samples.total() == sum(len(each.samples) for each in found)
    assert mapped.acknowledged <= mapped.samples.total()
    assert len(mapped.figures) <= mapped.samples["read"] <= 2 * len(mapped.figures)
    for each in mapped.figures:
        amounts = (each.bytes_in, each.bytes_out, each.requests)
        assert any(amount is not None for amount in amounts)
        assert all(amount is None or 0 <= amount < 2**64 for amount in amounts)
        assert each.start_us is None or each.start_us < each.end_us
        for text in (each.subject, each.consumer, each.method, each.path):
            assert text is None or not set(map(chr, range(32))) & set(text)


def write_v1(data: bytes) -> None:
    _write(data, remote_write.V1)


def write_v2(data: bytes) -> None:
    _write(data, remote_write.V2)


def query(data: bytes) -> None:
    with suppress(InvalidInputError):
        pairs = parse_query(data)
        assert len(pairs) <= MAX_PARAMETERS
        for text in (part for pair in pairs for part in pair):
            assert "\0" not in text
            text.encode()  # a lone surrogate would break what is written of it


TABLE = RouteTable((LATITUDE, native_dialect(())))


def paths(data: bytes) -> None:
    found = TABLE.find(b"/" + data)
    assert found.path.startswith("/")
    for methods, params in found.candidates:
        assert methods
        assert all(value and "\0" not in value for value in params.values())
        "".join(params.values()).encode()
    TABLE.dialect_of(found.path)


def instants(data: bytes) -> None:
    """The first byte says which zone."""
    where = zone(("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia")[data[0] % 4] if data else "UTC")
    with suppress(InvalidInputError):
        at_us = parse_instant(data[1:].decode("utf-8", "surrogateescape"), where)
        again_us = parse_instant(isoformat(at_us // 1_000_000, zone("UTC")), where)
        assert again_us == at_us - at_us % 1_000_000


def token(data: bytes) -> None:
    with suppress(ValueError):
        text = data.decode("utf-8", "surrogateescape")
        rest = read_token(QUERY, text)
        assert write_token(QUERY, rest) == text
    with suppress(ValueError):
        text = data.decode("utf-8", "surrogateescape")
        assert write_place(QUERY, read_place(QUERY, text)) == text
    if len(data) >= 8:
        start_s = int.from_bytes(data[:4], "big") * 300
        made = write_token(data, Rest(start_s, start_s + 300 * data[4]))
        assert read_token(data, made) == (start_s, start_s + 300 * data[4])
        assert read_place(data, write_place(data, start_s)) == start_s


def catalog(data: bytes) -> None:
    with suppress(UnreadableBodyError):
        found = read_yaml(data)
        assert found is None or isinstance(found, dict | list | str | int | float | bool)


def net_dev(data: bytes) -> None:
    for name, (received, sent) in parse_net_dev(data.decode("utf-8", "surrogateescape")).items():
        assert isinstance(name, str)
        assert received >= 0
        assert sent >= 0


LOG_RULES = {
    "path": "access.log", "space": 1, "endpoints": ["/items/{id}"],
    "rules": [{"prefix": "/v2/", "app": 1, "environment": "v2"}, {"prefix": "/a", "space": 2, "asset": True}],
}
LOG_TABLES = tuple({**LOG_RULES, **table} for table in (
    {"format": "combined", "consumer": "$remote_user"},
    {"format": '$msec "$request" $status $bytes_sent $upstream_addr "$http_x"', "consumer": "$http_x"},
    {"format": "nginx-json", "consumer": "$remote_user"},
    {"format": "caddy", "consumer": "$request.headers.X"},
    {"format": "alb", "consumer": "$domain_name"},
    {"format": "cloudfront", "consumer": "$c-ip"},
    {"format": '{"t":"$time_iso8601","u":"$remote_user","r":"$request","s":$bytes_sent}', "consumer": "$remote_user"},
))
LOG_READERS = tuple(LogReader(read_settings(table)) for table in LOG_TABLES)
log_decode.SLOW_BYTES = 0  # so that inputs as short as these go to DuckDB too
log_sieve.SHORT_LINE = 1
FAST_IN = 16
"""One in so many logs is read both ways: DuckDB takes milliseconds, whatever it reads."""


def log(data: bytes) -> None:
    """The first byte says which format, and whether both ways are gone."""
    first, lines = data[0] if data else 0, data[1:]
    reader = LOG_READERS[first % len(LOG_READERS)]
    reader._take_header("#Fields: date time c-ip sc-bytes cs-uri-stem cs-method")
    found = reader._read(lines, reader._take_slowly)
    assert found.counted + found.bad + found.unmatched + found.blank == found.lines
    assert found.lines == lines.count(b"\n") + (lines[-1:] not in {b"", b"\n"})
    assert sum(each.requests for each in found.sums) == found.counted
    assert len(found.first_bad) == min(found.bad, 10)
    for each in found.sums:
        assert each.slot_s % 300 == 0
        assert (each.bytes_out or 0) >= 0
        "".join(filter(None, (each.subject, each.environment, each.consumer, each.method, each.path))).encode()
    if first // len(LOG_READERS) % FAST_IN == 0:
        reader._take_header("#Fields: date time c-ip sc-bytes cs-uri-stem cs-method")
        assert reader.read(lines) == found


def journal(data: bytes) -> None:
    """A blob that was damaged is found out; one that was not comes back."""
    with suppress(DamagedStoreError):
        codec.decode(data, POSITION, data[0] if data else 0)
    rows = np.frombuffer(data[: len(data) // MEASUREMENT.itemsize * MEASUREMENT.itemsize], MEASUREMENT)
    blob = codec.encode(rows, POSITION)
    assert codec.decode(blob, POSITION, len(rows)).tobytes() == rows.tobytes()
    if data:
        damaged = bytearray(blob)
        damaged[data[0] % len(blob)] ^= data[-1] or 1
        try:
            codec.decode(bytes(damaged), POSITION, len(rows))
        except DamagedStoreError:
            return
        raise AssertionError(damaged)


def otlp_json(data: bytes) -> None:
    with suppress(otlp_metrics.UnreadableError, otlp_metrics.TooManyError):
        _tell(otlp.read_metrics(data, otlp.JSON))
    with suppress(otlp_metrics.UnreadableError):
        otlp.check_export(data, otlp.JSON)


def otlp_protobuf(data: bytes) -> None:
    """What we read is what protobuf's own parser reads, where both can."""
    with suppress(otlp_metrics.UnreadableError, otlp_metrics.TooManyError, DecodeError):
        found = otlp.read_metrics(data, otlp.PROTOBUF)
        _tell(found)
        otlp.check_export(data, otlp.PROTOBUF)
        read = [(each.name, each.origin.scope_name, len(each.points)) for each in found]
        assert read == list(_counted(ExportMetricsServiceRequest.FromString(data)))


def otlp_logs(data: bytes) -> None:
    """The first byte says which encoding. What is told can be kept; the records are those that protobuf's own parser finds."""
    kind, body = otlp.MEDIA_TYPES[data[0] % 2] if data else otlp.JSON, data[1:]
    with suppress(otlp_metrics.UnreadableError, otlp_metrics.TooManyError, DecodeError):
        records = list(otlp.read_logs(body, kind))
        found = news_of(records, None)
        assert found.passed_over["event"] <= len(records)
        _check_names((found.framework, 255), *((name, 255) for name in found.environments))
        for identifier, (name, group) in found.consumers.items():
            _check_names((identifier, 255), (name, 255), (group, 255))
        assert len(found.endpoints) <= MAX_ENDPOINTS
        for endpoint in found.endpoints:
            _check_names((endpoint.method, 32), (endpoint.path, 1024))
        if kind == otlp.PROTOBUF:
            assert [record.event for record in records] == list(_events(ExportLogsServiceRequest.FromString(body)))


def _events(request: ExportLogsServiceRequest) -> Iterator[str]:
    for scope in (scope for resource in request.resource_logs for scope in resource.scope_logs):
        yield from (record.event_name for record in scope.log_records if record.event_name in EVENTS)


def _tell(metrics: list[otlp_metrics.Metric]) -> None:
    """Every point is in a figure or refused, or says nothing; figures are what the intake takes."""
    said = figures_of(metrics, "app/1", None)
    assert sum(said.points) + said.refusals.points <= sum(len(metric.points) for metric in metrics)
    assert len(said.refusals.sentence()) < 2000
    for figure in said.figures:
        assert (figure.method is None) == (figure.path is None)
        assert figure.environment
        for amount in (figure.requests, figure.bytes_in, figure.bytes_out):
            assert amount is None or (type(amount) is int and amount >= 0)


def _counted(request: ExportMetricsServiceRequest) -> Iterator[tuple[str, str, int]]:
    for scope in (scope for resource in request.resource_metrics for scope in resource.scope_metrics):
        for metric in scope.metrics:
            data = metric.WhichOneof("data")
            points = len(getattr(metric, data).data_points) if data else 0
            if metric.name in otlp_metrics.COUNTED and points:
                yield metric.name, scope.scope.name, points


OTLP_POINT = (
    b'{"startTimeUnixNano":"1","timeUnixNano":2000,"count":"7","sum":12.5,"attributes":[{"key":"http.route","value":'
    b'{"stringValue":"/a"}},{"key":"http.method","value":{"intValue":"1"}},{"key":"l","value":{"arrayValue":{"values":[{}]}}}]}'
)
OTLP_JSON = (
    b'{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":{"kvlistValue":{"values":[{"key":"d","value":'
    b'{"doubleValue":"NaN"}}]}}}]},"scopeMetrics":[{"scope":{"name":"s"},"metrics":[{"name":"http.server.request.duration",'
    b'"histogram":{"aggregationTemporality":2,"dataPoints":[' + OTLP_POINT + b',{}]}},{"name":"http.server.response.size",'
    b'"unit":"By","sum":{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[{"asInt":"5","timeUnixNano":"9"}]}}]}]}]}'
)
OTLP_PROTOBUF = json_format.Parse(OTLP_JSON, ExportMetricsServiceRequest()).SerializeToString()
OTLP_LOGS_JSON = (
    b'{"resourceLogs":[{"resource":{"attributes":[{"key":"deployment.environment","value":{"stringValue":"prod"}}]},"scopeLogs":'
    b'[{"logRecords":[{"eventName":"apitally.consumer.update","body":{"kvlistValue":{"values":[{"key":"identifier","value":'
    b'{"stringValue":"a"}},{"key":"name","value":{"stringValue":"A"}},{"key":"group","value":{"intValue":"1"}}]}}},'
    b'{"eventName":"apitally.app.startup","body":{"stringValue":"{\\"framework\\":\\"flask\\",\\"paths\\":'
    b'[{\\"method\\":\\"get\\",\\"path\\":\\"/x\\"}]}"}},{"eventName":"x","body":{"arrayValue":{"values":[{}]}}}]}]}]}'
)
OTLP_LOGS = json_format.Parse(OTLP_LOGS_JSON, ExportLogsServiceRequest()).SerializeToString()

_ROWS = np.zeros(70, MEASUREMENT)
OTHER_LAYOUT = bytes((codec.COLUMNS,)) + codec.encode(_ROWS[:1], POSITION)[1:]
"""A good checksum before what the layout's byte does not speak of."""

SERIES_V1 = tuple(bytes.fromhex(each) for each in (
    "0a1d 0a0d 0a08 5f5f6e616d655f5f 1201 6d 120c 09 000000000000f03f 10 e807",
    "0a2d 0a0d 0a08 5f5f6e616d655f5f 1201 6d 0a06 0a01 69 1201 31 0a06 0a01 63 1201 78 120c 09 000000000000f03f 10 e807",
    "0a0b 1209 09 020000000000f07f 1a05 0801 1201 6d",
))
SERIES_V2 = tuple(bytes.fromhex(each) for each in (
    "2200 2208 5f5f6e616d655f5f 2201 6d 2a12 0a02 0102 120c 09 000000000000f03f 10 e807",
    "2200 2208 5f5f6e616d655f5f 2201 6e 2201 69 2201 31 2a17 0a04 01020304 120f 09 000000000000f03f 10 e807 18 e707",
    "2200 2a07 1203 10 e807 30 07",
))

LOG_LINES = (
    b'\0192.0.2.1 - alice [29/Nov/2025:10:00:12 +0000] "GET /items/1?q HTTP/1.1" 200 5 "-" "a b"\n',
    b'\x011764410412.123 "GET /v2/ HTTP/1.1" 200 5 10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 "x"\n',
    b'\x02{"time_iso8601":"2025-11-29T10:00:00+00:00","remote_user":"a","request_method":"GET","request_uri":"/","bytes_sent":5}',
    b'\x03{"ts":1764410412.5,"request":{"method":"GET","uri":"/a?b","host":"h","headers":{"X":["y"]}},"size":5,"bytes_read":1}',
    b'\x04https 2025-11-29T10:00:00.1Z a b c 0 0 0 200 200 1 2 "GET https://h/v2/ HTTP/1.1" "a" A B c "t" "h" "-" 0 t "f"',
    b"\x05#Version: 1.0\n2025-11-29\t10:00:12\t192.0.2.1\t5\t/items/%2520\tGET\n",
    b'\x06{"t":"2025-11-29T10:00:00Z","u":"a","r":"GET / HTTP/1.1","s":5}\n{"t":"2025-11-29T10:00:00Z","u":"a","r":"-","s":}',
)
def sflow(data: bytes) -> None:
    """Whatever a datagram holds, the one behind it is read, and no packet says more than the words that it stands in."""
    whole = data + b"\xff" * (-len(data) % 4)
    octets = np.frombuffer(whole + SFLOW_SOUND, dtype=np.uint8)
    starts, lengths = np.array([0, len(whole)]), np.array([len(data), len(SFLOW_SOUND)])
    block = Datagrams(octets, starts, lengths, ["192.0.2.7"] * 2, POSITION)
    decoded = SflowDecoder().decode(block)
    packets = sum(len(each.octets) for each in decoded.flows)
    assert 1 <= packets <= 1 + len(data) // 8, packets
    for each in decoded.flows:
        assert each.octets.min() >= 0
        assert np.min(each.rate) >= 0
    assert any(777 in each.octets for each in decoded.flows), "its neighbour is lost"
    for reading in decoded.readings:
        assert len(reading.thing.name) <= MAX_NAME


TARGETS: Mapping[str, Target] = {
    "events": Target(events, (b"\0" + EVENT, b"\1[" + EVENT + b"]", b"\2" + EVENT + b"\n" + EVENT, b"\3[]", b"\3{}")),
    "hub_sync": Target(hub_sync, (HUB_SYNC, HUB_SYNC.replace(b"null", b"200"))),
    "hub_startup": Target(hub_startup, (HUB_STARTUP,)),
    "body": Target(body, (b"\0" + gzip.compress(b"x" * 99, mtime=0), b"\1" + zstd.compress(b"x" * 99), b"\2x")),
    "snappy": Target(snappy, (b"\x03\x08abc", bytes(cramjam.snappy.compress_raw(b"x" * 99)), b"\xff\xff\xff\xff\x0f")),
    "write_v1": Target(write_v1, SERIES_V1),
    "write_v2": Target(write_v2, SERIES_V2),
    "query": Target(query, (b"filter%5Bdate%5D%5Bgte%5D=2025-12-14&a=%ff&b=%00", b"a=1&a=2;b+c=%ED%A0%80")),
    "paths": Target(paths, (b"api/v1/servers/sv%2F1", b"/traffic//quota/", b"api/v1/vpn_instances/a/peers/%ff")),
    "instants": Target(instants, (b"\0" + b"2025-12-14T16:00:00.5Z", b"\x01" + b"20250309T023000", b"\3" + b"2011-12-30")),
    "token": Target(token, (write_token(QUERY, Rest(0, 300)).encode(), write_place(QUERY, 7).encode(), b"AQ==")),
    "catalog": Target(catalog, (CATALOG, b"{}", b"- [1, .inf, ~, yes]")),
    "log": Target(log, LOG_LINES),
    "collected": Target(collected, (COLLECTED,)),
    "interest": Target(interest, (INTEREST,)),
    "net_dev": Target(net_dev, (NET_DEV,)),
    "journal": Target(journal, (codec.encode(_ROWS[:1], POSITION), codec.encode(_ROWS, POSITION), OTHER_LAYOUT, b"\0\3")),
    "otlp_json": Target(otlp_json, (OTLP_JSON, b'{"resourceMetrics":[]}')),
    "otlp_protobuf": Target(otlp_protobuf, (OTLP_PROTOBUF, OTLP_PROTOBUF * 2, b"\x0a\x00")),
    "otlp_logs": Target(otlp_logs, (b"\0" + OTLP_LOGS, b"\0" + OTLP_LOGS * 2, b"\1" + OTLP_LOGS_JSON)),
    "sflow": Target(sflow, SFLOW_DATAGRAMS),
    "netflow": Target(fuzz_netflow.check, fuzz_netflow.SEEDS),
    "snmp": Target(snmp_targets.snmp, snmp_targets.SEEDS),
    "wireguard": Target(tunnel_targets.transfer, tunnel_targets.TRANSFER),
    "openvpn_status": Target(tunnel_targets.status, tunnel_targets.STATUSES),
    "openvpn_socket": Target(tunnel_targets.dialogue, tunnel_targets.SOCKETS),
}
"""Everything that is fuzzed, by the name that the command knows it by."""
