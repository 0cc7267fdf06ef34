"""The hub of Apitally's clients 0.25: POST /v2/{client_id}/{env}/startup, sync and log."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import msgspec

from weighbridge.domain.errors import NotVisibleError
from weighbridge.http.delivery import deliver
from weighbridge.http.route import Answer, Dialect, Documented, Param, Route
from weighbridge.measurement import MAX_AMOUNT, RejectReason
from weighbridge.metering.limits import AHEAD_US
from weighbridge.metering.messages import Beat, Message
from weighbridge.metering.subjects import Sender
from weighbridge.sources.hub.decode import (
    MAX_BODY_BYTES,
    MAX_CONSUMERS,
    MAX_PATHS,
    MAX_ROWS,
    Fault,
    InvalidBodyError,
    decode_startup,
    decode_sync,
    figures_of,
)
from weighbridge.sources.hub.errors import CLIENT_ID, ENVIRONMENT, ERROR, VALIDATION_ERROR, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weighbridge.http.route import Call
    from weighbridge.measurement import Rejection
    from weighbridge.model import App, CatalogView
    from weighbridge.ports import Catalog
    from weighbridge.sources.hub.decode import Startup

MAX_LOG_BYTES = 16 * 1024 * 1024
"""One file of request logs: the clients close one at 1 MB, or a second of traffic later."""
INLINE_BYTES = 64 * 1024
"""Bodies up to this size are decoded on the event loop, in a millisecond; larger ones in a thread."""
FAULTS_TOLD = 20
"""Faults that one answer lists: they go into the client's log."""

_ENVIRONMENT = re.compile(r"[\w-]{1,32}")  # the clients' own rule
_SOURCE = "hub"
_AHEAD = Fault(
    "value_error", ("body", "timestamp"),
    "the time lies more than 5 minutes ahead: is the clock of the client's machine right?",
)
_CONFLICT = Fault(
    "conflict", ("body", "message_uuid"),
    "a sync with this message_uuid was accepted before, with other content; nothing of this one was counted",
)
_encode = msgspec.json.Encoder().encode
T = TypeVar("T")


def admit(call: Call) -> App:
    """The living app whose client id the path names; NotVisibleError where there is none, or for no environment's name."""
    given = call.path_params["client_id"]
    view = call.services.catalog.view()
    app = view.apps.get(_find_app(view, given))
    if app is None or app.deleted_at_s is not None:
        raise NotVisibleError(CLIENT_ID, given)
    if not _ENVIRONMENT.fullmatch(call.path_params["env"]):
        raise NotVisibleError(ENVIRONMENT, call.path_params["env"])
    return app


def _find_app(view: CatalogView, client_id: str) -> int:
    """The app's number; 0, which none has, where there is none. The clients take a UUID in any spelling."""
    found = view.apps_by_client_id.get(client_id)
    if found is not None or not client_id.isascii():
        return found or 0
    try:
        return view.apps_by_client_id.get(str(UUID(client_id)), 0)
    except ValueError:
        return 0


async def post_startup(call: Call) -> Answer:
    """The instance's start is on disk, and its endpoints are in the catalog; answered after that."""
    now_us = call.services.clock.now_us()
    app, environment = admit(call), call.path_params["env"]
    startup = await _decode(decode_startup, call.body)
    if _tells_news(call.services.catalog.view(), app, environment, startup):
        await asyncio.to_thread(_enter, call.services.catalog, app.id, environment, startup)
    await deliver(call.services.intake, _message(app, Beat(f"app/{app.id}", startup.instance, now_us, is_start=True)))
    _pass_over(call, "endpoint", startup.unlisted)
    return Answer(202, b'{"status":"accepted"}')


async def post_sync(call: Call) -> Answer:
    """Takes what an instance counted, all of it once; answered after the fsync.

    InvalidBodyError: the body cannot be taken, its time lies ahead, or it contradicts its id; nothing of it is kept.
    """
    app, environment = admit(call), call.path_params["env"]
    sync = await _decode(decode_sync, call.body)
    if sync.at_us > call.services.clock.now_us() + AHEAD_US:
        raise InvalidBodyError(_AHEAD)
    subject = f"app/{app.id}"
    message = _message(
        app,
        Beat(subject, sync.instance, sync.at_us),
        figures=figures_of(sync, subject, environment),
        id=sync.message,
        content=f"{environment} {sync.content}",
    )
    receipt = await deliver(call.services.intake, message)
    if receipt.rejected:
        raise _refusal(receipt.rejected, app)
    _pass_over(call, "name", sync.nameless if receipt.accepted else 0)
    news = _consumer_news(call.services.catalog.view(), app, sync.consumers)
    if news:
        await asyncio.to_thread(call.services.catalog.describe_consumers, app.id, news)
    return Answer(202, _encode({"accepted": receipt.accepted, "duplicates": receipt.duplicates}))


