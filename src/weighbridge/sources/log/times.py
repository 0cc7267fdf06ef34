"""Instants as access logs write them, to the 5-minute slots that they lie in.

Three ways are read wherever a time stands: `29/Nov/2025:10:00:00 +0100` (with or without brackets), ISO 8601 with a UTC
offset or Z, and numbers since the epoch, in seconds, milli-, micro- or nanoseconds as their size tells. A time without an
offset is none: nobody knows which instant it means. Slots begin on whole minutes, and so does every offset, so what
stands behind the minute decides nothing; a leap second belongs to the minute that it ends.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from weighbridge.domain.units import DAY_S, SLOT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT: Final = 64
"""Longest text that is looked at as a time."""
KEPT: Final = 4096
"""Times whose slots are remembered: most lines of a log say the second of the line before."""
EARLIEST_S: Final = 63_072_000
"""1972-01-01, as everywhere."""
LATEST_S: Final = 253_370_764_800
"""9999-01-01, as everywhere."""

_CLF = re.compile(
    r"\[?(?P<day>\d\d)/(?P<name>[A-Z][a-z][a-z])/(?P<year>\d{4}):(?P<hour>\d\d):(?P<minute>\d\d):(?:[0-5]\d|60)(?:\.\d+)?"
    r" (?P<sign>[+-])(?P<off_hour>\d\d)(?P<off_minute>\d\d)\]?",
    re.ASCII,
)
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[T ](?P<hour>\d\d):(?P<minute>\d\d):(?:[0-5]\d|60)(?:[.,]\d+)? ?"
    r"(?:Z|(?P<sign>[+-])(?P<off_hour>\d\d)(?::?(?P<off_minute>\d\d))?)",
    re.ASCII,
)
_EPOCH = re.compile(r"(?P<whole>\d{1,20})(?P<fraction>\.\d*)?", re.ASCII)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SECONDS_BELOW = 10**11
_DIVISORS = ((10**14, 1000), (10**17, 10**6), (10**20, 10**9))
"""Numbers below the first are in units of which the second make a second; below _SECONDS_BELOW they are seconds."""


def find_slot(text: str) -> int | None:
    """The start of the slot that the instant lies in, epoch seconds; None: the text is no instant from 1972 to 9998."""
    return _find_slot(text) if len(text) <= MAX_TEXT else None


@lru_cache(KEPT)
def _find_slot(text: str) -> int | None:
    found = _CLF.fullmatch(text) or _ISO.fullmatch(text)
    at_s = _read_epoch(text) if found is None else _read_clock(found)
    return within(at_s // SLOT_S * SLOT_S) if at_s is not None else None


def within(slot_s: int) -> int | None:
    """The slot, or None if it lies outside the years that anything is kept for."""
    return slot_s if EARLIEST_S <= slot_s < LATEST_S else None


def _read_clock(found: re.Match[str]) -> int | None:
    """The start of the minute, epoch seconds."""
    parts = found.groupdict()
    month = int(parts["month"]) if "month" in parts else _MONTHS.get(parts["name"], 0)
    hour, minute = int(parts["hour"]), int(parts["minute"])
    off_hour, off_minute = int(parts["off_hour"] or 0), int(parts["off_minute"] or 0)
    try:
        day = date(int(parts["year"]), month, int(parts["day"])).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    if hour > 23 or minute > 59 or off_hour > 23 or off_minute > 59:  # noqa: PLR2004  what clocks show
        return None
    offset_s = off_hour * 3600 + off_minute * 60
    return day * DAY_S + hour * 3600 + minute * 60 + (offset_s if parts["sign"] == "-" else -offset_s)


def _read_epoch(text: str) -> int | None:
    found = _EPOCH.fullmatch(text)
    if found is None:
        return None
    whole = int(found["whole"])
    if whole < _SECONDS_BELOW:
        return math.floor(float(text))  # as a JSON reader sees it
    return next((whole // divisor for below, divisor in _DIVISORS if whole < below), None)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the times of a run of lines look, as SQL with {0} for the text of the time.

    Rows are grouped by `keys`, or by the text itself where there are none, because lines of one second are many. `good`
    must hold for each row. Groups are put together by `outer`, for each of which `check` must hold; there the keys are
    called k0 and k1. `slot` makes the slot of what `outer` gave.
    """

    keys: tuple[str, ...]
    good: str
    outer: tuple[str, ...]
    check: str
    is_number: bool = False

    def slot(self, values: Sequence[object]) -> int | None:
        """The start of the slot, epoch seconds; None: there is none."""
        if self.is_number:
            number = values[0]
            return within(number * SLOT_S) if isinstance(number, int) else None
        return find_slot(f"{values[0]}:00{values[1]}")


_SECONDS = ":[0-5][0-9]"
"""A leap second goes the long way."""


def find_shape(text: str) -> Shape | None:
    """The shape of a text that `find_slot` knows; None: it has none that SQL can tell."""
    if found := _CLF.fullmatch(text) or _ISO.fullmatch(text):
        return _clock_shape(text, found)
    if found := _EPOCH.fullmatch(text):
        return _number_shape(found)
    return None


def _clock_shape(text: str, found: re.Match[str]) -> Shape:
    head = found.end("minute")
    behind = text[head + len(":00") :]
    tail = behind.lstrip("0123456789.,")
    fraction = "[.,][0-9]+" if behind != tail else ""
    clock = "".join(_like(letter) for letter in text[:head])
    good = f"regexp_full_match({{0}}, {quoted(clock + _SECONDS + fraction + re.escape(tail))})"
    parts = (f"left({{0}}, {head})", f"right({{0}}, {len(tail)})")
    return Shape(parts, good, ("k0", "k1"), "true") if fraction else Shape((), "true", parts, good)


def _number_shape(found: re.Match[str]) -> Shape | None:
    whole = int(found["whole"])
    if whole < _SECONDS_BELOW:
        number = "try_cast({0} AS DOUBLE)"
        good = f"regexp_full_match({{0}}, '[0-9]{{1,20}}([.][0-9]{{0,40}})?') AND {number} < {_SECONDS_BELOW}"
        return Shape((f"floor({number})::BIGINT // {SLOT_S}",), good, ("k0",), "true", is_number=True)
    size = next(((below, divisor) for below, divisor in _DIVISORS if whole < below), None)
    if size is None or found["fraction"] is not None:
        return None
    below, divisor = size
    number = "try_cast({0} AS UBIGINT)"
    good = f"NOT {{0}} GLOB '*[!0-9]*' AND length({{0}}) <= 20 AND {number} BETWEEN {below // 1000} AND {below - 1}"
    return Shape((f"({number} // {divisor * SLOT_S})::BIGINT",), good, ("k0",), "true", is_number=True)


def _like(letter: str) -> str:
    """A pattern for what may stand where the letter does; months are looked at later."""
    return "[0-9]" if letter.isdigit() else "[A-Za-z]" if letter.isalpha() and letter != "T" else re.escape(letter)


def quoted(text: str) -> str:
    """The text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
