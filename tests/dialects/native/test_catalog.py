"""The catalog over HTTP: one file, and five routes for each kind of object."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from support.catalog_server import ACME, BOLT, FILE, PROJECT, READER, VPN, CatalogServer
from support.kit import ADMIN
from weighbridge.dialects.native.catalog_docs import RESOURCES, YAML_TYPES, Resource
from weighbridge.storage.catalog.kinds import KINDS
from weighbridge.storage.catalog.store import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog's file that holds what FILE says."""
    folder = tmp_path_factory.mktemp("prepared")
    found = CatalogServer(folder)
    assert found.put(FILE).status_code == 200
    found.catalog.close()
    return folder / FILE_NAME


@pytest.fixture
def server(tmp_path: Path, prepared: Path) -> Iterator[CatalogServer]:
    shutil.copy(prepared, tmp_path / FILE_NAME)
    found = CatalogServer(tmp_path)
    yield found
    found.catalog.close()


def test_a_file_is_applied_and_again_changes_nothing(server: CatalogServer) -> None:
    again = server.put(FILE)
    assert again.json() == {"create": [], "change": [], "delete": [], "leave": 12}


@pytest.mark.parametrize("content_type", YAML_TYPES)
def test_every_name_of_yaml_is_taken(server: CatalogServer, content_type: str) -> None:
    assert server.put(FILE, content_type=content_type).json()["leave"] == 12


def test_dry_run_and_prune_are_flags(server: CatalogServer) -> None:
    body = json.dumps({"organizations": [{"id": "org_acme", "name": "New", "spaces": []}]})
    plan = {
        "create": [], "leave": 0, "delete": [{"kind": "space", "id": 123}, {"kind": "organization", "id": "org_bolt"}],
        "change": [{"kind": "organization", "id": "org_acme", "fields": {"name": ["Acme Hosting", "New"]}}],
    }
    dry = server.put(body, "?dry_run=true&prune=true", "application/json")
    assert dry.json() == plan
    assert server.ask("GET", "/api/v1/organizations/org_bolt").status_code == 200
    assert server.put(body, "?dry_run=false&prune=1", "application/json").json() == plan
    assert server.ask("GET", "/api/v1/organizations/org_bolt").status_code == 404


def test_the_catalog_as_a_file_changes_nothing(server: CatalogServer) -> None:
    file = server.ask("GET", "/api/v1/catalog").content
    for content_type in ("application/json", "application/yaml"):
        plan = server.put(file, "?prune=true", content_type).json()
        assert (plan["create"], plan["change"], plan["delete"]) == ([], [], [])


@pytest.mark.parametrize(("secret", "organizations"), [
    (ADMIN, ["org_acme", "org_bolt"]), (ACME, ["org_acme"]), (BOLT, ["org_bolt"]), (READER, ["org_acme"])])
def test_a_key_reads_its_part_of_the_file(server: CatalogServer, secret: str, organizations: list[str]) -> None:
    file = server.ask("GET", "/api/v1/catalog", secret).json()
    assert [each["id"] for each in file["organizations"]] == organizations
    assert [each["slug"] for each in file["regions"]] == ["brazil"]
    assert [each["id"] for each in file["exporters"]] == (["edge-0"] if secret == ADMIN else [])


def test_a_file_takes_an_admin(server: CatalogServer) -> None:
    assert server.ask("PUT", "/api/v1/catalog", ACME, content=b"{}").status_code == 403


def test_all_that_is_wrong_with_a_file_is_told(server: CatalogServer) -> None:
    answer = server.put("regions: [{id: x y, slug: X, name: 2025-01-01}]\nregion: 5")
    assert answer.status_code == 422
    assert [error["where"] for error in answer.json()["errors"]] == ["region", "regions[0].id", "regions[0].slug"]
    assert server.put("regions: [{id: x, slug: x, name: 2025-01-01}]").status_code == 200  # dates are text


