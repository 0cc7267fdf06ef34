"""The two encodings say the same: any export, as Google's parser makes protobuf of it and as JSON, written in any way."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from support.otlp import DURATION, OLD_DURATION, OLD_SENT, RECEIVED, SENT, encode
from weighbridge.sources.otlp.decode import JSON, PROTOBUF, read_metrics
from weighbridge.sources.otlp.series import figures_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
uint64s = st.integers(0, 2**64 - 1) | st.integers(0, 5)
int64s = st.integers(-(2**63), 2**63 - 1)
doubles = st.floats() | st.integers(0, 2**53).map(float)
INSTANTS = st.sampled_from([0, 1_765_728_000_000_000_001, 1_765_728_060_000_000_999]) | uint64s


def as_text_or_number(draw, number):
    return str(number) if draw(st.booleans()) else number


def as_double(number):
    """JSON has no words for what is no number; protobuf's JSON has these."""
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return words.get(repr(number), number)


@st.composite
def values(draw, depth=0):
    kinds = ["stringValue", "boolValue", "intValue", "doubleValue", "none"] + ["arrayValue", "kvlistValue"] * (depth < 2)
    kind = draw(st.sampled_from(kinds))
    if kind == "none":
        return {}
    if kind == "arrayValue":
        return {kind: {"values": draw(st.lists(values(depth + 1), max_size=2))}}
    if kind == "kvlistValue":
        return {kind: {"values": draw(attributes(depth + 1))}}
    scalars = {"stringValue": texts, "boolValue": st.booleans(), "intValue": int64s, "doubleValue": doubles}
    told = draw(scalars[kind])
    return {kind: as_text_or_number(draw, told) if kind == "intValue" else as_double(told)}


NAMES = st.sampled_from(["http.request.method", "http.method", "http.route", "apitally.consumer.identifier", "x"]) | texts


@st.composite
def attributes(draw, depth=0):
    return [{"key": draw(NAMES), "value": draw(values(depth))} for _ in range(draw(st.integers(0, 4)))]


@st.composite
def points(draw, kind):
    told = {"attributes": draw(attributes())}
    for name, numbers in (("timeUnixNano", INSTANTS), ("startTimeUnixNano", INSTANTS)):
        if draw(st.booleans()):
            told[name] = as_text_or_number(draw, draw(numbers))
    if kind == "sum":
        told |= draw(st.sampled_from([{}, {"asInt": str(draw(int64s))}, {"asDouble": as_double(draw(doubles))}]))
    else:
        told["count"] = as_text_or_number(draw, draw(uint64s))
        if draw(st.booleans()):
            told["sum"] = as_double(draw(doubles))
    if draw(st.booleans()):
        told["flags"] = draw(st.integers(0, 3))
    return told


@st.composite
def metrics(draw):
    kind = draw(st.sampled_from(["histogram", "exponentialHistogram", "sum"]))
    temporality = draw(st.sampled_from([1, 2, 0, "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"]))
    data = {"dataPoints": draw(st.lists(points(kind), max_size=3)), "aggregationTemporality": temporality}
    if kind == "sum":
        data["isMonotonic"] = draw(st.booleans())
    name = draw(st.sampled_from([DURATION, RECEIVED, SENT, OLD_DURATION, OLD_SENT, "other"]))
    return {"name": name, "unit": draw(st.sampled_from(["By", "s", ""])), kind: data}


@st.composite
def exports(draw):
    resources = []
    for _ in range(draw(st.integers(0, 2))):
        scopes = [
            {
                "scope": {"name": draw(texts), "attributes": draw(attributes())},
                "metrics": draw(st.lists(metrics(), max_size=3)),
            }
            for _ in range(draw(st.integers(0, 2)))
        ]
        resources.append({"resource": {"attributes": draw(attributes())}, "scopeMetrics": scopes})
    return {"resourceMetrics": resources}


def everything(told, media_type):
    """All that a body says, as a text: NaN is equal to itself there."""
    found = read_metrics(encode(told, media_type), media_type)
    read = [
        (each.origin.resource.attributes, each.origin.scope, each.origin.digest, each.name, each.unit, each.kind,
         each.temporality, each.is_monotonic, list(each.points))
        for each in found
    ]
    said = figures_of(found, "app/1", None)
    return repr((read, said.figures, said.points, said.refusals.sentence()))


@settings(max_examples=200, deadline=None)
@given(exports())
def test_both_encodings_say_the_same(told):
    assert everything(told, JSON) == everything(told, PROTOBUF)


@settings(max_examples=50, deadline=None)
@given(exports(), exports())
def test_two_bodies_back_to_back_say_what_both_say(first, second):
    whole = read_metrics(encode(first, PROTOBUF) + encode(second, PROTOBUF), PROTOBUF)
    apart = [each for told in (first, second) for each in read_metrics(encode(told, PROTOBUF), PROTOBUF)]
    assert repr([(each.name, list(each.points)) for each in whole]) == repr([(each.name, list(each.points)) for each in apart])


@settings(max_examples=50, deadline=None)
@given(exports())
def test_where_json_has_spaces_and_in_what_order_its_names_stand_is_all_the_same(told):
    reordered = json.dumps(told, indent=1, sort_keys=True).encode()
    first, second = (read_metrics(body, JSON) for body in (encode(told, JSON), reordered))
    assert [each.origin.digest for each in first] == [each.origin.digest for each in second]
    assert repr([list(each.points) for each in first]) == repr([list(each.points) for each in second])
