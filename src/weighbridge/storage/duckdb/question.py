"""A question to the tiers as one SQL statement, so that one snapshot answers all of it.

The members go in as NumPy arrays, which DuckDB scans where they are; bounds of slots and series stand as numbers in the
statement, so that DuckDB skips row groups whose minimum and maximum lie outside.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.ports import STEPS_S, Sums, must_be_edges
from weighbridge.storage.duckdb.tiers import FIVE, SLOT_S, TIERS, Stretch, Tier, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from weighbridge.ports import Members
    from weighbridge.storage.duckdb.tiers import Horizons

MAX_BOUNDS = 4
"""Stretches of time that are read one by one: beyond, one read over all of them costs less than planning each."""
MAX_RUNS = 16
"""Runs of series that a decision tree tells apart faster than a join does."""
_HALF_BITS = 62
BITS_MAX = 64_000_000
"""Buckets of all series that `alive` may keep a bit for, in each thread: 8 MB. Above, it sorts them out by hashing."""
_FRESH = Tier("fresh", SLOT_S, FIVE.chunk_slots, FIVE.piece_slots)
_PLACES = {tier.table: place for place, tier in enumerate((*TIERS, _FRESH))}


@cache
def query(name: str) -> str:
    """The text of queries/`name`.sql."""
    return files("weighbridge.storage.duckdb").joinpath(f"queries/{name}.sql").read_text("utf-8")


class Question:
    """Members in a range, with the stretches that answer for them: ask `sums`, `alive` or `newest_s`.

    Buckets are `step_s` long, or the windows between `edges_s`, which then bound the range, and whose inner ones `step_s`
    divides.
    """

    def __init__(
        self, members: Members, start_s: int, end_s: int, step_s: int, horizons: Horizons, *, edges_s: Sequence[int] = ()
    ) -> None:
        if start_s % SLOT_S or end_s % SLOT_S:
            raise ValueError(f"the range [{start_s}, {end_s}) does not lie on {SLOT_S} s slots")
        if step_s not in STEPS_S and not edges_s:
            raise ValueError(f"no step of {step_s} s, only {STEPS_S}")
        self._start_s, self._end_s = start_s, end_s
        self._step_s = step_s
        self._edges_s = tuple(edges_s)
        series = np.array(members.series, "u4")
        groups = np.array(members.groups, "i8")
        from_s = np.maximum(np.array(members.from_s, "i8"), start_s)
        until_s = np.minimum(np.array(members.until_s, "i8"), end_s)
        asked = from_s < until_s
        if not asked.all():
            series, groups, from_s, until_s = series[asked], groups[asked], from_s[asked], until_s[asked]
        self._series, self._groups = series, groups
        self._only_group: int | None = None
        self._selects: list[str] = []
        self._members: dict[str, np.ndarray] = {}
        if not len(series):
            return
        if (groups == groups[0]).all():
            self._only_group = int(groups[0])
        if (from_s == from_s[0]).all() and (until_s == until_s[0]).all():
            self._select_alike(int(from_s[0]), int(until_s[0]), horizons)
        else:
            self._select_clipped(from_s, until_s, horizons)

    @classmethod
    def between(cls, members: Members, edges_s: Sequence[int], horizons: Horizons) -> Question:
        """A question about the windows between edges. Tiers are exact whose slots no inner edge cuts."""
        must_be_edges(edges_s)
        return cls(members, edges_s[0], edges_s[-1], gcd(*edges_s[1:-1]), horizons, edges_s=edges_s)

    @property
    def empty(self) -> bool:
        """Whether nothing is asked, so that nothing need be read."""
        return not self._selects

    def sums(self, cursor: duckdb.DuckDBPyConnection, *, bytes_only: bool = False) -> Sums:
        """Sums by group and bucket, in that order."""
        members = self._members  # noqa: F841  DuckDB finds it by its name
        keys = "bucket" if self._only_group is not None else "grp, bucket"
        name = "sums_of_bytes" if bytes_only else "sums"
        columns = cursor.execute(query(name).format(keys=keys, rows=self._rows())).fetchnumpy()
        buckets = columns["bucket"].astype("i8")
        groups = columns["grp"] if self._only_group is None else np.full(len(buckets), self._only_group)
        order = np.lexsort((buckets, groups))
        return Sums(
            groups[order].tolist(),
            self._starts_s(buckets[order]).tolist(),
            _whole(columns["in_low"][order], columns["in_high"][order]),
            _whole(columns["out_low"][order], columns["out_high"][order]),
            [None] * len(order) if bytes_only else _whole(columns["requests_low"][order], columns["requests_high"][order]),
            [0] * len(order) if bytes_only else columns["flags"][order].tolist(),
        )

    def _starts_s(self, buckets: np.ndarray) -> np.ndarray:
        if self._edges_s:
            edges_s: np.ndarray = np.array(self._edges_s)[buckets]
            return edges_s
        return buckets * self._step_s if self._step_s else np.full(len(buckets), self._start_s)

    def alive(self, cursor: duckdb.DuckDBPyConnection) -> int:
        """Distinct (series, bucket) with a row that is flagged as measured."""
        step_s = self._step_s
        first_bucket, last_bucket = self._start_s // step_s, (self._end_s - 1) // step_s
        bits = (last_bucket - first_bucket + 1) * len(self._series)
        name = "alive_bits" if bits <= BITS_MAX else "alive"
        return self._number(cursor, name, first_bucket=first_bucket, last_bucket=last_bucket) or 0

    def newest_s(self, cursor: duckdb.DuckDBPyConnection) -> int | None:
        """Start of the newest bucket that has a row; with step 0, of the newest slot of any tier asked."""
        bucket = self._number(cursor, "newest")
        return None if bucket is None else bucket * (self._step_s or SLOT_S)

    def newest_by_group_s(self, cursor: duckdb.DuckDBPyConnection, *, moved_only: bool) -> dict[int, int]:
        """The same for each group that has a row; with `moved_only`, one in which a series moved something."""
        members = self._members  # noqa: F841  DuckDB finds it by its name
        sql = query("newest_moved_by_group" if moved_only else "newest_by_group").format(rows=self._rows())
        step_s = self._step_s or SLOT_S
        return {group: bucket * step_s for group, bucket in cursor.execute(sql).fetchall()}

    def _number(self, cursor: duckdb.DuckDBPyConnection, name: str, **bounds: int) -> int | None:
        members = self._members  # noqa: F841  DuckDB finds it by its name
        [(answer,)] = cursor.execute(query(name).format(rows=self._rows(), **bounds)).fetchall()
        return answer  # type: ignore[no-any-return]

    def _rows(self) -> str:
        return "\nUNION ALL\n".join(self._selects)

    def _select_alike(self, from_s: int, until_s: int, horizons: Horizons) -> None:
        """All members share one stretch of time: its bounds are constants.

        Series that fill their range in few runs of one group each need no look-up, which saves a third of the time.
        """
        self._members = {"series": self._series, "grp": self._groups}
        group, join = "m.grp", "JOIN members m ON m.series = t.series"
        if self._only_group is not None:
            group = str(self._only_group)
        runs = self._runs()
        apart = int(self._groups[0]) - int(self._series[0])
        if runs and (self._groups - self._series.astype("i8") == apart).all():
            join, group = "", f"(t.series::BIGINT + {apart})"  # each a group of its own, in the same order
        elif 0 < len(runs) <= MAX_RUNS:
            join, group = "", _decide("t.series", runs)
        stretches = plan(from_s, until_s, self._step_s, horizons)
        stretches.append(Stretch(_FRESH, from_s // SLOT_S, until_s // SLOT_S))
        for stretch in stretches:
            self._selects.append(query("rows").format(group=group, join=join, **self._numbers(stretch)))

    def _runs(self) -> list[tuple[int, int]]:
        """(first series, group) of each run of series of one group; none where a series is missing or stands twice."""
        filled = len(self._series) == int(self._series.max()) - int(self._series.min()) + 1
        if not filled or len(np.unique(self._series)) < len(self._series):
            return []
        order = np.argsort(self._series)
        series, groups = self._series[order], self._groups[order]
        begins = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
        return [(int(series[at]), int(groups[at])) for at in begins]

    def _select_clipped(self, from_s: np.ndarray, until_s: np.ndarray, horizons: Horizons) -> None:
        """Members with stretches of their own: the bounds become columns, one row for each stretch of a tier."""
        bounds, which = np.unique(np.stack([from_s, until_s]), axis=1, return_inverse=True)
        which = which.reshape(-1)
        if bounds.shape[1] <= MAX_BOUNDS:
            self._members = {"series": self._series, "grp": self._groups, "place": which.astype("i4")}
            for number, (lo_s, hi_s) in enumerate(bounds.T.tolist()):
                join = f"JOIN members m ON m.series = t.series AND m.place = {number}"
                for stretch in [*plan(lo_s, hi_s, self._step_s, horizons), Stretch(_FRESH, lo_s // SLOT_S, hi_s // SLOT_S)]:
                    self._selects.append(query("rows").format(group="m.grp", join=join, **self._numbers(stretch)))
            return
        columns: list[tuple[np.ndarray, np.ndarray, int, int, int]] = []
        widest: dict[str, Stretch] = {}
        for number, (lo_s, hi_s) in enumerate(bounds.T.tolist()):
            mine = which == number
            stretches = plan(lo_s, hi_s, self._step_s, horizons)
            stretches.append(Stretch(_FRESH, lo_s // SLOT_S, hi_s // SLOT_S))
            for stretch in stretches:
                place = _PLACES[stretch.tier.table]
                columns.append((self._series[mine], self._groups[mine], place, stretch.lo, stretch.hi))
                wide = widest.get(stretch.tier.table, stretch)
                widest[stretch.tier.table] = Stretch(wide.tier, min(wide.lo, stretch.lo), max(wide.hi, stretch.hi))
        lengths = [len(column[0]) for column in columns]
        self._members = {
            "series": np.concatenate([column[0] for column in columns]),
            "grp": np.concatenate([column[1] for column in columns]),
            "place": np.repeat(np.array([column[2] for column in columns], "i4"), lengths),
            "lo": np.repeat(np.array([column[3] for column in columns], "i4"), lengths),
            "hi": np.repeat(np.array([column[4] for column in columns], "i4"), lengths),
        }
        for table, stretch in widest.items():
            self._selects.append(query("rows_clipped").format(place=_PLACES[table], **self._numbers(stretch)))

    def _numbers(self, stretch: Stretch) -> dict[str, object]:
        return {
            "table": stretch.tier.table,
            "bucket": self._bucket(stretch.tier.slot_s),
            "lo": stretch.lo,
            "hi": stretch.hi,
            "first_series": int(self._series.min()),
            "last_series": int(self._series.max()),
        }

    def _bucket(self, slot_s: int) -> str:
        """Number of the bucket that a slot starts in, as SQL."""
        if self._edges_s:
            firsts = [-(-edge_s // slot_s) for edge_s in self._edges_s[:-1]]
            return _decide("t.slot", [(first, number) for number, first in enumerate(firsts)])
        if self._step_s == 0:
            return "0"
        if self._step_s >= slot_s:
            return f"t.slot // {self._step_s // slot_s}" if self._step_s > slot_s else "t.slot"
        return f"t.slot * {slot_s // self._step_s}"


def _decide(column: str, runs: Sequence[tuple[int, int]]) -> str:
    """SQL for the second number of the last run whose first one is not above the column: a balanced decision tree."""
    if len(runs) == 1:
        return str(runs[0][1])
    middle = len(runs) // 2
    low, high = _decide(column, runs[:middle]), _decide(column, runs[middle:])
    return f"CASE WHEN {column} < {runs[middle][0]} THEN {low} ELSE {high} END"


def _whole(low: np.ndarray, high: np.ndarray) -> list[int | None]:
    """Python integers from their halves, None where unknown."""
    amounts: list[int | None] = low.tolist()
    if high.any():
        amounts = [
            None if less is None or less < 0 else (more << _HALF_BITS) + less
            for less, more in zip(amounts, high.tolist(), strict=True)
        ]
    elif (low < 0).any():
        amounts = [None if less is None or less < 0 else less for less in amounts]
    return amounts
