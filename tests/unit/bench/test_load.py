"""What the load generator sends is what it says: valid events, ids that never repeat, answers read to their end."""

from __future__ import annotations

import numpy as np
import pytest
from bench.bodies import Batches, Singles
from bench.client import Account
from bench.connection import BrokenAnswerError, missing_bytes, post_head
from bench.peer_usage import _HEAD, _as_wire
from bench.world import APP, PROJECT, World

from weighbridge.measurement import SLOT_ROW
from weighbridge.sources.events.decode import decode

NOW_S = 1_765_728_000
SUBJECTS = ["server/sv_1", "space/1001", "app/1|env-1|consumer-2"]
HEAD = post_head("/api/v1/events", "key", "application/json", 0).replace(b"Length: 0", b"Length: %d")


def events_of(request: bytes) -> list:
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return list(decode(body, "application/json").events)


def test_batches_are_valid_and_never_repeat_an_id():
    source = Batches(HEAD, "run", SUBJECTS, NOW_S, 100)
    events = [event for _ in range(20) for event in events_of(source.next())]
    assert len({event.id for event in events}) == len(events) == 2000
    assert {event.subject for event in events} == {"server/sv_1", "space/1001", "app/1"}
    assert {(event.data.environment, event.data.consumer) for event in events if event.subject == "app/1"} == {
        ("env-1", "consumer-2")
    }


def test_singles_are_valid_and_never_repeat_an_id():
    source = Singles(HEAD, "run", SUBJECTS, NOW_S)
    events = [events_of(source.next())[0] for _ in range(10)]
    assert len({event.id for event in events}) == 10
    assert [event.subject for event in events[:3]] == ["server/sv_1", "space/1001", "app/1"]


def test_an_answer_is_read_to_its_end():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert [missing_bytes(answer[:cut]) > 0 for cut in range(len(answer) + 1)] == [True] * len(answer) + [False]
    with pytest.raises(BrokenAnswerError):
        missing_bytes(b"HTTP/1.1 200 OK\r\n\r\n")


def test_accepted_events_are_counted_behind_other_answers():
    account = Account()
    account.enter("events", b'HTTP/1.1 200 OK\r\n\r\n{"accepted":12,"duplicates":0,"rejected":[]}', 0.002)
    account.enter("events", b"HTTP/1.1 503 Busy\r\n\r\n{}", 0.001)
    assert (account.requests, account.accepted) == (2, 12)
    assert account.statuses == {"200": 1, "503": 1}
    assert account.latencies_ms == {"events": [2.0, 1.0]}


def test_a_world_has_as_many_series_as_it_says():
    world = World(320, 60, NOW_S)
    keys = world.keys()
    assert len(set(keys)) == len(keys) == len(world.subjects()) == 320
    assert sum(project == PROJECT for _, project, _ in world.servers()) == 32
    assert sum(subject.startswith(f"app/{APP}|") for subject in world.subjects()) == 50


def test_the_peer_is_given_the_same_sums():
    rows = np.zeros(2 * 12, SLOT_ROW)
    rows["series"] = np.repeat([1, 2], 12)
    rows["slot"] = np.tile(np.arange(600, 612), 2)
    rows["bytes_in"] = np.arange(24)
    rows["bytes_out"] = 2 * np.arange(24)
    rows["requests"] = -1  # unknown: nothing in the peer
    wire = _as_wire(rows, 6, 2)
    assert _HEAD.startswith(b"PGCOPY")
    assert [(row["slot"], row["series"], row["bytes_in"]) for row in wire] == [
        (100, 1, 15), (100, 2, 87), (101, 1, 51), (101, 2, 123)
    ]
    assert wire["bytes_out"].sum() == rows["bytes_out"].sum()
    assert wire["requests"].sum() == 0
