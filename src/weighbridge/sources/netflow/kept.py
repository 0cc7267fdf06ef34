"""What outlasts a restart of the collector: templates, sampling rates, when exporters booted, and where they meter.

Exporters tell these every few minutes, some every half hour; without them what comes after a restart would wait for so long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from weighbridge.sources.netflow.streams import MAX_RATE, PORT, SAMPLER, WHOLE, Key
from weighbridge.sources.netflow.templates import FIRST_DATA_SET, IPFIX, V9, template_of

if TYPE_CHECKING:
    from weighbridge.sources.netflow.egress import Twins
    from weighbridge.sources.netflow.streams import Stream, Streams

LAYOUT: Final = 1
"""Of the file. One of another layout is passed over: exporters tell all of it again."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """One stream."""

    exporter: str
    version: int
    domain: int
    boot_us: int | None
    templates: dict[int, bytes]
    rates: dict[str, dict[int, int]]


class _File(msgspec.Struct, frozen=True, array_like=True):
    layout: int
    streams: list[_Kept]
    ports: dict[str, dict[int, int]]


def write_kept(streams: Streams, twins: Twins) -> bytes:
    """What is worth keeping, streams heard of last at the end."""
    return msgspec.msgpack.encode(_File(LAYOUT, [
        _Kept(*stream.key, stream.boot_us, _definitions(stream), stream.rates)
        for stream in streams if stream.templates or stream.rates or stream.boot_us is not None
    ], twins.seen()))


def read_kept(data: bytes, streams: Streams, twins: Twins) -> int:
    """They know it; how many streams there are. ValueError: it was not written by write_kept."""
    try:
        found = msgspec.msgpack.decode(data, type=_File)
    except msgspec.DecodeError as error:
        raise ValueError(f"templates that were kept cannot be read: {error}") from error
    if found.layout != LAYOUT:
        return 0
    for each in found.streams:
        _check(each)
    for each in found.streams:
        stream = streams.heard_of(Key(each.exporter, each.version, each.domain))
        for number, definition in each.templates.items():
            stream.define(number, template_of(definition))
        stream.doubt()  # they may have changed while nobody listened
        for kind, table in each.rates.items():
            for number, rate in table.items():
                stream.rate(kind, number, rate)
        stream.boot_us = each.boot_us
        streams.weigh(stream)
    for exporter, ports in found.ports.items():
        for port, at_us in ports.items():
            twins.note(exporter, port, at_us)
    return len(found.streams)


def _definitions(stream: Stream) -> dict[int, bytes]:
    return {number: template.definition for number, template in stream.templates.items()}


def _check(kept: _Kept) -> None:
    rates = [(number, rate) for table in kept.rates.values() for number, rate in table.items()]
    whole = (
        kept.version in (V9, IPFIX)
        and all(FIRST_DATA_SET <= number < 2**16 for number in kept.templates)
        and set(kept.rates) <= {SAMPLER, PORT, WHOLE}
        and all(0 < rate <= MAX_RATE for _, rate in rates)
    )
    if not whole:
        raise ValueError("templates that were kept are damaged")
    for definition in kept.templates.values():
        template_of(definition)
