from __future__ import annotations

import pytest

from support.kit import NOW_S, key, view_with
from weighbridge.domain.errors import NotPermittedError
from weighbridge.http.auth import principal_of, require_scope
from weighbridge.http.route import Answer, Principal, Route
from weighbridge.model import Scope


def route_with(scope: Scope | tuple[Scope, ...]) -> Route:
    """A route that asks for this scope."""
    return Route("GET", "/", "name", "summary", lambda _: Answer(200, b""), scope)


ALL = ("raw", "bearer", "api-key")
VIEW = view_with(
    key("good", [Scope.TRAFFIC_READ], project="proj_a"),
    key("two words", [Scope.TRAFFIC_READ]),
    key("root", [Scope.ADMIN], None),
    key("root-of-one", [Scope.ADMIN], "org_acme", project="proj_a"),
    key("homeless", [Scope.TRAFFIC_READ], None),
    key("late", [Scope.TRAFFIC_READ], expires_at_s=NOW_S),
    key("nearly-late", [Scope.TRAFFIC_READ], expires_at_s=NOW_S + 1),
)


@pytest.mark.parametrize(
    ("headers", "accepts", "key_id"),
    [
        ({"authorization": "good"}, ALL, "key_good"),
        ({"authorization": "  good "}, ALL, "key_good"),
        ({"authorization": "Bearer good"}, ALL, "key_good"),
        ({"authorization": "bearer  good"}, ALL, "key_good"),
        ({"authorization": "two words"}, ALL, "key_two words"),
        ({"api-key": "good"}, ALL, "key_good"),
        ({"api-key": " good "}, ALL, "key_good"),
        ({"authorization": "bad", "api-key": "good"}, ALL, "key_good"),
        ({"authorization": "root", "api-key": "good"}, ALL, "key_root"),
        ({"authorization": "Basic good"}, ALL, None),
        ({"authorization": "Bearer"}, ALL, None),
        ({"authorization": "Bearer "}, ALL, None),
        ({"authorization": ""}, ALL, None),
        ({"authorization": "good, good"}, ALL, None),
        ({"authorization": "GOOD"}, ALL, None),
        ({"authorization": "\xff\xfe"}, ALL, None),
        ({}, ALL, None),
        ({"authorization": "good"}, ("bearer",), None),
        ({"authorization": "Bearer good"}, ("bearer",), "key_good"),
        ({"authorization": "Bearer good"}, ("raw", "api-key"), None),
        ({"api-key": "good"}, ("raw", "bearer"), None),
        ({"authorization": "good", "api-key": "good"}, ("api-key",), "key_good"),
        ({"authorization": "homeless"}, ALL, None),
        ({"authorization": "late"}, ALL, None),
        ({"authorization": "nearly-late"}, ALL, "key_nearly-late"),
        ({"authorization": "late", "api-key": "good"}, ALL, "key_good"),
    ],
)
def test_who_asks(headers: dict[str, str], accepts: tuple[str, ...], key_id: str | None) -> None:
    principal = principal_of(headers, accepts, VIEW, NOW_S)
    assert (principal.key_id if principal else None) == key_id


def test_a_principal_is_bound_to_its_organization_and_project() -> None:
    principal = principal_of({"authorization": "good"}, ALL, VIEW, NOW_S)
    assert principal == Principal("key_good", "org_acme", "proj_a", frozenset([Scope.TRAFFIC_READ]))


@pytest.mark.parametrize("secret", ["root", "root-of-one"])
def test_admin_is_bound_to_nothing(secret: str) -> None:
    principal = principal_of({"authorization": secret}, ALL, VIEW, NOW_S)
    assert principal is not None
    assert (principal.organization, principal.project, principal.is_admin) == (None, None, True)


@pytest.mark.parametrize("scope", list(Scope))
def test_scopes(scope: Scope) -> None:
    route = route_with(scope)
    require_scope(Principal("k", None, None, frozenset([Scope.ADMIN])), route)
    require_scope(Principal("k", "o", None, frozenset([scope])), route)
    others = frozenset(Scope) - {scope, Scope.ADMIN}
    with pytest.raises(NotPermittedError, match=scope.value):
        require_scope(Principal("k", "o", None, others), route)


def test_one_of_several_scopes_is_enough() -> None:
    route = route_with((Scope.TRAFFIC_READ, Scope.CATALOG_WRITE))
    for scope in (Scope.TRAFFIC_READ, Scope.CATALOG_WRITE):
        require_scope(Principal("k", "o", None, frozenset([scope])), route)
    with pytest.raises(NotPermittedError):
        require_scope(Principal("k", "o", None, frozenset([Scope.INGEST])), route)
