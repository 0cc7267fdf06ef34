"""Whose traffic a line is: the rules, default and endpoints of a log, applied to what the line tells."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from weighbridge.domain.errors import InvalidInputError
from weighbridge.measurement import MAX_NAME, MAX_PATH
from weighbridge.sources.log.targets import before_query, plain_host, read_parts, read_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weighbridge.sources.log.settings import LogSettings, Rule

HOST: Final = "host"
"""The name under which rules ask a format for the host; fields are asked for as `$field`."""
CHOICES_KEPT: Final = 8192
"""Rules that were found, remembered by host, prefixes and fields: at most some 10 MB."""
MAX_HOST: Final = 255
"""Longest host name (RFC 1035, 2.3.4)."""
_NONE = frozenset({"", "-"})
"""What formats write for no value."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadLineError(Exception):
    """The line cannot be counted. `str()` is why."""


class Sight(NamedTuple):
    """What matters of a request: the prefixes that its path has (a bit each), endpoint, path of an asset, host."""

    prefixes: int
    method: str | None
    endpoint: str | None
    path: str
    host: str


class Place(NamedTuple):
    """What a line belongs to."""

    subject: str
    environment: str | None
    consumer: str | None
    method: str | None
    path: str | None


class Rules:
    """The rules of one log.

    `names` are the values that they want of a line, in the order in which `place` takes them; `asked` says for each which
    key of the settings asks for it.
    """

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings
        self._rules = settings.rules
        self._prefixes = _Prefixes([rule.prefix for rule in self._rules if rule.prefix is not None])
        self._endpoints = Endpoints(settings.endpoints)
        self._rule_hosts = tuple(None if rule.host is None else plain_host(rule.host) for rule in self._rules)
        self._hosts = {host for host in self._rule_hosts if host is not None}
        self._fields = tuple(dict.fromkeys(rule.field for rule in self._rules if rule.field is not None))
        assets = [rule for rule in self._rules if rule.asset]
        self._assets_anywhere = any(rule.prefix is None for rule in assets)
        self._asset_prefixes = sum({self._prefixes.bit(rule.prefix) for rule in assets if rule.prefix is not None})
        self._wants_request = bool(assets or settings.endpoints or len(self._prefixes))
        self._choose = lru_cache(CHOICES_KEPT)(self._find_rule)
        self.asked = _find_asked(settings)
        self.names = tuple(self.asked)
        self._at = {name: at for at, name in enumerate(self.names)}

    def wants_request(self, *, host_in_request: bool) -> bool:
        """Whether rules or endpoints look at the request; at its host, where a format tells it nowhere else."""
        return self._wants_request or (host_in_request and bool(self._hosts))

    def see(self, method: str, uri: str, line: str) -> Sight:
        """What matters of a request that is told by its parts, or as a line."""
        uri = before_query(uri)
        target = read_parts(method, uri) if uri else read_request(line)
        prefixes = self._prefixes.find(target.path)
        endpoint = self._endpoints.find(target.path) if target.method else None
        return Sight(
            prefixes,
            target.method.upper() if endpoint is not None else None,
            endpoint,
            target.path if self._assets_anywhere or prefixes & self._asset_prefixes else "",
            plain_host(target.host[: 2 * MAX_HOST]) if self._hosts else "",
        )

    def place(self, sight: Sight, values: Sequence[str]) -> Place | None:
        """Where a line belongs, None: nowhere. BadLineError: it names something that cannot be a name."""
        host = ""
        if self._hosts:
            host = plain_host(values[self._at[HOST]][: 2 * MAX_HOST])
            host = sight.host if host in _NONE else host
        fields = tuple(values[self._at[name]][: MAX_PATH + 1] for name in self._fields)
        rule = self._choose(sight.prefixes, host if host in self._hosts else "", fields)
        chosen: Rule | LogSettings = self._settings if rule is None else rule
        if chosen.app is None:
            if chosen.space is None:
                return None
            is_asset = rule is not None and rule.asset and sight.path
            return Place(f"space/{chosen.space}", None, None, None, _name("path", sight.path, MAX_PATH) if is_asset else None)
        environment = self._value("environment", chosen, values)
        consumer = self._value("consumer", chosen, values)
        return Place(f"app/{chosen.app}", environment, consumer, sight.method, sight.endpoint)

    def _value(self, what: str, chosen: Rule | LogSettings, values: Sequence[str]) -> str | None:
        """The environment or consumer: the rule's, else the log's; a name, or the field that it stands for."""
        text: str | None = getattr(chosen, what) or getattr(self._settings, what)
        if text is not None and text.startswith("$"):
            text = values[self._at[text]]
        return None if text is None or text in _NONE else _name(what, text, MAX_NAME)

    def _find_rule(self, prefixes: int, host: str, fields: tuple[str, ...]) -> Rule | None:
        told = dict(zip(self._fields, fields, strict=True))
        for rule, wanted in zip(self._rules, self._rule_hosts, strict=True):
            if wanted is not None and wanted != host:
                continue
            if rule.prefix is not None and not prefixes & self._prefixes.bit(rule.prefix):
                continue
            if rule.field is not None and told[rule.field] != rule.equals:
                continue
            return rule
        return None


