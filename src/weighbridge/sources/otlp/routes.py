"""OTLP over HTTP: POST /v1/metrics, which counts, /v1/logs, which names, and /v1/traces, which is taken and thrown away.

Spans are sampled and logs are words: traffic comes from metrics alone. Two events among the logs of apitally's clients say
what consumers are called and what the app is made of; those are read.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any

from weighbridge.domain.errors import NotAuthenticatedError
from weighbridge.http.auth import offered_keys
from weighbridge.http.failures import TooLargeError, UnreadableBodyError, WrongContentTypeError
from weighbridge.http.route import Dialect, Documented, Param, Route
from weighbridge.measurement import RejectReason
from weighbridge.metering.messages import Message
from weighbridge.metering.subjects import Sender
from weighbridge.sources.otlp.answers import STATUS, TAKEN, answer_export, media_type_of, refuse
from weighbridge.sources.otlp.decode import JSON, MEDIA_TYPES, PROTOBUF, check_export, read_logs, read_metrics
from weighbridge.sources.otlp.logs import News, news_of
from weighbridge.sources.otlp.metrics import TooManyError, UnreadableError
from weighbridge.sources.otlp.series import figures_of, without_starts

if TYPE_CHECKING:
    from weighbridge.http.route import Answer, Call
    from weighbridge.measurement import Receipt
    from weighbridge.model import App, WriteToken
    from weighbridge.ports import Catalog
    from weighbridge.sources.otlp.series import Told

MAX_BODY_BYTES = 16 * 1024 * 1024
"""After decoding; the clients send up to 4 MB."""
LARGE_BODY_BYTES = 1024 * 1024
"""Bodies above this are decoded one at a time: one of the worst kind takes 150 MB."""

_ACCEPTED_AUTH = ("raw", "bearer", "api-key")
_large_bodies = threading.Lock()


def admit(call: Call) -> None:
    """NotAuthenticatedError unless a write token came along whose app is there."""
    _authenticate(call)


def post_metrics(call: Call) -> Answer:
    """Takes an export of metrics; the answer is sent after the fsync. UnreadableBodyError, TooLargeError; BusyError."""
    token, app = _authenticate(call)
    media_type = _media_type(call)
    told = _read(call, media_type, app)
    if told.figures:
        _deliver(call, told, token, app)
    return answer_export(media_type, told.refusals.points, told.refusals.sentence())


def post_logs(call: Call) -> Answer:
    """Takes an export of logs; what its events say is in the catalog. UnreadableBodyError, TooLargeError; StorageError."""
    _, app = _authenticate(call)
    media_type = _check(call)
    news = _read_news(call, media_type)
    for what, count in news.passed_over.items():
        call.services.metrics.passed_over.labels("otlp", what).inc(count)
    _enter(call.services.catalog, app.id, news)
    return answer_export(media_type)


def post_traces(call: Call) -> Answer:
    """Takes an export of spans, of which nothing is kept. UnreadableBodyError, TooLargeError."""
    return answer_export(_check(call))


def _check(call: Call) -> str:
    """The media type of a body that is a message of it, as far as its outermost level tells."""
    media_type = _media_type(call)
    try:
        check_export(call.body, media_type)
    except UnreadableError as error:
        raise _unreadable(error) from error
    except TooManyError as error:
        raise TooLargeError(str(error)) from error
    return media_type


def _read_news(call: Call, media_type: str) -> News:
    """What the events of a body say. Below its outermost level nothing has to be right: it is passed over as a whole then."""
    try:
        with _turn(call.body):
            return news_of(read_logs(call.body, media_type), _environment(call))
    except (UnreadableError, TooManyError):
        return News(passed_over=Counter(body=1))


def _enter(catalog: Catalog, app: int, news: News) -> None:
    """Blocks until the disk has it; nothing is written if the catalog knows all of it. StorageError."""
    for environment in news.environments:
        catalog.enter_environment(app, environment)
    if news.framework is not None:
        catalog.describe_app(app, news.framework)
    catalog.enter_endpoints(app, list(news.endpoints))
    if news.consumers:
        catalog.describe_consumers(app, news.consumers)


def _authenticate(call: Call) -> tuple[WriteToken, App]:
    view = call.services.catalog.view()
    for secret in offered_keys(call.headers, _ACCEPTED_AUTH):
        token = view.write_tokens_by_sha256.get(sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())
        app = None if token is None else view.apps.get(token.app)
        if token is not None and app is not None and app.deleted_at_s is None:
            return token, app
    raise NotAuthenticatedError("a write token of an app is needed here: weighbridge write-tokens create --app NUMBER")


def _media_type(call: Call) -> str:
    media_type = media_type_of(call)
    if media_type not in MEDIA_TYPES:
        raise WrongContentTypeError(f"send the body as {' or '.join(MEDIA_TYPES)}, not as {media_type[:80]!r}")
    return media_type


def _read(call: Call, media_type: str, app: App) -> Told:
    """The figures of the body, and what of it cannot be counted. UnreadableBodyError, TooLargeError."""
    try:
        with _turn(call.body):
            return figures_of(read_metrics(call.body, media_type), f"app/{app.id}", _environment(call))
    except UnreadableError as error:
        raise _unreadable(error) from error
    except TooManyError as error:
        raise TooLargeError(str(error)) from error


def _environment(call: Call) -> str | None:
    """What the client says beside the body."""
    return call.headers.get("apitally-env", "").strip() or None


def _turn(body: bytes) -> AbstractContextManager[object]:
    """Held while a body is decoded: large ones wait for each other."""
    return _large_bodies if len(body) > LARGE_BODY_BYTES else nullcontext()


def _unreadable(error: UnreadableError) -> UnreadableBodyError:
    return UnreadableBodyError(f"the body cannot be parsed, nothing of it was kept: {error}")


def _deliver(call: Call, told: Told, token: WriteToken, app: App) -> None:
    """The figures are kept, or among the refusals of `told`. BusyError, StorageError: nothing was kept."""
    message = Message(
        told.figures,
        Sender(app.organization),
        app.organization,
        f"otlp/{app.id}",
        id=blake2b(call.body, key=bytes.fromhex(token.sha256), digest_size=32).hexdigest(),
        from_start=True,
    )
    receipt = call.services.intake.take(message)
    if _is_too_long(receipt, told):
        told.refusals.warning = "Counters that are new count from now on: together they began too long ago"
        receipt = call.services.intake.take(replace(message, figures=without_starts(told.figures)))
    for refusal in receipt.rejected:
        told.refusals.add(refusal.detail, told.points[refusal.index])


def _is_too_long(receipt: Receipt, told: Told) -> bool:
    """Whether everything was refused, for the stretches that new counters say they cover."""
    codes = {refusal.code for refusal in receipt.rejected}
    has_starts = any(figure.counter is not None and figure.start_us is not None for figure in told.figures)
    return has_starts and codes == {RejectReason.TOO_MANY} and len(receipt.rejected) == len(told.figures)


_PROTOBUF_BODY = {"type": "string", "format": "binary", "description": "One serialized request, or several back to back"}
_ENVIRONMENT = Param(
    "Apitally-Env", "The environment's name; without it, that of the resource, else `default`", where="header", example="prod"
)
_AUTH = "The credential is a write token of an app (`Authorization: Bearer apt_…`), which opens nothing else."
_EXAMPLE_POINT = {
    "startTimeUnixNano": "1765728000000000000",
    "timeUnixNano": "1765728015000000000",
    "count": "7",
    "sum": 1234,
    "attributes": [
        {"key": "http.request.method", "value": {"stringValue": "GET"}},
        {"key": "http.route", "value": {"stringValue": "/items/{id}"}},
    ],
}
_EXAMPLE_METRIC = {
    "name": "http.server.response.body.size",
    "unit": "By",
    "histogram": {"aggregationTemporality": 1, "dataPoints": [_EXAMPLE_POINT]},
}
_EXAMPLE_RECORD = {
    "eventName": "apitally.consumer.update",
    "body": {"kvlistValue": {"values": [
        {"key": "identifier", "value": {"stringValue": "alice"}},
        {"key": "name", "value": {"stringValue": "Alice"}},
        {"key": "group", "value": {"stringValue": "staff"}},
    ]}},
}
_HANDLERS = {"metrics": post_metrics, "logs": post_logs, "traces": post_traces}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [_EXAMPLE_METRIC]}]}]},
    "traces": {"resourceSpans": []},
    "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [_EXAMPLE_RECORD]}]}]},
}


def _route(signal: str, summary: str, description: str) -> Route:
    return Route(
        method="POST",
        path=f"/v1/{signal}",
        name=f"otlp_{signal}",
        summary=summary,
        description=f"{description} {_AUTH}",
        handler=_HANDLERS[signal],
        scope=None,
        params=() if signal == "traces" else (_ENVIRONMENT,),
        body=Documented(
            f"An export of {signal} (OTLP), gzip or zstd if you like",
            {JSON: {"type": "object"}, PROTOBUF: _PROTOBUF_BODY},
            _EXAMPLES[signal],
        ),
        body_limit=MAX_BODY_BYTES,
        answers={200: TAKEN, 401: STATUS},
        admit=admit,
    )


OTLP = Dialect(
    name="otlp",
    prefixes=("/v1/metrics", "/v1/traces", "/v1/logs"),
    routes=(
        _route(
            "metrics",
            "Send OpenTelemetry metrics",
            "Requests and bytes are counted from the histograms http.server.request.duration, http.server.request.body.size"
            " and http.server.response.body.size, delta or cumulative; all else is taken and ignored. The same body with the"
            " same token counts once.",
        ),
        _route("traces", "Send OpenTelemetry spans", "Taken and thrown away: spans are sampled, so nothing counts from them."),
        _route(
            "logs",
            "Send OpenTelemetry logs",
            "Two events of apitally's clients are read: apitally.consumer.update says what a consumer is called, and"
            " apitally.app.startup what the app runs on and which endpoints it has. All else is taken and thrown away, and"
            " nothing counts from logs.",
        ),
    ),
    refuse=refuse,
    error_content=STATUS,
)
"""OpenTelemetry over HTTP, and with it apitally for Python 1.x."""
