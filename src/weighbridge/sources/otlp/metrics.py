"""What an export of metrics says, whichever way it was encoded; only of the metrics that count.

Source: OpenTelemetry data model for metrics; semantic conventions for HTTP metrics, stable and before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MAX_POINTS = 100_000
"""Data points of one export that count or are refused: an SDK sends hundreds, and a body of 16 MiB holds few more."""
MAX_ATTRIBUTES = 128
"""Attributes of one point, resource or scope: what OpenTelemetry's own SDKs allow a span."""
MAX_DEPTH = 32
"""Lists in lists of one attribute: nobody nests more than two, and a stack is not endless."""
DIGEST_BYTES = 16
"""Of what stands for attributes and streams: two of 10**9 fall together with a chance of 10**-21."""

Value = str | bool | int | float | bytes | list["Value"] | dict[str, "Value"] | None
"""An attribute's value. Only texts and integers become names; all of them tell one stream from another."""
Attributes = dict[str, Value]


class UnreadableError(Exception):
    """The body cannot be parsed; nothing of it is kept. The sentence says where it breaks."""


class TooManyError(Exception):
    """The body holds more things than one export may."""


class Quantity(NamedTuple):
    """What a metric measures: a column of usage, under the stable name of the conventions or the one before."""

    column: str
    is_stable: bool


COUNTED: Mapping[str, Quantity] = {
    "http.server.request.duration": Quantity("requests", is_stable=True),
    "http.server.request.body.size": Quantity("bytes_in", is_stable=True),
    "http.server.response.body.size": Quantity("bytes_out", is_stable=True),
    "http.server.duration": Quantity("requests", is_stable=False),
    "http.server.request.size": Quantity("bytes_in", is_stable=False),
    "http.server.response.size": Quantity("bytes_out", is_stable=False),
}
"""The metrics that count, by name. All others are none of our business."""


class Kind(Enum):
    """How a metric's points tell their amounts."""

    HISTOGRAM = "histogram"  # explicit buckets or exponential ones
    SUM = "sum"
    GAUGE = "gauge"
    SUMMARY = "summary"


class Temporality(IntEnum):
    """What a point's amounts cover, as the protocol numbers it."""

    UNSPECIFIED = 0
    DELTA = 1       # since the point before
    CUMULATIVE = 2  # since the start


class Point(msgspec.Struct, frozen=True):
    """One data point. `sum` is a histogram's sum or a sum's value, None where it was not told; `start_ns` 0: unknown.

    `attributes` None: there are more than MAX_ATTRIBUTES. `is_absent`: the sender had nothing to read.
    """

    time_ns: int = 0
    start_ns: int = 0
    count: int = 0
    sum: float | None = None  # an integer stays one
    attributes: Attributes | None = msgspec.field(default_factory=dict)
    is_absent: bool = False


@dataclass(frozen=True)
class Resource:
    """What is measured: a process, on the whole. `attributes` None: there are more than MAX_ATTRIBUTES."""

    attributes: Attributes | None

    @cached_property
    def digest(self) -> str:
        """The same for the same attributes, in every body and for ever."""
        return digest(canonical(self.attributes))


@dataclass(frozen=True)
class Origin:
    """Who measured: a resource, and a scope (a library) in it. `scope` None: it has more than MAX_ATTRIBUTES."""

    resource: Resource
    scope: Attributes | None
    scope_name: str = ""
    scope_version: str = ""

    @cached_property
    def digest(self) -> str:
        """The same for the same resource and scope, in every body and for ever: counters are known by it."""
        return digest(self.resource.digest, self.scope_name, self.scope_version, canonical(self.scope))


@dataclass(frozen=True, slots=True)
class Points:
    """Data points that are decoded while they are walked through: UnreadableError may come at any of them."""

    parts: Sequence[Any]
    read: Callable[[Any], Point]

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Point]:
        return map(self.read, self.parts)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of COUNTED with its points, one at least."""

    origin: Origin
    name: str
    unit: str
    kind: Kind
    temporality: int  # a Temporality, or a number that means nothing
    is_monotonic: bool
    points: Points

    @property
    def quantity(self) -> Quantity:
        """What it measures."""
        return COUNTED[self.name]


def canonical(value: Value) -> str:
    """A text that is the same for equal values of the same type and for no others, for ever: digests rest on it."""
    return _CANONICAL[type(value)](value)


def _canonical_dict(value: Attributes) -> str:
    pairs = (canonical(name) + canonical(value[name]) for name in sorted(value))
    return f"m{len(value)}:{''.join(pairs)}"


_CANONICAL: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "n",
    bool: lambda value: f"b{value:d}",
    str: lambda value: f"s{len(value)}:{value}",
    int: lambda value: f"i{value};",
    float: lambda value: f"d{value!r};",
    bytes: lambda value: f"y{value.hex()};",
    list: lambda value: f"a{len(value)}:{''.join(map(canonical, value))}",
    dict: _canonical_dict,
}


def digest(*texts: str) -> str:
    """DIGEST_BYTES in hex that stand for these texts, in this order."""
    made = blake2b(digest_size=DIGEST_BYTES)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        made.update(len(encoded).to_bytes(8, "little"))
        made.update(encoded)
    return made.hexdigest()
