"""What waits: sealed batches never change, refused rows come again where that helps, and merging keeps every byte."""

from __future__ import annotations

import gzip
import json

import pytest

from weighbridge.reporter import tally
from weighbridge.reporter.post import Receipt
from weighbridge.reporter.spool import Spool, coarser

T = 1_765_728_000  # 2025-12-14T16:00:00Z
KEY = ("prod", "alice", "GET", "/items/{id}")
FULL = Receipt(1, 0, ())


def events_of(batch):
    return json.loads(gzip.decompress(batch.body))


def drain(spool):
    """All events that wait, answered as accepted."""
    found = []
    while (batch := spool.head()) is not None:
        found += events_of(batch)
        spool.settle(Receipt(len(batch.rows), 0, ()))
    return found


def refused(code, *indexes, of=1):
    return Receipt(of - len(indexes), 0, tuple((index, code, "because") for index in indexes))


def test_a_row_is_an_event_as_the_contract_has_it():
    spool = Spool("app/7")
    spool.add(T, T + 60, {KEY: [1, 2, 3], ("prod", None, None, None): [0, 0, 1]})
    first, second = drain(spool)
    source = first.pop("source")
    assert source.startswith("middleware/")
    assert first == {
        "specversion": "1.0", "id": "1-0", "type": "weighbridge.usage", "subject": "app/7", "time": "2025-12-14T16:00:00Z",
        "data": {"bytes_in": 1, "bytes_out": 2, "requests": 3, "duration_s": 60, "environment": "prod",
                 "consumer": "alice", "method": "GET", "path": "/items/{id}"}}
    assert (second["id"], second["source"]) == ("1-1", source)
    assert second["data"] == {"bytes_in": 0, "bytes_out": 0, "requests": 1, "duration_s": 60, "environment": "prod"}
    assert spool.is_empty()


def test_a_batch_stays_as_it_is_until_it_is_answered():
    spool = Spool("app/1")
    spool.add(T, T + 60, {KEY: [1, 2, 3]})
    batch = spool.head()
    for minute in range(1, 200):
        spool.add(T + 60 * minute, T + 60 * minute + 60, {KEY: [1, 1, 1]})
        assert spool.head() is batch
    spool.settle(FULL)
    assert spool.head().rows[0].id == "2-0"


def test_a_batch_takes_rows_of_several_intervals_and_no_more_than_its_bound():
    spool = Spool("app/1", batch_rows=5)
    for minute in range(3):
        spool.add(T + 60 * minute, T + 60 * minute + 60, {("e", str(n), None, None): [n, minute, 1] for n in range(3)})
    batch = spool.head()
    assert len(batch.rows) == 5
    found = drain(spool)
    assert len({event["id"] for event in found}) == len(found) == 9
    told = sorted((event["time"], event["data"]["consumer"], event["data"]["bytes_in"]) for event in found)
    assert told == [(f"2025-12-14T16:0{minute}:00Z", str(n), n) for minute in range(3) for n in range(3)]


def test_halves_are_the_same_events():
    spool = Spool("app/1")
    spool.add(T, T + 60, {("e", str(n), None, None): [n, 0, 1] for n in range(5)})
    whole = events_of(spool.head())
    assert spool.halve()
    assert len(spool.head().rows) == 2
    assert drain(spool) == whole
    spool.add(T, T + 60, {KEY: [1, 1, 1]})
    spool.head()
    assert not spool.halve()


@pytest.mark.parametrize("code", ["unknown_subject", "in_future"])
def test_what_mends_itself_is_offered_again_under_a_new_id(code):
    spool = Spool("app/1")
    spool.add(T, T + 60, {KEY: [1, 2, 3]})
    before = events_of(spool.head())[0]
    refusals = spool.settle(refused(code, 0))
    assert [(each.code, each.detail, each.is_lost) for each in refusals] == [(code, "because", False)]
    after = drain(spool)[0]
    assert after["id"] != before["id"]
    assert {**after, "id": before["id"]} == before


