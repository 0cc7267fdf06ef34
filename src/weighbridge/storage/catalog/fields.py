"""Single values of catalog objects: read, checked, brought into the form that is kept.

A parser takes a value as JSON or YAML gives it, its place, and the faults found so far; it returns the value to keep,
or BAD after adding to the faults. So one pass finds everything that is wrong.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from weighbridge.domain import timegrid
from weighbridge.domain.errors import ConflictError, InvalidDocumentError, InvalidInputError, NotVisibleError
from weighbridge.model import Endpoint

MAX_INTEGER = 2**53 - 1
"""Largest number in the catalog: what every JSON reader can hold exactly."""
MAX_TEXT = 255
"""Longest name, in characters."""
MAX_PATH = 1024
"""Longest endpoint path, in characters; as long as one in traffic may be."""
MAX_ENDPOINTS = 1000
"""Excluded endpoints per app: health checks and the like; every usage question looks at each."""
MAX_FAULTS = 100
"""Faults that one answer lists: more than a person mends in one go."""
MAX_SHOWN = 60
"""Characters of a wrong value that a message repeats."""

Value = Any
"""A value in the form that is kept, or BAD."""
BAD: Value = object()
"""Stands for a value that could not be read."""

UTC = ZoneInfo("UTC")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_METHOD = re.compile(r"[A-Za-z][A-Za-z-]{0,31}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(slots=True)
class Faults:
    """What is wrong so far: things that cannot be, names that do not exist for the caller, and conflicts."""

    invalid: list[tuple[str | None, str]] = field(default_factory=list)
    invisible: list[tuple[str | None, str, str]] = field(default_factory=list)
    conflicts: list[tuple[str | None, str]] = field(default_factory=list)

    def add(self, where: str | None, detail: str) -> None:
        """`detail` is wrong at `where`, whatever is in the catalog."""
        if len(self.invalid) < MAX_FAULTS:
            self.invalid.append((where or None, detail))

    def clash(self, where: str | None, detail: str) -> None:
        """It contradicts what is in the catalog."""
        if len(self.conflicts) < MAX_FAULTS:
            self.conflicts.append((where or None, detail))

    def hide(self, where: str | None, kind: str, name: str) -> None:
        """A named object does not exist, or not for this caller: nobody can tell which."""
        if len(self.invisible) < MAX_FAULTS:
            self.invisible.append((where or None, kind, name))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wrong so far."""
        return not (self.invalid or self.invisible or self.conflicts)

    def raise_for_object(self) -> None:
        """For a request about one object: 422 before 404 before 409. Nothing happens without faults.

        InvalidDocumentError, else NotVisibleError, else ConflictError.
        """
        if self.invalid:
            raise InvalidDocumentError(self.invalid)
        if self.invisible:
            _, kind, name = self.invisible[0]
            raise NotVisibleError(kind, name)
        if self.conflicts:
            where, detail = self.conflicts[0]
            raise ConflictError(detail, where=where)

    def raise_for_document(self) -> None:
        """For a whole document: everything that is wrong, in one InvalidDocumentError."""
        unknown = [(where, f"no {kind} {name!r}") for where, kind, name in self.invisible]
        if not self.is_empty:
            raise InvalidDocumentError((self.invalid + unknown + self.conflicts)[:MAX_FAULTS])


class WrongValueError(Exception):
    """A value is wrong; the text says what would be right."""


Parser = Callable[[object, str, Faults], Value]


def scalar(read: Callable[[object], Any]) -> Parser:
    """A parser from a function that raises WrongValueError."""

    def parse(value: object, where: str, faults: Faults) -> Value:
        try:
            return read(value)
        except WrongValueError as wrong:
            faults.add(where, str(wrong))
            return BAD

    return parse


def nullable(read: Callable[[object], Any]) -> Callable[[object], Any]:
    """The same, and null stays null."""
    return lambda value: None if value is None else read(value)


