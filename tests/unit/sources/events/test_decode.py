"""Bodies to events: each content type, and what is wrong with what does not fit."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.sources.events.decode import (
    CONTENT_TYPES,
    MAX_EVENTS,
    TooManyError,
    UnknownTypeError,
    UnreadableError,
    decode,
)

GOOD = {
    "specversion": "1.0", "id": "e-1", "source": "edge-1", "type": "weighbridge.usage", "subject": "server/sv_0",
    "time": "2025-12-14T16:00:00Z", "data": {"bytes_in": 1},
}
ONE, BATCH, LINES, EITHER = CONTENT_TYPES


def body(*events):
    return json.dumps(events[0] if len(events) == 1 else list(events)).encode()


@pytest.mark.parametrize(("content_type", "text", "count"), [
    (ONE, body(GOOD), 1),
    (BATCH, json.dumps([GOOD, GOOD]).encode(), 2),
    (BATCH, b"[]", 0),
    (LINES, body(GOOD) + b"\n\n" + body(GOOD) + b"\r\n", 2),
    (LINES, b"", 0),
    (EITHER, b" \n" + body(GOOD), 1),
    (EITHER, json.dumps([GOOD]).encode(), 1),
    ("Application/JSON; charset=utf-8", body(GOOD), 1),
])
def test_each_content_type_is_read(content_type, text, count):
    decoded = decode(text, content_type)
    assert len(decoded.events) == count
    assert decoded.refused == ()


@pytest.mark.parametrize(("content_type", "text"), [
    (ONE, b"{"), (ONE, json.dumps([GOOD]).encode()), (ONE, b"5"), (BATCH, body(GOOD)), (BATCH, b"[}"), (EITHER, b"5"),
    (EITHER, b""), (EITHER, b"\xff\xfe"), (EITHER, b"[" * 100_000), (LINES, b"\xff\n"), (LINES, body(GOOD) + b"\nnope"),
    (EITHER, b'[{"id":"\\ud800"}]'),
])
def test_what_is_no_json_is_refused_whole(content_type, text):
    with pytest.raises(UnreadableError):
        decode(text, content_type)


def test_a_bad_line_is_named():
    with pytest.raises(UnreadableError, match="line 3"):
        decode(body(GOOD) + b"\n\n{oops\n", LINES)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/xml"])
def test_other_content_types_are_refused(content_type):
    with pytest.raises(UnknownTypeError):
        decode(b"{}", content_type)


def test_more_than_the_most_events_are_refused():
    assert len(decode(json.dumps([GOOD] * MAX_EVENTS).encode(), BATCH).events) == MAX_EVENTS
    with pytest.raises(TooManyError):
        decode(json.dumps([GOOD] * (MAX_EVENTS + 1)).encode(), BATCH)
    with pytest.raises(TooManyError):
        decode(b"\n".join([body(GOOD)] * (MAX_EVENTS + 1)), LINES)


@pytest.mark.parametrize(("change", "said"), [
    ({"id": ""}, "$.id"), ({"id": 5}, "$.id"), ({"source": None}, "$.source"), ({"specversion": "0.3"}, "$.specversion"),
    ({"type": "other"}, "$.type"), ({"time": "2025-12-14T16:00:00"}, "timezone"), ({"time": "yesterday"}, "$.time"),
    ({"data": []}, "$.data"), ({"data": {"bytes_in": -1}}, "$.data.bytes_in"),
    ({"data": {"bytes_in": 1.5}}, "$.data.bytes_in"),
    ({"data": {"bytes_in": 2**53}}, "$.data.bytes_in"), ({"data": {"duration_s": 400 * 86400 + 1}}, "$.data.duration_s"),
    ({"data": {"bytes_in": True}}, "$.data.bytes_in"), ({"data": {"bytes_in": "1"}}, "$.data.bytes_in"),
    ({"data": {"consumer": ""}}, "$.data.consumer"), ({"data": {"counter_bits": 48}}, "$.data.counter_bits"),
])
def test_a_malformed_event_is_named_and_the_others_are_kept(change, said):
    decoded = decode(json.dumps([GOOD, GOOD | change, GOOD]).encode(), BATCH)
    assert decoded.indexes == [0, 2]
    (refusal,) = decoded.refused
    assert (refusal.index, refusal.code) == (1, "invalid")
    assert said in refusal.detail


def test_a_missing_field_is_named():
    event = {name: value for name, value in GOOD.items() if name != "subject"}
    (refusal,) = decode(body(event), ONE).refused
    assert "subject" in refusal.detail
    assert refusal.id == "e-1"


def test_a_misspelt_amount_is_not_taken_for_unknown():
    (refusal,) = decode(body(GOOD | {"data": {"byte_in": 5}}), ONE).refused
    assert "byte_in" in refusal.detail


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.sampled_from(CONTENT_TYPES))
def test_no_body_breaks_the_decoder(text, content_type):
    with suppress(UnreadableError):
        decode(text, content_type)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*GOOD, "bytes_in", "since"]), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=5))
def test_every_element_is_kept_or_refused(values):
    decoded = decode(json.dumps(values).encode(), BATCH) if _is_json(values) else None
    if decoded is not None:
        assert len(decoded.events) + len(decoded.refused) == len(values)


def _is_json(values):
    try:
        json.dumps(values, allow_nan=False)
    except ValueError:
        return False
    return True
