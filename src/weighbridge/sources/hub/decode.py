"""Bodies of Apitally's hub protocol, version 2, to what they tell.

Source: what apitally for Python 0.25.1 and for JS 0.25.8 send (docs/api-clients.md). What counts is taken to the letter;
what does not (histograms, errors, resources) is not looked at, so that nothing in it can cost an app its counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import msgspec
import xxhash

from weighbridge.domain.errors import InvalidInputError
from weighbridge.measurement import MAX_NAME, MAX_PATH, Amount
from weighbridge.metering.limits import EARLIEST_US
from weighbridge.metering.messages import Figure
from weighbridge.metering.subjects import MAX_METHOD, UNFIT
from weighbridge.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY_BYTES = 16 * 1024 * 1024
"""A sync of 50,000 rows, or a start with the OpenAPI document of the largest API."""
MAX_ROWS = 50_000
"""Rows of one sync: combinations of consumer, endpoint and status within a minute. More do not fit into its body."""
MAX_CONSUMERS = 10_000
"""Consumers that one sync describes: as many as an app may have."""
MAX_PATHS = 10_000
"""Endpoints that a start lists: as many as are kept of an app."""
LATEST_US = 253_402_300_800 * 1_000_000
"""The end of the year 9999: instants in milliseconds lie behind it."""
SHOWN = 300
"""Characters of a decoder's complaint that are passed on."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
"""What a method is in a row that can be trusted; see _names."""

Place = tuple[str | int, ...]
"""Where in a body: ("body", "requests", 0, "path")."""
_Id = Annotated[UUID, msgspec.Meta(title="UUID")]
T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a body, as FastAPI words it: that is what the clients expect of a 422."""

    type: str
    loc: Place
    msg: str


class InvalidBodyError(InvalidInputError):
    """A body cannot be taken, as `faults` says; nothing of it is kept."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults[0].msg, where=".".join(map(str, faults[0].loc)))
        self.faults = faults


class _Row(msgspec.Struct, gc=False):
    consumer: str | None
    method: str | None
    path: str | None
    status_code: Amount | None  # null where a client cut the row at the wrong places
    request_count: Amount
    request_size_sum: Amount
    response_size_sum: Amount


class _Consumer(msgspec.Struct, gc=False):
    identifier: str
    name: str | None = None
    group: str | None = None


class _Sync(msgspec.Struct):
    timestamp: float
    instance_uuid: _Id
    message_uuid: _Id
    requests: Annotated[list[_Row], msgspec.Meta(max_length=MAX_ROWS)]
    consumers: Annotated[list[_Consumer], msgspec.Meta(max_length=MAX_CONSUMERS)] | None = None


class _Path(msgspec.Struct, gc=False):
    method: str
    path: str


class _Startup(msgspec.Struct):
    instance_uuid: _Id
    message_uuid: _Id
    paths: Annotated[list[_Path], msgspec.Meta(max_length=MAX_PATHS)] | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What a client counted of one consumer at one endpoint; None where it is nobody's, or where the name is of no use."""

    consumer: str | None
    method: str | None
    path: str | None
    requests: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Sync:
    """What an instance counted until `at_us`, since its sync before. `content` differs where anything that counts does.

    `consumers` are names and groups by identifier. `nameless` rows are counted without a name that cannot be kept.
    """

    at_us: int
    instance: str
    message: str
    rows: tuple[Row, ...]
    consumers: Mapping[str, tuple[str | None, str | None]]
    content: str
    nameless: int = 0


@dataclass(frozen=True, slots=True)
class Startup:
    """An instance has started. `unlisted` endpoints have names that cannot be kept."""

    instance: str
    endpoints: tuple[Endpoint, ...]
    framework: str | None
    unlisted: int = 0


_sync = msgspec.json.Decoder(_Sync)
_startup = msgspec.json.Decoder(_Startup)


