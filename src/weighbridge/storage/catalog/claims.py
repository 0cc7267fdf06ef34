"""That no two things are known by the same at the same time, and that the exporters they name are there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.timegrid import rfc3339
from weighbridge.metering.attribution import show_prefix, stretches_of
from weighbridge.model import END_S, Kind
from weighbridge.storage.catalog.attributions import MAX_ATTRIBUTIONS, newest
from weighbridge.storage.catalog.fields import join, nearest
from weighbridge.storage.catalog.kinds import KINDS, Item, Key
from weighbridge.storage.catalog.tables import ATTRIBUTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weighbridge.metering.attribution import Stretch
    from weighbridge.storage.catalog.changes import Draft

_KIND_OF = {"server": Kind.SERVER, "vpn_instance": Kind.VPN, "peer": Kind.PEER}
_NOUNS = {Kind.SERVER: "server", Kind.VPN: "VPN instance", Kind.PEER: "peer"}
Name = tuple[str, object]
"""A field of attributions and one thing in it: what only one at a time may be known by."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A thing that is new under a name, over a stretch of time."""

    kind: str
    key: Key
    stretch: Stretch


def check_claims(draft: Draft) -> None:
    """The draft's faults tell what two things claim at once, and exporters that are not there.

    Stretches are compared, not what holds today: what is declared for last week meets whoever had it last week. Only
    admins declare attributions, so the faults may name things of any organization.
    """
    wanted: dict[Name, list[_Claim]] = defaultdict(list)
    for kind, key, item, old in _changed(draft):
        _check_exporter(draft, kind, key, item, old)
        if len(item.attributions) > MAX_ATTRIBUTIONS:
            draft.faults.clash(
                draft.places.get((kind, key), ""), f"a {kind} has at most {MAX_ATTRIBUTIONS} attributions in its life"
            )
        known = set() if old is None else set(stretches_of(_KIND_OF[kind], old))
        for stretch in stretches_of(_KIND_OF[kind], item):
            if stretch not in known:
                for name in _names(stretch):
                    wanted[name].append(_Claim(kind, key, stretch))
    if wanted:
        _compare(draft, wanted)


def _changed(draft: Draft) -> Iterator[tuple[str, Key, Item, Item | None]]:
    """Living things whose attributions are not what they were, or that are there again; with what they were."""
    for kind in ATTRIBUTED:
        for key, held in draft.changes.get(kind, {}).items():
            old = draft.book.find(kind, key)
            is_same = old is not None and old.is_alive and old.item.attributions == held.item.attributions
            if held.is_alive and not is_same:
                yield kind, key, held.item, old.item if old else None


def _check_exporter(draft: Draft, kind: str, key: Key, item: Item, old: Item | None) -> None:
    named = newest(item.attributions).exporter
    was_there = old is not None and old.deleted_at_s is None and newest(old.attributions).exporter == named
    if named is None or was_there:
        return
    held = draft.find("exporter", named)
    if held is None or not held.is_alive:
        known = [str(exporter) for exporter, _ in draft.living("exporter")]
        place = join(draft.places.get((kind, key), ""), "exporter")
        draft.faults.add(place, f"no exporter has the id {named!r}{nearest(named, known)}")


def _names(stretch: Stretch) -> Iterator[Name]:
    attribution = stretch.attribution
    for field in ("addresses", "macs", "vlans"):
        for value in getattr(attribution, field):
            yield field, value
    for port in attribution.interfaces:
        yield "interfaces", (port.device, port.name)


def _compare(draft: Draft, wanted: dict[Name, list[_Claim]]) -> None:
    """What is claimed, against everything that has it at that time."""
    first_s = min(claim.stretch.from_s for claims in wanted.values() for claim in claims)
    told: set[tuple[Name, frozenset[tuple[str, Key]]]] = set()
    for kind, key, item in _everything(draft):
        for stretch in stretches_of(_KIND_OF[kind], item):
            if stretch.until_s <= first_s:
                continue
            for name in _names(stretch):
                for claim in wanted.get(name, ()):
                    pair = name, frozenset(((kind, key), (claim.kind, claim.key)))
                    if (kind, key) != (claim.kind, claim.key) and pair not in told and _meet(name, claim.stretch, stretch):
                        told.add(pair)
                        _tell(draft, name, claim, KINDS[kind].label(key), stretch)


def _everything(draft: Draft) -> Iterator[tuple[str, Key, Item]]:
    """Every thing as it will be, deleted ones too: what they had, they had."""
    for kind in ATTRIBUTED:
        changed = draft.changes.get(kind, {})
        for key, held in changed.items():
            yield kind, key, held.item
        for key, item in KINDS[kind].held(draft.book.view).items():
            if key not in changed:
                yield kind, key, item


def _meet(name: Name, one: Stretch, other: Stretch) -> bool:
    """Whether both hold at one time and at one exporter; a port is of its device, whatever exporter is named."""
    if one.from_s >= other.until_s or other.from_s >= one.until_s:
        return False
    exporters = {one.attribution.exporter, other.attribution.exporter}
    return name[0] == "interfaces" or None in exporters or len(exporters) == 1


def _tell(draft: Draft, name: Name, claim: _Claim, other: str | int, stretch: Stretch) -> None:
    field, value = name
    shown = {
        "addresses": lambda: show_prefix(str(value)),
        "macs": lambda: f"the MAC {value}",
        "vlans": lambda: f"VLAN {value}",
        "interfaces": lambda: " of ".join(repr(part) for part in reversed(value)),  # type: ignore[call-overload]
    }[field]()
    until = "on" if stretch.until_s == END_S else f"until {rfc3339(stretch.until_s)}"
    noun = _NOUNS[stretch.kind]
    draft.faults.clash(
        join(draft.places.get((claim.kind, claim.key), ""), field),
        f"{shown} is what the {noun} {other!r} is known by from {rfc3339(stretch.from_s)} {until}: "
        "end that first, or tell them apart by their exporters",
    )
