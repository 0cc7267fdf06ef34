"""Reading the questions of CONTRACT part 4: parameters to instants and selections; a mistake says what is right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from weighbridge.domain.errors import InvalidInputError, OutOfRangeError
from weighbridge.domain.timegrid import Window, floor, isoformat, parse_instant, rfc3339, zone
from weighbridge.domain.units import SLOT_S
from weighbridge.reports.selection import GROUP_KEYS, Reach, Selection, Span, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView

FILTERS = ("organization", "project", "region", "server", "vpn", "app", "environment", "consumer", "space")
"""What narrows a question. Ids; an organization and a project also go by slug, a region only by slug."""
_INTEGER = re.compile(r"-?\d{1,30}", re.ASCII)
_SHOWN = 60
"""How much of a wrong value is repeated in an error, in characters."""


@dataclass(frozen=True, slots=True)
class Range:
    """The half-open stretch that is asked for, and the zone that it is asked and answered in."""

    window: Window
    zone: ZoneInfo

    def show(self, at_s: int) -> str:
        """The instant as RFC 3339 with the zone's offset, `Z` for UTC."""
        return rfc3339(at_s) if self.zone.key == "UTC" else isoformat(at_s, self.zone)


def must_know(call: Call, known: Sequence[str]) -> None:
    """Raises InvalidInputError for a parameter that is not `known` (it names the nearest) or comes twice."""
    seen: set[str] = set()
    for name, _ in call.query:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise InvalidInputError(f"no parameter {name[:_SHOWN]!r} here; {hint}", where=name[:_SHOWN])
        if name in seen:
            raise InvalidInputError(f"the parameter {name!r} was given twice", where=name)
        seen.add(name)


def read_range(call: Call, step_s: int = SLOT_S) -> Range:
    """`from` and `to`, rounded down to `step_s`, in `time_zone` (UTC). A range may be empty, not reversed.

    OutOfRangeError: `to` lies before `from`, or the range is outside its bounds.
    """
    asked_zone = zone(call.one("time_zone") or "UTC")
    start_us, end_us = _instant(call, "from", asked_zone), _instant(call, "to", asked_zone)
    if start_us > end_us:
        raise OutOfRangeError("`from` lies after `to`; the range is [from, to)", where="from")
    window = Window(floor(start_us // 1_000_000, step_s), floor(end_us // 1_000_000, step_s))
    return Range(window, asked_zone)


def _instant(call: Call, name: str, asked_zone: ZoneInfo) -> int:
    """Microseconds since the epoch."""
    text = call.one(name)
    if not text:
        raise InvalidInputError(f"`{name}` is missing; write an instant such as 2025-12-14T16:00:00Z", where=name)
    try:
        return parse_instant(text, asked_zone)
    except InvalidInputError as error:
        raise type(error)(f"`{name}`: {error.detail}", where=name) from None


def read_selection(call: Call, view: CatalogView, filters: Sequence[str] = FILTERS) -> Selection:
    """The filters, resolved to what the caller may see. NotVisibleError for what it may not, or what is not there."""
    organization, project, region, server, vpn = (
        call.one(name) if name in filters else None for name in ("organization", "project", "region", "server", "vpn")
    )
    app, environment, consumer, space = (
        read_integer(call, name) if name in filters else None for name in ("app", "environment", "consumer", "space")
    )
    asked = Selection(organization, project, region, server, vpn, app, environment, consumer, space)
    return resolve(view, Reach(call.who.organization, call.who.project), asked)


def read_integer(call: Call, name: str) -> int | None:
    """The parameter as an integer, None where it is absent.

    InvalidInputError: it is none.
    """
    text = call.one(name)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise InvalidInputError(f"`{name}` is {text[:_SHOWN]!r}; it must be an integer", where=name)
    return int(text)


def read_bounded(call: Call, name: str, default: int, bounds: tuple[int, int]) -> int:
    """The parameter as an integer within `bounds`, both included; the default where it is absent.

    InvalidInputError: it is no integer. OutOfRangeError: it lies outside.
    """
    value = read_integer(call, name)
    if value is None:
        return default
    if not bounds[0] <= value <= bounds[1]:
        raise OutOfRangeError(f"`{name}` is {value}; it goes from {bounds[0]} to {bounds[1]}", where=name)
    return value


def read_choice(call: Call, name: str, choices: Sequence[str], default: str | None = None) -> str:
    """The parameter, one of `choices`; the default where it is absent, and without one it must be there.

    InvalidInputError: it is none of them.
    """
    text = call.one(name)
    if text is None:
        if default is None:
            raise InvalidInputError(f"`{name}` is missing; it is one of {', '.join(choices)}", where=name)
        return default
    if text not in choices:
        detail = f"`{name}` is {text[:_SHOWN]!r}; it must be one of {', '.join(choices)}"
        raise InvalidInputError(detail, where=name)
    return text


def read_group_by(call: Call) -> tuple[str, ...]:
    """The keys of `group_by`, in the order given, each once.

    InvalidInputError: a key is unknown or stands twice.
    """
    text = call.one("group_by")
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    for index, name in enumerate(names):
        if name not in GROUP_KEYS:
            near = get_close_matches(name, GROUP_KEYS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(GROUP_KEYS)}"
            raise InvalidInputError(f"`group_by` knows no {name[:_SHOWN]!r}; {hint}", where="group_by")
        if name in names[:index]:
            raise InvalidInputError(f"`group_by` names {name!r} twice", where="group_by")
    return names


def span_of(window: Window, now_s: int) -> Span:
    """The span that a selection is made for."""
    return Span(window.start_s, window.end_s, now_s)


def now_s(call: Call) -> int:
    """The clock's seconds since the epoch."""
    return call.services.clock.now_us() // 1_000_000


def watermark(call: Call) -> str:
    """The instant up to which all accepted usage is in the answer, RFC 3339 with microseconds."""
    at_s, fraction_us = divmod(call.services.intake.watermark_us(), 1_000_000)
    return f"{rfc3339(at_s)[:-1]}.{fraction_us:06d}Z"
