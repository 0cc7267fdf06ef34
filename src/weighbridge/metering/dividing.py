"""What a counter counted, divided among the series that had its thing in each 5-minute slot; every byte once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from weighbridge.domain.spread import spread
from weighbridge.domain.units import SLOT_S
from weighbridge.measurement import UNKNOWN, MeasurementFlag
from weighbridge.metering.counting import LARGEST_PART, Row, split_rows
from weighbridge.metering.spreading import SLOT_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weighbridge.domain.counters import Part
    from weighbridge.metering.things import Feed
    from weighbridge.model import SeriesKey

_MEASURED = MeasurementFlag.COUNTER
_INSIDE = MeasurementFlag.COUNTER | MeasurementFlag.ESTIMATED


@dataclass(frozen=True, slots=True)
class Piece:
    """What one series got over [start_us, end_us), as that series sees in and out; with no key: what nobody had."""

    key: SeriesKey | None
    flags: int
    start_us: int
    end_us: int
    bytes_in: int | None
    bytes_out: int | None


def divide(part: Part, feeds: Sequence[Feed]) -> list[Piece]:
    """The part whole where one series, or nobody, had the thing all the time; else by whom had it in each slot.

    Then slots strictly inside the part are marked as estimates here: the rows alone do not tell any more (law 12).
    """
    first_s = part.start_us // SLOT_US * SLOT_S
    last_s = max((part.end_us - 1) // SLOT_US * SLOT_S, first_s)
    near = [feed for feed in feeds if feed.from_s <= last_s and first_s < feed.until_s]
    if not near or (near[0].from_s <= first_s and last_s < near[0].until_s):
        feed = near[0] if near else None
        return [_piece(feed, _MEASURED, part.start_us, part.end_us, (part.bytes_in, part.bytes_out))]
    return list(_divided(part, near, first_s, last_s))


def _divided(part: Part, feeds: Sequence[Feed], first_s: int, last_s: int) -> Iterator[Piece]:
    """A piece for the first slot, one for the last, and one for each run between of slots that one series had.

    The shares of whole slots differ by one byte at most, larger ones first, so a run's sum spread again gives them back.
    """
    slots = range(first_s, last_s + SLOT_S, SLOT_S)
    shares = list(zip(slots, _shares(part, part.bytes_in, len(slots)), _shares(part, part.bytes_out, len(slots)), strict=True))

    def run_of(share: tuple[int, int | None, int | None]) -> tuple[int, int]:
        slot_s = share[0]
        owner = next((at for at, feed in enumerate(feeds) if feed.from_s <= slot_s < feed.until_s), -1)
        return owner, (slot_s > first_s) + (slot_s == last_s)

    for (owner, place), run in groupby(shares, run_of):
        taken = list(run)
        amounts = (_sum([share[1] for share in taken]), _sum([share[2] for share in taken]))
        feed = feeds[owner] if owner >= 0 else None
        if place == 1:  # between the first slot and the last
            start_us, end_us = taken[0][0] * 1_000_000, taken[-1][0] * 1_000_000 + SLOT_US
            yield _piece(feed, _INSIDE, start_us, end_us, amounts)
        else:
            at_us = max(taken[0][0] * 1_000_000, part.start_us)
            yield _piece(feed, _MEASURED, at_us, at_us, amounts)


def _shares(part: Part, amount: int | None, count: int) -> Sequence[int | None]:
    return [None] * count if amount is None else [share for _, share in spread(amount, part.start_us, part.end_us)]


def _sum(shares: list[int | None]) -> int | None:
    return None if shares[0] is None else sum(share for share in shares if share is not None)


def _piece(
    feed: Feed | None, flags: int, start_us: int, end_us: int, amounts: tuple[int | None, int | None]
) -> Piece:
    inward, outward = amounts
    if feed is not None and feed.is_swapped:
        inward, outward = outward, inward
    return Piece(None if feed is None else feed.key, flags, start_us, end_us, inward, outward)


def look(at_us: int, totals: tuple[int | None, int | None], feeds: Sequence[Feed]) -> Piece:
    """Nothing moved as far as anybody knows, but somebody looked: zeros for what was read."""
    slot_s = at_us // SLOT_US * SLOT_S
    feed = next((feed for feed in feeds if feed.from_s <= slot_s < feed.until_s), None)
    inward, outward = (None if total is None else 0 for total in totals)
    return _piece(feed, _MEASURED, at_us, at_us, (inward, outward))


def rows_of_piece(number: int, piece: Piece) -> list[Row]:
    """The piece as rows of series `number`: one, but for what is too large for a column."""
    amounts = (piece.bytes_in, piece.bytes_out, None)
    if all(amount is None or amount < LARGEST_PART for amount in amounts):
        known = [UNKNOWN if amount is None else amount for amount in amounts]
        return [(number, piece.flags, piece.start_us, piece.end_us, *known)]
    rows = split_rows(number, piece.start_us, piece.end_us, amounts)
    return [(row[0], row[1] | piece.flags, *row[2:]) for row in rows]
