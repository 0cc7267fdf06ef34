"""When something moved last: the newest slot with a row, looked for from the coarse tiers down to the fine.

Must run inside one transaction of the cursor, so that all that is asked on the way sees one state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.ports import Members
from weighbridge.storage.duckdb.question import Question
from weighbridge.storage.duckdb.tiers import DAY, HALF, SLOT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from weighbridge.storage.duckdb.tiers import Horizons


def newest_slot_s(
    cursor: duckdb.DuckDBPyConnection, members: Members, range_s: tuple[int, int], horizons: Horizons, latest_s: int
) -> int | None:
    """Start of the newest slot with a row. `latest_s`: no row of any series is newer.

    The day before `latest_s` is asked first, being where most series have it; then from the days down, each tier about
    the newest slot above.
    """
    start_s, end_s = range_s
    near_s = _near_s(start_s, horizons, latest_s)
    question = Question(members, near_s, max(near_s, end_s), SLOT_S, horizons)
    newest_s = None if question.empty else question.newest_s(cursor)
    if newest_s is not None or near_s == start_s:
        return newest_s
    at_s, end_s = start_s, min(end_s, near_s)
    for step_s in (DAY.slot_s, HALF.slot_s, SLOT_S):
        if step_s == HALF.slot_s and at_s >= horizons.five_s:
            continue  # the finest tier still has that day
        question = Question(members, at_s, end_s, step_s, horizons)
        newest_s = None if question.empty else question.newest_s(cursor)
        if newest_s is None:
            return None
        at_s = max(newest_s, start_s)
    return at_s


def newest_slots_s(
    cursor: duckdb.DuckDBPyConnection,
    members: Members,
    range_s: tuple[int, int],
    horizons: Horizons,
    latest_s: int,
    *,
    moved_only: bool,
) -> dict[int, int]:
    """The same for each group of the members that has a row: three questions, however many groups there are.

    The groups that the day before `latest_s` does not know are asked for their newest day, and then each about its own.
    With `moved_only` only slots count in which a series moved something.
    """

    def newest(asked: Members, from_s: int, until_s: int, step_s: int) -> dict[int, int]:
        question = Question(asked, from_s, max(from_s, until_s), step_s, horizons)
        return {} if question.empty else question.newest_by_group_s(cursor, moved_only=moved_only)

    start_s, end_s = range_s
    near_s = _near_s(start_s, horizons, latest_s)
    found = newest(members, near_s, end_s, SLOT_S)
    rest_end_s = min(end_s, near_s)
    if near_s == start_s:
        return found
    rest = _of_groups(members, lambda group: group not in found)
    days = newest(rest, start_s, rest_end_s, DAY.slot_s)
    return found | newest(_within_days(rest, days), start_s, rest_end_s, SLOT_S)


def _near_s(start_s: int, horizons: Horizons, latest_s: int) -> int:
    """From where on to look first: no row is newer than `latest_s`, and the finest tier knows all from here on."""
    return max(start_s, (latest_s - DAY.slot_s) // SLOT_S * SLOT_S, horizons.five_s)


def _of_groups(members: Members, wanted: Callable[[int], bool]) -> Members:
    """The entries of some groups."""
    columns = (members.series, members.groups, members.from_s, members.until_s)
    entries = [entry for entry in zip(*columns, strict=True) if wanted(entry[1])]
    return Members(*zip(*entries, strict=True)) if entries else Members((), (), (), ())


def _within_days(members: Members, days: dict[int, int]) -> Members:
    """The entries of the groups in `days`, each clipped to its group's day."""
    kept = _of_groups(members, days.__contains__)
    from_s = [max(at_s, days[group]) for group, at_s in zip(kept.groups, kept.from_s, strict=True)]
    until_s = [min(at_s, days[group] + DAY.slot_s) for group, at_s in zip(kept.groups, kept.until_s, strict=True)]
    return Members(kept.series, kept.groups, tuple(from_s), tuple(until_s))
