"""Texts that pydantic takes as a datetime, and its words for the others: the vendor's API is made of it.

Taken are ISO 8601 in pydantic's spelling, and unix seconds (milliseconds above MILLISECONDS_ABOVE) as a decimal number.
"""

from __future__ import annotations

import re
from calendar import monthrange
from decimal import Decimal
from typing import TYPE_CHECKING

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.domain.timegrid import parse_instant

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

MILLISECONDS_ABOVE = 20_000_000_000
"""Numbers beyond this, either way, are milliseconds: pydantic's watershed."""
MAX_NUMBER_LENGTH = 32
"""Longest text that is taken as a number: far more digits than any instant of the years that are kept."""
MAX_NUMBER = 2**63 - 1
"""Numbers beyond it are none to pydantic."""

_FIRST_S = 63_072_000  # 1972-01-01T00:00:00Z
_END_S = 253_370_764_800  # 9999-01-01T00:00:00Z
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_DATETIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"([Tt _](?P<clock>([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)?)"
    r"(?P<offset>[Zz]|[+\-\u2212 ]([01]\d|2[0-3]):?[0-5]\d)?)?",
    re.ASCII,
)
_DATE_LENGTH = 10
_MONTHS = 12


class NotADatetimeError(ValueError):
    """The text is no datetime. `kind` is pydantic's error type, `reason` its reason."""

    def __init__(self, reason: str, *, kind: str = "datetime_from_date_parsing") -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def read_instant(text: str, zone: ZoneInfo) -> int:
    """The instant that a text names, in microseconds since the epoch; without an offset it is a time in `zone`.

    A space stands for the plus that a query string lost. NotADatetimeError: pydantic would refuse it. OutOfRangeError:
    a year that is not kept.
    """
    if len(text) <= MAX_NUMBER_LENGTH and _NUMBER.fullmatch(text) and abs(Decimal(text)) <= MAX_NUMBER:
        return _of_number(Decimal(text))
    match = _DATETIME.fullmatch(text)
    reason = _date_fault(text)
    if match is None or reason is not None:
        raise NotADatetimeError(reason or "unexpected extra characters at the end of the input")
    if match["date"].startswith("0000"):
        raise NotADatetimeError("year 0 is out of range", kind="datetime_parsing")
    clock = f"T{match['clock']}" if match["clock"] else ""
    offset = (match["offset"] or "").replace("\u2212", "-")
    return parse_instant(f"{match['date']}{clock}{offset}", zone)


def _of_number(number: Decimal) -> int:
    seconds = number / 1000 if abs(number) > MILLISECONDS_ABOVE else number
    if not _FIRST_S <= seconds < _END_S:
        raise OutOfRangeError(f"{number} is out of range as unix seconds; years go from 1972 to 9998")
    return int(seconds * 1_000_000)


def _date_fault(text: str) -> str | None:
    """What is wrong with the first ten bytes as a date, in the order in which pydantic looks; None where nothing is."""
    if len(text.encode("utf-8", "replace")) < _DATE_LENGTH:
        return "input is too short"
    for start, end, part in ((0, 4, "year"), (5, 7, "month"), (8, 10, "day")):
        if part != "year" and text[start - 1] != "-":
            return "invalid date separator, expected `-`"
        digits = text[start:end]
        if not (digits.isascii() and digits.isdigit()):
            return f"invalid character in {part}"
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    if not 1 <= month <= _MONTHS:
        return "month value is outside expected range of 1-12"
    return None if 1 <= day <= monthrange(year, month)[1] else "day value is outside expected range"
