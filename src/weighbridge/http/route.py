"""Routes as data: one literal table a dialect, from which serving, authentication, limits and OpenAPI all follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weighbridge.http.body import ENCODINGS

if TYPE_CHECKING:
    from weighbridge.http.services import Services
    from weighbridge.model import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `organization` None: every organization (scope `admin`). `key_id` names the key in limits and logs."""

    key_id: str
    organization: str | None
    project: str | None
    scopes: frozenset[Scope]

    @property
    def is_admin(self) -> bool:
        """Whether every organization is in sight."""
        return self.organization is None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated and read. Handlers get this and nothing of the web framework.

    `query` keeps repeated parameters in order; names and values are percent-decoded. `headers` have lower-case names.
    `body` is decoded from its Content-Encoding and bounded by the route. `principal` is None on open routes only.
    """

    services: Services
    method: str
    path: str
    path_params: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    principal: Principal | None

    def one(self, name: str) -> str | None:
        """The last value of a query parameter, None when it is absent."""
        found = None
        for key, value in self.query:
            if key == name:
                found = value
        return found

    @property
    def who(self) -> Principal:
        """The principal of a route that needs one.

        RuntimeError: the route is open; a defect of its handler.
        """
        if self.principal is None:
            msg = "BUG: an open route asked who calls"
            raise RuntimeError(msg)
        return self.principal


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `body` is bytes as sent, of `content_type`."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter as OpenAPI documents it. `schema` is a JSON Schema; parsing is the handler's."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    where: str = "query"  # query, path or header
    required: bool = False
    example: Any = None


@dataclass(frozen=True, slots=True)
class Documented:
    """A body or an answer as OpenAPI documents it: JSON Schema by content type, with an example."""

    description: str
    content: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # content type → JSON Schema
    example: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)  # response header → description


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `calls` in each `window_s` seconds, counted per key and endpoint."""

    calls: int
    window_s: int


@dataclass(frozen=True, slots=True)
class RateState:
    """How a key stands at one endpoint after this call: `remaining` calls until `reset_at_s` (unix)."""

    limit: int
    window_s: int
    remaining: int
    reset_at_s: int


PROBLEM = Documented(
    "A problem (RFC 9457)",
    content={
        "application/problem+json": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string", "description": "`about:blank`, or a URI reference that names the problem"},
                "title": {"type": "string", "description": "What kind of problem, the same every time"},
                "status": {"type": "integer", "description": "The HTTP status"},
                "detail": {"type": "string", "description": "What is wrong this time, for a person"},
                "where": {"type": "string", "description": "The parameter or field at fault"},
                "errors": {
                    "type": "array",
                    "description": "Each fault, where there are several",
                    "items": {
                        "type": "object",
                        "required": ["detail"],
                        "properties": {"where": {"type": "string"}, "detail": {"type": "string"}},
                    },
                },
            },
        },
    },
    example={"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no server 'sv_x'"},
)
"""How errors look outside the vendors' paths."""


Handler = Callable[[Call], Answer] | Callable[[Call], Awaitable[Answer]]
"""A plain function runs in the thread pool, a coroutine on the event loop (only for what never blocks)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path (with `{name}` parts).

    `scope` None: open to anyone; otherwise the key must hold it, or one of several.

    `admit` is for open routes that have a credential of their own (a client id in the path, a write token): it is called
    before the body is read, and raises where the request may not come in. Until then nothing costs more than a header.

    `sees` names the kinds of catalog objects that the path, the query or the body can name (`project`, `server`, …):
    the isolation test walks all routes and tries a foreign object of each.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    scope: Scope | tuple[Scope, ...] | None
    params: tuple[Param, ...] = ()
    body: Documented | None = None
    body_limit: int = 1024 * 1024  # bytes after decoding: more than any catalog object needs
    answers: Mapping[int, Documented] = field(default_factory=dict)
    rate: RateLimit | None = None
    sees: tuple[str, ...] = ()
    description: str = ""
    admit: Callable[[Call], object] | None = None
    any_content_type: bool = False  # True: the kit does not answer 415 for a type that `body.content` does not list
    encodings: tuple[str, ...] = ENCODINGS  # Content-Encodings of the body; without "identity" one of them must be there


@dataclass(frozen=True, slots=True)
class Dialect:
    """A vendor's API, or our own: its routes, and how it words an error.

    `prefixes`: paths below them speak this dialect also when no route matches (404, 405). `refuse` turns an error of
    domain/errors.py, or one of http/failures.py, into the vendor's answer; it never raises. `accepts_auth` names the
    ways a key may come: "raw", "bearer", "api-key". `error_content` (and, where a status looks different, the entry of
    `error_content_by_status`) is how OpenAPI documents what `refuse` answers. `rate_headers` words how a key stands at
    a limited route; its headers go out with every answer of such a route, 429 included.
    """

    name: str
    prefixes: tuple[str, ...]
    routes: tuple[Route, ...]
    refuse: Callable[[Call, Exception], Answer]
    accepts_auth: tuple[str, ...] = ("raw", "bearer", "api-key")
    authenticate: Callable[[Call], Principal | None] | None = None  # tried when no key matches (JWT)
    error_content: Documented = PROBLEM
    error_content_by_status: Mapping[int, Documented] = field(default_factory=dict)
    rate_headers: Callable[[RateState], tuple[tuple[str, str], ...]] | None = None
