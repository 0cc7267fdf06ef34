"""Parameters are read, and refused, as pydantic does it: held against pydantic itself."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.kit import services_with
from weighbridge.dialects.apitally.errors import InvalidParametersError
from weighbridge.dialects.apitally.parameters import Reader
from weighbridge.http.route import Call

AT_LEAST_ONE = pydantic.TypeAdapter(Annotated[int, pydantic.Field(ge=1)])
LIMIT = pydantic.TypeAdapter(Annotated[int, pydantic.Field(ge=1, le=1000)])
INTERVAL = pydantic.TypeAdapter(Literal["hour", "day"])
SHORT = pydantic.TypeAdapter(Annotated[str, pydantic.Field(max_length=8)])
DATETIME = pydantic.TypeAdapter(dt.datetime)
UTC = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")

EARLIEST, LATEST = dt.datetime(1973, 1, 1), dt.datetime(9990, 1, 1)  # noqa: DTZ001  clock readings without a zone
NUMBERISH = st.text(alphabet="0123456789+-_. ea\t\u00a0\uff11", max_size=12)
DATEISH = st.one_of(
    st.text(alphabet="0123456789+-:TtZz_., \u2212x", max_size=32),
    st.datetimes(EARLIEST, LATEST).flatmap(
        lambda moment: st.sampled_from([
            moment.isoformat(), moment.isoformat(" "), f"{moment.isoformat()}Z", f"{moment.isoformat()}-05:30",
            f"{moment.isoformat(timespec='minutes')}+1200", moment.date().isoformat(), str(moment.timestamp()),
        ])
    ),
    st.from_regex(
        r"\A[0-9]{4}[-/][0-9]{2}-[0-9]{2}"
        r"([Tt _x][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?([zZ]|[+-][0-9]{2}:?[0-9]{2})?)?\Z"
    ),
)


def reader_of(text: str) -> Reader:
    call = Call(services_with(), "GET", "/", {"name": text}, (("name", text),), {}, b"", None)
    return Reader(call)


def faults_of(reader: Reader) -> list[dict[str, Any]]:
    try:
        reader.check()
    except InvalidParametersError as error:
        return [{"type": f.type, "msg": f.msg, "input": f.input, "ctx": f.ctx or None} for f in error.faults]
    return []


def by_pydantic(adapter: pydantic.TypeAdapter[Any], text: str) -> tuple[Any, list[dict[str, Any]]]:
    try:
        return adapter.validate_python(text), []
    except pydantic.ValidationError as error:
        kept = ("type", "msg", "input", "ctx")
        return None, [{name: fault.get(name) for name in kept} for fault in error.errors(include_url=False)]


def unset_to_none(faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [fault | {"ctx": fault["ctx"] if isinstance(fault["ctx"], dict) else None} for fault in faults]


@settings(max_examples=300, deadline=None)
@given(st.one_of(NUMBERISH, st.integers(-2000, 2000).map(str)))
@example("1.0")
@example("1_000")
@example("9" * 30)
@example("9" * 4301)
@example("1_0.00")
@example("")
def test_integers(text: str) -> None:
    if {"+", "-"} & set(text.strip()[1:]):
        return  # pydantic takes "0-0" for -0, since it drops leading zeros before it looks for a sign; we refuse it
    reader = reader_of(text)
    assert (reader.integer("name", 1, 1000), unset_to_none(faults_of(reader))) == by_pydantic(LIMIT, text)
    reader = reader_of(text)
    assert (reader.integer("name", 1), unset_to_none(faults_of(reader))) == by_pydantic(AT_LEAST_ONE, text)


@pytest.mark.parametrize("text", ["hour", "day", "", "Hour", "week", "hour "])
def test_choice(text: str) -> None:
    reader = reader_of(text)
    value, faults = by_pydantic(INTERVAL, text)
    assert reader.choice("name", ("hour", "day")) == (value or "hour")
    assert faults_of(reader) == faults


@pytest.mark.parametrize("text", ["", "12345678", "123456789", "äöüäöüäö", "äöüäöüäöü"])
def test_length(text: str) -> None:
    reader = reader_of(text)
    assert reader.text("name", 8) == by_pydantic(SHORT, text)[0]
    assert faults_of(reader) == by_pydantic(SHORT, text)[1]


def lost_its_plus(text: str) -> bool:
    """We take a space for the plus that a query string lost; pydantic does not."""
    return " " in text[11:]


@settings(max_examples=600, deadline=None)
@given(DATEISH)
@example("2025-05-14T00:00:00−02:00")
@example("2025-05-14")
@example("2025-02-29")
@example("2024-02-29T23:59:59,5")
@example("0000-01-01")
@example("2025-05-14T24:00:00")
@example("1747180800.5")
@example("20000000001")
@example("99999999999999999999")
def test_instants(text: str) -> None:
    if lost_its_plus(text):
        return
    reader = reader_of(text)
    found = reader.instant("name", UTC)
    value, faults = by_pydantic(DATETIME, text)
    ours = unset_to_none(faults_of(reader))
    if ours and ours[0]["type"] == "value_error":  # a year that is not kept, or that pydantic does not know either
        assert "out of range" in ours[0]["msg"]
        assert value is None or not 1973 < value.year < 9998
        return
    assert ours == faults
    if value is not None:
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        expected_us = (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        assert found is not None
        assert abs(found - expected_us) <= 1  # pydantic goes by way of floats for numbers


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-07-01T00:00:00", "2025-07-01T04:00:00+00:00"),
        ("2025-07-01", "2025-07-01T04:00:00+00:00"),
        ("2025-07-01T00:00:00Z", "2025-07-01T00:00:00+00:00"),
        ("2025-07-01T00:00:00 02:00", "2025-06-30T22:00:00+00:00"),  # a plus that was not percent-encoded
        ("2025-11-02T01:30:00", "2025-11-02T05:30:00+00:00"),  # of two such times the first
        ("1751328000", "2025-07-01T00:00:00+00:00"),
        ("1751328000000", "2025-07-01T00:00:00+00:00"),
    ],
)
def test_zone_applies_where_no_offset_is_given(text: str, instant: str) -> None:
    expected_us = int(dt.datetime.fromisoformat(instant).timestamp()) * 1_000_000
    assert reader_of(text).instant("name", NEW_YORK) == expected_us
