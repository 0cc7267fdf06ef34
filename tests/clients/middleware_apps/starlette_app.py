"""A Starlette app, metered from without: everything it sends, its pages of errors too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from made import FOLDER, PIECES, file_path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from weighbridge.asgi import Meter

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket


def item(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["item_id"]})


async def upload(request: Request) -> Response:
    return PlainTextResponse(str(sum([len(piece) async for piece in request.stream()])))


async def ignored(_request: Request) -> Response:
    return PlainTextResponse("never mind")


async def stream(_request: Request) -> Response:
    return StreamingResponse(iter(PIECES))


async def file(_request: Request) -> Response:
    return FileResponse(file_path())


async def boom(_request: Request) -> Response:
    raise KeyError("on purpose")


async def order(request: Request) -> Response:
    return PlainTextResponse(request.path_params["order"])


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.path_params["room"])
    await socket.send_bytes((await socket.receive_text()).encode())
    await socket.close()


def who(scope: dict[str, Any]) -> str | None:
    return scope.get("state", {}).get("who")


class Known:
    """Some other middleware, which knows who asks."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["who"] = dict(scope.get("headers", ())).get(b"x-who", b"").decode()
        await self.app(scope, receive, send)


shop = Starlette(routes=[Route("/orders/{order}", order)])
app = Meter(
    Starlette(
        routes=[
            Route("/items/{item_id:int}", item),
            Route("/upload", upload, methods=["POST"]),
            Route("/ignored", ignored, methods=["POST"]),
            Route("/stream", stream),
            Route("/file", file),
            Route("/boom", boom),
            WebSocketRoute("/ws/{room}", talk),
            Mount("/shop", shop),
            Mount("/of/{tenant}", routes=[Mount("/deep", shop)]),
            Mount("/static", StaticFiles(directory=FOLDER)),
        ],
        middleware=[Middleware(Known), Middleware(GZipMiddleware, minimum_size=50_000)],
    ),
    consumer=who,
)
