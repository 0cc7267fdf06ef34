"""Every store against the referee: random histories and questions, and answers that must be equal to the last bit."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weighbridge.measurement import SLOT_ROW, UNKNOWN, Mark, Totals, totals_of
from weighbridge.ports import MAX_EDGES, STEPS_S, Members
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_S = 86400
T0_S = 20_000 * DAY_S + 5 * 3600  # so that times cross days, weeks and four-week chunks
SPAN_SLOTS = 12 * 288
SERIES_MAX = 5

amounts = st.one_of(st.just(UNKNOWN), st.integers(0, 9), st.integers(2**62 - 3, 2**62 - 1))
slots = st.one_of(st.integers(0, 14), st.integers(0, SPAN_SLOTS)).map(lambda slot: T0_S // 300 + slot)
slot_rows = st.tuples(st.integers(1, SERIES_MAX), slots, amounts, amounts, amounts, st.integers(0, 3))
batches = st.lists(slot_rows, max_size=12).map(lambda entries: np.array(entries, SLOT_ROW))
instants = st.one_of(st.integers(-3, 20), st.integers(-300, SPAN_SLOTS + 300)).map(lambda slot: T0_S + 300 * slot)

steps = st.one_of(
    st.tuples(st.just("fold"), batches),
    st.tuples(st.just("fold"), batches),
    st.tuples(st.just("again"), batches),
    st.tuples(st.just("load"), batches),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("compact"), instants),
    st.tuples(st.just("reopen"), st.none()),
    st.tuples(st.just("retain"), st.tuples(st.sampled_from([300, 300, 1800, 86400]), instants)),
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[Members, int, int]:
    """Members, alike or each with stretches of its own that do not overlap within a group, and a range."""
    alike = draw(st.booleans())
    entries: set[tuple[int, int, int, int]] = set()
    for series, group in draw(st.sets(st.tuples(st.integers(1, SERIES_MAX + 1), st.integers(-2, 2)), max_size=8)):
        cuts = [] if alike else sorted(draw(st.sets(instants, max_size=3)))
        bounds = [0, *cuts, 2**62]
        stretches = list(pairwise(bounds))
        if not alike:
            stretches = stretches[draw(st.integers(0, 1)):]
        entries.update((series, group, from_s, until_s) for from_s, until_s in stretches)
    columns = list(zip(*sorted(entries), strict=True)) or [(), (), (), ()]
    start_s, end_s = sorted((draw(instants), draw(instants)))
    return Members(*columns), start_s, end_s


class Pair:
    """The store on trial and the referee, fed alike."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trial = DuckDBStore(folder)
        self.referee = MemoryStore()
        self.mark = Mark()

    def step(self, name: str, value: object) -> None:
        if name == "fold":
            assert isinstance(value, np.ndarray)
            self.mark = Mark(self.mark.position + 1, added(self.mark.totals, totals_of(value)))
            assert self.trial.fold(value, self.mark) is self.referee.fold(value, self.mark) is True
        elif name == "again":
            assert isinstance(value, np.ndarray)
            assert self.trial.fold(value, self.mark) is self.referee.fold(value, self.mark) is False
        elif name == "load":
            assert isinstance(value, np.ndarray)
            self.trial.load(value)
            self.referee.load(value)
        elif name == "reopen":
            self.trial.close()
            self.trial = DuckDBStore(self.folder)
        elif name == "retain":
            assert isinstance(value, tuple)
            self.trial.retain(*value)
            self.referee.retain(*value)
        elif name == "compact":
            assert isinstance(value, int)
            self.trial.compact(value)
        else:
            self.trial.flush()

    def ask(self, members: Members, start_s: int, end_s: int) -> None:
        asked = (members, start_s, end_s)
        for step_s in STEPS_S:
            assert self.trial.sums(*asked, step_s) == self.referee.sums(*asked, step_s)
            assert self.trial.sums(*asked, step_s, bytes_only=True) == self.referee.sums(*asked, step_s, bytes_only=True)
        for edges_s in windows_in(start_s, end_s):
            assert self.trial.sums_between(members, edges_s) == self.referee.sums_between(members, edges_s)
        for step_s in (300, 1800):
            assert self.trial.alive(*asked, step_s) == self.referee.alive(*asked, step_s)
        assert self.trial.last_slot_s(*asked) == self.referee.last_slot_s(*asked)
        for moved_only in (False, True):
            found = self.trial.last_slots_s(*asked, moved_only=moved_only)
            assert found == self.referee.last_slots_s(*asked, moved_only=moved_only)


def windows_in(start_s: int, end_s: int) -> list[list[int]]:
    """Edges of the range: itself, its days, its thirds on the 5-minute grid."""
    third_s = (end_s - start_s) // 3 // 300 * 300
    inner = [[], [day_s for day_s in range(0, end_s, 86400) if start_s < day_s], [start_s + third_s, end_s - third_s]]
    cut = [sorted({start_s, *edges_s, end_s}) for edges_s in inner]
    return [edges_s for edges_s in cut if 2 <= len(edges_s) <= MAX_EDGES]


def added(old: Totals, new: Totals) -> Totals:
    return Totals(
        old.events + new.events, old.bytes_in + new.bytes_in,
        old.bytes_out + new.bytes_out, old.requests + new.requests)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=2, max_size=10), st.lists(questions(), min_size=2, max_size=3))
def test_duckdb_answers_as_the_referee_does(
    history: list[tuple[str, object]], asked: list[tuple[Members, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        try:
            for name, value in history:
                pair.step(name, value)
            assert pair.trial.mark() == pair.referee.mark() == pair.mark
            for question in asked:
                pair.ask(*question)
            assert pair.trial.check() == pair.referee.check() == []
        finally:
            pair.trial.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path_factory.mktemp("full"))
    store.load(np.array([(1, T0_S // 300 + i, 1, 0, 0, 1) for i in range(600)], SLOT_ROW))
    yield store
    store.close()


instants_near = st.integers(-2, 620).map(lambda slot: T0_S + 300 * slot)


@settings(max_examples=25, deadline=None)
@given(step_s=st.sampled_from(STEPS_S), near=st.lists(instants_near, min_size=3, max_size=3).map(sorted))
def test_answers_for_neighbouring_ranges_add_up(full: DuckDBStore, step_s: int, near: list[int]) -> None:
    """Law 16, over a store with a row of 1 in each slot: the sum over a range is its length, however it is cut."""
    members = Members((1,), (0,), (0,), (2**62,))
    for start_s, end_s in pairwise(near):
        held = [max(0, min(end_s, T0_S + 600 * 300) - max(start_s, T0_S)) // 300]
        got = sum(amount or 0 for amount in full.sums(members, start_s, end_s, step_s).bytes_in)
        assert [got] == held