@pytest.mark.parametrize(("body", "content_type", "status"), [
    (b"{", "application/json", 400),
    (b"", "application/json", 400),
    (b"NaN", "application/json", 400),
    (b'{"a": "\\ud800"}', "application/json", 400),
    (b'{"regions": [{"id": "\xff"}]}', "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b"5", "application/json", 422),
    (b'{"regions": 1e400}', "application/json", 400),
    (b'{"regions": [{"id": 99999999999999999999999999}]}', "application/json", 422),
    (b"a: [", "application/yaml", 400),
    (b"x", "application/yaml", 422),
    (b"? {a: b}\n: c", "application/yaml", 400),
    (b"'\\u0000': 5", "application/yaml", 422),
    (b'"\\u0000": 5', "application/yaml", 422),
    (b'"\\ud800": "\\udfff"', "application/yaml", 400),
    (b"regions: [{id: a, slug: a, name: 0x" + b"f" * 9000 + b"}]", "application/yaml", 422),
    (b"<a/>", "application/xml", 415),
    (b" " * (4 * 1024 * 1024 + 1), "application/yaml", 413),
])
def test_bodies_that_cannot_be(server: CatalogServer, body: bytes, content_type: str, status: int) -> None:
    assert server.put(body, content_type=content_type).status_code == status


def test_the_table_of_routes_and_the_table_of_kinds_agree() -> None:
    assert {resource.kind for resource in RESOURCES} == set(KINDS)
    for resource in RESOURCES:
        spec = KINDS[resource.kind]
        assert (set(resource.fields), resource.parent) == (set(spec.fields), spec.parent_field)
        assert set(resource.required) - {resource.parent} == set(spec.required)
        assert resource.section == spec.section
        assert resource.is_made_id == (spec.is_numbered or spec.make_id() is not None)


def place_of(resource: Resource) -> str:
    return resource.list_path.replace("{vpn}", VPN)


def body_of(resource: Resource) -> dict[str, Any]:
    """A new object in the world of FILE."""
    values = {"organization": "org_acme", "project": "proj_1", "region": "brazil", "primary_server": "sv_1", "app": 1,
              "slug": "new", "quotas": [], "id": None}
    body = {name: values.get(name, value) for name, value in dict(resource.body(is_new=True).example).items()}
    body["id"] = {"string": "new", "integer": 99}[resource.id_schema["type"]]
    if resource.kind == "vpn_instance":
        body["id"] = VPN.replace("d", "e")
    if resource.kind in ("environment", "consumer"):
        body |= {"name": "new", "identifier": "new"} if resource.kind == "consumer" else {"name": "new"}
    return body


each_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)


@each_resource
def test_an_object_once_around(server: CatalogServer, resource: Resource) -> None:
    body = body_of(resource)
    made = server.ask("POST", place_of(resource), json=body)
    assert made.status_code == 201
    assert body.items() <= made.json().items()
    where = made.headers["location"]
    assert where == f"{place_of(resource)}/{body['id']}"
    assert server.ask("GET", where).json() == made.json()
    again = server.ask("POST", place_of(resource), json=body)
    assert (again.status_code, again.json()["where"]) == (409, "id")
    value = {"address": "192.0.2.2"}.get(resource.changed, "newer")
    changed = server.ask("PATCH", where, json={resource.changed: value})
    assert changed.json() == {**made.json(), resource.changed: value}
    listed = server.ask("GET", place_of(resource)).json()
    assert changed.json() in listed["data"]
    gone = server.ask("DELETE", where)
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        assert server.ask(method, where, json={}).status_code == 404
    assert changed.json() not in server.ask("GET", place_of(resource)).json()["data"]


