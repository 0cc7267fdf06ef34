"""Bodies of the hub protocol: what they tell, and where they are wrong."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.hub import row, startup, sync, uuid_of
from support.message_bench import NOW_S
from weighbridge.model import Endpoint
from weighbridge.sources.hub import decode as decode_module
from weighbridge.sources.hub.decode import InvalidBodyError, Row, decode_startup, decode_sync, figures_of


def read(body):
    return decode_sync(body if isinstance(body, bytes) else json.dumps(body).encode())


def faults(decode, body):
    with pytest.raises(InvalidBodyError) as caught:
        decode(body if isinstance(body, bytes) else json.dumps(body).encode())
    return [(fault.type, fault.loc) for fault in caught.value.faults]


def test_a_sync_is_what_it_says():
    found = read(sync(0.25, row(7, 10, 20, consumer="alice"), row(1, 2, 3, method="post", path="/items/:id"), message=3,
                      consumers=[{"identifier": "alice", "name": "Alice", "group": None}, {"identifier": "bob"}]))
    assert found.at_us == NOW_S * 10**6 + 250_000
    assert (found.instance, found.message) == (uuid_of(1), uuid_of(1003))
    assert found.rows == (Row("alice", "GET", "/x", 7, 10, 20), Row(None, "POST", "/items/:id", 1, 2, 3))
    assert found.consumers == {"alice": ("Alice", None), "bob": (None, None)}
    assert found.nameless == 0


def test_its_figures_have_no_start():
    (figure,) = figures_of(read(sync(0, row(7, 10, 20, consumer="alice"))), "app/1", "prod")
    assert (figure.subject, figure.environment, figure.consumer, figure.method, figure.path) == (
        "app/1", "prod", "alice", "GET", "/x")
    assert (figure.start_us, figure.end_us, figure.bytes_in, figure.bytes_out, figure.requests, figure.counter) == (
        None, NOW_S * 10**6, 10, 20, 7, None)


@pytest.mark.parametrize(("text", "at_us"), [
    ("1765728000", 1_765_728_000_000_000),
    ("1765728000.0", 1_765_728_000_000_000),
    ("1765728000.123456", 1_765_728_000_123_456),
    ("1765728000.999999", 1_765_728_000_999_999),
    ("1765728000.9999996", 1_765_728_001_000_000),
    ("1.765728000123e9", 1_765_728_000_123_000),
    ("63072000", 63_072_000_000_000),
])
def test_instants_are_exact_to_the_microsecond(text, at_us):
    body = json.dumps(sync(0)).replace(str(NOW_S), text).encode()
    assert read(body).at_us == at_us


@given(st.floats(63_072_000, 8_000_000_000))
def test_an_instant_is_the_nearest_microsecond(timestamp):
    at_us = read(sync(0, timestamp=timestamp)).at_us
    assert abs(Fraction(timestamp) * 10**6 - at_us) <= Fraction(1, 2)


@pytest.mark.parametrize(("told", "kept"), [
    ({"consumer": ""}, (None, "GET", "/x")),
    ({"consumer": None}, (None, "GET", "/x")),
    ({"path": ""}, (None, None, None)),
    ({"path": None}, (None, None, None)),
    ({"method": "", "path": "/x"}, (None, None, None)),
    ({"method": None, "path": ""}, (None, None, None)),
    ({"method": "get"}, (None, "GET", "/x")),
    ({"method": "PROPFIND"}, (None, "PROPFIND", "/x")),
    ({"path": "RegExp(/^\\/(a"}, (None, "GET", "RegExp(/^\\/(a")),
    ({"path": "/items/<int:id>"}, (None, "GET", "/items/<int:id>")),
    ({"status_code": None}, (None, "GET", "/x")),
    ({"consumer": "a|b"}, ("a|b", "GET", "/x")),
])
def test_names_are_kept_as_they_were_sent(told, kept):
    found = read(sync(0, row(**told)))
    assert (found.rows[0].consumer, found.rows[0].method, found.rows[0].path) == kept
    assert found.nameless == 0


@pytest.mark.parametrize(("told", "kept"), [
    ({"consumer": "x" * 256}, (None, "GET", "/x")),
    ({"consumer": "a\nb"}, (None, "GET", "/x")),
    ({"path": "/" * 1025, "consumer": "alice"}, ("alice", None, None)),
    ({"path": "/a\u0085"}, (None, None, None)),
    ({"method": "x" * 33, "consumer": "alice"}, ("alice", None, None)),
    # a consumer auth0|123, cut apart by the JS client
    ({"consumer": "auth0", "method": "5f7c8ec7c33c6c00", "path": "GET", "status_code": None}, (None, None, None)),
])
def test_a_name_that_cannot_be_kept_costs_no_count(told, kept):
    found = read(sync(0, row(7, 8, 9, **told), row()))
    assert found.rows[0] == Row(*kept, 7, 8, 9)
    assert found.nameless == 1


@pytest.mark.parametrize("escape", ["\\ud83d", "\\udE00", "\\ud83d\\ud83d", "\\ud83dx", "\\\\\\ud83d"])
def test_half_a_character_is_no_fault(escape):
    """The JS client cuts messages of errors, and consumers, to a length in UTF-16."""
    body = json.dumps(sync(0, row(consumer="C", path="/\u00e9\\ud83d"), server_errors=[{"msg": "M\U0001f600"}]))
    found = read(body.replace('"C"', f'"{escape}"').replace('"M', f'"{escape}').encode())
    assert found.rows[0].path == "/\u00e9\\ud83d", "what looks like an escape and is none stays"
    assert set(found.rows[0].consumer) <= {"\ufffd", "x", "\\"}
    assert "\ufffd" in found.rows[0].consumer


def test_characters_beyond_the_first_plane_stay():
    body = json.dumps(sync(0, row(consumer="\U0001f600"), server_errors=["X"])).replace('"X"', '"\\ud83d"')
    assert read(body.encode()).rows[0].consumer == "\U0001f600"


BAD_ROWS = [
    ({"request_count": -1}, "value_error", "request_count"),
    ({"request_count": 2**53}, "value_error", "request_count"),
    ({"request_count": 1.0}, "type_error", "request_count"),
    ({"request_count": "1"}, "type_error", "request_count"),
    ({"request_count": None}, "type_error", "request_count"),
    ({"request_count": True}, "type_error", "request_count"),
    ({"request_size_sum": -1}, "value_error", "request_size_sum"),
    ({"request_size_sum": None}, "type_error", "request_size_sum"),
    ({"response_size_sum": 2**64}, "value_error", "response_size_sum"),
    ({"response_size_sum": [1]}, "type_error", "response_size_sum"),
    ({"status_code": "200"}, "type_error", "status_code"),
    ({"status_code": -1}, "value_error", "status_code"),
    ({"status_code": 2**80}, "value_error", "status_code"),
    ({"consumer": 7}, "type_error", "consumer"),
    ({"method": {}}, "type_error", "method"),
    ({"path": 1}, "type_error", "path"),
]


@pytest.mark.parametrize(("told", "kind", "field"), BAD_ROWS)
def test_a_bad_row_is_named(told, kind, field):
    assert faults(decode_sync, sync(0, row(), row(**told))) == [(kind, ("body", "requests", 1, field))]


@pytest.mark.parametrize("field", ["consumer", "method", "path", "status_code", "request_count", "request_size_sum",
                                   "response_size_sum"])
def test_a_row_that_lacks_something_is_named(field):
    lacking = {name: value for name, value in row().items() if name != field}
    assert faults(decode_sync, sync(0, lacking)) == [("missing", ("body", "requests", 0, field))]


@pytest.mark.parametrize("field", ["response_times", "request_sizes", "response_sizes"])
def test_what_does_not_count_may_be_anything(field):
    found = read(sync(0, row(7, **{field: "nonsense"}), validation_errors=3, server_errors=None, resources=[]))
    assert found.rows[0].requests == 7


@pytest.mark.parametrize(("told", "kind", "place"), [
    ({"timestamp": "2025-12-14T16:00:00Z"}, "type_error", ("timestamp",)),
    ({"timestamp": None}, "type_error", ("timestamp",)),
    ({"timestamp": 0}, "value_error", ("timestamp",)),
    ({"timestamp": -1e18}, "value_error", ("timestamp",)),
    ({"timestamp": 1e300}, "value_error", ("timestamp",)),
    ({"timestamp": NOW_S * 1000}, "value_error", ("timestamp",)),
    ({"timestamp": 63_071_999.999999}, "value_error", ("timestamp",)),
    ({"instance_uuid": "me"}, "value_error", ("instance_uuid",)),
    ({"instance_uuid": None}, "type_error", ("instance_uuid",)),
    ({"message_uuid": ""}, "value_error", ("message_uuid",)),
    ({"message_uuid": 7}, "type_error", ("message_uuid",)),
    ({"requests": None}, "type_error", ("requests",)),
    ({"requests": {}}, "type_error", ("requests",)),
    ({"requests": [7]}, "type_error", ("requests", 0)),
    ({"consumers": "alice"}, "type_error", ("consumers",)),
    ({"consumers": [{"name": "Alice"}]}, "missing", ("consumers", 0, "identifier")),
    ({"consumers": [{"identifier": "a", "name": 1}]}, "type_error", ("consumers", 0, "name")),
])
def test_a_bad_sync_is_named(told, kind, place):
    assert faults(decode_sync, sync(0, **told)) == [(kind, ("body", *place))]


@pytest.mark.parametrize("field", ["timestamp", "instance_uuid", "message_uuid", "requests"])
def test_a_sync_that_lacks_something_is_named(field):
    lacking = {name: value for name, value in sync(0).items() if name != field}
    assert faults(decode_sync, lacking) == [("missing", ("body", field))]


@pytest.mark.parametrize("body", [
    b"", b"{", b"nonsense", b"\xff", b'{"timestamp":NaN}', b'"\xff"', b'{"a":"\\ud83d"', b"[" * 100_000, b'{"a":' * 100_000,
])
@pytest.mark.parametrize("decode", [decode_sync, decode_startup])
def test_what_is_no_json_is_said_to_be_none(decode, body):
    ((kind, place),) = faults(decode, body)
    assert (kind, place) in {("json_invalid", ("body",)), ("type_error", ("body",)), ("type_error", ("body", "timestamp"))}
    assert place == ("body",)


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"x"'])
@pytest.mark.parametrize("decode", [decode_sync, decode_startup])
def test_json_of_another_shape_is_a_fault_of_its_type(decode, body):
    assert faults(decode, body) == [("type_error", ("body",))]


def test_half_a_character_is_mended_once(monkeypatch):
    assert faults(decode_sync, b'{"timestamp":1,"x":"\\ud83d", nonsense') == [("json_invalid", ("body",))]


def test_lists_have_bounds():
    most = decode_module.MAX_ROWS
    assert len(read(sync(0, *[row()] * most)).rows) == most
    assert faults(decode_sync, sync(0, *[row()] * (most + 1))) == [("value_error", ("body", "requests"))]
    many = [{"identifier": "a"}] * (decode_module.MAX_CONSUMERS + 1)
    assert faults(decode_sync, sync(0, consumers=many)) == [("value_error", ("body", "consumers"))]
    paths = [("GET", "/")] * (decode_module.MAX_PATHS + 1)
    assert faults(decode_startup, startup(*paths)) == [("value_error", ("body", "paths"))]


@pytest.mark.parametrize("other", [
    {"timestamp": NOW_S + 0.000001}, {"instance_uuid": uuid_of(2)}, {"requests": []}, {"requests": [row(8)]},
    {"requests": [row(7, received=1)]}, {"requests": [row(7, sent=1)]}, {"requests": [row(7, path="/y")]},
    {"requests": [row(7, method="PUT")]}, {"requests": [row(7, consumer="a")]}, {"requests": [row(7), row(7)]},
    {"requests": [row(7, status_code=201)]},
])
def test_content_differs_where_what_counts_does(other):
    assert read(sync(0, row(7))).content != read(sync(0, row(7), **other)).content


def test_content_is_the_same_however_it_is_written():
    told = sync(0, row(7))
    written = [json.dumps(told), json.dumps(told, indent=1), json.dumps(dict(reversed(told.items())))]
    assert len({read(text.encode()).content for text in written}) == 1


def test_consumers_that_cannot_be_kept_are_not_described():
    told = [{"identifier": "", "name": "a"}, {"identifier": "x" * 256}, {"identifier": "a\0"},
            {"identifier": "b", "name": "x\n"}, {"identifier": "c", "name": "", "group": "g" * 256}]
    assert read(sync(0, consumers=told)).consumers == {"b": (None, None), "c": (None, None)}


def test_a_start_lists_endpoints_once_with_methods_in_upper_case():
    paths = [("get", "/x"), ("GET", "/x"), ("options", "/x"), ("HEAD", "/items/:id")]
    found = decode_startup(json.dumps(startup(*paths)).encode())
    assert found.endpoints == (Endpoint("GET", "/x"), Endpoint("OPTIONS", "/x"), Endpoint("HEAD", "/items/:id"))
    assert (found.instance, found.framework, found.unlisted) == (uuid_of(1), "python:starlette", 0)


def test_endpoints_that_cannot_be_kept_are_passed_over():
    paths = [("", "/x"), ("GET", ""), ("x" * 33, "/x"), ("GET", "/" * 1025), ("GET", "/a\n"), ("GET", "/ok"), ("get", "/ok")]
    found = decode_startup(json.dumps(startup(*paths)).encode())
    assert (found.endpoints, found.unlisted) == ((Endpoint("GET", "/ok"),), 5)


@pytest.mark.parametrize(("more", "framework"), [
    ({"client": "js:express"}, "js:express"), ({"client": None}, None), ({"client": ""}, None), ({"client": "x" * 256}, None),
    ({"paths": None}, "python:starlette"), ({"openapi": "{}", "versions": [], "consumers": 7}, "python:starlette"),
])
def test_what_a_start_may_leave_out(more, framework):
    assert decode_startup(json.dumps(startup(**more)).encode()).framework == framework


@pytest.mark.parametrize(("more", "kind", "place"), [
    ({"instance_uuid": "x"}, "value_error", ("instance_uuid",)),
    ({"message_uuid": None}, "type_error", ("message_uuid",)),
    ({"paths": [{"method": "GET"}]}, "missing", ("paths", 0, "path")),
    ({"paths": [{"method": 1, "path": "/"}]}, "type_error", ("paths", 0, "method")),
    ({"paths": {}}, "type_error", ("paths",)),
    ({"client": 7}, "type_error", ("client",)),
])
def test_a_bad_start_is_named(more, kind, place):
    assert faults(decode_startup, startup(**more)) == [(kind, ("body", *place))]
