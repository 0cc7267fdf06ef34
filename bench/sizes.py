"""How large a benchmark is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of everything that is measured; `name` is told with the table."""

    name: str
    series: int
    days: int
    short_days: int  # of the store with a tenth of the history
    known_ids: int
    rounds: int
    round_s: float
    peer_batches: int  # of 1,000 rows, in one round
    asked: int  # how often each endpoint is asked under load
    probes: int  # how often it is measured when accepted usage becomes visible
    starts: int
    log_lines: int  # of an access log


DEFAULT = Sizes("default", 2000, 396, 40, 10_000_000, 3, 6.0, 300, 150, 150, 5, 1_000_000)
FULL = Sizes("full", 10_000, 396, 40, 100_000_000, 5, 10.0, 500, 300, 300, 7, 1_000_000)
QUICK = Sizes("quick: far below what the bars are for", 320, 60, 40, 300_000, 1, 1.5, 20, 20, 15, 2, 50_000)
INCOMING = 10_000
"""Events a second that come in while questions are asked."""
