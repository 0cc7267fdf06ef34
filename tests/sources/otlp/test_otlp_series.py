"""Points to figures: which count, whose they are, and why others do not count."""

from __future__ import annotations

import pytest

from support.otlp import (
    CUMULATIVE,
    DELTA,
    DURATION,
    GET_ITEMS,
    NOW_S,
    OLD_DURATION,
    OLD_RECEIVED,
    OLD_SENT,
    RECEIVED,
    SENT,
    encode,
    export,
    figures,
    joined,
    metric,
    point,
)
from weighbridge.metering.counting import LARGEST_PART
from weighbridge.metering.messages import Figure
from weighbridge.sources.otlp.decode import MEDIA_TYPES, PROTOBUF, read_metrics
from weighbridge.sources.otlp.metrics import MAX_ATTRIBUTES
from weighbridge.sources.otlp.series import REASONS_TOLD, Refusals, figures_of, without_starts

NOW_US = NOW_S * 10**6


def read(told, environment=None, media_type=PROTOBUF):
    return figures(read_metrics(encode(told, media_type), media_type), environment)


def refused(told):
    """What is said of an export of which nothing counts."""
    said = figures_of(read_metrics(encode(told, PROTOBUF), PROTOBUF), "app/1", None)
    assert said.figures == []
    return said.refusals.points, said.refusals.sentence()


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram"])
def test_three_metrics_of_one_series_and_stretch_are_one_figure(kind, media_type):
    who = {**GET_ITEMS, "apitally.consumer.identifier": "alice", "http.response.status_code": 200}
    told = export(
        metric(DURATION, point(count="7", sum=0.25, attributes_=who), kind=kind),
        metric(RECEIVED, point(count="2", sum=300.0, attributes_=who), kind=kind),
        metric(SENT, point(count="7", sum=7000.0, attributes_=who), kind=kind),
    )
    assert read(told, "prod", media_type) == [Figure(
        subject="app/1", start_us=NOW_US - 15_000_000, end_us=NOW_US, requests=7, bytes_in=300, bytes_out=7000,
        environment="prod", consumer="alice", method="GET", path="/items/{id}",
    )]


def amounts(*metrics):
    return [(each.requests, each.bytes_in, each.bytes_out) for each in read(export(*metrics))]


def test_what_no_metric_tells_stays_unknown():
    assert amounts(metric(DURATION, point(count="7"))) == [(7, None, None)]
    assert amounts(metric(SENT, point(count="7", sum=5.0))) == [(None, None, 5)]
    assert amounts(metric(DURATION, point(count="7")), metric(SENT, point(count="7"))) == [(7, None, None)]
    assert amounts(metric(SENT, point(count="7"))) == [(None, None, None)]
    assert amounts(metric(SENT, point(count="0"))) == [(None, None, 0)], "no request, no byte"


def test_status_codes_are_of_one_series():
    codes = [point(count=str(n), attributes_={**GET_ITEMS, "http.response.status_code": 200 + n}) for n in (1, 2, 3)]
    assert amounts(metric(DURATION, *codes)) == [(6, None, None)]


def test_other_stretches_are_other_figures():
    told = metric(DURATION, point(-15, 0, count="1"), point(-30, -15, count="2"), point(None, 0, count="4"))
    found = read(export(told))
    assert [(each.start_us, each.end_us, each.requests) for each in found] == [
        (NOW_US - 15_000_000, NOW_US, 1), (NOW_US - 30_000_000, NOW_US - 15_000_000, 2), (None, NOW_US, 4)]


def test_amounts_that_are_too_large_together_are_figures_apart():
    half = LARGEST_PART // 2
    told = [point(count=str(half), attributes_={**GET_ITEMS, "n": n}) for n in range(3)]
    assert amounts(metric(DURATION, *told)) == [(half, None, None)] * 3
    assert amounts(metric(DURATION, point(count=str(half)), point(count=str(half - 1)))) == [(LARGEST_PART - 1, None, None)]


def test_nanoseconds_are_rounded_down():
    told = metric(DURATION, {"startTimeUnixNano": "1999", "timeUnixNano": "2999", "count": "1"})
    (found,) = read(export(told))
    assert (found.start_us, found.end_us) == (1, 2)


