"""What the kernel says of this machine's interfaces, and which counter each of its figures belongs to.

Source: proc(5), /proc/net/dev; Documentation/ABI/testing/sysfs-class-net of the Linux kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COUNTER_BITS: Final = 64
"""The kernel's own width on every 64-bit machine."""
_SENT = 8  # column of bytes sent in /proc/net/dev, after the name


class Interface(msgspec.Struct, frozen=True):
    """An interface as polled. `index` is unique within one boot, also over renames; a re-made interface has a new one.

    `is_virtual`: no device is behind it.
    """

    name: str
    index: int
    bytes_received: int
    bytes_sent: int
    line_rate_bps: int | None = None
    is_virtual: bool = False


class Known(msgspec.Struct, frozen=True):
    """What is remembered of a counter between polls and restarts: whose it was, when it was read, when it began."""

    index: int
    boot_id: str
    read_at_us: int
    since_us: int | None = None
    name: str = ""


class Look(msgspec.Struct, frozen=True):
    """What is remembered of the last poll: when it was, in which boot, and the highest index of all interfaces there."""

    at_us: int
    boot_id: str
    highest: int


@dataclass(frozen=True, slots=True)
class Now:
    """When a poll is, and when the machine booted (None: unknown)."""

    at_us: int
    boot_id: str
    boot_s: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """An interface's figures under the counter that they belong to. `since_us`: when it began, where that is known.

    `is_whole`: it is new, so that also a first reading counts since then.
    """

    counter: str
    interface: Interface
    since_us: int | None
    is_whole: bool = False


def parse_net_dev(text: str) -> dict[str, tuple[int, int]]:
    """Bytes received and sent by interface name. Lines that are none of interfaces are passed over."""
    found = {}
    for line in text.splitlines():
        name, colon, figures = line.rpartition(":")
        fields = figures.split()
        if colon and len(fields) > _SENT and fields[0].isdecimal() and fields[_SENT].isdecimal():
            found[name.strip()] = (int(fields[0]), int(fields[_SENT]))
    return found


def assign(
    interfaces: list[Interface], known: Mapping[str, Known], last: Look | None, now: Now
) -> tuple[list[Seen], dict[str, Known]]:
    """Which counter each interface's figures belong to, and what to remember for the next poll.

    A renamed interface keeps its counter: within one boot the index tells. A counter whose interface was made anew, or
    whose machine rebooted, began after it was read last: that moment becomes its `since`, so that what it shows counts
    whole, once (law 11). What was never read before has no `since`: its first reading bills nothing (law 8). Unless it is
    a virtual interface (a container's) that was not there at the last poll; one with a device may have been in another
    network namespace, with all its figures.
    """
    by_index = {entry.index: counter for counter, entry in known.items() if entry.boot_id == now.boot_id}
    taken = {by_index[interface.index] for interface in interfaces if interface.index in by_index}
    by_name = {entry.name: counter for counter, entry in known.items() if counter not in taken}
    seen = []
    kept = dict(known)
    for interface in interfaces:
        counter = by_index.get(interface.index) or by_name.get(interface.name)
        entry = None if counter is None else known[counter]
        since_us = _made_us(interface, last, now) if entry is None else _since(entry, interface, now)
        if counter is None:
            counter = interface.name if interface.name not in kept else f"{interface.name}#{interface.index}"
            if since_us is None and last is not None:  # under its plain name it may have been metered long ago
                counter = f"{interface.name}@{now.at_us // 1_000_000}"
        seen.append(Seen(counter, interface, since_us, is_whole=entry is None and since_us is not None))
        kept[counter] = Known(interface.index, now.boot_id, now.at_us, since_us, interface.name)
    return seen, kept


def without_left(
    known: Mapping[str, Known], metered: Iterable[Interface], left: Iterable[Interface], boot_id: str
) -> dict[str, Known]:
    """The same without the counters of interfaces that are there, but are not metered by this any more (`left`).

    Metered again, what went through them meanwhile must not count, for it may have counted elsewhere.
    """
    own = {interface.index for interface in metered}
    indexes = {interface.index for interface in left}
    names = {interface.name for interface in left}

    def is_left(entry: Known) -> bool:
        is_this_boot = entry.boot_id == boot_id
        if is_this_boot and entry.index in own:
            return False
        return entry.name in names or (is_this_boot and entry.index in indexes)

    return {counter: entry for counter, entry in known.items() if not is_left(entry)}


def _since(last: Known, interface: Interface, now: Now) -> int | None:
    if last.boot_id != now.boot_id:
        return _after_boot(last.read_at_us, now)
    if last.index != interface.index:
        return last.read_at_us + 1
    return last.since_us


def _made_us(interface: Interface, last: Look | None, now: Now) -> int | None:
    """When an interface that was never read was made, at the earliest; None: nobody knows."""
    if last is None or not interface.is_virtual:
        return None
    if last.boot_id != now.boot_id:
        return _after_boot(last.at_us, now)
    return last.at_us + 1 if interface.index > last.highest else None


def _after_boot(read_at_us: int, now: Now) -> int:
    """A moment after both. The clock may have stepped over the reboot: a boot before the last reading proves nothing."""
    booted_us = 0 if now.boot_s is None else now.boot_s * 1_000_000
    return max(booted_us, read_at_us + 1)
