"""Another organization's key gets 401, 403 or 404 and no byte of what is not its own: over the whole route table.

A new route is walked by itself. A new parameter that this test cannot classify fails it, so that none is forgotten.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.application import application_in
from support.server import running
from weighbridge.app.build import dialects
from weighbridge.app.config import load
from weighbridge.model import Scope

SECRET = "zzsecret"
AMOUNT = 777_000_111
ADDRESS, ROUTER, NETWORK = "198.51.100.77", "198.51.100.78", "203.0.113.128/25"
OWN_VPN, FOREIGN_VPN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

FOREIGN = {
    "organization": "org_theirs", "project": "proj_theirs", "server": "sv_theirs", "vpn": FOREIGN_VPN, "peer": "peer-theirs",
    "app": "2", "environment": "20", "consumer": "200", "space": "22", "exporter": f"edge-{SECRET}",
}
OWN = {
    "organization": "org_mine", "project": "proj_mine", "server": "sv_mine", "vpn": OWN_VPN, "peer": "peer-mine",
    "app": "1", "environment": "10", "consumer": "100", "space": "11", "region": "r1", "exporter": "edge-none",
}
KINDS = {
    "filter[server]": "server", "filter[project]": "project", "app_id": "app", "app_env_id": "environment",
    "consumer_id": "consumer", "instanceId": "vpn", "Weighbridge-Organization": "organization", "primary_server": "server",
    **{kind: kind for kind in (*FOREIGN, "key", "write_token")},
}
"""Which kind of object a parameter or a field of a body names."""
PLAIN = {
    "filter[date][gte]": "2025-06-01T00:00:00Z", "filter[date][lte]": "2025-06-02T00:00:00Z", "from": "2025-06-01T00:00:00Z",
    "to": "2025-06-02T00:00:00Z", "window": "1h", "time_zone": "UTC", "group_by": None, "by": "server", "metric": "bytes",
    "limit": "100", "slot": "30m", "p": "95", "start": "2025-06-01T00:00:00Z", "end": "2025-06-02T00:00:00Z",
    "interval": "hour", "timezone": "UTC", "next_token": None, "start_date": "2025-01-01", "end_date": "2025-12-31",
    "exporter": "192.0.2.1", "region": None, "dry_run": "true", "prune": "false", "requests_since": "1972-01-01",
    "method": "GET", "path": "/*",
}
"""Parameters that name no object of an organization, with a value that does no harm (None: left out)."""
ZEROS = {("apitally", "app_env_id"), ("apitally", "consumer_id")}
"""Unknown ids give zeros here (CONTRACT 5.3); of another organization's, too."""
HIDDEN = {401, 403, 404}
ATTRIBUTION = ("addresses", "macs", "vlans", "interfaces", "metering", "exporter")
"""Fields that take an admin, whatever else is in the body."""


def world(name, suffix):
    """The catalog of one organization; every name in it can be recognized."""
    kind = FOREIGN if name == "theirs" else OWN
    word = SECRET if name == "theirs" else "mine"
    return {
        "id": kind["organization"], "slug": f"{word}-org", "name": f"{word} name",
        "projects": [{"id": kind["project"], "slug": f"{word}-project", "servers": [
            {"id": kind["server"], "hostname": f"{word}-host", "region": "r1", **known(name, suffix)}]}],
        "vpn_instances": [{"id": kind["vpn"], "name": f"{word} vpn", "vlans": [suffix],
                           "peers": [{"id": kind["peer"], "public_key": f"{word}key"}]}],
        "apps": [{"id": suffix, "name": f"{word} app",
                  "environments": [{"id": suffix * 10, "name": f"{word}-env"}],
                  "consumers": [{"id": suffix * 100, "identifier": f"{word}-consumer", "name": f"{word} consumer"}]}],
        "spaces": [{"id": suffix * 11, "name": f"{word} space"}],
    }


def known(name, suffix):
    """By what a server is known; of the other organization with secrets."""
    if name == "mine":
        return {"addresses": [f"192.0.2.{suffix}"]}
    return {"addresses": [ADDRESS], "interfaces": [{"device": f"{SECRET}-switch", "name": "1"}],
            "exporter": FOREIGN["exporter"]}


