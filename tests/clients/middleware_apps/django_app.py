"""A Django app in one file, metered: `wsgi` and `asgi`."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from made import PIECES, file_path

import weighbridge.asgi
import weighbridge.wsgi

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", f"{__name__}.known"],
)
django.setup()


def known(get_response: Any) -> Any:
    """Some other middleware, which knows who asks."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.META["who"] = request.headers.get("X-Who")
        if hasattr(request, "scope"):
            request.scope["who"] = request.META["who"]
        return get_response(request)

    return middleware


def item(_request: HttpRequest, item_id: int) -> HttpResponse:
    return JsonResponse({"id": item_id})


def upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


def ignored(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("never mind")


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(PIECES))


async def pieces() -> Any:
    for piece in PIECES:
        yield piece


async def stream_async(_request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces())


def file(_request: HttpRequest) -> FileResponse:
    return FileResponse(file_path().open("rb"))


def boom(_request: HttpRequest) -> HttpResponse:
    raise KeyError("on purpose")


def order(_request: HttpRequest, order: str) -> HttpResponse:
    return HttpResponse(order)


urlpatterns = [
    path("items/<int:item_id>", item),
    path("upload", upload),
    path("ignored", ignored),
    path("stream", stream),
    path("stream-async", stream_async),
    path("file", file),
    path("boom", boom),
    path("shop/", include([path("orders/<order>", order)])),
    re_path(r"^of/(?P<order>[a-z]+)$", order),
]


def who(request: dict[str, Any]) -> str | None:
    return request.get("who")


wsgi = weighbridge.wsgi.Meter(get_wsgi_application(), consumer=who)
asgi = weighbridge.asgi.Meter(get_asgi_application(), consumer=who)
