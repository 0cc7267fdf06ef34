"""Flow records to pieces: what each moved in each slot that it lasted, scaled up, at times that can be.

The same rule as domain/spread.py, record by record; a property test holds them equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.collected import FlowFlag
from weighbridge.measurement import MAX_AMOUNT
from weighbridge.metering.flows.block import UNKNOWN_SAMPLER, UNRATED
from weighbridge.metering.limits import AHEAD_US
from weighbridge.metering.spreading import SLOT_US, slot_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.metering.flows.block import FlowBlock

HOUR_US = 3_600_000_000
"""Times that lie further from the receipt are an exporter's wrong clock; with AHEAD_US no flow lasts more than 2**33 µs."""
_SPAN = np.dtype([("start_us", "<i8"), ("end_us", "<i8"), ("octets", "<i8"), ("packets", "<i8")])


@dataclass(slots=True)
class Records:
    """Records of one family of addresses, from one exporter or several: columns as in FlowBlock.

    `exporter`: numbers into `exporters`. The columns of MACs and VLANs are all there or all None.
    """

    exporters: list[str]
    exporter: np.ndarray
    received_us: np.ndarray
    src: np.ndarray
    dst: np.ndarray
    octets: np.ndarray
    packets: np.ndarray
    start_us: np.ndarray
    end_us: np.ndarray
    rate: np.ndarray | None
    links: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None
    """MAC and VLAN of the source, of the destination."""


@dataclass(slots=True)
class Pieces:
    """What was moved in one slot each. `at`: whose record's, None: record by record, in the same order.

    `slot`, `octets`, `packets`, `flows` (int64): flows is 1 in the first slot of a record, else 0.
    """

    at: np.ndarray | None
    slot: np.ndarray
    octets: np.ndarray
    packets: np.ndarray
    flows: np.ndarray | int


def join(blocks: Sequence[FlowBlock]) -> Records:
    """Blocks of one family, one after the other. Where times are told by nobody, they are the receipt's."""
    exporters = list(dict.fromkeys(block.exporter for block in blocks))
    number = {exporter: at for at, exporter in enumerate(exporters)}
    sizes = [len(block.src) for block in blocks]
    received_us = [np.full(size, block.received_us) for block, size in zip(blocks, sizes, strict=True)]
    has_rates = any(not isinstance(block.rate, int) or block.rate != 1 for block in blocks)
    spans = [_span(block, receipt) for block, receipt in zip(blocks, received_us, strict=True)]
    rates = [_rate(block) for block in blocks]
    return Records(
        exporters=exporters,
        exporter=np.repeat([number[block.exporter] for block in blocks], sizes),
        received_us=_joined(received_us),
        src=_joined([block.src for block in blocks]),
        dst=_joined([block.dst for block in blocks]),
        octets=_joined([block.octets for block in blocks]),
        packets=_joined([block.packets for block in blocks]),
        start_us=_joined([start_us for start_us, _ in spans]),
        end_us=_joined([end_us for _, end_us in spans]),
        rate=_joined(rates) if has_rates else None,
        links=_joined_links(blocks) if any(has_links(block) for block in blocks) else None,
    )


def has_links(block: FlowBlock) -> bool:
    """Whether it tells any MACs or VLANs."""
    return any(column is not None for column in _links(block))


