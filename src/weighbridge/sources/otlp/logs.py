"""Two events among an app's logs: what a consumer is called, and what the app is made of. Nothing counts from logs.

Source: apitally for Python 1.0.0, shared/consumers.py and shared/startup.py; it tells these things nowhere else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from weighbridge.measurement import MAX_NAME, MAX_PATH
from weighbridge.metering.subjects import MAX_METHOD, UNFIT
from weighbridge.model import Endpoint
from weighbridge.sources.otlp.metrics import TooManyError
from weighbridge.sources.otlp.series import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weighbridge.sources.otlp.metrics import Resource, Value

CONSUMER_UPDATE, STARTUP = "apitally.consumer.update", "apitally.app.startup"
EVENTS = frozenset({CONSUMER_UPDATE, STARTUP})
"""The names of the records that are read. All other records are passed over unread."""
MAX_EVENTS = 10_000
"""Records of EVENTS in one body: as many as an app may have consumers. A client sends a few hundred records at once."""
MAX_ENDPOINTS = 10_000
"""Endpoints that one body lists: as many as are kept of an app."""

Names = tuple[str | None, str | None]
"""Name and group."""


class Record(NamedTuple):
    """A record of EVENTS, and the resource that it comes from."""

    resource: Resource
    event: str
    body: Value


class _Path(msgspec.Struct, gc=False):
    method: str
    path: str


class _Startup(msgspec.Struct):
    framework: str | None = None
    paths: list[_Path] | None = None


_startup = msgspec.json.Decoder(_Startup)


@dataclass
class News:
    """What an export says of its app. `passed_over`: how many events, names and endpoints cannot be kept."""

    environments: dict[str, None] = field(default_factory=dict)
    consumers: dict[str, Names] = field(default_factory=dict)
    endpoints: dict[Endpoint, None] = field(default_factory=dict)
    framework: str | None = None
    passed_over: Counter[str] = field(default_factory=Counter)

    def take(self, record: Record) -> bool:
        """Whether the record's body is what its event's name promises; then it is among the news."""
        if record.event == STARTUP:
            return self._take_startup(record.body)
        return self._take_consumer(record.body)

    def take_environment(self, name: str) -> None:
        """The app runs in this environment."""
        fitting = self._fitting(name)
        if fitting is not None:
            self.environments[fitting] = None

    def _take_consumer(self, body: Value) -> bool:
        """What is told later holds, and what is not told stays as it was."""
        if not isinstance(body, dict):
            return False
        identifier = self._fitting(body.get("identifier"))
        if identifier is not None:
            known = self.consumers.get(identifier, (None, None))
            name, group = self._fitting(body.get("name")), self._fitting(body.get("group"))
            self.consumers[identifier] = (name or known[0], group or known[1])
        return identifier is not None

    def _take_startup(self, body: Value) -> bool:
        """The body is JSON in a text, of which framework and endpoints are read."""
        if not isinstance(body, str):
            return False
        try:
            told = _startup.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return False
        self.framework = self._fitting(told.framework) or self.framework
        for each in told.paths or ():
            endpoint = Endpoint(each.method.upper(), each.path)
            if endpoint in self.endpoints:
                continue
            if len(self.endpoints) < MAX_ENDPOINTS and _fits(endpoint.method, MAX_METHOD) and _fits(each.path, MAX_PATH):
                self.endpoints[endpoint] = None
            else:
                self.passed_over["endpoint"] += 1
        return True

    def _fitting(self, text: Value) -> str | None:
        """The text, None where there is none or none that can be kept; the latter is passed over."""
        if text is None or text == "":
            return None
        if isinstance(text, str) and _fits(text, MAX_NAME):
            return text
        self.passed_over["name"] += 1
        return None


def news_of(records: Iterable[Record], environment: str | None) -> News:
    """What these records say. `environment` None: as their resources say. TooManyError; UnreadableError of a record."""
    news = News()
    for number, record in enumerate(records):
        if number == MAX_EVENTS:
            raise TooManyError(f"more than {MAX_EVENTS:,} events; send them in several requests")
        attributes = record.resource.attributes
        if attributes is not None and news.take(record):
            news.take_environment(environment or environment_of(attributes))
        else:
            news.passed_over["event"] += 1
    return news


def _fits(text: str, most: int) -> bool:
    return 0 < len(text) <= most and not UNFIT.search(text)
