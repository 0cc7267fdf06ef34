"""latitudesh-python-sdk 3.4.6, as it comes, against a live server with DuckDB behind it."""

from __future__ import annotations

import datetime as dt
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from latitudesh_python_sdk import Latitudesh
from latitudesh_python_sdk.models import LatitudeshError

from support.kit import READER, HandClock, services_with, view_with
from support.server import running
from support.worlds import World
from weighbridge.dialects.latitude.routes import DIALECT
from weighbridge.http.server import make_app
from weighbridge.measurement import SLOT_ROW
from weighbridge.model import Allowance, Quota
from weighbridge.storage.duckdb.store import DuckDBStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_S = 1_768_406_230  # 2026-01-14T15:57:10Z
DAYS = 31
FIRST_S = NOW_S // 300 * 300 - DAYS * 86400
MOVED_S = FIRST_S + 10 * 86400
PROJECT = "proj_lkg1DekRdvZE5"
SERVERS = {1: "sv_A05EdQ50dvKYQ", 2: "sv_moving", 3: "sv_foreign"}

Rows = list[tuple[int, int, int, int]]
"""(series, start of the slot, bytes in, bytes out)"""


def catalog() -> World:
    world = World()
    for slug in ("brazil", "chile"):
        world.region(slug)
    for name in ("org_acme", "org_bolt"):
        world.organization(name)
    world.project(PROJECT, "org_acme", Quota("brazil", 500, Allowance(20, 0)), Quota("chile"), price=500,
                  slug="incredible-bronze-knife")
    world.project("p3", "org_bolt")
    world.server(SERVERS[1], (0, PROJECT, "brazil"))
    world.server(SERVERS[2], (0, PROJECT, "brazil"), (MOVED_S, PROJECT, "chile"))
    world.server(SERVERS[3], (0, "p3", "chile"))
    return world


@pytest.fixture(scope="module")
def rows() -> Rows:
    """A month of traffic in every twelfth slot or so, up to 40 Gbps."""
    dice = random.Random(95)
    return [(series, FIRST_S + slot * 300, dice.randrange(10**12), dice.randrange(1_500_000_000_000))
            for series in SERVERS for slot in range(DAYS * 288) if dice.random() < 0.08]


