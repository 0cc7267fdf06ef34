"""The catalog as the rest of the house sees it: immutable objects, and a view in memory that answers look-ups.

A view is read from many threads without a lock. Writers keep to one rule: an object is replaced, never changed; a tuple
is replaced by a longer one; so a reader sees the old or the new, never a half.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

BEGINNING_S = 0
"""Where the first placement of a server begins: usage from before it was entered counts for its first owner."""
END_S = 2**62
"""An instant after every other: the end of what has not ended."""


class Scope(StrEnum):
    """What a key may do (CONTRACT part 2)."""

    INGEST = "ingest"
    TRAFFIC_READ = "traffic:read"
    VPN_VIEW = "vpn:view"
    CATALOG_WRITE = "catalog:write"
    BILLING = "billing"
    ADMIN = "admin"


class Kind(StrEnum):
    """What a series belongs to."""

    SERVER = "server"
    VPN = "vpn"
    PEER = "peer"
    APP = "app"
    SPACE = "space"


class Region(msgspec.Struct, frozen=True):
    """Where servers stand. Global: every organization sees the same regions."""

    id: str
    slug: str
    name: str
    deleted_at_s: int | None = None


class Organization(msgspec.Struct, frozen=True):
    """A customer, walled off from every other. Billing periods run in its zone, from its billing day (1 to 31)."""

    id: str
    slug: str
    name: str
    time_zone: str = "UTC"
    billing_day: int = 1
    monthly_traffic_limit: int | None = None
    traffic_limit_unit: str = "requests"
    deleted_at_s: int | None = None


class Allowance(msgspec.Struct, frozen=True):
    """What a quota grants: `granted` by contract, `additional` bought on top."""

    granted: int = 0
    additional: int = 0


class Quota(msgspec.Struct, frozen=True):
    """A project's quota in one region: terabytes a period and megabits a second. `price` is the vendor's own figure."""

    region: str  # slug
    price: int | None = None
    tb: Allowance = Allowance()
    mbps: Allowance = Allowance()


class Project(msgspec.Struct, frozen=True):
    """Servers that are billed together."""

    id: str
    slug: str
    organization: str
    billing_method: str = "Normal"
    price: int | None = None
    quotas: tuple[Quota, ...] = ()
    deleted_at_s: int | None = None


class Placement(msgspec.Struct, frozen=True):
    """Where a server stood from an instant on, until the next placement begins. `from_s` lies on a 5-minute slot."""

    from_s: int
    project: str
    region: str  # slug


class Metering(StrEnum):
    """Who sees a thing's traffic; also the `via` of the series that it feeds."""

    INTERFACES = "interfaces"  # counters of a device's ports: SNMP, sFlow counter samples
    FLOWS = "flows"            # NetFlow, IPFIX, sFlow flow samples
    HOST = "host"              # the machine's own counters: interfaces, WireGuard, OpenVPN


class Port(msgspec.Struct, frozen=True):
    """An interface of a polled device. One that faces the thing (a switch port) receives what the thing sent."""

    device: str
    name: str  # ifName
    facing: str = "network"  # or "server"


class Attribution(msgspec.Struct, frozen=True):
    """By what a thing is known on the network from an instant on, until its next attribution begins.

    `from_s` lies on a 5-minute slot. Prefixes are canonical texts with a length (192.0.2.10/32), MACs twelve lower-case
    hexadecimal digits with colons. `exporter`: the only one whose flows count for it; None: any.
    """

    from_s: int
    addresses: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    vlans: tuple[int, ...] = ()
    interfaces: tuple[Port, ...] = ()
    metering: Metering | None = None  # as declared
    exporter: str | None = None

    @property
    def billed(self) -> Metering:
        """Whose figures are billed: as declared, else counters of ports, else flows, else its own counters."""
        if self.metering is not None:
            return self.metering
        if self.interfaces:
            return Metering.INTERFACES
        return Metering.FLOWS if self.addresses or self.macs or self.vlans else Metering.HOST


class Exporter(msgspec.Struct, frozen=True):
    """A router or probe that sends flows, known by its address. Global, like regions.

    `sampling_rate` is used only where it does not say its rate itself. Addresses within `networks` are kept apart in
    flow sums even where nobody has them yet, so that they can be attributed later.
    """

    id: str
    address: str
    sampling_rate: int | None = None
    networks: tuple[str, ...] = ()
    deleted_at_s: int | None = None


class Server(msgspec.Struct, frozen=True):
    """A machine whose traffic is metered, with every place that it ever stood in."""

    id: str
    hostname: str
    project: str
    region: str  # slug
    placements: tuple[Placement, ...] = ()  # oldest first; the last one is `project` and `region`
    attributions: tuple[Attribution, ...] = ()  # oldest first
    deleted_at_s: int | None = None


class VpnInstance(msgspec.Struct, frozen=True):
    """A VPN server as its customers know it; `primary_server` is the machine that it runs on, if one is metered."""

    id: str  # UUID in lower case
    organization: str
    name: str
    region: str | None = None  # slug
    primary_server: str | None = None
    attributions: tuple[Attribution, ...] = ()
    deleted_at_s: int | None = None