def show(value: object) -> str:
    """A wrong value as a message repeats it: short, and printable in any encoding."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no integer of more than 4,300 digits
        text = "something too large to be shown"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def nearest(name: object, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name is near, else the list of names (or nothing, if there are many)."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name)[:MAX_TEXT], names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 20 else ""  # noqa: PLR2004  a line's worth


def read_text(value: object) -> str:
    """1 to MAX_TEXT characters that every store and every JSON reader can hold."""
    return _text(value, MAX_TEXT)


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str):
        what = "nothing" if value is None else f"{type(value).__name__} {show(value)}"
        msg = f"must be text, not {what}; in YAML, put quotes around it"
        raise WrongValueError(msg)
    if not 1 <= len(value) <= longest:
        msg = f"must have 1 to {longest} characters, not {len(value)}"
        raise WrongValueError(msg)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        msg = f"must hold no control characters or lone surrogates: {show(value)}"
        raise WrongValueError(msg)
    return value


def read_id(value: object) -> str:
    """An id of text.

    WrongValueError: the value is no such thing; it says what would be right.
    """
    text = read_text(value)
    if not _ID.fullmatch(text):
        msg = f"must be 1 to 100 of A-Z a-z 0-9 . _ : @ - and begin with a letter or digit, not {show(text)}"
        raise WrongValueError(msg)
    return text


def read_slug(value: object) -> str:
    """A slug.

    WrongValueError: the value is no such thing; it says what would be right.
    """
    text = read_text(value)
    if not _SLUG.fullmatch(text):
        msg = f"must be 1 to 63 of a-z 0-9 - and begin with a letter or digit, not {show(text)}"
        raise WrongValueError(msg)
    return text


def read_uuid(value: object) -> str:
    """A UUID, in lower case.

    WrongValueError: the value is no such thing; it says what would be right.
    """
    text = read_text(value).lower()
    if not _UUID.fullmatch(text):
        msg = f"must be a UUID such as {uuid.UUID(int=0xd290f1ee6c544b0190e6d701748f0851)}, not {show(value)}"
        raise WrongValueError(msg)
    return text


def integer(least: int, most: int) -> Callable[[object], int]:
    """A reader of integers within bounds.

    WrongValueError: the value is no such thing; it says what would be right.
    """

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            msg = f"must be an integer from {least} to {most}, not {show(value)}"
            raise WrongValueError(msg)
        return value

    return read


read_number = integer(1, MAX_INTEGER)
"""An id that is a number."""
read_amount = integer(0, MAX_INTEGER)


def choice(*allowed: str) -> Callable[[object], str]:
    """A reader of one of a few words.

    WrongValueError: the value is no such thing; it says what would be right.
    """

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            msg = f"must be {' or '.join(repr(word) for word in allowed)}, not {show(value)}"
            raise WrongValueError(msg)
        return value

    return read


def read_time_zone(value: object) -> str:
    """An IANA time zone's name.

    WrongValueError: the value is no such thing; it says what would be right.
    """
    try:
        timegrid.zone(read_text(value))
    except InvalidInputError as wrong:
        raise WrongValueError(wrong.detail) from None
    return str(value)


def read_instant_s(value: object) -> int:
    """An RFC 3339 instant, in epoch seconds; without an offset it is UTC.

    WrongValueError: the value is no such thing; it says what would be right.
    """
    if not isinstance(value, str):
        msg = f"must be text such as '2025-03-09T07:00:00Z' (in YAML, in quotes), not {show(value)}"
        raise WrongValueError(msg)
    try:
        return timegrid.parse_instant(value, UTC) // 1_000_000
    except InvalidInputError as wrong:
        raise WrongValueError(wrong.detail) from None


def _method(value: object) -> str:
    method = read_text(value)
    if not _METHOD.fullmatch(method):
        msg = f"must be an HTTP method such as GET, not {show(value)}"
        raise WrongValueError(msg)
    return method.upper()


def _path(value: object) -> str:
    path = _text(value, MAX_PATH)
    if not path.startswith("/"):
        msg = f"must begin with /, not {show(path)}"
        raise WrongValueError(msg)
    return path


def read_mapping(
    value: object, parsers: Mapping[str, Parser], where: str, faults: Faults, *, required: Iterable[str] = ()
) -> dict[str, Any] | None:
    """The given fields, read; None and a fault for what is no mapping. A field that is BAD is left out."""
    if not isinstance(value, Mapping):
        faults.add(where, f"must be a mapping of fields, not {show(value)}")
        return None
    found: dict[str, Any] = {}
    for name, given in value.items():
        place = join(where, name if isinstance(name, str) else show(name))
        parse = parsers.get(name) if isinstance(name, str) else None
        if parse is None:
            faults.add(printable(place), f"no such field{nearest(name, parsers)}")
            continue
        read = parse(given, place, faults)
        if read is not BAD:
            found[name] = read
    for name in required:
        if name not in value:
            faults.add(join(where, name), "is missing")
    return found


def read_list(value: object, where: str, faults: Faults) -> list[tuple[object, str]]:
    """The items of a list with their places; a fault, and none, for what is no list."""
    if not isinstance(value, list):
        faults.add(where, f"must be a list, not {show(value)}")
        return []
    return [(item, f"{where}[{index}]") for index, item in enumerate(value)]


def join(where: str, name: str) -> str:
    """The place of a field in an object."""
    return f"{where}.{name}" if where else name


def printable(text: str) -> str:
    """The text without what a terminal, a log or UTF-8 cannot hold, and not too long."""
    return text[-MAX_TEXT:].encode("ascii", "backslashreplace").decode() if not text.isprintable() else text[-MAX_TEXT:]


def parse_endpoints(value: object, where: str, faults: Faults) -> Value:
    """Excluded endpoints: methods in upper case, each endpoint once, in the order given."""
    parsers = {"method": scalar(_method), "path": scalar(_path)}
    before = len(faults.invalid)
    items = read_list(value, where, faults)
    if len(items) > MAX_ENDPOINTS:
        faults.add(where, f"must hold at most {MAX_ENDPOINTS} endpoints, not {len(items)}")
        return BAD
    found: dict[Endpoint, None] = {}
    for item, place in items:
        given = read_mapping(item, parsers, place, faults, required=parsers)
        if given is not None and len(given) == len(parsers):
            found[Endpoint(**given)] = None
    return tuple(found) if len(faults.invalid) == before else BAD


_ALLOWANCE = {"granted": scalar(read_amount), "additional": scalar(read_amount)}


def _parse_allowance(value: object, where: str, faults: Faults) -> Value:
    given = read_mapping(value, _ALLOWANCE, where, faults)
    return BAD if given is None else given


_QUOTA: dict[str, Parser] = {
    "region": scalar(read_slug),
    "price": scalar(nullable(read_amount)),
    "tb": _parse_allowance,
    "mbps": _parse_allowance,
}


def parse_quotas(value: object, where: str, faults: Faults) -> Value:
    """Quotas as given: by region slug, only the fields that stand there (kinds.merge_quotas fills the rest)."""
    found: dict[str, dict[str, Any]] = {}
    before = len(faults.invalid)
    for item, place in read_list(value, where, faults):
        given = read_mapping(item, _QUOTA, place, faults, required=("region",))
        if given is None or "region" not in given:
            continue
        if given["region"] in found:
            faults.add(join(place, "region"), f"{given['region']!r} stands in this list already")
        found[given["region"]] = given
    return found if len(faults.invalid) == before else BAD
