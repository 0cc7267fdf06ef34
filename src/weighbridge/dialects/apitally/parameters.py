"""Parameters read one by one as pydantic reads them, so that all faults of a request come in one answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weighbridge.dialects.apitally.errors import Fault, InvalidParametersError, value_fault
from weighbridge.dialects.apitally.instants import NotADatetimeError, read_instant
from weighbridge.domain.errors import InvalidInputError, UnknownZoneError
from weighbridge.domain.timegrid import zone

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from weighbridge.http.route import Call

MAX_DIGITS = 4300
"""Longest text that is read as an integer: pydantic's bound, and Python's."""

_INTEGER = re.compile(r"(?P<whole>[+-]?\d+(_\d+)*)(\.0+)?", re.ASCII)


class Reader:
    """Reads the parameters of one call and gathers their faults; `check` raises them all."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._faults: list[Fault] = []

    def check(self) -> None:
        """Nothing, unless a parameter was at fault: InvalidParametersError."""
        if self._faults:
            raise InvalidParametersError(self._faults)

    def path_integer(self, name: str, at_least: int) -> int:
        """An integer of the path, `at_least` where it is at fault."""
        return self._integer("path", name, self._call.path_params[name], (at_least, None)) or at_least

    def integer(self, name: str, at_least: int, at_most: int | None = None) -> int | None:
        """An integer of the query, None where it is absent or at fault."""
        text = self._call.one(name)
        return None if text is None else self._integer("query", name, text, (at_least, at_most))

    def choice(self, name: str, choices: tuple[str, str]) -> str:
        """One of two words of the query, the first where it is absent or at fault."""
        text = self._call.one(name)
        if text is None or text in choices:
            return choices[0] if text is None else text
        expected = " or ".join(f"'{choice}'" for choice in choices)
        self._add("literal_error", ("query", name), f"Input should be {expected}", text, {"expected": expected})
        return choices[0]

    def text(self, name: str, max_length: int) -> str | None:
        """A text of the query, None where it is absent or at fault."""
        text = self._call.one(name)
        if text is not None and len(text) > max_length:
            msg = f"String should have at most {max_length} characters"
            self._add("string_too_long", ("query", name), msg, text, {"max_length": max_length})
            return None
        return text

    def zone(self, name: str) -> ZoneInfo:
        """A time zone of the query, UTC where it is absent or at fault."""
        text = self._call.one(name)
        if text is None:
            return zone("UTC")
        try:
            return zone(text)
        except UnknownZoneError as error:
            self._faults.append(value_fault(name, error.detail, text))
            return zone("UTC")

    def instant(self, name: str, zone: ZoneInfo) -> int | None:
        """An instant of the query in microseconds since the epoch, None where it is absent or at fault."""
        text = self._call.one(name)
        if text is None:
            return None
        try:
            return read_instant(text, zone)
        except NotADatetimeError as error:
            expected = "datetime or date" if error.kind == "datetime_from_date_parsing" else "datetime"
            msg = f"Input should be a valid {expected}, {error.reason}"
            self._add(error.kind, ("query", name), msg, text, {"error": error.reason})
        except InvalidInputError as error:
            self._faults.append(value_fault(name, error.detail, text))
        return None

    def _integer(self, where: str, name: str, text: str, bounds: tuple[int, int | None]) -> int | None:
        value = _integer_or_fault((where, name), text, bounds)
        if isinstance(value, Fault):
            self._faults.append(value)
            return None
        return value

    def _add(self, kind: str, loc: tuple[str, str], msg: str, given: str, ctx: dict[str, object]) -> None:
        self._faults.append(Fault(kind, loc, msg, given, ctx))


def _integer_or_fault(loc: tuple[str, str], text: str, bounds: tuple[int, int | None]) -> int | Fault:
    stripped = text.strip()
    if len(stripped) > MAX_DIGITS:
        msg = "Unable to parse input string as an integer, exceeded maximum size"
        return Fault("int_parsing_size", loc, msg, text)
    match = _INTEGER.fullmatch(stripped)
    if match is None:
        msg = "Input should be a valid integer, unable to parse string as an integer"
        return Fault("int_parsing", loc, msg, text)
    value = int(match["whole"])
    at_least, at_most = bounds
    if value < at_least:
        return Fault("greater_than_equal", loc, f"Input should be greater than or equal to {at_least}", text,
                     {"ge": at_least})
    if at_most is not None and value > at_most:
        return Fault("less_than_equal", loc, f"Input should be less than or equal to {at_most}", text, {"le": at_most})
    return value
