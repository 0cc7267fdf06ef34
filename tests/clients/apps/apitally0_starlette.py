"""Starlette with apitally 0.25: PORT ENVIRONMENT CLIENT_ID. The hub's address is in APITALLY_HUB_BASE_URL."""

from __future__ import annotations

import sys

import uvicorn
from apitally.starlette import ApitallyMiddleware, set_consumer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

PORT, ENVIRONMENT, CLIENT_ID = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def known(endpoint):
    """The endpoint, with the consumer that `X-Consumer: identifier;name;group` names."""

    async def named(request):
        identifier, *rest = request.headers.get("x-consumer", "").split(";")
        if identifier:
            set_consumer(request, identifier, *rest)
        return await endpoint(request)

    return named


async def item(request):
    return PlainTextResponse("x" * int(request.query_params["size"]))


async def upload(request):
    return PlainTextResponse(str(len(await request.body())))


async def stream(request):
    chunks, size = int(request.query_params["chunks"]), int(request.query_params["size"])
    headers = {"content-length": str(chunks * size)} if "length" in request.query_params else {}
    return StreamingResponse((b"x" * size for _ in range(chunks)), headers=headers, media_type="text/plain")


async def healthz(_):
    return PlainTextResponse("ok")


async def broken(_):
    raise RuntimeError("broken on purpose")


app = Starlette(
    routes=[
        Route("/items/{id}", known(item)),
        Route("/upload", known(upload), methods=["POST"]),
        Route("/stream", known(stream)),
        Route("/healthz", known(healthz)),
        Route("/broken", known(broken)),
    ],
    middleware=[Middleware(ApitallyMiddleware, client_id=CLIENT_ID, env=ENVIRONMENT, enable_request_logging=True)],
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
