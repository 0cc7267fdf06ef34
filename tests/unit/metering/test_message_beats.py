"""Counts of an instance cover the time since its beat before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.message_bench import APP, NOW_S, MessageBench, at_us, beat, codes, message, usage
from weighbridge.domain.spread import spread
from weighbridge.measurement import RejectReason
from weighbridge.metering import messages as messages_module
from weighbridge.storage.journal import index as index_module


@pytest.fixture
def bench(tmp_path):
    made = MessageBench(tmp_path / "journal")
    yield made
    made.close()


def test_a_first_beat_counts_at_its_own_time_and_the_next_since_it(bench):
    bench.send(beat(-600, usage(-600, bytes_in=5)))
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {-600: (10, None, None), -300: (5, None, None)}


def test_beats_without_figures_move_the_time_too(bench):
    bench.send(beat(-900))
    bench.send(beat(-300))
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {-300: (10, None, None)}


def test_they_survive_a_restart_of_the_server(bench):
    bench.send(beat(-900))
    bench.reopen()
    bench.send(beat(-300, usage(-300, bytes_in=8)))
    bench.reopen()
    bench.send(beat(0, usage(0, bytes_in=2)))
    assert bench.slots(**APP) == {-900: (4, None, None), -600: (4, None, None), -300: (2, None, None)}


def test_an_older_beat_counts_at_its_own_time_and_moves_nothing(bench):
    bench.send(beat(-600))
    bench.send(beat(-1000, usage(-1000, bytes_in=1)))
    bench.send(beat(-600, usage(-600, bytes_in=2), message_id="the same instant"))
    bench.send(beat(0, usage(0, bytes_in=4)))
    assert bench.slots(**APP) == {-1200: (1, None, None), -600: (4, None, None), -300: (2, None, None)}


def test_instances_and_sources_have_their_own_time(bench):
    bench.send(beat(-900, instance="a"))
    bench.send(beat(-300, instance="b"))
    bench.send(replace(beat(-10, instance="a"), source="another"))
    bench.send(beat(0, usage(0, bytes_in=9), instance="a"))
    bench.send(beat(0, usage(0, bytes_in=10), instance="b"))
    assert bench.slots(**APP) == {-900: (3, None, None), -600: (3, None, None), -300: (13, None, None)}


def test_a_first_beat_counts_from_its_start(bench):
    bench.send(beat(-600, is_start=True))
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {-600: (5, None, None), -300: (5, None, None)}


def test_a_start_is_for_the_first_beat_alone(bench):
    """The start is heard when it arrives: seconds after the beats whose clock it must not shift."""
    bench.send(beat(-10, is_start=True))
    bench.send(beat(-600, usage(-600, bytes_in=1)))
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {-600: (6, None, None), -300: (5, None, None)}


def test_a_start_after_others_begins_anew(bench):
    """The process was started again and has the same name: it counted nothing while it was away."""
    bench.send(beat(-1200, is_start=True))
    bench.send(beat(-900))
    bench.reopen()
    bench.send(beat(-300, is_start=True))
    bench.reopen()
    bench.send(beat(0, usage(0, bytes_in=10)))
    bench.send(beat(300, usage(300, bytes_in=2)))
    assert bench.slots(**APP) == {-300: (10, None, None), 0: (2, None, None)}


def test_a_start_that_is_told_twice_is_one(bench):
    for _ in range(2):
        bench.send(beat(-600, is_start=True))
    bench.send(beat(-900, is_start=True))  # an older one
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {-600: (5, None, None), -300: (5, None, None)}


def test_a_start_after_the_last_beat_of_a_clock_behind_does_no_harm(bench):
    bench.send(beat(-600))
    bench.send(beat(100, is_start=True))
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {-600: (5, None, None), -300: (5, None, None)}


def test_a_refused_message_leaves_the_beat_where_it_was(bench):
    bench.send(beat(-900, is_start=True))
    assert codes(bench.send(beat(-300, usage(-300), usage(bytes_in=-1)))) == [RejectReason.INVALID]
    bench.send(beat(0, usage(0, bytes_in=9)))
    assert bench.slots(**APP) == {-900: (3, None, None), -600: (3, None, None), -300: (3, None, None)}


def test_a_retry_leaves_the_beat_where_it_is(bench):
    bench.send(beat(-600, usage(-600)))
    bench.send(beat(-300, usage(-300)))
    assert bench.send(beat(-600, usage(-600))).duplicates == 1
    bench.send(beat(0, usage(0, bytes_in=7)))
    assert bench.slots(**APP) == {-600: (2, None, None), -300: (7, None, None)}


def test_a_clock_far_ahead_does_not_make_the_rest_older(bench):
    bench.send(beat(-600))
    assert codes(bench.send(beat(3000, usage(3000)))) == [RejectReason.IN_FUTURE]
    bench.send(beat(3000, message_id="without figures"))
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {-600: (5, None, None), -300: (5, None, None)}


def test_figures_with_a_start_of_their_own_keep_it(bench):
    bench.send(beat(-900))
    bench.send(beat(0, usage(0, start_us=at_us(-300), bytes_in=4), usage(0, bytes_in=3)))
    assert bench.slots(**APP) == {-900: (1, None, None), -600: (1, None, None), -300: (5, None, None)}


@pytest.mark.parametrize("away_s", [400 * 86400 + 1, 500 * 86400])
def test_after_more_than_400_days_it_counts_at_its_own_time(bench, away_s):
    bench.send(beat(-away_s))
    bench.send(beat(0, usage(0, bytes_in=10)))
    assert bench.slots(**APP) == {0: (10, None, None)}


def test_what_would_be_spread_too_far_counts_at_its_own_time(bench, monkeypatch):
    monkeypatch.setattr(messages_module, "SLOTS_A_MESSAGE", 6)
    bench.send(beat(-600))
    bench.send(beat(0, usage(0, bytes_in=10), usage(0, bytes_in=10), message_id="narrow"))
    bench.send(beat(600, usage(600, bytes_in=5), usage(600, bytes_in=5), usage(600, bytes_in=5), message_id="wide"))
    bench.clock.at_us = at_us(600)
    assert bench.slots(**APP) == {-600: (10, None, None), -300: (10, None, None)}
    receipt = bench.send(beat(600, usage(600, bytes_in=5), usage(600, bytes_in=5), usage(600, bytes_in=5), message_id="wide"))
    assert receipt.accepted == 3
    assert bench.slots(**APP) == {-600: (10, None, None), -300: (10, None, None), 600: (15, None, None)}


def test_heartbeats_alone_leave_the_index_of_ids_in_order(bench, monkeypatch):
    monkeypatch.setattr(index_module, "FREEZE_ROWS", 3)
    bench.send(message(usage()))
    for number in range(10):
        bench.send(beat(-600 + number))
    bench.reopen()
    assert bench.journal.check() == []
    assert bench.send(message(usage())).duplicates == 1
    assert bench.journal.mark().totals.events == 1


# The law: over any order, retries and restarts, each distinct message counts once, from where the rule says.

seconds = st.integers(-12, 2).map(lambda tenth: tenth * 150) | st.integers(-3000, 300)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["sync", "empty", "start"]), seconds, st.sampled_from("aab"), st.integers(1, 10**6)),
        st.tuples(st.sampled_from(["sync", "start"]), seconds, st.just("a"), st.integers(1, 10**6)),
        st.tuples(st.sampled_from(["retry", "restart"]), st.integers(0, 20), st.just("a"), st.just(0)),
    ),
    min_size=3,
    max_size=14,
)


class Referee:
    """The rule in its own words: it remembers everything, and looks back through it each time."""

    def __init__(self):
        self.told: list[tuple[str, int, str]] = []  # kind, seconds, instance, in the order of arrival
        self.slots: dict[int, int] = {}

    def hear(self, kind, seconds, instance, amount):
        own = [(k, s) for k, s, i in self.told if i == instance]
        beats = [s for k, s in own if k != "start"]
        newest = max(beats, default=None)
        if kind == "sync":
            since = seconds
            if newest is None or seconds > newest:
                since = max([s for s in (newest, self.fresh_start(own)) if s is not None and s < seconds], default=seconds)
            for start_s, part in spread(amount, at_us(since), at_us(seconds)):
                self.slots[start_s - NOW_S] = self.slots.get(start_s - NOW_S, 0) + part
        if kind == "start" or newest is None or seconds > newest:
            self.told.append((kind, seconds, instance))

    @staticmethod
    def fresh_start(own):
        """The newest start, unless a beat was taken as the newest since it was told."""
        starts = [(s, at) for at, (k, s) in enumerate(own) if k == "start"]
        newest = None
        for seconds, at in starts:
            if newest is None or seconds >= newest[0]:
                newest = (seconds, at)
        if newest is None or any(k != "start" for k, _ in own[newest[1] + 1:]):
            return None
        return newest[0]


@settings(deadline=None, max_examples=150)
@given(plan=steps)
def test_every_distinct_message_counts_once_over_the_time_since_its_beat_before(tmp_path_factory, plan):
    bench = MessageBench(tmp_path_factory.mktemp("law") / "journal")
    referee, sent = Referee(), []
    try:
        for number, (kind, seconds, instance, amount) in enumerate(plan):
            if kind == "restart":
                bench.reopen()
            elif kind == "retry":
                if sent:
                    assert bench.send(sent[seconds % len(sent)]).accepted == 0
            else:
                figures = [usage(seconds, bytes_in=amount)] if kind == "sync" else []
                each = beat(seconds, *figures, instance=instance, is_start=kind == "start", message_id=str(number))
                assert bench.send(each).accepted == len(figures)
                referee.hear(kind, seconds, instance, amount)
                if figures:
                    sent.append(each)
        found = {start_s: amounts[0] for start_s, amounts in bench.slots(**APP).items()}
        assert found == {start_s: amount for start_s, amount in referee.slots.items() if amount}
    finally:
        bench.close()
