"""A Flask app, metered."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, g, request, send_file, stream_with_context
from made import PIECES, file_path
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from weighbridge.wsgi import Meter

app = Flask(__name__)
shop = Blueprint("shop", __name__, url_prefix="/shop")
tenant = Flask("tenant")


@tenant.before_request
@app.before_request
def look() -> None:
    g.who = request.headers.get("X-Who")


@app.get("/items/<int:item_id>")
def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}


@app.post("/upload")
def upload() -> str:
    return str(len(request.get_data()))


@app.post("/ignored")
def ignored() -> str:
    return "never mind"


@app.get("/stream")
def stream() -> Response:
    return Response(stream_with_context(piece for piece in PIECES))


@app.get("/file")
def file() -> Response:
    return send_file(file_path())


@app.get("/boom")
def boom() -> str:
    raise KeyError("on purpose")


@shop.get("/orders/<order>")
def order(order: str) -> str:
    return order


@tenant.get("/orders/<order>")
def order_there(order: str) -> str:
    return order


def who(_environ: dict[str, Any]) -> str | None:
    return g.get("who") if g else None


app.register_blueprint(shop)
app.wsgi_app = Meter(DispatcherMiddleware(app.wsgi_app, {"/of": tenant}), consumer=who)
