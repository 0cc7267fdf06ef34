"""The journal: order, totals, counters, trimming, and what stays true when the disk refuses."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.domain.errors import DamagedStoreError, DiskFullError, FolderNotWritableError, StorageError
from weighbridge.measurement import MEASUREMENT, Mark, Totals
from weighbridge.ports import CounterState
from weighbridge.storage.journal import index, store
from weighbridge.storage.journal.index import EventIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from weighbridge.storage.journal.store import SqliteJournal

KEY = ("org", "server:1", "router-7", "eth0")


def state(at_us: int) -> CounterState:
    return CounterState(at_us, 2**64 - 1, None, 64, 3)


def claim(journal: SqliteJournal, measurements: np.ndarray) -> list[int]:
    return journal.claim(measurements["key_hi"], measurements["key_lo"]).tolist()


@contextmanager
def files_no_longer_than(length: int) -> Iterator[None]:
    """The system refuses to let any file of this process grow beyond `length` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_appended_is_read_back_with_its_totals(opened, batch, accept) -> None:
    journal = opened()
    assert journal.mark() == Mark()
    assert [accept(journal, batch(3)), accept(journal, batch(500, 10, bytes_in=2**61))] == [1, 2]
    rows = list(journal.read(0, 10_000))
    assert [row.mark for row in rows] == [
        Mark(1, Totals(3, 30, 0, 3)), Mark(2, Totals(503, 30 + 500 * 2**61, 0, 503))]
    assert rows[0].measurements.tolist() == batch(3).tolist()
    assert rows[1].measurements.tolist() == batch(500, 10, bytes_in=2**61).tolist()
    assert journal.mark() == rows[-1].mark
    reopened = opened()
    assert reopened.mark() == rows[-1].mark
    assert reopened.read(1, 1)[0].measurements.tolist() == rows[1].measurements.tolist()
    assert reopened.check() == []


@pytest.mark.parametrize(("asked", "positions"), [
    ((0, 1), [1]), ((0, 4), [1, 2]), ((0, 5), [1, 2]), ((0, 6), [1, 2, 3]), ((0, 99), [1, 2, 3, 4]), ((2, 0), [3]),
    ((4, 9), [])])
def test_read_is_bounded_by_events_but_gives_one_row(opened, batch, accept, asked, positions) -> None:
    journal = opened()
    for number in range(4):
        accept(journal, batch(2, 1 + 2 * number))
    assert [row.mark.position for row in journal.read(*asked)] == positions


def test_claims_are_exact_within_a_call_and_over_time(opened, batch) -> None:
    journal = opened()
    for count in (4, 40):  # the scalar path and the other
        ids = batch(count, first=count * 1000)
        twice = np.concatenate((ids, ids))
        twice["key_lo"][-1] += np.uint64(1)
        assert claim(journal, twice) == [0] * count + [1] * (count - 1) + [2]
        journal.append(ids, {})
        assert claim(journal, twice) == [1] * (2 * count - 1) + [2]
        hi, lo = int(ids["key_hi"][0]), int(ids["key_lo"][0])
        assert [journal.known(hi, lo), journal.known(hi, lo ^ 1), journal.known(hi, lo ^ 2**32)] == [1, 2, 0]


def test_events_without_id_are_never_known(opened, batch) -> None:
    journal = opened()
    for count in (3, 30):
        nameless = batch(count, first=count * 100)
        nameless["key_hi"][1:] = nameless["key_lo"][1:] = 0
        assert claim(journal, nameless) == [0] * count
        journal.append(nameless, {})
        assert claim(journal, nameless) == [1] + [0] * (count - 1)
    assert journal.known(0, 0) == 0
    assert journal.check() == []


def test_the_parts_of_a_split_measurement_may_share_an_id(opened, batch) -> None:
    journal = opened()
    whole = batch(2)
    assert claim(journal, whole) == [0, 0]
    journal.append(np.concatenate((whole, whole[:1])), {})
    assert claim(journal, whole) == [1, 1]
    assert journal.mark().totals.events == 3
    assert journal.check() == []


def test_an_id_that_was_not_claimed_is_refused(opened, batch) -> None:
    journal = opened()
    assert claim(journal, batch(2)) == [0, 0]
    with pytest.raises(ValueError, match="was not claimed"):
        journal.append(batch(3), {})
    assert journal.mark() == Mark()
    assert journal.append(batch(2), {}).position == 1


