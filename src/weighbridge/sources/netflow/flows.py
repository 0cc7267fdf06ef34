"""Records of flows as columns: whatever elements an exporter chose, what the meter needs of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from weighbridge.measurement import MAX_AMOUNT
from weighbridge.sources.netflow.elements import CHOICES, TIMES
from weighbridge.sources.netflow.streams import MAX_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from weighbridge.sources.netflow.layout import Layout

DROPPED: Final = (128, 192)
"""From, until: what forwardingStatus says of packets that were delivered to nobody (IANA, element 89)."""
EGRESS: Final = 1
"""What flowDirection says of packets that were metered on their way out (IANA, element 61)."""
IPV6: Final = 6
UPTIMES: Final = ("start_uptime_ms", "end_uptime_ms")
"""Elements that tell a time in milliseconds since the exporter booted."""

_NTP_EPOCH_S: Final = 2_208_988_800  # from 1900 to 1970
_HALF_MS: Final = 2**31
_ERA_S: Final = 2**32  # after which NTP's seconds begin anew: in 2036


@dataclass(slots=True)
class Flows:
    """Records as parallel columns; None: not told by this template. `rate`, int64: told by the record itself, 0: not.

    `is_six`: which records have IPv6 addresses, where both kinds have a place in them.
    """

    octets: np.ndarray
    packets: np.ndarray
    src4: np.ndarray | None = None
    dst4: np.ndarray | None = None
    src6: np.ndarray | None = None
    dst6: np.ndarray | None = None
    is_six: np.ndarray | None = None
    start_us: np.ndarray | None = None
    end_us: np.ndarray | None = None
    rate: np.ndarray | None = None
    sampler: np.ndarray | None = None
    port_in: np.ndarray | None = None
    port_out: np.ndarray | None = None
    direction: np.ndarray | None = None
    src_mac: np.ndarray | None = None
    dst_mac: np.ndarray | None = None
    src_vlan: np.ndarray | None = None
    dst_vlan: np.ndarray | None = None
    reverse_octets: np.ndarray | None = None
    reverse_packets: np.ndarray | None = None

    def only(self, chosen: np.ndarray | slice) -> Flows:
        """Those that a mask, places or a slice choose."""
        columns = (getattr(self, each.name) for each in fields(self))
        return Flows(*(None if column is None else column[chosen] for column in columns))  # type: ignore[arg-type]

    def without(self, columns: Iterable[str]) -> Flows:
        """The same, but these columns are not told."""
        nothing: dict[str, Any] = dict.fromkeys(columns)
        return replace(self, **nothing)

    def reversed(self) -> Flows:
        """The other direction of those of which something moved in it (RFC 5103): one more flow each."""
        octets = np.zeros(len(self), np.int64) if self.reverse_octets is None else self.reverse_octets
        back = self.only(octets > 0)
        packets = np.zeros(len(back), np.int64) if back.reverse_packets is None else back.reverse_packets
        return Flows(
            octets[octets > 0], packets,
            back.dst4, back.src4, back.dst6, back.src6, back.is_six, back.start_us, back.end_us, back.rate, back.sampler,
            back.port_in, back.port_out, back.direction, back.dst_mac, back.src_mac, back.dst_vlan, back.src_vlan,
        )

    def __len__(self) -> int:
        return len(self.octets)


@dataclass(frozen=True, slots=True)
class Moments:
    """When sets were sent, and the exporter's uptime then. `counts`: how many records each holds; None: one each."""

    export_us: np.ndarray
    uptime_ms: np.ndarray
    counts: np.ndarray | None

    def repeated(self, values: np.ndarray) -> np.ndarray:
        """A value of each set, for each of its records."""
        return values if self.counts is None else np.repeat(values, self.counts)


def lacks(layout: Layout) -> str | None:
    """The word that counts records of this layout, if nothing can be metered by them."""
    if not any(name in layout.names for name in CHOICES["octets"]):
        return "records_without_bytes"
    ends = {"src4", "dst4", "src6", "dst6", "src_mac", "src_mac_out", "dst_mac", "dst_mac_out"}
    vlans = {*CHOICES["src_vlan"], *CHOICES["dst_vlan"]}
    return None if (ends | vlans) & set(layout.names) else "records_without_address"


