"""The catalog file: declarative, idempotent, all or nothing."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from weighbridge.domain.errors import InvalidDocumentError
from weighbridge.model import Allowance, CatalogView, Endpoint, Quota
from weighbridge.storage.catalog.fields import MAX_ENDPOINTS, MAX_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.http.route import Principal
    from weighbridge.storage.catalog.changes import Plan
    from weighbridge.storage.catalog.store import SqlCatalog

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
OTHER_VPN = VPN.replace("d290", "e290")


def told(plan: Plan) -> dict[str, list[Any]]:
    """A plan as short as a test wants it."""
    return {
        "create": [(each.kind, each.id) for each in plan.create],
        "change": [(each.kind, each.id, each.fields) for each in plan.change],
        "delete": [(each.kind, each.id) for each in plan.delete],
    }


NOTHING = {"create": [], "change": [], "delete": []}


def acme(**fields: Any) -> dict[str, Any]:
    return {"organizations": [{"id": "org_acme", **fields}]}


def in_project(**fields: Any) -> dict[str, Any]:
    return acme(projects=[{"id": "proj_1", **fields}])


def in_app(**fields: Any) -> dict[str, Any]:
    return acme(apps=[{"id": 1, **fields}])


def frozen(view: CatalogView) -> dict[str, object]:
    return {
        name: dict(value) if isinstance(value := getattr(view, name), dict) else value
        for name in CatalogView.__dataclass_fields__
    }


def faults(catalog: SqlCatalog, document: object, **options: bool) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidDocumentError) as error:
        catalog.apply(document, **options)
    return error.value.errors


def test_the_file_makes_what_it_declares(empty: SqlCatalog, sample: dict) -> None:
    plan = empty.apply(sample)
    assert told(plan)["create"] == [
        ("region", "reg_br"), ("region", "reg_cl"), ("organization", "org_acme"), ("project", "proj_1"),
        ("server", "sv_1"), ("project", "proj_2"), ("vpn_instance", VPN), ("peer", f"{VPN}/alice"), ("app", 1),
        ("environment", 1), ("consumer", 7), ("space", 123), ("organization", "org_bolt"), ("project", "proj_b"),
        ("server", "sv_b"), ("vpn_instance", OTHER_VPN), ("peer", f"{OTHER_VPN}/bob"), ("app", 2), ("space", 5),
    ]
    assert (plan.change, plan.delete, plan.leave) == ([], [], 0)
    view = empty.view()
    assert view.projects["proj_1"].quotas == (Quota("brazil", 500, Allowance(20, 0), Allowance(0, 0)),)
    assert view.apps[1].excluded_endpoints == (Endpoint("GET", "/healthz"),)
    assert (view.organizations["org_bolt"].time_zone, view.organizations["org_bolt"].billing_day) == ("UTC", 1)
    assert view.regions_by_slug["chile"].id == "reg_cl"
    assert view.vpns_of["org_acme"] == (VPN,)
    assert view.peers_of == {VPN: ("alice",), OTHER_VPN: ("bob",)}


def test_again_it_changes_nothing(catalog: SqlCatalog, sample: dict) -> None:
    version = catalog.view().version
    plan = catalog.apply(sample)
    assert (told(plan), plan.leave) == (NOTHING, 19)
    assert told(catalog.apply(sample, prune=True)) == NOTHING
    assert catalog.view().version == version


@pytest.mark.parametrize("document", [None, {}, {"regions": []}, {"organizations": []}])
def test_a_file_of_nothing_does_nothing(catalog: SqlCatalog, document: object) -> None:
    plan = catalog.apply(document)
    assert (told(plan), plan.leave) == (NOTHING, 0)


def test_a_dry_run_tells_the_same_and_changes_nothing(empty: SqlCatalog, sample: dict) -> None:
    sample["organizations"][0]["apps"][0]["environments"].append({"name": "numbered by the catalog"})
    before = frozen(empty.view())
    dry = empty.apply(sample, dry_run=True)
    assert frozen(empty.view()) == before
    assert empty.apply(sample) == dry


CHANGES: list[tuple[dict[str, Any], list[tuple[str, str | int, dict[str, tuple[Any, Any]]]]]] = [
    (acme(name="Acme"), [("organization", "org_acme", {"name": ("Acme Hosting", "Acme")})]),
    (acme(monthly_traffic_limit=None), [("organization", "org_acme", {"monthly_traffic_limit": (10_000_000, None)})]),
    (in_project(price=None), [("project", "proj_1", {"price": (500, None)})]),
    (in_project(billing_method="95th percentile"),
     [("project", "proj_1", {"billing_method": ("Normal", "95th percentile")})]),
    (in_project(servers=[{"id": "sv_1", "hostname": "w"}]), [("server", "sv_1", {"hostname": ("web-1", "w")})]),
    (in_app(excluded_endpoints=[]),
     [("app", 1, {"excluded_endpoints": (({"method": "GET", "path": "/healthz"},), ())})]),
    (in_app(consumers=[{"identifier": "alice", "group": "g"}]), [("consumer", 7, {"group": (None, "g")})]),
    (in_app(consumers=[{"id": 7, "identifier": "al"}]), [("consumer", 7, {"identifier": ("alice", "al")})]),
    (in_app(environments=[{"id": 1, "name": "live"}]), [("environment", 1, {"name": ("prod", "live")})]),
    (acme(vpn_instances=[{"id": VPN.upper(), "primary_server": None}]),
     [("vpn_instance", VPN, {"primary_server": ("sv_1", None)})]),
    ({"regions": [{"id": "reg_br", "slug": "brasil"}]}, [("region", "reg_br", {"slug": ("brazil", "brasil")})]),
]


@pytest.mark.parametrize(("document", "changes"), CHANGES)
def test_given_fields_replace_and_absent_ones_stay(catalog: SqlCatalog, document: dict, changes: list) -> None:
    assert told(catalog.apply(document)) == {**NOTHING, "change": changes}
    assert told(catalog.apply(document)) == NOTHING


def test_quotas_are_merged_by_region_and_by_field(catalog: SqlCatalog) -> None:
    catalog.apply(in_project(quotas=[
        {"region": "chile", "tb": {"granted": 1}}, {"region": "brazil", "tb": {"additional": 5}}]))
    assert catalog.view().projects["proj_1"].quotas == (
        Quota("brazil", 500, Allowance(20, 5), Allowance(0, 0)), Quota("chile", None, Allowance(1, 0), Allowance(0, 0)))
    catalog.apply(in_project(quotas=[{"region": "chile", "price": 3}]), prune=True)
    assert catalog.view().projects["proj_1"].quotas == (Quota("chile", 3, Allowance(1, 0), Allowance(0, 0)),)


def test_excluded_endpoints_are_the_list_that_is_given_each_once(catalog: SqlCatalog) -> None:
    catalog.apply(in_app(excluded_endpoints=[
        {"method": "post", "path": "/b"}, {"method": "GET", "path": "/a"}, {"method": "POST", "path": "/b"}]))
    assert catalog.view().apps[1].excluded_endpoints == (Endpoint("POST", "/b"), Endpoint("GET", "/a"))


def test_slugs_can_be_traded(catalog: SqlCatalog, sample: dict) -> None:
    sample["organizations"][0]["slug"], sample["organizations"][1]["slug"] = "bolt", "acme"
    catalog.apply(sample)
    assert {org.id: org.slug for org in catalog.view().organizations.values()} == {
        "org_acme": "bolt", "org_bolt": "acme"}


def test_names_of_environments_can_be_traded(catalog: SqlCatalog) -> None:
    catalog.apply(in_app(environments=[{"id": 2, "name": "dev"}]))
    catalog.apply(in_app(environments=[{"id": 1, "name": "dev"}, {"id": 2, "name": "prod"}]))
    assert catalog.view().environments_of[1] == {"dev": 1, "prod": 2}


def test_a_region_that_is_renamed_takes_everything_along(catalog: SqlCatalog, sample: dict) -> None:
    catalog.apply({"regions": [{"id": "reg_br", "slug": "brasil"}]})
    view = catalog.view()
    assert (view.servers["sv_1"].region, view.servers["sv_1"].placements[0].region) == ("brasil", "brasil")
    assert view.vpns[VPN].region == "brasil"
    assert [quota.region for quota in view.projects["proj_1"].quotas] == ["brasil"]
    assert set(view.regions_by_slug) == {"brasil", "chile"}
    assert {where for where, _ in faults(catalog, {"organizations": sample["organizations"]})} == {
        "organizations[0].projects[0].quotas", "organizations[0].projects[0].servers[0].region",
        "organizations[0].vpn_instances[0].region"}


def test_a_name_that_traffic_brought_keeps_its_number(catalog: SqlCatalog) -> None:
    number = catalog.enter_environment(1, "staging")
    assert told(catalog.apply(in_app(environments=[{"name": "staging"}]))) == NOTHING
    assert told(catalog.apply(in_app(environments=[{"id": number, "name": "staging"}]))) == NOTHING
    assert faults(catalog, in_app(environments=[{"id": 2, "name": "staging"}])) == [(
        "organizations[0].apps[0].environments[0].id",
        f"the environment 'staging' of app 1 has the id {number} already, not 2; write that id, or leave it out",
    )]
    assert catalog.view().environments_of[1] == {"prod": 1, "staging": number}


PRUNED: list[tuple[dict[str, Any], list[tuple[str, str | int]]]] = [
    ({"organizations": []}, [
        ("server", "sv_1"), ("project", "proj_1"), ("project", "proj_2"), ("peer", f"{VPN}/alice"),
        ("vpn_instance", VPN), ("app", 1), ("space", 123), ("organization", "org_acme"), ("server", "sv_b"),
        ("project", "proj_b"), ("peer", f"{OTHER_VPN}/bob"),
        ("vpn_instance", OTHER_VPN), ("app", 2), ("space", 5), ("organization", "org_bolt")]),
    ({"regions": []}, []),  # all in use
    (in_project(servers=[]), [("server", "sv_1")]),
    (in_project(), []),
    (acme(projects=[]), [("server", "sv_1"), ("project", "proj_1"), ("project", "proj_2")]),
    (acme(spaces=[{"id": 9, "name": "n"}]), [("space", 123)]),
    (in_app(environments=[], consumers=[]), []),
    (acme(vpn_instances=[{"id": VPN, "peers": []}]), [("peer", f"{VPN}/alice")]),
]


@pytest.mark.parametrize(("document", "deleted"), PRUNED)
def test_pruning_deletes_what_the_given_lists_do_not_hold(
    catalog: SqlCatalog, document: dict, deleted: list
) -> None:
    others = {"id": "org_bolt"}
    if document.get("organizations"):
        document = {"organizations": [*document["organizations"], others]}
        if "projects" in document["organizations"][0] and document["organizations"][0]["projects"]:
            document["organizations"][0]["projects"].append({"id": "proj_2"})
    dry = catalog.apply(document, prune=True, dry_run=True)
    assert told(dry)["delete"] == deleted
    assert catalog.apply(document, prune=True) == dry
    assert told(catalog.apply(document, prune=True)) == NOTHING


def test_without_prune_nothing_is_deleted(catalog: SqlCatalog) -> None:
    document = {"regions": [], "organizations": [{"id": "org_acme", "projects": [], "spaces": [], "apps": []}]}
    assert told(catalog.apply(document)) == NOTHING


def test_pruning_leaves_this_machine_alone(catalog: SqlCatalog) -> None:
    catalog.apply({
        "regions": [{"id": "reg_local", "slug": "local", "name": "l"}],
        "organizations": [{"id": "local", "slug": "local", "name": "l", "projects": [
            {"id": "proj_local", "slug": "local", "servers": [
                {"id": "sv_local", "hostname": "l", "region": "local"}]}]}]})
    catalog.apply({"regions": [], "organizations": []}, prune=True)
    view = catalog.view()
    assert [org.id for org in view.organizations.values() if org.deleted_at_s is None] == ["local"]
    assert [server.id for server in view.servers.values() if server.deleted_at_s is None] == ["sv_local"]
    assert [region.id for region in view.regions.values() if region.deleted_at_s is None] == ["reg_local"]
    catalog.apply({"organizations": [{"id": "local", "projects": []}]}, prune=True)
    assert view.servers["sv_local"].deleted_at_s is not None


def test_what_was_pruned_comes_back_with_the_file(catalog: SqlCatalog, sample: dict) -> None:
    catalog.enter_environment(1, "staging")
    before = frozen(catalog.view())
    catalog.apply({"regions": [], "organizations": []}, prune=True)
    plan = catalog.apply(sample)
    assert all(each.restored for each in plan.create)
    after = frozen(catalog.view())
    assert {**after, "version": 0} == {**before, "version": 0}


def test_one_wrong_thing_and_nothing_is_kept(catalog: SqlCatalog, sample: dict) -> None:
    before = frozen(catalog.view())
    sample["organizations"][0]["name"] = "New"
    sample["organizations"][1]["spaces"][0]["id"] = 0
    faults(catalog, sample)
    assert frozen(catalog.view()) == before


def test_everything_that_is_wrong_is_told_with_its_place(catalog: SqlCatalog) -> None:
    found = faults(catalog, {
        "region": [],
        "regions": [{"id": "reg x", "slug": "A", "name": ""}, {"slug": "b"}, 5],
        "organizations": [
            {"id": "org_acme", "time_zone": "Mars/Base", "billing_day": 32, "plan": "gold", "projects": [
                {"id": "proj_1", "servers": [{"id": "sv_1", "hostnam": "x", "region": "brasil"}], "quotas": [
                    {"region": "brazil", "tb": {"granted": -1}}, {"region": "brazil"}, {}]}],
             "apps": [{"id": "1", "environments": [{"id": 1.5, "name": "x"}]}],
             "vpn_instances": [{"id": "hq", "peers": {}}]},
        ],
    })
    assert [where for where, _ in found] == [
        "region", "regions[0].id", "regions[0].slug", "regions[0].name", "regions[1].id", "regions[2]",
        "organizations[0].time_zone", "organizations[0].billing_day", "organizations[0].plan",
        "organizations[0].projects[0].quotas[0].tb.granted", "organizations[0].projects[0].quotas[1].region",
        "organizations[0].projects[0].quotas[2].region", "organizations[0].projects[0].servers[0].hostnam",
        "organizations[0].vpn_instances[0].id", "organizations[0].vpn_instances[0].peers",
        "organizations[0].apps[0].id", "organizations[0].apps[0].environments[0].id",
        "organizations[0].projects[0].servers[0].region",
    ]
    details = dict(found)
    assert details["region"] == "no such field; did you mean 'regions'?"
    assert details["organizations[0].projects[0].servers[0].hostnam"] == "no such field; did you mean 'hostname'?"
    assert details["organizations[0].projects[0].servers[0].region"] == (
        "no region has the slug 'brasil'; did you mean 'brazil'?")
    assert details["organizations[0].billing_day"] == "must be an integer from 1 to 31, not 32"


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("a new thing without what it needs", in_project(servers=[{"id": "n", "region": "chile"}]),
     "organizations[0].projects[0].servers[0].hostname", "is missing"),
    ("an id twice", acme(spaces=[{"id": 1, "name": "a"}, {"id": 1, "name": "a"}]),
     "organizations[0].spaces[1].id", "stands in the document already"),
    ("a name twice", in_app(environments=[{"name": "a"}, {"name": "a"}]),
     "organizations[0].apps[0].environments[1].id", "stands in the document already"),
    ("an id of another organization's", acme(spaces=[{"id": 5, "name": "a"}]),
     "organizations[0].spaces[0].id", "is taken"),
    ("a project of another organization", acme(projects=[{"id": "proj_b", "slug": "x"}]),
     "organizations[0].projects[0].id", "is taken"),
    ("a slug that is taken", acme(slug="bolt"), "organizations[0].slug", "is taken by 'org_bolt'"),
    ("a project slug that is taken", acme(projects=[{"id": "proj_2", "slug": "knife"}]),
     "organizations[0].projects[0].slug", "is taken by 'proj_1'"),
    ("a client id that is taken", {"organizations": [{"id": "org_bolt", "apps": [
        {"id": 2, "client_id": "76B5CB91-a0a4-4ea0-a894-57d2b9fcb2c9"}]}]},
     "organizations[0].apps[0].client_id", "is taken"),
    ("a primary server of others", acme(vpn_instances=[{"id": VPN, "primary_server": "sv_b"}]),
     "organizations[0].vpn_instances[0].primary_server", "no server 'sv_b'"),
    ("a primary server that is not there", acme(vpn_instances=[{"id": VPN, "primary_server": "nix"}]),
     "organizations[0].vpn_instances[0].primary_server", "no server 'nix'"),
    ("an environment of another app", {"organizations": [{"id": "org_bolt", "apps": [
        {"id": 2, "environments": [{"id": 1, "name": "x"}]}]}]},
     "organizations[0].apps[0].environments[0].id", "is taken"),
    ("a field of later days", in_project(servers=[{"id": "sv_1", "rack": []}]),
     "organizations[0].projects[0].servers[0].rack", "no such field"),
    ("a section of later days", {"racks": []}, "racks", "no such field"),
    ("too many environments", in_app(environments=[{"name": f"e{n}"} for n in range(100)]),
     "organizations[0].apps[0].environments", "at most 100 environments, not 101"),
    ("too many endpoints",
     in_app(excluded_endpoints=[{"method": "GET", "path": f"/{n}"} for n in range(MAX_ENDPOINTS + 1)]),
     "organizations[0].apps[0].excluded_endpoints", "at most 1000"),
]


@pytest.mark.parametrize(("document", "where", "words"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_refused(catalog: SqlCatalog, document: dict, where: str, words: str) -> None:
    before = frozen(catalog.view())
    ((place, detail),) = faults(catalog, document)
    assert place == where
    assert words in detail
    assert frozen(catalog.view()) == before


def test_a_slug_of_another_organization_is_free_for_projects(catalog: SqlCatalog) -> None:
    assert catalog.view().projects["proj_1"].slug == catalog.view().projects["proj_b"].slug


def test_faults_are_told_up_to_a_bound(catalog: SqlCatalog) -> None:
    assert len(faults(catalog, {"regions": [5] * 1000})) == MAX_FAULTS


@pytest.mark.parametrize("prune", [False, True])
def test_the_catalog_as_a_file_changes_nothing(
    catalog: SqlCatalog, who: Callable[..., Principal], prune: bool
) -> None:
    catalog.enter_environment(1, "staging")
    catalog.enter_consumer(2, "x")
    plan = catalog.apply(catalog.export(who()), prune=prune)
    assert (told(plan), plan.leave) == (NOTHING, 21)


def test_the_file_makes_the_same_catalog_elsewhere(
    catalog: SqlCatalog, who: Callable[..., Principal], sample: dict
) -> None:
    exported = catalog.export(who())
    catalog.apply({"regions": [], "organizations": []}, prune=True)
    assert catalog.export(who()) == {"regions": [], "exporters": [], "organizations": []}
    catalog.apply(exported)
    assert catalog.export(who()) == exported


def test_a_file_shows_each_key_what_it_sees(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    everything = catalog.export(who())
    (acme_only,) = catalog.export(who("org_acme"))["organizations"]  # type: ignore[misc,index]
    assert acme_only == everything["organizations"][0]  # type: ignore[index]
    (project_only,) = catalog.export(who("org_acme", "proj_1"))["organizations"]  # type: ignore[misc,index]
    expected = copy.deepcopy(acme_only)
    expected |= {"projects": expected["projects"][:1], "vpn_instances": [], "apps": [], "spaces": []}
    assert project_only == expected


def test_a_file_names_no_primary_server_that_is_gone(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    catalog.delete_object("server", "sv_1", who())
    assert catalog.get_object("vpn_instance", VPN, who()).primary_server == "sv_1"
    exported = catalog.export(who())
    assert "primary_server" not in exported["organizations"][0]["vpn_instances"][0]  # type: ignore[index]
    assert told(catalog.apply(exported, prune=True)) == NOTHING
