"""What a client has sent, added up in the plainest way: the referee of its figures, which knows nothing of Weighbridge."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from support.api_calls import EXCLUDED, Amount, Counted
from support.api_clients import APPS
from support.environments import python_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.answers import Asked

DECODE_S = 60
DELTA = 1
METRICS = {
    "http.server.request.duration": ("count", 0),
    "http.server.request.body.size": ("sum", 1),
    "http.server.response.body.size": ("sum", 2),
}
"""Which figure of a histogram counts, and as which amount: requests, received, sent."""

Point = tuple[tuple[str, str | None], int, int, bool, Any]
"""(environment and consumer), which amount, its figure, whether it is a delta, what else tells it from other points."""


def listing(body: bytes) -> list[dict[str, Any]]:
    """The points of a body of OTLP metrics, as OpenTelemetry's own decoder reads them."""
    command = [str(python_of("otel")), str(APPS / "otlp_points.py")]
    found = subprocess.run(command, input=body, capture_output=True, timeout=DECODE_S, check=True)
    return json.loads(found.stdout)


def body_of(asked: Asked) -> bytes:
    """The body without its content encoding."""
    return gzip.decompress(asked.body) if asked.headers.get("content-encoding") == "gzip" else asked.body


def counted_of(sent: Iterable[Asked]) -> Counted:
    """What the distinct ones of these requests count, by environment and consumer."""
    sent = list(sent)
    counted: Counted = defaultdict(Amount)
    for environment, item in _hub_items(sent):
        if item["path"] != EXCLUDED:
            key = (environment, item["consumer"])
            figures = (item["request_count"], item["request_size_sum"], item["response_size_sum"])
            counted[key] = counted[key].plus(Amount(*figures))
    for key, amount in _otlp_amounts(sent):
        counted[key] = counted[key].plus(amount)
    return counted


def _hub_items(sent: list[Asked]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(environment, item of requests) of every message, once."""
    messages = {}
    for asked in sent:
        if asked.path.endswith("/sync"):
            message = json.loads(asked.body)
            before = messages.setdefault(message["message_uuid"], (asked.path, message))
            assert before == (asked.path, message), "what is sent again is the same to the letter"
    for path, message in messages.values():
        for item in message["requests"]:
            yield path.split("/")[3], item


def _otlp_amounts(sent: list[Asked]) -> Iterator[tuple[tuple[str, str | None], Amount]]:
    """Deltas as they are, and of every cumulative series, which its start makes known too, the highest that was said."""
    highest: dict[Any, tuple[tuple[str, str | None], int, int]] = {}
    for body in dict.fromkeys(body_of(asked) for asked in sent if asked.path == "/v1/metrics"):
        for key, which, figure, delta, series in _points(body):
            if delta:
                yield key, _amount(which, figure)
            elif series not in highest or highest[series][2] < figure:
                highest[series] = (key, which, figure)
    for key, which, figure in highest.values():
        yield key, _amount(which, figure)


def _points(body: bytes) -> Iterator[Point]:
    for group in listing(body):
        for point in group["points"]:
            attributes = point["attributes"]
            if point["name"] not in METRICS or attributes.get("http.route") == EXCLUDED:
                continue
            figure, which = METRICS[point["name"]]
            value = point[figure]
            assert value == int(value), "a byte is a byte"
            key = (group["resource"]["deployment.environment.name"], attributes.get("apitally.consumer.identifier"))
            series = json.dumps([group["resource"], point["name"], attributes, point["start"]], sort_keys=True)
            yield key, which, int(value), point["temporality"] == DELTA, series


def _amount(which: int, figure: int) -> Amount:
    return Amount(*(figure if at == which else 0 for at in range(3)))
