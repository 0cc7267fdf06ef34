"""Random questions, and what both kinds of them, the vendors' and our own, are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.agreement_world import SPAN_S

if TYPE_CHECKING:
    from random import Random

    from support.agreement import Referee

DAY_S = 86_400
REFUSED: Any = object()
"""Stands for a body that is not looked at: the status says enough."""


@dataclass
class Question:
    """A GET with the key of `organization` (None: the admin's), and what must come back. `limit`: follow the pages.

    `is_numbered`: rows have ids that the server makes up, which nobody can foretell.
    """

    path: str
    query: dict[str, str]
    status: int
    body: Any
    organization: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    is_numbered: bool = False


class Draw:
    """What all questions about a company are made of."""

    def __init__(self, rng: Random, referee: Referee) -> None:
        self.rng = rng
        self.referee = referee
        self.company = referee.company
        self.now_us = self.company.now_us
        self.now_s = self.now_us // 1_000_000

    def range_us(self, longest_s: int = 20 * DAY_S) -> tuple[int, int]:
        rng, base_s = self.rng, self.company.start_s
        if rng.random() < 0.3:
            start_us = (base_s + rng.randint(-2, 6) * DAY_S) * 1_000_000
            return start_us, start_us + rng.randint(1, longest_s // DAY_S) * DAY_S * 1_000_000
        start_us = base_s * 1_000_000 + rng.randint(-DAY_S * 1_000_000, SPAN_S * 1_000_000)
        length_s = rng.choice([1, 299, 300, 1800, DAY_S, rng.randint(1, longest_s)])
        return start_us, start_us + length_s * 1_000_000 + rng.choice([0, 1, 500_000])

    def key(self) -> str | None:
        return self.rng.choice([None, "org_acme", "org_bolt"])

    def projects(self, key: str | None) -> list[str]:
        return [name for name, owner in self.referee.projects.items() if key in (None, owner)]

    def stretches(self, server: str) -> list[tuple[int, int, str, str]]:
        """(from, until, project, region) of a server."""
        placements = self.referee.placements[server]
        untils = [from_s for from_s, _, _ in placements[1:]] + [10**12]
        return [(from_s, until_s, project, region)
                for (from_s, project, region), until_s in zip(placements, untils, strict=True)]

    def is_in(self, from_s: int, until_s: int, start_s: int, end_s: int) -> bool:
        """Whether a stretch is now, or was at a time in the range."""
        return from_s <= self.now_s < until_s or max(from_s, start_s) < min(until_s, end_s)

    def has_been(self, server: str, filters: dict[str, Any]) -> bool:
        projects = [project for _, _, project, _ in self.stretches(server)]
        return any(filters["project"] in (None, project)
                   and filters["organization"] in (None, self.referee.projects[project]) for project in projects)

    def slots(self, start_s: int, end_s: int, slot_s: int) -> range:
        """The slots that start in [start rounded down, end) and are over."""
        starts = [at_s for at_s in range(start_s - start_s % slot_s, end_s, slot_s) if at_s + slot_s <= self.now_s]
        return range(starts[0], starts[-1] + slot_s, slot_s) if starts else range(0, 0, slot_s)
