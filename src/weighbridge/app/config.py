"""Settings: one table, from which flags, WEIGHBRIDGE_* variables, keys of weighbridge.toml, checks and docs all follow.

Flags beat variables, which beat the file, which beats defaults. Secrets come from variables or from files of their own,
never from weighbridge.toml. Only the standard library: `weighbridge --help` reads this table too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.app.setting_kinds import Choice, Days, File, Integer, Names, Switch, Text, WrongValueError
from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from weighbridge.app.setting_kinds import Kind

FILE_NAME = "weighbridge.toml"
"""Read from the current folder if it is there and no other file is named."""
PREFIX = "WEIGHBRIDGE_"
CLIENT_VARIABLES = ("WEIGHBRIDGE_URL", "WEIGHBRIDGE_KEY")
"""Variables of the commands that talk to a server; no settings of the server itself."""
MIDDLEWARE_VARIABLES = ("WEIGHBRIDGE_APP", "WEIGHBRIDGE_ENVIRONMENT")
"""Variables of weighbridge.asgi and weighbridge.wsgi, which may stand in one environment with the server's."""
CONFIG_VARIABLE = "WEIGHBRIDGE_CONFIG"
HIDDEN = "****"
"""What stands where a secret would."""
MAX_FILE_BYTES = 4 * 1024 * 1024
"""Largest weighbridge.toml or secret file, room for MAX_TABLES devices: more is a mistake, not a setting."""


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """Whose tokens are believed (`GET /vpn/instances/{id}/bandwidth`). Nobody's unless `issuer` is set."""

    issuer: str | None = None
    audience: str | None = None
    algorithms: tuple[str, ...] = ("HS256", "RS256", "ES256", "EdDSA")
    secret: str | None = field(default=None, repr=False)
    jwks_file: Path | None = None
    organization_claim: str = "org"
    leeway_s: int = 30


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may set. Every field stands in SETTINGS, which says what it means. Paths are absolute."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    no_host: bool = False
    host_interval_s: int = 10
    admin_key: str | None = field(default=None, repr=False)
    rate_limits: str = "on"
    latitude_calls_per_min: int = 60
    apitally_calls_per_min: int = 100
    storyblok_calls_per_s: int = 6
    altostrat_calls_per_min: int = 60
    log_level: str = "info"
    log_format: str = "text"
    retention_days_5m: int | None = None
    retention_days_30m: int | None = None
    retention_days_1d: int | None = None
    retention_days_flows: int | None = 35
    duckdb_memory_mb: int = 160
    duckdb_threads: int = 2
    handler_threads: int = 8
    jwt: JwtSettings = JwtSettings()
    sources: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # by source: its tables of [[sources.NAME]]


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table. `name` is dotted where it stands in a section of the file; `default` as it is written."""

    name: str
    kind: Kind
    default: str | None
    meaning: str
    is_secret: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.replace(".", "_").upper()

    @property
    def flag(self) -> str | None:
        """Its flag of `weighbridge serve`. None for secrets, because process lists show flags, and for sections."""
        if self.is_secret or "." in self.name:
            return None
        return "--" + self.name.replace("_", "-")

    @property
    def file_key(self) -> str | None:
        """Its key in weighbridge.toml; None for secrets."""
        return None if self.is_secret else self.name


SETTINGS: tuple[Setting, ...] = (
    Setting("data", File(), "weighbridge-data", "Folder that holds everything: journal, usage, catalog, admin key."),
    Setting("host", Text("127.0.0.1"), "127.0.0.1", "Address to listen on; 0.0.0.0 is every IPv4 address, :: all."),
    Setting("port", Integer(0, 65_535, 8080), "8080", "TCP port to listen on; 0 takes any that is free."),
    Setting("no_host", Switch(), "false", "Do not meter this machine's own interfaces (no organization `local`)."),
    Setting("host_interval_s", Integer(1, 3600, 10), "10", "Seconds between readings of this machine's interfaces."),
    Setting(
        "admin_key",
        Text("what `openssl rand -hex 20` prints"),
        None,
        "Key with scope `admin`. Otherwise one is generated at the first start, printed once and kept in "
        "DATA/admin.key.",
        is_secret=True,
    ),
    Setting("rate_limits", Choice("on", "off"), "on", "Whether the vendors' endpoints limit calls per key."),
    Setting(
        "latitude_calls_per_min",
        Integer(1, 1_000_000, 60),
        "60",
        "Calls a minute and key at each of /traffic and /traffic/quota.",
    ),
    Setting(
        "apitally_calls_per_min",
        Integer(1, 1_000_000, 100),
        "100",
        "Calls a minute and key at each endpoint under /v1/apps.",
    ),
    Setting(
        "storyblok_calls_per_s",
        Integer(1, 100_000, 6),
        "6",
        "Calls a second and key at /v1/orgs/me/statistics/all_traffic.",
    ),
    Setting(
        "altostrat_calls_per_min",
        Integer(1, 1_000_000, 60),
        "60",
        "Calls a minute and key at each endpoint under /vpn.",
    ),
    Setting("log_level", Choice("debug", "info", "warning", "error"), "info", "What is logged, from this level up."),
    Setting("log_format", Choice("text", "json"), "text", "Lines for people, or one JSON object a line."),
    Setting("retention_days_5m", Days(), "forever", "Days for which 5-minute sums are kept."),
    Setting("retention_days_30m", Days(), "forever", "Days for which 30-minute sums (the billing slots) are kept."),
    Setting("retention_days_1d", Days(), "forever", "Days for which daily sums are kept."),
    Setting(
        "retention_days_flows", Days(), "35",
        "Days for which flows are kept by address, so that `reattribute` can count them for somebody else.",
    ),
    Setting("duckdb_memory_mb", Integer(64, 1_000_000, 160), "160", "Memory that the usage store may use, in MB."),
    Setting("duckdb_threads", Integer(1, 256, 2), "2", "Cores that the usage store may use."),
    Setting("handler_threads", Integer(1, 256, 8), "8", "Requests that are worked on at once."),
    Setting("jwt.issuer", Text("https://login.example.com"), None, "Whose tokens are believed (`iss`)."),
    Setting("jwt.audience", Text("weighbridge"), None, "What `aud` must hold. Unset: not checked."),
    Setting(
        "jwt.algorithms",
        Names("HS256", "RS256", "ES256", "EdDSA"),
        "HS256,RS256,ES256,EdDSA",
        "Signature algorithms that are accepted.",
    ),
    Setting("jwt.secret", Text("the issuer's secret"), None, "Shared secret for HS256.", is_secret=True),
    Setting("jwt.jwks_file", File(), None, "File with the issuer's public keys (a JWK Set)."),
    Setting("jwt.organization_claim", Text("org"), "org", "Claim that holds the organization's id."),
    Setting("jwt.leeway_s", Integer(0, 3600, 30), "30", "Seconds by which clocks may differ at `exp` and `nbf`."),
    # Files that hold a secret: any secret's name with _file behind it.
    Setting("admin_key_file", File(), None, "File that holds the admin key."),
    Setting("jwt.secret_file", File(), None, "File that holds the shared secret for HS256."),
)
"""All settings, in the order in which help and docs list them."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_SECRETS = tuple(setting for setting in SETTINGS if setting.is_secret)


