"""What a `[[sources.log]]` table of the settings file says: which file, how its lines are written, whose traffic they are.

Everything here was written by a person: what is wrong is named by its key, with what would be right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from weighbridge.domain.errors import InvalidInputError
from weighbridge.measurement import MAX_NAME, MAX_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS: Final = (
    "common", "combined", "json", "nginx-json", "caddy", "traefik", "envoy", "alb", "cloudfront",
)
"""Formats with a name; whatever else is one holds a `$` and is an nginx log_format string."""
JSON_FIELDS: Final = ("time", "request", "method", "path", "host", "bytes_in", "bytes_out")
"""What `fields` may say the place of, for the format `json`."""
MAX_RULES: Final = 1000
"""Rules of one log: each is looked at for each distinct host and path."""
MAX_ENDPOINTS: Final = 1000
"""Endpoint templates of one log: more than any API that is written by hand has."""
MAX_FORMAT: Final = 4096
"""Longest log_format string, in characters."""
MAX_NUMBER: Final = 10**16 - 1
"""Largest number of an app or a space."""

_EXAMPLE: Final = 'path = "/var/log/nginx/access.log", format = "combined", app = 1'
_EXAMPLES: Final = {
    "path": 'path = "/var/log/nginx/access.log"',
    "format": 'format = "combined"',
    "fields": 'fields = {time = "ts", bytes_out = "size", host = "request.host"}',
    "app": "app = 1",
    "space": "space = 123",
    "environment": 'environment = "prod"',
    "consumer": 'consumer = "$remote_user"',
    "endpoints": 'endpoints = ["/items/{id}", "/healthz"]',
    "rules": 'rules = [{host = "api.example.com", prefix = "/v2/", app = 1}]',
    "host": 'host = "api.example.com"',
    "prefix": 'prefix = "/v2/"',
    "field": 'field = "$http_x_tenant", equals = "acme"',
    "equals": 'field = "$http_x_tenant", equals = "acme"',
    "asset": "asset = true",
}
"""What would be right, by key."""

Number = Annotated[int, msgspec.Meta(ge=1, le=MAX_NUMBER)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH)]
NameOrField = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lines that meet all its conditions, and what they belong to. The first rule of a log that holds takes a line."""

    host: Text | None = None
    prefix: Text | None = None
    field: Text | None = None  # "$name" of the line
    equals: Annotated[str, msgspec.Meta(max_length=MAX_PATH)] | None = None
    app: Number | None = None
    space: Number | None = None
    environment: NameOrField | None = None  # otherwise the log's
    consumer: NameOrField | None = None  # otherwise the log's
    asset: bool = False


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[sources.log]]`. `app`, `space`: what lines belong to that no rule takes."""

    path: Text
    format: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_FORMAT)]
    fields: dict[str, Text] = {}
    app: Number | None = None
    space: Number | None = None
    environment: NameOrField | None = None
    consumer: NameOrField | None = None
    endpoints: Annotated[tuple[Text, ...], msgspec.Meta(max_length=MAX_ENDPOINTS)] = ()
    rules: Annotated[tuple[Rule, ...], msgspec.Meta(max_length=MAX_RULES)] = ()


def read_settings(table: Mapping[str, object]) -> LogSettings:
    """The settings of one table, as TOML made it. InvalidInputError: something is wrong; `where` names the key."""
    try:
        settings = msgspec.convert(dict(table), LogSettings)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        where = place.removesuffix("`").lstrip(".") or None
        at = f"{where}: " if where else ""
        raise InvalidInputError(f"{at}{said}; {_hint(said, where)}", where=where) from error
    check_settings(settings)
    return settings


def _hint(said: str, where: str | None) -> str:
    if "unknown field" in said:
        known = Rule if where else LogSettings
        return f"known there: {', '.join(known.__struct_fields__)}"
    return f"write it as in {_EXAMPLES.get((where or '').rpartition('.')[2].partition('[')[0], _EXAMPLE)}"


def check_settings(settings: LogSettings) -> None:
    """Nothing, if the settings make sense by themselves. InvalidInputError: they do not; `where` names the key."""
    _check_format(settings)
    if "\0" in settings.path:
        raise InvalidInputError("path holds a NUL character; give the path of a file", where="path")
    if settings.app is not None and settings.space is not None:
        raise InvalidInputError("app and space are both given; a line belongs to one: keep one of the two", where="app")
    if settings.app is None and settings.space is None and not settings.rules:
        raise InvalidInputError("nothing says whose the lines are; give app, space or rules", where="app")
    for number, rule in enumerate(settings.rules):
        _check_rule(rule, f"rules[{number}]")
    for number, template in enumerate(settings.endpoints):
        _check_endpoint(template, f"endpoints[{number}]")
    for name in ("environment", "consumer"):
        _check_name(getattr(settings, name), name)


def _check_format(settings: LogSettings) -> None:
    if settings.format not in FORMATS and "$" not in settings.format:
        raise InvalidInputError(
            f"format {settings.format!r} is none of {', '.join(FORMATS)}, and no nginx log_format string, "
            "which would hold a $",
            where="format",
        )
    if settings.fields and settings.format != "json":
        raise InvalidInputError('fields goes with format = "json" only; the other formats know their fields', where="fields")
    for name in settings.fields:
        if name not in JSON_FIELDS:
            raise InvalidInputError(f"fields names {name!r}; known there: {', '.join(JSON_FIELDS)}", where=f"fields.{name}")


def _check_rule(rule: Rule, where: str) -> None:
    if (rule.app is None) == (rule.space is None):
        raise InvalidInputError(f"{where} must name whose its lines are: app = 1 or space = 123, one of the two", where=where)
    if (rule.field is None) != (rule.equals is None):
        raise InvalidInputError(f"{where}: field and equals go together, as in {_EXAMPLES['field']}", where=where)
    if rule.field is not None and (not rule.field.startswith("$") or rule.field == "$"):
        raise InvalidInputError(f"{where}.field must be a field of the line such as $http_x_tenant", where=f"{where}.field")
    if rule.prefix is not None and not rule.prefix.startswith("/"):
        raise InvalidInputError(f"{where}.prefix must begin with /, as in /v2/", where=f"{where}.prefix")
    if rule.asset and rule.space is None:
        raise InvalidInputError(f"{where}: asset goes with space; an app has endpoints instead", where=f"{where}.asset")
    if rule.space is not None and (rule.environment or rule.consumer):
        raise InvalidInputError(f"{where}: environment and consumer go with app; a space has neither", where=where)
    for name in ("environment", "consumer"):
        _check_name(getattr(rule, name), f"{where}.{name}")


def _check_endpoint(template: str, where: str) -> None:
    """A template is a path of segments; a segment in braces, such as {id}, is any one segment."""
    good = template.startswith("/") and not any(mark in template for mark in "?# ") and template.isprintable()
    for segment in template.split("/"):
        is_name = segment.startswith("{") and segment.endswith("}") and len(segment) > len("{}")
        good &= is_name or ("{" not in segment and "}" not in segment)
    if not good:
        raise InvalidInputError(
            f"{where} {template!r} is no template; write a path in which whole segments may stand in braces, as in "
            "/items/{id}",
            where=where,
        )


def _check_name(name: str | None, where: str) -> None:
    if name is not None and (not name.isprintable() or name == "$"):
        raise InvalidInputError(f"{where} must be a name such as prod, or a field such as $remote_user", where=where)
