"""A device is asked: SNMP v2c and v3 by gufo-snmp, with retries, errors as reasons, and the time of each answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weighbridge.sources.snmp.settings import Secrets, SnmpSettings

MISSING: Final = f"SNMP needs gufo-snmp, which is not installed: {sys.executable} -m pip install gufo-snmp"
_REFUSED: Final = "connection refused"
_PANIC: Final = "PanicException"


class AskError(Exception):
    """The device did not answer as it should. `reason` is one of REASONS."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{WORDS[reason]}{f' ({detail})' if detail else ''}")
        self.reason = reason


WORDS: Final[Mapping[str, str]] = {
    "timeout": "it does not answer: check address, firewall, and community or view (agents do not answer a wrong community)",
    "refused": "nothing listens at its port: is its agent running?",
    "auth": "it refuses the user: check user, auth, privacy and their keys, and what its view allows",
    "no_such_host": "its name has no address",
    "unreachable": "there is no way to its address",
    "broken_answer": "what it answers is no SNMP",
    "moved": "its table was renumbered while it was read; the next poll has the bytes",
    "restarted": "its agent restarted while it was read; the next poll has the bytes",
    "no_interfaces": "it tells no interfaces: does its view allow 1.3.6.1.2.1.2 and 1.3.6.1.2.1.31?",
    "too_slow": "it does not get through its interfaces within an interval: raise interval_s or name interfaces",
}
"""Why a poll failed, in words for people."""
REASONS: Final = tuple(WORDS)


@dataclass(frozen=True, slots=True)
class Answered:
    """Values by OID, and the middle between request and answer."""

    values: Mapping[str, object]
    at_us: int


def check_installed() -> None:
    """Nothing, if gufo-snmp is there. InvalidInputError says what to install."""
    try:
        import gufo.snmp  # noqa: PLC0415  an extra
    except ImportError as error:
        raise InvalidInputError(MISSING) from error
    _ = gufo.snmp


class Session:
    """A socket to one device, for one poll."""

    def __init__(
        self,
        settings: SnmpSettings,
        secrets: Secrets,
        address: str,
        now_us: Callable[[], int],
        engine_id: bytes | None = None,
    ) -> None:
        """The socket is open. AskError: there is no way to the address."""
        from gufo.snmp.aio import SnmpSession  # noqa: PLC0415  an extra

        self._retries = settings.retries
        self._now_us = now_us
        self._engine_id = engine_id
        self._is_v3 = settings.version == "3"
        given: dict[str, Any] = {"community": secrets.community}
        if self._is_v3:
            given = {"user": _user(settings, secrets), "engine_id": engine_id}
        try:
            self._snmp = SnmpSession(address, settings.port, timeout=settings.timeout_s, **given)
        except OSError as error:
            raise AskError("unreachable", str(error)) from error

    async def begin(self) -> bytes | None:
        """Version 3 knows the engine's id, boots and time; the id is returned for the next session. AskError."""
        if not self._is_v3:
            return None
        await self._again(self._snmp.refresh)
        return self._snmp.get_engine_id() or None

    async def get(self, oids: Sequence[str]) -> Answered:
        """The values of these objects, all of one answer; empty where the agent answers an error. AskError: none came."""
        sent_us = 0

        async def send() -> Mapping[str, object]:
            nonlocal sent_us
            sent_us = self._now_us()
            return await self._snmp.get_many(oids)

        values = await self._again(send)
        return Answered(values, (sent_us + self._now_us()) // 2)

    async def walk(self, column: str, max_repetitions: int, most: int) -> list[tuple[str, object]]:
        """The column's rows in order, `most` at the most. AskError: the agent does not answer, or goes in circles."""
        found: list[tuple[str, object]] = []
        rows = self._snmp.getbulk(column, max_repetitions)
        newest: tuple[int, ...] = ()
        while len(found) < most:
            try:
                oid, value = await self._again(rows.__anext__)
            except StopAsyncIteration:
                break
            place = tuple(int(part) for part in oid.split("."))
            if place <= newest:
                raise AskError("broken_answer", "its table goes in circles")
            newest = place
            found.append((oid, value))
        return found

    async def _again(self, send: Callable[[], Any]) -> Any:  # noqa: ANN401  what the request returns
        """What a request brings, tried `retries` times more while nothing comes."""
        for left in range(self._retries, -1, -1):
            try:
                return await send()
            except TimeoutError as error:
                if _REFUSED in (str(error), str(error.__cause__)):
                    raise AskError("refused") from None
                if not left:
                    raise AskError("timeout") from None
            except OSError as error:
                raise AskError("unreachable", str(error)) from None
            except StopAsyncIteration:
                raise
            except Exception as error:  # noqa: BLE001  whatever gufo raises of what a device sends is the device's fault
                raise _as_reason(error) from None
            except BaseException as error:
                if type(error).__name__ != _PANIC:
                    raise
                raise AskError("broken_answer", "unreadable") from None  # gufo's Rust gave up on a datagram
        raise AssertionError  # the loop returns or raises


def _as_reason(error: Exception) -> AskError:
    from gufo.snmp import SnmpAuthError  # noqa: PLC0415  an extra

    return AskError("auth" if isinstance(error, SnmpAuthError) else "broken_answer", str(error))


def _user(settings: SnmpSettings, secrets: Secrets) -> Any:  # noqa: ANN401  gufo's, which is an extra
    """The user with keys that cost one hash a session: those of passwords are made once."""
    from gufo.snmp import user as gufo_user  # noqa: PLC0415  an extra

    if settings.user is None or settings.auth is None:
        return gufo_user.User(settings.user or "")
    key_class = {
        "md5": gufo_user.Md5Key, "sha1": gufo_user.Sha1Key, "sha224": gufo_user.Sha224Key, "sha256": gufo_user.Sha256Key,
        "sha384": gufo_user.Sha384Key, "sha512": gufo_user.Sha512Key,
    }[settings.auth]
    master = gufo_user.KeyType.Master
    auth_key = key_class(_master_key(key_class, secrets.auth_key), key_type=master)
    if settings.privacy is None:
        return gufo_user.User(settings.user, auth_key=auth_key)
    privacy_class = {
        "des": gufo_user.DesKey, "aes128": gufo_user.Aes128Key, "aes192": gufo_user.Aes192Key,
        "aes256": gufo_user.Aes256Key,
    }[settings.privacy]
    privacy_key = privacy_class(_master_key(key_class, secrets.privacy_key), key_type=master)
    expansion = gufo_user.KeyExpansion
    return gufo_user.User(
        settings.user,
        auth_key=auth_key,
        priv_key=privacy_key,
        key_expansion=expansion.Cisco if settings.key_expansion == "cisco" else expansion.Blumenthal,
    )


@cache
def _master_key(key_class: Any, password: bytes) -> bytes:  # noqa: ANN401  gufo's, which is an extra
    """The key of a password: a hash over 1 MiB (RFC 3414, A.2). As many are kept as there are passwords in the settings."""
    key: bytes = key_class.get_master_key(password)
    return key
