"""What must hold between the objects of the catalog, checked once a draft is whole: names, references, bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.model import END_S
from weighbridge.storage.catalog.claims import check_claims
from weighbridge.storage.catalog.fields import join, nearest, show
from weighbridge.storage.catalog.kinds import KINDS, LIMITS, Item, Key, KindSpec, organization_of
from weighbridge.storage.catalog.tables import ATTRIBUTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from weighbridge.storage.catalog.changes import Draft

_NAMED = 3
"""Objects that a message names before it says `…`."""


def check(draft: Draft) -> None:
    """The draft's faults tell everything that does not fit together."""
    for kind in draft.changes:
        spec = KINDS[kind]
        if spec.unique:
            _check_unique(draft, spec, spec.unique, spec.parent_field)
        if kind in LIMITS:
            _check_limit(draft, spec)
    if "app" in draft.changes:
        _check_unique(draft, KINDS["app"], "client_id")
    if "peer" in draft.changes:
        _check_unique(draft, KINDS["peer"], "public_key", "vpn")
        _check_unique(draft, KINDS["peer"], "common_name", "vpn")
    _check_regions(draft)
    _check_deletions(draft)
    _check_primary_servers(draft)
    check_claims(draft)


def _new(draft: Draft, kind: str) -> Iterator[tuple[Key, Item, Item | None]]:
    """Changed living objects with what they were, None where they were not there or deleted."""
    for key, held in draft.changes.get(kind, {}).items():
        if held.is_alive:
            old = draft.book.find(kind, key)
            yield key, held.item, old.item if old and old.is_alive else None


def _place(draft: Draft, kind: str, key: Key, field: str) -> str:
    return join(draft.places.get((kind, key), ""), field)


def _check_unique(draft: Draft, spec: KindSpec, field: str, scope: str | None = None) -> None:
    """Among the living: of all, or of those that have the same `scope`."""
    suspects = {
        key for key, new, old in _new(draft, spec.name) if old is None or getattr(old, field) != getattr(new, field)
    }
    if not suspects:
        return
    owners: dict[object, Key] = {}
    taken: list[tuple[Key, Key]] = []
    for key, item in sorted(draft.living(spec.name), key=lambda pair: pair[0] in suspects):
        value = getattr(item, field)
        if value is None:
            continue
        owner = owners.setdefault((getattr(item, scope) if scope else None, value), key)
        if owner != key:
            taken.append((key, owner))
    for key, owner in taken:
        held = draft.find(spec.name, key)
        value = getattr(held.item, field) if held else ""
        whose = f" by {spec.label(owner)!r}" if scope or field == spec.unique else ""  # else it may be somebody else's
        draft.faults.clash(_place(draft, spec.name, key, field), f"the {field} {show(value)} is taken{whose}")


def _check_limit(draft: Draft, spec: KindSpec) -> None:
    grown = {new.app for _, new, old in _new(draft, spec.name) if old is None}
    for app in grown:
        count = sum(1 for _, item in draft.living(spec.name) if item.app == app)
        if count > LIMITS[spec.name]:
            place = draft.places.get(("app", app), "")
            draft.faults.clash(
                join(place, spec.section), f"an app has at most {LIMITS[spec.name]} {spec.section}, not {count}"
            )


def _check_regions(draft: Draft) -> None:
    """Regions that are named anew must be there."""
    known = {region.slug for _, region in draft.living("region")}
    for kind in ("server", "vpn_instance"):
        for key, new, old in _new(draft, kind):
            if new.region is not None and new.region not in known and (old is None or old.region != new.region):
                draft.faults.add(_place(draft, kind, key, "region"), _no_region(new.region, known))
    for key, new, old in _new(draft, "project"):
        before = {quota.region for quota in old.quotas} if old else set()
        for quota in new.quotas:
            if quota.region not in known | before:
                draft.faults.add(_place(draft, "project", key, "quotas"), _no_region(quota.region, known))


def _no_region(slug: str, known: set[str]) -> str:
    return f"no region has the slug {slug!r}{nearest(slug, known)}"


def _holders_of_region(draft: Draft, region: Item) -> list[str]:
    slug, found = region.slug, []
    for kind in ("server", "vpn_instance"):
        found += [f"{kind} {key}" for key, item in draft.living(kind) if item.region == slug]
    found += [
        f"quota of project {key}" for key, project in draft.living("project")
        if any(quota.region == slug for quota in project.quotas)
    ]
    return sorted(found)


def _holders_of_exporter(draft: Draft, exporter: Item) -> list[str]:
    found = []
    for kind in ATTRIBUTED:
        spec = KINDS[kind]
        for key, item in draft.living(kind):
            ends_s = [each.from_s for each in item.attributions[1:]] + [END_S]
            pairs = zip(item.attributions, ends_s, strict=False)  # nothing declared: but one end
            if any(each.exporter == exporter.id and end_s > draft.now_s for each, end_s in pairs):
                found.append(f"{kind} {spec.label(key)}")
    return sorted(found)


KEPT_IN_USE: Mapping[str, Callable[[Draft, Item], list[str]]] = {
    "region": _holders_of_region,
    "exporter": _holders_of_exporter,
}
"""Kinds that stay while something alive names them; and what does, as a message lists it."""


def _check_deletions(draft: Draft) -> None:
    for kind, holders_of in KEPT_IN_USE.items():
        for key, held in draft.changes.get(kind, {}).items():
            holders = [] if held.is_alive else holders_of(draft, held.item)
            if holders:
                more = ", …" if len(holders) > _NAMED else ""
                name = held.item.slug if kind == "region" else held.item.id
                draft.faults.clash(
                    _place(draft, kind, key, ""), f"the {kind} {name!r} is in use: {', '.join(holders[:_NAMED])}{more}"
                )


def _check_primary_servers(draft: Draft) -> None:
    """A primary server belongs to the VPN instance's organization: when it is named, and after a server has moved."""
    for key, vpn, old in _new(draft, "vpn_instance"):
        named = vpn.primary_server
        if named is None or (old is not None and old.primary_server == named):
            continue
        server = draft.find("server", named)
        owner = organization_of(draft.find, KINDS["server"], server.item) if server and server.is_alive else None
        if owner != vpn.organization:
            draft.faults.hide(_place(draft, "vpn_instance", key, "primary_server"), "server", named)
    moved = {
        key: organization_of(draft.find, KINDS["server"], new) for key, new, old in _new(draft, "server")
        if old is not None and old.project != new.project
    }
    for vpn_id, vpn in draft.living("vpn_instance") if moved else ():
        if moved.get(vpn.primary_server, vpn.organization) != vpn.organization:
            draft.faults.clash(
                _place(draft, "server", vpn.primary_server, "project"),
                f"the server is the primary server of the VPN instance {vpn_id}, which stays behind: change that first",
            )
