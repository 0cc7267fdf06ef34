"""What a `[[sources.snmp]]` table of the settings file says: which device, how it is asked, and which interfaces are read.

Everything here was written by a person: what is wrong is named by its key, with what would be right. Secrets stand in
variables or in files of their own; they are read when the collector starts.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from weighbridge.domain.errors import InvalidInputError
from weighbridge.measurement import MAX_NAME, MAX_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT: Final = 161
MAX_PATTERNS: Final = 1_000
"""Patterns of one device: each is held against the name of each of its interfaces, once."""
MAX_SECRET_BYTES: Final = 4_096
"""Longest file of a secret; a longer one is some other file."""
AUTH: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
"""How v3 proves who asks: HMAC-MD5 and -SHA1 (RFC 3414), HMAC-SHA2 (RFC 7860)."""
PRIVACY: Final = ("des", "aes128", "aes192", "aes256")
"""How v3 encrypts: DES (RFC 3414), AES-128 (RFC 3826), and the longer AES keys that vendors know without an RFC."""
LEAST_KEY: Final = 8
"""Shortest password of a v3 user, in characters (RFC 3414, section 11.2)."""

_EXAMPLE: Final = 'device = "tor-1", address = "192.0.2.1", version = "2c", community_env = "TOR1_COMMUNITY"'
_EXAMPLES: Final = {
    "device": 'device = "tor-1"',
    "address": 'address = "192.0.2.1:161"',
    "version": 'version = "2c" or version = "3"',
    "community_env": 'community_env = "TOR1_COMMUNITY"',
    "community_file": 'community_file = "/etc/weighbridge/tor-1.community"',
    "user": 'user = "weighbridge"',
    "auth": f'auth = "sha256" (or {", ".join(AUTH)})',
    "auth_key_env": 'auth_key_env = "TOR1_AUTH_KEY"',
    "auth_key_file": 'auth_key_file = "/etc/weighbridge/tor-1.auth"',
    "privacy": f'privacy = "aes128" (or {", ".join(PRIVACY)})',
    "privacy_key_env": 'privacy_key_env = "TOR1_PRIVACY_KEY"',
    "privacy_key_file": 'privacy_key_file = "/etc/weighbridge/tor-1.privacy"',
    "engine_id": 'engine_id = "80001f8880…" in hexadecimal digits, or leave it out: it is asked for',
    "interfaces": 'interfaces = ["ge-*", "xe-0/0/1"]',
    "interval_s": "interval_s = 60",
    "timeout_s": "timeout_s = 2.0",
    "retries": "retries = 2",
    "max_repetitions": "max_repetitions = 25",
}
"""What would be right, by key."""
_VERSION_2C_KEYS: Final = ("community_env", "community_file")
_VERSION_3_KEYS: Final = (
    "user", "auth", "auth_key_env", "auth_key_file", "privacy", "privacy_key_env", "privacy_key_file", "key_expansion",
    "engine_id",
)
_LONGEST_HOST: Final = 253
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?", re.ASCII)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
PathText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH)]


class SnmpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One `[[sources.snmp]]`. `interfaces`: patterns of names (`*`, `?`, `[…]`); empty means all."""

    device: Annotated[Name, msgspec.Meta(
        description="Name of the device, as the catalog's interfaces call it",
    )]
    address: Annotated[Name, msgspec.Meta(
        description="Where its agent answers: HOST or HOST:PORT [default port: 161]",
    )]
    version: Annotated[Literal["2c", "3"], msgspec.Meta(
        description="Version of SNMP",
    )] = "2c"
    community_env: Annotated[Name, msgspec.Meta(
        description="Variable that holds the community of v2c",
    )] | None = None
    community_file: Annotated[PathText, msgspec.Meta(
        description="File that holds the community of v2c",
    )] | None = None
    user: Annotated[Name, msgspec.Meta(
        description="User of v3",
    )] | None = None
    auth: Annotated[Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"], msgspec.Meta(
        description="How v3 proves who asks",
    )] | None = None
    auth_key_env: Annotated[Name, msgspec.Meta(
        description="Variable that holds the user's authentication password",
    )] | None = None
    auth_key_file: Annotated[PathText, msgspec.Meta(
        description="File that holds it",
    )] | None = None
    privacy: Annotated[Literal["des", "aes128", "aes192", "aes256"], msgspec.Meta(
        description="How v3 encrypts",
    )] | None = None
    privacy_key_env: Annotated[Name, msgspec.Meta(
        description="Variable that holds the user's privacy password",
    )] | None = None
    privacy_key_file: Annotated[PathText, msgspec.Meta(
        description="File that holds it",
    )] | None = None
    key_expansion: Annotated[Literal["blumenthal", "cisco"], msgspec.Meta(
        description="How aes192 and aes256 keys longer than the hash are made",
    )] = "blumenthal"
    engine_id: Annotated[str, msgspec.Meta(
        pattern="^([0-9a-fA-F]{2}){5,32}$", description="Engine id of v3 in hexadecimal digits; else it is asked for",
    )] | None = None
    interfaces: Annotated[tuple[Name, ...], msgspec.Meta(
        max_length=MAX_PATTERNS, description="Pattern of names of interfaces, with * and ? [default: all]",
    )] = ()
    interval_s: Annotated[int, msgspec.Meta(
        ge=1, le=86_400, description="Seconds between readings",
    )] = 60
    timeout_s: Annotated[float, msgspec.Meta(
        ge=0.1, le=60, description="Seconds that an answer may take",
    )] = 2.0
    retries: Annotated[int, msgspec.Meta(
        ge=0, le=10, description="How often a request is sent again",
    )] = 2
    max_repetitions: Annotated[int, msgspec.Meta(
        ge=1, le=100, description="Rows asked for at once",
    )] = 25

    def placed(self, folder: Path) -> SnmpSettings:
        """The same with absolute paths: relative ones start at `folder`, `~` is the home folder."""
        files = ("community_file", "auth_key_file", "privacy_key_file")
        found = {name: getattr(self, name) for name in files if getattr(self, name) is not None}
        if not found:
            return self
        return msgspec.structs.replace(self, **{name: str(folder / Path(path).expanduser()) for name, path in found.items()})

    @property
    def host(self) -> str:
        """The address without its port and brackets."""
        return split_address(self.address)[0]

    @property
    def port(self) -> int:
        """The port, 161 where none is given."""
        return split_address(self.address)[1]


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a device is asked with; never shown, never logged. Bytes as they were given, without a newline at the end."""

    community: str = ""
    auth_key: bytes = b""
    privacy_key: bytes = b""

    def __repr__(self) -> str:
        """No secret stands in a traceback."""
        return "Secrets(…)"


def read_settings(table: Mapping[str, object]) -> SnmpSettings:
    """The settings of one table, as TOML made it. InvalidInputError: something is wrong; `where` names the key."""
    try:
        settings = msgspec.convert(dict(table), SnmpSettings)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        where = place.removesuffix("`").lstrip(".") or None
        at = f"{where}: " if where else ""
        raise InvalidInputError(f"{at}{said}; {_hint(said, where, table)}", where=where) from error
    check_settings(settings)
    return settings


def _hint(said: str, where: str | None, table: Mapping[str, object]) -> str:
    known = SnmpSettings.__struct_fields__
    if "unknown field" in said:
        for key in ("community", "auth_key", "privacy_key"):
            if key in table:
                return f"secrets never stand in this file: give {key}_env, the name of a variable, or {key}_file"
        wrong = next(name for name in table if name not in known)
        near = get_close_matches(wrong, known, n=1, cutoff=0.6)
        return f"did you mean {near[0]}?" if near else f"known there: {', '.join(known)}"
    return f"write it as in {_EXAMPLES.get((where or '').partition('[')[0], _EXAMPLE)}"


def check_settings(settings: SnmpSettings) -> None:
    """Nothing, if the settings make sense by themselves. InvalidInputError: they do not; `where` names the key."""
    split_address(settings.address)
    for name in ("device", *(f"interfaces[{place}]" for place in range(len(settings.interfaces)))):
        text = settings.device if name == "device" else settings.interfaces[int(name[11:-1])]
        if not text.isprintable() or text != text.strip():
            raise InvalidInputError(f"{name} {text!r} must be printable, without blanks at its ends", where=name)
    if settings.version == "2c":
        _check_2c(settings)
    else:
        _check_3(settings)


def _check_2c(settings: SnmpSettings) -> None:
    for name in _VERSION_3_KEYS:
        if getattr(settings, name) not in (None, "blumenthal"):
            raise InvalidInputError(f'{name} goes with version = "3"; leave it out, or give version = "3"', where=name)
    _one_of(settings, "community", needed=True)


def _check_3(settings: SnmpSettings) -> None:
    for name in _VERSION_2C_KEYS:
        if getattr(settings, name) is not None:
            raise InvalidInputError(f'{name} goes with version = "2c"; version 3 has user, auth and privacy', where=name)
    if settings.user is None:
        raise InvalidInputError(f"user is missing, which version 3 wants; write it as in {_EXAMPLES['user']}", where="user")
    _one_of(settings, "auth_key", needed=settings.auth is not None)
    _one_of(settings, "privacy_key", needed=settings.privacy is not None)
    if settings.auth is None and (settings.auth_key_env or settings.auth_key_file):
        raise InvalidInputError(f"auth is missing; write it as in {_EXAMPLES['auth']}", where="auth")
    if settings.privacy is None and (settings.privacy_key_env or settings.privacy_key_file):
        raise InvalidInputError(f"privacy is missing; write it as in {_EXAMPLES['privacy']}", where="privacy")
    if settings.privacy is not None and settings.auth is None:
        raise InvalidInputError(f"privacy wants auth too (RFC 3414); write it as in {_EXAMPLES['auth']}", where="auth")


def _one_of(settings: SnmpSettings, name: str, *, needed: bool) -> None:
    """One of NAME_env and NAME_file is given, if it is needed; never both."""
    given = [each for each in (f"{name}_env", f"{name}_file") if getattr(settings, each) is not None]
    if len(given) > 1:
        raise InvalidInputError(f"{given[0]} and {given[1]} are both given; keep one of the two", where=given[0])
    if needed and not given:
        raise InvalidInputError(
            f"{name}_env or {name}_file is missing; write it as in {_EXAMPLES[f'{name}_env']}, the name of a variable that "
            "holds it",
            where=f"{name}_env",
        )


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host", "host:port", "[IPv6]:port" or an IPv6 address by itself. InvalidInputError: it is none."""
    host, port = address, ""
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        is_good = bool(bracket) and _is_ipv6(host) and (not port or port.startswith(":"))
        port = port[1:] if port else ""
    elif _is_ipv6(address):
        is_good = True
    else:
        host, _, port = address.partition(":")
        is_good = len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= len("65535") else 0
    if not is_good or (port and not 0 < number < 2**16) or (address.endswith(":") and not _is_ipv6(address)):
        raise InvalidInputError(
            f"address {address!r} is neither host:port nor an IP address; write it as in {_EXAMPLES['address']}, or "
            'address = "[2001:db8::1]:161"',
            where="address",
        )
    return host, number or DEFAULT_PORT


