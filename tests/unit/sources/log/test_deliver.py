"""The outbox to the server: in order, each body until it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from weighbridge.measurement import Receipt, Rejection
from weighbridge.sources.log.deliver import (
    LONGEST_ASKED_WAIT_S,
    LONGEST_UNPLACED_WAIT_S,
    LONGEST_WAIT_S,
    Delivery,
    UnansweredError,
)

if TYPE_CHECKING:
    from support.logs import Followed


@pytest.fixture
def full(followed: Followed) -> Followed:
    for number in range(3):
        followed.append(number)
        followed.poll()
    assert followed.place.waiting == 3
    return followed


def delivery_to(full, send):
    return Delivery("access.log", full.place, send, full.seconds)


def test_bodies_go_in_order_and_once(full):
    full.delivery.run()
    full.delivery.run()
    assert [event["id"] for event in full.server.events.values()] == ["1/0", "2/0", "3/0"]
    assert (full.place.waiting, full.server.bodies, full.place.counts["accepted"]) == (0, 3, 3)


def test_a_lost_answer_is_asked_for_again(full):
    delivery_to(full, full.server.lose_answer).run()
    assert full.place.waiting == 3
    full.crash()
    full.delivery.run()
    assert (full.place.counts["accepted"], full.place.counts["duplicates"]) == (2, 1)
    assert len(full.server.events) == 3


def test_waits_grow_to_a_bound_and_end_with_success(full):
    waits = []
    delivery = delivery_to(full, full.server.be_away)
    for _ in range(9):
        delivery.run()
        delivery.run()  # too early: nothing happens
        waits.append(delivery.wait_s())
        full.seconds.now_s += waits[-1]
    assert waits == [1, 2, 4, 8, 16, *[LONGEST_WAIT_S] * 4]
    assert delivery.failures == 9
    delivery._send = full.server.take
    with capture_logs() as told:
        delivery.run()
    assert (delivery.failures, delivery.last_failure, full.place.waiting) == (0, None, 0)
    assert [each["event"] for each in told] == ["delivery_works_again"]


@pytest.mark.parametrize(("asked_s", "wait_s"), [(0, 1), (7, 7), (10_000, LONGEST_ASKED_WAIT_S)])
def test_the_server_may_ask_for_a_wait(full, asked_s, wait_s):
    def send(_body):
        raise UnansweredError("busy", wait_s=asked_s)

    delivery = delivery_to(full, send)
    delivery.run()
    assert delivery.wait_s() == wait_s


def test_what_the_catalog_lacks_is_told_and_waits_until_it_is_there(full):
    full.server.refusing = {"app/2"}
    with capture_logs() as told:
        for _ in range(6):
            full.delivery.run()
            full.seconds.now_s += full.delivery.wait_s()
    assert full.delivery.wait_s() == 0
    assert [each["reason"] for each in told if each["event"] == "delivery_waits"] == [
        "lines belong to what the catalog lacks: no app/2; enter it"
    ] * 6
    assert told[-1]["once_more_in_s"] == LONGEST_UNPLACED_WAIT_S
    assert full.place.waiting == 2  # those behind wait too
    full.server.refusing = set()
    full.delivery.run()
    assert full.server.totals() == (3, 0 + 1 + 2)


def test_other_refusals_are_for_good_counted_and_shown(full):
    def send(_body):
        return Receipt(0, 0, tuple(Rejection(n, f"{n}", "too_many", "too many consumers") for n in range(6)))

    with capture_logs() as told:
        delivery_to(full, send).run()
    assert full.place.waiting == 0
    assert full.place.counts["refused.too_many"] == 18
    shown = [each for each in told if each["event"] == "refused"]
    assert len(shown) == 10
    assert (shown[0]["code"], shown[0]["detail"]) == ("too_many", "too many consumers")


def test_it_ends_when_it_is_told_to(full):
    left = [True]
    full.delivery.run(lambda: not left or left.pop() is None)
    assert full.place.waiting == 2
