"""Billing periods by example."""

from __future__ import annotations

import pytest

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.domain.periods import billing_period
from weighbridge.domain.timegrid import isoformat, parse_instant, zone


@pytest.mark.parametrize(("name", "billing_day", "at", "start", "end"), [
    ("UTC", 1, "2025-12-01T00:00:00", "2025-12-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"),
    ("UTC", 1, "2025-11-30T23:59:59", "2025-11-01T00:00:00+00:00", "2025-12-01T00:00:00+00:00"),
    ("UTC", 31, "2025-02-27", "2025-01-31T00:00:00+00:00", "2025-02-28T00:00:00+00:00"),
    ("UTC", 31, "2025-02-28", "2025-02-28T00:00:00+00:00", "2025-03-31T00:00:00+00:00"),
    ("UTC", 31, "2025-03-30", "2025-02-28T00:00:00+00:00", "2025-03-31T00:00:00+00:00"),
    ("UTC", 30, "2024-02-29", "2024-02-29T00:00:00+00:00", "2024-03-30T00:00:00+00:00"),
    ("UTC", 15, "2026-01-03", "2025-12-15T00:00:00+00:00", "2026-01-15T00:00:00+00:00"),
    ("UTC", 15, "1972-01-03", "1971-12-15T00:00:00+00:00", "1972-01-15T00:00:00+00:00"),
    ("UTC", 15, "9998-12-31", "9998-12-15T00:00:00+00:00", "9999-01-15T00:00:00+00:00"),
    ("America/New_York", 9, "2025-03-10", "2025-03-09T00:00:00-05:00", "2025-04-09T00:00:00-04:00"),
    ("America/Sao_Paulo", 4, "2018-11-05", "2018-11-04T01:00:00-02:00", "2018-12-04T00:00:00-02:00"),
    ("Pacific/Apia", 30, "2011-12-31T12:00", "2011-12-31T00:00:00+14:00", "2012-01-30T00:00:00+14:00"),
    # Set back at 00:01 of the 29th: the evening of the 28th that follows lies in the period that has begun.
    ("America/St_Johns", 29, "2006-10-28T23:30-03:30", "2006-10-29T00:00:00-02:30", "2006-11-29T00:00:00-03:30"),
])
def test_table(name: str, billing_day: int, at: str, start: str, end: str) -> None:
    tz = zone(name)
    period = billing_period(parse_instant(at, tz) // 1_000_000, billing_day, tz)
    assert (isoformat(period.start_s, tz), isoformat(period.end_s, tz)) == (start, end)


@pytest.mark.parametrize("billing_day", [0, 32, -1])
def test_the_billing_day_is_a_day(billing_day: int) -> None:
    with pytest.raises(OutOfRangeError, match="1 to 31"):
        billing_period(1_750_000_000, billing_day, zone("UTC"))
