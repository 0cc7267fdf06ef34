"""Planning: from what is declared to what changes, in memory; nothing is written before everything has been checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain import timegrid
from weighbridge.domain.units import SLOT_S
from weighbridge.metering.attribution import show_attribution
from weighbridge.model import BEGINNING_S, Placement
from weighbridge.storage.catalog.attributions import (
    ATTRIBUTION_FIELDS,
    Attributions,
    declare,
    declare_again,
    declared_in,
    newest,
)
from weighbridge.storage.catalog.fields import Faults, join, show
from weighbridge.storage.catalog.kinds import (
    CHILDREN,
    KINDS,
    Book,
    Held,
    Item,
    Key,
    KindSpec,
    children_of,
    merge_quotas,
    organization_of,
)
from weighbridge.storage.catalog.tables import ATTRIBUTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weighbridge.model import Attribution
    from weighbridge.storage.catalog.book import Changes

DATED = frozenset((*ATTRIBUTION_FIELDS, "from"))
"""Fields that are no fields of the object itself: they tell of a stretch of time."""
_GONE_WITH_PARENT = frozenset({"project", "server", "vpn_instance", "peer", "app", "space"})
"""Deleted with what they belong to. Environments and consumers go out of sight with their app, and return with it."""


class Created(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object that is new, or is there again after it was deleted."""

    kind: str
    id: str | int
    restored: bool = False


class Changed(msgspec.Struct, frozen=True):
    """An object of which fields change: by name, the old and the new value."""

    kind: str
    id: str | int
    fields: dict[str, tuple[Any, Any]]


class Deleted(msgspec.Struct, frozen=True):
    """An object that is deleted; its usage stays."""

    kind: str
    id: str | int


class Plan(msgspec.Struct):
    """What a document does, or would do. `leave` counts the declared objects that are as declared already."""

    create: list[Created] = msgspec.field(default_factory=list)
    change: list[Changed] = msgspec.field(default_factory=list)
    delete: list[Deleted] = msgspec.field(default_factory=list)
    leave: int = 0


@dataclass(slots=True)
class Entry:
    """One object as a caller declares it: only the fields that were given. `parent`: the key of what it belongs to."""

    spec: KindSpec
    id: Any
    parent: Key | None
    fields: Mapping[str, Any]
    where: str = ""


