"""One poll of one device: its clocks, the names of its interfaces, then rows, as many in a request as it can answer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from weighbridge.sources.snmp.decode import Poll
from weighbridge.sources.snmp.session import AskError
from weighbridge.sources.snmp.varbinds import (
    IF_DESCR,
    IF_NAME,
    SYS_UP_TIME,
    SYSTEM,
    TICKS_AT,
    MovedError,
    names_of,
    row_of,
    system_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weighbridge.sources.snmp.session import Session
    from weighbridge.sources.snmp.varbinds import Asked, Row, System

MAX_INTERFACES: Final = 10_000
"""Rows of a device's table; more are not read. A full chassis with sub-interfaces has some thousands."""
OIDS_AT_ONCE: Final = 42
"""Objects of one request: 1,400 bytes at most as an answer, so that it fits into a packet of Ethernet."""
_LEAST_OIDS: Final = 1
_RUN_BACK_TICKS: Final = 100  # an answer may have been on its way for long: less is no restart


@dataclass(slots=True)
class Pace:
    """What is learned of a device: how many objects it answers at once. Kept between polls."""

    oids_at_once: int = OIDS_AT_ONCE


@dataclass(slots=True)
class Reading:
    """A poll while it is under way, so that what was read is there also if it breaks off."""

    system: System | None = None
    names: dict[int, str] = field(default_factory=dict)
    columns: dict[int, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    unread: int = 0
    is_cut: bool = False  # the table has more than MAX_INTERFACES

    def as_poll(self, *, is_whole: bool) -> Poll | None:
        """What there is; None before the names were read."""
        return Poll(self.system, self.names, self.rows, is_whole) if self.system is not None and self.names else None


async def read_device(
    session: Session,
    max_repetitions: int,
    ask: Callable[[Mapping[int, str], Mapping[int, str]], list[Asked]],
    pace: Pace,
    reading: Reading,
) -> None:
    """What the device has stands in `reading`. AskError: it broke off; for `moved` and `restarted` nothing of it is good."""
    answer = await session.get(SYSTEM)
    reading.system = system_of(answer.values, answer.at_us)
    await _read_names(session, max_repetitions, reading)
    if not reading.names:
        raise AskError("no_interfaces")
    try:
        await _read_rows(session, ask(reading.names, reading.columns), pace, reading)
    except MovedError as error:
        raise AskError("moved", str(error)) from None


async def _read_names(session: Session, max_repetitions: int, reading: Reading) -> None:
    """Every row's name, by ifName, and by ifDescr where a row has none."""
    names = names_of(await session.walk(IF_NAME, max_repetitions, MAX_INTERFACES + 1), IF_NAME)
    columns = dict.fromkeys(names, IF_NAME)
    if not names or not all(names.values()):
        described = names_of(await session.walk(IF_DESCR, max_repetitions, MAX_INTERFACES + 1), IF_DESCR)
        lacking = [index for index in described if not names.get(index) and (index in names or not names)]
        names |= {index: described[index] for index in lacking}
        columns |= dict.fromkeys(lacking, IF_DESCR)
    reading.is_cut = len(names) > MAX_INTERFACES
    reading.names = dict(list(names.items())[:MAX_INTERFACES])
    reading.columns = columns


async def _read_rows(session: Session, asked: list[Asked], pace: Pace, reading: Reading) -> None:
    """All rows, in as few requests as the device can answer."""
    waiting = deque(asked)
    up_ticks = None if reading.system is None else reading.system.up_ticks
    while waiting:
        batch = _next_batch(waiting, pace.oids_at_once)
        oids = [oid for each in batch for oid in each.oids]
        try:
            answer = await session.get([*oids, SYS_UP_TIME])
        except AskError as error:
            if error.reason == "timeout" and len(batch) > 1:  # some agents drop what they cannot answer
                pace.oids_at_once = max(_LEAST_OIDS, len(oids) // 2)
            raise
        if not _is_whole(answer.values, up_ticks):
            if len(batch) > 1:
                pace.oids_at_once = max(_LEAST_OIDS, len(oids) // 2)
                waiting.extendleft(reversed(batch))
            else:
                reading.unread += 1
            continue
        now_ticks = system_of(answer.values, answer.at_us).up_ticks
        if _restarted(up_ticks, now_ticks):
            raise AskError("restarted")
        up_ticks = now_ticks
        rows = (row_of(each, answer.values, answer.at_us, now_ticks) for each in batch)
        reading.rows += [row for row in rows if row is not None]


def _next_batch(waiting: deque[Asked], oids_at_once: int) -> list[Asked]:
    """The next rows that fit into a request, one at least."""
    batch = [waiting.popleft()]
    left = oids_at_once - len(batch[0].oids)
    while waiting and len(waiting[0].oids) <= left:
        left -= len(waiting[0].oids)
        batch.append(waiting.popleft())
    return batch


def _is_whole(values: Mapping[str, object], up_ticks: int | None) -> bool:
    """Whether an agent answered all that was asked: sysUpTime was the last. An answer that is too big comes empty."""
    return SYS_UP_TIME in values if up_ticks is not None else bool(values)


def _restarted(before: int | None, now: int | None) -> bool:
    """Whether sysUpTime went back between two answers, other than by its wrap."""
    return before is not None and now is not None and _RUN_BACK_TICKS < (before - now) % TICKS_AT < TICKS_AT // 2
