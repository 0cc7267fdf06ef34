"""Single objects: made, changed, deleted and restored; and who may see or do which of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from weighbridge.domain.errors import (
    ConflictError,
    InvalidDocumentError,
    InvalidInputError,
    NotPermittedError,
    NotVisibleError,
)
from weighbridge.model import Allowance, Kind, Quota, SeriesKey
from weighbridge.storage.catalog.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.http.route import Principal
    from weighbridge.storage.catalog.store import SqlCatalog

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
OTHER_VPN = VPN.replace("d290", "e290")

MINE: list[tuple[str, str, str | None]] = [
    ("organization", "org_acme", None), ("project", "proj_1", None), ("server", "sv_1", None),
    ("vpn_instance", VPN, None), ("peer", "alice", VPN), ("app", "1", None), ("environment", "1", None),
    ("consumer", "7", None), ("space", "123", None),
]
FOREIGN: list[tuple[str, str, str | None]] = [
    ("organization", "org_bolt", None), ("project", "proj_b", None), ("server", "sv_b", None),
    ("vpn_instance", OTHER_VPN, None), ("peer", "bob", OTHER_VPN), ("app", "2", None), ("environment", "50", None),
    ("consumer", "70", None), ("space", "5", None), ("exporter", "edge-1", None),
]
NEW: dict[str, dict[str, Any]] = {
    "region": {"slug": "new", "name": "New"},
    "exporter": {"address": "192.0.2.99"},
    "organization": {"slug": "new", "name": "New"},
    "project": {"slug": "new", "organization": "org_acme"},
    "server": {"hostname": "new", "region": "chile", "project": "proj_1"},
    "vpn_instance": {"name": "new", "organization": "org_acme"},
    "app": {"name": "new", "organization": "org_acme"},
    "environment": {"name": "new", "app": 1},
    "consumer": {"identifier": "new", "app": 1},
    "space": {"name": "new", "organization": "org_acme"},
}
FIELD = {"peer": "public_key", "exporter": "address", "project": "slug", "server": "hostname", "consumer": "group"}


@pytest.fixture
def both(catalog: SqlCatalog) -> SqlCatalog:
    """The sample, with an exporter, and an environment and a consumer of the other organization too."""
    catalog.apply({"exporters": [{"id": "edge-1", "address": "192.0.2.1"}], "organizations": [{"id": "org_bolt", "apps": [
        {"id": 2, "environments": [{"id": 50, "name": "x"}], "consumers": [{"id": 70, "identifier": "x"}]}]}]})
    return catalog


def test_the_cases_name_every_kind() -> None:
    assert {kind for kind, _, _ in MINE} == set(KINDS) - {"region", "exporter"}
    assert {kind for kind, _, _ in FOREIGN} == set(KINDS) - {"region"}
    assert set(NEW) == set(KINDS) - {"peer"}


@pytest.mark.parametrize(("kind", "name", "parent"), MINE)
def test_an_object_lives_once_around(
    both: SqlCatalog, who: Callable[..., Principal], kind: str, name: str, parent: str | None
) -> None:
    field = FIELD.get(kind, "name")
    changed = both.change_object(kind, name, {field: "changed"}, who(), parent=parent)
    assert getattr(changed, field) == "changed"
    assert both.get_object(kind, name, who(), parent=parent) == changed
    both.delete_object(kind, name, who(), parent=parent)
    for call in (both.get_object, both.delete_object):
        with pytest.raises(NotVisibleError):
            call(kind, name, who(), parent=parent)
    with pytest.raises(NotVisibleError):
        both.change_object(kind, name, {}, who(), parent=parent)
    assert name not in [str(item.id) for item in both.list_objects(kind, who(), {})]


@pytest.mark.parametrize("kind", NEW)
def test_a_new_object_gets_an_id_where_it_brings_none(
    both: SqlCatalog, who: Callable[..., Principal], kind: str
) -> None:
    made = both.create_object(kind, NEW[kind], who())
    assert KINDS[kind].read_id(made.id) == made.id
    assert both.get_object(kind, str(made.id), who()) == made
    taken = {**NEW[kind], "id": made.id}
    with pytest.raises(ConflictError, match="is taken"):
        both.create_object(kind, taken, who())


def test_a_peer_needs_an_id_and_is_unique_within_its_instance(
    both: SqlCatalog, who: Callable[..., Principal]
) -> None:
    with pytest.raises(InvalidDocumentError, match="is missing"):
        both.create_object("peer", {}, who(), parent=VPN)
    with pytest.raises(ConflictError):
        both.create_object("peer", {"id": "alice"}, who(), parent=VPN)
    assert both.create_object("peer", {"id": "alice"}, who(), parent=OTHER_VPN.upper()).vpn == OTHER_VPN
    with pytest.raises(NotVisibleError):
        both.create_object("peer", {"id": "x"}, who(), parent="no-uuid")


def test_absent_parents_are_those_of_the_key(both: SqlCatalog, who: Callable[..., Principal]) -> None:
    assert both.create_object("space", {"name": "n"}, who("org_acme")).organization == "org_acme"
    mine = who("org_acme", "proj_2")
    assert both.create_object("server", {"hostname": "n", "region": "chile"}, mine).project == "proj_2"
    with pytest.raises(InvalidDocumentError, match="is missing") as error:
        both.create_object("space", {"name": "n"}, who())
    assert error.value.where == "organization"


@pytest.mark.parametrize(("kind", "name", "parent"), FOREIGN)
def test_what_is_foreign_is_not_there(
    both: SqlCatalog, who: Callable[..., Principal], kind: str, name: str, parent: str | None
) -> None:
    mine = who("org_acme")
    for call in (both.get_object, both.delete_object):
        with pytest.raises(NotVisibleError):
            call(kind, name, mine, parent=parent)
    with pytest.raises(NotVisibleError):
        both.change_object(kind, name, {FIELD.get(kind, "name"): "x"}, mine, parent=parent)
    assert name not in [str(item.id) for item in both.list_objects(kind, mine, {})]
    assert both.get_object(kind, name, who(), parent=parent)


@pytest.mark.parametrize(("kind", "fields"), [
    ("project", {"slug": "x", "organization": "org_bolt"}),
    ("project", {"slug": "x", "organization": "nix"}),
    ("server", {"hostname": "x", "region": "chile", "project": "proj_b"}),
    ("server", {"hostname": "x", "region": "chile", "project": "nix"}),
    ("vpn_instance", {"name": "x", "primary_server": "sv_b"}),
    ("vpn_instance", {"name": "x", "primary_server": "nix"}),
    ("environment", {"name": "x", "app": 2}),
    ("consumer", {"identifier": "x", "app": 999}),
    ("space", {"name": "x", "organization": "org_bolt"}),
])
def test_nothing_is_made_below_or_with_what_is_foreign(
    both: SqlCatalog, who: Callable[..., Principal], kind: str, fields: dict
) -> None:
    version = both.view().version
    with pytest.raises(NotVisibleError):
        both.create_object(kind, fields, who("org_acme"))
    assert both.view().version == version


@pytest.mark.parametrize(("kind", "filters"), [
    ("project", {"organization": "org_bolt"}), ("server", {"project": "proj_b"}), ("server", {"organization": "nix"}),
    ("environment", {"app": "2"}), ("consumer", {"app": "x"}), ("space", {"organization": "org_bolt"}),
    ("server", {"region": "nix"}), ("peer", {"vpn": OTHER_VPN}), ("peer", {"vpn": "x"}),
])
def test_filters_that_name_what_is_foreign_or_unknown_find_nothing_to_filter_by(
    both: SqlCatalog, who: Callable[..., Principal], kind: str, filters: dict
) -> None:
    with pytest.raises(NotVisibleError):
        both.list_objects(kind, who("org_acme"), filters)


@pytest.mark.parametrize(("kind", "filters", "ids"), [
    ("region", {}, ["reg_br", "reg_cl"]),
    ("project", {}, ["proj_1", "proj_2", "proj_b"]),
    ("project", {"organization": "org_acme"}, ["proj_1", "proj_2"]),
    ("server", {"organization": "org_acme"}, ["sv_1"]),
    ("server", {"region": "chile"}, ["sv_b"]),
    ("server", {"region": "chile", "organization": "org_acme"}, []),
    ("environment", {"organization": "org_bolt"}, [50]),
    ("consumer", {"app": "1"}, [7]),
    ("peer", {"vpn": VPN}, ["alice"]),
])
def test_lists_are_filtered_and_ordered(
    both: SqlCatalog, who: Callable[..., Principal], kind: str, filters: dict, ids: list
) -> None:
    assert [item.id for item in both.list_objects(kind, who(), filters)] == ids


def test_a_key_of_one_project_sees_it_and_its_servers(both: SqlCatalog, who: Callable[..., Principal]) -> None:
    mine = who("org_acme", "proj_1")
    seen = {kind: [item.id for item in both.list_objects(kind, mine, {})] for kind in KINDS}
    assert seen == {
        "region": ["reg_br", "reg_cl"], "organization": ["org_acme"], "project": ["proj_1"], "server": ["sv_1"],
        "vpn_instance": [], "peer": [], "app": [], "environment": [], "consumer": [], "space": [], "exporter": [],
    }


def test_a_key_of_one_project_changes_its_servers_and_quotas_alone(
    both: SqlCatalog, who: Callable[..., Principal]
) -> None:
    mine = who("org_acme", "proj_1")
    both.change_object("project", "proj_1", {"quotas": [{"region": "chile", "tb": {"granted": 3}}]}, mine)
    assert both.view().projects["proj_1"].quotas == (Quota("chile", None, Allowance(3, 0)),)
    both.change_object("server", "sv_1", {"region": "chile"}, mine)
    for call in (
        lambda: both.change_object("project", "proj_1", {"price": 1}, mine),
        lambda: both.delete_object("project", "proj_1", mine),
        lambda: both.create_object("project", {"slug": "x"}, mine),
        lambda: both.create_object("space", {"name": "x"}, mine),
        lambda: both.change_object("organization", "org_acme", {"name": "x"}, mine),
    ):
        with pytest.raises(NotPermittedError):
            call()
    with pytest.raises(NotVisibleError, match="proj_2"):
        both.change_object("server", "sv_1", {"project": "proj_2"}, mine)
    both.delete_object("server", "sv_1", mine)


@pytest.mark.parametrize("kind", ["region", "organization", "exporter"])
def test_what_is_everybodys_takes_an_admin(both: SqlCatalog, who: Callable[..., Principal], kind: str) -> None:
    name = {"region": "reg_br", "organization": "org_acme", "exporter": "edge-1"}[kind]
    refusal = NotVisibleError if kind == "exporter" else NotPermittedError  # an exporter is not even there
    with pytest.raises(NotPermittedError, match="admin"):
        both.create_object(kind, NEW[kind], who("org_acme"))
    for call in (
        lambda: both.change_object(kind, name, {FIELD.get(kind, "name"): "192.0.2.2"}, who("org_acme")),
        lambda: both.delete_object(kind, name, who("org_acme")),
    ):
        with pytest.raises(refusal):
            call()


def test_a_region_in_use_stays(both: SqlCatalog, who: Callable[..., Principal]) -> None:
    with pytest.raises(ConflictError, match="quota of project proj_1, server sv_1, vpn_instance") as error:
        both.delete_object("region", "reg_br", who())
    assert "brazil" in str(error.value)
    both.delete_object("server", "sv_b", who())
    both.delete_object("region", "reg_cl", who())
    assert both.view().regions_by_slug["chile"].deleted_at_s is not None
    with pytest.raises(InvalidDocumentError, match="no region has the slug 'chile'"):
        both.create_object("server", NEW["server"], who())


def test_deleting_takes_what_belongs_to_it_and_leaves_the_series(
    both: SqlCatalog, who: Callable[..., Principal]
) -> None:
    series = both.enter_series([SeriesKey(Kind.SERVER, "sv_1"), SeriesKey(Kind.APP, "1", 1, 7, "GET", "/")])
    both.delete_object("organization", "org_acme", who())
    view = both.view()
    assert {server.id for server in view.servers.values() if server.deleted_at_s is None} == {"sv_b"}
    assert {vpn.id for vpn in view.vpns.values() if vpn.deleted_at_s is None} == {OTHER_VPN}
    assert {peer.id for peer in view.peers.values() if peer.deleted_at_s is None} == {"bob"}
    assert view.servers_of["proj_1"] == ("sv_1",)
    assert [view.series[each.id] for each in series] == series
    with pytest.raises(NotVisibleError):
        both.get_object("environment", "1", who())


def test_a_deleted_app_comes_back_with_its_environments(both: SqlCatalog, who: Callable[..., Principal]) -> None:
    both.delete_object("app", "1", who())
    assert both.list_objects("consumer", who(), {"organization": "org_acme"}) == []
    made = both.create_object("app", {"id": 1, "name": "again"}, who("org_acme"))
    assert (made.name, made.client_id, made.excluded_endpoints) == ("again", None, ())
    assert [item.id for item in both.list_objects("consumer", who("org_acme"), {})] == [7]


@pytest.mark.parametrize(("kind", "name", "back"), [
    ("server", "sv_1", {"id": "sv_1", "hostname": "x", "region": "chile", "project": "proj_b"}),
    ("space", "123", {"id": 123, "name": "x", "organization": "org_bolt"}),
    ("project", "proj_2", {"id": "proj_2", "slug": "x", "organization": "org_bolt"}),
    ("environment", "1", {"id": 1, "name": "x", "app": 2}),
])
def test_what_was_deleted_comes_back_to_its_owner_only(
    both: SqlCatalog, who: Callable[..., Principal], kind: str, name: str, back: dict
) -> None:
    both.delete_object(kind, name, who())
    with pytest.raises(ConflictError, match="is taken") as error:
        both.create_object(kind, back, who("org_bolt"))
    assert "acme" not in str(error.value)


def test_a_deleted_environment_keeps_its_number_for_its_name(
    both: SqlCatalog, who: Callable[..., Principal]
) -> None:
    both.delete_object("environment", "1", who())
    assert 1 not in both.view().environments
    assert 1 not in both.view().environments_of
    assert both.enter_environment(1, "prod") == 1
    both.delete_object("environment", "1", who())
    assert both.create_object("environment", {"app": 1, "name": "prod"}, who()).id == 1
    both.delete_object("environment", "1", who())
    assert both.create_object("environment", {"id": 1, "app": 1, "name": "live"}, who()).name == "live"
    assert both.view().environments_of[1] == {"live": 1}


def test_a_name_that_is_taken_is_told(both: SqlCatalog, who: Callable[..., Principal]) -> None:
    with pytest.raises(ConflictError, match="the name 'prod' is taken") as error:
        both.create_object("environment", {"app": 1, "name": "prod"}, who())
    assert error.value.where == "name"
    with pytest.raises(ConflictError, match="has the id 1 already"):
        both.create_object("environment", {"id": 9, "app": 1, "name": "prod"}, who())


def test_a_slug_is_free_again_after_a_deletion(both: SqlCatalog, who: Callable[..., Principal]) -> None:
    both.delete_object("project", "proj_1", who())
    both.create_object("project", {"id": "proj_3", "slug": "knife", "organization": "org_acme"}, who())
    with pytest.raises(ConflictError, match="taken by 'proj_3'") as error:
        both.create_object("project", {"id": "proj_1", "slug": "knife", "organization": "org_acme"}, who())
    assert error.value.where == "slug"


def test_quotas_of_a_change_are_the_whole_list(both: SqlCatalog, who: Callable[..., Principal]) -> None:
    quota = {"region": "brazil", "tb": {"additional": 1}}
    changed = both.change_object("project", "proj_1", {"quotas": [quota]}, who())
    assert changed.quotas == (Quota("brazil", None, Allowance(0, 1)),)
    assert both.change_object("project", "proj_1", {"quotas": []}, who()).quotas == ()


@pytest.mark.parametrize(("kind", "name", "fields", "where"), [
    ("server", "sv_1", {"id": "sv_2"}, "id"),
    ("project", "proj_1", {"organization": "org_bolt"}, "organization"),
    ("environment", "1", {"app": 2}, "app"),
    ("server", "sv_1", {"hostname": None}, "hostname"),
    ("server", "sv_1", {"region": "atlantis"}, "region"),
    ("server", "sv_1", {"hostnam": "x"}, "hostnam"),
    ("server", "sv_1", {"placements": []}, "placements"),
    ("app", "1", {"environments": []}, "environments"),
    ("server", "sv_1", [], None),
    ("server", "sv_1", None, None),
])
def test_changes_that_cannot_be(
    both: SqlCatalog, who: Callable[..., Principal], *, kind: str, name: str, fields: object, where: str | None
) -> None:
    with pytest.raises(InvalidInputError) as error:
        both.change_object(kind, name, fields, who())
    assert error.value.where == where


@pytest.mark.parametrize("name", [
    "", " ", "x y", "\x00", "\udc80", "a" * 300, "../x", "0", "-1", "1.0", "\u0661", "9" * 30])
@pytest.mark.parametrize("kind", ["server", "space", "vpn_instance"])
def test_a_path_that_can_be_no_id_names_nothing(
    both: SqlCatalog, who: Callable[..., Principal], kind: str, name: str
) -> None:
    with pytest.raises(NotVisibleError) as error:
        both.get_object(kind, name, who())
    assert str(error.value).encode()
