"""What the five vendors' endpoints answer is what the vendors' own documents say, typed anew and made strict.

The schemas in support/seed_schemas/ forbid what the documents do not name and demand all that they do; where the
contract adds to a document or fixes a form that it leaves open, the schema says so as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from support.fuzz_site import CATALOG, VPN, event, site_in
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fuzz_site import Site

FOLDER = Path(__file__).parent.parent / "support" / "seed_schemas"
EMPTY, MANY = "org_empty", "org_many"
SPACES = 14
"""More than the ten that have rows of their own among the top spaces."""
ALL_TRAFFIC = "/v1/orgs/me/statistics/all_traffic"
ASSETS = "/v1/orgs/me/statistics/assets_traffic"
RANGE = {"filter[date][gte]": "2025-12-13T10:03:00Z", "filter[date][lte]": "2025-12-15T00:00:00Z"}

CHECKER = FormatChecker()


@CHECKER.checks("date-time")
def is_instant_with_offset(text: object) -> bool:
    """RFC 3339 with an offset; the library's own check takes another package."""
    return isinstance(text, str) and text[10:11] == "T" and len(text) == 25 and text[19] in "+-"


def schema(name: str) -> Draft202012Validator:
    found = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found, format_checker=CHECKER)


def faults(name: str, response: httpx.Response) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in schema(name).iter_errors(whole_numbers(response))]


def whole_numbers(response: httpx.Response) -> Any:
    """The body, in which 1.0 is no integer, though JSON Schema would let it pass for one."""
    return json.loads(response.content, parse_float=lambda text: float(text) if float(text) % 1 else HalfNumber(text))


class HalfNumber(float):
    """A number written with a point whose value is whole: a number, and no integer."""

    def is_integer(self) -> bool:
        return False


def test_the_schemas_are_strict() -> None:
    whole = httpx.Response(200, content=b'{"a": 1.0, "b": 1.5, "c": 1}')
    kinds = {name: type(value) for name, value in whole_numbers(whole).items()}
    assert kinds == {"a": HalfNumber, "b": float, "c": int}
    integer, number = Draft202012Validator({"type": "integer"}), Draft202012Validator({"type": "number"})
    assert [integer.is_valid(value) for value in whole_numbers(whole).values()] == [False, False, True]
    assert all(number.is_valid(value) for value in whole_numbers(whole).values())
    assert not CHECKER.conforms("2025-12-14T16:00:00", "date-time")


def organizations() -> list[dict[str, Any]]:
    """One without anything in it, and one with more spaces, regions and projects than usual."""
    servers = [
        {"id": f"sv_{slug}_{number}", "hostname": f"{slug}-{number}", "region": slug}
        for slug in ("brazil", "miami") for number in range(2)
    ]
    projects = [
        {
            "id": "proj_many", "slug": "many", "billing_method": "95th percentile", "price": None, "servers": servers,
            "quotas": [{"region": "miami", "price": 7, "mbps": {"granted": 100, "additional": 20}}, {"region": "brazil"}],
        },
        {"id": "proj_bare", "slug": "bare"},
    ]
    spaces = [{"id": 1000 + number, "name": f"space {number}"} for number in range(SPACES)]
    app = {
        "id": 2, "name": "quiet", "environments": [{"id": 20, "name": "prod"}],
        "consumers": [{"id": 21, "identifier": "bob", "group": "Gold"}, {"id": 22, "identifier": "eve", "name": "Eve"}],
    }
    return [
        {"id": EMPTY, "slug": "empty", "name": "Empty", "time_zone": "Asia/Kathmandu"},
        {
            "id": MANY, "slug": "many", "name": "Many", "monthly_traffic_limit": 10**12, "traffic_limit_unit": "bytes",
            "time_zone": "America/New_York", "billing_day": 31, "projects": projects, "spaces": spaces, "apps": [app],
        },
    ]


