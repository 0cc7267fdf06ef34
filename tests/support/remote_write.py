"""Remote write as its senders make it: google.protobuf and descriptors on one side, bytes made by hand on the other."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = descriptor_pb2.FieldDescriptorProto
STALE = struct.unpack("<d", bytes.fromhex("02000000 0000f07f"))[0]

Field = tuple[str, int, int | str, bool]
"""Name, number, scalar type or message, repeated."""


def _classes(package: str, messages: Mapping[str, Sequence[Field]]) -> Mapping[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            made = message.field.add(name=field, number=number)
            made.label = _KINDS.LABEL_REPEATED if repeated else _KINDS.LABEL_OPTIONAL
            if isinstance(kind, str):
                made.type, made.type_name = _KINDS.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{package}.{name}") for name in messages}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


V1 = _classes("prometheus", {
    "Label": [("name", 1, _KINDS.TYPE_STRING, False), ("value", 2, _KINDS.TYPE_STRING, False)],
    "Sample": [("value", 1, _KINDS.TYPE_DOUBLE, False), ("timestamp", 2, _KINDS.TYPE_INT64, False)],
    "Exemplar": [("labels", 1, "Label", True), ("value", 2, _KINDS.TYPE_DOUBLE, False),
                 ("timestamp", 3, _KINDS.TYPE_INT64, False)],
    "Histogram": [("count_int", 1, _KINDS.TYPE_UINT64, False), ("sum", 3, _KINDS.TYPE_DOUBLE, False),
                  ("timestamp", 15, _KINDS.TYPE_INT64, False)],
    "TimeSeries": [("labels", 1, "Label", True), ("samples", 2, "Sample", True), ("exemplars", 3, "Exemplar", True),
                   ("histograms", 4, "Histogram", True)],
    "MetricMetadata": [("type", 1, _KINDS.TYPE_INT32, False), ("metric_family_name", 2, _KINDS.TYPE_STRING, False)],
    "WriteRequest": [("timeseries", 1, "TimeSeries", True), ("metadata", 3, "MetricMetadata", True)],
})
V2 = _classes("io.prometheus.write.v2", {
    "Sample": [("value", 1, _KINDS.TYPE_DOUBLE, False), ("timestamp", 2, _KINDS.TYPE_INT64, False),
               ("start_timestamp", 3, _KINDS.TYPE_INT64, False)],
    "Exemplar": [("labels_refs", 1, _KINDS.TYPE_UINT32, True), ("value", 2, _KINDS.TYPE_DOUBLE, False),
                 ("timestamp", 3, _KINDS.TYPE_INT64, False)],
    "Histogram": [("count_int", 1, _KINDS.TYPE_UINT64, False), ("sum", 3, _KINDS.TYPE_DOUBLE, False),
                  ("timestamp", 15, _KINDS.TYPE_INT64, False)],
    "Metadata": [("type", 1, _KINDS.TYPE_INT32, False), ("help_ref", 3, _KINDS.TYPE_UINT32, False),
                 ("unit_ref", 4, _KINDS.TYPE_UINT32, False)],
    "TimeSeries": [("labels_refs", 1, _KINDS.TYPE_UINT32, True), ("samples", 2, "Sample", True),
                   ("histograms", 3, "Histogram", True), ("exemplars", 4, "Exemplar", True),
                   ("metadata", 5, "Metadata", False), ("created_timestamp", 6, _KINDS.TYPE_INT64, False)],
    "Request": [("symbols", 4, _KINDS.TYPE_STRING, True), ("timeseries", 5, "TimeSeries", True)],
})


@dataclass(frozen=True)
class Sent:
    """One series with its samples: (value, timestamp in ms, start in ms or 0)."""

    labels: tuple[tuple[str, str], ...]
    samples: tuple[tuple[float, int, int], ...]
    exemplars: int = 0
    histograms: int = 0


def sent(name: str, *samples: tuple[float, int] | tuple[float, int, int], **labels: str) -> Sent:
    """A series of that metric."""
    pairs = sorted({"__name__": name, **labels}.items())
    return Sent(tuple(pairs), tuple((each[0], each[1], each[2] if len(each) > 2 else 0) for each in samples))


def write_v1(series: Sequence[Sent]) -> bytes:
    """prometheus.WriteRequest, with metadata as Prometheus sends it; it has no place for a start."""
    request = V1["WriteRequest"]()
    for each in series:
        made = request.timeseries.add()
        for name, value in each.labels:
            made.labels.add(name=name, value=value)
        for value, at_ms, _ in each.samples:
            made.samples.add(value=value, timestamp=at_ms)
        for number in range(each.exemplars):
            made.exemplars.add(value=number, timestamp=1).labels.add(name="trace_id", value="x")
        for number in range(each.histograms):
            made.histograms.add(count_int=number, sum=2.5, timestamp=1)
    request.metadata.add(type=1, metric_family_name="node_network_receive_bytes_total")
    return request.SerializeToString()


def write_v2(series: Sequence[Sent]) -> bytes:
    """io.prometheus.write.v2.Request."""
    request = V2["Request"]()
    symbols = {"": 0}

    def ref(text: str) -> int:
        return symbols.setdefault(text, len(symbols))

    for each in series:
        made = request.timeseries.add()
        made.metadata.type = 1
        made.metadata.help_ref = ref("What it counts")
        for name, value in each.labels:
            made.labels_refs.extend((ref(name), ref(value)))
        for value, at_ms, start_ms in each.samples:
            made.samples.add(value=value, timestamp=at_ms, start_timestamp=start_ms)
        for number in range(each.exemplars):
            made.exemplars.add(value=number, timestamp=1, labels_refs=[ref("trace_id"), ref("x")])
        for number in range(each.histograms):
            made.histograms.add(count_int=number, sum=2.5, timestamp=1)
    request.symbols.extend(symbols)
    return request.SerializeToString()


HEADERS_V1 = {
    "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0",
}
HEADERS_V2 = {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}


def snappy(body: bytes) -> bytes:
    """A block, as senders compress it."""
    return bytes(cramjam.snappy.compress_raw(body))


def varint(value: int) -> bytes:
    """By hand: seven bits a byte, the lowest first."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*made, value))


def chunk(number: int, content: bytes) -> bytes:
    """By hand: a field with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content
