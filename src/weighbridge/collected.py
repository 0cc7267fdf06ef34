"""What collectors bring in: counters of things out in the network as read, and sums of flows by address.

A collector knows a protocol, not the catalog: it says what it saw, the server finds whose it is. So the same collector
runs inside the server and on another host, where what it collected waits in a journal of its own (weighbridge/spool/).
Units: instants `_us` are microseconds since the Unix epoch, UTC; amounts are bytes, packets and flows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ThingKind(StrEnum):
    """What kind of thing a counter is of."""

    INTERFACE = "interface"  # a device's port: `device` as the settings (SNMP) or the catalog (exporter id) name it, ifName
    HOST = "host"            # a machine's own interfaces: `device` is the server's id
    TUNNEL = "tunnel"        # of a VPN instance: `device` is its UUID, `name` a WireGuard public key or an OpenVPN name


class Thing(msgspec.Struct, frozen=True, gc=False):
    """What a counter is of. An empty `name` of a tunnel means the instance itself."""

    kind: ThingKind
    device: str
    name: str = ""


class CounterReading(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Totals of a counter as read at `at_us`, as the interface or tunnel end itself sees in and out.

    `counter` tells counters of one thing apart that exist at the same time (a host's interfaces, sessions of one name).
    `since_us`: when it began at zero, where that is known (law 11). `is_whole`: where nobody has read this counter before
    it counts whole since `since_us`, for it is known to be new; otherwise a first reading bills nothing (law 8).
    A total of None was not read. `line_rate_bps` None: unknown.
    """

    thing: Thing
    at_us: int
    bytes_in: int | None
    bytes_out: int | None
    counter: str = ""
    bits: int = 64
    since_us: int | None = None
    line_rate_bps: int | None = None
    is_whole: bool = False


class FlowFlag(IntFlag):
    """`flags` of a flow sum; rows that differ in them are never added together."""

    ESTIMATED = 1        # scaled up from a sample; amounts are multiplied already (law 21)
    UNRATED = 2          # nobody told a sampling rate: the exporter's setting applies, else 1
    UNKNOWN_SAMPLER = 4  # a sampler was named whose rate nobody told: the exporter's setting applies, else it is refused
    LONELY = 8           # neither end was known to the collector: unattributed, unless the server knows this address
    SENDER = 16          # of a lonely flow: this row is its source's, so that it counts once in an exporter's total
    BLIND = 32           # of a lonely flow: nobody had told the collector what to know, so the other end may be known


FLOW_SUM = np.dtype([
    ("slot", "<i4"),     # number of the 5-minute slot since the epoch: seconds // 300
    ("hi", "<u8"),       # the address as an IPv6 address; IPv4 is mapped: ::ffff:192.0.2.1
    ("lo", "<u8"),
    ("mac", "<u8"),      # 48 bits; 0: none told
    ("vlan", "<u2"),     # 0: none told
    ("flags", "u1"),     # FlowFlag
    ("bytes_in", "<i8"),   # what the address received
    ("bytes_out", "<i8"),  # what it sent
    ("packets", "<i8"),    # both ways
    ("flows", "<i8"),      # records; each in the first of its slots
])
"""What one address (MAC, VLAN) moved in one slot, as one exporter saw it. Several rows may speak of the same; they add up."""

MAPPED_HI = 0
MAPPED_LO = 0xFFFF << 32
"""The upper part of an IPv4 address that is mapped into IPv6: lo = MAPPED_LO | address."""


@dataclass(frozen=True, slots=True)
class FlowSums:
    """Sums of the flows of one exporter, known by its address as text. `rows`: dtype FLOW_SUM, in any order."""

    exporter: str
    rows: np.ndarray


class Fate(IntEnum):
    """Whose a flow sum was when the server took it, or when attribution was last worked out anew."""

    UNATTRIBUTED = 0  # nobody's, as far as the sender reaches
    ATTRIBUTED = 1    # counted for the thing that was known by it in its slot
    ELSEWHERE = 2     # a thing's whose one metering point is another exporter (law 22)
    BESIDE = 3        # nobody's, kept for later (model.Exporter.networks): the other ends of its flows are counted


KEPT_SUM = np.dtype([*FLOW_SUM.descr, ("fate", "u1")])
"""A flow sum as the server keeps it: amounts multiplied, UNRATED and UNKNOWN_SAMPLER gone from the flags, and its Fate."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collector brings in at once; kept as a whole or not at all.

    `counts`: what happened on the way since the Collected before, by (exporter or device, what): datagrams, records,
    refused for each reason. Words in snake_case, a small fixed set for each source; they become metrics.
    """

    source: str
    readings: Sequence[CounterReading] = ()
    flows: Sequence[FlowSums] = ()
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Sink(Protocol):
    """Where a collector puts what it has: the server's intake, or the spool of an agent."""

    def __call__(self, collected: Collected) -> None:
        """All of it is durable. BusyError, StorageError: nothing of it is; the collector may try again with the same."""


class Collector(Protocol):
    """A source that brings in by itself. One object a source, for all its tables in the settings."""

    def run(self, stop: Stop) -> None:
        """Works until `stop` is set, then hands in what it has and returns within a second or two.

        What goes wrong with one device or datagram is logged, counted and passed over; OSError: it cannot even begin.
        """


class Stop(Protocol):
    """A threading.Event, as far as collectors need it."""

    def is_set(self) -> bool:
        """Whether it is time to end."""

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps so many seconds, or until it is time to end; whether it is."""