def events() -> list[dict[str, Any]]:
    subjects = [f"space/{1000 + number}" for number in range(SPACES)]
    subjects += [f"server/sv_{slug}_{number}" for slug in ("brazil", "miami") for number in range(2)]
    found = [event(subject, f"many-{number}", bytes_in=10**9 * number + 1) for number, subject in enumerate(subjects)]
    found += [event(f"space/{1000 + number}", f"null-{number}") for number in range(2)]
    for each, amounts in zip(found[-2:], ({"requests": 3}, {"bytes_in": 5}), strict=True):  # the others are unknown
        each["time"], each["data"] = "2025-11-02T00:00:00Z", amounts
    found += [event(f"space/{1000 + number}", f"asset-{number}", path=f"/f/{number}/a.webp") for number in range(SPACES)]
    found += [event("space/1000", "asset-x", path="/f/readme"), event("app/2", "call", method="get", path="/orders/{id}")]
    found[-2]["data"] = {"requests": 1, "path": "/f/readme"}  # of unknown size and kind
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site") / "data") as found:
        with found.client() as admin:
            document = {"regions": CATALOG["regions"], "organizations": organizations()}
            admin.put("/api/v1/catalog", json=document).raise_for_status()
            receipt = admin.post("/api/v1/events", json=events()).raise_for_status().json()
            assert receipt["rejected"] == []
            for name in (EMPTY, MANY):
                found.keys[name] = make_key(admin, name, [scope for scope in Scope if scope is not Scope.ADMIN])
            found.keys["ingest"] = make_key(admin, MANY, [Scope.INGEST])
        found.application.fold()
        yield found


def make_key(admin: httpx.Client, organization: str, scopes: list[Scope]) -> str:
    made = admin.post("/api/v1/keys", json={"organization": organization, "name": "k", "scopes": [*scopes]})
    secret: str = made.raise_for_status().json()["key"]
    return secret