@dataclass(slots=True)
class Draft:
    """Changes on top of a book. `replaces_quotas`: a given list of quotas is the whole list, and each is whole."""

    book: Book
    now_s: int
    faults: Faults
    replaces_quotas: bool = False
    prunes_quotas: bool = False
    changes: Changes = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)
    numbers: dict[str, int] = field(default_factory=dict)
    reserved: dict[str, set[int]] = field(default_factory=dict)  # numbers that the document itself gives
    places: dict[tuple[str, Key], str] = field(default_factory=dict)  # where in the document
    put_below: dict[tuple[str, Key], set[Key]] = field(default_factory=dict)  # keys of changes by kind and parent
    names: dict[tuple[str, int, str], int] = field(default_factory=dict)  # of changed environments and consumers

    def __post_init__(self) -> None:
        self.numbers = dict(self.book.numbers)

    def find(self, kind: str, key: Key) -> Held | None:
        """The object as it will be, alive or deleted."""
        return self.changes.get(kind, {}).get(key) or self.book.find(kind, key)

    def living(self, kind: str) -> Iterator[tuple[Key, Item]]:
        """Everything of a kind that will be alive."""
        changed = self.changes.get(kind, {})
        for key, held in changed.items():
            if held.is_alive:
                yield key, held.item
        spec = KINDS[kind]
        for key, item in spec.held(self.book.view).items():
            if key not in changed and (not spec.keeps_deletion or item.deleted_at_s is None):
                yield key, item

    def children(self, spec: KindSpec, parent: Key) -> list[Key]:
        """The keys of living children, as they will be."""
        candidates = {*children_of(self.book.view, spec, parent), *self.put_below.get((spec.name, parent), ())}
        found = ((key, self.find(spec.name, key)) for key in candidates)
        mine = [
            key for key, held in found
            if held and held.is_alive and getattr(held.item, spec.parent_field or "") == parent
        ]
        return sorted(mine)

    def put(self, spec: KindSpec, item: Item, deleted_at_s: int | None = None, where: str | None = None) -> None:
        """The object will be so."""
        if spec.keeps_deletion and item.deleted_at_s != deleted_at_s:
            item = msgspec.structs.replace(item, deleted_at_s=deleted_at_s)
        key = spec.key(item)
        self.changes.setdefault(spec.name, {})[key] = Held(item, deleted_at_s)
        if spec.parent_field:
            self.put_below.setdefault((spec.name, getattr(item, spec.parent_field)), set()).add(key)
        if spec.natural:
            self.names[spec.name, item.app, getattr(item, spec.unique or "")] = key
        if where is not None:
            self.places[spec.name, key] = where

    def declare(self, entry: Entry, *, must_be_new: bool = False) -> Key | None:
        """The object will be as declared, its absent fields as they were. Its key, None if something is wrong."""
        spec = entry.spec
        clashes = len(self.faults.conflicts)
        held = self._match(entry)
        if len(self.faults.conflicts) > clashes:
            return None
        if held is None or not held.is_alive:
            return self._create(entry, held)
        key: Key = spec.key(held.item)
        if must_be_new and entry.id is None:
            self.faults.clash(spec.unique, f"the {spec.unique} {show(entry.fields[spec.unique or ''])} is taken")
            return None
        if must_be_new:
            self._tell_taken(entry, key)
            return None
        return key if self._change(entry, held.item) else None

    def _match(self, entry: Entry) -> Held | None:
        """The object that an entry means, alive or deleted: by id, and where that may be left out, by name."""
        spec = entry.spec
        name = entry.fields.get(spec.unique or "")
        namesake = self._namesake(spec, entry.parent, name) if spec.natural and name is not None else None
        if entry.id is None:
            return namesake
        key = (entry.parent, entry.id) if spec.name == "peer" else entry.id
        held = self.find(spec.name, key)
        if held is None and namesake is not None and namesake.is_alive:
            # Told here, where the id is new: a name that traffic brought first has got its number for good.
            self.faults.clash(
                join(entry.where, "id"),
                f"the {spec.name} {show(name)} of app {entry.parent} has the id {namesake.item.id} already, "
                f"not {entry.id}; write that id, or leave it out",
            )
        return held

    def _namesake(self, spec: KindSpec, app: Key, name: str) -> Held | None:
        key = self.names.get((spec.name, app, name))
        held = None if key is None else self.find(spec.name, key)
        if held is not None and held.is_alive and getattr(held.item, spec.unique or "") == name:
            return held
        names: dict[str, int] = getattr(self.book.view, spec.children_in or "").get(app, {})
        if name in names:
            return self.find(spec.name, names[name])
        return self.book.gone_namesake(spec, app, name)

    def _create(self, entry: Entry, gone: Held | None) -> Key | None:
        """The object will be there: new, or restored under its old id as if it were new."""
        spec = entry.spec
        missing = [name for name in spec.required if name not in entry.fields]
        for name in missing:
            self.faults.add(join(entry.where, name), f"is missing: a new {spec.name} needs it")
        if gone is not None and not self._same_owner(entry, gone):
            self._tell_taken(entry, spec.key(gone.item))
            return None
        if missing:
            return None
        fields = self._undated(entry, gone)
        if "quotas" in fields:
            fields["quotas"] = merge_quotas((), fields["quotas"], keep=False, fill=False)
        fields["id"] = gone.item.id if gone else self._id_of(entry)
        if spec.parent_field:
            fields[spec.parent_field] = entry.parent
        if spec.name == "server":
            fields["placements"] = self._first_placements(entry, gone)
        if spec.tells_creation:
            fields["created_at_s"] = gone.item.created_at_s if gone else self.now_s
        item = spec.type(**fields)
        self.put(spec, item, where=entry.where)
        key: Key = spec.key(item)
        self.plan.create.append(Created(spec.name, spec.label(key), restored=gone is not None))
        return key

    def _undated(self, entry: Entry, known: Held | None) -> dict[str, Any]:
        """The fields of the object itself; what is declared of an attribution has become a part of its attributions."""
        fields = {name: value for name, value in entry.fields.items() if name not in DATED}
        if entry.spec.name in ATTRIBUTED:
            fields["attributions"] = self._attribute(entry, known)
        return fields

    def _attribute(self, entry: Entry, known: Held | None) -> Attributions:
        """The attributions with what is declared; the old ones, and a fault, where it contradicts them."""
        old: Attributions = known.item.attributions if known else ()
        declared, from_s = declared_in(entry.fields), entry.fields.get("from")
        if known is not None and known.deleted_at_s is not None:
            new = declare_again(old, known.deleted_at_s, declared, from_s, self.now_s)
        else:
            new = declare(old, declared, from_s, self.now_s) if declared else old
        if new is not None:
            return new
        start_s = timegrid.floor(self.now_s if from_s is None else from_s, SLOT_S)
        self.faults.clash(
            join(entry.where, "from"),
            f"what the {entry.spec.name} is known by was declared from {timegrid.rfc3339(newest(old).from_s)} on; "
            f"a change cannot be dated before that ({timegrid.rfc3339(start_s)})",
        )
        return old

    def _id_of(self, entry: Entry) -> str | int | None:
        if entry.id is not None:
            found: str | int = entry.id
            return found
        if entry.spec.is_numbered:
            kind = entry.spec.name
            taken = self.changes.get(kind, {}), self.reserved.get(kind, ())
            return self.book.next_number(entry.spec, self.numbers, *taken)
        return entry.spec.make_id()

    def _same_owner(self, entry: Entry, gone: Held) -> bool:
        """Whether a deleted object may come back here: servers anywhere in their organization, all else in place."""
        spec = entry.spec
        if spec.name != "server":
            return spec.parent_field is None or getattr(gone.item, spec.parent_field) == entry.parent
        project = self.find("project", entry.parent)
        owner = organization_of(self.find, spec, gone.item)
        return project is not None and owner == project.item.organization

    def _first_placements(self, entry: Entry, gone: Held | None) -> tuple[Placement, ...]:
        project, region = entry.parent, entry.fields["region"]
        if gone is None:
            return (Placement(BEGINNING_S, str(project), region),)
        return self._move(entry, gone.item.placements, str(project), region)

    def _change(self, entry: Entry, old: Item) -> bool:
        spec = entry.spec
        fields = self._undated(entry, Held(old))
        if "quotas" in fields:
            keep = not (self.replaces_quotas or self.prunes_quotas)
            fields["quotas"] = merge_quotas(old.quotas, fields["quotas"], keep=keep, fill=not self.replaces_quotas)
        if spec.parent_field and entry.parent != getattr(old, spec.parent_field):
            if spec.name != "server":
                self._tell_taken(entry, spec.key(old))
                return False
            fields["project"] = entry.parent
        if spec.name == "server":
            project, region = fields.get("project", old.project), fields.get("region", old.region)
            placements = self._move(entry, old.placements, project, region)
            last = placements[-1]
            fields |= {"placements": placements, "project": last.project, "region": last.region}
        changed = {name: value for name, value in fields.items() if value != getattr(old, name)}
        if not changed:
            self.plan.leave += 1
            self.places[spec.name, spec.key(old)] = entry.where
            return True
        new = msgspec.structs.replace(old, **changed)
        self.put(spec, new, where=entry.where)
        self._tell_change(spec, old, changed)
        if spec.name == "region" and "slug" in changed:
            self._rename_region(old.slug, changed["slug"])
        return True

    def _tell_taken(self, entry: Entry, key: Key) -> None:
        """Not by whom: it may be somebody else's."""
        self.faults.clash(join(entry.where, "id"), f"the {entry.spec.name} id {entry.spec.label(key)!r} is taken")

    def _tell_change(self, spec: KindSpec, old: Item, changed: Mapping[str, Any]) -> None:
        shown = {
            name: (msgspec.to_builtins(getattr(old, name)), msgspec.to_builtins(value))
            for name, value in changed.items() if name not in ("placements", "attributions")
        }
        if "attributions" in changed:
            shown |= _attribution_changes(newest(old.attributions), newest(changed["attributions"]))
        self.plan.change.append(Changed(spec.name, spec.label(spec.key(old)), shown))

    def _move(
        self, entry: Entry, placements: tuple[Placement, ...], project: str, region: str
    ) -> tuple[Placement, ...]:
        """The placements with the declared one; the old ones, and a fault, where it contradicts them."""
        last, given_s = placements[-1], entry.fields.get("from")
        stays = (last.project, last.region) == (project, region)
        if stays and (given_s is None or timegrid.floor(given_s, SLOT_S) >= last.from_s):
            return placements
        from_s = timegrid.floor(self.now_s if given_s is None else given_s, SLOT_S)
        placement = Placement(from_s, project, region)
        if placement in placements:
            return placements
        if from_s < last.from_s:
            self.faults.clash(
                join(entry.where, "from"),
                f"the server stands in project {last.project!r}, region {last.region!r} since "
                f"{timegrid.rfc3339(last.from_s)}; a move cannot be dated before that ({timegrid.rfc3339(from_s)})",
            )
            return placements
        kept = placements[:-1] if from_s == last.from_s else placements
        if kept and (kept[-1].project, kept[-1].region) == (project, region):
            return kept
        return (*kept, placement)

    def _rename_region(self, old: str, new: str) -> None:
        """Everything that names the region by its slug follows, also what is deleted."""
        for kind in ("server", "vpn_instance", "project"):
            spec = KINDS[kind]
            for key in [*spec.held(self.book.view), *self.changes.get(kind, {})]:
                held = self.find(kind, key)
                renamed = _renamed(kind, held.item, old, new) if held else None
                if held and renamed is not None and renamed != held.item:
                    self.put(spec, renamed, held.deleted_at_s)

    def delete(self, kind: str, key: Key) -> None:
        """The object and what belongs to it will be deleted."""
        spec = KINDS[kind]
        held = self.find(kind, key)
        if held is None or not held.is_alive:
            return
        for child in CHILDREN[kind]:
            if child.name in _GONE_WITH_PARENT:
                for child_key in self.children(child, key):
                    self.delete(child.name, child_key)
        self.put(spec, held.item, self.now_s)
        self.plan.delete.append(Deleted(kind, spec.label(key)))


def _attribution_changes(old: Attribution, new: Attribution) -> dict[str, tuple[Any, Any]]:
    """Old and new by field; where only the date differs, that."""
    before, after = show_attribution(old), show_attribution(new)
    shown = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    return shown or {"from": (timegrid.rfc3339(old.from_s), timegrid.rfc3339(new.from_s))}


def _renamed(kind: str, item: Item, old: str, new: str) -> Item:
    if kind == "project":
        quotas = [
            msgspec.structs.replace(quota, region=new) if quota.region == old else quota for quota in item.quotas
        ]
        return msgspec.structs.replace(item, quotas=tuple(sorted(quotas, key=lambda quota: str(quota.region))))
    changed: dict[str, Any] = {"region": new} if item.region == old else {}
    if kind == "server":
        changed["placements"] = tuple(
            msgspec.structs.replace(placement, region=new) if placement.region == old else placement
            for placement in item.placements
        )
    return msgspec.structs.replace(item, **changed)
