"""Counter figures of messages: laws 8 to 14, with starts that are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.message_bench import APP, SERVER, MessageBench, at_us, codes, message, total, usage
from weighbridge.measurement import RejectReason
from weighbridge.metering.messages import Figure
from weighbridge.model import SeriesKey


@pytest.fixture
def bench(tmp_path):
    made = MessageBench(tmp_path / "journal")
    yield made
    made.close()


def test_the_first_reading_of_a_counter_bills_nothing_and_the_next_its_delta(bench):
    assert bench.send(message(total(-600, 100), message_id=None)).accepted == 1
    bench.send(message(total(0, 170), message_id=None))
    assert bench.slots(**SERVER) == {-600: (35, None, None), -300: (35, None, None)}


def test_a_counter_read_from_its_start_counts_whole_and_then_its_deltas(bench):
    start_us = at_us(-600)
    bench.send(message(total(-300, 100, start_us=start_us), from_start=True, message_id=None))
    bench.send(message(total(0, 130, start_us=start_us), from_start=True, message_id=None))
    assert bench.slots(**SERVER) == {-600: (100, None, None), -300: (30, None, None)}


def test_a_counter_that_started_again_counts_from_there(bench):
    bench.send(message(total(-600, 100, start_us=at_us(-900)), from_start=True, message_id=None))
    bench.send(message(total(0, 40, start_us=at_us(-300)), from_start=True, message_id=None))
    assert bench.slots(**SERVER) == {-900: (100, None, None), -300: (40, None, None)}


def test_a_decrease_without_a_start_counts_nothing(bench):
    for seconds, value in ((-900, 100), (-600, 40), (-300, 45)):
        bench.send(message(total(seconds, value), message_id=None))
    assert bench.total(**SERVER)[0] == 5


def test_readings_of_a_message_are_taken_in_the_order_of_their_times(bench):
    receipt = bench.send(message(total(0, 70), total(-600, 0), total(-300, 50), message_id=None))
    assert receipt.accepted == 3
    assert bench.slots(**SERVER) == {-600: (50, None, None), -300: (20, None, None)}


def test_a_reading_again_is_a_duplicate_another_value_a_conflict_an_older_one_out_of_order(bench):
    bench.send(message(total(-300, 10), message_id=None))
    bench.send(message(total(0, 30), message_id=None))
    receipt = bench.send(message(total(0, 30), total(0, 31), total(-100, 20), message_id=None))
    assert (receipt.accepted, receipt.duplicates) == (0, 1)
    assert sorted((r.index, r.code) for r in receipt.rejected) == [(1, RejectReason.CONFLICT), (2, RejectReason.OUT_OF_ORDER)]
    assert bench.total(**SERVER)[0] == 20


def test_requests_are_a_counter_beside_those_of_bytes(bench):
    for seconds, values in ((-600, (0, 0, 0)), (-300, (10, 20, 3)), (0, (11, 22, 6))):
        figure = Figure(subject="app/1", end_us=at_us(seconds), counter="c", bytes_in=values[0], bytes_out=values[1],
                        requests=values[2])
        assert bench.send(message(figure, message_id=None)).accepted == 1
    assert bench.slots(**APP) == {-600: (10, 20, 3), -300: (1, 2, 3)}


def test_a_figure_is_refused_with_both_its_sides(bench):
    """Were the bytes' state to move and their rows to go, 40 bytes would be lost for ever."""
    def read(seconds, value, requests):
        return Figure(subject="app/1", end_us=at_us(seconds), counter="c", bytes_in=value, requests=requests)

    bench.send(message(read(-600, 100, None), read(-600, None, 0), message_id=None))
    bench.send(message(read(-300, None, 5), message_id=None))
    assert codes(bench.send(message(read(-300, 140, 6), message_id=None))) == [RejectReason.CONFLICT]
    bench.send(message(read(0, 150, 7), message_id=None))
    assert bench.total(**APP) == (50, 0, 7)


def test_a_direction_that_is_read_later_counts_from_its_start_too(bench):
    start_us = at_us(-900)

    def read(seconds, **totals):
        figure = Figure(subject="app/1", end_us=at_us(seconds), start_us=start_us, counter="c", **totals)
        return message(figure, message_id=None, from_start=True)

    bench.send(read(-600, bytes_in=10))
    bench.send(read(-300, bytes_in=11, bytes_out=8))
    bench.send(read(0, bytes_in=12, bytes_out=9))
    assert bench.slots(**APP) == {-900: (10, 4, None), -600: (1, 4, None), -300: (1, 1, None)}


def test_counters_are_told_apart_by_series_source_and_name(bench):
    bench.send(message(total(-600, 100), message_id=None))
    for other in (replace(message(total(0, 500), message_id=None), source="another"),
                  message(Figure(subject="server/sv_0", end_us=at_us(0), bytes_in=500, counter="eth1"), message_id=None),
                  message(Figure(subject="server/sv_1", end_us=at_us(0), bytes_in=500, counter="eth0"), message_id=None)):
        assert bench.send(other).accepted == 1
    assert bench.total(**SERVER)[0] == 0


def test_series_that_are_polled_are_marked_as_such(bench):
    bench.send(message(total(-600, 1), message_id=None))
    assert not bench.catalog.view().series_by_key[SeriesKey(**SERVER)].polled
    bench.send(message(total(-300, 2), usage(subject="server/nobody"), message_id=None, is_polled=True))
    assert bench.catalog.view().series_by_key[SeriesKey(**SERVER)].polled


def test_a_refused_whole_message_moves_no_counter(bench):
    bench.send(message(total(-600, 100), message_id="a", is_whole=True))
    refused = message(total(-300, 160), usage(301), message_id="b", is_whole=True)
    assert codes(bench.send(refused)) == [RejectReason.IN_FUTURE]
    bench.send(message(total(0, 170), message_id="c", is_whole=True))
    assert bench.slots(**SERVER) == {-600: (35, None, None), -300: (35, None, None)}


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(st.integers(0, 2**63), min_size=2, max_size=6), retried=st.integers(0, 5), portion=st.integers(1, 3))
def test_the_deltas_of_a_counter_add_up_to_its_last_total(tmp_path_factory, steps, retried, portion):
    bench = MessageBench(tmp_path_factory.mktemp("law") / "journal")
    try:
        totals = [0]
        for step in steps:
            totals.append(min(totals[-1] + step, 2**64 - 1))
        readings = [total(-3000 + 300 * n, value) for n, value in enumerate(totals)]
        cuts = [*range(0, len(readings), portion), len(readings)]
        for first, past in pairwise(cuts):
            for _ in range(2 if first == retried else 1):
                bench.send(message(*readings[first:past], message_id=None))
        assert bench.total(**SERVER)[0] == totals[-1]
    finally:
        bench.close()
