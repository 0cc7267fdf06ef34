"""GET /api/v1/reconciliation, as a caller sees it."""

from __future__ import annotations

from typing import Any

import pytest

from support.asking import NARROW, OTHER, get, good
from support.kit import ADMIN, READER
from support.reconciled import HQ, SV_1, SV_2, of, world_of_both
from support.worlds import VPN

DAY = "/api/v1/reconciliation?from=2025-12-14&to=2025-12-15"
def test_everything_with_counters_and_flows_servers_first() -> None:
    assert good(DAY, ADMIN, world_of_both()) == {
        "meta": {
            "from": "2025-12-14T00:00:00Z", "to": "2025-12-15T00:00:00Z", "time_zone": "UTC",
            "watermark": "2025-12-14T16:00:00.000250Z",
        },
        "data": [SV_1, SV_2, HQ], "has_more": False, "next_token": None,
    }


@pytest.mark.parametrize(("secret", "query", "expected"), [
    (READER, "", [SV_1, HQ]),
    (OTHER, "", [SV_2]),
    (NARROW, "", [of("sv_1", None, "flows", ("interfaces", 1_000, 9_000), (900, 8_000), (-100, -1_000, -11.0))]),
    (READER, "&project=p2", [of("sv_1", None, "flows", ("interfaces", 100, 0), (110, 0), (10, 0, 10.0))]),
    (ADMIN, "&server=sv_2", [SV_2]),
    (ADMIN, "&organization=org_acme-slug", [SV_1, HQ]),
    (ADMIN, "&region=brazil", [
        of("sv_1", None, "flows", ("interfaces", 1_000, 9_000), (900, 8_000), (-100, -1_000, -11.0)), HQ]),
    (READER, f"&vpn={VPN}", [HQ]),
    (ADMIN, "&server=sv_3", []),
])
def test_a_key_sees_its_own_while_it_was_its_own(secret: str, query: str, expected: list[dict[str, Any]]) -> None:
    assert good(DAY + query, secret, world_of_both())["data"] == expected


def test_billed_is_who_was_billed_at_the_end_of_the_range() -> None:
    early = "/api/v1/reconciliation?from=2025-12-14&to=2025-12-14T16:00Z&server=sv_1"
    late = "/api/v1/reconciliation?from=2025-12-14&to=2025-12-14T16:05Z&server=sv_1"
    assert [good(path, ADMIN, world_of_both())["data"][0]["billed"] for path in (early, late)] == ["interfaces", "flows"]
    assert good("/api/v1/reconciliation?from=2025-12-14&to=2025-12-14", ADMIN, world_of_both())["data"] == []


def test_pages_hold_everything_once() -> None:
    world = world_of_both()
    found, token, pages = [], "", 0
    while True:
        page = good(f"{DAY}&limit=1{token}", ADMIN, world)
        found += page["data"]
        pages += 1
        if not page["has_more"]:
            break
        token = f"&next_token={page['next_token']}"
    assert (found, pages) == ([SV_1, SV_2, HQ], 3)
    assert get(f"{DAY}&limit=1&project=p1{token}", ADMIN, world).status_code == 422


@pytest.mark.parametrize(("query", "status"), [
    ("&server=sv_2", 404), ("&vpn=nobody", 404), ("&app=1", 422), ("&limit=0", 422), ("&limit=1001", 422), ("&window=1d", 422),
])
def test_what_is_foreign_or_wrong_is_told(query: str, status: int) -> None:
    assert get(DAY + query, READER, world_of_both()).status_code == status
    assert get("/api/v1/reconciliation", READER).status_code == 422


def test_what_is_not_billed_is_in_no_other_answer() -> None:
    usage = good("/api/v1/usage?from=2025-12-14&to=2025-12-15&window=total&group_by=server,vpn", ADMIN, world_of_both())
    sums = {(row["server"], row["vpn"]): (row["bytes_in"], row["bytes_out"]) for row in usage["data"]}
    assert sums["sv_1", None] == (1_100 + 1_100, 2_200 + 9_000)  # events and counters
    assert sums["sv_2", None] == (5 + 5, 6 + 6)                  # events and flows
    assert sums[None, VPN] == (10 + 11, 20)
