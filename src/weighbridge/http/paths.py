"""Which route a path means."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weighbridge.http.route import Dialect, Route

Methods = dict[str, "Bound"]
_NO_PARAMS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Bound:
    """A route with what serving it needs to know."""

    route: Route
    dialect: Dialect
    is_coroutine: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path: candidates by method, most literal path first, each with the path's parameters."""

    path: str
    candidates: tuple[tuple[Methods, Mapping[str, str]], ...]

    def allowed(self) -> tuple[str, ...]:
        """The methods of all candidates, sorted."""
        return tuple(sorted({method for methods, _ in self.candidates for method in methods}))


@dataclass(frozen=True, slots=True)
class _Template:
    parts: tuple[str | None, ...]  # None: a parameter
    names: tuple[str, ...]
    methods: Methods

    def match(self, segments: tuple[str, ...]) -> Mapping[str, str] | None:
        values = []
        for part, segment in zip(self.parts, segments, strict=True):
            if part is None:
                if not segment or "\0" in segment:
                    return None
                values.append(segment)
            elif part != segment:
                return None
        return dict(zip(self.names, values, strict=True))


class RouteTable:
    """All routes of all dialects, ready to look up by raw path.

    Static paths are a dict; those with `{name}` parts are lists by their number of segments. ValueError: two routes
    claim the same method and path.
    """

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._static: dict[str, Found] = {}
        self._static_segments: dict[tuple[str, ...], Found] = {}
        self._templates: dict[int, list[_Template]] = {}
        self._prefixes = sorted(
            ((prefix, dialect) for dialect in dialects for prefix in dialect.prefixes), key=lambda pair: -len(pair[0])
        )
        self._fallback = next((dialect for prefix, dialect in self._prefixes if prefix == "/"), dialects[-1])
        by_path: dict[str, Methods] = {}
        for dialect in dialects:
            for route in dialect.routes:
                methods = by_path.setdefault(route.path, {})
                if route.method in methods:
                    msg = f"two routes claim {route.method} {route.path}"
                    raise ValueError(msg)
                methods[route.method] = Bound(route, dialect, _is_coroutine(route.handler))
        for path, methods in by_path.items():
            self._enter(path, methods)

    def _enter(self, path: str, methods: Methods) -> None:
        segments = tuple(path.split("/")[1:])
        names = tuple(part[1:-1] for part in segments if _is_param(part))
        if not names:
            found = Found(path, ((methods, _NO_PARAMS),))
            self._static[path] = self._static_segments[segments] = found
            return
        parts = tuple(None if _is_param(part) else part for part in segments)
        templates = self._templates.setdefault(len(parts), [])
        templates.append(_Template(parts, names, methods))
        templates.sort(key=lambda template: [part is None for part in template.parts])

    def find(self, raw_path: bytes) -> Found:
        """What is at `raw_path` (as sent, percent-encoded); without candidates where nothing is.

        Repeated slashes count as one. Each segment is percent-decoded by itself, so an encoded slash never splits one.
        """
        text = raw_path.decode("latin-1")
        found = self._static.get(text)
        if found is not None:
            return found
        segments = _segments(text)
        found = self._static_segments.get(segments)
        if found is not None:
            return found
        candidates = tuple(
            (template.methods, params)
            for template in self._templates.get(len(segments), ())
            if (params := template.match(segments)) is not None
        )
        return Found("/" + "/".join(segments), candidates)

    def dialect_of(self, path: str) -> Dialect:
        """Whose words an error at `path` takes where no route matches: the longest prefix, else the dialect of `/`."""
        for prefix, dialect in self._prefixes:
            if path.startswith(prefix):
                return dialect
        return self._fallback


def _is_coroutine(handler: object) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004  a callable object's method


def _is_param(part: str) -> bool:
    return part.startswith("{") and part.endswith("}")


def _segments(text: str) -> tuple[str, ...]:
    parts = text.split("/")
    kept = [part for part in parts if part]
    if not kept or not parts[-1]:
        kept.append("")  # a slash at the end makes another path
    if "%" in text or not text.isascii():
        kept = [unquote(part.encode("latin-1").decode("utf-8", "replace"), errors="replace") for part in kept]
    return tuple(kept)
