"""What the kernel says of this machine's interfaces, and which counter each of its figures belongs to.

Source: proc(5), /proc/net/dev; Documentation/ABI/testing/sysfs-class-net of the Linux kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

COUNTER_BITS: Final = 64
"""The kernel's own width on every 64-bit machine."""
_SENT = 8  # column of bytes sent in /proc/net/dev, after the name


class Interface(msgspec.Struct, frozen=True):
    """An interface as polled. `index` is unique within one boot, also over renames; a re-made interface has a new one."""

    name: str
    index: int
    bytes_received: int
    bytes_sent: int
    line_rate_bps: int | None = None


class Known(msgspec.Struct, frozen=True):
    """What is remembered of a counter between polls and restarts: whose it was, when it was read, when it began."""

    index: int
    boot_id: str
    read_at_us: int
    since_us: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An interface's figures under the counter that they belong to. `since_us`: when it began, where that is known."""

    counter: str
    interface: Interface
    since_us: int | None


def parse_net_dev(text: str) -> dict[str, tuple[int, int]]:
    """Bytes received and sent by interface name. Lines that are none of interfaces are passed over."""
    found = {}
    for line in text.splitlines():
        name, colon, figures = line.rpartition(":")
        fields = figures.split()
        if colon and len(fields) > _SENT and fields[0].isdecimal() and fields[_SENT].isdecimal():
            found[name.strip()] = (int(fields[0]), int(fields[_SENT]))
    return found


def parse_boot_s(stat: str) -> int | None:
    """When the machine booted, from /proc/stat, in epoch seconds."""
    for line in stat.splitlines():
        word, _, value = line.partition(" ")
        if word == "btime" and value.strip().isdecimal():
            return int(value)
    return None


def assign(
    interfaces: list[Interface], known: dict[str, Known], boot_id: str, boot_s: int | None, now_us: int
) -> tuple[list[Seen], dict[str, Known]]:
    """Which counter each interface's figures belong to, and what to remember for the next poll.

    A renamed interface keeps its counter: within one boot the index tells. A counter whose interface was made anew, or
    whose machine rebooted, began after it was read last: that moment becomes its `since`, so that what it shows counts
    whole, once (law 11). What was never read before has no `since`: its first reading bills nothing (law 8).
    """
    by_index = {entry.index: counter for counter, entry in known.items() if entry.boot_id == boot_id}
    taken = {by_index[interface.index] for interface in interfaces if interface.index in by_index}
    seen = []
    kept = dict(known)
    for interface in interfaces:
        counter = by_index.get(interface.index)
        if counter is None:
            counter = interface.name if interface.name not in taken else f"{interface.name}#{interface.index}"
            taken.add(counter)
        since_us = _since(known.get(counter), interface, boot_id, boot_s)
        seen.append(Seen(counter, interface, since_us))
        kept[counter] = Known(interface.index, boot_id, now_us, since_us)
    return seen, kept


def _since(last: Known | None, interface: Interface, boot_id: str, boot_s: int | None) -> int | None:
    if last is None:
        return None
    if last.boot_id != boot_id:
        # The clock may have stepped over the reboot: a boot before the last reading proves nothing.
        booted_us = 0 if boot_s is None else boot_s * 1_000_000
        return max(booted_us, last.read_at_us + 1)
    if last.index != interface.index:
        return last.read_at_us + 1
    return last.since_us
