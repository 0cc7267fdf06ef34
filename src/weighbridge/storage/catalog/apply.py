"""Whole documents: the catalog file read, planned and, the other way round, written.

Pruning deletes what a list that is given does not hold: `organizations: []` deletes all of them, no `organizations`
none; a project without `servers` keeps its servers. It never touches environments and consumers, which traffic makes,
nor the organization of this machine (LOCAL) unless the file names it, nor regions and exporters that something still
names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.metering.attribution import show_attribution, show_prefix
from weighbridge.storage.catalog.attributions import newest
from weighbridge.storage.catalog.changes import DATED, Draft, Entry
from weighbridge.storage.catalog.checks import KEPT_IN_USE, check
from weighbridge.storage.catalog.fields import (
    Faults,
    Parser,
    Value,
    join,
    read_list,
    read_mapping,
    scalar,
)
from weighbridge.storage.catalog.kinds import (
    CHILDREN,
    TOP,
    Book,
    Item,
    Key,
    KindSpec,
    children_of,
)
from weighbridge.storage.catalog.sight import is_alive, sees
from weighbridge.storage.catalog.tables import ATTRIBUTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weighbridge.http.route import Principal

MAX_OBJECTS = 200_000
"""Objects in one document; more than its 4 MiB can say, unless YAML's aliases multiply them."""
LOCAL = "local"
"""Id of the organization that the host collector makes."""
_NEVER_PRUNED = frozenset({"environment", "consumer"})
_HOLLOW: dict[str, Any] = {}


@dataclass(slots=True)
class _Reading:
    """A document as it is read: lists that were given, by kind and parent, and ids met so far."""

    draft: Draft
    faults: Faults
    lists: list[tuple[KindSpec, Key | None]] = field(default_factory=list)
    declared: dict[str, set[Key]] = field(default_factory=dict)
    count: int = 0


def draft_document(book: Book, document: object, now_s: int, *, prune: bool) -> Draft:
    """A checked draft of a document. InvalidDocumentError tells everything that is wrong with it."""
    faults = Faults()
    draft = Draft(book, now_s, faults, prunes_quotas=prune)
    reading = _Reading(draft, faults)
    document = {} if document is None else document  # an empty file declares nothing
    sections = {spec.section: _raw for spec in TOP}
    given = read_mapping(document, sections, "", faults)
    draft.reserved = _numbers_in(document)
    for spec in TOP:
        if given is not None and spec.section in given:
            _read_section(reading, spec, given[spec.section], None, spec.section)
    if prune and faults.is_empty:
        _prune(reading)
    check(draft)
    faults.raise_for_document()
    return draft


def _raw(value: object, _where: str, _faults: Faults) -> Value:
    return value


def _numbers_in(document: object) -> dict[str, set[int]]:
    """The ids of environments and consumers, apps and spaces that a document gives: not to be given out beside them."""
    found: dict[str, set[int]] = {}
    for organization in _mappings(document, "organizations"):
        for spec in CHILDREN["organization"]:
            for item in _mappings(organization, spec.section) if spec.is_numbered else ():
                found.setdefault(spec.name, set()).add(_number_of(item))
                for child in CHILDREN[spec.name]:
                    ids = {_number_of(entry) for entry in _mappings(item, child.section)}
                    found.setdefault(child.name, set()).update(ids)
    return found


def _mappings(parent: object, section: str) -> Iterator[Mapping[str, Any]]:
    items = parent.get(section) if isinstance(parent, dict) else None
    return (item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict))


def _number_of(item: Mapping[str, Any]) -> int:
    number = item.get("id")
    return number if isinstance(number, int) else 0


def _read_section(reading: _Reading, spec: KindSpec, items: object, parent: Key | None, where: str) -> None:
    before = len(reading.faults.invalid)
    for item, place in read_list(items, where, reading.faults):
        reading.count += 1
        if reading.count > MAX_OBJECTS:
            reading.faults.add(where, f"the document declares more than {MAX_OBJECTS} objects")
            return
        _read_object(reading, spec, item, parent, place)
    if isinstance(items, list) and len(reading.faults.invalid) == before:
        reading.lists.append((spec, parent))


