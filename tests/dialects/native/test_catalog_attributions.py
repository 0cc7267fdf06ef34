"""By what things are known, over HTTP: as answers and the file show it, and to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.catalog_server import ACME, BOLT, FILE, PROJECT, VPN, CatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNKNOWN: dict[str, Any] = {
    "addresses": [], "macs": [], "vlans": [], "interfaces": [], "metering": None, "exporter": None}
SERVER, PEER = "/api/v1/servers/sv_1", f"/api/v1/vpn_instances/{VPN}/peers/alice"
THINGS = (SERVER, f"/api/v1/vpn_instances/{VPN}", PEER)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CatalogServer]:
    found = CatalogServer(tmp_path)
    found.put(FILE)
    yield found
    found.catalog.close()


@pytest.mark.parametrize("path", THINGS)
def test_an_object_shows_what_was_declared_last_and_the_record(server: CatalogServer, path: str) -> None:
    assert server.ask("GET", path).json().items() >= {**UNKNOWN, "attributions": []}.items()
    first = {"addresses": ["192.0.2.10/32", "2001:DB8::1"], "macs": ["5254.0012.3456"], "from": "2025-12-01T00:07:00Z"}
    shown = {**UNKNOWN, "addresses": ["192.0.2.10", "2001:db8::1"], "macs": ["52:54:00:12:34:56"]}
    changed = server.ask("PATCH", path, json=first).json()
    assert changed.items() >= {**shown, "attributions": [{"from": "2025-12-01T00:05:00Z", **shown}]}.items()
    port = {"device": "tor-1", "name": "ge-0/0/1", "facing": "network"}
    later = {**shown, "macs": [], "interfaces": [port], "metering": "flows", "exporter": "edge-0"}
    changed = server.ask("PATCH", path, json={
        "macs": [], "interfaces": [{"device": "tor-1", "name": "ge-0/0/1"}], "metering": "flows", "exporter": "edge-0"}).json()
    assert changed.items() >= {**later, "attributions": [
        {"from": "2025-12-01T00:05:00Z", **shown}, {"from": "2025-12-14T16:00:00Z", **later}]}.items()
    assert server.ask("GET", path).json() == changed
    assert changed in server.ask("GET", path.rpartition("/")[0]).json()["data"]


def test_an_exporter_shows_its_networks_as_they_are_written(server: CatalogServer) -> None:
    made = server.ask("POST", "/api/v1/exporters", json={
        "address": "::ffff:192.0.2.7", "networks": ["192.0.2.1/32", "2001:db8::/32"], "sampling_rate": 2**31})
    assert made.status_code == 201
    assert made.json() == {"id": made.json()["id"], "address": "192.0.2.7", "sampling_rate": 2**31,
                           "networks": ["192.0.2.1", "2001:db8::/32"]}


def test_the_file_tells_what_was_declared_last_without_its_date(server: CatalogServer) -> None:
    server.ask("PATCH", SERVER, json={"addresses": ["192.0.2.10", "192.0.2.16/28"], "metering": "host"})
    file = server.ask("GET", "/api/v1/catalog").json()
    told = file["organizations"][0]["projects"][0]["servers"][0]
    assert told == {"id": "sv_1", "hostname": "web-1", "region": "brazil", **UNKNOWN, "metering": "host",
                    "addresses": ["192.0.2.10", "192.0.2.16/28"]}
    assert file["exporters"] == [{"id": "edge-0", "address": "198.51.100.1", "sampling_rate": None, "networks": []}]
    plan = server.put(json.dumps(file), "?prune=true", "application/json").json()
    assert (plan["create"], plan["change"], plan["delete"]) == ([], [], [])


def test_addresses_and_macs_need_no_quotes_in_yaml(server: CatalogServer) -> None:
    plan = server.put("""
