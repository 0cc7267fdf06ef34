"""One device of the settings: what is remembered of it, how it is doing, and one poll of it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

from weighbridge.sources.snmp.decode import Decoded, KnownDevice, ask, decode
from weighbridge.sources.snmp.poll import MAX_INTERFACES, Pace, Reading, read_device
from weighbridge.sources.snmp.session import AskError, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weighbridge.sources.snmp.settings import Secrets, SnmpSettings
    from weighbridge.sources.snmp.varbinds import Asked

LONGEST_PAUSE_S: Final = 300.0
"""How seldom a device is asked that does not answer, unless its interval is longer: a restarted one is back within that."""
LOOKUP_S: Final = 10.0
"""How long a name may take to become an address."""
LEAST_POLL_S: Final = 30.0
"""What a poll may take at least, however short the interval."""
_DOUBLINGS: Final = 10  # of the interval, before LONGEST_PAUSE_S ends it in any case
_USELESS: Final = ("moved", "restarted")  # nothing of such a poll is good
_AWAKE: Final = (*_USELESS, "too_slow", "no_interfaces")  # the device answers all the same
_log = structlog.get_logger("weighbridge.snmp")


class Device:
    """One device. One poll at a time."""

    def __init__(self, settings: SnmpSettings, secrets: Secrets, known: KnownDevice, now_us: Callable[[], int]) -> None:
        self.settings = settings
        self.name = settings.device
        self.known = known
        self.failures = 0  # polls in a row that it did not answer
        self._secrets = secrets
        self._now_us = now_us
        self._pace = Pace()
        self._address: str | None = None
        self._engine_id = None if settings.engine_id is None else bytes.fromhex(settings.engine_id)
        self._told = ""
        self._told_shared: tuple[str, ...] = ()
        self._told_cut = False

    @property
    def pause_s(self) -> float:
        """Seconds from the beginning of the last poll to the next one."""
        interval_s = float(self.settings.interval_s)
        doublings = min(max(0, self.failures - 1), _DOUBLINGS)
        return max(interval_s, min(interval_s * (1 << doublings), LONGEST_PAUSE_S))

    async def poll(self) -> Decoded:
        """What a poll brought, with counts of how it went. What goes wrong is told once, until it is over."""
        reading = Reading()
        reason = await self._read(reading)
        is_useless = reason in _USELESS
        poll = None if is_useless else reading.as_poll(is_whole=not reason)
        decoded = Decoded((), self.known) if poll is None else decode(self.name, poll, self.known)
        counts = Counter(decoded.counts)
        counts["polls"] += 1
        counts["unread"] += 0 if is_useless else reading.unread
        counts[f"failed_{reason}"] += 1 if reason else 0
        counts["cut"] += 1 if reading.is_cut else 0
        self.known = decoded.known
        if poll is not None and not reason:
            self._tell_of_rows(decoded.shared, is_cut=reading.is_cut)
        return Decoded(decoded.readings, decoded.known, +counts, decoded.shared)

    async def _read(self, reading: Reading) -> str:
        """The device is read into `reading`; why it broke off, if it did."""
        try:
            async with asyncio.timeout(max(self.settings.interval_s, LEAST_POLL_S)):
                await self._ask(reading)
        except AskError as error:
            self._failed(error)
            return error.reason
        except TimeoutError:
            self._failed(AskError("too_slow"))
            return "too_slow"
        if self._told:
            _log.info("snmp_device_answers", device=self.name)
        self._told = ""
        self.failures = 0
        return ""

    async def _ask(self, reading: Reading) -> None:
        if self._address is None:
            self._address = await look_up(self.settings.host, self.settings.port)
        session = Session(self.settings, self._secrets, self._address, self._now_us, self._engine_id)
        self._engine_id = await session.begin()
        await read_device(session, self.settings.max_repetitions, self._rows, self._pace, reading)

    def _rows(self, names: Mapping[int, str], columns: Mapping[int, str]) -> list[Asked]:
        return ask(names, columns, self.settings.interfaces, self.known)

    def _failed(self, error: AskError) -> None:
        if error.reason != self._told:
            _log.warning("snmp_poll_failed", device=self.name, address=self.settings.address, reason=str(error))
        self._told = error.reason
        if error.reason in _AWAKE:
            self.failures = 0
            return
        self.failures += 1
        self._address = None  # it may have another one now, and another engine
        if self.settings.engine_id is None:
            self._engine_id = None

    def _tell_of_rows(self, shared: tuple[str, ...], *, is_cut: bool) -> None:
        """Names that count for nobody, and interfaces beyond the bound, are told once."""
        if shared != self._told_shared and shared:
            _log.warning(
                "snmp_names_shared", device=self.name, interfaces=list(shared[:10]), number=len(shared),
                reason="several interfaces have the same ifName and none of them counts: give them different names",
            )
        self._told_shared = shared
        if is_cut and not self._told_cut:
            _log.warning("snmp_table_cut", device=self.name, reason=f"only the first {MAX_INTERFACES} interfaces are read")
        self._told_cut = is_cut


async def look_up(host: str, port: int) -> str:
    """An address of the host. AskError: it has none."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM), LOOKUP_S)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise AskError("no_such_host", host) from error
    return str(found[0][4][0])
