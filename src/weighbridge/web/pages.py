"""The pages: a root page, and the API reference. They load nothing from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from weighbridge.http.route import Answer, Documented, Route

if TYPE_CHECKING:
    from weighbridge.http.route import Call, Handler

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
)


def _page(path: str, name: str, summary: str, file: str, content_type: str) -> Route:
    """A route that answers with a file of static/, which is read once."""
    body = files(__package__).joinpath("static", file).read_bytes()
    return Route(
        method="GET",
        path=path,
        name=name,
        summary=summary,
        handler=_handler(Answer(200, body, content_type, _HEADERS)),
        scope=None,
        answers={200: Documented("The file", {content_type: {"type": "string"}}, body[:15].decode())},
    )


def _handler(answer: Answer) -> Handler:
    async def handle(_call: Call) -> Answer:
        return answer

    return handle


HTML = "text/html; charset=utf-8"
WEB_ROUTES: tuple[Route, ...] = (
    _page("/", "root_page", "What this is, as a page", "index.html", HTML),
    _page("/api/reference", "reference_page", "The API reference, as a page", "reference.html", HTML),
    _page("/api/pages.css", "pages_css", "Style of the pages", "pages.css", "text/css; charset=utf-8"),
    _page(
        "/api/reference.js",
        "reference_js",
        "Script of the API reference",
        "reference.js",
        "text/javascript; charset=utf-8",
    ),
)
"""What app/build.py hands to native_dialect."""
