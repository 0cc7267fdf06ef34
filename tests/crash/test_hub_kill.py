"""What the hub has answered is there after kill -9, and nothing of it counts again."""

from __future__ import annotations

import time

import httpx

from support.hub import CLIENT_ID, row, startup, sync
from support.process import Server

ROUNDS = 2
APP = {"id": 1, "name": "shop-api", "client_id": CLIENT_ID}


def post(server, what, body):
    return httpx.post(f"{server.url}/v2/{CLIENT_ID}/prod/{what}", json=body, timeout=30)


def traffic(server):
    """Requests, received, sent, once two answers a fold apart are the same."""
    with server.client() as api:
        found = None
        while True:
            listed = api.get("/v1/apps/1/traffic").raise_for_status().json()["data"]
            again = [sum(each[name] for each in listed) for name in ("requests", "bytes_received", "bytes_sent")]
            if again == found:
                return again
            found = again
            time.sleep(0.4)


def test_syncs_that_were_answered_survive_and_their_retries_count_nothing(tmp_path):
    server = Server(tmp_path / "data")
    answered = []
    with server:
        with server.client() as api:
            organization = {"id": "org_acme", "slug": "acme", "name": "Acme", "apps": [APP]}
            api.put("/api/v1/catalog", json={"organizations": [organization]}).raise_for_status()
        for turn in range(ROUNDS):
            path = f"/items/{turn}"
            assert post(server, "startup", startup(("get", path))).status_code == 202
            for number in range(5):
                alice = {"identifier": f"alice-{turn}", "name": f"Alice {turn}"}
                told = sync(0, row(7, 11, 13, path=path), row(1, consumer=alice["identifier"]), message=100 * turn + number,
                            timestamp=time.time(), consumers=[alice])
                assert post(server, "sync", told).json() == {"accepted": 2, "duplicates": 0}
                answered.append(told)
            server.kill()
            server.start()
            with server.client() as api:
                consumers = api.get("/api/v1/consumers", params={"app": 1}).json()["data"]
            assert {each["name"] for each in consumers} == {f"Alice {before}" for before in range(turn + 1)}
            for told in answered[-7:]:
                assert post(server, "sync", told).json() == {"accepted": 0, "duplicates": 2}
            count = len(answered)
            assert traffic(server) == [8 * count, 11 * count, 13 * count]