def timed_by_uptime(layout: Layout) -> tuple[str, ...]:
    """Columns of times that are told only relative to a boot which the records do not tell."""
    if "boot_ms" in layout.names:
        return ()
    columns = zip(("start_us", "end_us"), _time_names(layout.names), strict=True)
    return tuple(column for column, name in columns if name in UPTIMES)


def read_flows(layout: Layout, records: np.ndarray, moments: Callable[[], Moments]) -> Flows:
    """The columns of records. `moments` is asked only where times are told relative to something."""
    names = frozenset(layout.names)

    def chosen(what: str) -> np.ndarray | None:
        return _first(records, [name for name in CHOICES[what] if name in names])

    def number(name: str) -> np.ndarray | None:
        return read_number(records[name]) if name in names else None

    octets, packets = chosen("octets"), chosen("packets")
    told = rates_told(records, names)
    src4, dst4 = (_address4(records, names, name) for name in ("src4", "dst4"))
    src6, dst6 = (_address6(records, names, name) for name in ("src6", "dst6"))
    start_us, end_us = _times(records, names, moments)
    src_vlan, dst_vlan = _apart(chosen("src_vlan"), chosen("dst_vlan"))
    return Flows(
        np.zeros(len(records), np.int64) if octets is None else octets,
        np.zeros(len(records), np.int64) if packets is None else packets,
        src4, dst4, src6, dst6, _is_six(src4, (src6, dst6), number("ip_version")), start_us, end_us, told,
        chosen("sampler"), number("port_in"), number("port_out"), number("direction"),
        _unsigned(chosen("src_mac"), np.uint64), _unsigned(chosen("dst_mac"), np.uint64),
        _unsigned(src_vlan, np.uint16), _unsigned(dst_vlan, np.uint16),
        chosen("reverse_octets"), chosen("reverse_packets"),
    )


def read_number(column: np.ndarray) -> np.ndarray:
    """A field as int64; from 2^63 on, which no sane exporter sends, negative."""
    if column.ndim == 1:
        return column.astype(np.int64)
    found = np.zeros(len(column), np.int64)
    for place in range(column.shape[1]):
        found = (found << 8) | column[:, place]
    return found


def rates_told(records: np.ndarray, names: frozenset[str]) -> np.ndarray | None:
    """What records say of their own sampling, packets each one stands for; 0: nothing. None: none of them can."""
    found: np.ndarray | None = None
    for rate in _rates(records, names):
        sane = np.where((rate < 0) | (rate > MAX_RATE), 0, rate)
        found = sane if found is None else np.where(found > 0, found, sane)
    return found


def _rates(records: np.ndarray, names: frozenset[str]) -> Iterable[np.ndarray]:
    for name in ("sampling_interval", "random_interval"):
        if name in names:
            yield read_number(records[name])
    if {"sampled_packets", "skipped_packets"} <= names:  # so many in a row, then so many not: RFC 5475, section 5.1
        some = read_number(records["sampled_packets"])
        yield _rounded(some + read_number(records["skipped_packets"]), some)
    if {"sampled_of", "population"} <= names:
        yield _rounded(read_number(records["population"]), read_number(records["sampled_of"]))


