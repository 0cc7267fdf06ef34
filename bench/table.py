"""The table of bars: what was measured, beside its bar, its peer, and whether it passes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BEGIN = "<!-- bench: begin, written by `python3 dev.py bench --write` -->"
END = "<!-- bench: end -->"
COLUMNS = ("path", "measured", "bar, then stretch", "peer in the same run", "ratio", "verdict")


@dataclass(frozen=True, slots=True)
class Check:
    """One figure against its bar and its stretch (the same where there is none); `at_most`: less is better."""

    value: float | None
    bar: float
    stretch: float
    at_most: bool = False

    def verdict(self) -> str:
        """`stretch`, `pass` or `short`; `–` where nothing was measured."""
        if self.value is None:
            return "–"
        sign = -1 if self.at_most else 1
        if self.stretch != self.bar and sign * self.value >= sign * self.stretch:
            return "stretch"
        return "pass" if sign * self.value >= sign * self.bar else "short"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `figures` are what was measured, as numbers, by name with the unit last."""

    path: str
    measured: str
    bar: str
    peer: str = "–"
    ratio: str = "–"
    checks: tuple[Check, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def verdict(self) -> str:
        """The worst of its checks; what was not measured is not judged."""
        found = {check.verdict() for check in self.checks}
        return next((word for word in ("short", "pass", "stretch") if word in found), "–")

    def cells(self) -> tuple[str, ...]:
        """One text for each of COLUMNS."""
        return (self.path, self.measured, self.bar, self.peer, self.ratio, self.verdict())


def as_markdown(rows: Sequence[Row], heading: Sequence[str]) -> str:
    """Heading lines, the table, and the notes of all rows, each once."""
    lines = [*heading, "", _line(COLUMNS), "|---" * len(COLUMNS) + "|"]
    lines += [_line(row.cells()) for row in rows]
    notes = dict.fromkeys(note for row in rows for note in row.notes)
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_data(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The rows for a JSON file."""
    return [
        {**dict(zip(COLUMNS, row.cells(), strict=True)), "figures": row.figures, "notes": list(row.notes)}
        for row in rows
    ]


def write_between_markers(page: Path, text: str) -> None:
    """The page has `text` between its markers. ValueError: it has no markers."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"{page} has no lines {BEGIN} and {END}"
        raise ValueError(msg)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def median(values: Sequence[float]) -> float:
    """The middle value of some rounds."""
    return statistics.median(values)


def share_at(values: Sequence[float], share: float) -> float:
    """The value that a share of all do not exceed (nearest rank): 0.99 for p99."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def ratio(own: float, peer: float | None) -> float | None:
    """How often the peer's figure fits into ours; None without a peer."""
    return own / peer if peer else None


def times(value: float | None) -> str:
    """A ratio as text."""
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"
