"""How soon a server answers, and how much memory it takes with nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.machine import resident_mb, settle
from bench.server import Server
from bench.table import Check, Row, median

if TYPE_CHECKING:
    from pathlib import Path


def start_row(folder: Path, starts: int, loaded: Path | None) -> Row:
    """The bar of start to first answer: on a data folder of its own, and on one with history if there is one."""
    with Server(folder):
        pass  # the first start makes the files
    seconds = [_start_s(folder) for _ in range(starts)]
    text = f"{median(seconds):.2f} s"
    figures = {"start_s": median(seconds)}
    if loaded is not None:
        long = [_start_s(loaded) for _ in range(starts)]
        figures["start_with_history_s"] = median(long)
        text += f"; {median(long):.2f} s with history"
    return Row("start to first answer", text, "≤ 1.5 s",
               checks=(Check(max(figures.values()), 1.5, 1.5, at_most=True),), figures=figures)


def _start_s(folder: Path) -> float:
    with Server(folder) as server:
        return server.started_s


def memory_rows(folder: Path, peak_mb: float | None) -> list[Row]:
    """The bars of memory: idle, and the peak under load if there was any."""
    with Server(folder) as server:
        settle(server.pid)
        idle_mb = resident_mb(server.pid)
    rows = [Row("resident memory, idle", f"{idle_mb:.0f} MB", "≤ 120 MB",
                checks=(Check(idle_mb, 120, 120, at_most=True),), figures={"idle_mb": idle_mb})]
    if peak_mb is not None:
        rows.append(Row("resident memory, loaded (peak while the endpoints were asked)", f"{peak_mb:.0f} MB",
                        "≤ 300 MB", checks=(Check(peak_mb, 300, 300, at_most=True),), figures={"peak_mb": peak_mb}))
    return rows
