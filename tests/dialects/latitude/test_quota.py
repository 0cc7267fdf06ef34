"""GET /traffic/quota (CONTRACT 5.2)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.kit import ADMIN, READER
from support.latitude import NARROW, OTHER, app_with, ask, must_be
from support.worlds import World
from weighbridge.model import Allowance, Quota

SEED_PROJECT = "proj_lkg1DekRdvZE5"
BRONZE = {
    "project_id": SEED_PROJECT,
    "project_slug": "incredible-bronze-knife",
    "price": 500,
    "billing_method": "Normal",
    "quota_per_region": [{
        "region_id": "reg_brazil",
        "region_slug": "brazil",
        "price": 500,
        "quota_in_tb": {"granted": 20, "additional": 0, "total": 20},
        "quota_in_mbps": {"granted": 0, "additional": 0, "total": 0},
    }],
}
"""The seed's example, with the price where the documents show it."""


def acme() -> World:
    world = World()
    for slug in ("brazil", "chile"):
        world.region(slug)
    for name in ("org_acme", "org_bolt"):
        world.organization(name)
    world.project(SEED_PROJECT, "org_acme", Quota("brazil", 500, Allowance(20, 0)), price=500,
                  slug="incredible-bronze-knife")
    world.project("p2", "org_acme", Quota("chile", None, Allowance(1, 2), Allowance(3, 4)),
                  Quota("brazil", 7), billing_method="95th percentile")
    world.project("p3", "org_bolt", slug="incredible-bronze-knife")
    return world


def quotas(world: World, secret: str = READER, **filters: str) -> list[dict[str, Any]]:
    """`quota_per_project` of a 200."""
    asked = {f"[{name}]": value for name, value in filters.items()}
    answer = ask(app_with(world), "/traffic/quota", asked, secret=secret)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    must_be("traffic_quota", body)
    assert (body["data"]["id"], body["data"]["type"], body["meta"]) == ("traffic_quota", "traffic_quota", {})
    found: list[dict[str, Any]] = body["data"]["attributes"]["quota_per_project"]
    return found


@pytest.mark.parametrize("name", [SEED_PROJECT, "incredible-bronze-knife"])
def test_the_seeds_example_by_id_and_slug(name: str) -> None:
    assert quotas(acme(), project=name) == [BRONZE]


def test_both_blocks_are_always_there_and_only_a_price_is_null() -> None:
    assert quotas(acme(), project="p2") == [{
        "project_id": "p2", "project_slug": "p2-slug", "price": None, "billing_method": "95th percentile",
        "quota_per_region": [
            {"region_id": "reg_brazil", "region_slug": "brazil", "price": 7,
             "quota_in_tb": {"granted": 0, "additional": 0, "total": 0},
             "quota_in_mbps": {"granted": 0, "additional": 0, "total": 0}},
            {"region_id": "reg_chile", "region_slug": "chile", "price": None,
             "quota_in_tb": {"granted": 1, "additional": 2, "total": 3},
             "quota_in_mbps": {"granted": 3, "additional": 4, "total": 7}},
        ],
    }]


@pytest.mark.parametrize(("secret", "projects"), [
    (READER, ["p2", SEED_PROJECT]), (OTHER, ["p3"]), (NARROW, ["p2"]), (ADMIN, ["p2", "p3", SEED_PROJECT]),
])
def test_all_projects_in_sight_by_id(secret: str, projects: list[str]) -> None:
    assert [project["project_id"] for project in quotas(acme(), secret)] == projects


def test_a_deleted_project_has_none() -> None:
    world = acme()
    world.view.projects["p2"] = msgspec.structs.replace(world.view.projects["p2"], deleted_at_s=1)
    assert quotas(world) == [BRONZE]
    assert ask(app_with(world), "/traffic/quota", {"[project]": "p2"}).status_code == 404
    assert quotas(world, NARROW) == []


@pytest.mark.parametrize(("name", "secret"), [("p3", READER), ("nobody", READER), ("nobody", ADMIN), ("p3", NARROW),
                                              ("", READER)])
def test_what_is_unknown_or_foreign_is_404(name: str, secret: str) -> None:
    answer = ask(app_with(acme()), "/traffic/quota", {"[project]": name}, secret=secret)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "NOT_FOUND")


def test_a_slug_that_two_organizations_use_is_422_for_an_admin() -> None:
    answer = ask(app_with(acme()), "/traffic/quota", {"[project]": "incredible-bronze-knife"}, secret=ADMIN)
    assert answer.status_code == 422
    assert "p3" in answer.json()["errors"][0]["detail"]


def test_a_filter_that_is_none_is_422() -> None:
    assert ask(app_with(acme()), "/traffic/quota", {"[server]": "sv_1"}).status_code == 422
