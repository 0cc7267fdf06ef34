"""The catalog file as YAML: read safely, or refused with a line that says where it is wrong.

Plain data only. Dates stay text, and so does all that holds a colon (a MAC such as 52:54:00:12:34:56 would be a number of
base 60 in YAML 1.1); an anchor may be used many times, as long as the document stays small with each use
written out; a mapping that says the same key twice is an error, where YAML readers would drop one of the two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from weighbridge.http.failures import UnreadableBodyError

if TYPE_CHECKING:
    from collections.abc import Hashable

MAX_NODES = 2_000_000
"""Values in a document, aliases written out: more than 4 MiB can say by itself."""
MAX_DEPTH = 32
"""Levels of a document; the catalog has 9."""
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge"))
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml the same, ten times slower


def _without_colon(tag: str, pattern: re.Pattern[str]) -> re.Pattern[str]:
    """The pattern of a number, but not of one in base 60."""
    if tag not in (f"{_TAG}int", f"{_TAG}float"):
        return pattern
    return re.compile(f"(?![^:]*:)(?:{pattern.pattern})", pattern.flags)


class _Loader(_Base):  # type: ignore[misc]  # one of two classes, chosen at run time
    """The safe loader, with dates and numbers of base 60 left as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  the name and the kind that PyYAML looks for
        first: [(tag, _without_colon(tag, pattern)) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


def read_yaml(body: bytes) -> object:
    """What the document holds: mappings, lists, text, numbers, booleans, nulls. UnreadableBodyError: what is wrong."""
    try:
        _check_events(body)
        loader = _Loader(body)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, {})
            found: object = loader.construct_document(node)
            return found
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise UnreadableBodyError(f"this is no YAML: {_line(error)}") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UnreadableBodyError(f"a value of this YAML cannot be read: {str(error)[:200]}") from None


def _check_events(body: bytes) -> None:
    """Levels and values are bounded before anything is built of them."""
    depth = 0
    for count, event in enumerate(yaml.parse(body, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise UnreadableBodyError(f"the document has more than {MAX_DEPTH} levels or {MAX_NODES} values")


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Values and levels below a node, with aliases written out. UnreadableBodyError where they are too many."""
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise UnreadableBodyError(f"an anchor holds itself{_place(node)}")
        return found
    known[id(node)] = None
    if node.tag not in _PLAIN_TAGS:
        raise UnreadableBodyError(f"the tag {str(node.tag)[:60]!r} is not taken{_place(node)}")
    size, height = 1, 1
    for child in _children(node):
        child_size, child_height = _measure(child, known)
        size, height = size + child_size, max(height, child_height + 1)
    if size > MAX_NODES or height > MAX_DEPTH:
        raise UnreadableBodyError(f"with its aliases written out the document is too large{_place(node)}")
    known[id(node)] = size, height
    return size, height


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    keys: set[Hashable] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys and key.tag != f"{_TAG}merge":
                raise UnreadableBodyError(f"the key {str(key.value)[:60]!r} stands here twice{_place(key)}")
            keys.add(key.value)
    return [part for pair in node.value for part in pair]


def _place(node: yaml.Node) -> str:
    return f" (line {node.start_mark.line + 1})" if node.start_mark else ""


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be decoded")
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem[:200]}" if mark else problem[:200]
