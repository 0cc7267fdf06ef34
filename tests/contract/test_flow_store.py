"""One suite over every store of flows, refereed by one that is a list."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.flows import DAY_S, NOON, NOON_S, MemoryFlowStore, entries_of, flow, kept_of
from weighbridge.collected import Fate, FlowFlag
from weighbridge.domain.errors import ConflictError, StorageError
from weighbridge.storage.flows.store import SqliteFlowStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from weighbridge.ports import FlowStore, KeptSums

ALL = (0, NOON_S + 1000 * DAY_S)
LATER_S = NOON_S + 400 * DAY_S


@pytest.fixture(params=["sqlite", "memory"])
def store(request, tmp_path) -> Iterator[FlowStore]:
    made = SqliteFlowStore(tmp_path / "flows", lambda: 0) if request.param == "sqlite" else MemoryFlowStore()
    yield made
    try:
        made.close()
    except StorageError:
        return


def held(store: FlowStore, start_s: int = ALL[0], end_s: int = ALL[1], **more: bool):
    return entries_of(list(store.read(start_s, end_s, **more)))


def test_a_new_store_is_empty(store):
    assert held(store) == {}
    assert store.kept_since_s() == 0
    assert store.check() == []
    assert store.compact(LATER_S) == 0


def test_what_is_kept_is_read_by_slot_exporter_and_reach(store):
    piles = [
        kept_of(flow("192.0.2.10", 5, 7), flow("192.0.2.10", 1, 1), flow("2001:db8::1", 3, slot=NOON + 1)),
        kept_of(flow("192.0.2.10", 11), exporter="192.0.2.2"),
        kept_of(flow("192.0.2.10", 13), organization="org_acme", project="proj_a", fate=Fate.ATTRIBUTED),
    ]
    assert store.keep("a", b"1", piles) == frozenset()
    assert held(store) == entries_of(piles)
    assert held(store, NOON_S, NOON_S + 300) == {key: each for key, each in entries_of(piles).items() if key[0] == NOON}
    assert held(store, NOON_S + 300, NOON_S + 300) == held(store, 0, NOON_S) == {}


def test_slots_come_in_order(store):
    slots = [NOON + 300, NOON - 500, NOON, NOON + 1]
    store.keep("a", b"1", [kept_of(*(flow("192.0.2.10", 1, slot=slot) for slot in slots))])
    assert [int(pile.rows["slot"][0]) for pile in store.read(*ALL)] == store.slots(*ALL) == sorted(slots)
    assert store.slots(NOON_S, NOON_S + 300) == [NOON]
    assert store.slots(NOON_S + 600, NOON_S + 600) == []


def test_the_same_id_again_changes_nothing(store):
    piles = [kept_of(flow("192.0.2.10", 5), flow("192.0.2.10", 7, slot=NOON + 288))]
    store.keep("a", b"1", piles)
    assert store.keep("a", b"1", piles) == frozenset()
    store.keep("b", b"1", piles)
    assert sum(held(store)[NOON, "192.0.2.1", None, None].values()) == 2 * (5 + 1 + 1)


def test_the_same_id_with_another_content_is_refused(store):
    store.keep("a", b"1", [kept_of(flow("192.0.2.10", 5))])
    before = held(store)
    with pytest.raises(ConflictError):
        store.keep("a", b"2", [kept_of(flow("192.0.2.10", 6), flow("192.0.2.10", 1, slot=NOON - 288))])
    assert held(store) == before


def test_what_is_withdrawn_was_never_there(store):
    store.keep("a", b"1", [kept_of(flow("192.0.2.10", 5))])
    before = held(store)
    piles = [kept_of(flow("192.0.2.10", 7), flow("192.0.2.10", 8, slot=NOON + 288))]
    store.keep("b", b"2", piles)
    store.withdraw("b")
    assert held(store) == before
    assert store.keep("b", b"another", piles) == frozenset()
    assert held(store) != before


def test_only_what_was_new_is_withdrawn(store):
    """The second time the rows may be in the journal already: what is kept must not go."""
    piles = [kept_of(flow("192.0.2.10", 5))]
    store.keep("a", b"1", piles)
    store.keep("a", b"1", piles)
    store.withdraw("a")
    store.withdraw("never")
    assert held(store) == entries_of(piles)


def test_unattributed_rows_are_found_by_themselves(store):
    lonely = kept_of(flow("198.51.100.1", 5, flags=FlowFlag.LONELY), flow("::", 6, flags=FlowFlag.LONELY))
    store.keep("a", b"1", [lonely, kept_of(flow("192.0.2.10", 7), fate=Fate.ATTRIBUTED),
                           kept_of(flow("192.0.2.11", 8), fate=Fate.ELSEWHERE)])
    assert held(store, unattributed_only=True) == entries_of([lonely])


def test_a_slot_gets_other_fates_and_remembers_what_was_counted(store):
    rows = (flow("192.0.2.10", 5), flow("192.0.2.11", 6))
    store.keep("a", b"1", [kept_of(*rows)])
    store.keep("b", b"2", [kept_of(*rows), kept_of(flow("192.0.2.10", 1, slot=NOON + 1))])
    after = [kept_of(rows[0], rows[0], fate=Fate.ATTRIBUTED), kept_of(rows[1], rows[1])]
    store.replace(NOON, after)
    assert held(store, NOON_S, NOON_S + 300) == entries_of(after)
    assert store.keep("b", b"2", [kept_of(*rows), kept_of(flow("192.0.2.10", 1, slot=NOON + 1))]) == {NOON}
    assert store.keep("c", b"3", [kept_of(flow("192.0.2.10", 9))]) == frozenset()


def test_a_slot_cannot_get_other_amounts(store):
    store.keep("a", b"1", [kept_of(flow("192.0.2.10", 5))])
    for wrong in ([], [kept_of(flow("192.0.2.10", 6))], [kept_of(flow("192.0.2.10", 5, packets=2))]):
        with pytest.raises(ValueError, match="BUG"):
            store.replace(NOON, wrong)
    store.replace(NOON + 1, [])  # where nothing is kept, nothing may be noted as counted
    assert held(store) == entries_of([kept_of(flow("192.0.2.10", 5))])


def test_compaction_ends_and_changes_no_answer(store):
    for number in range(5):
        rows = [flow(f"192.0.2.{host}", number, 1, slot=NOON + slot) for host in range(4) for slot in (0, 1, 290)]
        store.keep(str(number), b"1", [kept_of(*rows[:7]), kept_of(*rows[7:], fate=Fate.ATTRIBUTED),
                                       kept_of(*rows, exporter="192.0.2.2", organization="org_acme")])
    before, loose = held(store), held(store, unattributed_only=True)
    calls = 0
    while store.compact(LATER_S):
        calls += 1
        assert calls < 50
    assert held(store) == before
    assert held(store, unattributed_only=True) == loose
    assert store.keep("0", b"1", []) == frozenset()
    store.keep("late", b"1", [kept_of(flow("192.0.2.1", 4))])
    while store.compact(LATER_S):
        calls += 1
    assert sum(each[key] for each in held(store).values() for key in each if key[1] == "bytes_in") == 3 * 2 * 4 * 10 + 4


def test_days_are_forgotten_whole_and_stay_forgotten(store):
    days = [kept_of(flow("192.0.2.10", day + 1, slot=NOON + 288 * day)) for day in range(4)]
    for number, pile in enumerate(days):
        store.keep(str(number), b"1", [pile])
    assert store.retain(NOON_S + DAY_S) == 1
    midnight_s = NOON_S - 12 * 3600 + DAY_S
    assert store.kept_since_s() == midnight_s
    assert held(store) == entries_of(days[1:])
    assert store.retain(NOON_S) == 0
    assert store.kept_since_s() == midnight_s
    store.keep("late", b"1", [kept_of(flow("192.0.2.10", 99, slot=NOON), flow("192.0.2.10", 7, slot=NOON + 576))])
    assert held(store) == entries_of([*days[1:], kept_of(flow("192.0.2.10", 7, slot=NOON + 576))])
    assert store.check() == []


def test_sums_stay_exact_beyond_64_bits(store):
    most = 2**53 - 1
    for number in range(1100):
        store.keep(str(number), b"1", [kept_of(flow("192.0.2.10", most, most))])
        if number % 100 == 99:
            store.compact(LATER_S)
    [sums] = held(store).values()
    assert {name: amount for (_, name), amount in sums.items()} == {
        "bytes_in": 1100 * most, "bytes_out": 1100 * most, "packets": 1100, "flows": 1100}


@pytest.mark.parametrize("bounds", [(1, 300), (0, 299)])
def test_bounds_off_the_slots_are_a_defect_of_the_caller(store, bounds):
    with pytest.raises(ValueError, match="slots"):
        list(store.read(*bounds))
    with pytest.raises(ValueError, match="slots"):
        store.slots(*bounds)


CALLS: dict[str, Callable[[FlowStore], object]] = {
    "keep": lambda store: store.keep("a", b"1", []),
    "withdraw": lambda store: store.withdraw("a"),
    "read": lambda store: list(store.read(0, 300)),
    "slots": lambda store: store.slots(0, 300),
    "replace": lambda store: store.replace(NOON, []),
    "compact": lambda store: store.compact(LATER_S),
    "retain": lambda store: store.retain(LATER_S),
    "since": lambda store: store.kept_since_s(),
    "check": lambda store: store.check(),
    "close": lambda store: store.close(),
}


def test_a_closed_store_says_so(store):
    store.close()
    for call in CALLS.values():
        with pytest.raises(StorageError, match="closed"):
            call(store)


ADDRESSES = ("192.0.2.10", "192.0.2.11", "2001:db8::1", "::")
SLOTS = tuple(NOON + number for number in (-300, -1, 0, 1, 150, 288))
ROWS = st.builds(
    lambda address, bytes_in, slot, flags: flow(address, bytes_in, 1, slot=slot, flags=flags),
    st.sampled_from(ADDRESSES), st.integers(0, 2**53 - 1), st.sampled_from(SLOTS), st.sampled_from([0, 1, 8, 24]),
)
PILES = st.lists(
    st.builds(
        lambda rows, fate, exporter, organization: kept_of(*rows, fate=fate, exporter=exporter, organization=organization),
        st.lists(ROWS, max_size=5), st.sampled_from(list(Fate)), st.sampled_from(["192.0.2.1", "192.0.2.2"]),
        st.sampled_from([None, "org_acme"]),
    ),
    max_size=3,
)
STEPS = st.one_of(
    st.tuples(st.just("keep"), st.sampled_from("abcdef"), PILES),
    st.tuples(st.just("retry"), st.sampled_from("abcdef"), st.none()),
    st.tuples(st.just("withdraw"), st.sampled_from("abcdef"), st.none()),
    st.tuples(st.just("compact"), st.none(), st.none()),
    st.tuples(st.just("replace"), st.sampled_from(SLOTS), st.sampled_from(list(Fate))),
    st.tuples(st.just("retain"), st.sampled_from([NOON_S, NOON_S + DAY_S]), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_any_course_of_events_ends_as_the_referee_says(steps):
    referee = MemoryFlowStore()
    brought: dict[str, tuple[bytes, list[KeptSums]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteFlowStore(Path(folder), lambda: 0)
        try:
            for what, first, second in steps:
                if what == "restart":
                    store.close()
                    store = SqliteFlowStore(Path(folder), lambda: 0)
                    referee._newest = ""  # nothing that another process kept can be withdrawn
                    continue
                answers = [_step(each, what, first, second, brought) for each in (store, referee)]
                if what in ("keep", "retry"):
                    assert answers[0] == answers[1]
                elif what == "retain":
                    assert store.kept_since_s() == referee.kept_since_s()
                assert held(store) == held(referee)
                assert held(store, unattributed_only=True) == held(referee, unattributed_only=True)
            assert store.check() == []
        finally:
            store.close()


def _step(store, what, first, second, brought):
    if what == "keep" and first not in brought:
        brought[first] = (first.encode(), second)
    if what in ("keep", "retry"):
        if first not in brought:
            return None
        corrected = store.keep(first, *brought[first])
        slots = {int(slot) for pile in brought[first][1] for slot in pile.rows["slot"]}
        return corrected & slots  # others are no affair of this id
    if what == "replace":
        piles = list(store.read(first * 300, first * 300 + 300))
        for pile in piles:
            pile.rows["fate"] = second
        return store.replace(first, piles)
    return {"withdraw": lambda: store.withdraw(first), "compact": lambda: store.compact(LATER_S),
            "retain": lambda: store.retain(first)}[what]()
