"""The packets of flow samples as columns: whose they are, by address, MAC and VLAN, and how long.

A packet's length is that of its IP datagram, as routers tell it in NetFlow, wherever a sample lets it be known: frame
lengths differ between agents (with the frame check sequence or without), and no invoice should depend on that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.sources.sflow.walk import records_of

if TYPE_CHECKING:
    from weighbridge.sources.sflow.walk import Pieces

_HEADER, _ETHERNET, _IPV4, _IPV6, _SWITCH = 1, 2, 3, 4, 1001  # formats of records: enterprise 0
_BY_ETHERNET, _BY_IPV4, _BY_IPV6 = 1, 11, 12  # protocols of a sampled header
_TYPE_IPV4, _TYPE_IPV6 = 0x0800, 0x86DD
_TAGS: Final = (0x8100, 0x88A8, 0x9100)
"""Types of VLAN tags: 802.1Q, 802.1ad, and the number that was used before it."""
MAX_TAGS: Final = 2
_MAX_VLAN: Final = 4095
_SHORTEST: Final = {_HEADER: 4, _ETHERNET: 6, _IPV4: 8, _IPV6: 14, _SWITCH: 4}  # words of a record that says it all


@dataclass(frozen=True, slots=True)
class Ports:
    """Of each sample: rate, the port that sampled, and the ports that the packet came in and goes out by.

    Ports are ifIndexes; NO_PORT where it is none or nobody knows. `is_dropped`: the agent did not forward it.
    """

    rate: np.ndarray
    source: np.ndarray
    inward: np.ndarray
    outward: np.ndarray
    is_dropped: np.ndarray


NO_PORT: Final = 0x3FFFFFFF
"""sFlow's own word for packets that begin or end in the agent itself."""
_DROPPED: Final = 1  # format of an output port


@dataclass(slots=True)
class Packets:
    """Of each sample, by its place: family 4, 6 or 0 (none known), addresses as two uint64, IP length, MACs and VLANs."""

    family: np.ndarray
    src: np.ndarray  # (n, 2)
    dst: np.ndarray
    length: np.ndarray
    src_mac: np.ndarray
    dst_mac: np.ndarray
    src_vlan: np.ndarray
    dst_vlan: np.ndarray
    cut: np.ndarray  # places of samples of which a part is missing


def read_ports(words: np.ndarray, samples: Pieces) -> Ports:
    """Rates and ports of flow samples; those that are too short for them have a rate of 0 and no ports."""
    expanded = samples.format > 2  # noqa: PLR2004  format 3
    whole = samples.start + np.where(expanded, 11, 8) <= samples.end
    at = np.where(whole, samples.start, 0)
    shift = expanded.astype(np.int64)

    def word(plain: int, wide: int) -> np.ndarray:
        return words[np.where(whole, at + np.where(expanded, wide, plain), 0)].astype(np.int64)

    source, inward, outward = word(1, 2), word(5, 7), word(6, 9)
    out_format = np.where(expanded, word(6, 8), outward >> 30)
    in_format = np.where(expanded, word(5, 6), inward >> 30)
    source_type = np.where(expanded, word(1, 1), source >> 24)
    return Ports(
        rate=np.where(whole, words[np.where(whole, at + 2 + shift, 0)].astype(np.int64), 0),
        source=np.where(whole & (source_type == 0), np.where(expanded, source, source & 0xFFFFFF), NO_PORT),
        inward=np.where(whole & (in_format == 0), np.where(expanded, inward, inward & NO_PORT), NO_PORT),
        outward=np.where(whole & (out_format == 0), np.where(expanded, outward, outward & NO_PORT), NO_PORT),
        is_dropped=whole & (out_format == _DROPPED),
    )


def read_packets(octets: np.ndarray, words: np.ndarray, samples: Pieces) -> Packets:
    """What the records of each flow sample tell of its packet: the decoded ones first, then what the raw header adds."""
    records, cut = records_of(words, samples)
    n = len(samples)
    packets = Packets(
        family=np.zeros(n, dtype=np.uint8),
        src=np.zeros((n, 2), dtype=np.uint64),
        dst=np.zeros((n, 2), dtype=np.uint64),
        length=np.zeros(n, dtype=np.int64),
        src_mac=np.zeros(n, dtype=np.uint64),
        dst_mac=np.zeros(n, dtype=np.uint64),
        src_vlan=np.zeros(n, dtype=np.uint16),
        dst_vlan=np.zeros(n, dtype=np.uint16),
        cut=cut,
    )
    _take_header(packets, octets, words, _whole(records, _HEADER))
    _take_ipv4(packets, words, _whole(records, _IPV4))
    _take_ipv6(packets, words, _whole(records, _IPV6))
    _take_ethernet(packets, octets, _whole(records, _ETHERNET))
    _take_switch(packets, words, _whole(records, _SWITCH))
    return packets


def _whole(records: Pieces, kind: int) -> Pieces:
    return records.only((records.format == kind) & (records.start + _SHORTEST[kind] <= records.end))


@dataclass(slots=True)
class _Headers:
    """Raw headers of packets as far as they are read: what stands at byte `at` is of type `kind` and ends before `past`.

    `rest`: bytes of the frame from `at` on, as the agent says.
    """

    owner: np.ndarray
    kind: np.ndarray
    at: np.ndarray
    past: np.ndarray
    rest: np.ndarray

    def move(self, which: np.ndarray, by: int, kind: np.ndarray) -> None:
        """Some of them go on behind `by` bytes, where a `kind` stands."""
        self.at[which] += by
        self.rest[which] -= by
        self.kind[which] = kind