async def post_log(call: Call) -> Answer:
    """Request logs are let through and not looked at: they repeat what syncs have counted."""
    _pass_over(call, "log", 1)
    return Answer(202, b'{"status":"accepted"}')


def _message(app: App, beat: Beat, **fields: Any) -> Message:  # noqa: ANN401  fields of Message
    """What an app's instance tells. Ids and instances are its app's: two apps never meet, in one organization either."""
    return Message(
        fields.pop("figures", ()), Sender(app.organization), app.organization, f"{_SOURCE}/{app.id}", beat=beat,
        is_whole=True, **fields,
    )


async def _decode(decoder: Callable[[bytes], T], body: bytes) -> T:
    return decoder(body) if len(body) <= INLINE_BYTES else await asyncio.to_thread(decoder, body)


def _refusal(rejected: Sequence[Rejection], app: App) -> Exception:
    """Why a sync is not taken."""
    code = rejected[0].code
    if code is RejectReason.UNKNOWN_SUBJECT:  # the app was deleted while this was on its way
        return NotVisibleError(CLIENT_ID, str(app.client_id))
    if code is RejectReason.CONFLICT:
        return InvalidBodyError(_CONFLICT)
    return InvalidBodyError(
        *(Fault(each.code.value, ("body", "requests", each.index), each.detail) for each in rejected[:FAULTS_TOLD])
    )


def _pass_over(call: Call, what: str, count: int) -> None:
    if count:
        call.services.metrics.passed_over.labels(_SOURCE, what).inc(count)


def _tells_news(view: CatalogView, app: App, environment: str, startup: Startup) -> bool:
    """Whether a start tells anything that the catalog does not know."""
    known = view.endpoints_of.get(app.id, {})
    return (
        environment not in view.environments_of.get(app.id, {})
        or startup.framework not in (None, app.framework)
        or not all(endpoint in known for endpoint in startup.endpoints)
    )


def _enter(catalog: Catalog, app: int, environment: str, startup: Startup) -> None:
    """Blocks until the disk has it."""
    catalog.enter_environment(app, environment)  # None beyond the bound: its counts stand without an environment
    catalog.enter_endpoints(app, startup.endpoints)
    if startup.framework is not None:
        catalog.describe_app(app, startup.framework)


def _consumer_news(
    view: CatalogView, app: App, told: Mapping[str, tuple[str | None, str | None]]
) -> dict[str, tuple[str | None, str | None]]:
    """What is said of consumers and not known yet."""
    known = view.consumers_of.get(app.id, {})
    news = {}
    for identifier, (name, group) in told.items():
        consumer = view.consumers.get(known.get(identifier, 0))
        if consumer is None or name not in (None, consumer.name) or group not in (None, consumer.group):
            news[identifier] = (name, group)
    return news


