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
from weighbridge.metering.spreading import SLOT_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.metering.flows.block import FlowBlock

HOUR_US = 3_600_000_000
"""Times that lie further from the receipt are an exporter's wrong clock; with AHEAD_US no flow lasts more than 2**33 µs."""
_RATE_FLAGS = {
    UNKNOWN_SAMPLER: np.uint64(FlowFlag.UNKNOWN_SAMPLER), UNRATED: np.uint64(FlowFlag.UNRATED), 1: np.uint64(0),
}
_ESTIMATED = np.uint64(FlowFlag.ESTIMATED)
_REMAINDER_BITS = 33  # remainders are below a flow's length
_SMALL = 2**34  # amounts below this, times a length in a slot, stay below 2**63


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
    rate: np.ndarray | int
    links: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None
    """MAC and VLAN of the source, of the destination."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """What records moved in one slot each, as parallel columns: the first pieces of all `records` records, then the others.

    `slot`, `octets`, `packets`: int64. `flags` (uint64): FlowFlag, of each or of all. The rest is as in Records.
    """

    records: int
    exporters: list[str]
    exporter: np.ndarray
    src: np.ndarray
    dst: np.ndarray
    links: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None
    flags: np.ndarray | np.uint64
    slot: np.ndarray
    octets: np.ndarray
    packets: np.ndarray


def join(blocks: Sequence[FlowBlock]) -> Records:
    """Blocks of one family, one after the other. Where times are told by nobody, they are the receipt's."""
    exporters = list(dict.fromkeys(block.exporter for block in blocks))
    number = {exporter: at for at, exporter in enumerate(exporters)}
    sizes = [len(block.src) for block in blocks]
    received_us = [np.full(size, block.received_us) for block, size in zip(blocks, sizes, strict=True)]
    spans = [_span(block, receipt) for block, receipt in zip(blocks, received_us, strict=True)]
    address = np.uint32 if blocks[0].family == 4 else np.uint64  # noqa: PLR2004  IPv4
    return Records(
        exporters=exporters,
        exporter=np.repeat([number[block.exporter] for block in blocks], sizes),
        received_us=_joined(received_us, np.int64),
        src=_joined([block.src for block in blocks], address),
        dst=_joined([block.dst for block in blocks], address),
        octets=_joined([block.octets for block in blocks], np.int64),
        packets=_joined([block.packets for block in blocks], np.int64),
        start_us=_joined([start_us for start_us, _ in spans], np.int64),
        end_us=_joined([end_us for _, end_us in spans], np.int64),
        rate=_joined_rates(blocks),
        links=_joined_links(blocks) if any(has_links(block) for block in blocks) else None,
    )


def has_links(block: FlowBlock) -> bool:
    """Whether it tells any MACs or VLANs."""
    return any(column is not None and column.any() for column in _links(block))


