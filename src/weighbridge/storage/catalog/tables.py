"""The catalog's tables, and the way between their rows and the objects of model.py.

Plain SQL types only, so that the same tables stand in SQLite and PostgreSQL. Instants are epoch seconds. Regions are
named by slug, as in the model; the catalog checks what the slug means before it writes.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from weighbridge.model import Allowance, Attribution, Endpoint, Key, Kind, Placement, Quota, Scope, Series, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REVISION = "0003"
"""The newest migration in migrations/versions: a store that says so needs no Alembic at start."""

Item = Any
"""An object of model.py."""
Row = Any
"""A row as SQLAlchemy gives it."""

metadata = MetaData()


def _deleted() -> Column[int]:
    return Column("deleted_at_s", BigInteger)


def _created() -> Column[int]:
    return Column("created_at_s", BigInteger, nullable=False, server_default="0")


def _unique_alive(table: Table, *columns: str) -> None:
    alive = table.c.deleted_at_s.is_(None)
    Index(
        f"{table.name}_{columns[-1]}", *(table.c[name] for name in columns),
        unique=True, sqlite_where=alive, postgresql_where=alive,
    )


def _number() -> Column[int]:
    return Column("id", BigInteger, primary_key=True, autoincrement=False)


regions = Table(
    "regions", metadata,
    Column("id", String, primary_key=True),
    Column("slug", String, nullable=False),
    Column("name", String, nullable=False),
    _deleted(),
)
exporters = Table(
    "exporters", metadata,
    Column("id", String, primary_key=True),
    Column("address", String, nullable=False),
    Column("sampling_rate", BigInteger),
    _deleted(),
)
exporter_networks = Table(
    "exporter_networks", metadata,
    Column("exporter", ForeignKey("exporters.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("prefix", String, nullable=False),
)
organizations = Table(
    "organizations", metadata,
    Column("id", String, primary_key=True),
    Column("slug", String, nullable=False),
    Column("name", String, nullable=False),
    Column("time_zone", String, nullable=False),
    Column("billing_day", Integer, nullable=False),
    Column("monthly_traffic_limit", BigInteger),
    Column("traffic_limit_unit", String, nullable=False),
    _deleted(),
)
projects = Table(
    "projects", metadata,
    Column("id", String, primary_key=True),
    Column("slug", String, nullable=False),
    Column("organization", ForeignKey("organizations.id"), nullable=False),
    Column("billing_method", String, nullable=False),
    Column("price", BigInteger),
    _deleted(),
)
quotas = Table(
    "quotas", metadata,
    Column("project", ForeignKey("projects.id"), primary_key=True),
    Column("region", String, primary_key=True),
    Column("price", BigInteger),
    Column("tb_granted", BigInteger, nullable=False),
    Column("tb_additional", BigInteger, nullable=False),
    Column("mbps_granted", BigInteger, nullable=False),
    Column("mbps_additional", BigInteger, nullable=False),
)
servers = Table(
    "servers", metadata,
    Column("id", String, primary_key=True),
    Column("hostname", String, nullable=False),
    Column("project", ForeignKey("projects.id"), nullable=False),
    Column("region", String, nullable=False),
    _deleted(),
)
placements = Table(
    "placements", metadata,
    Column("server", ForeignKey("servers.id"), primary_key=True),
    Column("from_s", BigInteger, primary_key=True, autoincrement=False),
    Column("project", ForeignKey("projects.id"), nullable=False),
    Column("region", String, nullable=False),
)
vpn_instances = Table(
    "vpn_instances", metadata,
    Column("id", String, primary_key=True),
    Column("organization", ForeignKey("organizations.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("region", String),
    Column("primary_server", ForeignKey("servers.id")),
    _deleted(),
)
peers = Table(
    "peers", metadata,
    Column("vpn", ForeignKey("vpn_instances.id"), primary_key=True),
    Column("id", String, primary_key=True),
    Column("public_key", String),
    Column("common_name", String),
    _deleted(),
)
attributions = Table(
    "attributions", metadata,
    Column("kind", String, primary_key=True),  # of ATTRIBUTED
    Column("object", String, primary_key=True),  # its id, of a peer UUID/PEER
    Column("from_s", BigInteger, primary_key=True, autoincrement=False),
    Column("declared", Text, nullable=False),  # JSON: the rest of the attribution; only ever read as a whole
)
apps = Table(
    "apps", metadata,
    _number(),
    Column("organization", ForeignKey("organizations.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("client_id", String),
    Column("framework", String),
    _created(),
    _deleted(),
)
endpoints = Table(
    "endpoints", metadata,
    _number(),
    Column("app", ForeignKey("apps.id"), nullable=False),
    Column("method", String, nullable=False),
    Column("path", String, nullable=False),
    UniqueConstraint("app", "method", "path"),
)
excluded_endpoints = Table(
    "excluded_endpoints", metadata,
    Column("app", ForeignKey("apps.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("method", String, nullable=False),
    Column("path", String, nullable=False),
)
environments = Table(
    "environments", metadata,
    _number(),
    Column("app", ForeignKey("apps.id"), nullable=False),
    Column("name", String, nullable=False),
    _created(),
    _deleted(),
)
consumers = Table(
    "consumers", metadata,
    _number(),
    Column("app", ForeignKey("apps.id"), nullable=False),
    Column("identifier", String, nullable=False),
    Column("name", String),
    Column("group", String),
    _created(),
    _deleted(),
)
spaces = Table(
    "spaces", metadata,
    _number(),
    Column("organization", ForeignKey("organizations.id"), nullable=False),
    Column("name", String, nullable=False),
    _deleted(),
)
for _table, _columns in (
    (regions, ("slug",)), (exporters, ("address",)), (organizations, ("slug",)), (projects, ("organization", "slug")),
    (apps, ("client_id",)), (environments, ("app", "name")), (consumers, ("app", "identifier")),
):
    _unique_alive(_table, *_columns)

keys = Table(
    "keys", metadata,
    Column("id", String, primary_key=True),
    Column("sha256", String, nullable=False, unique=True),
    Column("organization", ForeignKey("organizations.id")),
    Column("name", String, nullable=False),
    Column("scopes", String, nullable=False),  # separated by spaces
    Column("project", ForeignKey("projects.id")),
    Column("created_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger),
    Column("revoked_at_s", BigInteger),
)
write_tokens = Table(
    "write_tokens", metadata,
    Column("id", String, primary_key=True),
    Column("sha256", String, nullable=False, unique=True),
    Column("app", ForeignKey("apps.id"), nullable=False),
    Column("name", String),
    Column("created_at_s", BigInteger, nullable=False),
    Column("revoked_at_s", BigInteger),
)
series = Table(
    "series", metadata,
    _number(),
    Column("digest", LargeBinary, nullable=False, unique=True),  # of the key: shorter than it, and without NULLs
    Column("kind", String, nullable=False),
    Column("object", String, nullable=False),
    Column("environment", BigInteger),
    Column("consumer", BigInteger),
    Column("method", String),
    Column("path", String),
    Column("polled", Boolean, nullable=False),
    Column("via", String),
)
numbers = Table(
    "numbers", metadata,
    Column("kind", String, primary_key=True),
    Column("last", BigInteger, nullable=False),  # the last number that was given out; none is given out twice
)

OF_KIND: Mapping[str, Table] = {
    "region": regions,
    "exporter": exporters,
    "organization": organizations,
    "project": projects,
    "server": servers,
    "vpn_instance": vpn_instances,
    "peer": peers,
    "app": apps,
    "environment": environments,
    "consumer": consumers,
    "space": spaces,
}
NESTED: Mapping[str, tuple[Table, str]] = {
    "exporter": (exporter_networks, "exporter"),
    "project": (quotas, "project"),
    "server": (placements, "server"),
    "app": (excluded_endpoints, "app"),
}
"""Rows that are a part of an object: by kind, their table and the column that holds the object's id."""
ATTRIBUTED = ("server", "vpn_instance", "peer")
"""Kinds whose objects have attributions."""


