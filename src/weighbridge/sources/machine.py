"""Which machine a collector runs on, and which run of it: what proves that counters of its kernel began anew."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of a kernel. `id` is empty where it does not tell; `at_s` is when it began, in epoch seconds."""

    id: str
    at_s: int | None = None


def read_boot(root: Path) -> Boot:
    """The run that is on now, from /proc below `root` (random(4), proc(5)); where there is none, nothing is known of it."""
    try:
        name = (root / "proc/sys/kernel/random/boot_id").read_text().strip()
        stat = (root / "proc/stat").read_text()
    except OSError:
        return Boot("")
    return Boot(name, parse_boot_s(stat))


def parse_boot_s(stat: str) -> int | None:
    """When the machine booted, from the text of /proc/stat, in epoch seconds; None: it does not say."""
    for line in stat.splitlines():
        word, _, value = line.partition(" ")
        if word == "btime" and value.strip().isdecimal():
            return int(value)
    return None


def machine_mark(root: Path) -> str:
    """Eight hexadecimal digits that stay with this machine and that another one has not.

    Of host name and machine-id(5) together: machines that were cloned share the one, and seldom both.
    """
    try:
        number = (root / "etc/machine-id").read_text().strip()
    except OSError:
        number = ""
    return hashlib.sha256(f"{platform.node()}\0{number}".encode()).hexdigest()[:8]
