"""The catalog's objects as OpenAPI documents them, and the table that its routes are made from.

What is right for a field is decided where it is kept; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weighbridge.http.route import Documented, Param

JSON = "application/json"
Schema = Mapping[str, Any]

_MOST = 2**53 - 1
_TEXT = {"type": "string", "minLength": 1, "maxLength": 255}
_TEXT_OR_NULL = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
_ID = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}$"}
_SLUG = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}
_UUID = {"type": "string", "format": "uuid"}
_NUMBER = {"type": "integer", "minimum": 1, "maximum": _MOST}
_AMOUNT = {"type": "integer", "minimum": 0, "maximum": _MOST}
_AMOUNT_OR_NULL = {"type": ["integer", "null"], "minimum": 0, "maximum": _MOST}
_PREFIX = {"type": "string", "minLength": 2, "maxLength": 49}
_INSTANT_OR_NULL = {"type": ["string", "null"]}
_ALLOWANCE = {
    "type": "object",
    "properties": {"granted": _AMOUNT, "additional": _AMOUNT},
    "additionalProperties": False,
}
_QUOTAS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["region"],
        "properties": {"region": _SLUG, "price": _AMOUNT_OR_NULL, "tb": _ALLOWANCE, "mbps": _ALLOWANCE},
        "additionalProperties": False,
    },
}
_ENDPOINTS = {
    "type": "array",
    "maxItems": 1000,
    "items": {
        "type": "object",
        "required": ["method", "path"],
        "properties": {"method": {"type": "string"}, "path": {"type": "string", "maxLength": 1024}},
        "additionalProperties": False,
    },
}
_PLACEMENTS = {
    "type": "array",
    "description": "Where the server stood: each from an instant on (null: from the beginning), oldest first",
    "items": {
        "type": "object",
        "required": ["from", "project", "region"],
        "properties": {"from": _INSTANT_OR_NULL, "project": {"type": "string"}, "region": {"type": "string"}},
    },
}
_FACING = {"enum": ["server", "network"], "default": "network",
           "description": "A port that faces the thing receives what the thing sent: its directions are swapped"}
_PORT = {
    "type": "object",
    "required": ["device", "name"],
    "properties": {
        "device": {**_TEXT, "description": "As the settings of SNMP name it; of sFlow's counters, the exporter's id"},
        "name": {**_TEXT, "description": "The interface's name (ifName)"},
        "facing": _FACING,
    },
    "additionalProperties": False,
}
_ATTRIBUTION: Mapping[str, Schema] = {
    "addresses": {"type": "array", "maxItems": 10_000, "items": _PREFIX,
                  "description": "IPv4 and IPv6, single or as prefixes; of several that fit, the longest counts"},
    "macs": {"type": "array", "maxItems": 1_000, "items": {"type": "string", "minLength": 11, "maxLength": 17}},
    "vlans": {"type": "array", "maxItems": 4_094, "items": {"type": "integer", "minimum": 1, "maximum": 4_094}},
    "interfaces": {"type": "array", "maxItems": 1_000, "items": _PORT,
                   "description": "Ports whose counters are the thing's traffic; several add up"},
    "metering": {"enum": ["interfaces", "flows", "host", None],
                 "description": "What is billed where several see it; null: interfaces where there are any, else flows "
                                "where it has addresses, MACs or VLANs, else what it tells itself"},
    "exporter": {"type": ["string", "null"],
                 "description": "Id of the only exporter whose flows count for it; null: any"},
}
_ATTRIBUTIONS = {
    "type": "array",
    "description": "By what it was known: each from an instant on, oldest first; the last one is what the fields say",
    "items": {
        "type": "object",
        "required": ["from", *_ATTRIBUTION],
        "properties": {"from": _INSTANT_OR_NULL, **_ATTRIBUTION},
    },
}
_FROM = {"type": "string", "description": "From when on it is known by these, RFC 3339, rounded down to 5 minutes; now by "
                                          "default"}
_TAKES_ADMIN = "Declaring `addresses`, `macs`, `vlans`, `interfaces`, `metering` or `exporter` takes the scope `admin`."
_UNKNOWN: dict[str, Any] = {
    "addresses": [], "macs": [], "vlans": [], "interfaces": [], "metering": None, "exporter": None, "attributions": [],
}
_KNOWN = {
    "addresses": ["192.0.2.10", "192.0.2.16/28", "2001:db8::/64"], "macs": [], "vlans": [],
    "interfaces": [{"device": "tor-1", "name": "ge-0/0/1", "facing": "server"}], "metering": "interfaces", "exporter": None,
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object: its path, its fields, whom it belongs to. `kind` is the catalog's word for it."""

    kind: str
    noun: str
    section: str  # last part of the path of lists
    param: str  # the path parameter of one object
    id_schema: Schema
    fields: Mapping[str, Schema]
    required: tuple[str, ...]
    example: Mapping[str, Any]
    parent: str | None = None  # field that names what it belongs to
    parent_schema: Schema = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    shown: Mapping[str, Schema] = field(default_factory=dict)  # what answers hold beyond the fields
    given: tuple[str, ...] = ()  # fields that no answer holds
    sees: tuple[str, ...] = ()
    is_global: bool = False  # changing it takes the scope admin
    is_hidden: bool = False  # reading it, too
    is_made_id: bool = True  # the id may be left out
    description: str = ""  # of what changes it
    prefix: str = ""  # path in front of the section
    prefix_param: str | None = None

    @property
    def list_path(self) -> str:
        """The path of the list."""
        return f"/api/v1{self.prefix}/{self.section}"

    @property
    def path(self) -> str:
        """The path of one object."""
        return f"{self.list_path}/{{{self.param}}}"

    def schema(self) -> dict[str, Any]:
        """One object in an answer: every field is there."""
        fields = {name: schema for name, schema in self.fields.items() if name not in self.given}
        parent = {self.parent: self.parent_schema} if self.parent else {}
        properties = {"id": self.id_schema, **parent, **fields, **self.shown}
        return {"type": "object", "required": list(properties), "properties": properties}

    def body(self, *, is_new: bool) -> Documented:
        """The body that makes an object, or changes some of its fields."""
        parent = {self.parent: self.parent_schema} if self.parent and self.prefix_param is None else {}
        required = [*self.required] if self.is_made_id else ["id", *self.required]
        properties = {"id": self.id_schema, **parent, **self.fields}
        schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if is_new and required:
            schema["required"] = required
        example = {name: self.example[name] for name in self.example if name in properties}
        if not is_new:
            example = {self.changed: self.example[self.changed]}
        return Documented("The object" if is_new else "The fields to change", {JSON: schema}, example)

    @property
    def changed(self) -> str:
        """The field that examples change."""
        return next(name for name in self.fields if name in self.example)

    def params(self, *, is_one: bool) -> tuple[Param, ...]:
        """The parameters of the path."""
        found = []
        if self.prefix_param:
            found.append(Param(self.prefix_param, "The VPN instance: UUID", where="path", required=True))
        if is_one:
            schema = self.id_schema
            found.append(Param(self.param, f"The {self.noun}: id", schema, "path", required=True))
        return tuple(found)


