"""A Litestar app, metered."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Router, WebSocket, get, post, websocket
from litestar.response import File, Stream
from made import PIECES, file_path

from weighbridge.asgi import Meter


@get("/items/{item_id:int}")
async def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}


@post("/upload")
async def upload(request: Request[Any, Any, Any]) -> str:
    return str(len(await request.body()))


@post("/ignored")
async def ignored() -> str:
    return "never mind"


@get("/stream")
async def stream() -> Stream:
    return Stream(iter(PIECES))


@get("/file")
async def file() -> File:
    return File(path=file_path())


@get("/boom")
async def boom() -> None:
    raise KeyError("on purpose")


@get("/orders/{order:str}")
async def order(order: str) -> str:
    return order


@websocket("/ws/{room:str}")
async def talk(socket: WebSocket[Any, Any, Any], room: str) -> None:
    await socket.accept()
    await socket.send_text(room)
    await socket.send_bytes((await socket.receive_text()).encode())
    await socket.close()


def who(scope: dict[str, Any]) -> str | None:
    return dict(scope["headers"]).get(b"x-who", b"").decode() or None


app = Meter(
    Litestar([item, upload, ignored, stream, file, boom, talk, Router("/shop", route_handlers=[order])], openapi_config=None),
    consumer=who,
)
