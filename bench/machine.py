"""What a process costs, and on what machine: read from /proc, so Linux only."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import time
from pathlib import Path

import duckdb

TICKS_A_S = os.sysconf("SC_CLK_TCK")
QUIET_SHARE = 0.04
"""Share of a core below which a process counts as idle."""
QUIET_STEP_S = 0.4
QUIET_WAIT_S = 30.0
"""Longest wait for a process to become idle; what it does later is not its round's."""


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, all threads, and those of children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS_A_S


def family_cpu_s(pid: int) -> float:
    """The same for a process and the children that it has now."""
    total = cpu_s(pid)
    for child in children(pid):
        try:
            total += cpu_s(child)
        except OSError:
            continue  # it has just ended, and stands in its parent's account
    return total


def children(pid: int) -> list[int]:
    """Processes that this one has started and that still run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def resident_mb(pid: int) -> float:
    """Resident memory, MB of 10^6 bytes."""
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


def settle(pid: int) -> float:
    """Waits until a process is idle; its CPU seconds by then."""
    deadline = time.monotonic() + QUIET_WAIT_S
    before = cpu_s(pid)
    idle = 0
    while idle < 2 and time.monotonic() < deadline:
        time.sleep(QUIET_STEP_S)
        now = cpu_s(pid)
        idle = idle + 1 if now - before < QUIET_SHARE * QUIET_STEP_S else 0
        before = now
    return before


def folder_bytes(folder: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def describe() -> str:
    """The machine in a line."""
    cores = os.cpu_count()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(models, platform.machine())
    return (
        f"{cores} cores ({model}), {memory_gb:.0f} GB, Linux {platform.release()}, Python {sys.version.split()[0]}, "
        f"DuckDB {duckdb.__version__}, SQLite {sqlite3.sqlite_version}"
    )


def load() -> str:
    """How busy the machine was in the last 1 and 5 minutes."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f} and {five:.1f}"
