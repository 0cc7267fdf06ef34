"""A FastAPI app, metered from within: app.add_middleware."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from made import FOLDER, PIECES, file_path

from weighbridge.asgi import Meter

app = FastAPI(docs_url=None, redoc_url=None)
router = APIRouter(prefix="/v1")
shop = FastAPI()


@app.get("/items/{item_id}")
def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}


@app.post("/upload")
async def upload(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@app.post("/ignored")
async def ignored() -> PlainTextResponse:
    return PlainTextResponse("never mind")


@app.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(iter(PIECES))


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(file_path())


@app.get("/boom")
async def boom() -> None:
    raise KeyError("on purpose")


@app.websocket("/ws/{room}")
async def talk(socket: WebSocket, room: str) -> None:
    await socket.accept()
    await socket.send_text(room)
    await socket.send_bytes((await socket.receive_text()).encode())
    await socket.close()


@router.get("/users/{user_id}")
async def user(user_id: str) -> PlainTextResponse:
    return PlainTextResponse(user_id)


@router.websocket("/rooms/{room}")
async def talk_there(socket: WebSocket, room: str) -> None:
    await talk(socket, room)


@shop.get("/orders/{order}")
async def order(order: str) -> PlainTextResponse:
    return PlainTextResponse(order)


app.include_router(router, prefix="/api")
app.mount("/shop", shop)
app.mount("/of/{tenant}", shop)
app.mount("/static", StaticFiles(directory=FOLDER))


def who(scope: dict[str, Any]) -> str | None:
    return dict(scope["headers"]).get(b"x-who", b"").decode() or None


app.add_middleware(Meter, consumer=who)