@each_resource
def test_what_may_not_be_seen_is_not_there(server: CatalogServer, resource: Resource) -> None:
    listed = server.ask("GET", place_of(resource)).json()["data"]
    if resource.kind == "region":
        return
    for item in listed:
        if item["id"] == "org_bolt":
            continue
        where = f"{place_of(resource)}/{item['id']}"
        unknown = f"{place_of(resource)}/{'9999' if isinstance(item['id'], int) else 'unknown'}"
        for method in ("GET", "PATCH", "DELETE"):
            if resource.is_global and (method != "GET" or resource.is_hidden):
                assert server.ask(method, where, BOLT, json={}).status_code == 403
                continue
            foreign, nothing = (server.ask(method, path, BOLT, json={}) for path in (where, unknown))
            assert foreign.status_code == nothing.status_code == 404
            if resource.kind != "peer":
                assert foreign.json()["detail"].replace(str(item["id"]), "") == nothing.json()["detail"].replace(
                    unknown.rpartition("/")[2], "")
    found = server.ask("GET", place_of(resource), BOLT)
    if resource.is_hidden:
        assert found.status_code == 403
        return
    assert found.status_code == 404 if resource.kind == "peer" else not [
        item for item in found.json()["data"] if item["id"] != "org_bolt"]


@each_resource
def test_writing_takes_the_scope_for_it(server: CatalogServer, resource: Resource) -> None:
    for method, path in (("POST", place_of(resource)), ("PATCH", f"{place_of(resource)}/x"),
                         ("DELETE", f"{place_of(resource)}/x")):
        assert server.ask(method, path, READER, json={}).status_code == 403
        if resource.is_global:
            assert server.ask(method, path, ACME, json={}).status_code == 403
    assert server.ask("GET", place_of(resource), READER).status_code == (403 if resource.is_hidden else 200)


