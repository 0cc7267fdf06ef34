"""Dated moves of servers (law 20): every place that a server ever had stays on record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.kit import NOW_S
from weighbridge.domain.errors import ConflictError, InvalidDocumentError, NotVisibleError
from weighbridge.domain.timegrid import rfc3339
from weighbridge.model import Placement

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.kit import HandClock
    from weighbridge.http.route import Principal
    from weighbridge.storage.catalog.store import SqlCatalog

FIRST = Placement(0, "proj_1", "brazil")
SLOT_S = NOW_S // 300 * 300


def places(catalog: SqlCatalog, server: str = "sv_1") -> tuple[Placement, ...]:
    return catalog.view().servers[server].placements


def move(catalog: SqlCatalog, who: Principal, **fields: str) -> tuple[Placement, ...]:
    return catalog.change_object("server", "sv_1", fields, who).placements


def test_the_first_place_is_from_the_beginning(catalog: SqlCatalog) -> None:
    assert places(catalog) == (FIRST,)


def test_the_first_place_is_from_the_beginning_even_with_a_date(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    made = catalog.create_object(
        "server", {"id": "n", "hostname": "n", "region": "chile", "project": "proj_1", "from": rfc3339(NOW_S)}, who())
    assert made.placements == (Placement(0, "proj_1", "chile"),)


def test_a_move_begins_now_on_its_slot(catalog: SqlCatalog, who: Callable[..., Principal], clock: HandClock) -> None:
    clock.advance(299.9)
    assert move(catalog, who(), region="chile") == (FIRST, Placement(SLOT_S, "proj_1", "chile"))
    assert catalog.view().servers["sv_1"].region == "chile"


@pytest.mark.parametrize(("text", "from_s"), [
    ("2025-12-01T10:07:31Z", 1764583500),
    ("2025-12-01T12:07:31+02:00", 1764583500),
    ("2025-12-01T10:05:00", 1764583500),
    ("2025-12-01", 1764547200),
    ("2026-01-01T00:00:00Z", 1767225600),  # ahead of the clock: from then on
])
def test_a_move_begins_when_it_says_rounded_down(
    catalog: SqlCatalog, who: Callable[..., Principal], text: str, from_s: int
) -> None:
    assert move(catalog, who(), project="proj_2", **{"from": text}) == (FIRST, Placement(from_s, "proj_2", "brazil"))


def test_servers_of_a_project_are_all_that_ever_stood_there(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    move(catalog, who(), project="proj_2")
    view = catalog.view()
    assert (view.servers_of["proj_1"], view.servers_of["proj_2"]) == (("sv_1",), ("sv_1",))
    assert [server.id for server in catalog.list_objects("server", who(), {"project": "proj_1"})] == []
    assert [server.id for server in catalog.list_objects("server", who(), {"project": "proj_2"})] == ["sv_1"]


def test_a_move_on_the_same_slot_replaces_the_one_before(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    move(catalog, who(), project="proj_2")
    assert move(catalog, who(), project="proj_1", region="chile") == (FIRST, Placement(SLOT_S, "proj_1", "chile"))
    assert "proj_2" not in catalog.view().servers_of


def test_a_move_back_on_the_same_slot_leaves_no_trace(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    move(catalog, who(), region="chile")
    assert move(catalog, who(), region="brazil") == (FIRST,)


def test_a_move_back_later_is_a_move(
    catalog: SqlCatalog, who: Callable[..., Principal], clock: HandClock
) -> None:
    move(catalog, who(), region="chile")
    clock.advance(300)
    assert move(catalog, who(), region="brazil") == (
        FIRST, Placement(SLOT_S, "proj_1", "chile"), Placement(SLOT_S + 300, "proj_1", "brazil"))


@pytest.mark.parametrize("fields", [
    {"region": "brazil", "from": "2025-12-01T00:00:00Z"},  # before the last move, another place
    {"region": "chile", "from": "2025-12-01T00:00:00Z"},  # before the last move, where it stands now
])
def test_a_move_before_the_last_is_refused(
    catalog: SqlCatalog, who: Callable[..., Principal], fields: dict[str, str]
) -> None:
    moved = move(catalog, who(), region="chile")
    with pytest.raises(ConflictError, match="cannot be dated before that") as error:
        move(catalog, who(), **fields)
    assert error.value.where == "from"
    assert "2025-12-14T16:00:00Z" in str(error.value)
    assert places(catalog) == moved


def test_a_move_that_is_on_record_changes_nothing(
    catalog: SqlCatalog, who: Callable[..., Principal], clock: HandClock
) -> None:
    date = rfc3339(SLOT_S)
    move(catalog, who(), region="chile")
    clock.advance(3600)
    moved = move(catalog, who(), project="proj_2")
    version = catalog.view().version
    assert move(catalog, who(), project="proj_1", region="chile", **{"from": date}) == moved
    assert move(catalog, who(), project="proj_2", region="chile") == moved
    assert move(catalog, who(), hostname="web-1") == moved
    assert catalog.view().version == version


def test_a_file_moves_a_server_by_where_it_stands(catalog: SqlCatalog, sample: dict) -> None:
    first, second = sample["organizations"][0]["projects"]
    second["servers"] = [{**first.pop("servers")[0], "from": "2025-12-01"}]
    plan = catalog.apply(sample)
    assert [(each.id, each.fields) for each in plan.change] == [("sv_1", {"project": ("proj_1", "proj_2")})]
    assert places(catalog) == (FIRST, Placement(1764547200, "proj_2", "brazil"))
    again = catalog.apply(sample)
    assert (again.create, again.change, again.delete) == ([], [], [])


def test_an_organization_gets_a_server_by_an_admin_only(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    catalog.change_object("vpn_instance", "d290f1ee-6c54-4b01-90e6-d701748f0851", {"primary_server": None}, who())
    with pytest.raises(NotVisibleError, match="proj_b"):
        move(catalog, who("org_acme"), project="proj_b")
    move(catalog, who(), project="proj_b")
    with pytest.raises(NotVisibleError):
        catalog.get_object("server", "sv_1", who("org_acme"))
    assert catalog.get_object("server", "sv_1", who("org_bolt")).project == "proj_b"


def test_a_primary_server_does_not_leave_its_vpn_instance_behind(
    catalog: SqlCatalog, who: Callable[..., Principal], sample: dict
) -> None:
    with pytest.raises(ConflictError, match="primary server"):
        move(catalog, who(), project="proj_b")
    sample["organizations"][1]["projects"][0]["servers"] += sample["organizations"][0]["projects"][0].pop("servers")
    with pytest.raises(InvalidDocumentError, match="primary server"):
        catalog.apply(sample)
    assert places(catalog) == (FIRST,)


def test_a_deleted_server_comes_back_to_another_project_as_a_move(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    catalog.delete_object("server", "sv_1", who())
    back = {"id": "sv_1", "hostname": "w", "region": "chile", "project": "proj_2"}
    assert catalog.create_object("server", back, who("org_acme")).placements == (
        FIRST, Placement(SLOT_S, "proj_2", "chile"))


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "1969-01-01", "9999-01-01", "", 5, None, True, ["x"]])
def test_a_date_that_is_none_is_told(catalog: SqlCatalog, who: Callable[..., Principal], text: object) -> None:
    with pytest.raises(InvalidDocumentError) as error:
        catalog.change_object("server", "sv_1", {"region": "chile", "from": text}, who())
    assert error.value.where == "from"