@pytest.mark.parametrize(("attributes", "method", "path", "consumer"), [
    ({"http.request.method": "get", "http.route": "/a"}, "GET", "/a", None),
    ({"http.method": "post", "http.route": "/a"}, "POST", "/a", None),
    ({"http.request.method": "GET", "http.method": "POST", "http.route": "/a"}, "GET", "/a", None),
    ({"http.request.method": "GET"}, None, None, None),
    ({"http.request.method": "GET", "http.route": ""}, None, None, None),
    ({"http.request.method": "GET", "http.target": "/a/7", "url.path": "/a/7"}, None, None, None),
    ({"http.route": "/a"}, None, None, None),
    ({"http.request.method": "GET", "http.route": 0.5}, None, None, None),
    ({"http.request.method": "GET", "http.route": "/a", "apitally.consumer.identifier": 12}, "GET", "/a", "12"),
    ({"apitally.consumer.identifier": True}, None, None, "True"),
    ({"apitally.consumer.identifier": ""}, None, None, None),
    ({"apitally.consumer.identifier": {"raw": {"arrayValue": {}}}}, None, None, None),
])
def test_attributes_are_dimensions(attributes, method, path, consumer):
    (found,) = read(export(metric(DURATION, point(count="1", attributes_=attributes))))
    assert (found.method, found.path, found.consumer) == (method, path, consumer)


@pytest.mark.parametrize(("header", "resource", "expected"), [
    ("prod", {"deployment.environment.name": "dev"}, "prod"),
    (None, {"deployment.environment.name": "dev", "deployment.environment": "old"}, "dev"),
    (None, {"deployment.environment": "old"}, "old"),
    (None, {"deployment.environment.name": ""}, "default"),
    (None, {}, "default"),
])
def test_the_environment_is_the_headers_or_the_resources_or_default(header, resource, expected):
    (found,) = read(export(metric(DURATION, point(count="1")), resource=resource), header)
    assert found.environment == expected


OLD = (metric(OLD_DURATION, point(count="7")), metric(OLD_RECEIVED, point(sum=1.0)), metric(OLD_SENT, point(sum=2.0)))
STABLE = (metric(DURATION, point(count="7")), metric(RECEIVED, point(sum=1.0)), metric(SENT, point(sum=2.0)))


def test_the_older_names_count_where_the_stable_ones_are_not_told():
    assert amounts(*OLD) == amounts(*STABLE) == amounts(*OLD, *STABLE) == amounts(*STABLE, *OLD) == [(7, 1, 2)]
    assert amounts(metric(DURATION, point(count="7")), *OLD) == [(7, None, None)]


def test_the_older_names_are_left_out_by_resource_and_scope():
    def told(**origin):
        return [each.requests for each in read(joined(export(*OLD, **origin), export(*STABLE, scope="a", version="1")))]

    assert told(scope="a", version="1") == [7], "also where both are parts of the body apart"
    assert told(scope="b") == told(scope="a", version="2") == told(scope="a", resource={"x": "y"}) == [14]


@pytest.mark.parametrize(("told", "reason"), [
    (metric(SENT, point(sum=0.5)), "no whole number"),
    (metric(SENT, point(sum="NaN")), "not finite"),
    (metric(SENT, point(sum="-Infinity")), "not finite"),
    (metric(SENT, point(sum=-1.0)), "negative"),
    (metric(SENT, point(asInt="-1"), kind="sum", isMonotonic=True), "negative"),
    (metric(SENT, point(sum=1.0), unit="kBy"), "its unit is 'kBy'; bytes are By"),
    (metric(SENT, point(sum=1.0), temporality=0), "neither delta nor cumulative"),
    (metric(SENT, point(sum=1.0), temporality=7), "neither delta nor cumulative"),
    (metric(SENT, point(asInt="1"), kind="sum"), "does not count anything"),
    (metric(DURATION, point(asDouble=1.0), kind="sum", isMonotonic=True), "does not count anything"),
    (metric(SENT, point(asInt="1"), kind="gauge"), "a gauge cannot be added up"),
    (metric(SENT, point(count="1", sum=1.0), kind="summary"), "a summary cannot be added up"),
    (metric(SENT, point(sum=1.0, timeUnixNano="0")), "no time"),
    (metric(SENT, point(sum=1.0, attributes_={f"a{n}": "" for n in range(MAX_ATTRIBUTES + 1)})), "attributes"),
])
def test_points_that_cannot_be_counted_are_refused_with_a_reason(told, reason):
    points, sentence = refused(export(told))
    assert points == 1
    assert reason in sentence
    assert told["name"] in sentence


def test_all_points_of_a_resource_with_too_many_attributes_are_refused():
    many = {f"a{number}": "x" for number in range(MAX_ATTRIBUTES + 1)}
    points, sentence = refused(export(metric(DURATION, *[point(count="1")] * 3), resource=many))
    assert points == 3
    assert "resource" in sentence


def test_what_was_not_measured_is_neither_counted_nor_refused():
    """Law 10: flags say that there is no value; nothing is said of the stretch."""
    assert read(export(metric(DURATION, point(count="0", flags=1)))) == []


@pytest.mark.parametrize("unit", ["By", ""])
def test_bytes_are_by_or_have_no_unit(unit):
    (found,) = read(export(metric(SENT, point(sum=1.0), unit=unit)))
    assert found.bytes_out == 1


