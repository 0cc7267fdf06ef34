"""The kinds of catalog objects as one table: where they stand in the file, in the view, below what, and their fields.

Everything else in this folder walks this table: reading a document, planning changes, loading, writing, showing.
"""

from __future__ import annotations

import secrets
import string
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weighbridge.model import (
    Allowance,
    App,
    CatalogView,
    Consumer,
    Environment,
    Exporter,
    Organization,
    Peer,
    Project,
    Quota,
    Region,
    Server,
    Space,
    VpnInstance,
)
from weighbridge.storage.catalog.attributions import ATTRIBUTION_FIELDS
from weighbridge.storage.catalog.fields import (
    choice,
    integer,
    nullable,
    parse_endpoints,
    parse_quotas,
    read_amount,
    read_id,
    read_instant_s,
    read_number,
    read_slug,
    read_text,
    read_time_zone,
    read_uuid,
    scalar,
)
from weighbridge.storage.catalog.networks import parse_prefixes, read_address

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    import msgspec

    from weighbridge.storage.catalog.fields import Parser

Key = Any
"""What the view finds an object by: its id, of a peer (vpn, id)."""
Item = Any
"""An object of model.py, of the kind that a KindSpec tells."""

_ALPHANUMERICS = string.ascii_letters + string.digits
_RANDOM_LENGTH = 13  # 62**13: no clash in any catalog, and short enough to read out


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One kind. `fields` are what a caller may give; `required` what a new object needs."""

    name: str
    section: str  # the list's name in the file, and the path of its routes
    type: type[msgspec.Struct]
    held_in: str  # the dict of the view
    read_id: Callable[[object], Any]
    fields: Mapping[str, Parser]
    required: tuple[str, ...] = ()
    parent: str | None = None  # kind
    parent_field: str | None = None
    children_in: str | None = None  # the view's index from the parent to its children
    unique: str | None = None  # a field that is unique among the living of one parent (at the top: of all)
    natural: bool = False  # `unique` finds the object where no id is given
    prefix: str | None = None  # of made ids

    @property
    def is_numbered(self) -> bool:
        """Whether ids are numbers."""
        return self.read_id is read_number

    @property
    def keeps_deletion(self) -> bool:
        """Whether the object itself says that it is deleted; else deleted ones are kept outside the view."""
        return "deleted_at_s" in self.type.__struct_fields__

    @property
    def tells_creation(self) -> bool:
        """Whether the object itself says when it was made."""
        return "created_at_s" in self.type.__struct_fields__

    def key(self, item: Item) -> Key:
        """What the view finds this object by."""
        return (item.vpn, item.id) if self.name == "peer" else item.id

    def label(self, key: Key) -> str | int:
        """The id as plans and messages show it; of a peer `UUID/PEER`."""
        label: str | int = "/".join(key) if self.name == "peer" else key
        return label

    def make_id(self) -> str | None:
        """A new id, None where ids are numbers (then the catalog counts) or must be given."""
        if self.read_id is read_uuid:
            return str(uuid.uuid4())
        if self.prefix is None:
            return None
        return self.prefix + "".join(secrets.choice(_ALPHANUMERICS) for _ in range(_RANDOM_LENGTH))

    def held(self, view: CatalogView) -> dict[Key, Any]:
        """The view's dict of this kind."""
        found: dict[Key, Any] = getattr(view, self.held_in)
        return found


MAX_SAMPLING_RATE = 2**31
"""One packet of so many: more than any protocol can tell."""
_TEXT = scalar(read_text)
_TEXT_OR_NULL = scalar(nullable(read_text))
_SLUG = scalar(read_slug)
_AMOUNT_OR_NULL = scalar(nullable(read_amount))
_DATED = {**ATTRIBUTION_FIELDS, "from": scalar(read_instant_s)}

