"""Lines that are JSON objects: nginx, Caddy, Traefik, Envoy, and any other by a map of fields.

Sources: nginx ngx_http_log_module (`escape=json`); Caddy, "log" and its access log objects; Traefik, "Access logs";
Envoy, "Access logging", format dictionaries.

Each field may stand under several keys; the first that is there and not null tells. DuckDB's reader is a bit lax (commas
before a closing bracket, nan and inf); so is this one, so that a line means the same to both.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.log.lines import Line, Plan, read_amount
from weighbridge.sources.log.rules import HOST, BadLineError
from weighbridge.sources.log.times import find_shape, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weighbridge.sources.log.lines import Wanted

MAX_BRACKETS: Final = 500
"""Most opening brackets of a line: far above any access log, and so few that no reader runs out of stack."""
MAX_DEPTH: Final = 8
"""Most objects around a field that is named in the settings."""

Key: TypeAlias = tuple[str, ...]
Keys: TypeAlias = tuple[Key, ...]


class Fields(NamedTuple):
    """Keys by field. `needs_bytes_out`: lines without are about something else than a request, and bad."""

    time: Keys
    method: Keys = ()
    path: Keys = ()
    request: Keys = ()
    host: Keys = ()
    bytes_in: Keys = ()
    bytes_out: Keys = ()
    needs_bytes_out: bool = False


def _keys(*names: str) -> Keys:
    return tuple(tuple(name.split(".")) for name in names)


NGINX: Final = Fields(
    time=_keys("time_iso8601", "time_local", "msec", "@timestamp", "timestamp", "time"),
    method=_keys("request_method", "method"),
    path=_keys("request_uri", "uri"),
    request=_keys("request"),
    host=_keys("host", "http_host", "server_name"),
    bytes_in=_keys("request_length"),
    bytes_out=_keys("bytes_sent", "body_bytes_sent"),
)
CADDY: Final = Fields(
    time=_keys("ts"),
    method=_keys("request.method"),
    path=_keys("request.uri"),
    host=_keys("request.host"),
    bytes_in=_keys("bytes_read"),
    bytes_out=_keys("size"),
    needs_bytes_out=True,
)
TRAEFIK: Final = Fields(
    time=_keys("StartUTC", "StartLocal", "time"),
    method=_keys("RequestMethod"),
    path=_keys("RequestPath"),
    host=_keys("RequestHost", "RequestAddr"),
    bytes_in=_keys("RequestContentSize"),
    bytes_out=_keys("DownstreamContentSize"),
)
ENVOY: Final = Fields(
    time=_keys("start_time", "timestamp"),
    method=_keys("method", ":method", "req_method"),
    path=_keys("x_envoy_original_path", "x-envoy-original-path", "path", ":path"),
    host=_keys("authority", ":authority", "host"),
    bytes_in=_keys("bytes_received"),
    bytes_out=_keys("bytes_sent"),
)

_LAX = re.compile(
    r'("(?:[^"\\]|\\.)*+")|,(?=[ \t\r\n]*+[}\]])|(-?)(?:(nan)|inf(?:inity)?)\b', re.IGNORECASE | re.DOTALL
)
_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f]")


def find_fields(written: Mapping[str, str]) -> Fields:
    """The fields of the format `json`. InvalidInputError: they do not tell the time."""
    if "time" not in written:
        raise InvalidInputError('fields must say where the time stands, as in fields = {time = "ts"}', where="fields.time")
    for name, key in written.items():
        _check_key(key, f"fields.{name}")
    return Fields(**{name: _written(key) for name, key in written.items()})  # type: ignore[arg-type]


def _written(key: str) -> Keys:
    """Where a key of the settings may stand: its dots go into objects, or belong to it."""
    return tuple(dict.fromkeys((tuple(key.split(".")), (key,))))


def _check_key(key: str, where: str) -> None:
    parts = key.split(".")
    if not all(parts) or len(parts) > MAX_DEPTH or _UNNAMEABLE.search(key):
        raise InvalidInputError(
            f"{where} {key!r} is no key; write it as in request.host, where dots go into objects, at most {MAX_DEPTH} deep",
            where=where,
        )


class JsonFormat:
    """Lines that are objects with these fields. `variables` are names of nginx that stand under other keys."""

    odd = b""
    separator = b""
    ascii_only = False
    nested = True

    def __init__(self, fields: Fields, wanted: Wanted, variables: Mapping[str, Keys] | None = None) -> None:
        self._fields = fields
        self._names = tuple(self._find_name(name, variables) for name in wanted.names)
        self._request = (fields.method, fields.path, fields.request) if wanted.request else ((), (), ())
        if wanted.request and not (fields.path or fields.request):
            raise InvalidInputError(
                "rules or endpoints ask for the path; say in fields where path (or request) stands", where="fields"
            )

    def _find_name(self, name: str, variables: Mapping[str, Keys] | None) -> Keys:
        if name == HOST:
            if not self._fields.host:
                raise InvalidInputError("format tells no host; say in fields where host stands", where=HOST)
            return self._fields.host
        if variables is not None:
            if name[1:] not in variables:
                raise InvalidInputError(
                    f"format has no {name}; it has {', '.join('$' + each for each in variables)}", where=name
                )
            return variables[name[1:]]
        _check_key(name[1:], name)
        return _written(name[1:])

    def read(self, line: str) -> Line:
        """What the line tells. BadLineError: it is no line of this format."""
        found = read_object(line)
        fields = self._fields
        time = _scalar(_get(found, fields.time))
        if time is None:
            raise BadLineError(f"no time under {' or '.join('.'.join(key) for key in fields.time)}")
        bytes_in, bytes_out = _amount(found, fields.bytes_in), _amount(found, fields.bytes_out)
        if bytes_out is None and fields.needs_bytes_out:
            raise BadLineError(f"no {'.'.join(fields.bytes_out[0])}: it is about no request")
        names = tuple(_text(_get(found, keys)) for keys in self._names)
        method, path, request = (_plain(_get(found, keys)) for keys in self._request)
        return Line(time, bytes_in, bytes_out, names, (method, path, request))

    def plan(self, sample: str) -> Plan | None:
        """How DuckDB reads lines like this one. None: it cannot, or the line is no such line."""
        found = read_object(sample)
        shape = find_shape(self.read(sample).time)
        columns = _Columns(found)
        fields = self._fields
        amounts = tuple(columns.find(keys, "VARCHAR") for keys in (fields.bytes_in, fields.bytes_out))
        time = columns.find(fields.time, "VARCHAR")
        names = tuple(columns.find(keys, "JSON") or "NULL" for keys in self._names)
        method, path, request = (columns.find(keys, "VARCHAR") or "NULL" for keys in self._request)
        reader = columns.reader()
        if shape is None or time is None or reader is None:
            return None
        return Plan(
            reader=reader,
            time=(time,),
            shape=shape,
            bytes_in=amounts[0],
            bytes_out=amounts[1],
            names=names,
            request=(method, path, request) if any(self._request) else None,
            good=(*columns.good, *((f"{amounts[1]} IS NOT NULL",) if fields.needs_bytes_out else ())),
            may_lack_bytes=True,
        )

    def value(self, text: str | None) -> str:
        """The value of a JSON text that DuckDB found. BadLineError: it is none."""
        if not text:
            return ""
        try:
            return _text(json.loads(text))
        except ValueError:
            raise BadLineError("no JSON") from None


    @staticmethod
    def unescape(text: str) -> str:
        """The text: DuckDB has read it."""
        return text


def read_object(line: str) -> dict[str, object]:
    """The object that a line is. BadLineError: it is none."""
    if line.count("[") + line.count("{") > MAX_BRACKETS:
        raise BadLineError(f"more than {MAX_BRACKETS} brackets")
    line = line.removeprefix("\ufeff")
    try:
        found = _load(line)
    except (ValueError, RecursionError):
        raise BadLineError("no JSON") from None
    if not isinstance(found, dict):
        raise BadLineError("no JSON object")
    return found


def _load(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return json.loads(_LAX.sub(_strict, line))


def _strict(found: re.Match[str]) -> str:
    text, sign, nan = found.groups()
    if sign is None:
        return text or ""
    return f"{sign}Infinity" if sign or not nan else "NaN"


def _get(found: object, keys: Keys) -> object:
    """The value under the first of the keys that has one."""
    for key in keys:
        value = found
        for part in key:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _scalar(value: object) -> str | None:
    """A number or a text as text; None: it is neither."""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _amount(found: object, keys: Keys) -> int | None:
    value = _get(found, keys)
    if value is None:
        return None
    return read_amount(_scalar(value) or "", next(".".join(key) for key in keys))


def _text(value: object) -> str:
    """A value as the text that rules see; of a list, such as the values of a header, the first one."""
    if isinstance(value, list):
        value = value[0] if value and isinstance(value[0], str) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return _scalar(value) or ""


def _plain(value: object) -> str:
    """A part of a request as text; what is neither text nor number is something that cannot stand in one."""
    return _text(value) if not isinstance(value, list | dict) else "["


class _Columns:
    """The columns that DuckDB must read, and what must hold for them to mean what they mean in a sample."""

    def __init__(self, sample: Mapping[str, object]) -> None:
        self._sample = sample
        self._types: dict[str, object] = {}  # by key: a type, or the same of an object
        self._impossible = False
        self.good: list[str] = []

    def find(self, keys: Keys, kind: str) -> str | None:
        """SQL for the value that tells in the sample; None: none does, and then none may tell in any row."""
        for key in keys:
            column = self._add(key, kind)
            if _get(self._sample, (key,)) is not None:
                if key != keys[-1]:
                    self.good.append(f"{column} IS NOT NULL")
                return column
            self.good.append(f"{column} IS NULL")
        return None

    def _add(self, key: Key, kind: str) -> str:
        """A column, or a part of one. A key that is wanted in two ways makes it impossible."""
        types = self._types
        for part in key[:-1]:
            inner = types.setdefault(part, {})
            if not isinstance(inner, dict):
                self._impossible = True
                return "NULL"
            types = inner
        if types.setdefault(key[-1], kind) != kind:
            self._impossible = True
        column = f'r."{_identifier(key[0])}"'
        for part in key[1:]:
            column = f"struct_extract({column}, {quoted(part)})"
        return column

    def reader(self) -> str | None:
        """DuckDB's reader of them; None: there is none."""
        if self._impossible or _is_ambiguous(self._types):
            return None
        columns = ", ".join(f"{quoted(name)}: {quoted(_type(kind))}" for name, kind in self._types.items())
        return f"read_json('{{path}}', format = 'newline_delimited', columns = {{{columns}}}, compression = 'none') AS r"


def _identifier(name: str) -> str:
    return name.replace('"', '""')


def _type(kind: object) -> str:
    if isinstance(kind, dict):
        return "STRUCT(" + ", ".join(f'"{_identifier(name)}" {_type(inner)}' for name, inner in kind.items()) + ")"
    return str(kind)


def _is_ambiguous(types: Mapping[str, object]) -> bool:
    """Whether names differ in nothing but case, which DuckDB does not tell apart."""
    inner: Sequence[Mapping[str, object]] = [kind for kind in types.values() if isinstance(kind, dict)]
    return len({name.lower() for name in types}) < len(types) or any(_is_ambiguous(each) for each in inner)
