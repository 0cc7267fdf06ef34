"""What real clients sent, decoded: every point that counts, as OpenTelemetry's own decoder reads it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from support.otlp import figures
from weighbridge.sources.otlp.decode import PROTOBUF, check_export, read_metrics
from weighbridge.sources.otlp.metrics import COUNTED

FOLDER = Path(__file__).parent / "captures"
EXPECTED = sorted(FOLDER.glob("*.expected.json"))
each_capture = pytest.mark.parametrize("expected", EXPECTED, ids=lambda path: path.name)


def body_of(expected):
    return expected.with_name(expected.name.replace(".expected.json", ".bin")).read_bytes()


def counted_of(expected):
    """The points that count: (resource, scope, point) of each."""
    return [
        (each["resource"], each["scope"], told)
        for each in json.loads(expected.read_text("utf-8")) for told in each["points"] if told["name"] in COUNTED
    ]


def test_there_are_captures():
    assert len(EXPECTED) > 5


@each_capture
def test_points_of_captures_are_read_as_they_were_sent(expected):
    read = [
        (metric.origin.resource.attributes, metric.origin.scope_name, {
            "name": metric.name, "unit": metric.unit, "temporality": metric.temporality, "attributes": point.attributes,
            "start": point.start_ns, "time": point.time_ns, "count": point.count, "sum": point.sum,
        })
        for metric in read_metrics(body_of(expected), PROTOBUF) for point in metric.points
    ]
    wanted = counted_of(expected)
    for _, _, told in wanted:
        del told["kind"]
    assert read == wanted
    assert read


@each_capture
def test_every_point_of_captures_counts_once(expected):
    """Nothing is refused, and figures add up to what the points say."""
    found = figures(read_metrics(body_of(expected), PROTOBUF))
    sums = Counter()
    for _, _, told in counted_of(expected):
        column = COUNTED[told["name"]].column
        sums[column] += told["count"] if column == "requests" else int(told["sum"])
    assert {column: sum(getattr(each, column) or 0 for each in found) for column in sums} == dict(sums)
    assert {each.environment for each in found} == {"prod"}
    assert {each.counter is None for each in found} == {told["temporality"] == 1 for _, _, told in counted_of(expected)}


def test_captures_of_one_process_name_the_same_streams_and_of_twins_others():
    def streams(name):
        return {each.counter for each in figures(read_metrics((FOLDER / f"{name}.bin").read_bytes(), PROTOBUF))}

    assert streams("otel_cumulative_1") == streams("otel_cumulative_2")
    assert streams("otel_twin_a").isdisjoint(streams("otel_twin_b"))


def test_consumers_and_routes_of_apitally_are_told():
    found = figures(read_metrics((FOLDER / "apitally1_1.bin").read_bytes(), PROTOBUF))
    assert "alice" in {each.consumer for each in found}
    assert ("GET", "/items/{number}") in {(each.method, each.path) for each in found}


def test_logs_are_taken():
    check_export((FOLDER / "apitally1_logs.bin").read_bytes(), PROTOBUF)