def test_released_claims_are_new_again_and_appended_ids_are_not(opened, batch) -> None:
    journal = opened()
    assert claim(journal, batch(20)) == [0] * 20
    journal.release(batch(5)["key_hi"], batch(5)["key_lo"])
    journal.append(batch(15, first=6), {})
    journal.release(batch(20)["key_hi"], batch(20)["key_lo"])
    assert claim(journal, batch(20)) == [0] * 5 + [1] * 15
    assert claim(opened(), batch(20)) == [0] * 5 + [1] * 15  # open claims end with the process


def test_counters_are_kept_in_the_same_transaction(opened, batch, accept) -> None:
    journal = opened()
    assert journal.counter(KEY) is None
    assert journal.append(np.zeros(0, MEASUREMENT), {KEY: state(1)}) == Mark()  # a first reading bills nothing
    assert claim(journal, batch(1)) == [0]
    assert journal.append(batch(1), {KEY: state(2), (*KEY[:3], "eth1"): state(9)}).position == 1
    for again in (False, True):
        each = opened() if again else journal
        assert each.counter(KEY) == state(2)
        assert each.counter((*KEY[:3], "eth1")) == state(9)
        assert each.counter((*KEY[:3], "eth2")) is None


def test_counters_that_left_the_cache_are_read_again(opened, monkeypatch) -> None:
    monkeypatch.setattr(store, "COUNTERS_CACHED", 3)
    journal = opened()
    keys = [(*KEY[:3], f"eth{number}") for number in range(10)]
    for number, key in enumerate(keys):
        journal.append(np.zeros(0, MEASUREMENT), {key: state(number)})
    assert [journal.counter(key) for key in keys] == [state(number) for number in range(10)]


def freeze_all(journal: SqliteJournal) -> None:
    """The index covers every row."""
    journal._ids.freeze(journal.mark().position)
    assert journal._ids.wait_until_idle()


def test_counters_that_nobody_moves_any_more_are_forgotten_at_the_second_look(opened, monkeypatch) -> None:
    monkeypatch.setattr(store, "COUNTERS_LOOKED_AT", 3)
    journal = opened()
    keys = [(KEY[0], KEY[1], KEY[2], f"eth{number}") for number in range(10)]
    journal.append(np.zeros(0, MEASUREMENT), {key: state(number) for number, key in enumerate(keys)})
    assert journal.forget_counters(7) == 0                                # eth0 to eth6 are old, but have a turn
    journal = opened()
    journal.append(np.zeros(0, MEASUREMENT), {keys[2]: state(6)})         # still old, and alive
    assert journal.forget_counters(7) == 6
    assert [journal.counter(key) for key in keys] == [
        None, None, state(6), None, None, None, None, state(7), state(8), state(9)]
    journal = opened()
    assert [journal.counter(key) is None for key in keys[:3]] == [True, True, False]
    assert [journal.forget_counters(7), journal.forget_counters(7)] == [1, 0]
    assert journal.counter(keys[2]) is None
    journal.append(np.zeros(0, MEASUREMENT), {keys[2]: state(20)})        # read again: it begins anew
    assert [journal.forget_counters(20), journal.forget_counters(20)] == [0, 3]
    assert journal.counter(keys[2]) == state(20)


def test_a_turn_notes_no_more_counters_than_it_may(opened, monkeypatch) -> None:
    monkeypatch.setattr(store, "COUNTERS_LOOKED_AT", 3)
    monkeypatch.setattr(store, "STALE_NOTED", 5)
    journal = opened()
    journal.append(np.zeros(0, MEASUREMENT), {(*KEY[:3], f"eth{number}"): state(number) for number in range(10)})
    assert [journal.forget_counters(100) for _ in range(4)] == [0, 6, 4, 0]


def test_rows_go_only_when_fold_and_index_are_past_them(opened, batch, accept) -> None:
    journal = opened()
    for number in range(6):
        accept(journal, batch(2, 1 + 2 * number))
        if number == 3:
            freeze_all(journal)  # covers position 4
    assert journal.trim(0) == 0
    assert journal.trim(2) == 2
    assert journal.trim(6) == 2
    assert [row.mark.position for row in journal.read(0, 100)] == [5, 6]
    assert journal.check() == []
    freeze_all(journal)
    assert journal.trim(99) == 2
    assert list(journal.read(0, 100)) == []
    for again in (False, True):
        each = opened() if again else journal
        assert each.mark() == Mark(6, Totals(12, 120, 0, 12))
        assert each.check() == []
        assert claim(each, batch(12)) == [1] * 12
    assert accept(each, batch(1, 50)) == 7