@dataclass(slots=True)
class _Found:
    """What has been found so far: the winning value of each setting and where it stood, and what is wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    tables: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    tables_in: str = ""

    def put(self, setting: Setting, written: object, source: str, folder: Path) -> None:
        """Take a value, unless a stronger one is there; it is checked either way."""
        try:
            value = setting.kind.read(written, folder)
        except WrongValueError as error:
            shown = "this" if setting.is_secret else repr(written)
            self.faults.append(f"{source}: {shown} {error}")
            return
        if setting.name not in self.values:
            self.values[setting.name] = value
            self.sources[setting.name] = source


def load(flags: Mapping[str, str], environ: Mapping[str, str], cwd: Path) -> tuple[Settings, dict[str, str]]:
    """The settings, and for each of them by name where its value comes from.

    `flags` are those that were given: names of settings (and `config`, a file) to texts, `"true"` for switches.
    InvalidInputError lists everything that is wrong, a line each: where it stands, what is wrong, what would be right.
    """
    found = _Found()
    for name, text in flags.items():
        if name != "config":
            setting = _BY_NAME[name]
            found.put(setting, text, setting.flag or setting.variable, cwd)
    _take_variables(found, environ, cwd)
    path = _config_path(flags, environ, cwd)
    if path is not None:
        _take_file(found, path)
    _take_secret_files(found)
    for setting in SETTINGS:
        if setting.name not in found.values:
            found.values[setting.name] = None if setting.default is None else setting.kind.read(setting.default, cwd)
            found.sources[setting.name] = "default"
    _check_together(found)
    if found.faults:
        raise InvalidInputError("\n".join(found.faults))
    found.sources |= dict.fromkeys((f"sources.{name}" for name in found.tables), found.tables_in)
    return _settings_of(found.values, found.tables), found.sources


def shown(settings: Settings, sources: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Name, value as a text (secrets hidden) and source of every setting, in the order of SETTINGS."""
    rows = []
    for setting in SETTINGS:
        if setting.name.endswith("_file") and setting.name.removesuffix("_file") in _BY_NAME:
            continue  # it says where a secret comes from; the secret's own source names it
        section, _, key = setting.name.rpartition(".")
        value = getattr(settings.jwt if section else settings, key)
        text = HIDDEN if setting.is_secret and value is not None else setting.kind.write(value)
        rows.append((setting.name, text, sources[setting.name]))
    for name, tables in settings.sources.items():
        from weighbridge.app.source_settings import show_source  # noqa: PLC0415  only where there are sources

        rows += [(f"sources.{name}", show_source(table), sources[f"sources.{name}"]) for table in tables]
    return rows


