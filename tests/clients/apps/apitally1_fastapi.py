"""FastAPI with apitally 1.x: PORT ENVIRONMENT WRITE_TOKEN. The destination is in APITALLY_OTLP_ENDPOINT."""

from __future__ import annotations

import sys

import apitally
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

PORT, ENVIRONMENT, WRITE_TOKEN = int(sys.argv[1]), sys.argv[2], sys.argv[3]

app = FastAPI()


@app.middleware("http")
async def know(request: Request, call_next):
    """The consumer is the one that `X-Consumer: identifier;name;group` names."""
    identifier, *rest = request.headers.get("x-consumer", "").split(";")
    if identifier:
        apitally.set_consumer(identifier, *rest)
    return await call_next(request)


@app.get("/items/{number}")
async def item(number: str, size: int):
    return PlainTextResponse("x" * size)


@app.post("/upload")
async def upload(request: Request):
    return PlainTextResponse(str(len(await request.body())))


@app.get("/stream")
async def stream(chunks: int, size: int, length: bool = False):
    headers = {"content-length": str(chunks * size)} if length else {}
    return StreamingResponse((b"x" * size for _ in range(chunks)), headers=headers, media_type="text/plain")


@app.get("/healthz")
async def healthz():
    return PlainTextResponse("ok")


@app.get("/broken")
async def broken():
    raise RuntimeError("broken on purpose")


apitally.init(app, write_token=WRITE_TOKEN, env=ENVIRONMENT)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
