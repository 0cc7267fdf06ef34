"""Times of lines to slots, against the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.access_logs import AT_10
from weighbridge.sources.log.times import find_shape, find_slot

AWARE = st.builds(
    lambda seconds, minutes: datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes))),
    st.integers(94_694_400, 253_300_000_000),  # 1973 to 9996
    st.integers(-14 * 60, 14 * 60),
)
WAYS = {
    "clf": lambda at: at.strftime("%d/%b/%Y:%H:%M:%S %z"),
    "brackets": lambda at: at.strftime("[%d/%b/%Y:%H:%M:%S %z]"),
    "iso": lambda at: at.isoformat(timespec="seconds"),
    "milliseconds": lambda at: at.isoformat(" ", timespec="milliseconds"),
    "utc": lambda at: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    "basic offset": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S%z"),
    "seconds": lambda at: str(int(at.timestamp())),
    "ms": lambda at: str(int(at.timestamp()) * 1000 + 999),
    "us": lambda at: str(int(at.timestamp()) * 10**6),
    "ns": lambda at: str(int(at.timestamp()) * 10**9 + 999_999_999),
}


@pytest.mark.parametrize("way", WAYS)
@given(at=AWARE)
def test_a_time_lies_in_its_slot(way, at):
    if way in {"seconds", "ms", "us", "ns"}:
        at = at.replace(year=1980 + at.year % 1000)  # sizes tell the unit, as far as the year 5138
    text = WAYS[way](at)
    assert find_slot(text) == int(at.timestamp()) // 300 * 300
    assert find_shape(text) is not None


@pytest.mark.parametrize(("text", "slot_s"), [
    ("29/Nov/2025:10:00:60 +0000", AT_10), ("2025-11-29T10:04:59,999Z", AT_10), ("2025-11-29T12:00+02", None),
    ("2025-11-29T12:00:00+02", AT_10), ("1764410699.999", AT_10), ("1764410700.", AT_10 + 300),
    ("29/Nov/2025:10:00:00", None), ("2025-11-29T10:00:00", None), ("2025-02-29T10:00:00Z", None),
    ("24/Foo/2025:10:00:00 +0000", None),
    ("2025-11-29T24:00:00Z", None), ("2025-11-29T10:60:00Z", None), ("2025-11-29T10:00:61Z", None),
    ("2025-11-29T10:00:00+24:00", None),
    ("1971-12-31T23:59:59Z", None), ("1972-01-01T00:00:00Z", 63_072_000), ("9999-01-01T00:00:00Z", None), ("", None), ("-",
        None),
    ("0", None), ("-1", None), ("1e9", None), ("9" * 21, None), ("١٧٦٤٤١٠٤٠٠", None),
    ("2025-11-29T10:00:00." + "1" * 60 + "Z", None),
])
def test_other_texts_are_none(text, slot_s):
    assert find_slot(text) == slot_s