def test_trimming_goes_in_bounded_pieces(opened, batch, accept, monkeypatch) -> None:
    monkeypatch.setattr(store, "TRIM_ROWS", 2)
    journal = opened()
    for number in range(5):
        accept(journal, batch(1, 1 + number))
    freeze_all(journal)
    assert journal.trim(5) == 5
    assert journal.check() == []


@pytest.mark.parametrize(("constant", "events"), [("FREEZE_EVENTS", 10), ("FREEZE_ROWS", 1)])
def test_events_without_id_do_not_pin_rows_for_ever(opened, monkeypatch, constant: str, events: int) -> None:
    monkeypatch.setattr(index, constant, events)
    journal = opened()
    journal.append(np.zeros(events, MEASUREMENT), {})
    assert journal._ids.wait_until_idle()
    assert journal.trim(1) == 1


def test_positions_go_on_behind_the_stores_mark(opened, batch, accept) -> None:
    journal = opened()
    accept(journal, batch(2))
    journal.ensure_after(1)
    assert journal.check() == []
    journal.ensure_after(5, Totals(70, 700, 7, 70))
    journal.ensure_after(3)
    for again in (False, True):
        each = opened() if again else journal
        assert each.mark() == Mark(5, Totals(70, 700, 7, 70))
        assert [finding.detail for finding in each.check()] == [
            "positions 2 to 5 were acknowledged and are not in the journal"]
    assert accept(each, batch(1, 30)) == 6
    assert each.mark() == Mark(6, Totals(71, 710, 7, 71))
    assert len(each.check()) == 1
    freeze_all(each)
    assert each.trim(6) == 2
    assert each.check() == []  # nothing is left to look after


def test_a_full_disk_keeps_nothing_and_releases_the_ids(opened, batch, accept) -> None:
    journal = opened()
    accept(journal, batch(1))
    pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.execute(f"PRAGMA max_page_count = {pages}")
    noise = batch(1000, 10)
    noise["bytes_in"] = np.random.default_rng(1).integers(0, 2**60, 1000)
    for counters in ({}, {KEY: state(1)}):
        assert claim(journal, noise) == [0] * 1000
        with pytest.raises(DiskFullError, match="make room"):
            journal.append(noise, counters)
        assert journal.mark().position == 1
        assert journal.counter(KEY) is None
    journal._writer.execute("PRAGMA max_page_count = 1000000")
    assert accept(journal, noise) == 2
    assert journal.check() == []
    assert claim(opened(), noise) == [1] * 1000


def test_a_failing_disk_keeps_nothing_and_releases_the_ids(opened, batch, accept) -> None:
    journal = opened()
    accept(journal, batch(100))
    assert claim(journal, batch(100, 200)) == [0] * 100
    with files_no_longer_than(1), pytest.raises(StorageError, match="disk"):
        journal.append(batch(100, 200), {})
    assert accept(journal, batch(100, 200)) == 2
    reopened = opened()
    assert [row.mark.position for row in reopened.read(0, 1000)] == [1, 2]
    assert reopened.check() == []


def test_a_database_that_became_read_only_is_called_so(opened, batch) -> None:
    journal = opened()
    journal._writer.execute("PRAGMA query_only = 1")
    assert claim(journal, batch(1)) == [0]
    with pytest.raises(FolderNotWritableError, match="write access"):
        journal.append(batch(1), {})
    assert claim(journal, batch(1)) == [0]


def test_an_index_that_cannot_be_written_refuses_claims_until_it_can(tmp_path: Path) -> None:
    ids_known = EventIndex(tmp_path / "index", freeze_ids=2)

    def settle(position: int) -> None:
        ids = np.array([position * 2, position * 2 + 1], np.uint64)
        assert ids_known.claim(ids, ids).tolist() == [0, 0]
        assert ids_known.begin(ids, ids) == 2
        ids_known.settle(position, 2)

    with files_no_longer_than(1000):
        for position in range(1, 5):
            settle(position)
        with pytest.raises(StorageError, match="disk"):
            settle(5)
        assert ids_known.position == 0
    assert ids_known.wait_until_idle()
    settle(5)
    assert ids_known.wait_until_idle()
    assert ids_known.position == 5
    assert ids_known.ids == 10
    assert len(list((tmp_path / "index").glob("*.run"))) == 4  # the failed attempts left nothing
    ids_known.close()


