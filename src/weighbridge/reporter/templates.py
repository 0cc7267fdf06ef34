"""Route templates: what a framework leaves in a request's scope or environ once it has routed it.

Starlette from 1.7 and FastAPI: the route itself; Litestar: the template; Flask: Werkzeug's request, until the context is
popped; Django leaves nothing, so its handler is asked to. Where there is none (404s), a raw path is no substitute: it
would make a series for each.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LEFT = "weighbridge.template"
"""Where `watch_django` leaves the template."""
WRAPPERS = 8
"""Wrappers around a Django handler that are looked through."""
REST = "/{path}"
"""What a mount that has no routes of its own takes: static files, say."""


def asgi_template(scope: Mapping[str, Any]) -> str | None:
    """The template of a request by its ASGI scope, or None. Whatever a framework's insides raise comes through."""
    left = scope.get(LEFT) or scope.get("path_template")
    if left:
        return str(left)
    route: Any = scope.get("route")
    if not hasattr(route, "endpoint"):  # nothing, a Mount or a Host
        prefix = _mount_prefix(scope, {}) if "app_root_path" in scope else None
        return None if prefix is None else prefix + REST
    chosen: Any = _included(scope, route) or route
    prefix = _mount_prefix(scope, chosen.param_convertors) if "app_root_path" in scope else ""
    return None if prefix is None else f"{prefix}{chosen.path}" or "/"


def wsgi_template(environ: Mapping[str, Any], script_name: str) -> str | None:
    """The template of a request by its WSGI environ, or None. `script_name`: the environ's when the request came in."""
    left = environ.get(LEFT)
    if left:
        return str(left)
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is None:
        return None
    return str(environ.get("SCRIPT_NAME", "").removeprefix(script_name) + rule.rule)


def watch_django(app: Any) -> None:  # noqa: ANN401  any ASGI or WSGI callable
    """From now on a Django handler, also one that others wrap, leaves in each request's scope or environ what it resolves."""
    base = sys.modules.get("django.core.handlers.base")
    if base is None:
        return
    handler = app
    for _ in range(WRAPPERS):
        if isinstance(handler, base.BaseHandler):
            break
        handler = getattr(handler, "application", None) or getattr(handler, "app", None)
    else:
        return
    resolve = handler.resolve_request

    def resolve_and_leave(request: Any) -> Any:  # noqa: ANN401  Django's
        match = resolve(request)
        holder = getattr(request, "scope", None)
        (request.environ if holder is None else holder)[LEFT] = "/" + match.route.removeprefix("^").removeprefix("/")
        return match

    handler.resolve_request = resolve_and_leave


def _included(scope: Mapping[str, Any], route: Any) -> Any:  # noqa: ANN401  a route of any version of Starlette or FastAPI
    """FastAPI from 0.137 keeps what a router's inclusion adds (its prefix) beside the route, not in it; None elsewhere."""
    context = scope.get("fastapi")
    included = context.get("effective_route_context") if isinstance(context, dict) else None
    return included if getattr(included, "original_route", None) is route else None


def _mount_prefix(scope: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """What Starlette's mounts matched, with their parameters in braces again; None if one of them cannot be told apart.

    The scope has only the raw path of the mounts and the values of all parameters; `own` are those of the route itself.
    """
    prefix: str = scope["root_path"].removeprefix(scope["app_root_path"])
    segments = prefix.split("/")
    for name, value in scope.get("path_params", {}).items():
        if name not in own:
            if segments.count(str(value)) != 1:
                return None
            segments[segments.index(str(value))] = f"{{{name}}}"
    return "/".join(segments)
