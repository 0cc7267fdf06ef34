"""The formats by name, and those that are written out as an nginx log_format string."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.log.amazon import AlbFormat, CloudFrontFormat
from weighbridge.sources.log.lines import Wanted
from weighbridge.sources.log.objects import CADDY, ENVOY, NGINX, TRAEFIK, Fields, JsonFormat, find_fields
from weighbridge.sources.log.rules import BadLineError
from weighbridge.sources.log.text import (
    BYTES_IN,
    BYTES_OUT,
    COMBINED,
    COMMON,
    HOSTS,
    TIMES,
    VARIABLE,
    TextFormat,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weighbridge.sources.log.lines import Format, Line
    from weighbridge.sources.log.objects import Keys
    from weighbridge.sources.log.rules import Rules
    from weighbridge.sources.log.settings import LogSettings

_VALUE = re.compile(r'"(?:[^"\\]|\\.)*+"|' + VARIABLE.pattern, re.ASCII)
_TEXTS = {"common": COMMON, "combined": COMBINED}
_OBJECTS = {"nginx-json": NGINX, "caddy": CADDY, "traefik": TRAEFIK, "envoy": ENVOY}


def make_format(settings: LogSettings, rules: Rules) -> Format:
    """The format of a log. InvalidInputError: it makes no sense, or does not tell what the settings ask for."""
    try:
        return _make(settings, Wanted(rules.names, rules.wants_request(host_in_request=settings.format == "alb")))
    except InvalidInputError as error:
        where = rules.asked.get(error.where or "")
        if where is None:
            raise
        raise InvalidInputError(f"{where}: {error.detail}", where=where) from error


def _make(settings: LogSettings, wanted: Wanted) -> Format:
    name = settings.format
    if name in _TEXTS:
        return TextFormat(_TEXTS[name], wanted, f"format {name}")
    if name in _OBJECTS:
        return JsonFormat(_OBJECTS[name], wanted)
    if name == "json":
        return JsonFormat(find_fields(settings.fields), wanted)
    if name == "alb":
        return AlbFormat(wanted)
    if name == "cloudfront":
        return CloudFrontFormat(wanted)
    variables = _find_template(name)
    return TextFormat(name, wanted) if variables is None else TemplateFormat(name, variables, wanted)


def _find_template(text: str) -> dict[str, Keys] | None:
    """The keys by variable of a log_format string that writes JSON objects, None: it writes something else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return dict(_find_variables(json.loads(_VALUE.sub(_in_quotes, text)), ()))
    except (ValueError, RecursionError):
        return None


def _in_quotes(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else f'"{found[0]}"'


def _find_variables(found: object, around: tuple[str, ...]) -> Iterator[tuple[str, Keys]]:
    """Each variable that is all of a value, with the key of that."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _find_variables(value, (*around, key))
    elif isinstance(found, str) and (variable := VARIABLE.fullmatch(found)):
        yield variable[1] or variable[2], (around,)


class TemplateFormat(JsonFormat):
    """Objects that nginx writes by a log_format string.

    Such a line may be no JSON, where a variable without quotes has no value: then it is held against the string as written.
    """

    def __init__(self, text: str, variables: Mapping[str, Keys], wanted: Wanted) -> None:
        super().__init__(_fields_of(variables), wanted, variables)
        try:
            self._text: TextFormat | None = TextFormat(text, wanted)
        except InvalidInputError:  # variables side by side in a value that nobody asks for
            self._text = None

    def read(self, line: str) -> Line:
        """What the line tells. BadLineError: it is no line of this format."""
        try:
            return super().read(line)
        except BadLineError:
            if self._text is None:
                raise
            return self._text.read(line)


def _fields_of(variables: Mapping[str, Keys]) -> Fields:
    """InvalidInputError: no variable tells the time."""
    def keys(*names: str) -> Keys:
        return tuple(key for name in names for key in variables.get(name, ()))

    if not keys(*TIMES):
        raise InvalidInputError("format tells no time; add $time_iso8601 to the server's log_format", where="format")
    return Fields(
        time=keys(*TIMES),
        method=keys("request_method"),
        path=keys("request_uri") or (() if "request" in variables else keys("uri")),
        request=keys("request"),
        host=keys(*HOSTS),
        bytes_in=keys(*BYTES_IN),
        bytes_out=keys(*BYTES_OUT),
    )