def row_of(kind: str, item: Item, deleted_at_s: int | None) -> dict[str, Any]:
    """The row of an object, without its nested rows."""
    return {
        column.name: deleted_at_s if column.name == "deleted_at_s" else getattr(item, column.name)
        for column in OF_KIND[kind].columns
    }


def nested_rows(kind: str, item: Item) -> list[dict[str, Any]]:
    """The nested rows of an object."""
    if kind == "exporter":
        return [
            {"exporter": item.id, "position": position, "prefix": prefix} for position, prefix in enumerate(item.networks)
        ]
    if kind == "project":
        return [_quota_row(item.id, quota) for quota in item.quotas]
    if kind == "server":
        return [{"server": item.id, **msgspec.structs.asdict(placement)} for placement in item.placements]
    if kind == "app":
        return [
            {"app": item.id, "position": position, "method": endpoint.method, "path": endpoint.path}
            for position, endpoint in enumerate(item.excluded_endpoints)
        ]
    return []


def _quota_row(project: str, quota: Quota) -> dict[str, Any]:
    return {
        "project": project,
        "region": quota.region,
        "price": quota.price,
        "tb_granted": quota.tb.granted,
        "tb_additional": quota.tb.additional,
        "mbps_granted": quota.mbps.granted,
        "mbps_additional": quota.mbps.additional,
    }


