"""Who asks: from headers to a principal."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from weighbridge.domain.errors import NotPermittedError
from weighbridge.http.route import Principal
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.http.route import Route
    from weighbridge.model import CatalogView, Key


def offered_keys(headers: Mapping[str, str], accepts: tuple[str, ...]) -> list[str]:
    """The keys that came with a request, in the ways that `accepts` names, `Authorization` first."""
    offered = []
    authorization = headers.get("authorization", "").strip()
    if authorization:
        scheme, _, rest = authorization.partition(" ")
        if rest and scheme.lower() == "bearer":
            if "bearer" in accepts:
                offered.append(rest.strip())
        elif "raw" in accepts:
            offered.append(authorization)
    if "api-key" in accepts and "api-key" in headers:
        offered.append(headers["api-key"].strip())
    return offered


def principal_of(
    headers: Mapping[str, str], accepts: tuple[str, ...], view: CatalogView, now_s: int
) -> Principal | None:
    """The principal of the first valid key that came; None when there is none."""
    for secret in offered_keys(headers, accepts):
        key = view.keys_by_sha256.get(sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())
        if key is not None:
            principal = _principal(key, now_s)
            if principal is not None:
                return principal
    return None


def _principal(key: Key, now_s: int) -> Principal | None:
    if key.expires_at_s is not None and key.expires_at_s <= now_s:
        return None
    if Scope.ADMIN in key.scopes:
        return Principal(key.id, None, None, key.scopes)
    if key.organization is None:  # without `admin` it would see every organization: a catalog at fault opens nothing
        return None
    return Principal(key.id, key.organization, key.project, key.scopes)


def scopes_of(route: Route) -> tuple[Scope, ...]:
    """The scopes of which a key must hold one to call a route; empty where it is open to anyone."""
    if route.scope is None:
        return ()
    return (route.scope,) if isinstance(route.scope, Scope) else route.scope


def require_scope(principal: Principal, route: Route) -> None:
    """NotPermittedError unless the principal holds a scope of the route; `admin` implies all."""
    scopes = scopes_of(route)
    if scopes and principal.scopes.isdisjoint((*scopes, Scope.ADMIN)):
        raise NotPermittedError(scopes[0].value)
