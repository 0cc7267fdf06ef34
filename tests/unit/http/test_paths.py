from __future__ import annotations

import pytest

from weighbridge.http.paths import RouteTable
from weighbridge.http.route import Answer, Call, Dialect, Route


def _answer(_call: Call) -> Answer:
    return Answer(200, b"")


def _refuse(_call: Call, _exc: Exception) -> Answer:
    return Answer(500, b"")


def _dialect(name: str, prefixes: tuple[str, ...], *routes: tuple[str, str]) -> Dialect:
    return Dialect(
        name,
        prefixes,
        tuple(Route(method, path, f"{method} {path}", path, _answer, None) for method, path in routes),
        _refuse,
    )


TABLE = RouteTable(
    [
        _dialect(
            "native",
            ("/",),
            ("GET", "/livez"),
            ("GET", "/api/v1/servers"),
            ("POST", "/api/v1/servers"),
            ("GET", "/api/v1/servers/{id}"),
            ("GET", "/api/v1/servers/new"),
            ("DELETE", "/api/v1/servers/{id}"),
        ),
        _dialect("latitude", ("/traffic",), ("GET", "/traffic"), ("GET", "/traffic/quota")),
        _dialect("apitally", ("/v1/apps",), ("GET", "/v1/apps/{app_id}/traffic"), ("GET", "/v1/apps/{app_id}/{what}")),
        _dialect("storyblok", ("/v1/orgs",), ("GET", "/v1/orgs/me/statistics/:all_traffic")),
    ]
)


@pytest.mark.parametrize(
    ("raw", "route", "params"),
    [
        (b"/livez", "/livez", {}),
        (b"//livez", "/livez", {}),
        (b"/%6Civez", "/livez", {}),
        (b"/traffic", "/traffic", {}),
        (b"///traffic///quota", "/traffic/quota", {}),
        (b"/v1///orgs/me/statistics/:all_traffic", "/v1/orgs/me/statistics/:all_traffic", {}),
        (b"/v1/orgs/me/statistics/%3Aall_traffic", "/v1/orgs/me/statistics/:all_traffic", {}),
        (b"/v1/apps/1/traffic", "/v1/apps/{app_id}/traffic", {"app_id": "1"}),
        (b"/v1/apps/1/else", "/v1/apps/{app_id}/{what}", {"app_id": "1", "what": "else"}),
        (b"/v1/apps/a%2Fb/traffic", "/v1/apps/{app_id}/traffic", {"app_id": "a/b"}),
        (b"/v1/apps/%C3%A9/traffic", "/v1/apps/{app_id}/traffic", {"app_id": "é"}),
        (b"/v1/apps/\xc3\xa9/traffic", "/v1/apps/{app_id}/traffic", {"app_id": "é"}),
        (b"/v1/apps/%FF/traffic", "/v1/apps/{app_id}/traffic", {"app_id": "\ufffd"}),
        (b"/v1/apps/%zz/traffic", "/v1/apps/{app_id}/traffic", {"app_id": "%zz"}),
        (b"/v1/apps/../traffic", "/v1/apps/{app_id}/traffic", {"app_id": ".."}),
        (b"/api/v1/servers/new", "/api/v1/servers/new", {}),
        (b"/api/v1/servers/old", "/api/v1/servers/{id}", {"id": "old"}),
    ],
)
def test_finds_the_route(raw: bytes, route: str, params: dict[str, str]) -> None:
    methods, found = TABLE.find(raw).candidates[0]
    assert methods["GET"].route.path == route
    assert found == params


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"/",
        b"/traffic/",
        b"/Traffic",
        b"/traffic%2Fquota",
        b"/v1/apps//traffic",
        b"/v1/apps/%00/traffic",
        b"/v1/apps/1/traffic/",
        b"/livez/x",
        b"/\xff\xfe",
        b"/v1/apps/a/b/traffic",
    ],
)
def test_finds_nothing(raw: bytes) -> None:
    assert TABLE.find(raw).candidates == ()


def test_an_encoded_slash_in_a_static_path_matches_no_other_path() -> None:
    assert TABLE.find(b"/traffic%2Fquota").candidates == ()
    assert TABLE.find(b"/traffic/quota").candidates != ()


def test_methods_of_less_literal_paths_are_candidates_where_the_literal_one_lacks_them() -> None:
    assert TABLE.find(b"/api/v1/servers/x").allowed() == ("DELETE", "GET")
    assert TABLE.find(b"/api/v1/servers").allowed() == ("GET", "POST")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/traffic", "latitude"),
        ("/traffic/nothing", "latitude"),
        ("/trafficking", "latitude"),
        ("/v1/apps", "apitally"),
        ("/v1/orgs/x", "storyblok"),
        ("/v1/metrics", "native"),
        ("/", "native"),
        ("", "native"),
        ("/x", "native"),
    ],
)
def test_errors_speak_the_dialect_of_the_longest_prefix(path: str, name: str) -> None:
    assert TABLE.dialect_of(path).name == name


def test_two_routes_for_one_path_and_method_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes claim GET /a"):
        RouteTable([_dialect("a", ("/",), ("GET", "/a")), _dialect("b", ("/b",), ("GET", "/a"))])