@dataclass
class Site:
    client: httpx.Client
    admin: httpx.Client
    foreign_key_id: str
    foreign_token_id: str


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with application_in(tmp_path_factory.mktemp("site") / "data") as application, running(application.app) as url:
        admin = httpx.Client(base_url=url, headers={"Authorization": application.admin_key.secret}, timeout=30)
        regions = [{"id": "reg_1", "slug": "r1", "name": "R"}]
        exporters = [{"id": FOREIGN["exporter"], "address": ROUTER, "networks": [NETWORK]}]
        document = {"regions": regions, "exporters": exporters, "organizations": [world("mine", 1), world("theirs", 2)]}
        admin.put("/api/v1/catalog", json=document).raise_for_status()
        scopes = [scope.value for scope in Scope if scope is not Scope.ADMIN]
        keys = [
            admin.post("/api/v1/keys", json={"organization": organization, "name": f"{word}-key", "scopes": scopes})
            .raise_for_status().json()
            for organization, word in (("org_mine", "mine"), ("org_theirs", SECRET))
        ]
        subjects = ["server/sv_theirs", f"vpn/{FOREIGN_VPN}", f"vpn/{FOREIGN_VPN}/peer/peer-theirs", "app/2", "space/22"]
        events = [event(subject, number) for number, subject in enumerate(subjects)]
        events += [
            event("app/2", "endpoint", method="GET", path=f"/{SECRET}", environment=f"{SECRET}-env", consumer=f"{SECRET}-who"),
            event("space/22", "asset", path=f"/{SECRET}.svg"),
        ]
        receipt = admin.post("/api/v1/events", json=events).raise_for_status().json()
        assert receipt["accepted"] == len(events)
        application.fold()
        client = httpx.Client(base_url=url, headers={"Authorization": keys[0]["key"]}, timeout=30)
        token = admin.post("/api/v1/apps/2/write-tokens", json={"name": f"{SECRET}-token"}).raise_for_status().json()
        yield Site(client, admin, keys[1]["id"], token["id"])
        client.close()
        admin.close()


def event(subject, number, **data):
    return {"specversion": "1.0", "id": f"e{number}", "source": "s", "type": "weighbridge.usage", "subject": subject,
            "time": "2025-06-01T12:00:00Z", "data": {"bytes_in": AMOUNT, "bytes_out": AMOUNT, "requests": AMOUNT, **data}}


def served():
    settings, _ = load({"no_host": "true"}, {}, Path.cwd())
    return [(dialect.name, route) for dialect in dialects(settings) for route in dialect.routes if route.scope is not None]


ROUTES = served()


def value_of(name, site, *, foreign):
    kind = KINDS.get(name)
    if kind == "key":
        return site.foreign_key_id if foreign else "key_none"
    if kind == "write_token":
        return site.foreign_token_id if foreign else "wt_none"
    if kind is not None:
        return (FOREIGN if foreign else OWN)[kind]
    if name in PLAIN:
        return "r1" if name == "region" else PLAIN[name]
    pytest.fail(f"this test does not know the parameter {name!r}: add it to KINDS or PLAIN")


def ask(site, route, *, foreign=(), only=None, body=None):
    """Calls a route with own values, but foreign ones for the names in `foreign`. Optional filters stay away."""
    path, query, headers = route.path, {}, {}
    for param in route.params:
        wanted = param.required or param.where == "path" or param.name in foreign or param.name in (only or ())
        value = value_of(param.name, site, foreign=param.name in foreign)
        if not wanted or value is None:
            continue
        if param.where == "path":
            path = path.replace(f"{{{param.name}}}", value)
        elif param.where == "header":
            headers[param.name] = value
        else:
            query[param.name] = value
    return site.client.request(route.method, path, params=query, headers=headers, json=body)


def assert_silent(answer):
    assert not [word for word in (SECRET, ADDRESS, ROUTER, NETWORK) if word in answer.text.lower()]
    assert str(AMOUNT) not in answer.text
    assert answer.status_code < 500


def bodies(route, site):
    """The route's example with each field that names an object made foreign, one at a time; then its own id."""
    example = route.body.example if route.body else None
    if not isinstance(example, dict):
        return
    own = own_body(example, site)
    for name in example:
        if name in KINDS and name != "key":
            changed = copy.deepcopy(own)
            kept = example[name]
            value = FOREIGN[KINDS[name]]
            changed[name] = int(value) if isinstance(kept, int) else value
            yield name, changed


def own_body(example, site):
    own = copy.deepcopy(example)
    for name in own:
        if name in KINDS and name in OWN:
            own[name] = int(OWN[name]) if isinstance(own[name], int) else OWN[name]
    for name in ("quotas", *ATTRIBUTION):
        own.pop(name, None)
    if "region" in own:
        own["region"] = "r1"
    return own


def name_of(entry):
    return f"{entry[0]}-{entry[1].method}-{entry[1].path}"


