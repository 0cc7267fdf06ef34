"""GET /api/v1/usage, as a caller sees it; /quota and /period beside it."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from support.asking import NARROW, OTHER, get, good, world_of_two
from support.kit import ADMIN, READER, SENDER
from support.worlds import VPN, World
from weighbridge.dialects.native.asking import ASKING_ROUTES

DAY = "/api/v1/usage?from=2025-12-14&to=2025-12-15"


def test_a_total_of_everything_in_sight() -> None:
    assert good(DAY + "&window=total") == {
        "meta": {
            "from": "2025-12-14T00:00:00Z", "to": "2025-12-15T00:00:00Z", "window": "total", "time_zone": "UTC",
            "watermark": "2025-12-14T16:00:00.000250Z", "coverage": 1.0, "estimated": False,
        },
        "data": [{
            "start": "2025-12-14T00:00:00Z", "end": "2025-12-15T00:00:00Z",
            "bytes_in": 1110, "bytes_out": 2200, "requests": 9,
        }],
    }


def test_every_window_for_every_group_by_start_then_keys() -> None:
    found = good("/api/v1/usage?from=2025-12-14T14:02:59Z&to=2025-12-14T16:04Z&window=1h&group_by=project&server=sv_1")
    assert [(row["start"][11:16], row["end"][11:16], row["project"], row["bytes_in"]) for row in found["data"]] == [
        ("14:00", "15:00", "p1", 100), ("14:00", "15:00", "p2", 0),
        ("15:00", "16:00", "p1", 0), ("15:00", "16:00", "p2", 1000),
    ]
    assert found["meta"]["from"] == "2025-12-14T14:00:00Z"
    assert found["meta"]["to"] == "2025-12-14T16:00:00Z"
    clipped = good("/api/v1/usage?from=2025-12-14T14:20Z&to=2025-12-14T15:10Z&window=1h&server=sv_1")["data"]
    assert [(row["start"][11:16], row["end"][11:16]) for row in clipped] == [("14:20", "15:00"), ("15:00", "15:10")]


def test_amounts_that_nobody_knows_are_null_and_where_nothing_moved_zero() -> None:
    rows = good(DAY + "&window=total&group_by=vpn,peer,app")["data"]
    columns = ("vpn", "peer", "app", "bytes_in", "bytes_out", "requests")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (VPN, "alice", None, 10, None, None),
        (None, None, 1, None, None, 9),
        (None, None, None, 1100, 2200, None),
    ]


def test_windows_and_instants_are_of_the_zone() -> None:
    found = good(DAY + "&window=1d&time_zone=Asia/Kathmandu")
    assert found["meta"]["from"] == "2025-12-14T00:00:00+05:45"
    assert [(row["start"], row["bytes_in"]) for row in found["data"]] == [("2025-12-14T00:00:00+05:45", 100 + 1010)]
    switch = good("/api/v1/usage?from=2025-03-09&to=2025-03-10&window=1h&time_zone=America/New_York")["data"]
    assert len(switch) == 23
    assert (switch[1]["end"], switch[2]["start"]) == ("2025-03-09T03:00:00-04:00",) * 2


def test_an_offset_beats_the_zone() -> None:
    range_ = "from=2025-12-14T00:00:00%2B01:00&to=2025-12-14T00:00Z"
    found = good(f"/api/v1/usage?{range_}&window=1h&time_zone=Europe/Berlin")
    assert [row["start"] for row in found["data"]] == ["2025-12-14T00:00:00+01:00"]


def test_an_empty_range_has_no_windows() -> None:
    assert good("/api/v1/usage?from=2025-12-14T00:01Z&to=2025-12-14T00:04Z")["data"] == []


def test_coverage_is_null_where_no_slot_is_over() -> None:
    assert good("/api/v1/usage?from=2030-01-01&to=2030-01-02")["meta"]["coverage"] is None


@pytest.mark.parametrize("accept", ["text/csv", "text/csv, */*;q=0.5", "text/*, application/json;q=0.9", "TEXT/CSV;q=1",
                                    "application/json;q=0.1, text/csv;q=0.2", "text/csv, */*"])
def test_the_same_rows_as_csv(accept: str) -> None:
    path = DAY + "&window=1h&group_by=app,server"
    answer = get(path, Accept=accept)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    expected = good(path)["data"]
    assert rows == [{name: "" if value is None else str(value) for name, value in row.items()} for row in expected]
    assert answer.text.splitlines()[0] == "start,end,app,server,bytes_in,bytes_out,requests"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", "application/json, text/csv;q=0.9",
                                    "text/csv;q=0, */*", "text/csv;q=x", ""])
def test_all_else_is_json(accept: str) -> None:
    assert get(DAY, Accept=accept).headers["content-type"] == "application/json"


@pytest.mark.parametrize(("query", "where", "word"), [
    ("to=2025-12-15", "from", "missing"),
    ("from=2025-12-15", "to", "missing"),
    ("from=yesterday&to=2025-12-15", "from", "2025-03-09"),
    ("from=1971-12-31&to=2025-12-15", "from", "1972"),
    ("from=2025-12-15&to=2025-12-14", "from", "after"),
    ("from=2025-12-14&to=2025-12-15&window=2h", "window", "1h"),
    ("from=2025-12-14&to=2025-12-15&time_zone=Mars/Base", "time_zone", "Europe/Berlin"),
    ("from=2025-12-14&to=2025-12-15&group_by=projekt", "group_by", "did you mean 'project'"),
    ("from=2025-12-14&to=2025-12-15&group_by=app,app", "group_by", "twice"),
    ("from=2025-12-14&to=2025-12-15&group_by=,", "group_by", "there are"),
    ("from=2025-12-14&to=2025-12-15&servr=sv_1", "servr", "did you mean 'server'"),
    ("from=2025-12-14&to=2025-12-15&x9=1", "x9", "there are from"),
    ("from=2025-12-14&to=2025-12-15&server=sv_1&server=sv_2", "server", "twice"),
    ("from=2025-12-14&to=2025-12-15&app=one", "app", "integer"),
    ("from=2025-12-14&to=2025-12-15&space=1.0", "space", "integer"),
    ("from=2000-01-01&to=2025-12-15&window=5m&group_by=server", "window", "shorter range"),
    ("from=2024-01-01&to=2025-12-15&window=5m", "window", "100000"),
])
def test_a_mistake_says_what_is_right(query: str, where: str, word: str) -> None:
    answer = get(f"/api/v1/usage?{query}")
    assert answer.status_code == 422
    assert answer.json()["where"] == where
    assert word in answer.json()["detail"]


@pytest.mark.parametrize("query", [
    "organization=org_bolt", "project=p3", "region=atlantis", "server=sv_2", "server=", "vpn=00000000", "app=2",
    "app=99999999999999999999", "environment=2", "consumer=1", "space=-1",
])
def test_what_is_unknown_or_foreign_is_404(query: str) -> None:
    assert get(f"{DAY}&{query}").status_code == 404


@pytest.mark.parametrize(("secret", "bytes_in"), [(READER, 1110), (OTHER, 5), (NARROW, 100), (ADMIN, 1115)])
def test_a_key_sees_its_own_and_an_admin_everything(secret: str, bytes_in: int) -> None:
    assert good(DAY + "&window=total", secret)["data"][0]["bytes_in"] == bytes_in


@pytest.mark.parametrize("route", [route.path for route in ASKING_ROUTES])
def test_the_scope_is_traffic_read(route: str) -> None:
    assert get(route, SENDER).status_code == 403
    assert get(route, "nobody").status_code == 401


def test_quota_says_what_is_left() -> None:
    assert good("/api/v1/quota")["data"] == [{
        "organization": "org_acme", "project": "p1", "project_slug": "p1-slug", "region": "brazil",
        "billing_method": "Normal", "start": "2025-12-01T00:00:00Z", "end": "2026-01-01T00:00:00Z",
        "tb": {"granted": 20, "additional": 1, "total": 21}, "mbps": {"granted": 100, "additional": 0, "total": 100},
        "bytes_in": 100, "bytes_out": 200, "used": 200, "remaining": 21 * 10**12 - 200, "percent": 0.0,
        "percentile": {"in_mbps": 0.0, "out_mbps": 0.0, "used_mbps": 0.0, "remaining_mbps": 100.0, "percent": 0.0},
        "exceeded": False,
    }]
    assert good("/api/v1/quota?project=p1-slug&region=brazil")["data"] == good("/api/v1/quota")["data"]
    assert good("/api/v1/quota?region=chile")["data"] == []
    assert good("/api/v1/quota", OTHER)["data"] == []
    assert get("/api/v1/quota?project=p3").status_code == 404
    assert get("/api/v1/quota?server=sv_1").status_code == 422


def test_a_deleted_project_has_no_quota() -> None:
    world = world_of_two()
    world.view.projects["p1"] = msgspec.structs.replace(world.view.projects["p1"], deleted_at_s=1)
    assert get("/api/v1/quota?project=p1", world=world).status_code == 404
    assert good("/api/v1/quota", NARROW, world)["data"] == []


def test_the_billing_period_and_what_moved_in_it() -> None:
    assert good("/api/v1/period")["data"] == {
        "organization": "org_acme", "start": "2025-12-01T00:00:00Z", "end": "2026-01-01T00:00:00Z",
        "time_zone": "UTC", "billing_day": 1, "bytes_in": 1110, "bytes_out": 2200, "requests": 9,
    }
    assert good("/api/v1/period?project=p1")["data"]["bytes_in"] == 100
    bolt = good("/api/v1/period?organization=org_bolt-slug", ADMIN)["data"]
    assert (bolt["start"], bolt["bytes_in"]) == ("2025-12-14T00:00:00-05:00", 5)
    assert good("/api/v1/period", ADMIN, **{"Weighbridge-Organization": "org_bolt"})["data"] == bolt
    assert good("/api/v1/period?project=p3", ADMIN)["data"]["organization"] == "org_bolt"


def test_an_admin_says_which_organization_unless_there_is_one() -> None:
    assert get("/api/v1/period", ADMIN).status_code == 422
    assert get("/api/v1/period", ADMIN, **{"Weighbridge-Organization": "org_x"}).status_code == 404
    world = World()
    world.organization("org_only")
    assert good("/api/v1/period", ADMIN, world)["data"]["organization"] == "org_only"
