"""GET /api/v1/top, as a caller sees it."""

from __future__ import annotations

import pytest

from support.asking import get, good
from support.kit import ADMIN
from support.worlds import VPN

DAY = "from=2025-12-14&to=2025-12-15"
NOTHING = {"bytes_in": 0, "bytes_out": 0, "requests": 0}


def test_most_first_with_names_and_the_rest_in_one_sum() -> None:
    found = good(f"/api/v1/top?by=server&{DAY}&limit=1", ADMIN)
    assert found["meta"] == {
        "from": "2025-12-14T00:00:00Z", "to": "2025-12-15T00:00:00Z", "time_zone": "UTC",
        "watermark": "2025-12-14T16:00:00.000250Z", "by": "server", "metric": "bytes", "limit": 1, "coverage": 1.0,
    }
    assert found["data"] == [
        {"server": "sv_1", "name": "sv_1.test", "bytes_in": 1100, "bytes_out": 2200, "requests": None}]
    assert found["other"] == {"bytes_in": 15, "bytes_out": 6, "requests": 16}


def test_other_is_zeros_when_all_fit() -> None:
    assert good(f"/api/v1/top?by=organization&{DAY}")["other"] == NOTHING
    assert good("/api/v1/top?by=server&from=2025-12-14&to=2025-12-14") == {
        **good("/api/v1/top?by=server&from=2025-12-14&to=2025-12-14"), "data": [], "other": NOTHING}


@pytest.mark.parametrize(("by", "items"), [
    ("organization", [("org_acme", "Org_Acme", 1110), ("org_bolt", "Org_Bolt", 5)]),
    ("project", [("p2", "p2-slug", 1000), ("p1", "p1-slug", 100), ("p3", "p3-slug", 5)]),
    ("region", [("chile", "Chile", 1005), ("brazil", "Brazil", 110)]),
    ("vpn", [(VPN, "hq", 10)]),
    ("peer", [("alice", None, 10)]),
    ("app", [(1, "app 1", None)]),
    ("environment", [(1, "prod", None)]),
    ("consumer", [(7, "alice", None)]),
    ("space", []),
])
def test_each_kind_of_thing_by_its_id_and_name(by: str, items: list[tuple[object, ...]]) -> None:
    found = good(f"/api/v1/top?by={by}&{DAY}", ADMIN)["data"]
    assert [(item[by], item["name"], item["bytes_in"]) for item in found] == items


def test_a_peer_is_told_with_its_instance() -> None:
    assert good(f"/api/v1/top?by=peer&{DAY}")["data"][0]["vpn"] == VPN


def test_filters_narrow_it() -> None:
    found = good(f"/api/v1/top?by=project&{DAY}&region=brazil&metric=bytes_in")
    assert [item["project"] for item in found["data"]] == ["p1"]
    assert found["other"]["bytes_in"] == 10  # the VPN instance is in that region and in no project


@pytest.mark.parametrize(("query", "where"), [
    (DAY, "by"),
    (f"by=servers&{DAY}", "by"),
    (f"by=server&metric=packets&{DAY}", "metric"),
    (f"by=server&limit=0&{DAY}", "limit"),
    (f"by=server&limit=1001&{DAY}", "limit"),
    (f"by=server&limit=ten&{DAY}", "limit"),
    ("by=server&to=2025-12-15", "from"),
    (f"by=server&window=1d&{DAY}", "window"),
])
def test_a_mistake_is_422(query: str, where: str) -> None:
    answer = get(f"/api/v1/top?{query}")
    assert (answer.status_code, answer.json()["where"]) == (422, where)


def test_what_is_foreign_is_404() -> None:
    assert get(f"/api/v1/top?by=server&{DAY}&server=sv_2").status_code == 404