def _take_header(packets: Packets, octets: np.ndarray, words: np.ndarray, records: Pieces) -> None:
    protocol = words[records.start]
    at = (records.start + 4) * 4
    headers = _Headers(
        owner=records.owner,
        kind=np.where(protocol == _BY_IPV4, _TYPE_IPV4, np.where(protocol == _BY_IPV6, _TYPE_IPV6, 0)),
        at=at,
        past=np.minimum(at + words[records.start + 3].astype(np.int64), records.end * 4),
        rest=words[records.start + 1].astype(np.int64),
    )
    framed = np.flatnonzero((protocol == _BY_ETHERNET) & (at + 14 <= headers.past))
    own, begin = records.owner[framed], at[framed]
    packets.dst_mac[own] = _number(octets, begin, 6)
    packets.src_mac[own] = _number(octets, begin + 6, 6)
    headers.move(framed, 14, _number(octets, begin + 12, 2))
    _skip_tags(packets, octets, headers)
    _take_ip(packets, octets, headers)


def _skip_tags(packets: Packets, octets: np.ndarray, headers: _Headers) -> None:
    """Headers go on behind their VLAN tags; the outermost VLAN is both ends', for all that the frame itself tells."""
    for depth in range(MAX_TAGS):
        tagged = np.flatnonzero(np.isin(headers.kind, _TAGS) & (headers.at + 4 <= headers.past))
        if not len(tagged):
            return
        begin = headers.at[tagged]
        if depth == 0:
            vlan = (_number(octets, begin, 2) & np.uint64(_MAX_VLAN)).astype(np.uint16)
            packets.src_vlan[headers.owner[tagged]] = vlan
            packets.dst_vlan[headers.owner[tagged]] = vlan
        headers.move(tagged, 4, _number(octets, begin + 2, 2))


def _take_ip(packets: Packets, octets: np.ndarray, headers: _Headers) -> None:
    """Addresses and lengths of IP headers that are there in full."""
    kind, at, past = headers.kind, headers.at, headers.past
    version = np.zeros(len(at), dtype=np.uint8)
    inside = at < past
    version[inside] = octets[at[inside]] >> 4
    four = np.flatnonzero((kind == _TYPE_IPV4) & (version == 4) & (at + 20 <= past))  # noqa: PLR2004  RFC 791
    own, begin = headers.owner[four], at[four]
    packets.family[own] = 4
    packets.src[own, 1] = _number(octets, begin + 12, 4)
    packets.dst[own, 1] = _number(octets, begin + 16, 4)
    packets.length[own] = _told_or(_number(octets, begin + 2, 2), 0, headers.rest[four])
    six = np.flatnonzero((kind == _TYPE_IPV6) & (version == 6) & (at + 40 <= past))  # noqa: PLR2004  RFC 8200
    own, begin = headers.owner[six], at[six]
    packets.family[own] = 6
    for half in (0, 1):
        packets.src[own, half] = _number(octets, begin + 8 + 8 * half, 8)
        packets.dst[own, half] = _number(octets, begin + 24 + 8 * half, 8)
    packets.length[own] = _told_or(_number(octets, begin + 4, 2), 40, headers.rest[six])


def _told_or(told: np.ndarray, header: int, rest: np.ndarray) -> np.ndarray:
    """The length that an IP header tells; where it is 0 (left to the sender's hardware), what the agent says is there."""
    lengths: np.ndarray = np.where(told == 0, np.maximum(rest, 0), told.astype(np.int64) + header)
    return lengths


def _take_ipv4(packets: Packets, words: np.ndarray, records: Pieces) -> None:
    records = records.only(packets.family[records.owner] == 0)
    own, at = records.owner, records.start
    packets.family[own] = 4
    packets.length[own] = words[at]
    packets.src[own, 1] = words[at + 2]
    packets.dst[own, 1] = words[at + 3]


def _take_ipv6(packets: Packets, words: np.ndarray, records: Pieces) -> None:
    records = records.only(packets.family[records.owner] == 0)
    own, at = records.owner, records.start
    packets.family[own] = 6
    packets.length[own] = words[at]
    for half in (0, 1):
        packets.src[own, half] = _double(words, at + 2 + 2 * half)
        packets.dst[own, half] = _double(words, at + 6 + 2 * half)


def _take_ethernet(packets: Packets, octets: np.ndarray, records: Pieces) -> None:
    own, at = records.owner, records.start * 4
    packets.src_mac[own] = _number(octets, at + 4, 6)
    packets.dst_mac[own] = _number(octets, at + 12, 6)


def _take_switch(packets: Packets, words: np.ndarray, records: Pieces) -> None:
    for column, place in ((packets.src_vlan, 0), (packets.dst_vlan, 2)):
        vlan = words[records.start + place].astype(np.int64)
        column[records.owner] = np.where(vlan < _MAX_VLAN, vlan, 0).astype(np.uint16)


def _double(words: np.ndarray, at: np.ndarray) -> np.ndarray:
    numbers: np.ndarray = words[at].astype(np.uint64) << np.uint64(32) | words[at + 1].astype(np.uint64)
    return numbers


def _number(octets: np.ndarray, at: np.ndarray, size: int) -> np.ndarray:
    """Big-endian numbers of `size` bytes at these places, as uint64."""
    numbers: np.ndarray = octets[at].astype(np.uint64)
    for place in range(1, size):
        numbers = numbers << np.uint64(8) | octets[at + place].astype(np.uint64)
    return numbers
