"""Rounds of polling: paces, what is owed, portions, and the end."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from support.clock import HandClock
from support.counted import CountingSink
from weighbridge.collected import CounterReading, Thing, ThingKind
from weighbridge.sources import polled
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.polled import Rounds, UnreadError, save_state

NOON_US = 1_795_651_200_000_000
STOP = threading.Event()


class Counting:
    """A thing whose total grows by one with every poll."""

    def __init__(self, name="a", interval_s=0.05, names=("x",)):
        self.name, self.interval_s, self.names = name, interval_s, names
        self.counts = Counter()
        self.total = self.kept = 0
        self.is_closed = False
        self.error = None

    def read(self, now_us, stop):
        if self.error is not None:
            raise self.error
        self.total += 1
        self.counts["lines_unread"] += 1
        return [CounterReading(thing=Thing(ThingKind.TUNNEL, self.name, name), at_us=now_us, bytes_in=self.total, bytes_out=0)
                for name in self.names]

    def mark_kept(self):
        self.kept = self.total

    def close(self):
        self.is_closed = True


def rounds_of(things, sink, clock=None):
    return Rounds("test", things, Surroundings(sink, clock or HandClock(NOON_US), None, lambda: None))


def test_each_thing_has_its_own_pace_and_all_end_with_the_stop():
    ticking = HandClock(NOON_US)
    fast, slow = Counting("fast", 0.02), Counting("slow", 60)
    stop = threading.Event()
    sink = CountingSink()

    def sinking(collected):
        ticking.at_us += 1_000_000
        sink(collected)
        if fast.total == 5:
            stop.set()

    rounds_of([fast, slow], sinking, ticking).run(stop)
    assert (fast.total, slow.total) == (5, 1)
    assert fast.is_closed
    assert slow.is_closed
    assert sink.told["polls"] == 6


def test_what_the_sink_refused_is_handed_in_at_the_end():
    thing, sink, stop = Counting(), CountingSink(), threading.Event()
    rounds = rounds_of([thing], sink)
    sink.is_busy = True
    assert rounds.poll(thing, STOP) == 0
    assert thing.kept == 0
    sink.is_busy = False
    stop.set()
    rounds.run(stop)
    assert sink.counters == 1


def test_the_first_and_the_last_reading_of_a_counter_are_owed():
    thing, sink, clock = Counting(), CountingSink(), HandClock(NOON_US)
    rounds = rounds_of([thing], sink, clock)
    for busy in (True, True, True, False):
        sink.is_busy = busy
        clock.at_us += 1
        rounds.poll(thing, STOP)
    assert sink.outcomes == {"first": 1, "delta": 2}
    assert sink.received == {"x": 3}
    assert sink.told == {"polls": 4, "lines_unread": 4}
    assert thing.kept == 4


def test_what_is_owed_has_a_bound(monkeypatch):
    monkeypatch.setattr(polled, "OWED_MOST", 3)
    thing, sink, clock = Counting(names=("a", "b", "c", "d", "e")), CountingSink(), HandClock(NOON_US)
    rounds = rounds_of([thing], sink, clock)
    sink.is_busy = True
    rounds.poll(thing, STOP)
    sink.is_busy = False
    thing.names = ()
    rounds.poll(thing, STOP)
    assert (sink.counters, sink.told["readings_dropped"]) == (3, 2)


def test_many_readings_go_in_portions_and_what_comes_after_a_failure_is_owed(monkeypatch):
    monkeypatch.setattr(polled, "AT_ONCE", 2)
    thing, clock = Counting(names=tuple("abcde")), HandClock(NOON_US)
    sink = CountingSink()
    sizes = []

    def sinking(collected):
        sizes.append(len(collected.readings))
        sink.is_busy = len(sizes) == 2
        sink(collected)

    rounds = rounds_of([thing], sinking, clock)
    assert rounds.poll(thing, STOP) == 0
    assert thing.kept == 0
    clock.at_us += 1
    assert rounds.poll(thing, STOP) == 5
    assert sizes == [2, 2, 2, 2, 2, 2]  # a b, then refused; then c d, e a, b c, d e
    assert sum(sink.outcomes.values()) == 10
    assert sink.told == {"polls": 2, "lines_unread": 2}


@pytest.mark.parametrize(("error", "word"), [
    (UnreadError("gone", "interface_missing"), "interface_missing"), (PermissionError("not for you"), "polls_failed"),
])
def test_a_poll_that_fails_is_told_and_counted(error, word):
    thing, sink = Counting(), CountingSink()
    thing.error = error
    assert rounds_of([thing], sink).poll(thing, STOP) == 0
    assert sink.told == {word: 1}


def test_a_state_file_is_whole_and_its_owners(tmp_path):
    path = tmp_path / "a.json"
    save_state(path, b"one", is_durable=True)
    save_state(path, b"two", is_durable=False)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