def _span(block: FlowBlock, receipt_us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if block.start_us is None or block.end_us is None:
        return receipt_us, receipt_us
    return block.start_us, block.end_us


def _rate(block: FlowBlock) -> np.ndarray:
    return np.full(len(block.src), block.rate) if isinstance(block.rate, int) else block.rate


def _joined(columns: list[np.ndarray]) -> np.ndarray:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _links(block: FlowBlock) -> tuple[np.ndarray | None, ...]:
    return block.src_mac, block.src_vlan, block.dst_mac, block.dst_vlan


def _joined_links(blocks: Sequence[FlowBlock]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    kinds = (np.uint64, np.uint16, np.uint64, np.uint16)
    columns = [
        _joined([np.zeros(len(block.src), kind) if column is None else column
                 for block in blocks for column in (_links(block)[at],)])
        for at, kind in enumerate(kinds)
    ]
    return columns[0], columns[1], columns[2], columns[3]


def chosen(records: Records, at: np.ndarray | slice) -> Records:
    """Some of the records."""
    return Records(
        records.exporters, records.exporter[at], records.received_us[at], records.src[at], records.dst[at],
        records.octets[at], records.packets[at], records.start_us[at], records.end_us[at],
        None if records.rate is None else records.rate[at],
        None if records.links is None else tuple(column[at] for column in records.links),  # type: ignore[arg-type]
    )


def mend_times(records: Records, now_us: int) -> np.ndarray | None:
    """Each record begins and ends when it can have; which ones were mended (a mask), None: none.

    Where the start or the end is more than an hour from the receipt, or the end is before the start, both are the
    receipt. What still lies more than AHEAD_US ahead of now is moved to there, and is not counted as mended.
    """
    start_us, end_us, received_us = records.start_us, records.end_us, records.received_us
    # An end in the hour and a start at most as late, and not before the hour: the two other bounds follow.
    sound = (start_us >= received_us - HOUR_US) & (end_us <= received_us + HOUR_US) & (end_us >= start_us)
    mended = None
    if not sound.all():
        mended = ~sound
        records.start_us = np.where(sound, start_us, received_us)
        records.end_us = np.where(sound, end_us, received_us)
    latest_us = now_us + AHEAD_US
    if len(end_us) and records.end_us.max() > latest_us:
        records.start_us = np.minimum(records.start_us, latest_us)
        records.end_us = np.minimum(records.end_us, latest_us)
    return mended


def too_large(records: Records) -> np.ndarray | None:
    """Records that would move more than MAX_AMOUNT bytes or packets, or less than none, when scaled up; None: none."""
    if not len(records.octets):
        return None
    larger = np.maximum(records.octets.view(np.uint64), records.packets.view(np.uint64))  # what is negative is huge
    if records.rate is None:
        return None if larger.max() <= MAX_AMOUNT else larger > MAX_AMOUNT
    rate = np.maximum(records.rate, 1).view(np.uint64)
    if larger.max() <= MAX_AMOUNT // int(rate.max()):
        return None
    those: np.ndarray = larger > np.uint64(MAX_AMOUNT) // rate
    return those


def scale_up(records: Records) -> np.ndarray | None:
    """Amounts stand for what was sampled, not for the sample; flags (uint64) of each record, None: no flags at all."""
    if records.rate is None:
        return None
    rate = np.maximum(records.rate, 1)
    records.octets = records.octets * rate
    records.packets = records.packets * rate
    flags = np.where(rate > 1, np.uint64(FlowFlag.ESTIMATED), np.uint64(0))
    flags[records.rate == UNRATED] = FlowFlag.UNRATED
    flags[records.rate == UNKNOWN_SAMPLER] = FlowFlag.UNKNOWN_SAMPLER
    return flags


def cut(records: Records) -> Pieces:
    """Every record in pieces, each in one slot, that together are the record: by time, largest remainder, ties to the earlier.

    Every slot that a record touches has a piece, of zeros too.
    """
    first = records.start_us // SLOT_US
    last = np.maximum(records.end_us - 1, records.start_us) // SLOT_US
    crossing = np.flatnonzero(first != last)
    if not len(crossing):
        return Pieces(None, first, records.octets, records.packets, 1)
    counts = last[crossing] - first[crossing] + 1
    spans = np.empty(len(crossing), _SPAN)
    for name in ("start_us", "end_us", "octets", "packets"):
        spans[name] = getattr(records, name)[crossing]
    begins = np.cumsum(counts) - counts
    of = np.repeat(np.arange(len(crossing)), counts)
    place = np.arange(len(of)) - begins[of]
    octets = slot_parts(spans, counts, "octets", place, 1)
    packets = slot_parts(spans, counts, "packets", place, 1)
    return _assembled(records, crossing[of], place, first, (octets, packets))


def _assembled(
    records: Records, of: np.ndarray, place: np.ndarray, first: np.ndarray, parts: tuple[np.ndarray, np.ndarray]
) -> Pieces:
    """First pieces stand at their records' places, the others behind them all."""
    octets, packets = records.octets.copy(), records.packets.copy()
    head, later = np.flatnonzero(place == 0), np.flatnonzero(place)
    octets[of[head]], packets[of[head]] = parts[0][head], parts[1][head]
    count = len(octets)
    flows = np.zeros(count + len(later), np.int64)
    flows[:count] = 1
    return Pieces(
        np.concatenate((np.arange(count), of[later])),
        np.concatenate((first, first[of[later]] + place[later])),
        np.concatenate((octets, parts[0][later])),
        np.concatenate((packets, parts[1][later])),
        flows,
    )