def _is_ipv6(text: str) -> bool:
    try:
        return isinstance(ipaddress.ip_address(text), ipaddress.IPv6Address)
    except ValueError:
        return False


def read_secrets(settings: SnmpSettings, environment: Mapping[str, str] | None = None) -> Secrets:
    """What the variables and files of a device hold now. InvalidInputError: one is not there, or empty, or too short."""
    variables = os.environ if environment is None else environment
    community = _secret(settings, "community", variables)
    auth_key = _secret(settings, "auth_key", variables)
    privacy_key = _secret(settings, "privacy_key", variables)
    for name, key in (("auth_key", auth_key), ("privacy_key", privacy_key)):
        if 0 < len(key) < LEAST_KEY:
            where = f"{name}_env" if getattr(settings, f"{name}_env") else f"{name}_file"
            raise InvalidInputError(
                f"device {settings.device}: the password of {where} is shorter than {LEAST_KEY} characters, which no device "
                "takes (RFC 3414)",
                where=where,
            )
    return Secrets(community.decode("utf-8"), auth_key, privacy_key)


def _secret(settings: SnmpSettings, name: str, variables: Mapping[str, str]) -> bytes:
    variable = getattr(settings, f"{name}_env")
    if variable is not None:
        value = variables.get(variable, "")
        if not value:
            raise InvalidInputError(
                f"device {settings.device}: the variable {variable} is not set, which {name}_env names; set it before the "
                f"start, or give {name}_file",
                where=f"{name}_env",
            )
        return value.encode()
    path = getattr(settings, f"{name}_file")
    return b"" if path is None else _secret_in(Path(path), f"{name}_file", settings.device)


def _secret_in(path: Path, where: str, device: str) -> bytes:
    """The content of a file that holds a secret, without the newline at its end."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        content.decode("utf-8")
    except OSError as error:
        raise InvalidInputError(
            f"device {device}: {path}, which {where} names, cannot be read ({error.strerror}); make it readable for the user "
            "that runs Weighbridge",
            where=where,
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"device {device}: {path}, which {where} names, is no text", where=where) from error
    secret = content.rstrip(b"\r\n")
    if not secret or len(content) > MAX_SECRET_BYTES:
        fault = "is empty" if not secret else f"is larger than {MAX_SECRET_BYTES} bytes"
        raise InvalidInputError(f"device {device}: {path}, which {where} names, {fault}; write the secret there", where=where)
    return secret
