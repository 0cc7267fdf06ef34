"""GET /api/v1/percentile, as a caller sees it."""

from __future__ import annotations

import pytest

from support.asking import T, get, good, world_of_two
from support.kit import ADMIN

HOURS = "from=2025-12-14T12:00Z&to=2025-12-14T16:00Z"


def test_a_receipt_for_each_direction() -> None:
    world = world_of_two()
    for index in range(8):
        world.moves(1, T - 14400 + index * 1800, index * 225_000_000, (7 - index) * 225_000_000)
    found = good(f"/api/v1/percentile?{HOURS}&p=50&server=sv_1&time_zone=Europe/Berlin", world=world)
    assert found["meta"] == {
        "from": "2025-12-14T13:00:00+01:00", "to": "2025-12-14T17:00:00+01:00", "time_zone": "Europe/Berlin",
        "watermark": "2025-12-14T16:00:00.000250Z", "slot": "30m", "p": 50, "server": "sv_1",
    }
    assert found["in"] == {
        "bits_per_second": 3_000_000, "mbps": 3.0, "rank": 4, "slots": 8, "discarded": 4,
        "slot_start": "2025-12-14T14:30:00+01:00", "coverage": 1.0,
    }
    assert found["out"]["slot_start"] == "2025-12-14T15:00:00+01:00"


def test_slots_of_five_minutes_and_thirty() -> None:
    assert good(f"/api/v1/percentile?{HOURS}")["in"]["slots"] == 8
    assert good(f"/api/v1/percentile?{HOURS}&slot=5m")["in"]["slots"] == 48
    assert good("/api/v1/percentile?from=2025-12-14T12:10Z&to=2025-12-14T12:31Z")["in"]["slots"] == 2


def test_half_a_bit_counts_as_one() -> None:
    world = world_of_two()
    world.moves(1, T - 7200, 225 * 3 + 12, 0)  # with the 100 that are there: 787 bytes, 3.4978 bits a second
    assert good(f"/api/v1/percentile?{HOURS}&p=99&server=sv_1", world=world)["in"]["bits_per_second"] == 4
    found = good("/api/v1/percentile?from=2025-12-14T14:00Z&to=2025-12-14T14:30Z&server=sv_1", world=world)["in"]
    assert (found["bits_per_second"], found["mbps"]) == (3, 0.0)


@pytest.mark.parametrize("range_", ["from=2030-01-01&to=2030-02-01", "from=2025-12-14T16:05Z&to=2025-12-14T17:00Z",
                                    "from=2025-12-14&to=2025-12-14"])
def test_no_finished_slot_is_zeros_and_null(range_: str) -> None:
    nothing = {"bits_per_second": 0, "mbps": 0.0, "rank": 0, "slots": 0, "discarded": 0, "slot_start": None,
               "coverage": None}
    found = good(f"/api/v1/percentile?{range_}")
    assert (found["in"], found["out"]) == (nothing, nothing)


def test_the_organization_of_an_admins_question() -> None:
    whole = good(f"/api/v1/percentile?{HOURS}&p=99&organization=org_bolt-slug", ADMIN)
    assert whole["meta"]["organization"] == "org_bolt-slug"
    assert whole["in"]["bits_per_second"] == 0
    assert whole["in"]["slot_start"] == "2025-12-14T15:00:00Z"


@pytest.mark.parametrize(("query", "where"), [
    ("p=0", "p"), ("p=100", "p"), ("p=95.5", "p"), ("slot=1h", "slot"), ("window=1h", "window"),
])
def test_a_mistake_is_422(query: str, where: str) -> None:
    answer = get(f"/api/v1/percentile?{HOURS}&{query}")
    assert (answer.status_code, answer.json()["where"]) == (422, where)


@pytest.mark.parametrize("query", ["project=p3", "region=nowhere", "server=sv_2", "organization=org_bolt"])
def test_what_is_unknown_or_foreign_is_404(query: str) -> None:
    assert get(f"/api/v1/percentile?{HOURS}&{query}").status_code == 404


def test_a_range_of_too_many_slots_is_refused() -> None:
    answer = get("/api/v1/percentile?from=1972-01-01&to=2025-12-14&slot=5m")
    assert answer.status_code == 422
    assert "shorter range" in answer.json()["detail"]