def nested_fields(kind: str, rows: Iterable[Any]) -> dict[str, Any]:
    """The fields of an object that its nested rows hold; `rows` in any order."""
    if kind == "exporter":
        found = sorted(rows, key=lambda row: int(row.position))
        return {"networks": tuple(row.prefix for row in found)}
    if kind == "project":
        found = sorted(rows, key=lambda row: str(row.region))
        return {"quotas": tuple(
            Quota(
                row.region, row.price, Allowance(row.tb_granted, row.tb_additional),
                Allowance(row.mbps_granted, row.mbps_additional),
            )
            for row in found
        )}
    if kind == "server":
        found = sorted(rows, key=lambda row: int(row.from_s))
        return {"placements": tuple(Placement(row.from_s, row.project, row.region) for row in found)}
    if kind == "app":
        found = sorted(rows, key=lambda row: int(row.position))
        return {"excluded_endpoints": tuple(Endpoint(row.method, row.path) for row in found)}
    return {}


def attribution_row(kind: str, label: str, attribution: Attribution) -> dict[str, Any]:
    """The row of one attribution of the object that `label` names."""
    declared = msgspec.structs.asdict(attribution)
    from_s = declared.pop("from_s")
    return {"kind": kind, "object": label, "from_s": from_s, "declared": msgspec.json.encode(declared).decode()}


def attribution_from(row: Row) -> Attribution:
    """The attribution of a row."""
    return msgspec.convert({"from_s": row.from_s, **msgspec.json.decode(row.declared)}, Attribution)


def key_row(key: Key) -> dict[str, Any]:
    """The row of an API key."""
    return {**msgspec.structs.asdict(key), "scopes": " ".join(sorted(key.scopes)), "revoked_at_s": None}


def key_from(row: Row) -> Key:
    """The API key of a row."""
    return Key(
        row.id, row.sha256, row.organization, row.name, frozenset(Scope(word) for word in row.scopes.split()),
        row.project, row.created_at_s, row.expires_at_s,
    )


def series_row(entry: Series) -> dict[str, Any]:
    """The row of a series."""
    key = entry.key
    return {
        "id": entry.id,
        "digest": _digest(key),
        "kind": key.kind.value,
        "object": key.object,
        "environment": key.environment,
        "consumer": key.consumer,
        "method": key.method,
        "path": key.path,
        "polled": entry.polled,
        "via": key.via,
    }


def _digest(key: SeriesKey) -> bytes:
    """Without `via` where there is none: series from before it was kept are found again."""
    told = msgspec.structs.asdict(key)
    if key.via is None:
        del told["via"]
    return sha256(msgspec.json.encode(told)).digest()[:16]


_KIND_OF = {kind.value: kind for kind in Kind}


def series_from(row: Row) -> Series:
    """The series of a row of (id, kind, object, environment, consumer, method, path, polled, via)."""
    number, kind, thing, environment, consumer, method, path, polled, via = row
    return Series(number, SeriesKey(_KIND_OF[kind], thing, environment, consumer, method, path, via), polled)