REGION = Resource(
    "region", "region", "regions", "region", _ID, {"slug": _SLUG, "name": _TEXT}, ("slug", "name"),
    {"id": "reg_9QDB5qag", "slug": "brazil", "name": "Brazil"}, is_global=True,
)
EXPORTER = Resource(
    "exporter", "exporter", "exporters", "exporter", _ID,
    {
        "address": {"type": "string", "description": "IPv4 or IPv6: where its flows come from (sFlow: its agent address)"},
        "sampling_rate": {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31,
                          "description": "One packet of so many; used only where it does not say its rate itself"},
        "networks": {"type": "array", "maxItems": 10_000, "items": _PREFIX,
                     "description": "Addresses in here are kept apart even where nobody has them yet"},
    },
    ("address",),
    {"id": "edge-1", "address": "192.0.2.1", "sampling_rate": 1000, "networks": ["198.51.100.0/24"]},
    sees=("exporter",), is_global=True, is_hidden=True,
)
ORGANIZATION = Resource(
    "organization", "organization", "organizations", "organization", _ID,
    {
        "slug": _SLUG,
        "name": _TEXT,
        "time_zone": {**_TEXT, "description": "IANA; billing periods run in it. UTC by default"},
        "billing_day": {"type": "integer", "minimum": 1, "maximum": 31},
        "monthly_traffic_limit": _AMOUNT_OR_NULL,
        "traffic_limit_unit": {"enum": ["requests", "bytes"]},
    },
    ("slug", "name"),
    {"id": "org_acme", "slug": "acme", "name": "Acme Hosting", "time_zone": "UTC", "billing_day": 1,
     "monthly_traffic_limit": 10_000_000, "traffic_limit_unit": "requests"},
    sees=("organization",), is_global=True,
)
_IN_ORGANIZATION: dict[str, Any] = {"parent": "organization", "parent_schema": _ID, "filters": ("organization",)}
PROJECT = Resource(
    "project", "project", "projects", "project", _ID,
    {
        "slug": _SLUG,
        "billing_method": {"enum": ["Normal", "95th percentile"]},
        "price": _AMOUNT_OR_NULL,
        "quotas": {**_QUOTAS, "description": "By region; a list that is given replaces the whole list"},
    },
    ("slug",),
    {"id": "proj_lkg1DekRdvZE5", "organization": "org_acme", "slug": "incredible-bronze-knife",
     "billing_method": "Normal", "price": 500, "quotas": [
         {"region": "brazil", "price": 500, "tb": {"granted": 20, "additional": 0},
          "mbps": {"granted": 0, "additional": 0}}]},
    sees=("organization", "project", "region"), **_IN_ORGANIZATION,
)
SERVER = Resource(
    "server", "server", "servers", "server", _ID,
    {
        "hostname": _TEXT,
        "region": {**_SLUG, "description": "Slug of the region"},
        **_ATTRIBUTION,
        "from": {"type": "string", "description": "When it moved to this project and region, and from when on it is known "
                                                  "by these, RFC 3339, rounded down to 5 minutes; now by default"},
    },
    ("hostname", "region"),
    {"id": "sv_A05EdQ50dvKYQ", "project": "proj_lkg1DekRdvZE5", "hostname": "web-1", "region": "brazil", **_KNOWN,
     "placements": [{"from": None, "project": "proj_lkg1DekRdvZE5", "region": "brazil"}],
     "attributions": [{"from": "2025-12-01T00:00:00Z", **_KNOWN}]},
    parent="project", parent_schema=_ID, filters=("organization", "project", "region"),
    shown={"placements": _PLACEMENTS, "attributions": _ATTRIBUTIONS}, given=("from",),
    sees=("organization", "project", "region", "server", "exporter"), description=_TAKES_ADMIN,
)
VPN_INSTANCE = Resource(
    "vpn_instance", "VPN instance", "vpn_instances", "vpn", _UUID,
    {
        "name": _TEXT,
        "region": {"type": ["string", "null"], "description": "Slug of the region"},
        "primary_server": {"type": ["string", "null"], "description": "Id of a server of the same organization"},
        **_ATTRIBUTION,
        "from": _FROM,
    },
    ("name",),
    {"id": "d290f1ee-6c54-4b01-90e6-d701748f0851", "organization": "org_acme", "name": "hq", "region": "brazil",
     "primary_server": "sv_A05EdQ50dvKYQ", **_UNKNOWN},
    shown={"attributions": _ATTRIBUTIONS}, given=("from",), description=_TAKES_ADMIN,
    sees=("organization", "region", "server", "vpn", "exporter"), **_IN_ORGANIZATION,
)
PEER = Resource(
    "peer", "peer", "peers", "peer", _ID,
    {
        "public_key": {**_TEXT_OR_NULL, "description": "WireGuard's; unique within the instance"},
        "common_name": {**_TEXT_OR_NULL, "description": "OpenVPN's; unique within the instance"},
        **_ATTRIBUTION,
        "from": _FROM,
    },
    (),
    {"id": "alice", "vpn": "d290f1ee-6c54-4b01-90e6-d701748f0851",
     "public_key": "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "common_name": None, **_UNKNOWN},
    parent="vpn", parent_schema=_UUID, shown={"attributions": _ATTRIBUTIONS}, given=("from",),
    description=_TAKES_ADMIN, sees=("vpn", "peer", "exporter"), is_made_id=False,
    prefix="/vpn_instances/{vpn}", prefix_param="vpn",
)
APP = Resource(
    "app", "app", "apps", "app", _NUMBER,
    {
        "name": _TEXT,
        "client_id": {"type": ["string", "null"], "format": "uuid"},
        "excluded_endpoints": _ENDPOINTS,
    },
    ("name",),
    {"id": 1, "organization": "org_acme", "name": "shop-api", "client_id": "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9",
     "excluded_endpoints": [{"method": "GET", "path": "/healthz"}]},
    sees=("organization", "app"), **_IN_ORGANIZATION,
)
_IN_APP: dict[str, Any] = {"parent": "app", "parent_schema": _NUMBER, "filters": ("organization", "app")}
ENVIRONMENT = Resource(
    "environment", "environment", "environments", "environment", _NUMBER, {"name": _TEXT}, ("app", "name"),
    {"id": 1, "app": 1, "name": "prod"}, sees=("organization", "app", "environment"), **_IN_APP,
)
CONSUMER = Resource(
    "consumer", "consumer", "consumers", "consumer", _NUMBER,
    {"identifier": _TEXT, "name": _TEXT_OR_NULL, "group": _TEXT_OR_NULL}, ("app", "identifier"),
    {"id": 7, "app": 1, "identifier": "alice", "name": "Alice", "group": None},
    sees=("organization", "app", "consumer"), **_IN_APP,
)
SPACE = Resource(
    "space", "space", "spaces", "space", _NUMBER, {"name": _TEXT}, ("name",),
    {"id": 123, "organization": "org_acme", "name": "Blog"}, sees=("organization", "space"), **_IN_ORGANIZATION,
)

RESOURCES = (
    REGION, EXPORTER, ORGANIZATION, PROJECT, SERVER, VPN_INSTANCE, PEER, APP, ENVIRONMENT, CONSUMER, SPACE,
)

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
PAGE_PARAMS = (
    Param("limit", "Objects per page", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT,
                                        "default": DEFAULT_LIMIT}, example=100),
    Param("next_token", "Where the page before ended, as it said; with the same other parameters"),
)
FILTER_PARAMS = {
    "organization": Param("organization", "Only what belongs to this organization: id", example="org_acme"),
    "project": Param("project", "Only servers that are in this project now: id", example="proj_lkg1DekRdvZE5"),
    "region": Param("region", "Only servers that are in this region now: slug", example="brazil"),
    "app": Param("app", "Only what belongs to this app: id", _NUMBER, example=1),
}