def decode_sync(body: bytes) -> Sync:
    """What a sync tells, or InvalidBodyError."""
    told = _read(_sync, body)
    at_us = round(Fraction(told.timestamp) * 1_000_000)
    if not EARLIEST_US <= at_us <= LATEST_US:
        detail = "the time lies outside 1972 to 9999: unix seconds are wanted here"
        raise InvalidBodyError(Fault("value_error", ("body", "timestamp"), detail))
    rows = tuple(
        Row(*_names(row), row.request_count, row.request_size_sum, row.response_size_sum) for row in told.requests
    )
    counted = msgspec.msgpack.encode((at_us, told.instance_uuid, told.requests))
    return Sync(
        at_us=at_us,
        instance=str(told.instance_uuid),
        message=str(told.message_uuid),
        rows=rows,
        consumers={
            each.identifier: (_fit(each.name), _fit(each.group))
            for each in told.consumers or () if _fit(each.identifier) is not None
        },
        content=xxhash.xxh3_128_hexdigest(counted),
        nameless=sum(map(_is_nameless, told.requests, rows)),
    )


def decode_startup(body: bytes) -> Startup:
    """What a start tells, or InvalidBodyError."""
    told = _read(_startup, body)
    given = dict.fromkeys(Endpoint(each.method.upper(), each.path) for each in told.paths or ())
    endpoints = [each for each in given if _fit(each.method, MAX_METHOD) and _fit(each.path, MAX_PATH)]
    return Startup(
        instance=str(told.instance_uuid),
        endpoints=tuple(endpoints),
        framework=_fit(told.client),
        unlisted=len(given) - len(endpoints),
    )


def figures_of(sync: Sync, subject: str, environment: str) -> list[Figure]:
    """A figure for each row, in order, without a start: they cover the time since the instance's sync before."""
    return [
        Figure(
            subject=subject,
            end_us=sync.at_us,
            bytes_in=row.bytes_in,
            bytes_out=row.bytes_out,
            requests=row.requests,
            environment=environment,
            consumer=row.consumer,
            method=row.method,
            path=row.path,
        )
        for row in sync.rows
    ]


def _names(row: _Row) -> tuple[str | None, str | None, str | None]:
    """Consumer, method and path of a row, as far as they can be kept; a method and its path go together.

    The JS client joins the four fields of a row by `|` and cuts them apart again, so that a consumer such as `auth0|123`
    becomes consumer `auth0`, method `123`, the method as path, and a status that is no number. Such names are nobody's.
    """
    method, path = (row.method or "").upper(), row.path
    if row.status_code is None and method not in METHODS:
        return None, None, None
    if _fit(method, MAX_METHOD) is None or _fit(path, MAX_PATH) is None:
        return _fit(row.consumer), None, None
    return _fit(row.consumer), method, path


def _is_nameless(told: _Row, row: Row) -> bool:
    """Whether a name that was told is left out."""
    return bool(told.consumer) != bool(row.consumer) or bool(told.method and told.path) != bool(row.path)


def _fit(text: str | None, most: int = MAX_NAME) -> str | None:
    """The text, or None where it is empty or none that can be kept."""
    return text if text and len(text) <= most and not UNFIT.search(text) else None


def _read(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBodyError(_fault(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        mended = _mend(body)
        if mended == body:
            raise InvalidBodyError(_no_json(str(error))) from error
    except RecursionError as error:
        raise InvalidBodyError(_no_json("nested too deeply")) from error
    return _read(decoder, mended)


def _no_json(detail: str) -> Fault:
    return Fault("json_invalid", ("body",), f"JSON decode error: {detail}"[:SHOWN])


_HEX = rb"[0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]%b\\u[dD][c-fC-F]%b|(u[dD][89a-fA-F]%b)|.)" % (_HEX, _HEX, _HEX), re.DOTALL)


def _mend(body: bytes) -> bytes:
    """The body with U+FFFD for half a surrogate pair: the JS client cuts texts to a length in the middle of a character."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


_PLACED = re.compile(r"(?s)(.*?)(?: - at `\$(.*)`)?")
_MISSING = re.compile(r"Object missing required field `(.*)`")


def _fault(complaint: str) -> Fault:
    """What msgspec complains of, in the words of the place where it is."""
    found = _PLACED.fullmatch(complaint)
    said, path = (complaint, None) if found is None else found.groups()
    place: Place = ("body", *(int(index) if index else name for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path or "")))
    if missing := _MISSING.fullmatch(said):
        return Fault("missing", (*place, missing[1]), "Field required")
    kind = "type_error" if ", got " in said else "value_error"
    return Fault(kind, place, said[:SHOWN])