def _span(block: FlowBlock, receipt_us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if block.start_us is None or block.end_us is None:
        return receipt_us, receipt_us
    return block.start_us, block.end_us


def _rate(block: FlowBlock) -> np.ndarray:
    return np.full(len(block.src), block.rate) if isinstance(block.rate, int) else block.rate


def _joined(columns: list[np.ndarray], kind: type[np.generic]) -> np.ndarray:
    """One column of this kind: with another one, arithmetic might go on in floats."""
    alike = [column.astype(kind, copy=False) for column in columns]
    return alike[0] if len(alike) == 1 else np.concatenate(alike)


def _joined_rates(blocks: Sequence[FlowBlock]) -> np.ndarray | int:
    """One for all, where that is so: most often it is."""
    bounds = [(block.rate, block.rate) if isinstance(block.rate, int) else (int(block.rate.min()), int(block.rate.max()))
              for block in blocks]
    lowest = min(low for low, _ in bounds)
    if lowest == max(high for _, high in bounds):
        return lowest
    rates = [np.full(len(block.src), block.rate) if isinstance(block.rate, int) else block.rate for block in blocks]
    return _joined(rates, np.int64)


def _links(block: FlowBlock) -> tuple[np.ndarray | None, ...]:
    return block.src_mac, block.src_vlan, block.dst_mac, block.dst_vlan


def _joined_links(blocks: Sequence[FlowBlock]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for block in blocks:
        for joined, column in zip(columns, _links(block), strict=True):
            joined.append(np.zeros(len(block.src), np.uint16) if column is None else column)
    return (
        _joined(columns[0], np.uint64), _joined(columns[1], np.uint16), _joined(columns[2], np.uint64),
        _joined(columns[3], np.uint16),
    )


def chosen(records: Records, at: np.ndarray | slice) -> Records:
    """Some of the records."""
    links = records.links
    return Records(
        records.exporters, records.exporter[at], records.received_us[at], records.src[at], records.dst[at],
        records.octets[at], records.packets[at], records.start_us[at], records.end_us[at],
        records.rate if isinstance(records.rate, int) else records.rate[at],
        None if links is None else (links[0][at], links[1][at], links[2][at], links[3][at]),
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
    larger = np.maximum(records.octets.view(np.uint64), records.packets.view(np.uint64))  # what is negative is huge
    largest_rate = max(records.rate if isinstance(records.rate, int) else int(records.rate.max(initial=1)), 1)
    if larger.max(initial=0) <= MAX_AMOUNT // largest_rate:
        return None
    those: np.ndarray = larger > MAX_AMOUNT // np.maximum(records.rate, 1).astype(np.uint64)
    return those


def scale_up(records: Records) -> np.ndarray | np.uint64:
    """Amounts stand for what was sampled, not for the sample; each record's flags (uint64), or those of all."""
    rate = records.rate
    if isinstance(rate, int):
        if rate > 1:
            records.octets = records.octets * rate
            records.packets = records.packets * rate
        return _RATE_FLAGS.get(rate, _ESTIMATED)
    records.octets = records.octets * np.maximum(rate, 1)
    records.packets = records.packets * np.maximum(rate, 1)
    flags = np.where(rate > 1, _ESTIMATED, np.uint64(0))
    for which in (UNRATED, UNKNOWN_SAMPLER):
        flags[rate == which] = _RATE_FLAGS[which]
    return flags


def cut(records: Records, flags: np.ndarray | np.uint64) -> Pieces:
    """Every record in pieces, each in one slot, that together are the record: by time, largest remainder, ties to the earlier.

    Every slot that a record touches has a piece, of zeros too.
    """
    count = len(records.src)
    first = records.start_us // SLOT_US
    last = np.maximum(records.end_us - 1, records.start_us) // SLOT_US
    crossing = np.flatnonzero(first != last)
    if not len(crossing):
        return Pieces(
            count, records.exporters, records.exporter, records.src, records.dst, records.links, flags,
            first, records.octets, records.packets,
        )
    firsts = [records.octets.copy(), records.packets.copy()]
    counts = last[crossing] - first[crossing]
    later = [_cut_in_two(records, first, firsts, crossing[counts == 1])]
    more = crossing[counts > 1]
    if len(more):
        later.append(_cut_in_more(records, first, firsts, more))
    of = np.concatenate([each.of for each in later])
    links = records.links
    return Pieces(
        count, records.exporters, _extended(records.exporter, of), _extended(records.src, of), _extended(records.dst, of),
        None if links is None else (
            _extended(links[0], of), _extended(links[1], of), _extended(links[2], of), _extended(links[3], of)),
        _extended(flags, of) if isinstance(flags, np.ndarray) else flags,
        np.concatenate([first, *(each.slot for each in later)]),
        np.concatenate([firsts[0], *(each.octets for each in later)]),
        np.concatenate([firsts[1], *(each.packets for each in later)]),
    )


def _extended(column: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.concatenate((column, column.take(of, 0)))


@dataclass(frozen=True, slots=True)
class _Later:
    """Pieces behind the first ones: whose, in which slots, and what was moved."""

    of: np.ndarray
    slot: np.ndarray
    octets: np.ndarray
    packets: np.ndarray


def _cut_in_two(records: Records, first: np.ndarray, firsts: list[np.ndarray], of: np.ndarray) -> _Later:
    """The second pieces of records that touch two slots; what the first ones moved is left in `firsts`."""
    start_us = records.start_us.take(of)
    slot = first.take(of) + 1
    head_us, total_us = slot * SLOT_US - start_us, records.end_us.take(of) - start_us
    seconds = []
    for amounts in firsts:
        whole = amounts.take(of)
        heads, remainders = _share(whole, head_us, total_us)
        heads += 2 * remainders >= total_us  # the larger remainder wins, and of equals the earlier piece
        amounts[of] = heads
        seconds.append(whole - heads)
    return _Later(of, slot, *seconds)


def _cut_in_more(records: Records, first: np.ndarray, firsts: list[np.ndarray], of: np.ndarray) -> _Later:
    """The same for records that touch several slots: all pieces but the first ones."""
    start_us, end_us, slot = records.start_us[of], records.end_us[of], first[of]
    counts = (end_us - 1) // SLOT_US - slot + 1
    begins = np.cumsum(counts) - counts
    which = np.repeat(np.arange(len(of)), counts)
    place = np.arange(len(which)) - begins[which]
    edge_us = (slot[which] + place) * SLOT_US
    length_us = np.minimum(edge_us + SLOT_US, end_us[which]) - np.maximum(edge_us, start_us[which])
    total_us = (end_us - start_us)[which]
    later = np.flatnonzero(place)
    others = []
    for amounts in firsts:
        whole = amounts[of]
        parts, remainders = _share(whole[which], length_us, total_us)
        left = whole - np.add.reduceat(parts, begins)
        # Those with a record's largest remainders, of equals the earlier, get one more, as far as there is left.
        order = np.argsort((which << _REMAINDER_BITS) - remainders, kind="stable")
        parts[order] += place < left[which]
        amounts[of] = parts[begins]
        others.append(parts[later])
    return _Later(of[which[later]], slot[which[later]] + place[later], *others)


def _share(amounts: np.ndarray, length_us: np.ndarray, total_us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quotient and remainder of amount * length / total.

    Exact in 64 bits: a total is below 2**33 µs, a length, which is of one slot, below 2**29.
    """
    if amounts.max(initial=0) < _SMALL:
        return np.divmod(amounts * length_us, total_us)
    over, rest = np.divmod(amounts, total_us)
    quotient, remainder = np.divmod(rest * length_us, total_us)
    return over * length_us + quotient, remainder