def page_of(item: Mapping[str, Any], example: Mapping[str, Any], what: str) -> Documented:
    """A list in an answer."""
    schema = {
        "type": "object",
        "required": ["data", "has_more", "next_token"],
        "properties": {
            "data": {"type": "array", "items": item},
            "has_more": {"type": "boolean"},
            "next_token": {"type": ["string", "null"]},
        },
    }
    return Documented(what, {JSON: schema}, {"data": [example], "has_more": False, "next_token": None})


_ACTION = {"type": "object", "required": ["kind", "id"],
           "properties": {"kind": {"type": "string"}, "id": {"type": ["string", "integer"]}}}
_CHANGE = {"type": "object", "required": ["kind", "id", "fields"], "properties": {
    **_ACTION["properties"],  # type: ignore[dict-item]  # a mapping, as it stands above
    "fields": {"type": "object", "description": "By name: [old, new]",
               "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2}}}}
PLAN = Documented(
    "What was done, or on a dry run would be; `leave` counts what is as declared already",
    {JSON: {
        "type": "object",
        "required": ["create", "change", "delete", "leave"],
        "properties": {
            "create": {"type": "array", "items": _ACTION},
            "change": {"type": "array", "items": _CHANGE},
            "delete": {"type": "array", "items": _ACTION},
            "leave": {"type": "integer", "minimum": 0},
        },
    }},
    {"create": [{"kind": "server", "id": "sv_A05EdQ50dvKYQ"}],
     "change": [{"kind": "project", "id": "proj_lkg1DekRdvZE5", "fields": {"price": [400, 500]}}],
     "delete": [], "leave": 8},
)
_DOCUMENT = {"type": "object", "properties": {
    "regions": {"type": "array", "items": {"type": "object"}},
    "exporters": {"type": "array", "items": {"type": "object"}},
    "organizations": {"type": "array", "items": {"type": "object"}}}}
_DOCUMENT_EXAMPLE = {
    "regions": [REGION.example],
    "exporters": [EXPORTER.example],
    "organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme Hosting", "spaces": [
        {"id": 123, "name": "Blog"}]}],
}
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
DOCUMENT_BODY = Documented(
    "The catalog file", {JSON: _DOCUMENT, **dict.fromkeys(YAML_TYPES, _DOCUMENT)}, _DOCUMENT_EXAMPLE
)
DOCUMENT_ANSWER = Documented("The catalog, as a file that changes nothing", {JSON: _DOCUMENT}, _DOCUMENT_EXAMPLE)
_FLAG = {"type": "string", "enum": ["true", "false", "1", "0"], "default": "false"}
APPLY_PARAMS = (
    Param("dry_run", "Only say what would be done", _FLAG, example="true"),
    Param("prune", "Also delete what the lists of the file do not hold; usage stays", _FLAG, example="false"),
)
