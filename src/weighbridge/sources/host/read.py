"""Reads this machine's interfaces from /proc and /sys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import xxhash

from weighbridge.sources.host.choice import Link
from weighbridge.sources.host.decode import Interface, Now, parse_net_dev
from weighbridge.sources.machine import parse_boot_s

if TYPE_CHECKING:
    from pathlib import Path

_LOWER = "lower_"


def read_now(root: Path, now_us: int) -> Now:
    """When this is, in which boot. OSError: /proc does not tell."""
    boot_id = (root / "proc/sys/kernel/random/boot_id").read_text().strip()
    return Now(now_us, boot_id, parse_boot_s((root / "proc/stat").read_text()))


def read_machine(root: Path) -> str:
    """Eight digits that tell this machine from others (machine-id(5), which must not be shown itself); "" if nothing does."""
    try:
        found = (root / "etc/machine-id").read_text().strip()
    except (OSError, ValueError):
        return ""
    return xxhash.xxh32_hexdigest(f"weighbridge/{found}".encode()) if found else ""


def read_interfaces(root: Path) -> dict[str, tuple[Interface, Link]]:
    """Every interface by name, loopback too. One that is renamed or made while it is read is left to the next poll."""
    net = root / "sys/class/net"
    before = _indexes(net)
    figures = parse_net_dev((root / "proc/net/dev").read_text())
    links = {name: _link(net, name) for name in figures if name in before}
    after = _indexes(net)
    found = {}
    for name, link in links.items():
        index = before[name]
        if after.get(name) == index:
            rate_bps = _rate_bps(net / name) if link.has_device else None
            found[name] = (Interface(name, index, *figures[name], rate_bps, not link.has_device), link)
    return found


def is_supported(root: Path) -> bool:
    """Whether this kernel tells its counters in the way that the collector reads them."""
    return os.access(root / "proc/net/dev", os.R_OK) and (root / "sys/class/net").is_dir()


def _indexes(net: Path) -> dict[str, int]:
    found = {name: _number(net / name / "ifindex") for name in os.listdir(net)}  # noqa: PTH208  names, no paths
    return {name: index for name, index in found.items() if index is not None}


def _link(net: Path, name: str) -> Link:
    try:
        entries = os.listdir(net / name)  # noqa: PTH208  names, no paths
    except OSError:  # gone since the figures were read
        entries = []
    lowers = frozenset(entry.removeprefix(_LOWER) for entry in entries if entry.startswith(_LOWER))
    try:
        master = (net / name / "master").readlink().name if "master" in entries else None
    except OSError:
        master = None
    return Link(name, "device" in entries, lowers, master, "bridge" in entries)


def _rate_bps(folder: Path) -> int | None:
    """What a device carries; a virtual interface says whatever its author thought."""
    speed_mbps = _number(folder / "speed")
    return speed_mbps * 10**6 if speed_mbps is not None and speed_mbps > 0 else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # many drivers refuse to tell the speed
        return None