KINDS: Mapping[str, KindSpec] = {
    spec.name: spec
    for spec in (
        KindSpec(
            "region", "regions", Region, "regions", read_id,
            {"slug": _SLUG, "name": _TEXT}, ("slug", "name"), unique="slug", prefix="reg_",
        ),
        KindSpec(
            "exporter", "exporters", Exporter, "exporters", read_id,
            {
                "address": scalar(read_address),
                "sampling_rate": scalar(nullable(integer(1, MAX_SAMPLING_RATE))),
                "networks": parse_prefixes,
            },
            ("address",), unique="address", prefix="exp_",
        ),
        KindSpec(
            "organization", "organizations", Organization, "organizations", read_id,
            {
                "slug": _SLUG,
                "name": _TEXT,
                "time_zone": scalar(read_time_zone),
                "billing_day": scalar(integer(1, 31)),
                "monthly_traffic_limit": _AMOUNT_OR_NULL,
                "traffic_limit_unit": scalar(choice("requests", "bytes")),
            },
            ("slug", "name"), unique="slug", prefix="org_",
        ),
        KindSpec(
            "project", "projects", Project, "projects", read_id,
            {
                "slug": _SLUG,
                "billing_method": scalar(choice("Normal", "95th percentile")),
                "price": _AMOUNT_OR_NULL,
                "quotas": parse_quotas,
            },
            ("slug",), "organization", "organization", "projects_of", unique="slug", prefix="proj_",
        ),
        KindSpec(
            "server", "servers", Server, "servers", read_id,
            {"hostname": _TEXT, "region": _SLUG, **_DATED},
            ("hostname", "region"), "project", "project", prefix="sv_",
        ),
        KindSpec(
            "vpn_instance", "vpn_instances", VpnInstance, "vpns", read_uuid,
            {
                "name": _TEXT,
                "region": scalar(nullable(read_slug)),
                "primary_server": scalar(nullable(read_id)),
                **_DATED,
            },
            ("name",), "organization", "organization", "vpns_of",
        ),
        KindSpec(
            "peer", "peers", Peer, "peers", read_id,
            {"public_key": _TEXT_OR_NULL, "common_name": _TEXT_OR_NULL, **_DATED}, (), "vpn_instance", "vpn", "peers_of",
        ),
        KindSpec(
            "app", "apps", App, "apps", read_number,
            {
                "name": _TEXT,
                "client_id": scalar(nullable(read_uuid)),
                "excluded_endpoints": parse_endpoints,
            },
            ("name",), "organization", "organization", "apps_of",
        ),
        KindSpec(
            "environment", "environments", Environment, "environments", read_number,
            {"name": _TEXT}, ("name",), "app", "app", "environments_of", unique="name", natural=True,
        ),
        KindSpec(
            "consumer", "consumers", Consumer, "consumers", read_number,
            {"identifier": _TEXT, "name": _TEXT_OR_NULL, "group": _TEXT_OR_NULL},
            ("identifier",), "app", "app", "consumers_of", unique="identifier", natural=True,
        ),
        KindSpec(
            "space", "spaces", Space, "spaces", read_number,
            {"name": _TEXT}, ("name",), "organization", "organization", "spaces_of",
        ),
    )
}
"""Parents come before their children."""

CHILDREN: Mapping[str, tuple[KindSpec, ...]] = {
    name: tuple(spec for spec in KINDS.values() if spec.parent == name) for name in KINDS
}
TOP = tuple(spec for spec in KINDS.values() if spec.parent is None)
NUMBERED = tuple(spec.name for spec in KINDS.values() if spec.is_numbered)

ENVIRONMENTS_PER_APP = 100
"""Environments that an app may have: prod, staging, a branch each; more is a sender that puts an id there."""
CONSUMERS_PER_APP = 10_000
"""Consumers that an app may have: each is a dimension of its series."""
ENDPOINTS_PER_APP = 10_000
"""Endpoints that the list of an app's may hold: far more than any API has routes."""
WRITE_TOKENS_PER_APP = 1_000
"""Write tokens that an app may have at once: one for each of its deployments, and then some."""
LIMITS: Mapping[str, int] = {"environment": ENVIRONMENTS_PER_APP, "consumer": CONSUMERS_PER_APP}
FIRST_NUMBER = 1_000_000
"""Numbers that the catalog gives out begin here, so that files may say 1, 2, 3 without meeting one of them."""


