"""What is remembered of exporters: a stream is one observation domain (source id, engine) of one exporter.

Two exporters, or two domains of one, never share a template, a sampler or a sequence (RFC 3954 section 5.1, RFC 7011 3.1).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weighbridge.sources.netflow.templates import Template

MAX_STREAMS: Final = 16_384
"""Domains remembered, of all exporters; beyond it the one goes that was heard of longest ago."""
MAX_TEMPLATES: Final = 1_024
"""Templates of one domain: routers have up to some dozens."""
MAX_BYTES: Final = 64 * 2**20
"""What is remembered of all domains together; beyond it the domains go that were heard of longest ago."""
TEMPLATE_BYTES: Final = 256
RATE_BYTES: Final = 128
"""What a template costs besides its definition, and what a rate costs."""
MAX_RATES: Final = 4_096
"""Samplers and interfaces of one domain whose rate is remembered."""
MAX_RATE: Final = 10**8
"""A sampling rate above it is a lie: exporters count up to 1 in 16 million at the most."""


class Key(NamedTuple):
    """What tells a stream from all others."""

    exporter: str
    version: int
    domain: int


SAMPLER: Final = "sampler"
PORT: Final = "port"
WHOLE: Final = "domain"
"""What a rate was told for: a sampler or an interface and its number, or the whole domain, which is number 0."""


@dataclass(slots=True)
class Stream:
    """A domain of an exporter.

    `rates`: by kind (PORT, …) and number. `expected`: the next sequence number, None: unknown; `steps`: by how much the last
    datagram may have moved it. `uptime_ms` (-1: never told) and `export_us`: what the last datagram said. `doubted`:
    templates that stood before the exporter (or this collector) restarted and were not told again since. `bytes`: what
    templates and rates cost, `weighed`: how much of it Streams knows of.
    """

    key: Key
    templates: dict[int, Template] = field(default_factory=dict)
    rates: dict[str, dict[int, int]] = field(default_factory=dict)
    boot_us: int | None = None
    expected: int | None = None
    steps: tuple[int, ...] = (0,)
    uptime_ms: int = -1
    export_us: int = 0
    doubted: set[int] = field(default_factory=set)
    bytes: int = 0
    weighed: int = 0

    def define(self, template_id: int, template: Template) -> bool:
        """The template stands; whether there was room for it."""
        old = self.templates.get(template_id)
        if old is None and len(self.templates) >= MAX_TEMPLATES:
            return False
        self.forget(template_id)
        self.templates[template_id] = template
        self.bytes += len(template.definition) + TEMPLATE_BYTES
        return True

    def forget(self, template_id: int) -> None:
        """The template is gone, if there was one."""
        old = self.templates.pop(template_id, None)
        self.bytes -= 0 if old is None else len(old.definition) + TEMPLATE_BYTES
        self.doubted.discard(template_id)

    def rate(self, kind: str, number: int, rate: int) -> bool:
        """The rate stands; whether there was room for it."""
        table = self.rates.setdefault(kind, {})
        if number not in table:
            if len(table) >= MAX_RATES:
                return False
            self.bytes += RATE_BYTES
        table[number] = rate
        return True

    def doubt(self) -> None:
        """All its templates may mean something else by now."""
        self.doubted.update(self.templates)


class Streams:
    """All streams, the one heard of longest ago first; bounded in number and in bytes."""

    def __init__(self) -> None:
        self._streams: OrderedDict[Key, Stream] = OrderedDict()
        self._bytes = 0

    def heard_of(self, key: Key) -> Stream:
        """The stream, remembered from now on."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(key)
            if len(self._streams) > MAX_STREAMS:
                self._forget_oldest()
        else:
            self._streams.move_to_end(key)
        return stream

    def weigh(self, stream: Stream) -> None:
        """No more is remembered than the bound allows, now that this stream has changed."""
        if self._streams.get(stream.key) is not stream:
            return  # it has gone itself
        self._bytes += stream.bytes - stream.weighed
        stream.weighed = stream.bytes
        while self._bytes > MAX_BYTES:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._bytes -= self._streams.popitem(last=False)[1].weighed

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams.values())
