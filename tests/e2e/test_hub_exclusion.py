"""Excluding an endpoint takes out what came before it, in 5.3 and in native usage alike; putting it back restores it."""

from __future__ import annotations

import httpx
import pytest

from support.application import ADMIN, application_in
from support.clock import HandClock
from support.hub import CLIENT_ID, row, startup, sync
from support.message_bench import at_us
from support.server import running

APP = {"id": 1, "name": "shop-api", "client_id": CLIENT_ID}
HOUR_S = 3600
EVERYTHING = {
    # as a client sends it: (consumer, method, path) → requests, received, sent
    (None, "GET", "/items/{item_id}"): (1_000_003, 11, 5_000_000_011),
    ("alice", "GET", "/items/{item_id}"): (17, 1_009, 7),
    ("alice", "POST", "/items/{item_id}"): (31, 2_003, 13),
    ("bob", "GET", "/items/:id"): (101, 3_001, 19),
    (None, "HEAD", "/items/:id"): (211, 0, 0),
    (None, "GET", "/healthz"): (100_000, 0, 1_700_001),
    (None, "", ""): (5, 6, 7),
}
EXCLUDED = {  # as an operator writes it → what it takes out
    "as the list of endpoints shows it": ([("GET", "/items/{item_id}")], [("GET", "/items/{item_id}")]),
    "in lower case": ([("get", "/healthz")], [("GET", "/healthz")]),
    "as Express spells its routes": ([("GET", "/items/:id")], [("GET", "/items/:id")]),
    "several": ([("Get", "/items/:id"), ("head", "/items/:id"), ("GET", "/healthz")],
                [("GET", "/items/:id"), ("HEAD", "/items/:id"), ("GET", "/healthz")]),
    "none that there is": ([("DELETE", "/items/{item_id}"), ("GET", "/items/{id}"), ("GET", "/ITEMS/:id")], []),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    clock = HandClock(at_us(0))
    with (
        application_in(tmp_path_factory.mktemp("site") / "data", clock) as application,
        running(application.app) as url,
        httpx.Client(base_url=url, headers={"Authorization": ADMIN}, timeout=30) as client,
    ):
        client.application = application
        put(client)
        client.post(f"/v2/{CLIENT_ID}/prod/startup", json=startup(("get", "/items/{item_id}"), ("GET", "/items/:id")))
        rows = [row(*amounts, consumer=consumer, method=method, path=path)
                for (consumer, method, path), amounts in EVERYTHING.items()]
        for number in range(4):  # the counts of each lie in the hour before it
            told = sync(-5 * HOUR_S + number * HOUR_S + 0.125, *rows, message=number)
            assert client.post(f"/v2/{CLIENT_ID}/prod/sync", json=told).status_code == 202
        application.fold()
        yield client


def put(client, *excluded):
    endpoints = [{"method": method, "path": path} for method, path in excluded]
    organization = {"id": "org_acme", "slug": "acme", "name": "Acme", "apps": [APP | {"excluded_endpoints": endpoints}]}
    client.put("/api/v1/catalog", json={"organizations": [organization]}).raise_for_status()


RANGE = {"start": "2025-12-14T08:00:00Z", "end": "2025-12-14T17:00:00Z"}


def vendors(client):
    """By hour: requests, received, sent, as 5.3 answers."""
    listed = client.get("/v1/apps/1/traffic", params=RANGE).json()["data"]
    return [(each["requests"], each["bytes_received"], each["bytes_sent"]) for each in listed]


def native(client):
    """The same from native usage."""
    query = {"from": RANGE["start"], "to": RANGE["end"], "window": "1h", "app": 1}
    listed = client.get("/api/v1/usage", params=query).json()["data"]
    return [(each["requests"], each["bytes_in"], each["bytes_out"]) for each in listed]


def added(listed):
    return tuple(sum(column) for column in zip(*listed, strict=True))


def expected(without=()):
    kept = [amounts for (_, method, path), amounts in EVERYTHING.items() if (method, path) not in without]
    return tuple(4 * each for each in added(kept))


@pytest.mark.parametrize("name", EXCLUDED)
def test_an_exclusion_takes_out_the_past_and_gives_it_back(site, name):
    written, taken_out = EXCLUDED[name]
    before = vendors(site)
    assert added(before) == expected()
    assert native(site) == before
    put(site, *written)
    without = vendors(site)
    assert added(without) == expected(taken_out)
    assert native(site) == without
    for hour, whole in zip(without, before, strict=True):
        assert all(left <= right for left, right in zip(hour, whole, strict=True))
    put(site)
    assert vendors(site) == before
    assert native(site) == before


def test_what_comes_after_an_exclusion_is_left_out_as_well(site):
    before = added(vendors(site))
    put(site, ("GET", "/late"))
    told = sync(-1, row(1000, 1000, 1000, path="/late"), row(3, 2, 1), message=900, instance=9)
    assert site.post(f"/v2/{CLIENT_ID}/prod/sync", json=told).json()["accepted"] == 2
    site.application.fold()
    assert added(vendors(site)) == added(native(site)) == (before[0] + 3, before[1] + 2, before[2] + 1)
    put(site)
    assert added(vendors(site)) == added(native(site)) == (before[0] + 1003, before[1] + 1002, before[2] + 1001)