def ask(site: Site, who: str, path: str, query: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    with site.client(who) as client:
        return client.get(path, params=query, headers=headers)


def assert_answer(response: httpx.Response, name: str, content_type: str = "application/json") -> Any:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == content_type
    assert faults(name, response) == []
    return response.json()


SERVERS = (None, "sv_miami_1")
PROJECTS = (None, "proj_many", "many")
LATITUDE = "application/vnd.api+json"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("project", PROJECTS)
def test_latitude_traffic(site: Site, server: str | None, project: str | None) -> None:
    query = RANGE | {"filter[server]": server, "filter[project]": project}
    asked = {name: value for name, value in query.items() if value is not None}
    found = assert_answer(ask(site, MANY, "/traffic", asked), "latitude_traffic", LATITUDE)["data"]["attributes"]
    assert [len(region["data"]) for region in found["regions"]] == [2] * (1 if server else 2)
    assert found["total_inbound_gb"] > 0
    assert found["total_outbound_95th_percentile_mbps"] >= 0


@pytest.mark.parametrize(("who", "query"), [(EMPTY, {}), (MANY, {"filter[project]": "bare"})])
def test_latitude_traffic_where_there_are_no_servers(site: Site, who: str, query: dict[str, str]) -> None:
    found = assert_answer(ask(site, who, "/traffic", RANGE | query), "latitude_traffic", LATITUDE)
    assert found["data"]["attributes"]["regions"] == []


@pytest.mark.parametrize(
    ("who", "query", "listed"),
    [
        (EMPTY, {}, 0),
        (MANY, {}, 2),
        (MANY, {"filter[project]": "proj_bare"}, 1),
        (MANY, {"filter[project]": "many"}, 1),
        ("admin", {}, 3),
    ],
)
def test_latitude_quota(site: Site, who: str, query: dict[str, str], listed: int) -> None:
    found = assert_answer(ask(site, who, "/traffic/quota", query), "latitude_quota", LATITUDE)
    assert len(found["data"]["attributes"]["quota_per_project"]) == listed


DAYS = {"start": "2025-12-13", "end": "2025-12-16"}


@pytest.mark.parametrize("interval", [{}, {"interval": "hour"}, {"interval": "day"}])
@pytest.mark.parametrize("zone", [{}, {"timezone": "Asia/Kathmandu"}, {"timezone": "America/New_York"}])
@pytest.mark.parametrize(
    "rest", [{}, DAYS, {**DAYS, "app_env_id": 1, "consumer_id": 7, "limit": 2}, {**DAYS, "app_env_id": 999}]
)
def test_apitally_traffic(site: Site, interval: dict[str, str], zone: dict[str, str], rest: dict[str, Any]) -> None:
    found = assert_answer(ask(site, "organization", "/v1/apps/1/traffic", interval | zone | rest), "apitally_traffic")
    assert found["data"]
    assert found["has_more"] == (found["next_token"] is not None)
    assert found["has_more"] or "limit" not in rest


def test_apitally_traffic_page_by_page_and_of_an_app_that_is_quiet(site: Site) -> None:
    query = {**DAYS, "limit": 30}
    seen: list[str] = []
    token = None
    for _ in range(4):
        page = ask(site, "organization", "/v1/apps/1/traffic", query | ({"next_token": token} if token else {}))
        found = assert_answer(page, "apitally_traffic")
        seen += [item["period_start"] for item in found["data"]]
        token = found["next_token"]
        if token is None:
            break
    assert len(seen) == len(set(seen)) == 72
    quiet = assert_answer(ask(site, MANY, "/v1/apps/2/traffic", DAYS), "apitally_traffic")
    assert {item["requests"] for item in quiet["data"]} == {0, 7}


@pytest.mark.parametrize(("who", "name"), [(EMPTY, "Empty"), (MANY, "Many"), ("organization", "Acme Hosting")])
def test_apitally_team(site: Site, who: str, name: str) -> None:
    assert assert_answer(ask(site, who, "/v1/team"), "apitally_team")["name"] == name


@pytest.mark.parametrize(("who", "apps"), [(EMPTY, []), (MANY, [2]), ("organization", [1]), ("admin", [1, 2])])
def test_apitally_apps(site: Site, who: str, apps: list[int]) -> None:
    found = assert_answer(ask(site, who, "/v1/apps"), "apitally_apps")
    assert [app["id"] for app in found["data"]] == apps
    envs = [(env["name"], env["last_sync_at"]) for app in found["data"] for env in app["envs"]]
    assert envs == [("prod", "2025-12-14T16:00:00Z")] * len(apps)


@pytest.mark.parametrize(("query", "listed"), [
    ({}, ["alice", "eve", "bob"]), ({"limit": 1}, ["alice"]),
    ({"requests_since": "2025-12-14T16:00:00Z"}, ["alice", "eve", "bob"]),
    ({"requests_since": "9998-12-01T00:00:00Z"}, []),
])
def test_apitally_consumers(site: Site, query: dict[str, Any], listed: list[str]) -> None:
    found = assert_answer(ask(site, MANY, "/v1/apps/2/consumers", query), "apitally_consumers")
    assert [consumer["identifier"] for consumer in found["data"]] == listed
    assert found["has_more"] == ("limit" in query)
    [alice] = assert_answer(ask(site, "organization", "/v1/apps/1/consumers"), "apitally_consumers")["data"]
    assert (alice["name"], alice["last_request_at"]) == ("Alice", "2025-12-14T16:00:00Z")


@pytest.mark.parametrize("query", [{}, {"method": "GET,POST"}, {"path": "/orders*"}, {"limit": 1}])
def test_apitally_endpoints(site: Site, query: dict[str, Any]) -> None:
    found = assert_answer(ask(site, MANY, "/v1/apps/2/endpoints", query), "apitally_endpoints")
    assert [(endpoint["method"], endpoint["path"]) for endpoint in found["data"]] == [("GET", "/orders/{id}")]
    none = assert_answer(ask(site, MANY, "/v1/apps/2/endpoints", {"app_env_id": 1}), "apitally_endpoints")
    assert none["data"] == []


@pytest.mark.parametrize("path", [ALL_TRAFFIC, ALL_TRAFFIC.replace("all_", ":all_")])
@pytest.mark.parametrize("group", [{}, {"group_by": "day"}, {"group_by": "month"}, {"group_by": "year"}])
@pytest.mark.parametrize("dates", [{}, {"start_date": "2025-10-30", "end_date": "2025-12-31"}])
@pytest.mark.parametrize(("who", "spaces"), [(EMPTY, 0), ("organization", 1), (MANY, SPACES)])
def test_storyblok_all_traffic(
    site: Site, path: str, *, group: dict[str, str], dates: dict[str, str], who: str, spaces: int
) -> None:
    found = assert_answer(ask(site, who, path, group | dates), "storyblok_all_traffic")
    if not dates:
        return
    shown = {"day": 10, "month": 7, "year": 4}[group.get("group_by", "month")]
    assert {len(row["date"]) for row in found["traffic"]} <= {shown}
    assert len({row["space_id"] for row in found["traffic"]}) == spaces
    assert len(found["traffic_top_spaces"]) == min(spaces, 10) + 1
    if who == MANY and shown != 4:
        assert None in [row["total_bytes"] for row in found["traffic"]]


@pytest.mark.parametrize("path", [ASSETS, ASSETS.replace("assets_", ":assets_")])
@pytest.mark.parametrize("dates", [{}, {"start_date": "2025-10-30", "end_date": "2025-12-31"}])
@pytest.mark.parametrize(("who", "assets"), [(EMPTY, 0), ("organization", 0), (MANY, SPACES + 1)])
def test_storyblok_assets_traffic(site: Site, path: str, *, dates: dict[str, str], who: str, assets: int) -> None:
    found = assert_answer(ask(site, who, path, dates), "storyblok_assets_traffic")["assets"]
    if dates:
        assert len(found) == len({each["id"] for each in found}) == assets
        assert not found or (found[0]["content_type"], found[-1]["total_bytes"]) == ("image/webp", None)


def test_storyblok_organization_by_name(site: Site) -> None:
    answer = ask(site, "admin", ALL_TRAFFIC, **{"Weighbridge-Organization": "many"})
    assert assert_answer(answer, "storyblok_all_traffic")["montly_traffic_limit"] == 10**12


def test_altostrat_bandwidth(site: Site) -> None:
    for who in ("organization", "admin"):
        assert_answer(ask(site, who, f"/vpn/instances/{VPN}/bandwidth"), "altostrat_bandwidth")


@pytest.mark.parametrize("name", [path.stem for path in sorted(FOLDER.glob("*.json"))])
def test_a_schema_refuses_what_is_missing_or_beyond_it(name: str) -> None:
    assert not schema(name).is_valid({})
    assert not schema(name).is_valid({"surprise": 1})


ENDPOINTS = {
    "latitude": ("/traffic", "latitude_error", LATITUDE),
    "latitude quota": ("/traffic/quota", "latitude_error", LATITUDE),
    "apitally": ("/v1/apps/1/traffic", "apitally_error", "application/json"),
    "apitally team": ("/v1/team", "apitally_error", "application/json"),
    "apitally apps": ("/v1/apps", "apitally_error", "application/json"),
    "apitally consumers": ("/v1/apps/1/consumers", "apitally_error", "application/json"),
    "apitally endpoints": ("/v1/apps/1/endpoints", "apitally_error", "application/json"),
    "storyblok": (ALL_TRAFFIC, "storyblok_error", "application/json"),
    "storyblok assets": (ASSETS, "storyblok_error", "application/json"),
    "altostrat": (f"/vpn/instances/{VPN}/bandwidth", "altostrat_error", "application/json"),
}
WRONG = {
    "latitude": "/traffic?filter[date][gte]=x&filter[date][lte]=y",
    "latitude quota": "/traffic/quota?filter[region]=x",
    "apitally": "/v1/apps/1/traffic?limit=0",
    "apitally team": "/v1/team?x=%00",
    "apitally apps": "/v1/apps?limit=0",
    "apitally consumers": "/v1/apps/1/consumers?requests_since=x",
    "apitally endpoints": "/v1/apps/1/endpoints?app_env_id=0",
    "storyblok": f"{ALL_TRAFFIC}?start_date=x",
    "storyblok assets": f"{ASSETS}?end_date=x",
    "altostrat": f"/vpn/instances/{VPN}/bandwidth?x=%00",
}
"""What is 422 at each of them."""
INVALID = {"apitally_error": "apitally_validation_error", "storyblok_error": "storyblok_invalid"}
"""Vendors that word a 422 differently."""
UNKNOWN = {
    "latitude": ["/traffic/x", "/traffic?filter[server]=sv_no&filter[date][gte]=2025-01-01&filter[date][lte]=2025-01-02"],
    "latitude quota": ["/traffic/quota/x", "/traffic/quota?filter[project]=proj_no"],
    "apitally": ["/v1/apps/1/x", "/v1/apps/999/traffic", "/v1/apps/1"],
    "apitally team": ["/v1/team/x", "/v1/team/1/members"],
    "apitally apps": ["/v1/apps/1", "/v1/apps/x"],
    "apitally consumers": ["/v1/apps/999/consumers", "/v1/apps/2/consumers", "/v1/apps/1/consumers/7"],
    "apitally endpoints": ["/v1/apps/999/endpoints", "/v1/apps/2/endpoints", "/v1/apps/1/endpoints/7"],
    "storyblok assets": ["/v1/orgs/me/statistics", "/v1/orgs/you/statistics/assets_traffic"],
    "storyblok": ["/v1/orgs", "/v1/orgs/me/statistics/x", "/v1/orgs/you/statistics/all_traffic"],
    "altostrat": ["/vpn", "/vpn/instances/x/bandwidth", f"/vpn/instances/{VPN.replace('d', 'e')}/bandwidth"],
}
each_endpoint = pytest.mark.parametrize("name", list(ENDPOINTS))


def assert_error(response: httpx.Response, status: int, name: str) -> None:
    _, error, content_type = ENDPOINTS[name]
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == content_type
    assert faults(INVALID.get(error, error) if status == 422 else error, response) == []


@each_endpoint
@pytest.mark.parametrize("sent", [{}, {"Authorization": "nobody"}, {"Authorization": "Bearer"}, {"Api-Key": "nobody"}])
def test_errors_without_a_valid_key(site: Site, name: str, sent: dict[str, str]) -> None:
    response = httpx.get(site.url + ENDPOINTS[name][0], headers=sent)
    assert_error(response, 401, name)
    assert response.headers["www-authenticate"] == "Bearer"


@each_endpoint
def test_errors_without_the_scope(site: Site, name: str) -> None:
    assert_error(ask(site, "ingest", ENDPOINTS[name][0]), 403, name)


@each_endpoint
def test_errors_where_nothing_is(site: Site, name: str) -> None:
    for path in UNKNOWN[name]:
        assert_error(ask(site, "organization", path), 404, name)


@each_endpoint
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_errors_of_methods(site: Site, name: str, method: str) -> None:
    with site.client("organization") as client:
        response = client.request(method, ENDPOINTS[name][0])
    assert_error(response, 405, name)
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


@each_endpoint
def test_errors_of_what_is_asked(site: Site, name: str) -> None:
    assert_error(ask(site, "organization", WRONG[name]), 422, name)


@each_endpoint
def test_errors_of_the_rate_limit(tmp_path: Path, name: str) -> None:
    with site_in(tmp_path / "data", rate_limits="on") as limited, limited.client("organization") as client:
        for _ in range(110):
            response = client.get(WRONG[name])
            if response.status_code == 429:
                break
        assert_error(response, 429, name)
        assert int(response.headers["retry-after"]) >= 1
        if name.startswith("latitude"):
            error = response.json()["errors"][0]
            assert error["code"] == "RATE_LIMIT_EXCEEDED"
            assert error["meta"]["retry_after"] == int(response.headers["retry-after"])
