"""The outer layers of a block of datagrams: what each says of itself, and which sets it holds.

All datagrams of a block are read side by side with NumPy, whoever sent them: first their heads, then the first set of each,
the second of each, … so a step is a few calls, however many datagrams there are.
Sources: RFC 3954 section 5 (NetFlow 9), RFC 7011 section 3 (IPFIX), Cisco "NetFlow Services Solutions Guide" (NetFlow 5).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.sources.netflow.layout import anywhere
from weighbridge.sources.netflow.templates import IPFIX, V9

if TYPE_CHECKING:
    from weighbridge.datagrams.block import Datagrams

V5: Final = 5
V5_SET: Final = 65536
"""Stands for the number of a set, where it is the records of a NetFlow 5 datagram: no set of the others has it."""
MAX_SETS: Final = 1_024
"""Sets of one datagram: a jumbo frame holds some 400 that have a record of a flow each."""
V5_RECORD_BYTES: Final = 48

_S: Final = 1_000_000
_MS: Final = 1_000
_HEAD_BYTES: Final = {V5: 24, V9: 20, IPFIX: 16}
_SET_HEAD_BYTES: Final = 4
_VERSION_BYTES: Final = 2
_HEADS: Final = {
    V5: np.dtype({
        "names": ["count", "uptime_ms", "export_s", "export_ns", "sequence", "domain", "sampling"],
        "formats": [">u2", ">u4", ">u4", ">u4", ">u4", ">u2", ">u2"],
        "offsets": [2, 4, 8, 12, 16, 20, 22], "itemsize": _HEAD_BYTES[V5],
    }),
    V9: np.dtype({
        "names": ["uptime_ms", "export_s", "sequence", "domain"], "formats": [">u4"] * 4,
        "offsets": [4, 8, 12, 16], "itemsize": _HEAD_BYTES[V9],
    }),
    IPFIX: np.dtype({
        "names": ["length", "export_s", "sequence", "domain"], "formats": [">u2", ">u4", ">u4", ">u4"],
        "offsets": [2, 4, 8, 12], "itemsize": _HEAD_BYTES[IPFIX],
    }),
}
_V5_INTERVAL: Final = 0x3FFF  # below two bits of mode: RFC-less, but all of Cisco's guides and nfcapd have it so


@dataclass(frozen=True, slots=True)
class Heads:
    """What datagrams say of themselves, as parallel columns of int64. `version` 0: it is none that is known.

    `uptime_ms` -1: not told (IPFIX). `rate`: packets each sampled one stands for as NetFlow 5 tells it, 0: it does not.
    `domain`: observation domain, source id, or type and number of the engine. `records`: what NetFlow 5 holds, else 0.
    `end`: past the last byte that belongs to the message.
    """

    version: np.ndarray
    domain: np.ndarray
    sequence: np.ndarray
    export_us: np.ndarray
    uptime_ms: np.ndarray
    rate: np.ndarray
    records: np.ndarray
    end: np.ndarray


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets in the order in which they came, as parallel columns: whose datagram, their number, and their content's bounds."""

    datagram: np.ndarray
    id: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def only(self, chosen: np.ndarray) -> Sets:
        """Those that a mask or places choose."""
        return Sets(self.datagram[chosen], self.id[chosen], self.start[chosen], self.end[chosen])

    def __len__(self) -> int:
        return len(self.id)


Faults = Counter[tuple[int, str]]
"""(datagram, what) → how many."""


def read_heads(block: Datagrams) -> tuple[Heads, Faults]:
    """The heads of all datagrams; those that cannot be read have version 0 and are counted."""
    count = len(block.starts)
    version, domain, sequence, export_us, rate, records = np.zeros((6, count), np.int64)
    uptime_ms = np.full(count, -1)
    heads = Heads(version, domain, sequence, export_us, uptime_ms, rate, records, block.starts + block.lengths)
    faults: Faults = Counter()
    said = np.zeros(count, np.int64)
    at = np.flatnonzero(block.lengths >= _VERSION_BYTES)
    if len(at):
        said[at] = anywhere(block.octets, ">u2")[block.starts[at]]
    known = np.zeros(count, bool)
    for number, take in _TAKERS.items():
        found = said == number
        if not found.any():
            continue
        known |= found
        is_whole = block.lengths >= _HEAD_BYTES[number]
        at = np.flatnonzero(found & is_whole)
        if len(at):
            take(heads, at, anywhere(block.octets, _HEADS[number])[block.starts[at]], block, faults)
        version[at] = number
        for place in np.flatnonzero(found & ~is_whole).tolist():
            faults[place, "truncated"] += 1
    for place in np.flatnonzero(~known).tolist():
        faults[place, "not_netflow"] += 1
    return heads, faults