def test_a_long_write_ahead_log_starts_anew(opened, batch, accept, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(store, "WAL_BYTES", 100_000)
    journal = opened()
    log = tmp_path / "journal" / "journal.sqlite-wal"
    for number in range(40):
        accept(journal, batch(300, 1 + 300 * number))
        journal.checkpoint()
        assert log.stat().st_size < 200_000
    assert [row.mark.position for row in journal.read(0, 10**6)] == list(range(1, 41))


def test_damage_to_a_row_is_found_and_said(opened, batch, accept, tmp_path: Path) -> None:
    journal = opened()
    for number in range(3):
        accept(journal, batch(2, 1 + 2 * number))
    with sqlite3.connect(tmp_path / "journal" / "journal.sqlite") as other:
        other.execute("UPDATE rows SET measurements = zeroblob(100) WHERE position = 2")
        other.execute("UPDATE rows SET bytes_in_total = '41' WHERE position = 3")
    other.close()
    with pytest.raises(DamagedStoreError, match="row 2 of the journal is damaged"):
        journal.read(0, 100)
    details = [finding.detail for finding in journal.check()]
    assert details[0].startswith("row 2 of the journal is damaged")
    assert details[1] == "the totals of row 3 are not those of position 2 plus its own"


def test_rows_and_ids_that_vanished_are_found(opened, batch, accept, tmp_path: Path) -> None:
    journal = opened()
    for number in range(3):
        accept(journal, batch(2, 1 + 2 * number))
    with sqlite3.connect(tmp_path / "journal" / "journal.sqlite") as other:
        other.execute("DELETE FROM rows WHERE position = 2")
    other.close()
    assert [finding.detail for finding in journal.check()] == [
        "the totals of row 3 are not those of position 1 plus its own"]
    assert [finding.detail for finding in opened().check()] == [
        "the totals of row 3 are not those of position 1 plus its own",
        "the index holds 4 event ids, the journal accepted 6"]


@pytest.mark.parametrize("call", [
    lambda journal: journal.append(np.zeros(1, MEASUREMENT), {}), lambda journal: journal.read(0, 1),
    lambda journal: journal.trim(9), lambda journal: journal.checkpoint(), lambda journal: journal.check(),
    lambda journal: journal.counter(KEY), lambda journal: journal.ensure_after(9),
    lambda journal: claim(journal, np.ones(1, MEASUREMENT))])
def test_a_closed_journal_says_so(opened, call: Callable[[SqliteJournal], object]) -> None:
    journal = opened()
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="closed"):
        call(journal)


def test_a_batch_that_is_cut_stands_in_several_rows_of_one_transaction(opened, batch) -> None:
    journal = opened()
    measurements = batch(10)
    claim(journal, measurements)
    assert journal.append(measurements, {KEY: state(1)}, [3, 9]) == Mark(3, Totals(10, 100, 0, 10))
    rows = list(journal.read(0, 99))
    assert [len(row.measurements) for row in rows] == [3, 6, 1]
    assert np.concatenate([row.measurements for row in rows]).tolist() == measurements.tolist()
    assert rows[1].mark == Mark(2, Totals(9, 90, 0, 9))
    assert journal.check() == []
    reopened = opened()
    assert (reopened.mark(), reopened.counter(KEY), reopened.check()) == (rows[-1].mark, state(1), [])


def test_of_a_batch_that_is_cut_nothing_is_kept_when_its_last_row_fails(opened, batch, monkeypatch) -> None:
    journal = opened()
    measurements = batch(10)
    claim(journal, measurements)
    insert = journal._insert

    def full(place, part):
        if place.mark.position == 3:
            raise DiskFullError("no room")
        insert(place, part)

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_insert", full)
        with pytest.raises(DiskFullError):
            journal.append(measurements, {KEY: state(1)}, [3, 9])
    assert (journal.mark(), list(journal.read(0, 99)), journal.counter(KEY)) == (Mark(), [], None)
    assert claim(journal, measurements) == [0] * 10  # free for the retry
    assert journal.append(measurements, {}, [3, 9]).position == 3
