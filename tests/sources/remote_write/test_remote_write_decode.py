"""Bodies of remote write: bytes made by hand from the specifications, and those that google.protobuf makes."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.remote_write import STALE, Sent, chunk, sent, varint, write_v1, write_v2
from weighbridge.http.wire import WireError, as_int64, read_fields, read_varint
from weighbridge.sources.remote_write.decode import (
    LABELS_KEPT,
    MAX_LABELS,
    MAX_SAMPLES,
    V1,
    V2,
    Sample,
    Series,
    TooManyError,
    UnknownTypeError,
    UnreadableError,
    message_of,
    read_series,
)

WRITERS = {V1: write_v1, V2: write_v2}


def series_of(body: bytes, message: str) -> list[Series]:
    return list(read_series(body, message))


# A label is 0a LEN name 12 LEN value; a sample 09 eight bytes of a double 10 varint of milliseconds.
LABEL = "0a0d 0a08 5f5f6e616d655f5f 1201 6d"
SAMPLE = "120c 09 000000000000f03f 10 e807"
BY_HAND_V1 = [
    ("", []),
    ("0a00", [Series((), [])]),
    (f"0a1d {LABEL} {SAMPLE}", [Series((("__name__", "m"),), [Sample(1.0, 1000)])]),
    (f"0a1d {SAMPLE} {LABEL}", [Series((("__name__", "m"),), [Sample(1.0, 1000)])]),  # fields in another order
    (f"0a1d {LABEL} {SAMPLE} 0a00", [Series((("__name__", "m"),), [Sample(1.0, 1000)]), Series((), [])]),
    ("0a02 1200", [Series((), [Sample(0.0, 0)])]),  # what is zero is not sent
    ("0a0d 120b 10 ffffffffffffffffff01", [Series((), [Sample(0.0, -1)])]),  # negative numbers take ten bytes
    ("0a0b 1209 09 020000000000f07f", [Series((), [Sample(None, 0)])]),  # the stale marker
    ("0a02 0a00", [Series((("", ""),), [])]),
    ("0a05 0a03 12 01 76", [Series((("", "v"),), [])]),
    ("1a05 0801 12 01 6d", []),  # metadata
    ("0a08 1a02 1000 2202 7a00", [Series((), [], histograms=1, exemplars=1)]),
    ("f83f 7f fa3f 01 00 fd3f 00000000 f93f 0000000000000000 0a00", [Series((), [])]),  # fields that nobody knows yet
    ("0a07 10 05 0d 01000000", [Series((), [])]),  # known numbers of another kind are unknown fields
]


@pytest.mark.parametrize(("body", "found"), BY_HAND_V1)
def test_a_write_request_by_hand(body: str, found: list[Series]) -> None:
    assert series_of(bytes.fromhex(body), V1) == found


NAME_M = "2200 2208 5f5f6e616d655f5f 2201 6d"
BY_HAND_V2 = [
    ("", []),
    ("2200", []),
    (f"{NAME_M} 2a12 0a02 0102 120c 09 000000000000f03f 10 e807",
     [Series((("__name__", "m"),), [Sample(1.0, 1000)])]),
    (f"2a12 0a02 0102 120c 09 000000000000f03f 10 e807 {NAME_M}",  # the table behind the series
     [Series((("__name__", "m"),), [Sample(1.0, 1000)])]),
    (f"{NAME_M} 2a04 0801 0802", [Series((("__name__", "m"),), [])]),  # references that are not packed
    (f"{NAME_M} 2a06 0a01 01 0a01 02", [Series((("__name__", "m"),), [])]),  # packed in two pieces
    (f"{NAME_M} 2a05 0a03 8180 00 ", None),  # one reference, the long way round: a name without a value
    ("2200 2a07 1205 10 e807 18 05", [Series((), [Sample(0.0, 1000, 5)])]),  # start_timestamp of a sample
    ("2200 2a07 1203 10 e807 30 07", [Series((), [Sample(0.0, 1000, 7)])]),  # created_timestamp of a release candidate
    ("2200 2a09 30 07 1205 10 e807 18 05", [Series((), [Sample(0.0, 1000, 5)])]),
    ("2200 2a08 1a02 0801 2202 1000", [Series((), [], histograms=1, exemplars=1)]),
    ("2200 2a04 2a02 0801", [Series((), [])]),  # metadata
]


@pytest.mark.parametrize(("body", "found"), BY_HAND_V2)
def test_a_request_of_2_0_by_hand(body: str, found: list[Series] | None) -> None:
    if found is None:
        with pytest.raises(UnreadableError):
            series_of(bytes.fromhex(body), V2)
    else:
        assert series_of(bytes.fromhex(body), V2) == found


BROKEN = [
    (V1, "0a", "cut off"),
    (V1, "0a05 00", "cut off"),
    (V1, "0a80", "cut off"),
    (V1, "0a01 12", "cut off"),
    (V1, "0a03 1201 09", "cut off"),
    (V1, "0aff", "cut off"),
    (V1, "0a ffffffffffffffffff7f 00", "64 bits|10 bytes|cut off"),
    (V1, "08 ffffffffffffffffffffff01", "more than 10 bytes"),
    (V1, "00 00", "no number"),
    (V1, "02 00", "no number"),
    (V1, "0b 0c", "wire type 3"),  # groups went with proto2
    (V1, "0f", "wire type 7"),
    (V1, "0a04 0a02 0aff", "cut off"),
    (V1, "0a05 0a03 0a01 ff", "UTF-8"),
    (V1, "0a07 0a05 1203 eda080", "UTF-8"),  # half of a surrogate pair
    (V1, "2200", "must say application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    (V2, "0a00", "this is prometheus.WriteRequest"),
    (V2, "2201 ff", "UTF-8"),
    (V2, "2a04 0a02 0001", "symbol 1; there are 0"),
    (V2, "2200 2a04 0a02 0001", "symbol 1; there are 1"),
    (V2, "2200 2a03 0a01 00", "without its value"),
    (V2, "2200 2a0d 0a0b 00 ffffffffffffffffff01", "symbol 18446744073709551615"),
]


@pytest.mark.parametrize(("message", "body", "told"), BROKEN)
def test_what_cannot_be_read_says_why(message: str, body: str, told: str) -> None:
    with pytest.raises(UnreadableError, match=told):
        series_of(bytes.fromhex(body), message)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
doubles = st.floats(allow_nan=False) | st.integers(0, 2**53).map(float)
int64s = st.integers(-(2**63), 2**63 - 1)
many_series = st.lists(
    st.builds(
        Sent,
        st.lists(st.tuples(texts, texts), max_size=5).map(tuple),
        st.lists(st.tuples(doubles, int64s, int64s), max_size=4).map(tuple),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(many_series, st.sampled_from([V1, V2]))
def test_what_google_protobuf_writes_is_read(wanted: list[Sent], message: str) -> None:
    found = series_of(WRITERS[message](wanted), message)
    assert [each.labels for each in found] == [each.labels for each in wanted]
    for got, each in zip(found, wanted, strict=True):
        samples = each.samples if message == V2 else tuple((value, at_ms, 0) for value, at_ms, _ in each.samples)
        assert tuple(tuple(sample) for sample in got.samples) == samples
        assert (got.exemplars, got.histograms) == (each.exemplars, each.histograms)


@settings(max_examples=300, deadline=None)
@given(many_series, st.sampled_from([V1, V2]), st.data())
def test_what_is_cut_off_is_never_taken_for_whole(wanted: list[Sent], message: str, data: st.DataObject) -> None:
    """Cut between two series it is a shorter body; anywhere else it says so, or reads what stands before the cut."""
    body = WRITERS[message](wanted)
    cut = body[: data.draw(st.integers(0, len(body)))]
    try:
        found = series_of(cut, message)
    except UnreadableError:
        return
    whole = series_of(body, message)
    assert found == whole[: len(found)]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_varints_come_back(value: int, behind: bytes) -> None:
    body = varint(value) + behind
    assert read_varint(body, 0, len(body)) == (value, len(body) - len(behind))
    assert struct.pack("<q", as_int64(value)) == struct.pack("<Q", value)
    with pytest.raises(WireError):
        read_varint(body, 0, len(body) - len(behind) - 1)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_fields_lie_within_the_message_one_behind_the_other(body: bytes) -> None:
    last = 0
    try:
        for field, start, end in read_fields(body, 0, len(body)):
            assert field >> 3 > 0
            assert last < end <= len(body)
            assert field & 7 == 0 or last < start <= end
            last = end
    except WireError:
        return
    assert last == len(body)


@pytest.mark.parametrize("message", [V1, V2])
def test_nan_is_a_value_and_the_stale_marker_is_none(message: str) -> None:
    (found,) = series_of(WRITERS[message]([sent("m", (math.nan, 1), (STALE, 2), (-0.0, 3), (math.inf, 4))]), message)
    ordinary, stale, zero, infinite = (sample.value for sample in found.samples)
    assert ordinary is not None
    assert math.isnan(ordinary)
    assert (stale, zero, infinite) == (None, 0.0, math.inf)


@pytest.mark.parametrize(("content_type", "message"), [
    ("", V1),
    ("application/x-protobuf", V1),
    ("Application/X-Protobuf", V1),
    ("application/x-protobuf;proto=prometheus.WriteRequest", V1),
    ("application/x-protobuf; proto=io.prometheus.write.v2.Request", V2),
    ('application/x-protobuf ; charset=x; Proto = "io.prometheus.write.v2.Request"', V2),
    ("application/x-protobuf;proto=io.prometheus.write.v3.Request", None),
    ("application/x-protobuf;proto=", None),
    ("application/x-protobuf;proto=prometheus.WriteRequest;proto=io.prometheus.write.v2.Request", None),
    ("application/json", None),
    (";proto=prometheus.WriteRequest", None),
])
def test_the_content_type_names_the_message(content_type: str, message: str | None) -> None:
    if message is None:
        with pytest.raises(UnknownTypeError):
            message_of(content_type)
    else:
        assert message_of(content_type) == message


LABEL_A = bytes.fromhex("0a06 0a01 61 1201 62")
TOO_MANY = {
    "series": (V1, b"\x0a\x00" * MAX_SAMPLES, b"\x0a\x00"),
    "samples": (V1, chunk(1, b"\x12\x00" * (MAX_SAMPLES - 1)), chunk(1, b"\x12\x00" * 2)),
    "exemplars": (V1, chunk(1, b"\x1a\x00" * MAX_SAMPLES), chunk(1, b"\x1a\x00")),
    "histograms": (V1, chunk(1, b"\x22\x00" * MAX_SAMPLES), chunk(1, b"\x22\x00")),
    "labels": (V1, chunk(1, LABEL_A * MAX_LABELS), chunk(1, LABEL_A * (MAX_LABELS + 1))),
    "series of 2.0": (V2, b"\x2a\x00" * MAX_SAMPLES, b"\x2a\x00"),
    "labels of 2.0": (V2, b"\x22\x00" + chunk(5, chunk(1, bytes(2 * MAX_LABELS))),
                      chunk(5, chunk(1, bytes(2 * MAX_LABELS + 1)))),
    "labels of 2.0 that are not packed": (V2, b"\x22\x00" + chunk(5, b"\x08\x00" * (2 * MAX_LABELS)),
                                          chunk(5, b"\x08\x00" * (2 * MAX_LABELS + 2))),
}


@pytest.mark.parametrize(("message", "body", "more"), TOO_MANY.values(), ids=TOO_MANY)
def test_bounds_are_exact(message: str, body: bytes, more: bytes) -> None:
    assert series_of(body, message)
    with pytest.raises(TooManyError, match=r"more than (100,000|1,000 labels)"):
        series_of(body + more, message)


def test_labels_are_forgotten_when_there_are_too_many_to_remember() -> None:
    wanted = [sent(f"m{number // 900}", (1.0, 1), **{f"l{number % 900}": str(number)}) for number in range(LABELS_KEPT + 5)]
    found = series_of(write_v1(wanted), V1)
    assert [each.labels for each in found] == [each.labels for each in wanted]