def _take_v5(heads: Heads, at: np.ndarray, read: np.ndarray, block: Datagrams, faults: Faults) -> None:
    _take_shared(heads, at, read)
    heads.export_us[at] += read["export_ns"] // np.int64(_MS)
    heads.uptime_ms[at] = read["uptime_ms"]
    heads.rate[at] = read["sampling"] & _V5_INTERVAL
    told = read["count"].astype(np.int64)
    whole = (block.lengths[at] - _HEAD_BYTES[V5]) // V5_RECORD_BYTES
    heads.records[at] = np.minimum(told, whole)
    for place in at[told > whole].tolist():
        faults[place, "truncated"] += 1


def _take_v9(heads: Heads, at: np.ndarray, read: np.ndarray, _: Datagrams, __: Faults) -> None:
    _take_shared(heads, at, read)
    heads.uptime_ms[at] = read["uptime_ms"]


def _take_ipfix(heads: Heads, at: np.ndarray, read: np.ndarray, block: Datagrams, faults: Faults) -> None:
    _take_shared(heads, at, read)
    told = read["length"].astype(np.int64)
    heads.end[at] = block.starts[at] + np.minimum(told, block.lengths[at])
    for place in at[told > block.lengths[at]].tolist():
        faults[place, "truncated"] += 1
    for place in at[told < block.lengths[at]].tolist():
        faults[place, "trailing_bytes"] += 1


def _take_shared(heads: Heads, at: np.ndarray, read: np.ndarray) -> None:
    heads.domain[at] = read["domain"]
    heads.sequence[at] = read["sequence"]
    heads.export_us[at] = read["export_s"].astype(np.int64) * _S


_TAKERS: Final = {V5: _take_v5, V9: _take_v9, IPFIX: _take_ipfix}


def find_sets(block: Datagrams, heads: Heads, faults: Faults) -> Sets:
    """All sets of all datagrams, in their order. One that claims more than is there ends with its datagram, counted."""
    found = [_v5_sets(block, heads)]
    live = np.flatnonzero((heads.version == V9) | (heads.version == IPFIX))
    at = block.starts[live] + np.where(heads.version[live] == V9, _HEAD_BYTES[V9], _HEAD_BYTES[IPFIX])
    words = anywhere(block.octets, ">u2")
    for _ in range(MAX_SETS):
        chosen = heads.end[live] - at >= _SET_HEAD_BYTES
        live, at = live[chosen], at[chosen]
        if not len(live):
            break
        set_id, told = words[at].astype(np.int64), words[at + 2].astype(np.int64)
        is_bad = told < _SET_HEAD_BYTES
        if is_bad.any():
            _tell_bad(block, heads, faults, live[is_bad], at[is_bad])
            live, at, set_id, told = live[~is_bad], at[~is_bad], set_id[~is_bad], told[~is_bad]
        end = np.minimum(at + told, heads.end[live])
        is_cut = end < at + told
        if is_cut.any():
            for place in live[is_cut].tolist():
                faults[place, "truncated"] = 1  # once a datagram, also where the head said so
        found.append(Sets(live, set_id, at + _SET_HEAD_BYTES, end))
        at = end
    else:
        for place in live[heads.end[live] - at >= _SET_HEAD_BYTES].tolist():
            faults[place, "too_many_sets"] += 1
    return _in_order(found)


def _v5_sets(block: Datagrams, heads: Heads) -> Sets:
    at = np.flatnonzero(heads.records)
    start = block.starts[at] + _HEAD_BYTES[V5]
    return Sets(at, np.full(len(at), V5_SET), start, start + heads.records[at] * V5_RECORD_BYTES)


def _tell_bad(block: Datagrams, heads: Heads, faults: Faults, datagrams: np.ndarray, at: np.ndarray) -> None:
    """Counts what is left of datagrams whose next set has no sensible length, unless it is all padding."""
    for place, start in zip(datagrams.tolist(), at.tolist(), strict=True):
        if block.octets[start : heads.end[place]].any():
            faults[place, "malformed_sets"] += 1


def _in_order(found: list[Sets]) -> Sets:
    if len(found) == 2 and not len(found[0]):  # noqa: PLR2004  the common case: one set each
        return found[1]
    joined = Sets(*(np.concatenate([getattr(each, name) for each in found]) for name in ("datagram", "id", "start", "end")))
    return joined.only(np.argsort(joined.datagram, kind="stable"))