@dataclass(slots=True)
class Held:
    """An object as the catalog holds it: environments and consumers do not say themselves that they are deleted."""

    item: Item
    deleted_at_s: int | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it is there for everybody."""
        return self.deleted_at_s is None


@dataclass(slots=True)
class Book:
    """The view and what it does not tell: deleted environments and consumers, and the last numbers given out."""

    view: CatalogView = field(default_factory=CatalogView)
    gone: dict[str, dict[int, Held]] = field(default_factory=lambda: {"environment": {}, "consumer": {}})
    numbers: dict[str, int] = field(default_factory=dict)

    def find(self, kind: str, key: Key) -> Held | None:
        """The object of that key, alive or deleted."""
        spec = KINDS[kind]
        item = spec.held(self.view).get(key)
        if item is not None:
            return Held(item, item.deleted_at_s if spec.keeps_deletion else None)
        return self.gone[kind].get(key) if kind in self.gone else None

    def next_number(self, spec: KindSpec, numbers: dict[str, int], *taken: Container[int]) -> int:
        """A number that no object of this kind has or had, nor one of `taken`; `numbers` moves on to it."""
        number = numbers.get(spec.name, FIRST_NUMBER - 1) + 1
        while any(number in each for each in taken) or self.find(spec.name, number) is not None:
            number += 1
        numbers[spec.name] = number
        return number

    def gone_namesake(self, spec: KindSpec, app: int, name: str) -> Held | None:
        """The deleted environment or consumer of that name, the one that was deleted last."""
        found = [
            held for held in self.gone[spec.name].values()
            if held.item.app == app and getattr(held.item, spec.unique or "") == name
        ]
        return max(found, key=lambda held: (held.deleted_at_s or 0, held.item.id), default=None)


def children_of(view: CatalogView, spec: KindSpec, parent: Key) -> Iterable[Key]:
    """The keys of the children of one kind, deleted ones included; servers: those that stand there now."""
    if spec.name == "server":
        return [key for key in view.servers_of.get(parent, ()) if view.servers[key].project == parent]
    index: dict[Key, Any] = getattr(view, spec.children_in or "")
    found = index.get(parent, ())
    if spec.natural:
        return list(found.values()) if found else ()
    return [(parent, key) for key in found] if spec.name == "peer" else found


def organization_of(find: Callable[[str, Key], Held | None], spec: KindSpec, item: Item) -> str | None:
    """The organization that an object belongs to; None for regions and exporters."""
    while spec.parent is not None:
        parent = find(spec.parent, getattr(item, spec.parent_field or ""))
        if parent is None:
            return None
        spec, item = KINDS[spec.parent], parent.item
    return item.id if spec.name == "organization" else None


def merge_quotas(
    old: tuple[Quota, ...], given: Mapping[str, Mapping[str, Any]], *, keep: bool, fill: bool
) -> tuple[Quota, ...]:
    """Quotas by region, in the order of their slugs. `keep`: regions that are not given stay; `fill`: so do fields."""
    known = {quota.region: quota for quota in old}
    merged = dict(known) if keep else {}
    for region, fields in given.items():
        quota = known.get(region, Quota(region)) if fill else Quota(region)
        merged[region] = Quota(
            region,
            fields.get("price", quota.price),
            _allowance(quota.tb, fields.get("tb", {})),
            _allowance(quota.mbps, fields.get("mbps", {})),
        )
    return tuple(merged[region] for region in sorted(merged))


def _allowance(old: Allowance, given: Mapping[str, int]) -> Allowance:
    return Allowance(given.get("granted", old.granted), given.get("additional", old.additional))