def _read_object(reading: _Reading, spec: KindSpec, item: object, parent: Key | None, where: str) -> None:
    children = {child.section: child for child in CHILDREN[spec.name]}
    parsers: dict[str, Parser] = {"id": scalar(spec.read_id), **spec.fields, **dict.fromkeys(children, _raw)}
    required = () if spec.natural else ("id",)
    given = read_mapping(item, parsers, where, reading.faults, required=required)
    if given is None:
        return
    nested = {section: given.pop(section) for section in children if section in given}
    identity = given.pop("id", None)
    key = None
    if identity is not None or (spec.natural and spec.unique in given):
        key = reading.draft.declare(Entry(spec, identity, parent, given, where))
    if key is not None:
        known = reading.declared.setdefault(spec.name, set())
        if key in known:
            reading.faults.add(join(where, "id"), f"the {spec.name} {spec.label(key)!r} stands in the document already")
        known.add(key)
    for section, items in nested.items():
        if key is None:
            _check_children(reading.faults, children[section], items, join(where, section))
        else:
            _read_section(reading, children[section], items, key, join(where, section))


def _check_children(faults: Faults, spec: KindSpec, items: object, where: str) -> None:
    """What is wrong below an object that is wrong itself is told too."""
    children = {child.section: child for child in CHILDREN[spec.name]}
    parsers: dict[str, Parser] = {"id": scalar(spec.read_id), **spec.fields, **dict.fromkeys(children, _raw)}
    for item, place in read_list(items, where, faults):
        given = read_mapping(item, parsers, place, faults) or _HOLLOW
        for section in children.keys() & given.keys():
            _check_children(faults, children[section], given[section], join(place, section))


def _prune(reading: _Reading) -> None:
    draft = reading.draft
    for spec, parent in sorted(reading.lists, key=lambda pair: pair[0].name in KEPT_IN_USE):
        if spec.name in _NEVER_PRUNED:
            continue
        keep = reading.declared.get(spec.name, set())
        keys = draft.children(spec, parent) if spec.parent else sorted(key for key, _ in draft.living(spec.name))
        for key in keys:
            if key in keep or (spec.name == "organization" and key == LOCAL):
                continue
            held = draft.find(spec.name, key)
            if spec.name in KEPT_IN_USE and held and KEPT_IN_USE[spec.name](draft, held.item):
                continue
            draft.delete(spec.name, key)


def export(book: Book, who: Principal) -> dict[str, Any]:
    """The catalog that `who` sees, as a document that changes nothing when it is applied."""
    return {
        spec.section: [
            _written(book, spec, item, who)
            for item in sorted(list(spec.held(book.view).values()), key=spec.key)  # noqa: C414  a copy: writers go on
            if item.deleted_at_s is None and sees(book, spec, item, who)
        ]
        for spec in TOP
    }


def _written(book: Book, spec: KindSpec, item: Item, who: Principal) -> dict[str, Any]:
    found: dict[str, Any] = {"id": item.id}
    for name in spec.fields:
        if name in DATED or (name == "primary_server" and not _is_there(book, item.primary_server)):
            continue
        value = msgspec.to_builtins(getattr(item, name))
        found[name] = list(value) if isinstance(value, tuple) else value
    if spec.name == "exporter":
        found["networks"] = [show_prefix(prefix) for prefix in item.networks]
    if spec.name in ATTRIBUTED:
        found |= show_attribution(newest(item.attributions))
    for child in CHILDREN[spec.name]:
        items = []
        for key in sorted(children_of(book.view, child, spec.key(item))):
            held = book.find(child.name, key)
            if held and is_alive(book, child, held) and sees(book, child, held.item, who):
                items.append(_written(book, child, held.item, who))
        found[child.section] = items
    return found


def _is_there(book: Book, server: str | None) -> bool:
    held = book.find("server", server) if server else None
    return held is not None and held.is_alive