@pytest.mark.parametrize("total", [0, 1, 2**53 + 2, 2**62 - 2**9])
def test_sums_are_exact_integers(total):
    (found,) = read(export(metric(SENT, point(sum=float(total)))))
    assert found.bytes_out == total
    assert type(found.bytes_out) is int


def test_a_sum_of_integers_is_exact_beyond_what_doubles_hold():
    (found,) = read(export(metric(SENT, point(asInt=str(2**53 + 1)), kind="sum", isMonotonic=True)))
    assert found.bytes_out == 2**53 + 1


def total(**fields):
    """A cumulative metric of one point."""
    return metric(DURATION, point(**{"start": -60, "count": "7", **fields}), temporality=CUMULATIVE)


def counters(*metrics, **origin):
    return [each.counter for each in read(export(*metrics, **origin))]


def test_cumulative_points_are_readings_of_counters():
    told = export(
        metric(DURATION, point(-60, 0, count="7"), temporality=CUMULATIVE),
        metric(SENT, point(-60, 0, count="7", sum=70.0), temporality=CUMULATIVE),
    )
    requests, sent = read(told)
    assert (requests.requests, requests.bytes_out, requests.start_us) == (7, None, NOW_US - 60_000_000)
    assert (sent.requests, sent.bytes_out, sent.end_us) == (None, 70, NOW_US)
    assert requests.counter != sent.counter
    assert read(export(metric(SENT, point(count="7"), temporality=CUMULATIVE))) == [], "no total was read (law 10)"
    assert read(export(metric(SENT, point(count="7", sum=1.0), temporality=DELTA)))[0].counter is None


def test_the_name_of_a_stream_is_the_same_for_ever():
    """It is on disk in every journal: another digest would count every stream once more, from its start."""
    resource = {"service.name": "shop", "process.pid": 7, "process.command_args": {"raw": {"arrayValue": {"values": [
        {"stringValue": "a"}, {"doubleValue": 0.5}, {"boolValue": True}, {"bytesValue": "AP8="}, {},
        {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}}]}}}}
    assert counters(total(), resource=resource) == ["7b92b06137386aa5bbaeb1807629ab53"]


@pytest.mark.parametrize("other", [{"time": 5}, {"count": "9"}])
def test_a_stream_keeps_its_name(other):
    assert counters(total()) == counters(total(**other))


@pytest.mark.parametrize("other", [
    {"start": -61}, {"start": None}, {"attributes_": {**GET_ITEMS, "http.response.status_code": 200}}, {"attributes_": {}},
])
def test_streams_of_other_points_have_other_names(other):
    assert counters(total()) != counters(total(**other))


def test_values_of_another_type_are_other_values():
    values = [1, "1", True, 1.0, {"raw": {}}, {"raw": {"bytesValue": "MQ=="}}, {"raw": {"arrayValue": {}}}]
    names = {counters(total(attributes_={**GET_ITEMS, "n": each}))[0] for each in values}
    assert len(names) == len(values)


@pytest.mark.parametrize("other", [
    {"resource": {"service.instance.id": "a"}}, {"resource": {"service.instance.id": "b"}}, {"scope": "other"},
    {"version": "2"},
])
def test_streams_of_other_origins_have_other_names(other):
    for known in ({}, {"resource": {"service.instance.id": "c"}}):
        assert counters(total(), **known) != counters(total(), **other)


def test_a_start_of_more_than_400_days_ago_is_unknown():
    long_ago = metric(DURATION, point(-400 * 86400 - 1, 0, count="7"), temporality=CUMULATIVE)
    just = metric(DURATION, point(-400 * 86400, 0, count="7"), temporality=CUMULATIVE)
    assert [each.start_us is None for each in read(export(long_ago, just))] == [True, False]


def test_without_starts_counters_begin_now_and_usage_stays():
    told = export(
        metric(DURATION, point(count="7"), temporality=CUMULATIVE), metric(SENT, point(count="1", sum=1.0), temporality=DELTA)
    )
    found = sorted(without_starts(read(told)), key=lambda figure: figure.counter is None)
    assert [each.start_us for each in found] == [None, NOW_US - 15_000_000]


def test_the_reasons_of_refusals_are_told_once_each_and_not_without_end():
    refusals = Refusals()
    assert refusals.sentence() == ""
    refusals.add("no", 2)
    refusals.add("no")
    assert refusals.sentence() == "3 data points were not counted: no (3)"
    for number in range(1000):
        refusals.add(f"{number} " + "x" * 10_000)
    told = refusals.sentence()
    assert told.startswith("1003 data points were not counted: no (3); 0 xxx")
    assert told.endswith("; and other reasons")
    assert told.count("(") == REASONS_TOLD
    assert len(told) < 2000
    refusals.warning = "Mind"
    assert refusals.sentence().endswith(". Mind")
