"""What every usage store does, case by case. One suite over all of them; memory.py is the referee."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.domain.errors import StorageError
from weighbridge.measurement import SLOT_ROW, UNKNOWN, Mark, Totals, totals_of
from weighbridge.ports import STEPS_S, Members, Sums, UsageStore
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY_S = 86400
T0 = 1_700_006_400  # a Wednesday, 00:00 UTC, in the middle of a chunk of each tier
END_S = 2**62


@pytest.fixture(params=["memory", "duckdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UsageStore]:
    made: UsageStore = MemoryStore() if request.param == "memory" else DuckDBStore(tmp_path)
    yield made
    try:
        made.close()
    except StorageError:
        assert request.node.name.startswith("test_a_closed_store")


def rows(*entries: tuple[int, int, int, int, int, int]) -> np.ndarray:
    """(series, second, bytes in, bytes out, requests, flags) each."""
    return np.array([(series, at_s // 300, *rest) for series, at_s, *rest in entries], SLOT_ROW)


def members(*series: int, group: int = 0, from_s: int = 0, until_s: int = END_S) -> Members:
    n = len(series)
    return Members(series, (group,) * n, (from_s,) * n, (until_s,) * n)


def together(*parts: Members) -> Members:
    return Members(*(
        tuple(value for part in parts for value in getattr(part, name))
        for name in ("series", "groups", "from_s", "until_s")
    ))


class Feed:
    """Folds with marks that are right: the totals of everything so far."""

    def __init__(self, store: UsageStore) -> None:
        self.store = store
        self.totals = Totals()
        self.position = 0

    def __call__(self, *entries: tuple[int, int, int, int, int, int]) -> None:
        self.fold(rows(*entries))

    def fold(self, batch: np.ndarray) -> None:
        self.position += 1
        new = totals_of(batch)
        old = self.totals
        self.totals = Totals(
            old.events + new.events, old.bytes_in + new.bytes_in,
            old.bytes_out + new.bytes_out, old.requests + new.requests)
        assert self.store.fold(batch, Mark(self.position, self.totals))


@pytest.fixture
def feed(store: UsageStore) -> Feed:
    return Feed(store)


NOTHING = Sums([], [], [], [], [], [])


def test_a_new_store_is_empty(store: UsageStore) -> None:
    assert store.mark() == Mark()
    assert store.sums(members(1), T0, T0 + DAY_S, 300) == NOTHING
    assert store.alive(members(1), T0, T0 + DAY_S, 300) == 0
    assert store.last_slot_s(members(1), T0, T0 + DAY_S) is None
    assert store.last_slots_s(members(1), T0, T0 + DAY_S) == {}
    assert store.check() == []


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize(
    ("step_s", "expected"),
    [
        (0, Sums([0], [T0], [15], [150], [None], [3])),
        (300, Sums([0] * 3, [T0, T0 + 300, T0 + DAY_S], [3, 4, 8], [30, 40, 80], [None] * 3, [1, 1, 2])),
        (1800, Sums([0] * 2, [T0, T0 + DAY_S], [7, 8], [70, 80], [None] * 2, [1, 2])),
        (3600, Sums([0] * 2, [T0, T0 + DAY_S], [7, 8], [70, 80], [None] * 2, [1, 2])),
        (86400, Sums([0] * 2, [T0, T0 + DAY_S], [7, 8], [70, 80], [None] * 2, [1, 2])),
    ],
)
def test_sums_by_each_step(store: UsageStore, feed: Feed, step_s: int, expected: Sums, flush: bool) -> None:
    feed((1, T0, 1, 10, UNKNOWN, 1), (1, T0 + 299, 2, 20, UNKNOWN, 0), (1, T0 + 300, 4, 40, UNKNOWN, 1))
    feed((1, T0 + DAY_S, 8, 80, UNKNOWN, 2), (2, T0, 1000, 1000, 1000, 1))
    if flush:
        store.flush()
    assert store.sums(members(1), T0, T0 + 2 * DAY_S, step_s) == expected


@pytest.mark.parametrize("step_s", [0, 300, 1800, 3600, 86400])
def test_edges_are_exact_to_the_slot(store: UsageStore, feed: Feed, step_s: int) -> None:
    feed.fold(np.array([(1, T0 // 300 + i, 1, i, 1, 1) for i in range(3 * 288)], SLOT_ROW))
    store.flush()
    for start, end in [(1, 863), (5, 6), (7, 11), (0, 288), (5, 7), (287, 577), (300, 301), (6, 12), (288, 576)]:
        sums = store.sums(members(1), T0 + 300 * start, T0 + 300 * end, step_s)
        assert sum(sums.bytes_in) == end - start  # type: ignore[arg-type]
        assert sum(sums.bytes_out) == sum(range(start, end))  # type: ignore[arg-type]


def test_an_unknown_amount_is_not_zero(store: UsageStore, feed: Feed) -> None:
    feed((1, T0, UNKNOWN, 0, 1, 1), (1, T0 + 300, UNKNOWN, UNKNOWN, 1, 1), (2, T0, 5, UNKNOWN, UNKNOWN, 1))
    got = store.sums(together(members(1), members(2, group=1), members(1, 2, group=2)), T0, T0 + DAY_S, 0)
    assert got == Sums([0, 1, 2], [T0] * 3, [None, 5, 5], [0, None, 0], [2, None, 2], [1] * 3)


def test_sums_stay_exact_beyond_64_bits(store: UsageStore, feed: Feed) -> None:
    amount = 2**62 - 1
    for _ in range(3):
        feed(*((1, T0 + 300 * i, amount, amount - i, 0, 1) for i in range(9)))
        store.flush()
    got = store.sums(members(1), T0, T0 + DAY_S, 86400)
    assert got.bytes_in == [27 * amount]
    assert got.bytes_out == [27 * amount - 3 * 36]
    assert got.requests == [0]
    assert store.mark().totals.bytes_in == 27 * amount
    assert store.check() == []


def test_groups_come_in_order_and_a_series_may_be_in_several(store: UsageStore, feed: Feed) -> None:
    feed((1, T0, 1, 1, 1, 1), (2, T0, 2, 2, 2, 2))
    got = store.sums(together(members(1, 2, group=7), members(2, group=-3), members(1, group=5)), T0, T0 + 300, 300)
    assert (got.group, got.bytes_in, got.flags) == ([-3, 5, 7], [2, 1, 3], [2, 1, 3])


def test_a_move_splits_a_series_at_its_instant(store: UsageStore, feed: Feed) -> None:
    feed(*((series, T0 + 300 * i, 1, 0, 0, 1) for i in range(600) for series in (1, 2)))
    store.flush()
    moved_s = T0 + 300 * 301
    asked = together(
        members(1, group=0, until_s=moved_s), members(1, group=1, from_s=moved_s),
        members(2, group=1, until_s=T0 + 300))
    got = store.sums(asked, T0, T0 + 600 * 300, 0)
    assert (got.group, got.bytes_in) == ([0, 1], [301, 300])
    assert sum(store.sums(asked, T0, T0 + 600 * 300, 1800).bytes_in) == 601  # type: ignore[arg-type]
    assert store.last_slot_s(members(1, until_s=moved_s), T0, END_S // 300 * 300) == moved_s - 300
    assert store.alive(asked, T0, T0 + 600 * 300, 300) == 601
    assert store.alive(asked, T0, T0 + 600 * 300, 1800) == 101


def test_alive_counts_measured_buckets_once(store: UsageStore, feed: Feed) -> None:
    feed((1, T0, 1, 1, 1, 1), (1, T0, 1, 1, 1, 2), (1, T0 + 300, 1, 1, 1, 2), (1, T0 + 1800, 1, 1, 1, 3))
    store.flush()
    feed((1, T0, 1, 1, 1, 1), (2, T0 + 900, 0, 0, UNKNOWN, 1))
    both = together(members(1, 2), members(1, group=1))
    assert store.alive(both, T0, T0 + DAY_S, 300) == 3
    assert store.alive(both, T0, T0 + DAY_S, 1800) == 3
    assert store.alive(both, T0 + 300, T0 + 1800, 1800) == 1
    assert store.alive(members(3), T0, T0 + DAY_S, 1800) == 0


def test_last_slot_is_the_newest_with_a_row(store: UsageStore, feed: Feed) -> None:
    feed((1, T0 + 900, 1, 1, 1, 0), (2, T0 + 5 * DAY_S + 7500, 1, 1, 1, 0))
    store.flush()
    feed((1, T0 + 600, 1, 1, 1, 0))
    assert store.last_slot_s(members(1), T0, T0 + 9 * DAY_S) == T0 + 900
    assert store.last_slot_s(members(1, 2), T0, T0 + 9 * DAY_S) == T0 + 5 * DAY_S + 7500
    assert store.last_slot_s(members(1, 2), T0, T0 + 5 * DAY_S + 7500) == T0 + 900
    assert store.last_slot_s(members(1), T0, T0 + 900) == T0 + 600
    assert store.last_slot_s(members(3), T0, T0 + 9 * DAY_S) is None


@pytest.mark.parametrize("flush", [False, True])
def test_the_last_slots_are_the_newest_of_each_group(store: UsageStore, feed: Feed, flush: bool) -> None:
    feed((1, T0 + 900, 1, 1, 1, 0), (2, T0 + 5 * DAY_S + 7500, 1, 1, 1, 0), (3, T0 + 2 * DAY_S, 1, 1, 1, 0))
    feed((1, T0 + 600, 1, 1, 1, 0), (4, T0 + 40 * DAY_S + 300, 1, 1, 1, 0), (9, T0 + 60 * DAY_S, 1, 1, 1, 0))
    if flush:
        store.flush()
    asked = together(members(1, group=10), members(2, 3, group=20), members(4, group=30), members(5, group=40))
    ends = T0, T0 + 90 * DAY_S
    assert store.last_slots_s(asked, *ends) == {
        10: T0 + 900, 20: T0 + 5 * DAY_S + 7500, 30: T0 + 40 * DAY_S + 300}
    assert store.last_slots_s(asked, T0, T0 + 5 * DAY_S) == {10: T0 + 900, 20: T0 + 2 * DAY_S}
    assert store.last_slots_s(asked, T0 + 900, T0 + 2 * DAY_S) == {10: T0 + 900}
    assert store.last_slots_s(asked, T0 + 1200, T0 + 2 * DAY_S) == {}
    moved = together(members(4, group=0, until_s=T0 + 40 * DAY_S), members(4, group=1, from_s=T0 + 40 * DAY_S))
    assert store.last_slots_s(moved, *ends) == {1: T0 + 40 * DAY_S + 300}


def test_last_slots_in_which_something_moved(store: UsageStore, feed: Feed) -> None:
    feed((1, T0, UNKNOWN, UNKNOWN, 1, 0), (1, T0 + 300, 0, 0, 0, 0), (1, T0 + DAY_S, UNKNOWN, UNKNOWN, UNKNOWN, 1))
    feed((2, T0 + 600, 0, 1, UNKNOWN, 0), (2, T0 + 9 * DAY_S, 0, 0, UNKNOWN, 0))
    feed((3, T0 + 900, 1, 0, 0, 0), (4, T0, 0, 0, 0, 3))
    asked = together(*(members(series, group=series) for series in (1, 2, 3, 4)))
    for _ in range(2):
        got = store.last_slots_s(asked, T0, T0 + 90 * DAY_S, moved_only=True)
        assert got == {1: T0, 2: T0 + 600, 3: T0 + 900}
        looked = {1: T0 + DAY_S, 2: T0 + 9 * DAY_S, 3: T0 + 900, 4: T0}
        assert store.last_slots_s(asked, T0, T0 + 90 * DAY_S) == looked
        store.flush()


def test_a_fold_counts_once(store: UsageStore) -> None:
    batch = rows((1, T0, 5, 5, 5, 1))
    mark = Mark(7, totals_of(batch))
    assert store.fold(batch, mark) is True
    assert store.fold(batch, mark) is False
    assert store.fold(batch, Mark(6)) is False
    assert store.mark() == mark
    assert store.sums(members(1), T0, T0 + 300, 0).bytes_in == [5]


def test_an_empty_fold_moves_the_mark(store: UsageStore) -> None:
    assert store.fold(rows(), Mark(3, Totals(events=1)))
    assert store.mark() == Mark(3, Totals(events=1))
    assert store.check() == []


def test_loaded_rows_are_in_every_tier_and_apart_from_the_mark(store: UsageStore, feed: Feed) -> None:
    feed((1, T0, 1, 1, 1, 1))
    store.load(np.array([(s, T0 // 300 + i, 2, UNKNOWN, 1, 1) for i in range(1000) for s in (2, 1)], SLOT_ROW))
    store.load(rows())
    for step_s in (0, 300, 1800, 86400):
        got = store.sums(members(1), T0, T0 + 9 * DAY_S, step_s)
        assert sum(got.bytes_in) == 2001  # type: ignore[arg-type]
    assert store.mark().position == 1
    assert store.check() == []


def test_compaction_ends_and_changes_no_answer(store: UsageStore, feed: Feed) -> None:
    for i in range(5):
        feed(*((series, T0 + 300 * slot, i, 1, 1, 1) for slot in range(0, 600, 7) for series in (3, 1, 2)))
        store.flush()
    asked = [(step_s, store.sums(members(1, 2, 3), T0, T0 + 9 * DAY_S, step_s)) for step_s in STEPS_S]
    for now_s in (T0 + DAY_S, T0 + 400 * DAY_S):
        calls = 0
        while store.compact(now_s):
            calls += 1
            assert calls < 50
        assert asked == [(step_s, store.sums(members(1, 2, 3), T0, T0 + 9 * DAY_S, step_s)) for step_s, _ in asked]
    assert store.check() == []


def test_forgetting_a_tier_moves_its_rows_to_the_start_of_the_coarser_slot(store: UsageStore, feed: Feed) -> None:
    feed(*((1, T0 + 300 * slot, 1, 1, 1, 1) for slot in range(3 * 288)))
    assert store.retain(300, T0 + DAY_S + 900) > 0
    whole = members(1)
    assert store.sums(whole, T0, T0 + 3 * DAY_S, 0).bytes_in == [864]
    assert store.sums(whole, T0, T0 + 1800, 300) == Sums([0], [T0], [6], [6], [6], [1])
    assert store.sums(whole, T0 + 300, T0 + 3600, 300).start_s == [T0 + 1800]
    assert len(store.sums(whole, T0 + DAY_S, T0 + DAY_S + 1800, 300).start_s) == 6
    assert store.retain(1800, T0 + DAY_S) > 0
    assert store.sums(whole, T0, T0 + 3 * DAY_S, 0).bytes_in == [864]
    assert store.sums(whole, T0 + 300, T0 + 3 * DAY_S, 0).bytes_in == [576]
    assert store.sums(whole, T0, T0 + 300, 1800).bytes_in == [288]
    assert store.last_slot_s(whole, T0, T0 + DAY_S) == T0
    assert store.last_slots_s(whole, T0, T0 + DAY_S) == {0: T0}
    assert store.last_slots_s(whole, T0 + 300, T0 + DAY_S) == {}
    assert store.check() == []
    assert store.retain(86400, T0 + DAY_S) > 0
    assert store.sums(whole, T0, T0 + 3 * DAY_S, 86400).start_s == [T0 + DAY_S, T0 + 2 * DAY_S]
    assert store.retain(86400, T0 + DAY_S) == 0
    assert store.check() == []


def test_what_comes_after_its_tier_was_forgotten_still_counts(store: UsageStore, feed: Feed) -> None:
    store.retain(86400, T0)
    store.retain(1800, T0 + DAY_S)
    store.retain(300, T0 + 2 * DAY_S)
    feed(*((1, T0 + at_s + 5 * 300, 1, 1, 1, 1) for at_s in (-DAY_S, 0, DAY_S, 2 * DAY_S)))
    store.load(rows((1, T0 - DAY_S, 1, 1, 1, 1), (1, T0 + DAY_S - 300, 1, 1, 1, 1)))
    expected = Sums([0] * 3, [T0, T0 + DAY_S, T0 + 2 * DAY_S + 1500], [2, 1, 1], [2, 1, 1], [2, 1, 1], [1] * 3)
    assert store.sums(members(1), T0 - 9 * DAY_S, T0 + 9 * DAY_S, 300) == expected
    store.flush()
    assert store.sums(members(1), T0 - 9 * DAY_S, T0 + 9 * DAY_S, 300) == expected
    assert store.check() == []


def test_check_finds_a_mark_that_the_sums_do_not_bear_out(store: UsageStore) -> None:
    store.fold(rows((1, T0, 5, 5, 5, 1)), Mark(1, Totals(1, 5, 6, 5)))
    found = store.check()
    assert [finding.check for finding in found] == ["totals"]
    assert "bytes_out" in found[0].detail
    assert found[0].remedy


@pytest.mark.parametrize("bounds", [(T0 + 1, T0 + 300, 300), (T0, T0 + 301, 300), (T0, T0 + 300, 600)])
def test_bounds_off_the_grid_are_a_defect_of_the_caller(store: UsageStore, bounds: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="s"):
        store.sums(members(1), *bounds)


def test_no_members_no_rows(store: UsageStore, feed: Feed) -> None:
    feed((1, T0, 5, 5, 5, 1))
    assert store.sums(members(), T0, T0 + 300, 0) == NOTHING
    assert store.sums(members(1), T0 + 300, T0, 0) == NOTHING
    assert store.sums(members(1, until_s=T0), T0, T0 + 300, 0) == NOTHING
    assert store.alive(members(), T0, T0 + 300, 300) == 0
    assert store.last_slot_s(members(), T0, T0 + 300) is None
    assert store.last_slots_s(members(), T0, T0 + 300) == store.last_slots_s(members(1), T0 + 300, T0) == {}


CALLS: dict[str, Callable[[UsageStore], object]] = {
    "mark": lambda store: store.mark(),
    "fold": lambda store: store.fold(rows(), Mark(9)),
    "load": lambda store: store.load(rows()),
    "sums": lambda store: store.sums(members(1), T0, T0 + 300, 0),
    "alive": lambda store: store.alive(members(1), T0, T0 + 300, 300),
    "last": lambda store: store.last_slot_s(members(1), T0, T0 + 300),
    "lasts": lambda store: store.last_slots_s(members(1), T0, T0 + 300),
    "flush": lambda store: store.flush(),
    "compact": lambda store: store.compact(T0),
    "retain": lambda store: store.retain(300, T0),
    "check": lambda store: store.check(),
    "close": lambda store: store.close(),
}


def test_a_closed_store_says_so(store: UsageStore) -> None:
    store.close()
    for call in CALLS.values():
        with pytest.raises(StorageError, match="closed"):
            call(store)


def test_readers_see_whole_folds_only(store: UsageStore, feed: Feed) -> None:
    """Each fold adds as much to series 1 in one day as to series 2 in another; a reader must never see them differ."""
    wrong: list[Sums] = []
    read = 0
    done = threading.Event()

    def keep_reading() -> None:
        nonlocal read
        asked = together(members(1), members(2, group=1))
        while not done.is_set() or read == 0:
            got = store.sums(asked, T0, T0 + 3 * DAY_S, 0)
            read += 1
            if len(set(got.bytes_in)) > 1 or len(got.group) == 1:
                wrong.append(got)

    reader = threading.Thread(target=keep_reading)
    reader.start()
    for i in range(40):
        feed((1, T0 + 300 * i, i, 1, 1, 1), (2, T0 + DAY_S + 600 * i, i, 1, 1, 1))
        if i % 5 == 4:
            store.flush()
        if i % 20 == 19:
            store.compact(T0 + 90 * DAY_S)
    done.set()
    reader.join()
    assert wrong == []
    assert read > 0
