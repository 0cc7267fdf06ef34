"""Sets that are decoded together: whose they are, which belong together, and what their datagrams said."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.sources.netflow.flows import Moments
from weighbridge.sources.netflow.scan import Sets
from weighbridge.sources.netflow.templates import IPFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weighbridge.sources.netflow.held import HeldSet
    from weighbridge.sources.netflow.layout import Layout
    from weighbridge.sources.netflow.streams import Stream

PADDING: Final = 7
"""Most bytes of padding behind the records of a set: exporters align to 4 or 8."""
_SET_BITS: Final = 17  # set numbers, and V5_SET


@dataclass(slots=True)
class Portion:
    """Sets to decode, and what their datagrams said, by datagram. `place`: which of `streams`, -1 for none.

    `records`: how many each datagram held, `options`: how many of them told of options; `untold`: it held more, nobody knows
    how many.
    """

    octets: np.ndarray
    received_us: int
    sets: Sets
    streams: list[Stream]
    place: np.ndarray
    export_us: np.ndarray
    uptime_ms: np.ndarray
    rate: np.ndarray
    records: np.ndarray
    options: np.ndarray
    untold: np.ndarray


@dataclass(slots=True)
class Group:
    """Data sets of one stream and one layout, as rows of the portion's sets."""

    layout: Layout
    stream: Stream
    rows: np.ndarray
    is_v5: bool


def by_stream(portion: Portion) -> Iterator[tuple[Stream, np.ndarray]]:
    """Each stream and its datagrams, in their order."""
    for place, datagrams in runs(portion.place, np.arange(len(portion.place))):
        if place >= 0:
            yield portion.streams[place], datagrams


def runs(codes: np.ndarray, values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Values by their code, in the order of the codes; those of one code keep their order."""
    if not len(codes):
        return
    if (codes == codes[0]).all():
        yield int(codes[0]), values
        return
    order = np.argsort(codes, kind="stable")
    codes, values = codes[order], values[order]
    starts = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1])))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(codes)], strict=True):
        yield int(codes[start]), values[start:end]


def codes(portion: Portion, rows: np.ndarray) -> np.ndarray:
    """A number for the stream and the set of each row."""
    sets = portion.sets
    found: np.ndarray = portion.place[sets.datagram[rows]] << _SET_BITS | sets.id[rows]
    return found


def stream_and_set(portion: Portion, number: int) -> tuple[Stream, int]:
    """What such a number stands for."""
    return portion.streams[number >> _SET_BITS], number & (1 << _SET_BITS) - 1


def before(portion: Portion, row: int, place: int, waiting: np.ndarray) -> np.ndarray:
    """The rows of a stream's data sets that wait before `row`; they wait no longer."""
    rows = np.flatnonzero(waiting[:row])
    rows = np.compress(portion.place[portion.sets.datagram[rows]] == place, rows)
    waiting[rows] = False
    return rows


def fit(layout: Layout, sets: Sets, rows: np.ndarray) -> np.ndarray:
    """Which sets can be records of this layout and padding."""
    if layout.is_variable:
        return np.ones(len(rows), bool)
    fitting: np.ndarray = (sets.end[rows] - sets.start[rows]) % layout.dtype.itemsize <= PADDING
    return fitting


def bounds(groups: list[Group], counts: np.ndarray) -> list[tuple[int, int]]:
    """Where the records of each group begin and end."""
    if len(groups) == 1:
        return [(0, int(counts.sum()))]
    past = np.concatenate(([0], np.cumsum(counts)))[np.cumsum([0, *(len(each.rows) for each in groups)])].tolist()
    return list(pairwise(past))


def moments(portion: Portion, groups: list[Group], datagrams: np.ndarray, counts: np.ndarray) -> Moments:
    """What the heads say of the time. IPFIX tells no uptime: it comes from the boot that options told."""
    export_us, uptime_ms = portion.export_us[datagrams], portion.uptime_ms[datagrams]
    at = 0
    for each in groups:
        past = at + len(each.rows)
        if each.stream.key.version == IPFIX and each.stream.boot_us is not None:
            uptime_ms[at:past] = (export_us[at:past] - each.stream.boot_us) // 1_000
        at = past
    return Moments(export_us, uptime_ms, counts)


def held_portion(stream: Stream, set_id: int, held: Sequence[HeldSet]) -> Portion:
    """Sets that were held, as a portion to decode; all were received at the same time."""
    count = len(held)
    past = np.cumsum([len(each.content) for each in held])
    starts = np.concatenate(([0], past[:-1]))
    nothing = np.zeros(count, np.int64)
    return Portion(
        np.frombuffer(b"".join(each.content for each in held), np.uint8), held[0].received_us,
        Sets(np.arange(count), np.full(count, set_id), starts, past), [stream], nothing,
        np.array([each.export_us for each in held]), np.array([each.uptime_ms for each in held]), nothing,
        nothing.copy(), nothing.copy(), np.zeros(count, bool),
    )