@pytest.mark.parametrize("code", ["unknown_subject", "in_future"])
def test_what_may_have_been_kept_before_it_was_refused_keeps_its_id(code):
    spool = Spool("app/1")
    spool.add(T, T + 60, {KEY: [1, 2, 3], ("prod", None, None, None): [4, 5, 6]})
    before = events_of(spool.head())
    spool.doubt()
    spool.settle(refused(code, 1, of=2))
    spool.add(T + 60, T + 120, {KEY: [1, 1, 1]})
    assert events_of(spool.head()) == before[1:]
    spool.settle(refused(code, 0))
    assert events_of(spool.head()) == before[1:]
    assert [event["id"] for event in drain(spool)] == ["1-1", "2-0"]


def test_a_conflict_is_offered_again_under_a_new_name():
    spool = Spool("app/1")
    spool.add(T, T + 60, {KEY: [1, 2, 3]})
    before = events_of(spool.head())[0]
    spool.settle(refused("conflict", 0))
    after = drain(spool)[0]
    assert after["source"] != before["source"]
    assert after["data"] == before["data"]


def test_what_is_refused_for_its_names_counts_without_them_and_its_neighbours_are_left_alone():
    spool = Spool("app/1")
    bob, other = ("prod", "bob", "GET", "/items/{id}"), ("x", "c", None, None)
    spool.add(T, T + 60, {KEY: [1, 2, 3], bob: [10, 20, 30], other: [5, 5, 5]})
    spool.head()
    spool.settle(refused("too_many", 0, 1, of=3))
    event, = drain(spool)
    assert event["data"] == {"bytes_in": 11, "bytes_out": 22, "requests": 33, "duration_s": 60, "environment": "prod",
                             "method": "GET", "path": "/items/{id}"}
    assert event["time"] == "2025-12-14T16:00:00Z"


def test_each_refusal_names_less_until_nothing_is_left_to_leave_out():
    keys = [KEY]
    while (key := coarser(keys[-1])) is not None:
        keys.append(key)
    assert keys[1:] == [("prod", None, "GET", "/items/{id}"), ("prod", None, None, None), (None, None, None, None)]
    spool = Spool("app/1")
    spool.add(T, T + 60, {KEY: [1, 2, 3]})
    fates = []
    while spool.head() is not None:
        fates += [each.is_lost for each in spool.settle(refused("invalid", 0))]
    assert fates == [False, False, False, True]


def test_a_code_that_is_not_known_is_no_reason_to_say_it_again():
    spool = Spool("app/1")
    spool.add(T, T + 60, {KEY: [1, 2, 3]})
    spool.head()
    assert [each.is_lost for each in spool.settle(refused("kept_as_something_else", 0))] == [True]
    assert spool.is_empty()


def test_what_waits_is_merged_beyond_its_bound_and_keeps_every_byte_and_its_time():
    spool = Spool("app/1", rows_waiting=20)
    total = [0, 0, 0]
    for minute in range(1_000):
        rows = {("e", str((minute + n) % 7), None, None): [minute, n, 1] for n in range(3)}
        spool.add(T + 60 * minute, T + 60 * minute + 60, rows)
        total = [total[0] + 3 * minute, total[1] + 3, total[2] + 3]
        assert spool.rows() <= 20
    found = drain(spool)
    assert [sum(event["data"][name] for event in found) for name in ("bytes_in", "bytes_out", "requests")] == total
    assert min(event["time"] for event in found) == "2025-12-14T16:00:00Z"
    stretches = {(event["time"], event["data"]["duration_s"]) for event in found}
    assert sum(duration_s for _, duration_s in stretches) == 60_000  # side by side, without a gap


def test_merging_ends_with_one_interval_whose_keys_are_bounded(monkeypatch):
    monkeypatch.setattr(tally, "KEYS_AT_ONCE", 10)
    spool = Spool("app/1", rows_waiting=15)
    for minute in range(50):
        spool.add(T + 60 * minute, T + 60 * minute + 60, {("e", str(minute), None, None): [1, 1, 1]})
        assert spool.rows() <= 15
    found = drain(spool)
    assert sum(event["data"]["requests"] for event in found) == 50
    assert any("consumer" not in event["data"] for event in found)


def test_text_of_any_script_is_sent_as_it_is():
    spool = Spool("app/1")
    spool.add(T, T, {("prod", "Žofie 株式会社 🚲", "GET", "/ž/{x}"): [1, 1, 1]})
    event, = drain(spool)
    assert (event["data"]["consumer"], event["data"]["duration_s"]) == ("Žofie 株式会社 🚲", 0)
