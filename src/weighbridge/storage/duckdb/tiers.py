"""The three tiers, what each has forgotten, and which of their rows answer for a range."""

from __future__ import annotations

from dataclasses import dataclass

SLOT_S = 300
DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Tier:
    """One table of sums. Chunks and pieces count slots of this tier; a chunk is a whole number of pieces.

    Rows are ordered by chunk, series and slot, so that one question reads few row groups however long the history. A
    piece is what one merge rewrites while its chunk still grows.
    """

    table: str
    slot_s: int
    chunk_slots: int
    piece_slots: int

    @property
    def chunk_s(self) -> int:
        """Length of a chunk."""
        return self.slot_s * self.chunk_slots


FIVE = Tier("t5m", SLOT_S, chunk_slots=288, piece_slots=12)      # chunks of a day, pieces of an hour
HALF = Tier("t30m", 1800, chunk_slots=336, piece_slots=4)        # of a week, of two hours
DAY = Tier("t1d", DAY_S, chunk_slots=28, piece_slots=1)          # of four weeks, of a day
TIERS = (FIVE, HALF, DAY)
BY_LENGTH = {tier.slot_s: tier for tier in TIERS}


@dataclass(frozen=True, slots=True)
class Horizons:
    """Before which instant each tier has forgotten its rows; `five_s` >= `half_s` >= `day_s`.

    Each is a multiple of the next coarser tier's slot, so that what a tier still has is whole in its rollup. Before
    the horizon a row lies where the slot of the finest tier that remembers it starts.
    """

    five_s: int = 0
    half_s: int = 0
    day_s: int = 0

    def forget(self, tier_s: int, before_s: int) -> Horizons:
        """The horizons once a tier, and with it each finer one, has forgotten what lies before `before_s`."""
        coarser_s = {FIVE.slot_s: HALF.slot_s, HALF.slot_s: DAY_S, DAY_S: DAY_S}[tier_s]
        limit_s = before_s // coarser_s * coarser_s
        return Horizons(
            max(self.five_s, limit_s),
            max(self.half_s, limit_s) if tier_s >= HALF.slot_s else self.half_s,
            max(self.day_s, limit_s) if tier_s >= DAY_S else self.day_s,
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Slots [lo, hi) of one tier, in its own numbers."""

    tier: Tier
    lo: int
    hi: int


def plan(start_s: int, end_s: int, step_s: int, horizons: Horizons) -> list[Stretch]:
    """The stretches whose rows make up [start_s, end_s), each instant once, from the coarsest tier that is exact.

    A tier is exact where its slots lie whole inside the range and inside one bucket of `step_s` (0: any), and where it
    is all that is left.
    """
    start_s = max(start_s, horizons.day_s)
    return _cover(start_s, end_s, step_s, [(DAY, horizons.half_s), (HALF, horizons.five_s), (FIVE, 0)])


def _cover(start_s: int, end_s: int, step_s: int, tiers: list[tuple[Tier, int]]) -> list[Stretch]:
    if start_s >= end_s:
        return []
    (tier, alone_s), *finer = tiers
    length_s = tier.slot_s
    fits = step_s % length_s == 0
    body_s = -(-start_s // length_s) * length_s
    last_s = end_s // length_s * length_s
    stop_s = -(-end_s // length_s) * length_s if last_s < alone_s else last_s
    if not fits:
        stop_s = min(stop_s, alone_s)
    if body_s >= stop_s:
        return _cover(max(start_s, alone_s), end_s, step_s, finer) if finer else []
    head = _cover(max(start_s, alone_s), body_s, step_s, finer) if finer else []
    tail = _cover(stop_s, end_s, step_s, finer) if finer else []
    return [*head, Stretch(tier, body_s // length_s, stop_s // length_s), *tail]