def _rounded(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The nearest whole number; 0 where nothing was told."""
    told = np.maximum(part, 1)
    return np.where(part > 0, (whole + told // 2) // told, 0)


def is_absurd(flows: Flows) -> np.ndarray:
    """Which records claim amounts that nothing can have moved."""
    amounts = (flows.octets, flows.packets, flows.reverse_octets, flows.reverse_packets)
    found = np.zeros(len(flows), bool)
    for each in amounts:
        if each is not None and int(each.view(np.uint64).max(initial=0)) > MAX_AMOUNT:
            found |= each.view(np.uint64) > MAX_AMOUNT
    return found


def was_dropped(layout: Layout, records: np.ndarray) -> np.ndarray | None:
    """Which records are of packets that were not forwarded; None: the template does not tell."""
    if "forwarding" not in layout.names:
        return None
    status = read_number(records["forwarding"])
    return (status >= DROPPED[0]) & (status < DROPPED[1])


def _first(records: np.ndarray, names: list[str]) -> np.ndarray | None:
    """The first of several elements that is not zero, record by record."""
    if not names:
        return None
    found = read_number(records[names[0]])
    for name in names[1:]:
        found = np.where(found == 0, read_number(records[name]), found)
    return found


def _unsigned(column: np.ndarray | None, kind: type[np.unsignedinteger]) -> np.ndarray | None:
    return None if column is None or not column.any() else column.astype(kind)  # a column of zeros tells nothing


def _apart(src: np.ndarray | None, dst: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """VLANs where they tell the ends apart: within one VLAN both ends are in it, and nobody knows which is the customer."""
    if src is None or dst is None:
        return src, dst
    differ = src != dst
    return src * differ, dst * differ


def _address4(records: np.ndarray, names: frozenset[str], name: str) -> np.ndarray | None:
    if name in names:
        return records[name].astype(np.uint32)
    return np.zeros(len(records), np.uint32) if {"src4", "dst4"} & names else None


def _address6(records: np.ndarray, names: frozenset[str], name: str) -> np.ndarray | None:
    if name in names:
        return records[name].astype(np.uint64)
    return np.zeros((len(records), 2), np.uint64) if {"src6", "dst6"} & names else None


def _is_six(
    four: np.ndarray | None, six: tuple[np.ndarray | None, np.ndarray | None], version: np.ndarray | None
) -> np.ndarray | None:
    if four is None or six[0] is None or six[1] is None:
        return None
    told: np.ndarray = (six[0] != 0).any(axis=1) | (six[1] != 0).any(axis=1)
    return told if version is None else np.where(version > 0, version == IPV6, told)


def _time_names(names: Collection[str]) -> tuple[str | None, str | None]:
    start, end = (next((name for name in TIMES[which] if name in names), None) for which in ("start", "end"))
    return start, end


def _times(
    records: np.ndarray, names: frozenset[str], moments: Callable[[], Moments]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    start, end = _time_names(names)
    relative = {"start_ago_us", "start_uptime_ms", "end_ago_us", "end_uptime_ms"} & {start, end}
    sent = moments() if relative else None
    if sent is not None and "boot_ms" in names:
        export_us = sent.repeated(sent.export_us)
        sent = Moments(export_us, export_us // 1_000 - read_number(records["boot_ms"]), None)
    return _moment(records, start, sent), _moment(records, end, sent)


def _moment(records: np.ndarray, name: str | None, sent: Moments | None) -> np.ndarray | None:
    if name is None:
        return None
    told = read_number(records[name])
    unit = name.partition("_")[2]
    if sent is not None and unit == "ago_us":
        told = sent.repeated(sent.export_us) - told
    elif sent is not None and unit == "uptime_ms":
        told = _from_uptime(told, sent)
    elif unit in ("ntp_us", "ntp_ns"):
        told = _from_ntp(told.view(np.uint64))
    else:
        told *= 1_000_000 if unit == "s" else 1_000
    return told


def _from_uptime(told: np.ndarray, sent: Moments) -> np.ndarray:
    """Uptime is 32 bits that wrap after 49.7 days; what is nearest is meant, before or after what the head says."""
    if not len(told):
        return told
    uptime_ms = sent.uptime_ms
    if int(told.max() - uptime_ms.min()) < _HALF_MS and int(uptime_ms.max() - told.min()) < _HALF_MS:  # nothing wrapped
        at_us: np.ndarray = told * 1_000
        at_us += sent.repeated(sent.export_us - uptime_ms * 1_000)
        return at_us
    ago_ms = (sent.repeated(uptime_ms) - told).astype(np.uint32).view(np.int32)
    at_us = ago_ms.astype(np.int64) * -1_000
    at_us += sent.repeated(sent.export_us)
    return at_us


def _from_ntp(told: np.ndarray) -> np.ndarray:
    """NTP's 64 bits, seconds since 1900 and a fraction, as RFC 7011 has it for elements 154 to 157."""
    seconds = (told >> np.uint64(32)).astype(np.int64)
    fraction_us = ((told & np.uint64(0xFFFFFFFF)) * np.uint64(1_000_000)) >> np.uint64(32)
    seconds -= np.where(seconds >= _NTP_EPOCH_S, _NTP_EPOCH_S, _NTP_EPOCH_S - _ERA_S)
    return seconds * 1_000_000 + fraction_us.astype(np.int64)