@pytest.fixture(scope="module")
def base_url(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("usage")
    store = DuckDBStore(folder)
    made = np.zeros(len(rows), SLOT_ROW)
    for name, column in zip(("series", "slot", "bytes_in", "bytes_out"), zip(*rows, strict=True), strict=True):
        made[name] = column
    made["slot"] = np.array([row[1] // 300 for row in rows])
    made["requests"], made["flags"] = -1, 1
    store.load(made)
    world = catalog()
    world.view.keys_by_sha256.update(view_with().keys_by_sha256)
    services = services_with(world.view, HandClock(NOW_S * 1_000_000), store=store)
    with running(make_app(services, [DIALECT])) as url:
        yield url
    store.close()


@pytest.fixture
def sdk(base_url: str) -> Iterator[Latitudesh]:
    with Latitudesh(server_url=base_url, bearer=READER) as client:
        yield client


def p95_mbps(rows: Rows, direction: int, first_s: int, end_s: int) -> float:
    """The highest slot that is left when the highest twentieth is thrown away."""
    slots = dict.fromkeys(range(first_s // 1800 * 1800, min(end_s, NOW_S // 1800 * 1800), 1800), 0)
    for _, at_s, *moved in rows:
        if at_s // 1800 * 1800 in slots:
            slots[at_s // 1800 * 1800] += moved[direction]
    left = sorted(slots.values(), reverse=True)[len(slots) // 20:]
    return int(left[0] * 8 * 100 / 1800 / 10**6 + 0.5) / 100


def region_of(row: tuple[int, int, int, int]) -> str:
    return "chile" if row[0] == 2 and row[1] >= MOVED_S else "brazil"


def test_traffic_is_what_the_rows_add_up_to(sdk: Latitudesh, rows: Rows) -> None:
    gte, lte = NOW_S - 30 * 86400, NOW_S
    answer = sdk.traffic.get(filter_date_gte=_iso(gte), filter_date_lte=_iso(lte), filter_project=PROJECT)
    attributes = answer.data.attributes
    first_s = gte // 300 * 300
    asked = [row for row in rows if row[0] != 3 and first_s <= row[1] < lte]
    ours = [row for row in rows if row[0] != 3]
    assert (attributes.from_date, attributes.to_date) == (gte, lte)
    assert attributes.total_inbound_gb == (sum(row[2] for row in asked) * 2 + 10**9) // (2 * 10**9)
    assert attributes.total_outbound_gb == (sum(row[3] for row in asked) * 2 + 10**9) // (2 * 10**9)
    assert attributes.total_inbound_95th_percentile_mbps == p95_mbps(ours, 0, first_s, lte)
    assert attributes.total_outbound_95th_percentile_mbps == p95_mbps(ours, 1, first_s, lte)
    assert [region.region_slug for region in attributes.regions] == ["brazil", "chile"]
    for region in attributes.regions:
        here = [row for row in ours if region_of(row) == region.region_slug]
        assert region.total_inbound_95th_percentile_mbps == p95_mbps(here, 0, first_s, lte)
        assert region.total_outbound_95th_percentile_mbps == p95_mbps(here, 1, first_s, lte)
        assert region.total_inbound_gb == sum(day.inbound_gb for day in region.data)
        assert len(region.data) == 31
        for day in region.data:
            day_s = int(dt.datetime.fromisoformat(day.date_).timestamp())
            bytes_in = sum(row[2] for row in here if max(day_s, first_s) <= row[1] < min(day_s + 86400, lte))
            seconds = min(day_s + 86400, lte) - max(day_s, first_s)
            assert abs(day.inbound_gb - bytes_in / 10**9) <= 1
            assert day.inbound_speed_mbps == day.avg_inbound_speed_mbps
            assert day.inbound_speed_mbps == pytest.approx(bytes_in * 8 / 10**6 / seconds, abs=0.005001)


def test_traffic_of_one_server(sdk: Latitudesh, rows: Rows) -> None:
    answer = sdk.traffic.get(filter_date_gte=_iso(FIRST_S), filter_date_lte=_iso(NOW_S), filter_server=SERVERS[1],
                             filter_project="incredible-bronze-knife")
    asked = sum(row[2] for row in rows if row[0] == 1)
    assert answer.data.attributes.total_inbound_gb == (asked * 2 + 10**9) // (2 * 10**9)
    assert answer.data.type.value == "traffic"


def test_quota(sdk: Latitudesh) -> None:
    for answer in (sdk.traffic.get_quota(), sdk.traffic.get_quota(filter_project="incredible-bronze-knife")):
        project, = answer.data.attributes.quota_per_project
        assert (project.project_id, project.project_slug) == (PROJECT, "incredible-bronze-knife")
        assert (project.price, project.billing_method) == (500, "Normal")
        brazil, chile = project.quota_per_region
        assert (brazil.region_id, brazil.region_slug, brazil.price) == ("reg_brazil", "brazil", 500)
        assert (brazil.quota_in_tb.granted, brazil.quota_in_tb.additional, brazil.quota_in_tb.total) == (20, 0, 20)
        assert (brazil.quota_in_mbps.total, chile.price) == (0, None)


@pytest.mark.parametrize(("asked", "status"), [
    ({"filter_server": SERVERS[3]}, 404),
    ({"filter_project": "p3"}, 404),
    ({"filter_date_lte": "2027-12-14T00:00:00Z"}, 422),
])
def test_errors_reach_the_caller(sdk: Latitudesh, asked: dict[str, str], status: int) -> None:
    with pytest.raises(LatitudeshError) as caught:
        sdk.traffic.get(**{"filter_date_gte": _iso(FIRST_S), "filter_date_lte": _iso(NOW_S)} | asked)
    assert caught.value.status_code == status
    assert '"errors"' in caught.value.body


def test_a_wrong_key_is_refused(base_url: str) -> None:
    with Latitudesh(server_url=base_url, bearer="nobody") as client, pytest.raises(LatitudeshError) as caught:
        client.traffic.get_quota()
    assert caught.value.status_code == 401


def _iso(at_s: int) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
