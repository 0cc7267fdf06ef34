"""Single objects, as the REST routes ask for them: list, get, create, change, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weighbridge.domain.errors import NotVisibleError
from weighbridge.storage.catalog.changes import Draft, Entry
from weighbridge.storage.catalog.checks import check
from weighbridge.storage.catalog.fields import Faults, Parser, read_mapping, scalar
from weighbridge.storage.catalog.kinds import KINDS, Book, Item, Key, KindSpec
from weighbridge.storage.catalog.sight import (
    is_alive,
    key_of,
    parent_spec,
    require_attribution,
    require_write,
    sees,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.http.route import Principal


def select_objects(book: Book, spec: KindSpec, who: Principal, filters: Mapping[str, str]) -> list[Item]:
    """The living objects that `who` sees, by id. `filters`: field to value; an unknown or foreign one is 404."""
    wanted = {name: _filter_value(book, spec, name, value, who) for name, value in filters.items()}
    found = []
    for item in tuple(spec.held(book.view).values()):
        held = book.find(spec.name, spec.key(item))
        if held is None or not is_alive(book, spec, held):
            continue
        if not all(_field(book, spec, item, name) == value for name, value in wanted.items()):
            continue
        if sees(book, spec, item, who):
            found.append(item)
    return sorted(found, key=spec.key)


def _filter_value(book: Book, spec: KindSpec, name: str, value: str, who: Principal) -> Any:  # noqa: ANN401
    if name == "region":
        region = book.view.regions_by_slug.get(value)
        if region is None or region.deleted_at_s is not None:
            raise NotVisibleError("region", value)
        return value
    kind = parent_spec(spec) if name == spec.parent_field else KINDS[name]
    key = key_of(kind, value)
    visible(book, kind, key, who)
    return key


def _field(book: Book, spec: KindSpec, item: Item, name: str) -> object:
    """A field of the object, or of what it belongs to (the organization of a server)."""
    while not hasattr(item, name) and spec.parent is not None:
        held = book.find(spec.parent, getattr(item, spec.parent_field or ""))
        if held is None:
            return None
        spec, item = KINDS[spec.parent], held.item
    return getattr(item, name, None)


def draft_creation(
    book: Book, spec: KindSpec, fields: object, who: Principal, *, now_s: int, parent: Key | None = None
) -> tuple[Draft, Key]:
    """A checked draft that makes one object, and its key. `parent` comes from the path, else it is a field."""
    require_write(spec, who)
    faults = Faults()
    given = read_mapping(fields, _parsers(spec, in_path=parent is not None), "", faults) or {}
    if spec.parent_field and parent is None:
        parent = given.pop(spec.parent_field, None) or _own(spec, who)
        if parent is None and spec.parent_field not in (fields if isinstance(fields, dict) else {}):
            faults.add(spec.parent_field, f"is missing: a new {spec.name} needs it")
    identity = given.pop("id", None)
    if identity is None and spec.make_id() is None and not spec.is_numbered:
        faults.add("id", f"is missing: a new {spec.name} needs it")
    faults.raise_for_object()
    require_attribution(who, given)
    if spec.parent is not None:
        visible(book, KINDS[spec.parent], parent, who)
    draft = Draft(book, now_s, faults, replaces_quotas=True)
    key = draft.declare(Entry(spec, identity, parent, given), must_be_new=True)
    return _checked(draft), key


def draft_change(
    book: Book, spec: KindSpec, key: Key, fields: object, who: Principal, *, now_s: int
) -> Draft:
    """A checked draft that changes the given fields of one object."""
    item = visible(book, spec, key, who)
    faults = Faults()
    given = read_mapping(fields, _parsers(spec, in_path=spec.name == "peer"), "", faults) or {}
    parent = getattr(item, spec.parent_field) if spec.parent_field else None
    declared_parent = given.pop(spec.parent_field, parent) if spec.parent_field else None
    if given.pop("id", item.id) != item.id:
        faults.add("id", "is the object's name for good; leave it out")
    if declared_parent != parent and spec.name != "server":
        faults.add(spec.parent_field, f"a {spec.name} stays in its {spec.parent}; leave it out")
    faults.raise_for_object()
    require_write(spec, who, fields=frozenset(given))
    require_attribution(who, given)
    if declared_parent != parent:
        visible(book, parent_spec(spec), declared_parent, who)
    draft = Draft(book, now_s, faults, replaces_quotas=True)
    draft.declare(Entry(spec, item.id, declared_parent, given))
    return _checked(draft)


def draft_deletion(book: Book, spec: KindSpec, key: Key, who: Principal, *, now_s: int) -> Draft:
    """A checked draft that deletes one object and what belongs to it."""
    visible(book, spec, key, who)
    require_write(spec, who)
    draft = Draft(book, now_s, Faults())
    draft.delete(spec.name, key)
    return _checked(draft)


def _checked(draft: Draft) -> Draft:
    check(draft)
    draft.faults.raise_for_object()
    return draft


def _own(spec: KindSpec, who: Principal) -> Key | None:
    """What a new object belongs to where nobody says: the key's own organization or project."""
    return {"organization": who.organization, "project": who.project}.get(spec.parent or "")


def _parsers(spec: KindSpec, *, in_path: bool) -> dict[str, Parser]:
    parsers: dict[str, Parser] = {"id": scalar(spec.read_id), **spec.fields}
    if spec.parent_field and not in_path:
        parsers[spec.parent_field] = scalar(parent_spec(spec).read_id)
    return parsers
