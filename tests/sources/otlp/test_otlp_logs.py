"""Logs to what two events among them say: consumers' names, framework and endpoints; all else is passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from support.api_calls import CALLERS
from support.otlp import consumer_update, encode, joined, logs, startup, value
from weighbridge.model import Endpoint
from weighbridge.sources.otlp import json as json_reader
from weighbridge.sources.otlp import logs as logs_module
from weighbridge.sources.otlp import wire
from weighbridge.sources.otlp.decode import JSON, MEDIA_TYPES, PROTOBUF, read_logs
from weighbridge.sources.otlp.logs import CONSUMER_UPDATE, STARTUP, News, news_of
from weighbridge.sources.otlp.metrics import MAX_ATTRIBUTES, MAX_DEPTH, TooManyError, UnreadableError

both = pytest.mark.parametrize("media_type", MEDIA_TYPES)
CAPTURE = (Path(__file__).parent / "captures" / "apitally1_logs.bin").read_bytes()


def news(told, media_type, environment=None):
    return news_of(read_logs(encode(told, media_type), media_type), environment)


def test_the_capture_says_what_its_app_was_asked():
    found = news_of(read_logs(CAPTURE, PROTOBUF), None)
    assert found.consumers == {caller.identifier: (caller.name, caller.group) for caller in CALLERS if caller.identifier}
    assert found.framework == "fastapi"
    assert list(found.endpoints) == [
        Endpoint("GET", "/items/{number}"), Endpoint("POST", "/upload"), Endpoint("GET", "/stream"),
        Endpoint("GET", "/healthz"), Endpoint("GET", "/broken"),
    ]
    assert list(found.environments) == ["prod"]
    assert not found.passed_over


def test_the_capture_says_the_same_in_json():
    as_json = json_format.MessageToJson(ExportLogsServiceRequest.FromString(CAPTURE)).encode()
    assert news_of(read_logs(as_json, JSON), None) == news_of(read_logs(CAPTURE, PROTOBUF), None)


@both
@pytest.mark.parametrize(("records", "expected"), [
    ([consumer_update(identifier="a", name="A", group="g")], {"a": ("A", "g")}),
    ([consumer_update(identifier="a", attributes={"plan": "gold"})], {"a": (None, None)}),
    ([consumer_update(identifier="a", name="A"), consumer_update(identifier="a", group="g")], {"a": ("A", "g")}),
    ([consumer_update(identifier="a", name="A"), consumer_update(identifier="a", name="B")], {"a": ("B", None)}),
    ([consumer_update(identifier="a", name="", group="é" * 255)], {"a": (None, "é" * 255)}),
    ([consumer_update(identifier="b", name="B") | {"severityText": "INFO", "attributes": []}], {"b": ("B", None)}),
])
def test_consumers_are_what_was_said_of_them_last(records, expected, media_type):
    found = news(logs(*records), media_type)
    assert found == News({"prod": None}, expected)


@both
def test_a_start_tells_framework_and_endpoints(media_type):
    paths = [("get", "/x"), ("GET", "/x"), ("POST", "/é")]
    told = logs(startup(*paths, framework="flask", versions={"python": "3"}, openapi="{}"))
    expected = {Endpoint("GET", "/x"): None, Endpoint("POST", "/é"): None}
    assert news(told, media_type) == News({"prod": None}, endpoints=expected, framework="flask")


@both
@pytest.mark.parametrize("body", ["{}", '{"framework":null,"paths":null}'])
def test_a_start_may_tell_nothing(media_type, body):
    assert news(logs({"eventName": STARTUP, "body": value(body)}), media_type) == News({"prod": None})


@both
def test_the_openapi_document_of_a_start_may_be_large(media_type):
    found = news(logs(startup(("GET", "/x"), framework="fastapi", openapi="é" * 2_000_000)), media_type)
    assert (found.framework, list(found.endpoints)) == ("fastapi", [Endpoint("GET", "/x")])


@both
@pytest.mark.parametrize("record", [
    {"body": value({"identifier": "a", "name": "A"})},
    {"eventName": "apitally.consumer.updated", "body": value({"identifier": "a", "name": "A"})},
    {"eventName": "", "body": value("apitally.consumer.update")},
    {"attributes": [{"key": "event.name", "value": value(CONSUMER_UPDATE)}], "body": value({"identifier": "a"})},
])
def test_all_other_records_are_passed_over(record, media_type):
    assert news(logs(record), media_type) == News()


@both
@pytest.mark.parametrize("record", [
    {"eventName": CONSUMER_UPDATE},
    {"eventName": CONSUMER_UPDATE, "body": {}},
    {"eventName": CONSUMER_UPDATE, "body": value('{"identifier":"a"}')},
    {"eventName": CONSUMER_UPDATE, "body": {"arrayValue": {"values": [value("a")]}}},
    consumer_update(name="nobody"),
    consumer_update(identifier=""),
    consumer_update(**{f"n{number}": "x" for number in range(MAX_ATTRIBUTES)}, identifier="a"),
    {"eventName": STARTUP},
    {"eventName": STARTUP, "body": value({"framework": "flask"})},
    *({"eventName": STARTUP, "body": value(text)} for text in (
        "", "no JSON", "[]", "null", '{"framework":1}', '{"paths":[{"method":"GET"}]}', '{"paths":{}}', '{"x":' + "[" * 9000,
        '{"framework":"\\ud83d"}',
    )),
])
def test_events_that_do_not_say_what_they_promise_are_passed_over_and_counted(record, media_type):
    expected = News({"prod": None}, {"b": ("B", None)}, passed_over={"event": 1})
    assert news(logs(record, consumer_update(identifier="b", name="B")), media_type) == expected


@both
@pytest.mark.parametrize("unfit", ["x" * 256, "a\nb", "\x00", "\x9f"])
def test_names_that_cannot_be_kept_are_passed_over_and_counted(unfit, media_type):
    found = news(logs(consumer_update(identifier="a", name=unfit, group="g"), startup(framework=unfit)), media_type)
    assert found == News({"prod": None}, {"a": (None, "g")}, passed_over={"name": 2})
    assert news(logs(consumer_update(identifier=unfit)), media_type) == News(passed_over={"name": 1, "event": 1})
    named = logs(consumer_update(identifier="a"), environment=unfit)
    assert news(named, media_type) == News(consumers={"a": (None, None)}, passed_over={"name": 1})


@both
def test_a_name_that_is_no_text_is_passed_over_and_counted(media_type):
    assert news(logs(consumer_update(identifier="a", name=7)), media_type).passed_over == {"name": 1}


@both
@pytest.mark.parametrize("endpoint", [("", "/x"), ("GET", ""), ("M" * 33, "/x"), ("GET", "/" * 1025), ("GET", "/\r")])
def test_endpoints_that_cannot_be_kept_are_passed_over_and_counted(endpoint, media_type):
    found = news(logs(startup(endpoint, ("GET", "/good"))), media_type)
    assert (list(found.endpoints), found.passed_over) == ([Endpoint("GET", "/good")], {"endpoint": 1})


@both
def test_the_environment_is_that_of_each_resource_unless_the_client_says_it_beside_the_body(media_type):
    told = joined(
        logs(consumer_update(identifier="a")), logs(consumer_update(identifier="b"), environment="qa"),
        logs(startup(), environment=None), logs({"eventName": "other"}, environment="unheard"),
    )
    assert list(news(told, media_type).environments) == ["prod", "qa", "default"]
    assert list(news(told, media_type, "staging").environments) == ["staging"]


@both
def test_a_resource_of_too_many_attributes_tells_nothing(media_type):
    told = logs(consumer_update(identifier="a"))
    told["resourceLogs"][0]["resource"]["attributes"] *= MAX_ATTRIBUTES + 1
    assert news(told, media_type) == News(passed_over={"event": 1})


@both
def test_more_events_or_endpoints_than_one_body_may_hold(media_type, monkeypatch):
    monkeypatch.setattr(logs_module, "MAX_EVENTS", 2)
    monkeypatch.setattr(logs_module, "MAX_ENDPOINTS", 2)
    three = [consumer_update(identifier=each) for each in "abc"]
    assert len(news(logs(*three[:2]), media_type).consumers) == 2
    with pytest.raises(TooManyError, match="more than 2 events"):
        news(logs(*three), media_type)
    found = news(logs(startup(("GET", "/1"), ("GET", "/2"), ("GET", "/3"), ("GET", "/1"))), media_type)
    assert (len(found.endpoints), found.passed_over) == (2, {"endpoint": 1})


@both
def test_more_fields_or_objects_than_one_body_may_hold(media_type, monkeypatch):
    monkeypatch.setattr(wire, "MAX_FIELDS", 9)
    monkeypatch.setattr(json_reader, "MAX_OBJECTS", 9)
    with pytest.raises(TooManyError):
        news(logs(consumer_update(identifier="a")), media_type)


@both
def test_nesting_has_an_end(media_type):
    deep = value("x")
    for _ in range(MAX_DEPTH + 2):
        deep = {"arrayValue": {"values": [deep]}}
    with pytest.raises(UnreadableError, match="nested"):
        news(logs(consumer_update(identifier="a", attributes={"raw": deep})), media_type)


def test_a_message_in_pieces_is_one():
    """Concatenation joins messages, and the last of several texts holds."""
    def message(*parts):
        return b"".join(wire.write_bytes(number, content) for number, content in parts)

    def export(*parts):
        return message((1, message((2, message((2, message(*parts)))))))

    name, other = CONSUMER_UPDATE.encode(), b"apitally.other"
    pairs = [message((1, key), (2, message((1, text)))) for key, text in ((b"identifier", b"a"), (b"name", b"A"))]
    pieces = [message((6, message((1, pair)))) for pair in pairs]
    found = news_of(read_logs(export((5, pieces[0]), (12, other), (5, pieces[1]), (12, name)), PROTOBUF), None)
    assert found.consumers == {"a": ("A", None)}
    assert news_of(read_logs(export((5, pieces[0]), (12, name), (12, other)), PROTOBUF), None) == News()
    texts = (message((1, b"{}")), message((1, b'{"framework":"flask"}')))
    start = news_of(read_logs(export((12, STARTUP.encode()), *((5, each) for each in texts)), PROTOBUF), None)
    assert start.framework == "flask"
    then_text = export((12, STARTUP.encode()), (5, pieces[0]), (5, texts[1]))
    assert news_of(read_logs(then_text, PROTOBUF), None).framework == "flask"


@pytest.mark.parametrize("body", [
    b'{"resourceLogs":5}', b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":5}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"apitally.app.startup","body":5}]}]}]}',
])
def test_json_of_another_shape_is_unreadable(body):
    with pytest.raises(UnreadableError):
        news_of(read_logs(body, JSON), None)


def test_bodies_of_other_records_are_not_looked_at():
    other = {"eventName": "other", "body": 5}
    body = json.dumps(logs(other, consumer_update(identifier="a"))).encode()
    assert list(news_of(read_logs(body, JSON), None).consumers) == ["a"]


@pytest.mark.parametrize("body", [b"\x0a\x05" + STARTUP.encode(), b"\x0a\x18\x12\x16\x12\x14\x62\x14" + STARTUP.encode()])
def test_protobuf_that_breaks_on_its_way_to_an_event_is_unreadable(body):
    with pytest.raises(UnreadableError):
        news_of(read_logs(body, PROTOBUF), None)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["a", "b", "x" * 256])
bodies = st.recursive(
    texts.map(value) | st.integers(-9, 9).map(value) | st.just({}),
    lambda inner: st.lists(st.tuples(st.sampled_from(["identifier", "name", "group"]) | texts, inner), max_size=4).map(
        lambda pairs: {"kvlistValue": {"values": [{"key": key, "value": each} for key, each in pairs]}}),
    max_leaves=6,
)
starts = st.lists(st.tuples(st.sampled_from(["GET", "get"]) | texts, texts), max_size=3).map(lambda paths: startup(*paths))
records = starts | st.fixed_dictionaries({"eventName": st.sampled_from([CONSUMER_UPDATE, STARTUP, "other"]), "body": bodies})
exports = st.lists(
    st.builds(lambda told, name: logs(*told, environment=name), st.lists(records, max_size=3), st.none() | texts),
    min_size=1, max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(exports)
def test_both_encodings_say_the_same(told):
    assert news(joined(*told), JSON) == news(joined(*told), PROTOBUF)