@each_resource
@pytest.mark.parametrize(("body", "status"), [
    (b"", 400), (b"{", 400), (b"[]", 422), (b"null", 422), (b'{"\\u0000": 1}', 422), (b'{"nope": 1}', 422),
    (b'{"id": "\\u0000"}', 422), (b'{"id": {"a": []}}', 422), (b'{"name": "\\u0007", "slug": "A", "id": []}', 422),
])
def test_bodies_of_objects_that_cannot_be(server: CatalogServer, resource: Resource, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    version = server.catalog.view().version
    assert server.ask("POST", place_of(resource), content=body, headers=headers).status_code == status
    assert server.catalog.view().version == version


def test_pages_go_through_everything_once(server: CatalogServer) -> None:
    spaces = [{"id": number, "name": "s"} for number in range(1001, 1251)]
    server.put(json.dumps({"organizations": [{"id": "org_bolt", "spaces": spaces}]}), content_type="application/json")
    found, token, pages = [], "", 0
    while token is not None:
        query = f"?limit=100&organization=org_bolt{f'&next_token={token}' if token else ''}"
        page = server.ask("GET", f"/api/v1/spaces{query}").json()
        assert page["has_more"] == (page["next_token"] is not None)
        found += [item["id"] for item in page["data"]]
        token, pages = page["next_token"], pages + 1
    assert (found, pages) == (list(range(1001, 1251)), 3)
    assert len(server.ask("GET", "/api/v1/spaces").json()["data"]) == 100


def test_a_page_goes_on_where_it_ended_though_its_last_object_went(server: CatalogServer) -> None:
    for number in (1, 2, 3):
        server.ask("POST", "/api/v1/spaces", json={"id": number, "name": "s", "organization": "org_bolt"})
    token = server.ask("GET", "/api/v1/spaces?limit=2").json()["next_token"]
    server.ask("DELETE", "/api/v1/spaces/2")
    page = server.ask("GET", f"/api/v1/spaces?limit=1&next_token={token}").json()
    assert [item["id"] for item in page["data"]] == [3]


@pytest.mark.parametrize("query", [
    "limit=0", "limit=1001", "limit=x", "limit=", "limit=-1", "limit=1.0", "limit=%D9%A1", "limit=1&limit=2",
    "limits=5", "next_token=", "next_token=x", "next_token=%00", "next_token=%C3%A9", "project=proj_1",
])
def test_questions_that_cannot_be(server: CatalogServer, query: str) -> None:
    assert server.ask("GET", f"/api/v1/spaces?{query}").status_code == 422


@pytest.mark.parametrize("path", ["/api/v1/apps", "/api/v1/spaces?organization=org_acme", "/api/v1/servers"])
def test_a_token_is_of_one_question(server: CatalogServer, path: str) -> None:
    for number in (1, 2):
        server.ask("POST", "/api/v1/spaces", json={"id": number, "name": "s", "organization": "org_bolt"})
    token = server.ask("GET", "/api/v1/spaces?limit=1").json()["next_token"]
    answer = server.ask("GET", f"{path}{'&' if '?' in path else '?'}next_token={token}")
    assert (answer.status_code, answer.json()["where"]) == (422, "next_token")


def test_a_token_that_was_made_up_is_refused(server: CatalogServer) -> None:
    from base64 import urlsafe_b64decode, urlsafe_b64encode  # noqa: PLC0415

    server.ask("POST", "/api/v1/spaces", json={"id": 1, "name": "s", "organization": "org_bolt"})
    token = server.ask("GET", "/api/v1/spaces?limit=1").json()["next_token"]
    question, _ = json.loads(urlsafe_b64decode(token + "=="))
    for last in ("text", [], None, {}, 1.5):
        forged = urlsafe_b64encode(json.dumps([question, last]).encode()).decode()
        assert server.ask("GET", f"/api/v1/spaces?next_token={forged}").status_code == 422


@pytest.mark.parametrize(("path", "secret"), [
    ("/api/v1/projects?organization=org_acme", BOLT), ("/api/v1/servers?project=proj_1", BOLT),
    ("/api/v1/servers?project=nix", ADMIN), ("/api/v1/environments?app=1", BOLT),
    ("/api/v1/consumers?app=x", ADMIN), ("/api/v1/spaces?organization=org_acme", BOLT),
    ("/api/v1/servers?region=nix", ADMIN), ("/api/v1/vpn_instances/x/peers", ADMIN),
])
def test_filters_that_name_what_is_not_there(server: CatalogServer, path: str, secret: str) -> None:
    assert server.ask("GET", path, secret).status_code == 404


def test_a_move_over_http(server: CatalogServer) -> None:
    server.ask("POST", "/api/v1/projects", ACME, json={"id": "proj_2", "slug": "spoon"})
    move = {"project": "proj_2", "from": "2025-12-10T00:07:00Z"}
    moved = server.ask("PATCH", "/api/v1/servers/sv_1", ACME, json=move)
    unknown = {"addresses": [], "macs": [], "vlans": [], "interfaces": [], "metering": None, "exporter": None}
    assert moved.json() == {
        **unknown, "attributions": [],
        "id": "sv_1", "hostname": "web-1", "project": "proj_2", "region": "brazil", "placements": [
            {"from": None, "project": "proj_1", "region": "brazil"},
            {"from": "2025-12-10T00:05:00Z", "project": "proj_2", "region": "brazil"}]}
    refused = server.ask("PATCH", "/api/v1/servers/sv_1", json={"project": "proj_1", "from": "2025-12-01"})
    assert (refused.status_code, refused.json()["where"]) == (409, "from")
    assert server.ask("GET", "/api/v1/servers/sv_1", PROJECT).status_code == 404
    assert server.ask("PATCH", "/api/v1/servers/sv_1", PROJECT, json={"project": "proj_1"}).status_code == 404


def test_ids_with_odd_characters_have_a_path(server: CatalogServer) -> None:
    made = server.ask("POST", f"/api/v1/vpn_instances/{VPN}/peers", ACME, json={"id": "bob@example.com:1"})
    assert made.headers["location"] == f"/api/v1/vpn_instances/{VPN}/peers/bob%40example.com%3A1"
    assert server.ask("GET", made.headers["location"]).json()["id"] == "bob@example.com:1"
