"""Whose object is it: what a principal may see, and what it may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain.errors import NotPermittedError, NotVisibleError
from weighbridge.model import Scope
from weighbridge.storage.catalog.attributions import ATTRIBUTION_FIELDS
from weighbridge.storage.catalog.fields import WrongValueError, printable
from weighbridge.storage.catalog.kinds import KINDS, Book, Held, Item, Key, KindSpec, organization_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weighbridge.http.route import Principal

_WHOLE_ORGANIZATION = f"{Scope.CATALOG_WRITE} for the whole organization"


def sees(book: Book, spec: KindSpec, item: Item, who: Principal) -> bool:
    """Whether the object exists for `who`, deleted or not. Regions do for everybody, exporters for admins alone."""
    if spec.name == "region" or who.organization is None:
        return True
    if organization_of(book.find, spec, item) != who.organization:
        return False
    if who.project is None or spec.name == "organization":
        return True
    if spec.name == "project":
        return bool(item.id == who.project)
    return spec.name == "server" and bool(item.project == who.project)


def is_alive(book: Book, spec: KindSpec, held: Held) -> bool:
    """Whether the object is there: it is not deleted, nor is the app that it belongs to."""
    if not held.is_alive:
        return False
    if spec.parent is None:
        return True
    parent = book.find(spec.parent, getattr(held.item, spec.parent_field or ""))
    return parent is not None and parent.is_alive


def visible(book: Book, spec: KindSpec, key: Key, who: Principal) -> Item:
    """The living object of that key; NotVisibleError where there is none, or not for `who`."""
    held = book.find(spec.name, key)
    if held is None or not is_alive(book, spec, held) or not sees(book, spec, held.item, who):
        raise NotVisibleError(spec.name, printable(str(spec.label(key))))
    return held.item


def key_of(spec: KindSpec, text: str, parent: Key | None = None) -> Key:
    """The key that a path or a filter names; NotVisibleError where it can be none."""
    number = int(text) if spec.is_numbered and text.isascii() and text.isdecimal() and len(text) <= 16 else None  # noqa: PLR2004
    try:
        found = spec.read_id(number if spec.is_numbered else text)
    except WrongValueError:
        raise NotVisibleError(spec.name, printable(text)) from None
    return (parent, found) if spec.name == "peer" else found


def require_write(spec: KindSpec, who: Principal, *, fields: frozenset[str] | None = None) -> None:
    """NotPermittedError where `who` may not change objects of this kind at all.

    What stands at the top takes `admin`. A key of one project changes its servers, and its quotas alone: `fields` are
    those that change, None for a whole object.
    """
    if who.organization is None:
        return
    if spec.parent is None:
        raise NotPermittedError(Scope.ADMIN.value)
    if who.project is None or spec.name == "server":
        return
    if spec.name != "project" or fields is None or not fields <= {"quotas"}:
        raise NotPermittedError(_WHOLE_ORGANIZATION)


def require_attribution(who: Principal, fields: Iterable[str]) -> None:
    """NotPermittedError where `who` may not say whose traffic is whose: that takes `admin`.

    An address that one organization claims takes traffic away from another, and `metering` decides what is billed.
    """
    declared = sorted(ATTRIBUTION_FIELDS.keys() & set(fields))
    if declared and who.organization is not None:
        raise NotPermittedError(f"{Scope.ADMIN} for {', '.join(declared)}")


def parent_spec(spec: KindSpec) -> KindSpec:
    """The kind that objects of this kind belong to."""
    return KINDS[spec.parent or ""]
