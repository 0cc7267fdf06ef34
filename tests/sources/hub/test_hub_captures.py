"""What the real clients sent: apitally for Python 0.25.1 under Starlette, for JS 0.25.8 under Express."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.hub import HubBench
from weighbridge.model import Endpoint
from weighbridge.sources.hub.decode import decode_startup, decode_sync

CAPTURES = Path(__file__).parent / "captures"
CLIENTS = {"python": ("python:starlette", "/items/{id}"), "js": ("js:express", "/items/:id")}
EXPECTED = {  # by consumer, method and path without its parameter: requests, bytes received, bytes sent
    "python": {
        ("alice", "GET", "/items"): (2, 0, 1500), ("alice", "HEAD", "/items"): (1, 0, 500),
        ("alice", "POST", "/upload"): (2, 2500, 8), ("alice", "GET", "/stream"): (2, 0, 3500),
        ("alice", "GET", "/healthz"): (1, 0, 2), ("alice", "GET", "/broken"): (1, 0, 0),
        ("bob", "GET", "/items"): (2, 0, 1510), ("bob", "HEAD", "/items"): (1, 0, 510),
        ("bob", "POST", "/upload"): (2, 2510, 8), ("bob", "GET", "/stream"): (2, 0, 3570),
        ("bob", "GET", "/healthz"): (1, 0, 2), ("bob", "GET", "/broken"): (1, 0, 0),
        (None, "GET", "/items"): (2, 0, 1520), (None, "HEAD", "/items"): (1, 0, 520),
        (None, "POST", "/upload"): (2, 2520, 8), (None, "GET", "/stream"): (2, 0, 3640),
        (None, "GET", "/healthz"): (1, 0, 2), (None, "GET", "/broken"): (1, 0, 0),
    },
}
EXPECTED["js"] = EXPECTED["python"] | {  # a stream has no length that the JS client knows beforehand
    ("alice", "GET", "/stream"): (2, 0, 2000), ("bob", "GET", "/stream"): (2, 0, 2040), (None, "GET", "/stream"): (2, 0, 2080),
    **{(consumer, "GET", "/broken"): (1, 0, 1139) for consumer in ("alice", "bob", None)},
}
each_client = pytest.mark.parametrize("client", CLIENTS)


def capture(client, name):
    return (CAPTURES / f"{client}_{name}").read_bytes()


@pytest.fixture
def hub(tmp_path):
    made = HubBench(tmp_path / "journal", environments=2, consumers=10)
    made.clock.at_us = 1_795_643_000 * 10**6
    yield made
    made.finish()


@each_client
def test_a_start_lists_the_routes(client):
    found = decode_startup(capture(client, "startup.json"))
    framework, item = CLIENTS[client]
    assert found.framework == framework
    assert found.unlisted == 0
    assert set(found.endpoints) == {
        Endpoint("GET", item), Endpoint("POST", "/upload"), Endpoint("GET", "/stream"), Endpoint("GET", "/healthz"),
        Endpoint("GET", "/broken"),
    }


@each_client
def test_a_sync_is_what_was_requested(client):
    found = decode_sync(capture(client, "sync.json"))
    counted = {(row.consumer, row.method, (row.path or "").replace("/:id", "").replace("/{id}", "")):
               (row.requests, row.bytes_in, row.bytes_out) for row in found.rows}
    assert counted == EXPECTED[client]
    assert found.consumers == {"alice": ("Alice A.", "gold"), "bob": ("Bob", None)}
    assert found.nameless == 0
    assert found.at_us == round(json.loads(capture(client, "sync.json"))["timestamp"] * 10**6)


@each_client
def test_a_heartbeat_counts_nothing(client):
    found = decode_sync(capture(client, "sync_empty.json"))
    assert (found.rows, found.consumers) == ((), {})


@each_client
def test_all_of_it_is_taken_once(hub, client):
    sent = [("startup", "startup.json"), ("sync", "sync_empty.json"), ("sync", "sync.json"), ("log?uuid=1", "log.ndjson.gz")]
    for _ in range(2):
        assert [hub.post(what, capture(client, name)).status_code for what, name in sent] == [202] * 4
        hub.reopen()
    totals = hub.journal.mark().totals
    expected = [sum(column) for column in zip(*EXPECTED[client].values(), strict=True)]
    assert [totals.requests, totals.bytes_in, totals.bytes_out] == expected
    (consumer,) = [each for each in hub.catalog.view().consumers.values() if each.identifier == "alice"]
    assert (consumer.name, consumer.group) == ("Alice A.", "gold")
    endpoint = hub.endpoint(path=CLIENTS[client][1], consumer=consumer.id)
    assert [sum(column) for column in zip(*endpoint.values(), strict=True)] == [0, 1500, 2]
