"""What agents send: a Collected as a body of `POST /api/v1/collected`, and back.

A body is a JSON object, gzip. `agent` (a UUID, made at each start of an agent) and `number` say which it is, for ever: sent
again it is a duplicate.
Flow sums are columns of equal length, one set an exporter; IPv4 and IPv6 addresses are texts, MACs `aa:bb:cc:dd:ee:ff` or
null. Whatever changes in a way that older readers would not understand gets another `version`. Pure: no I/O, no clock.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import numpy as np

from weighbridge.collected import (
    FLOW_SUM,
    Collected,
    CounterReading,
    FlowSums,
    Thing,
    ThingKind,
)
from weighbridge.domain.addresses import address_numbers, address_text, mac_number, mac_text
from weighbridge.measurement import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION: Final = 1
"""Of bodies as they are written here; those of 1 to this are read."""
MAX_READINGS: Final = 10_000
"""Readings of one body: ten times what an agent sends at once."""
MAX_ROWS: Final = 100_000
"""Rows of flow sums of one body; some 16 MB of text."""
MAX_EXPORTERS: Final = 10_000
MAX_COUNTS: Final = 10_000
MAX_ADDRESS: Final = 64
"""Longest text that names an exporter: an IPv6 address with a zone fits."""
PORTION_READINGS: Final = 1_000
PORTION_ROWS: Final = 25_000
PORTION_EXPORTERS: Final = 1_000
PORTION_COUNTS: Final = 1_000
"""What an agent puts into one body: under 12 MB however long names are, so that the server's 16 MiB hold it."""
GZIP_LEVEL: Final = 1
"""Level 6 takes four times as long for a tenth less."""
LATEST_US: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""

_SHOWN: Final = 300  # characters of a decoder's complaint that are passed on
_COLUMNS: Final = ("slot", "vlan", "flags", "bytes_in", "bytes_out", "packets", "flows")


class UnreadableError(Exception):
    """The body is none that is known here; the sentence says where it breaks."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A body as it was read."""

    agent: str
    number: int
    collected: Collected

    @property
    def id(self) -> str:
        """By this it counts once."""
        return f"{self.agent}/{self.number}"


_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
_Some = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
_Total = Annotated[int, msgspec.Meta(ge=0)] | None
_Instant = Annotated[int, msgspec.Meta(ge=0, le=LATEST_US)]
_Amount = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Address = Annotated[str, msgspec.Meta(min_length=2, max_length=MAX_ADDRESS)]
_Mac = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", max_length=17)]


class _Reading(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    kind: ThingKind
    device: _Some
    name: _Name = ""
    at_us: _Instant
    bytes_in: _Total
    bytes_out: _Total
    counter: _Name = ""
    bits: Literal[32, 64] = 64
    since_us: _Instant | None = None
    line_rate_bps: _Amount | None = None
    is_whole: bool = False


class _Flows(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    exporter: _Address
    slot: list[Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]]
    address: list[_Address]
    mac: list[_Mac | None]
    vlan: list[Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]]
    flags: list[Annotated[int, msgspec.Meta(ge=0, le=2**8 - 1)]]
    bytes_in: list[_Amount]
    bytes_out: list[_Amount]
    packets: list[_Amount]
    flows: list[_Amount]


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    version: Literal[1]
    agent: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", max_length=36)]
    number: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    source: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", max_length=32)]
    readings: Annotated[list[_Reading], msgspec.Meta(max_length=MAX_READINGS)] = []
    flows: Annotated[list[_Flows], msgspec.Meta(max_length=MAX_EXPORTERS)] = []
    counts: Annotated[list[tuple[_Name, _Some, _Amount]], msgspec.Meta(max_length=MAX_COUNTS)] = []


class _Head(msgspec.Struct):
    version: int = 0


_encode = msgspec.json.Encoder().encode
_body = msgspec.json.Decoder(_Body)
_head = msgspec.json.Decoder(_Head)


def encode(collected: Collected, agent: str, number: int) -> bytes:
    """The body, gzipped. ValueError: an amount, a name or a row is none that may be sent: a defect of the collector."""
    flows = [_columns(sums) for sums in collected.flows]
    body = _Body(
        version=VERSION, agent=agent, number=number, source=collected.source,
        readings=[_reading(each) for each in collected.readings], flows=flows,
        counts=[(exporter, what, count) for (exporter, what), count in collected.counts.items()],
    )
    return gzip.compress(_encode(body), GZIP_LEVEL, mtime=0)


