"""Route templates from what frameworks leave behind; the real frameworks are asked in tests/clients/test_middleware.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from weighbridge.reporter.templates import asgi_template, wsgi_template

ITEM = SimpleNamespace(path="/items/{id}", endpoint=print, param_convertors={"id": str})
ROOT = SimpleNamespace(path="", endpoint=print, param_convertors={})
MOUNT = SimpleNamespace(path="/static", param_convertors={})
PREFIXED = SimpleNamespace(original_route=ITEM, path="/v1/{tenant}/items/{id}", param_convertors={"tenant": str, "id": str})


@pytest.mark.parametrize(
    ("scope", "template"),
    [
        ({}, None),
        ({"route": ITEM}, "/items/{id}"),
        ({"route": ITEM, "root_path": "/behind-a-proxy"}, "/items/{id}"),
        ({"route": ROOT}, "/"),
        ({"path_template": "/litestar/{x}"}, "/litestar/{x}"),
        ({"path_template": ""}, None),
        ({"route": ITEM, "app_root_path": "", "root_path": "/shop"}, "/shop/items/{id}"),
        ({"route": ITEM, "app_root_path": "/proxy", "root_path": "/proxy/shop"}, "/shop/items/{id}"),
        ({"route": ITEM, "app_root_path": "", "root_path": "/of/acme", "path_params": {"tenant": "acme", "id": "acme"}},
         "/of/{tenant}/items/{id}"),
        ({"route": ITEM, "app_root_path": "", "root_path": "/of/7", "path_params": {"tenant": 7, "id": 7}},
         "/of/{tenant}/items/{id}"),
        ({"route": ITEM, "app_root_path": "", "root_path": "/of/of", "path_params": {"tenant": "of", "id": 7}}, None),
        ({"route": ITEM, "app_root_path": "", "root_path": "/of/007", "path_params": {"tenant": 7, "id": 7}}, None),
        ({"route": MOUNT, "app_root_path": "", "root_path": "/static"}, "/static/{path}"),
        ({"app_root_path": "", "root_path": "/static"}, "/static/{path}"),
        ({"route": ITEM, "fastapi": {"effective_route_context": PREFIXED}}, "/v1/{tenant}/items/{id}"),
        ({"route": ROOT, "fastapi": {"effective_route_context": PREFIXED}}, "/"),
        ({"route": ITEM, "fastapi": {}}, "/items/{id}"),
    ],
)
def test_asgi(scope, template):
    assert asgi_template(scope) == template


@pytest.mark.parametrize(
    ("environ", "template"),
    [
        ({}, None),
        ({"werkzeug.request": None}, None),
        ({"werkzeug.request": SimpleNamespace(url_rule=None)}, None),
        ({"werkzeug.request": SimpleNamespace(url_rule=SimpleNamespace(rule="/items/<int:id>"))}, "/items/<int:id>"),
        ({"werkzeug.request": SimpleNamespace(url_rule=SimpleNamespace(rule="/x")), "SCRIPT_NAME": "/proxy/shop"}, "/shop/x"),
        ({"weighbridge.template": "/items/<int:pk>/"}, "/items/<int:pk>/"),
    ],
)
def test_wsgi(environ, template):
    assert wsgi_template(environ, "/proxy") == template
