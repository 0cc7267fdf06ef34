"""A device is asked once, for a person: what it calls its interfaces and what it says of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from weighbridge.domain.errors import WeighbridgeError
from weighbridge.sources.snmp.decode import ask_all
from weighbridge.sources.snmp.device import look_up
from weighbridge.sources.snmp.poll import Pace, Reading, read_device
from weighbridge.sources.snmp.session import AskError, Session, check_installed
from weighbridge.sources.snmp.settings import read_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weighbridge.sources.snmp.settings import SnmpSettings
    from weighbridge.sources.snmp.varbinds import Asked, Row


class SilentError(WeighbridgeError):
    """The device did not answer as it should; the sentence says why."""


def walk(settings: SnmpSettings, now_us: Callable[[], int]) -> list[Row]:
    """The interfaces that a collector would read, by index.

    SilentError: the device does not answer; InvalidInputError: a secret or the library is missing.
    """
    check_installed()
    return asyncio.run(_walk(settings, now_us))


async def _walk(settings: SnmpSettings, now_us: Callable[[], int]) -> list[Row]:
    def rows(names: Mapping[int, str], columns: Mapping[int, str]) -> list[Asked]:
        return ask_all(names, columns, settings.interfaces)

    reading = Reading()
    try:
        address = await look_up(settings.host, settings.port)
        session = Session(settings, read_secrets(settings), address, now_us)
        await session.begin()
        await read_device(session, settings.max_repetitions, rows, Pace(), reading)
    except AskError as error:
        raise SilentError(f"{settings.address}: {error}") from error
    return reading.rows