def _find_asked(settings: LogSettings) -> dict[str, str]:
    """What lines are asked for: HOST, or a field with its $; and which key of the settings asks for it."""
    asked: dict[str, str] = {}
    for number, rule in enumerate(settings.rules):
        if rule.host is not None:
            asked.setdefault(HOST, f"rules[{number}].host")
        if rule.field is not None:
            asked.setdefault(rule.field, f"rules[{number}].field")
    named = [("", settings), *((f"rules[{number}].", rule) for number, rule in enumerate(settings.rules))]
    for prefix, each in named:
        for key in ("environment", "consumer"):
            text: str | None = getattr(each, key)
            if text is not None and text.startswith("$"):
                asked.setdefault(text, prefix + key)
    return asked


def _name(what: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise BadLineError(f"{what} is longer than {longest} characters")
    if _CONTROL.search(text):
        raise BadLineError(f"{what} holds a control character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadLineError(f"{what} is no UTF-8") from None
    return text


class _Prefixes:
    """A set of prefixes, each with a bit of its own; those of a path are found by its heads, not one by one."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._bits = {prefix: 1 << number for number, prefix in enumerate(dict.fromkeys(prefixes))}
        self._sizes = sorted({len(prefix) for prefix in self._bits})

    def __len__(self) -> int:
        return len(self._bits)

    def bit(self, prefix: str) -> int:
        return self._bits[prefix]

    def find(self, path: str) -> int:
        found = 0
        for size in self._sizes:
            if size > len(path):
                break
            found |= self._bits.get(path[:size], 0)
        return found


class Endpoints:
    """Templates of paths, as a tree of their segments: None stands for a segment in braces."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._root = _Node()
        self._depth = 0
        for number, template in enumerate(templates):
            segments = template.split("/")
            self._depth = max(self._depth, len(segments))
            node = self._root
            for segment in segments:
                node = node.below.setdefault(None if segment.startswith("{") else segment, _Node())
            if node.template is not None:
                raise InvalidInputError(
                    f"endpoints[{number}] {template!r} matches the same paths as {node.template!r}; keep one of the two",
                    where=f"endpoints[{number}]",
                )
            node.template = template

    def find(self, path: str) -> str | None:
        """The template that the path fits, None: none. A segment that is written out goes before one in braces."""
        segments = path.split("/", self._depth)
        if len(segments) > self._depth:
            return None
        nodes = [self._root]  # those that fit so far, the best first
        for segment in segments:
            below = []
            for node in nodes:
                if (written := node.below.get(segment)) is not None:
                    below.append(written)
                if segment and (in_braces := node.below.get(None)) is not None:
                    below.append(in_braces)
            if not below:
                return None
            nodes = below
        return next((node.template for node in nodes if node.template is not None), None)


class _Node:
    __slots__ = ("below", "template")

    def __init__(self) -> None:
        self.below: dict[str | None, _Node] = {}
        self.template: str | None = None
