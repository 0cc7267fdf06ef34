"""Sums as bodies of events."""

from __future__ import annotations

import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from support.logs import SLOT_S, sum_of
from weighbridge.measurement import MAX_AMOUNT
from weighbridge.sources.log.decode import Sum
from weighbridge.sources.log.outgoing import BODY_BYTES, BODY_EVENTS, named_bodies, numbered_bodies


def events_of(bodies):
    return [event for body in bodies for event in json.loads(gzip.decompress(body.content))]


def test_what_an_event_says():
    told = Sum("app/1", "prod", "alice", "GET", "/items/{id}", SLOT_S, 7, None, 0)
    (event,) = events_of(numbered_bodies([told], "log/x", 5))
    assert event == {
        "specversion": "1.0", "source": "log/x", "id": "5/0", "type": "weighbridge.usage", "subject": "app/1",
        "time": "2025-11-24T16:00:00Z",
        "data": {"environment": "prod", "consumer": "alice", "method": "GET", "path": "/items/{id}", "requests": 7,
                 "bytes_out": 0},
    }


def test_many_sums_are_several_bodies():
    sums = [sum_of("app/1", SLOT_S, 1, n) for n in range(BODY_EVENTS + 3)]
    numbered = numbered_bodies(sums, "log/x", 5)
    assert [(body.number, body.events) for body in numbered] == [(5, BODY_EVENTS), (6, 3)]
    assert [each["id"] for each in events_of(numbered)][-4:] == [f"5/{BODY_EVENTS - 1}", "6/0", "6/1", "6/2"]
    named = named_bodies(sums, "log/x", "abc")
    assert [each["id"] for each in events_of(named)] == [f"abc/{n}" for n in range(len(sums))]
    assert named == named_bodies(sums, "log/x", "abc")


def test_long_names_are_several_bodies_too():
    sums = [sum_of("app/1", SLOT_S, 1, n, path="/" + "\u0001" * 1000) for n in range(3000)]
    bodies = numbered_bodies(sums, "log/" + "x" * 36, 2**40)
    assert len(bodies) > 2
    assert all(len(gzip.decompress(body.content)) <= BODY_BYTES for body in bodies)
    assert len(events_of(bodies)) == 3000


@given(st.lists(st.tuples(st.integers(0, 3 * MAX_AMOUNT), st.none() | st.integers(0, 3 * MAX_AMOUNT))))
def test_amounts_are_exact_however_large(amounts):
    events = events_of(numbered_bodies([sum_of("app/1", SLOT_S, n, out) for n, out in amounts], "log/x", 1))
    data = [event["data"] for event in events]
    assert all(amount <= MAX_AMOUNT for each in data for amount in each.values())
    assert sum(each["requests"] for each in data) == sum(n for n, _ in amounts)
    assert sum(each.get("bytes_out", 0) for each in data) == sum(out or 0 for _, out in amounts)
    assert any("bytes_out" in each for each in data) is any(out is not None for _, out in amounts)
    assert len({event["id"] for event in events}) == len(events)
