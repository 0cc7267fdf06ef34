"""Quotas and billing periods: what counts, from when, and what is exceeded."""

from __future__ import annotations

import msgspec
import pytest

from support.worlds import World
from weighbridge.model import Allowance, Quota
from weighbridge.reports.period import current_period, period
from weighbridge.reports.quota import quota
from weighbridge.reports.selection import Reach, Selection, resolve

DEC_1 = 1_764_547_200   # 2025-12-01T00:00:00Z
DEC_14 = 1_765_728_000  # 2025-12-14T16:00:00Z
TB = 10**12


def world_with(billing_method: str = "Normal", tb: int = 20, mbps: int = 100) -> tuple[World, int]:
    world = World()
    world.organization("acme")
    world.project("p1", "acme", Quota("brazil", None, Allowance(tb, 0), Allowance(mbps, 0)),
                  billing_method=billing_method)
    for slug in ("brazil", "chile"):
        world.region(slug)
    return world, world.server("sv", (0, "p1", "brazil"), (DEC_14 - 3600, "p1", "chile"))


def test_what_was_sent_in_this_period_and_region_counts() -> None:
    world, series = world_with()
    world.moves(series, DEC_1 - 300, 7, 7 * TB)         # the period before
    world.moves(series, DEC_1, 1, 5 * TB)
    world.moves(series, DEC_14 - 3900, 3, 3 * TB)
    world.moves(series, DEC_14 - 3600, 9, 9 * TB)       # in Chile by now
    standing, = quota(world.store, world.view, Selection(organization="acme"), DEC_14)
    assert standing.period == (DEC_1, 1_767_225_600)
    assert (standing.amounts.bytes_in, standing.amounts.bytes_out) == (4, 8 * TB)
    assert (standing.volume.used, standing.volume.remaining, standing.volume.used_bp) == (8 * TB, 12 * TB, 4000)
    assert not standing.exceeded


@pytest.mark.parametrize(("billing_method", "sent", "exceeded"), [
    ("Normal", 20 * TB, False),
    ("Normal", 20 * TB + 1, True),
    ("95th percentile", 10**12, False),
])
def test_exceeded_speaks_of_what_the_billing_method_weighs(billing_method: str, sent: int, *, exceeded: bool) -> None:
    world, series = world_with(billing_method)
    world.moves(series, DEC_1, 0, sent)
    standing, = quota(world.store, world.view, Selection(organization="acme"), DEC_14)
    assert standing.exceeded is exceeded


def test_the_larger_direction_counts_against_the_megabits() -> None:
    world, series = world_with("95th percentile", mbps=79)
    for index in range(2):
        world.moves(series, DEC_1 + index * 1800, 18 * 10**9, 10**9)  # 80 Mbps in
    one, = quota(world.store, world.view, Selection(organization="acme"), DEC_1 + 3600)
    assert (one.percentile.bytes_in.mbps, one.percentile.bytes_out.mbps) == (80.0, 4.44)
    assert one.rate.used == 80_000_000
    assert one.exceeded
    later, = quota(world.store, world.view, Selection(organization="acme"), DEC_14)
    assert later.rate.used == 0  # two slots of hundreds are discarded


def test_deleted_projects_and_other_regions_are_left_out() -> None:
    world, _ = world_with()
    world.project("p0", "acme", Quota("chile"), Quota("brazil"))
    found = quota(world.store, world.view, Selection(organization="acme"), DEC_14)
    assert [(one.project.id, one.quota.region) for one in found] == [
        ("p0", "brazil"), ("p0", "chile"), ("p1", "brazil")]
    only = quota(world.store, world.view, Selection(region="chile"), DEC_14)
    assert [(one.project.id, one.quota.region) for one in only] == [("p0", "chile")]
    world.view.projects["p0"] = msgspec.structs.replace(world.view.projects["p0"], deleted_at_s=DEC_1)
    found = quota(world.store, world.view, Selection(), DEC_14)
    assert [one.project.id for one in found] == ["p1"]


def test_a_period_runs_in_the_organizations_zone_from_its_billing_day() -> None:
    world, series = world_with()
    world.organization("acme", time_zone="America/New_York", billing_day=31)
    organization = world.view.organizations["acme"]
    nov_30 = 1_764_478_800  # 2025-11-30T00:00:00-05:00
    assert current_period(organization, DEC_14) == (nov_30, 1_767_157_200)
    world.moves(series, nov_30 - 300, 1, 1, 1)
    world.moves(series, nov_30, 2, 2, 2)
    world.moves(series, DEC_14, 4, 4, 4)
    found = resolve(world.view, Reach("acme"), Selection())
    report = period(world.store, world.view, found, organization, DEC_14)
    assert (report.amounts.bytes_in, report.amounts.requests) == (6, 6)
