"""GET /traffic (CONTRACT 5.1): pairs of question and answer, and a referee that adds up rows by hand."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws import referee
from support.kit import ADMIN
from support.latitude import NARROW, OTHER, T, app_with, ask, traffic
from support.worlds import World, worlds

if TYPE_CHECKING:
    from typing import Any

GB = 10**9
RANGE = {"[date][gte]": "2025-12-14T15:57:10Z", "[date][lte]": "2026-01-14T15:57:10Z"}


def acme() -> World:
    world = World()
    for slug in ("brazil", "chile", "dallas", "empty"):
        world.region(slug)
    for name in ("org_acme", "org_bolt"):
        world.organization(name)
    world.project("p1", "org_acme", slug="web")
    world.project("p2", "org_acme")
    world.project("p3", "org_bolt", slug="web")
    world.server("sv_1", (0, "p1", "chile"))
    world.server("sv_2", (0, "p1", "brazil"), (T - 3600, "p2", "chile"), (T - 1800, "p2", "dallas"))
    world.server("sv_3", (0, "p3", "empty"))
    return world


def show(at_s: float) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).isoformat()


def test_the_seeds_range_is_echoed_and_every_day_listed() -> None:
    found = traffic(acme(), "2025-12-14T15:57:10Z", "2026-01-14T15:57:10Z", project="p1")
    assert (found["from_date"], found["to_date"]) == (1765727830, 1768406230)
    assert [region["region_slug"] for region in found["regions"]] == ["chile"]
    days = [row["date"] for row in found["regions"][0]["data"]]
    assert len(days) == 32
    assert (days[0], days[-1]) == ("2025-12-14T00:00:00.000+00:00", "2026-01-14T00:00:00.000+00:00")


@pytest.mark.parametrize(("gte", "lte", "bytes_in"), [
    ("2025-12-14T15:00:00Z", "2025-12-14T16:00:00Z", 0b111),
    ("2025-12-14T15:04:59Z", "2025-12-14T16:00:00Z", 0b111),   # rounded down to 5 minutes
    ("2025-12-14T15:05:00Z", "2025-12-14T16:00:00Z", 0b110),
    ("2025-12-14T15:00:00Z", "2025-12-14T15:55:00Z", 0b011),   # the last bucket starts at lte: it is out
    ("2025-12-14T15:00:00Z", "2025-12-14T15:55:01Z", 0b111),   # it starts before lte: it counts whole
    ("2025-12-14T15:00:00Z", "2025-12-14T15:55:00.000001Z", 0b111),
    ("2025-12-14T12:00:00", "2025-12-14T16:00:00", 0b111),     # without a zone it is UTC
    ("2025-12-14T12:00:00-03:00", "2025-12-14T17:00:00+01:00", 0b111),
    ("2025-12-14T12:00:00.000Z", "20251214T160000Z", 0b111),
    ("2025-12-14 15:00", "2025-12-15", 0b111),
])
def test_buckets_that_start_in_the_range_count_whole(gte: str, lte: str, bytes_in: int) -> None:
    world = acme()
    for index, at_s in enumerate((T - 3600, T - 3300, T - 300)):
        world.moves(1, at_s, (1 << index) * GB, 0)
    assert traffic(world, gte, lte)["total_inbound_gb"] == bytes_in


@pytest.mark.parametrize(("lte", "now_s", "days", "speed"), [
    ("2025-12-14T16:00:00Z", T, 1, 0.01),             # 4.5 MB in 3600 s
    ("2025-12-14T16:00:00.500Z", T, 1, 0.01),
    ("2025-12-15T00:00:00Z", T, 1, 0.0),              # midnight itself is no day more
    ("2025-12-15T00:00:01Z", T, 2, 0.0),
    ("2025-12-14T15:00:30Z", T, 1, 1.2),              # over the 30 seconds up to lte, not the bucket
    ("2025-12-14T15:00:00.5Z", T, 1, 72.0),
])
def test_mean_speeds_are_over_what_of_the_day_lies_in_the_range(lte: str, now_s: int, days: int, speed: float) -> None:
    world = acme()
    world.moves(1, T - 3600, 4_500_000, 4_500_000)
    rows = traffic(world, "2025-12-14T15:00:00Z", lte, now_s, server="sv_1")["regions"][0]["data"]
    assert len(rows) == days
    assert {rows[0][name] for name in rows[0] if "speed" in name} == {speed}


def test_half_a_hundredth_is_rounded_up() -> None:
    world = acme()
    world.moves(1, T - 3600, 375_000, 374_999)  # 3,000,000 bits in 600 s are 0.005 Mbps
    row = traffic(world, "2025-12-14T15:00:00Z", "2025-12-14T15:10:00Z", server="sv_1")["regions"][0]["data"][0]
    assert (row["avg_inbound_speed_mbps"], row["avg_outbound_speed_mbps"]) == (0.01, 0.0)


def test_gigabytes_are_apportioned_over_regions_and_days() -> None:
    world = acme()
    for day in range(3):
        for series in (1, 2):
            world.moves(series, T - 86400 * day, GB // 2, GB // 3)
    found = traffic(world, "2025-12-12", "2025-12-15", T + 86400)
    assert (found["total_inbound_gb"], found["total_outbound_gb"]) == (3, 2)
    rows = {region["region_slug"]: [(row["inbound_gb"], row["outbound_gb"]) for row in region["data"]]
            for region in found["regions"]}
    assert rows == {"brazil": [(1, 0), (0, 1), (0, 0)], "chile": [(1, 0), (0, 0), (1, 1)], "dallas": [(0, 0)] * 3}


def test_a_server_counts_in_each_region_while_it_was_there() -> None:
    world = acme()
    for at_s in (T - 7200, T - 3600, T - 1800):
        world.moves(2, at_s, at_s * GB, 0)
    found = traffic(world, "2025-12-14T13:00Z", "2025-12-14T16:00Z", server="sv_2")
    assert {region["region_slug"]: region["total_inbound_gb"] for region in found["regions"]} == {
        "brazil": T - 7200, "chile": T - 3600, "dallas": T - 1800}
    ours = traffic(world, "2025-12-14T13:00Z", "2025-12-14T16:00Z", project="web", server="sv_2")
    assert {region["region_slug"]: region["total_inbound_gb"] for region in ours["regions"]} == {"brazil": T - 7200}


@pytest.mark.parametrize(("gte", "lte", "filters", "regions"), [
    ("2025-12-01", "2025-12-02", {}, "brazil chile dallas"),           # sv_2 was in brazil then, is in dallas now
    ("2025-12-14T15:00Z", "2025-12-14T15:30Z", {"server": "sv_2"}, "chile dallas"),
    ("2025-12-14T15:00Z", "2025-12-14T15:31Z", {"server": "sv_2"}, "chile dallas"),
    ("2025-12-14T15:30Z", "2025-12-14T15:31Z", {"server": "sv_2"}, "dallas"),
    ("2025-12-14T15:25Z", "2025-12-14T15:31Z", {"server": "sv_2"}, "chile dallas"),
    ("2025-12-14T14:59Z", "2025-12-14T15:01Z", {"server": "sv_2"}, "brazil chile dallas"),
    ("2025-12-14T14:00Z", "2025-12-14T14:01Z", {"project": "p2"}, "dallas"),
    ("2030-01-01", "2030-01-02", {"project": "p1"}, "chile"),
    ("2025-12-14T15:30Z", "2025-12-14T15:31Z", {"project": "p1", "server": "sv_2"}, ""),
])
def test_listed_are_regions_that_hold_a_server_of_the_filter_now_or_did_in_the_range(
    gte: str, lte: str, filters: dict[str, str], regions: str
) -> None:
    found = traffic(acme(), gte, lte, **filters)
    assert [region["region_slug"] for region in found["regions"]] == regions.split()


def test_a_deleted_server_keeps_its_region_as_long_as_it_was_there() -> None:
    world = acme()
    world.moves(1, T - 7200, GB, 0)
    world.view.servers["sv_1"] = msgspec.structs.replace(world.view.servers["sv_1"], deleted_at_s=T - 3600)
    before = traffic(world, "2025-12-14T13:00Z", "2025-12-14T16:00Z", server="sv_1")
    assert [region["total_inbound_gb"] for region in before["regions"]] == [1]
    assert traffic(world, "2025-12-14T15:00Z", "2025-12-14T16:00Z", server="sv_1")["regions"] == []


def test_percentiles_are_of_slots_that_are_over_and_count_whole() -> None:
    world = acme()
    for index in range(20):
        world.moves(1, T - 36000 + index * 1800 + 1500, (index + 1) * 225_000_000, 0)  # 1 to 20 Mbps
    world.moves(1, T, 10**15, 10**15)
    found = traffic(world, show(T - 36000 + 1700), show(T + 1), T + 1700, server="sv_1")
    assert found["total_inbound_95th_percentile_mbps"] == 19.0
    later = traffic(world, show(T - 36000 + 1700), show(T + 1), T + 1800, server="sv_1")
    assert later["total_inbound_95th_percentile_mbps"] == 20.0


def test_the_top_level_percentile_is_of_the_sums_over_all_regions() -> None:
    world = acme()
    for index in range(20):
        at_s = T - 36000 - 36000 + index * 1800
        world.moves(1 if index % 2 else 2, at_s, 225_000_000, 0)       # 1 Mbps, now here, now there
    found = traffic(world, show(T - 72000), show(T - 36000))
    assert found["total_inbound_95th_percentile_mbps"] == 1.0
    assert [region["total_inbound_95th_percentile_mbps"] for region in found["regions"]] == [1.0, 1.0, 0.0]
    both = acme()
    for index in range(20):
        both.moves(1, T - 72000 + index * 1800, 225_000_000, 0)
        both.moves(2, T - 72000 + index * 1800, 225_000_000, 0)
    assert traffic(both, show(T - 72000), show(T - 36000))["total_inbound_95th_percentile_mbps"] == 2.0


def test_the_future_is_zeros() -> None:
    found = traffic(acme(), "2030-01-01T00:00:00Z", "2030-01-03T00:00:00Z", server="sv_1")
    assert found["total_inbound_95th_percentile_mbps"] == 0.0
    assert found["regions"][0]["data"] == [{
        "date": f"2030-01-0{day}T00:00:00.000+00:00", "inbound_gb": 0, "outbound_gb": 0,
        "avg_inbound_speed_mbps": 0.0, "avg_outbound_speed_mbps": 0.0,
        "inbound_speed_mbps": 0.0, "outbound_speed_mbps": 0.0,
    } for day in (1, 2)]


@pytest.mark.parametrize(("filters", "secret"), [
    ({"[server]": "sv_9"}, ADMIN),
    ({"[server]": ""}, ADMIN),
    ({"[server]": "sv_3"}, None),
    ({"[project]": "p3"}, None),
    ({"[project]": "nobody"}, ADMIN),
    ({"[server]": "sv_1", "[project]": "p2"}, None),
    ({"[server]": "sv_1", "[project]": "p2"}, ADMIN),
    ({"[server]": "sv_1"}, NARROW),
    ({"[project]": "p1"}, NARROW),
    ({"[server]": "sv_2"}, OTHER),
])
def test_what_is_unknown_or_foreign_is_404(filters: dict[str, str], secret: str | None) -> None:
    secrets = {} if secret is None else {"secret": secret}
    answer = ask(app_with(acme()), "/traffic", RANGE | filters, **secrets)
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["source"]["parameter"] in {f"filter{name}" for name in filters}


@pytest.mark.parametrize(("changes", "parameter"), [
    ({"[date][gte]": None}, "filter[date][gte]"),
    ({"[date][lte]": None}, "filter[date][lte]"),
    ({"[date][gte]": ""}, "filter[date][gte]"),
    ({"[date][gte]": "yesterday"}, "filter[date][gte]"),
    ({"[date][lte]": "2024-04-31T23:59:59Z"}, "filter[date][lte]"),    # the vendor's own example has no such day
    ({"[date][gte]": "1971-01-01"}, "filter[date][gte]"),
    ({"[date][gte]": "2026-01-14T15:57:10Z"}, "filter[date][gte]"),    # not before lte
    ({"[date][gte]": "2026-02-14T15:57:10Z"}, "filter[date][gte]"),
    ({"[date][lte]": "2026-12-15T15:57:10.000001Z"}, "filter[date][lte]"),
    ({"[date][lt]": "2026-01-14"}, "filter[date][lt]"),
    ({"[region]": "brazil"}, "filter[region]"),
    ({"": "x"}, "filter"),
])
def test_a_mistake_is_422_and_names_its_parameter(changes: dict[str, str | None], parameter: str) -> None:
    asked = {name: value for name, value in (RANGE | changes).items() if value is not None}
    answer = ask(app_with(acme()), "/traffic", asked)
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert (error["code"], error["source"]) == ("VALIDATION_ERROR", {"parameter": parameter})


def test_366_days_are_not_too_many() -> None:
    found = traffic(acme(), "2024-12-14T16:00:00Z", "2025-12-15T16:00:00Z", server="sv_1")
    assert len(found["regions"][0]["data"]) == 367


def test_a_filter_twice_is_422_and_what_is_no_filter_is_ignored() -> None:
    query = "filter[date][gte]=2025-12-14T15:00:00&filter[date][lte]=2025-12-14T16:00:00"
    app = app_with(acme())
    assert ask(app, f"/traffic?{query}&page=2&api_version=1").status_code == 200
    assert ask(app, f"/traffic?{query}&filter[server]=sv_1&filter[server]=sv_2").status_code == 422


def test_a_slug_that_two_organizations_use_is_422_for_an_admin() -> None:
    answer = ask(app_with(acme()), "/traffic", RANGE | {"[project]": "web"}, secret=ADMIN)
    assert (answer.status_code, answer.json()["errors"][0]["source"]) == (422, {"parameter": "filter[project]"})


def test_an_admin_sees_all_and_others_their_own() -> None:
    world = acme()
    for series in (1, 2, 3):
        world.moves(series, T - 600, 10**series * GB, 0)
    range_ = (show(T - 3600), show(T))
    totals = {secret: traffic(world, *range_, secret=secret)["total_inbound_gb"] for secret in (ADMIN, OTHER, NARROW)}
    assert totals == {ADMIN: 1110, OTHER: 1000, NARROW: 100}
    assert traffic(world, *range_)["total_inbound_gb"] == 110


def _two_decimals(bits: int, duration: Fraction) -> Decimal:
    value = Fraction(bits) / duration / 10**6
    exact = Decimal(value.numerator * 10**6 // value.denominator) / 10**6
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


@settings(max_examples=60, deadline=None)
@given(worlds(T, 40), st.integers(-2 * 10**9, 13 * 10**9), st.integers(1, 14 * 10**9), st.integers(-1800, 14000))
def test_any_question_is_answered_as_a_person_with_the_rows_would(
    world: World, start: int, length: int, now: int
) -> None:
    """`start` and `length` in microseconds, `now` in seconds, after T."""
    gte_us, lte_us, now_s = T * 10**6 + start, T * 10**6 + start + length, T + now
    found = traffic(world, _iso(gte_us), _iso(lte_us), now_s, ADMIN)
    start_s = gte_us // 10**6 // 300 * 300
    rows = [row for row in world.counted
            if "server" in world.owner(row) and start_s <= row.at_s and row.at_s * 10**6 < lte_us]
    slots = [at_s for at_s in range(start_s // 1800 * 1800, lte_us // 10**6 + 1, 1800)
             if at_s * 10**6 < lte_us and at_s + 1800 <= now_s]
    for column, direction in ((0, "inbound"), (1, "outbound")):
        whole = sum(row.moved[column] or 0 for row in rows)
        assert found[f"total_{direction}_gb"] == int(Decimal(Decimal(whole) / GB).quantize(Decimal(1), ROUND_HALF_UP))
        assert found[f"total_{direction}_gb"] == sum(region[f"total_{direction}_gb"] for region in found["regions"])
        assert found[f"total_{direction}_95th_percentile_mbps"] == _p95(world, slots, column, None)
        for region in found["regions"]:
            slug = region["region_slug"]
            assert region[f"total_{direction}_gb"] == sum(row[f"{direction}_gb"] for row in region["data"])
            assert region[f"total_{direction}_95th_percentile_mbps"] == _p95(world, slots, column, slug)
            mine = [row for row in rows if world.owner(row)["region"] == slug]
            moved = [(row.at_s, row.moved[column] or 0) for row in mine]
            _check_days(region["data"], direction, moved, (start_s, lte_us))
    slugs = [region["region_slug"] for region in found["regions"]]
    assert slugs == sorted(slugs)
    assert {world.owner(row)["region"] for row in rows if any(row.moved)} <= set(slugs)


def _iso(at_us: int) -> str:
    return dt.datetime.fromtimestamp(at_us // 10**6, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_us % 10**6:06d}"


def _p95(world: World, slots: list[int], column: int, slug: str | None) -> float:
    values = [sum(row.moved[column] or 0 for row in world.counted if at_s <= row.at_s < at_s + 1800
                  and "server" in world.owner(row) and slug in {None, world.owner(row)["region"]}) for at_s in slots]
    return float(_two_decimals(referee.percentile(values, 95) * 8, Fraction(1800)))


def _check_days(
    listed: list[dict[str, Any]], direction: str, moved: list[tuple[int, int]], bounds: tuple[int, int]
) -> None:
    dates = [dt.datetime.fromisoformat(row["date"]).timestamp() for row in listed]
    assert dates[0] == bounds[0] // 86400 * 86400
    assert all(after - before == 86400 for before, after in pairwise(dates))
    assert dates[-1] * 10**6 < bounds[1] <= (dates[-1] + 86400) * 10**6
    for row, date_s in zip(listed, dates, strict=True):
        bytes_ = sum(amount for at_s, amount in moved if date_s <= at_s < date_s + 86400)
        assert abs(row[f"{direction}_gb"] * GB - bytes_) <= GB
        from_us, until_us = max(int(date_s), bounds[0]) * 10**6, min(int(date_s + 86400) * 10**6, bounds[1])
        speed = float(_two_decimals(bytes_ * 8, Fraction(until_us - from_us, 10**6)))
        assert row[f"avg_{direction}_speed_mbps"] == row[f"{direction}_speed_mbps"] == speed