class Peer(msgspec.Struct, frozen=True):
    """A client or site of a VPN instance."""

    vpn: str
    id: str
    public_key: str | None = None   # WireGuard's
    common_name: str | None = None  # OpenVPN's
    attributions: tuple[Attribution, ...] = ()
    deleted_at_s: int | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """A route of an app's API, as a template."""

    method: str  # upper case
    path: str


class App(msgspec.Struct, frozen=True):
    """An API whose requests are metered. `excluded_endpoints` are left out of every answer, for the past too."""

    id: int
    organization: str
    name: str
    client_id: str | None = None
    excluded_endpoints: tuple[Endpoint, ...] = ()
    framework: str | None = None  # as its client told at its last start, such as python:starlette
    created_at_s: int = 0         # 0: before that was kept
    deleted_at_s: int | None = None


class Environment(msgspec.Struct, frozen=True):
    """A deployment of an app, such as prod; its name is unique within the app."""

    id: int
    app: int
    name: str
    created_at_s: int = 0


class Consumer(msgspec.Struct, frozen=True):
    """Who calls an app's API; the identifier is unique within the app."""

    id: int
    app: int
    identifier: str
    name: str | None = None
    group: str | None = None
    created_at_s: int = 0


class Space(msgspec.Struct, frozen=True):
    """A content space of an organization."""

    id: int
    organization: str
    name: str
    deleted_at_s: int | None = None


class Key(msgspec.Struct, frozen=True):
    """An API key; of the secret only its SHA-256 (hex) is kept. `organization` None: every organization (admin)."""

    id: str
    sha256: str
    organization: str | None
    name: str
    scopes: frozenset[Scope]
    project: str | None = None
    created_at_s: int = 0
    expires_at_s: int | None = None


class WriteToken(msgspec.Struct, frozen=True):
    """What lets an app's telemetry in, and nothing else; of the token only its SHA-256 (hex) is kept."""

    id: str
    sha256: str
    app: int
    name: str | None = None
    created_at_s: int = 0


class SeriesKey(msgspec.Struct, frozen=True):
    """The natural key of a series: the finest thing that traffic is attributed to.

    `object` is the id as text; for a peer `UUID/PEER`. The dimensions are of apps; a space has `path`, an asset's. `via`
    (a Metering) tells who saw it, where that is known: only one of those is billed. What was told as events has none.
    """

    kind: Kind
    object: str
    environment: int | None = None
    consumer: int | None = None
    method: str | None = None
    path: str | None = None
    via: str | None = None


class Series(msgspec.Struct, frozen=True):
    """A series: its number (1 and up, never used again) and its key. `polled`: fed by counters, so it can have gaps."""

    id: int
    key: SeriesKey
    polled: bool = False


@dataclass(slots=True)
class CatalogView:
    """Everything in the catalog, deleted objects included (they keep their usage; `deleted_at_s` is set).

    Children are tuples, replaced on change. Ids are unique over the whole server, each kind by itself; slugs of
    organizations and regions too, slugs of projects within their organization.
    """

    version: int = 0
    regions: dict[str, Region] = field(default_factory=dict)              # by id
    regions_by_slug: dict[str, Region] = field(default_factory=dict)
    exporters: dict[str, Exporter] = field(default_factory=dict)          # by id
    exporters_by_address: dict[str, Exporter] = field(default_factory=dict)  # living ones
    organizations: dict[str, Organization] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    vpns: dict[str, VpnInstance] = field(default_factory=dict)
    peers: dict[tuple[str, str], Peer] = field(default_factory=dict)      # (vpn, peer)
    apps: dict[int, App] = field(default_factory=dict)
    environments: dict[int, Environment] = field(default_factory=dict)
    consumers: dict[int, Consumer] = field(default_factory=dict)
    spaces: dict[int, Space] = field(default_factory=dict)
    keys_by_sha256: dict[str, Key] = field(default_factory=dict)
    write_tokens_by_sha256: dict[str, WriteToken] = field(default_factory=dict)
    apps_by_client_id: dict[str, int] = field(default_factory=dict)       # living apps; a UUID in lower case → app
    endpoints_of: dict[int, dict[Endpoint, int]] = field(default_factory=dict)   # app → endpoint → id
    projects_of: dict[str, tuple[str, ...]] = field(default_factory=dict)        # organization → project ids
    servers_of: dict[str, tuple[str, ...]] = field(default_factory=dict)         # project → servers ever placed there
    vpns_of: dict[str, tuple[str, ...]] = field(default_factory=dict)            # organization → vpn ids
    peers_of: dict[str, tuple[str, ...]] = field(default_factory=dict)           # vpn → peer ids
    apps_of: dict[str, tuple[int, ...]] = field(default_factory=dict)            # organization → app ids
    environments_of: dict[int, dict[str, int]] = field(default_factory=dict)     # app → name → id
    consumers_of: dict[int, dict[str, int]] = field(default_factory=dict)        # app → identifier → id
    spaces_of: dict[str, tuple[int, ...]] = field(default_factory=dict)          # organization → space ids
    series: dict[int, Series] = field(default_factory=dict)                      # by number
    series_by_key: dict[SeriesKey, Series] = field(default_factory=dict)
    series_of: dict[tuple[Kind, str], tuple[int, ...]] = field(default_factory=dict)  # (kind, object) → numbers