organizations: [{id: org_acme, projects: [{id: proj_1, servers: [{id: sv_1,
  macs: [52:54:00:12:34:56, 0a-00-00-00-00-01],
  addresses: [192.0.2.10, 2001:db8:0:1:2:3:4:5, 1:2:3:4:5:6:7:8],
  vlans: [10, 0x14], from: 2025-12-01 }]}]}]""")
    assert plan.status_code == 200, plan.text
    found = server.ask("GET", SERVER).json()
    assert found["macs"] == ["0a:00:00:00:00:01", "52:54:00:12:34:56"]
    assert found["addresses"] == ["192.0.2.10", "1:2:3:4:5:6:7:8", "2001:db8:0:1:2:3:4:5"]
    assert found["vlans"] == [10, 20]
    refused = server.put(
        "organizations: [{id: org_acme, projects: [{id: proj_1, servers: [{id: sv_1, macs: [525400123456]}]}]}]")
    assert (refused.status_code, refused.json()["errors"][0]["detail"]) == (
        422, "must be text, not int 525400123456; in YAML, put quotes around it")


@pytest.mark.parametrize(("body", "status", "where"), [
    ({"addresses": ["192.0.2.17/28"]}, 422, "addresses[0]"),
    ({"addresses": ["192.0.2.1"], "vlans": [0], "metering": "snmp"}, 422, "vlans[0]"),
    ({"interfaces": [{"device": "d"}]}, 422, "interfaces[0].name"),
    ({"exporter": "edge-9"}, 422, "exporter"),
    ({"addresses": ["192.0.2.99"]}, 409, "addresses"),
    ({"addresses": ["192.0.2.1"], "from": "2025-12-01"}, 409, "from"),
])
def test_what_cannot_be_is_told_with_its_place(
    server: CatalogServer, body: dict[str, Any], status: int, where: str
) -> None:
    server.ask("PATCH", PEER, json={"addresses": ["192.0.2.99"]})
    server.ask("PATCH", SERVER, json={"addresses": ["192.0.2.98"]})
    answer = server.ask("PATCH", SERVER, json=body)
    assert (answer.status_code, answer.json()["where"]) == (status, where)


@pytest.mark.parametrize("secret", [ACME, PROJECT])
def test_an_organization_sees_by_what_its_things_are_known_and_cannot_say_so(server: CatalogServer, secret: str) -> None:
    told = server.ask("PATCH", SERVER, json={"addresses": ["192.0.2.10"], "exporter": "edge-0"}).json()
    assert server.ask("GET", SERVER, secret).json() == told
    refused = server.ask("PATCH", SERVER, secret, json={"addresses": [], "hostname": "w"})
    assert (refused.status_code, refused.json()["detail"]) == (403, "this key lacks the scope 'admin for addresses'")
    assert server.ask("PATCH", SERVER, secret, json={"hostname": "w"}).json() == {**told, "hostname": "w"}


def test_a_server_brings_no_history_from_another_organization(server: CatalogServer) -> None:
    server.put(f"""
organizations:
  - {{id: org_acme, vpn_instances: [{{id: {VPN}, primary_server: null}}]}}
  - {{id: org_bolt, projects: [{{id: proj_b, slug: b}}]}}""")
    server.ask("PATCH", SERVER, json={"addresses": ["192.0.2.10"], "from": "2025-12-01"})
    server.ask("PATCH", SERVER, json={"addresses": ["192.0.2.20"], "from": "2025-12-02"})
    server.ask("PATCH", SERVER, json={"project": "proj_b", "from": "2025-12-05"})
    whole = server.ask("PATCH", SERVER, json={"addresses": ["192.0.2.30"], "from": "2025-12-06"}).json()
    assert [(each["from"], each["addresses"]) for each in whole["attributions"]] == [
        ("2025-12-01T00:00:00Z", ["192.0.2.10"]), ("2025-12-02T00:00:00Z", ["192.0.2.20"]),
        ("2025-12-06T00:00:00Z", ["192.0.2.30"])]
    seen = server.ask("GET", SERVER, BOLT)
    assert [(each["from"], each["addresses"]) for each in seen.json()["attributions"]] == [
        ("2025-12-05T00:00:00Z", ["192.0.2.20"]), ("2025-12-06T00:00:00Z", ["192.0.2.30"])]
    assert "192.0.2.10" not in seen.text
