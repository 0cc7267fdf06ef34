"""Instants as people write them on a command line."""

from __future__ import annotations

import re

from weighbridge.app.clock import SystemClock
from weighbridge.domain.timegrid import parse_instant, rfc3339, zone

_AGO = re.compile(r"-?(\d{1,6})(m|h|d|w)")
_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def read_instant(text: str, time_zone: str, now_s: int) -> int:
    """Epoch seconds of `now`, `today`, an age such as `90m`, `24h`, `7d` or `2w`, or an ISO 8601 instant or date.

    What has no offset is in `time_zone`. InvalidInputError.
    """
    written = text.strip().lower()
    if written == "now":
        return now_s
    if written == "today":
        return now_s - now_s % 86400 if time_zone == "UTC" else _midnight(time_zone, now_s)
    if ago := _AGO.fullmatch(written):
        return now_s - int(ago[1]) * _UNITS_S[ago[2]]
    return parse_instant(text, zone(time_zone)) // 1_000_000


def read_range(from_: str, to: str, time_zone: str) -> tuple[str, str]:
    """Both ends of a range as RFC 3339. InvalidInputError: one of them, or the zone, is none."""
    zone(time_zone)
    now_s = SystemClock().now_us() // 1_000_000
    return rfc3339(read_instant(from_, time_zone, now_s)), rfc3339(read_instant(to, time_zone, now_s))


def _midnight(time_zone: str, now_s: int) -> int:
    from weighbridge.domain.timegrid import day_start, local_date  # noqa: PLC0415  rare

    tz = zone(time_zone)
    return day_start(local_date(now_s, tz), tz)