def _take_variables(found: _Found, environ: Mapping[str, str], cwd: Path) -> None:
    by_variable = {setting.variable: setting for setting in SETTINGS}
    known = [*by_variable, *CLIENT_VARIABLES, *MIDDLEWARE_VARIABLES, CONFIG_VARIABLE]
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        if variable not in known:
            found.faults.append(f"{variable}: there is no such setting{_nearest(variable, known)}")
        elif variable in by_variable and environ[variable]:  # an empty variable is as good as none
            found.put(by_variable[variable], environ[variable], variable, cwd)


def _config_path(flags: Mapping[str, str], environ: Mapping[str, str], cwd: Path) -> Path | None:
    named = flags.get("config") or environ.get(CONFIG_VARIABLE)
    if named:
        return cwd / Path(named).expanduser()
    path = cwd / FILE_NAME
    return path if path.is_file() else None


def _take_file(found: _Found, path: Path) -> None:
    try:
        table = tomllib.loads(_read_text(path))
    except (OSError, ValueError) as error:
        found.faults.append(f"{path}: {_reason(error)}; the settings file must be readable TOML")
        return
    section = table.pop("sources", None)
    if section is not None:
        from weighbridge.app.source_settings import read_sources  # noqa: PLC0415  only where there are sources

        found.tables, faults = read_sources(section, path.parent, path.name)
        found.faults += faults
        found.tables_in = path.name
    known = [setting.file_key for setting in SETTINGS if setting.file_key]
    sections = {name.partition(".")[0] for name in known if "." in name}
    for name, value in _flat(table, sections):
        source = f"{path.name}: {name}"
        setting = _BY_NAME.get(name)
        if name in sections:
            found.faults.append(f"{source}: {value!r} must be a section; write [{name}] on a line of its own")
        elif setting is None:
            found.faults.append(f"{source}: there is no such setting{_nearest(name, known)}")
        elif setting.is_secret:
            found.faults.append(
                f"{source}: secrets do not stand in this file; set the variable {setting.variable}, or put the secret "
                f"in a file of its own and name that as {name}_file"
            )
        else:
            found.put(setting, value, source, path.parent)


def _flat(table: Mapping[str, Any], sections: set[str]) -> list[tuple[str, Any]]:
    """Pairs of dotted name and value; unknown tables stay whole, so that one fault names them."""
    pairs: list[tuple[str, Any]] = []
    for key, value in table.items():
        if key in sections and isinstance(value, Mapping):
            pairs += [(f"{key}.{inner}", each) for inner, each in value.items()]
        else:
            pairs.append((key, value))
    return pairs


def _take_secret_files(found: _Found) -> None:
    for secret in _SECRETS:
        path = found.values.get(f"{secret.name}_file")
        if path is None:
            continue
        source = f"{found.sources[f'{secret.name}_file']} ({path})"
        if secret.name in found.values:
            found.faults.append(f"{source}: {secret.variable} is set too; keep one of the two")
            continue
        try:
            text = _read_text(path).strip()
        except (OSError, ValueError) as error:
            found.faults.append(f"{source}: {_reason(error)}; the file must hold the secret and nothing else")
            continue
        found.put(secret, text, source, path.parent)


def _check_together(found: _Found) -> None:
    """Settings that make no sense without one another."""
    values = found.values
    if values["jwt.issuer"] and not (values["jwt.secret"] or values["jwt.jwks_file"]):
        found.faults.append(
            f"{found.sources['jwt.issuer']}: an issuer without keys is believed nothing; set WEIGHBRIDGE_JWT_SECRET, "
            "jwt.secret_file or jwt.jwks_file too"
        )
    for name in ("jwt.secret", "jwt.jwks_file"):
        if values[name] and not values["jwt.issuer"]:
            found.faults.append(f"{found.sources[name]}: keys without an issuer; set jwt.issuer too")


def _settings_of(values: Mapping[str, Any], tables: Mapping[str, tuple[Any, ...]]) -> Settings:
    kept = {name: value for name, value in values.items() if not name.endswith(("key_file", "secret_file"))}
    jwt = JwtSettings(**{name.removeprefix("jwt."): kept.pop(name) for name in list(kept) if name.startswith("jwt.")})
    return Settings(**kept, jwt=jwt, sources=tables)


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        msg = f"it is larger than {MAX_FILE_BYTES} bytes"
        raise ValueError(msg)
    return data.decode()


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def _nearest(name: str, known: list[str]) -> str:
    bare = {each.removeprefix(PREFIX): each for each in known}
    near = get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.5)
    return f"; did you mean {bare[near[0]]}?" if near else "; docs/configuration.md lists all"