JSON = "application/json"
_UUID = {"type": "string", "format": "uuid"}
_COUNT = {"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_HISTOGRAM = {"type": "object", "description": "Not looked at"}
_ROW = {
    "type": "object",
    "required": ["consumer", "method", "path", "status_code", "request_count", "request_size_sum", "response_size_sum"],
    "properties": {
        "consumer": _TEXT_OR_NULL,
        "method": _TEXT_OR_NULL,
        "path": {**_TEXT_OR_NULL, "description": "The route's template"},
        "status_code": {"type": ["integer", "null"], "description": "Tells nothing that is counted"},
        "request_count": {**_COUNT, "description": "Requests answered"},
        "request_size_sum": {**_COUNT, "description": "Bytes received"},
        "response_size_sum": {**_COUNT, "description": "Bytes sent"},
        "response_times": _HISTOGRAM,
        "request_sizes": _HISTOGRAM,
        "response_sizes": _HISTOGRAM,
    },
}
_CONSUMER = {
    "type": "object",
    "required": ["identifier"],
    "properties": {"identifier": {"type": "string"}, "name": _TEXT_OR_NULL, "group": _TEXT_OR_NULL},
}
_SYNC = {
    "type": "object",
    "required": ["timestamp", "instance_uuid", "message_uuid", "requests"],
    "properties": {
        "timestamp": {"type": "number", "description": "Until when it was counted, unix seconds"},
        "instance_uuid": _UUID,
        "message_uuid": {**_UUID, "description": "The idempotency key"},
        "requests": {"type": "array", "items": _ROW, "maxItems": MAX_ROWS},
        "consumers": {"type": ["array", "null"], "items": _CONSUMER, "maxItems": MAX_CONSUMERS},
        "validation_errors": {"description": "Not looked at"},
        "server_errors": {"description": "Not looked at"},
        "resources": {"description": "Not looked at"},
    },
}
_SYNC_EXAMPLE = {
    "timestamp": 1_765_728_000.25,
    "instance_uuid": "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10",
    "message_uuid": "6f3d3f0e-52a5-4e0e-9a53-0e4b7a0c1d22",
    "requests": [{
        "consumer": "alice", "method": "GET", "path": "/items/{item_id}", "status_code": 200, "request_count": 7,
        "request_size_sum": 0, "response_size_sum": 4823, "response_times": {"10": 7}, "request_sizes": {},
        "response_sizes": {"0": 7},
    }],
    "validation_errors": [],
    "server_errors": [],
    "consumers": [{"identifier": "alice", "name": "Alice", "group": "staff"}],
    "resources": None,
}
_STARTUP = {
    "type": "object",
    "required": ["instance_uuid", "message_uuid"],
    "properties": {
        "instance_uuid": _UUID,
        "message_uuid": _UUID,
        "paths": {
            "type": ["array", "null"],
            "maxItems": MAX_PATHS,
            "items": {
                "type": "object",
                "required": ["method", "path"],
                "properties": {"method": {"type": "string"}, "path": {"type": "string"}},
            },
        },
        "client": {**_TEXT_OR_NULL, "description": "The framework"},
        "versions": {"description": "Not looked at"},
        "openapi": {"description": "Not looked at"},
    },
}
_STARTUP_EXAMPLE = {
    "instance_uuid": "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10",
    "message_uuid": "c1a3c2de-6d3f-4d8b-8a5e-0f2f5f8f5b7a",
    "paths": [{"method": "get", "path": "/items/{item_id}"}],
    "versions": {"python": "3.11.2", "apitally": "0.25.1", "starlette": "0.50.0"},
    "client": "python:starlette",
}
_STATUS = {"type": "object", "required": ["status"], "properties": {"status": {"const": "accepted"}}}
_TAKEN = {
    "type": "object",
    "required": ["accepted", "duplicates"],
    "properties": {"accepted": {"type": "integer", "minimum": 0}, "duplicates": {"type": "integer", "minimum": 0}},
}
_PATH = "/v2/{client_id}/{env}"
_PARAMS = (
    Param("client_id", "The app's client id, which is the credential", where="path", required=True,
          example="76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"),
    Param("env", "The environment's name, made on first sight", {"type": "string", "pattern": r"^[\w-]{1,32}$"}, where="path",
          required=True, example="prod"),
)

HUB = Dialect(
    name="hub",
    prefixes=("/v2",),
    routes=(
        Route(
            "POST", f"{_PATH}/startup", "hub_startup", "An instance of an app has started", post_startup, None, _PARAMS,
            body=Documented("Its endpoints and its framework", {JSON: _STARTUP}, _STARTUP_EXAMPLE),
            body_limit=MAX_BODY_BYTES,
            answers={202: Documented("It is on disk", {JSON: _STATUS}, {"status": "accepted"})},
            description="The endpoints are listed for the app, and the instance's first sync counts from here.",
            admit=admit,
            any_content_type=True,
        ),
        Route(
            "POST", f"{_PATH}/sync", "hub_sync", "What an instance counted since its sync before", post_sync, None, _PARAMS,
            body=Documented("Counts by consumer, endpoint and status", {JSON: _SYNC}, _SYNC_EXAMPLE),
            body_limit=MAX_BODY_BYTES,
            answers={202: Documented("It is on disk, once", {JSON: _TAKEN}, {"accepted": 1, "duplicates": 0})},
            description=(
                "Counts are spread over the time since the sync before of the same instance, also if that was empty. The same"
                " message_uuid is the same sync, whenever it comes again. One thing that is wrong refuses all of it."
            ),
            admit=admit,
            any_content_type=True,
        ),
        Route(
            "POST", f"{_PATH}/log", "hub_log", "Request logs, which are not counted", post_log, None,
            (*_PARAMS, Param("uuid", "The client's name for the file")),
            body=Documented("NDJSON, compressed", {"application/octet-stream": {"type": "string"}}, "…"),
            body_limit=MAX_LOG_BYTES,
            answers={202: Documented("It may be forgotten", {JSON: _STATUS}, {"status": "accepted"})},
            description="They repeat requests that syncs have counted already, so they are taken and not read.",
            admit=admit,
            any_content_type=True,
        ),
    ),
    refuse=refuse,
    error_content=ERROR,
    error_content_by_status={422: VALIDATION_ERROR},
)
"""Served by app/build.py."""
