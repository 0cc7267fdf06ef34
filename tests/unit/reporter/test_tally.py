"""Sums while they are made: exact from many threads, never waited for, and bounded."""

from __future__ import annotations

import gc
import threading

from weighbridge.reporter import tally as module
from weighbridge.reporter.tally import Tally, size

KEY = ("prod", None, "GET", "/items/{id}")


def ended(tally, key=KEY, bytes_in=0, bytes_out=0):
    passage = tally.begin(lambda: key)
    passage.bytes_in, passage.bytes_out = bytes_in, bytes_out
    passage.end()
    return passage


def test_a_passage_is_entered_once_however_often_it_ends():
    tally = Tally()
    passage = ended(tally, bytes_in=3, bytes_out=5)
    passage.end()
    assert tally.cut() == {KEY: [3, 5, 1]}
    passage.end()
    assert tally.cut() == {}


def test_a_long_passage_is_in_every_interval_with_what_moved_in_it():
    tally = Tally()
    passage = tally.begin(lambda: KEY)
    passage.bytes_in = 7
    assert tally.cut() == {}  # nobody knows yet whose it is
    passage.identify()
    passage.bytes_out = 10
    assert tally.cut() == {KEY: [7, 10, 1]}
    assert tally.cut() == {}
    passage.bytes_out = 25
    assert tally.cut() == {KEY: [0, 15, 0]}
    passage.bytes_in = 8
    passage.end()
    assert tally.cut() == {KEY: [1, 0, 0]}
    assert not tally._living


def test_the_name_is_asked_once():
    asked = []
    passage = Tally().begin(lambda: asked.append(1) or KEY)
    passage.identify()
    passage.identify()
    passage.end()
    assert asked == [1]


def test_keys_beyond_the_bound_count_under_their_environment(monkeypatch):
    monkeypatch.setattr(module, "KEYS_AT_ONCE", 3)
    tally = Tally()
    for number in range(10):
        ended(tally, ("prod", f"c{number}", "GET", "/"), bytes_out=number)
    rows = tally.cut()
    assert len(rows) == 4
    assert rows["prod", None, None, None] == [0, sum(range(3, 10)), 7]
    assert sum(row[1] for row in rows.values()) == sum(range(10))


def test_a_request_that_ends_while_the_sums_are_in_use_does_not_wait():
    tally = Tally()
    with tally._lock:
        ended(tally, bytes_in=1)  # would hang if it waited
        ended(tally, bytes_in=2)
    assert tally.cut() == {KEY: [3, 0, 2]}


def test_a_request_that_garbage_collection_ends_inside_of_the_bookkeeping_is_counted():
    tally = Tally()

    class Forgotten:
        def __init__(self):
            self.itself = self  # only the collector finds it
            self.passage = tally.begin(lambda: KEY)
            self.passage.bytes_in = 1

        def __del__(self):
            self.passage.end()

    class Key(tuple):
        """A key whose look-up collects garbage: what CPython may do at any allocation."""

        __slots__ = ()

        def __hash__(self):
            gc.collect()
            return super().__hash__()

    for _ in range(20):
        Forgotten()
        ended(tally, Key(("prod", None, None, None)), bytes_in=100)
    gc.collect()
    rows = tally.cut()
    assert sum(row[0] for row in rows.values()) == 20 * 101
    assert sum(row[2] for row in rows.values()) == 40


def test_threads_and_cuts_at_once_lose_nothing():
    tally = Tally()
    threads, requests = 8, 3_000
    keys = [("prod", None, "GET", f"/{n}") for n in range(5)]
    seen = {}

    def work(seed):
        for number in range(requests):
            passage = tally.begin(lambda: keys[(seed + number) % 5])  # noqa: B023  asked at once
            passage.bytes_in += 1
            passage.identify()
            passage.bytes_out += number
            passage.end()

    def cut():
        for key, row in tally.cut().items():
            seen[key] = [a + b for a, b in zip(seen.get(key, (0, 0, 0)), row, strict=True)]

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        cut()
    cut()
    assert [sum(column) for column in zip(*seen.values(), strict=True)] == [
        threads * requests, threads * sum(range(requests)), threads * requests]
    assert not tally._living


def test_sizes_are_bytes():
    assert [size(b"abc"), size(bytearray(2)), size(memoryview(bytes(8)).cast("I")), size(b""), size(None)] == [3, 2, 8, 0, 0]
