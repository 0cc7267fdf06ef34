"""Bodies of both encodings to points: what is read, what is passed over, and what cannot be read."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support.otlp import DELTA, DURATION, GET_ITEMS, RECEIVED, SENT, encode, export, joined, metric, ns, point
from weighbridge.sources.otlp import json as json_reader
from weighbridge.sources.otlp import protobuf as protobuf_reader
from weighbridge.sources.otlp import wire
from weighbridge.sources.otlp.decode import JSON, MEDIA_TYPES, PROTOBUF, check_export, read_metrics
from weighbridge.sources.otlp.metrics import MAX_ATTRIBUTES, MAX_DEPTH, Kind, TooManyError, UnreadableError

both = pytest.mark.parametrize("media_type", MEDIA_TYPES)


def read(told, media_type):
    return read_metrics(encode(told, media_type), media_type)


def read_one(told, media_type):
    (found,) = read(told, media_type)
    return found, list(found.points)


@both
@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram"])
def test_a_histogram_is_read(kind, media_type):
    told = export(
        metric(SENT, point(count="7", sum=1234.0), kind=kind), resource={"service.name": "shop"}, scope="s", version="2"
    )
    found, (read_point,) = read_one(told, media_type)
    assert (found.name, found.unit, found.kind, found.temporality) == (SENT, "By", Kind.HISTOGRAM, DELTA)
    assert found.origin.resource.attributes == {"service.name": "shop"}
    assert (found.origin.scope_name, found.origin.scope_version, found.origin.scope) == ("s", "2", {})
    assert (read_point.start_ns, read_point.time_ns) == (int(ns(-15)), int(ns(0)))
    assert (read_point.count, read_point.sum, read_point.is_absent) == (7, 1234.0, False)
    assert read_point.attributes == GET_ITEMS


@both
@pytest.mark.parametrize(("fields", "expected"), [
    ({"asInt": "9007199254740993"}, 9_007_199_254_740_993), ({"asInt": "-3"}, -3), ({"asDouble": 12.5}, 12.5), ({}, None),
    ({"asInt": "0"}, 0),
])
def test_a_sum_keeps_its_integers_whole(fields, expected, media_type):
    found, (read_point,) = read_one(export(metric(SENT, point(**fields), kind="sum", isMonotonic=True)), media_type)
    assert (found.kind, found.is_monotonic) == (Kind.SUM, True)
    assert (read_point.sum, read_point.count) == (expected, 0)
    assert type(read_point.sum) is type(expected)


@both
def test_what_is_not_told_is_not_zero(media_type):
    _, (read_point,) = read_one(export(metric(SENT, point(None, count="7"))), media_type)
    assert (read_point.sum, read_point.start_ns) == (None, 0)
    _, (absent,) = read_one(export(metric(SENT, point(flags=1))), media_type)
    assert absent.is_absent


@both
def test_values_of_attributes_keep_their_types(media_type):
    nested = {"arrayValue": {"values": [{"stringValue": "a"}, {"kvlistValue": {"values": [{"key": "k", "value": {}}]}}]}}
    told = {
        "text": "é", "empty": "", "yes": True, "number": 2**62, "double": 0.5, "none": {"raw": {}}, "nested": {"raw": nested},
        "bytes": {"raw": {"bytesValue": "AP8="}},
    }
    _, (read_point,) = read_one(export(metric(SENT, point(attributes_=told))), media_type)
    assert read_point.attributes == {
        "text": "é", "empty": "", "yes": True, "number": 2**62, "double": 0.5, "none": None,
        "nested": ["a", {"k": None}], "bytes": b"\x00\xff",
    }


@both
def test_metrics_that_do_not_count_are_passed_over(media_type):
    other = metric("http.client.request.duration", point(count="1"))
    empty = metric(DURATION)
    without_data = {"name": DURATION, "unit": "s"}
    assert read(export(other, empty, without_data), media_type) == []
    assert read({"resourceMetrics": [{}, {"scopeMetrics": [{}, {"metrics": [{}]}]}]}, media_type) == []
    assert read({}, media_type) == []


@both
def test_resources_scopes_and_metrics_come_in_any_number(media_type):
    told = joined(
        export(metric(DURATION, point(count="1")), metric(SENT, point(count="1"), point(count="2")), resource={"a": "1"}),
        export(metric(DURATION, point(count="3")), resource={"a": "2"}, scope="other"),
    )
    found = read(told, media_type)
    assert [(each.name, each.origin.scope_name, [p.count for p in each.points]) for each in found] == [
        (DURATION, "lib", [1]), (SENT, "lib", [1, 2]), (DURATION, "other", [3])]
    assert found[0].origin.digest == found[1].origin.digest != found[2].origin.digest


@both
def test_more_attributes_than_may_be_are_none_at_all(media_type):
    most = {f"a{number}": "x" for number in range(MAX_ATTRIBUTES)}
    _, (fits,) = read_one(export(metric(SENT, point(attributes_=most))), media_type)
    assert len(fits.attributes) == MAX_ATTRIBUTES
    over = {**most, "b": "x"}
    found, (too_many,) = read_one(export(metric(SENT, point(attributes_=over)), resource=over), media_type)
    assert (too_many.attributes, found.origin.resource.attributes) == (None, None)


@both
@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH + 1, 90, 200, 2000])
def test_values_nested_too_deeply_are_unreadable(levels, media_type):
    inner, size = b'{"stringValue":"x"}', b""
    for _ in range(levels):
        inner = b'{"arrayValue":{"values":[' + inner + b"]}}"
    if media_type == JSON:
        body = json.dumps(export(metric(SENT, point(attributes_={"k": {"raw": {}}})))).encode()
        body = body.replace(b'"value": {}', b'"value": ' + inner)
    else:
        for _ in range(levels):
            size = wire.write_bytes(5, wire.write_bytes(1, size))
        attribute = wire.write_bytes(9, wire.write_bytes(1, b"k") + wire.write_bytes(2, size))
        data = wire.write_bytes(9, wire.write_bytes(1, attribute))
        body = wire.write_bytes(1, wire.write_bytes(2, wire.write_bytes(2, wire.write_bytes(1, SENT.encode()) + data)))
    if levels < MAX_DEPTH:
        assert read_metrics(body, media_type)
        return
    with pytest.raises(UnreadableError):
        [list(each.points) for each in read_metrics(body, media_type)]


def test_messages_back_to_back_are_one():
    parts = [
        export(metric(DURATION, point(count=str(n))), resource={"service.instance.id": "i"}) for n in (1, 2, 3)
    ]
    body = b"".join(encode(part, PROTOBUF) for part in parts)
    assert ExportMetricsServiceRequest.FromString(body) == ExportMetricsServiceRequest.FromString(
        encode(joined(*parts), PROTOBUF))
    assert [p.count for each in read_metrics(body, PROTOBUF) for p in each.points] == [1, 2, 3]


def pieces(*spans):
    """Fields of (number, bytes), one after another."""
    return b"".join(wire.write_bytes(number, data) for number, data in spans)


NAME, ONE_POINT = (1, DURATION.encode()), (9, pieces((1, b"")))


def scope(metric_bytes, told=b""):
    return pieces((1, told), (2, metric_bytes))


def resource(scope_bytes, told=b""):
    return pieces((1, pieces((1, told), (2, scope_bytes))))


def test_a_message_in_pieces_is_merged_as_protobuf_does():
    """A resource, a histogram and a scope told in two pieces each; of two kinds of data the last one holds."""
    first_point, second_point = (wire.write_number(8, n) for n in (1, 2))
    histogram = pieces((7, pieces((1, b""))), NAME, (9, pieces((1, first_point))), (9, wire.write_number(2, 2)),
                       (9, pieces((1, second_point))), (3, b"s"))
    scoped = pieces((1, pieces((1, b"old"))), (2, histogram), (1, pieces((1, b"new"))))
    attribute = [pieces((1, pieces((1, key), (2, pieces((1, b"x")))))) for key in (b"a", b"b")]
    body = pieces((1, pieces((1, attribute[0]), (2, scoped), (1, attribute[1]))))
    (found,) = read_metrics(body, PROTOBUF)
    assert (found.kind, found.temporality, len(found.points)) == (Kind.HISTOGRAM, 2, 2)
    assert found.origin.resource.attributes == {"a": "x", "b": "x"}
    assert found.origin.scope_name == "new"
    parsed = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    assert [each.key for each in parsed.resource.attributes] == ["a", "b"]
    assert parsed.scope_metrics[0].scope.name == "new"
    assert len(parsed.scope_metrics[0].metrics[0].histogram.data_points) == 2


@pytest.mark.parametrize("body", [
    b"garbage", b"{}", b"\x0a", b"\x0a\x05abc", b"\x0a\x80", b"\xff" * 11, b"\x02\x00", b"\x0b\x0c", b"\x09\x00", b"\x0d\x00",
    b"\x08" + b"\xff" * 9 + b"\x02", b"\x08" + b"\xff" * 10 + b"\x01", pieces((1, b"garbage")),
    pieces((1, pieces((2, b"garbage")))), resource(scope(b"garbage")), resource(scope(pieces(NAME, (9, b"garbage")))),
    resource(scope(pieces(NAME, (9, pieces((1, b"garbage")))))), resource(scope(pieces(NAME, (3, b"\xff"), ONE_POINT))),
    resource(scope(pieces(NAME, ONE_POINT)), b"garbage"), resource(scope(pieces(NAME, ONE_POINT), b"garbage")),
    resource(scope(pieces(NAME, ONE_POINT)), pieces((1, pieces((1, b"\xff"))))),
])
def test_what_is_no_protobuf_is_unreadable(body):
    with pytest.raises(UnreadableError):
        [list(each.points) for each in read_metrics(body, PROTOBUF)]


def one_point(fields):
    return json.dumps(export(metric(SENT, {}))).replace("[{}]", f"[{fields}]").encode()


@pytest.mark.parametrize("body", [
    b"", b"[]", b"null", b"{", b"\xff", b'{"resourceMetrics":[1]}', b'{"resourceMetrics":{}}', b'{"x":' + b"[" * 100_000,
    b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":1}]}]}]}', b"{}{}", b'{"x":"\\ud800"}',
    one_point('{"count":-1}'), one_point('{"count":18446744073709551616}'), one_point('{"timeUnixNano":"x"}'),
    one_point('{"timeUnixNano":-1}'), one_point('{"startTimeUnixNano":"18446744073709551616"}'), one_point('{"sum":"x"}'),
    one_point('{"count":%s}' % ("9" * 5000)), one_point('{"count":"%s"}' % ("9" * 5000)), one_point('{"sum":1e999}'),
    one_point('{"attributes":[{"key":"k","value":{"intValue":"9223372036854775808"}}]}'),
    one_point('{"attributes":[{"key":"k","value":{"bytesValue":"?"}}]}'), one_point('{"attributes":[null]}'),
])
def test_what_is_no_otlp_in_json_is_unreadable(body):
    with pytest.raises(UnreadableError) as caught:
        [list(each.points) for each in read_metrics(body, JSON)]
    assert len(str(caught.value)) <= json_reader.SHOWN


@pytest.mark.parametrize(("told", "expected"), [
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2), ("AGGREGATION_TEMPORALITY_DELTA", 1), (2, 2), ("SOMETHING", 0), (7, 7),
    (None, 0),
])
def test_json_says_temporality_by_number_or_name(told, expected):
    (found,) = read_metrics(encode(export(metric(SENT, point(), temporality=told)), JSON), JSON)
    assert found.temporality == expected


def test_json_has_integers_as_texts_or_numbers_and_null_for_nothing():
    fields = dict.fromkeys(("startTimeUnixNano", "sum", "attributes", "flags")) | {"timeUnixNano": int(ns(0)), "count": 3}
    (found,) = read_metrics(one_point(json.dumps(fields)), JSON)
    (read_point,) = found.points
    assert (read_point.time_ns, read_point.start_ns, read_point.count, read_point.sum) == (int(ns(0)), 0, 3, None)
    assert read_point.attributes == {}


@both
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_doubles_that_are_no_numbers_come_through(number, media_type):
    _, (read_point,) = read_one(export(metric(RECEIVED, point(count="1", sum=number))), media_type)
    assert repr(read_point.sum) == repr(float(number))


@both
def test_points_are_bounded(media_type, monkeypatch):
    for reader in (json_reader, protobuf_reader):
        monkeypatch.setattr(reader, "MAX_POINTS", 3)
    assert read(export(metric(DURATION, *[point()] * 2), metric(SENT, point())), media_type)
    with pytest.raises(TooManyError, match="more than 3 data points"):
        read(export(metric(DURATION, *[point()] * 2), metric(SENT, *[point()] * 2)), media_type)


def test_objects_of_json_are_bounded(monkeypatch):
    body = encode(export(metric(DURATION, point())), JSON)
    monkeypatch.setattr(json_reader, "MAX_OBJECTS", body.count(b"{"))
    assert read_metrics(body, JSON)
    monkeypatch.setattr(json_reader, "MAX_OBJECTS", body.count(b"{") - 1)
    with pytest.raises(TooManyError, match="objects"):
        read_metrics(body, JSON)


def test_fields_of_protobuf_are_bounded(monkeypatch):
    body = wire.write_bytes(15, b"") * 10
    monkeypatch.setattr(wire, "MAX_FIELDS", 10)
    assert read_metrics(body, PROTOBUF) == []
    check_export(body, PROTOBUF)
    monkeypatch.setattr(wire, "MAX_FIELDS", 9)
    for look in (read_metrics, check_export):
        with pytest.raises(TooManyError, match="more than 9 fields"):
            look(body, PROTOBUF)


def test_a_part_that_is_too_large_is_not_parsed(monkeypatch):
    body = encode(export(metric(DURATION, point(count="1")), resource={"service.name": "shop"}), PROTOBUF)
    monkeypatch.setattr(protobuf_reader, "MAX_PART_BYTES", 10)
    (found,) = read_metrics(body, PROTOBUF)
    assert found.origin.resource.attributes is None
    assert found.origin.scope == {}, "small enough"
    assert [each.attributes for each in found.points] == [None]


@pytest.mark.parametrize(("body", "media_type", "is_good"), [
    (b"", PROTOBUF, True), (b"\x0a\x02\xff\xff", PROTOBUF, True), (b"x", PROTOBUF, False),
    (b"{}", JSON, True), (b'{"resourceSpans":[{"x":1}]}', JSON, True), (b"", JSON, False), (b"[]", JSON, False),
    (b'{"a":' + b"[" * 100_000, JSON, False),
])
def test_what_does_not_count_is_looked_at_from_outside_only(body, media_type, is_good):
    if is_good:
        check_export(body, media_type)
    else:
        with pytest.raises(UnreadableError):
            check_export(body, media_type)