def decode(body: bytes) -> Sent:
    """What a body says, not gzipped any more. UnreadableError: it is none."""
    try:
        found = _body.decode(body)
        if any(total is not None and total >= 2**64 for each in found.readings for total in (each.bytes_in, each.bytes_out)):
            raise UnreadableError("a total is larger than 64 bits can be")
        if sum(len(each.slot) for each in found.flows) > MAX_ROWS:
            raise UnreadableError(f"more than {MAX_ROWS:,} rows of flows in one body; send them in several")
        readings = tuple(_read(each) for each in found.readings)
        flows = tuple(_rows(each) for each in found.flows)
    except msgspec.ValidationError as error:
        raise UnreadableError(_complaint(body, error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(str(error)[:_SHOWN]) from error
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error
    counts: dict[tuple[str, str], int] = {}
    for exporter, what, count in found.counts:
        counts[exporter, what] = counts.get((exporter, what), 0) + count
    return Sent(found.agent, found.number, Collected(found.source, readings, flows, counts))


def portions(collected: Collected) -> list[Collected]:
    """The same in pieces of which each fits into a body, at least one, in order."""
    readings = _chunks(collected.readings, PORTION_READINGS)
    flows = list(_flow_chunks(collected.flows))
    counts = [dict(chunk) for chunk in _chunks(list(collected.counts.items()), PORTION_COUNTS)]
    return [
        Collected(
            collected.source,
            readings[at] if at < len(readings) else (),
            flows[at] if at < len(flows) else (),
            counts[at] if at < len(counts) else {},
        )
        for at in range(max(len(readings), len(flows), len(counts), 1))
    ]


def _complaint(body: bytes, error: msgspec.ValidationError) -> str:
    try:
        version = _head.decode(body).version
    except (msgspec.DecodeError, RecursionError):  # it reads on behind the place where the whole was found to be wrong
        version = 0
    if version > VERSION:
        return f"version {version} of the body is not known here: this server is older than the agent; update it"
    return str(error)[:_SHOWN]


def _reading(each: CounterReading) -> _Reading:
    return _Reading(
        kind=each.thing.kind, device=each.thing.device, name=each.thing.name, at_us=each.at_us, bytes_in=each.bytes_in,
        bytes_out=each.bytes_out, counter=each.counter, bits=64 if each.bits == 64 else 32, since_us=each.since_us,  # noqa: PLR2004
        line_rate_bps=each.line_rate_bps, is_whole=each.is_whole,
    )


def _read(each: _Reading) -> CounterReading:
    return CounterReading(
        thing=Thing(each.kind, each.device, each.name), at_us=each.at_us, bytes_in=each.bytes_in, bytes_out=each.bytes_out,
        counter=each.counter, bits=each.bits, since_us=each.since_us, line_rate_bps=each.line_rate_bps,
        is_whole=each.is_whole,
    )


def _columns(sums: FlowSums) -> _Flows:
    rows = sums.rows
    return _Flows(
        exporter=sums.exporter,
        address=[address_text(high, low) for high, low in zip(rows["hi"].tolist(), rows["lo"].tolist(), strict=True)],
        mac=[mac_text(mac) if mac else None for mac in rows["mac"].tolist()],
        **{name: rows[name].tolist() for name in _COLUMNS},
    )


def _rows(flows: _Flows) -> FlowSums:
    columns = [getattr(flows, name) for name in (*_COLUMNS, "address", "mac")]
    if len({len(column) for column in columns}) > 1:
        raise UnreadableError(f"the columns of the flows of {flows.exporter} are not of one length")
    rows = np.zeros(len(flows.slot), FLOW_SUM)
    for name in _COLUMNS:
        rows[name] = getattr(flows, name)
    try:
        halves = [address_numbers(text) for text in flows.address]
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    rows["hi"] = np.fromiter((high for high, _ in halves), np.uint64, len(halves))
    rows["lo"] = np.fromiter((low for _, low in halves), np.uint64, len(halves))
    rows["mac"] = np.fromiter((0 if mac is None else mac_number(mac) for mac in flows.mac), np.uint64, len(halves))
    return FlowSums(flows.exporter, rows)


def _chunks(items: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [items[at : at + most] for at in range(0, len(items), most)]


def _flow_chunks(flows: Sequence[FlowSums]) -> Iterator[tuple[FlowSums, ...]]:
    chunk: list[FlowSums] = []
    room = PORTION_ROWS
    for sums in flows:
        at = 0
        while at < len(sums.rows):
            if not room or len(chunk) == PORTION_EXPORTERS:
                yield tuple(chunk)
                chunk, room = [], PORTION_ROWS
            part = sums.rows[at : at + room]
            chunk.append(FlowSums(sums.exporter, part))
            at += len(part)
            room -= len(part)
    if chunk:
        yield tuple(chunk)