@pytest.mark.parametrize("entry", ROUTES, ids=name_of)
def test_without_a_key_nothing_is_told(site, entry):
    _, route = entry
    path = route.path
    for name, value in FOREIGN.items():
        path = path.replace(f"{{{name}}}", value)
    answer = httpx.request(route.method, str(site.client.base_url).rstrip("/") + path)
    assert answer.status_code == 401
    assert_silent(answer)


@pytest.mark.parametrize("entry", ROUTES, ids=name_of)
def test_foreign_objects_do_not_exist(site, entry):
    dialect, route = entry
    before = site.admin.get("/api/v1/catalog").json()
    for param in route.params:
        if KINDS.get(param.name) is None:
            value_of(param.name, site, foreign=False)
            continue
        answer = ask(site, route, foreign=(param.name,), body=(route.body.example if route.body else None))
        assert_silent(answer)
        if (dialect, param.name) in ZEROS:
            assert answer.status_code == 200
        else:
            assert answer.status_code in HIDDEN, f"{param.name}: {answer.status_code} {answer.text[:300]}"
    for name, body in bodies(route, site):
        answer = ask(site, route, body=body)
        assert_silent(answer)
        assert answer.status_code in HIDDEN, f"{name} in the body: {answer.status_code} {answer.text[:300]}"
    after = site.admin.get("/api/v1/catalog").json()
    assert theirs(before) == theirs(after)


def theirs(catalog):
    return [o for o in catalog["organizations"] if o["id"] == "org_theirs"]


@pytest.mark.parametrize("entry", [e for e in ROUTES if e[1].method == "GET"], ids=name_of)
def test_what_is_listed_is_ones_own(site, entry):
    _, route = entry
    answer = ask(site, route)
    assert_silent(answer)
    for group in ("server", "space", "app", "organization", "consumer", "vpn", "peer"):
        if route.path == "/api/v1/usage":
            query = {"from": PLAIN["from"], "to": PLAIN["to"], "window": "total", "group_by": group}
            grouped = site.client.get(route.path, params=query)
            assert grouped.status_code == 200
            assert_silent(grouped)


def test_foreign_ids_cannot_be_taken_over(site):
    """Ids are unique over the whole server: a taken one is refused without a word about whose it is."""
    for path, body in (
        ("servers", {"id": "sv_theirs", "project": "proj_mine", "hostname": "x", "region": "r1"}),
        ("vpn_instances", {"id": FOREIGN_VPN, "organization": "org_mine", "name": "x"}),
        ("apps", {"id": 2, "organization": "org_mine", "name": "x"}),
        ("spaces", {"id": 22, "organization": "org_mine", "name": "x"}),
    ):
        answer = site.client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 409, answer.text
        assert_silent(answer)


def test_foreign_subjects_are_unknown(site):
    subjects = ["server/sv_theirs", f"vpn/{FOREIGN_VPN}", f"vpn/{FOREIGN_VPN}/peer/peer-theirs", "app/2", "space/22"]
    events = [event(subject, f"x{number}") for number, subject in enumerate(subjects)]
    answer = site.client.post("/api/v1/events", json=events)
    receipt = answer.json()
    assert receipt["accepted"] == 0
    assert [r["code"] for r in receipt["rejected"]] == ["unknown_subject"] * len(subjects)
    assert SECRET not in json.dumps(receipt)


def test_a_foreign_event_id_is_no_conflict(site):
    own = event("server/sv_mine", 0)
    assert site.client.post("/api/v1/events", json=own).json()["accepted"] == 1


def test_a_project_key_sees_its_project_only(site):
    wanted = {"organization": "org_mine", "project": "proj_mine", "name": "p"}
    made = site.admin.post("/api/v1/keys", json=wanted | {"scopes": ["traffic:read", "ingest", "vpn:view"]}).json()
    with httpx.Client(base_url=site.client.base_url, headers={"Authorization": made["key"]}) as client:
        listed = client.get("/traffic/quota").json()["data"]["attributes"]["quota_per_project"]
        assert [p["project_id"] for p in listed] == ["proj_mine"]
        assert client.get(f"/vpn/instances/{OWN_VPN}/bandwidth").status_code == 404
        assert client.get("/v1/apps/1/traffic").status_code == 404
        assert client.get("/v1/apps/1/consumers").status_code == client.get("/v1/apps/1/endpoints").status_code == 404
        assert client.get("/v1/apps").json()["data"] == []
        assert client.get("/v1/orgs/me/statistics/assets_traffic").status_code == 404
        assert client.post("/api/v1/events", json=event("app/1", "p1")).json()["rejected"][0]["code"] == "unknown_subject"
