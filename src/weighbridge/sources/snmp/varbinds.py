"""What an agent's answers say: variable bindings to the rows of its interfaces. Nothing that it says is believed by type.

Sources: RFC 2863 (IF-MIB), RFC 3418 (sysUpTime), RFC 3411 (snmpEngineBoots, snmpEngineTime), RFC 2790 (hrSystemUptime),
RFC 3416 (what an agent answers for what it does not have).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from weighbridge.measurement import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SYS_UP_TIME: Final = "1.3.6.1.2.1.1.3.0"
"""Ticks since the agent began; 32 bits, so that it wraps after 497 days."""
ENGINE_BOOTS: Final = "1.3.6.1.6.3.10.2.1.2.0"
ENGINE_TIME: Final = "1.3.6.1.6.3.10.2.1.3.0"
"""Seconds since snmpEngineBoots rose last; wraps after 68 years."""
HOST_UP_TIME: Final = "1.3.6.1.2.1.25.1.1.0"
"""Ticks since the host booted; where an agent restarts alone, this one goes on."""
SYSTEM: Final = (SYS_UP_TIME, ENGINE_BOOTS, ENGINE_TIME, HOST_UP_TIME)

IF_NAME: Final = "1.3.6.1.2.1.31.1.1.1.1"
IF_DESCR: Final = "1.3.6.1.2.1.2.2.1.2"
IF_ALIAS: Final = "1.3.6.1.2.1.31.1.1.1.18"
IF_HC_IN: Final = "1.3.6.1.2.1.31.1.1.1.6"
IF_HC_OUT: Final = "1.3.6.1.2.1.31.1.1.1.10"
IF_IN: Final = "1.3.6.1.2.1.2.2.1.10"
IF_OUT: Final = "1.3.6.1.2.1.2.2.1.16"
IF_SPEED: Final = "1.3.6.1.2.1.2.2.1.5"
IF_HIGH_SPEED: Final = "1.3.6.1.2.1.31.1.1.1.15"
IF_OPER_STATUS: Final = "1.3.6.1.2.1.2.2.1.8"
IF_DISCONTINUITY: Final = "1.3.6.1.2.1.31.1.1.1.19"

TICKS_AT: Final = 2**32
"""Where TimeTicks wrap."""
TICK_US: Final = 10_000
FASTEST_BPS: Final = 1_600_000_000_000
"""No port is faster (1.6 Tbit/s Ethernet); what claims to be is nonsense."""
MAX_INDEX: Final = 2**31 - 1
"""Largest ifIndex (InterfaceIndex, RFC 2863)."""
_MEGA: Final = 1_000_000
_UP: Final = 1
_SPEED_UNKNOWN: Final = 2**32 - 1  # ifSpeed of what is faster than it can tell

Answer = "Mapping[str, object]"
"""Values by OID; what the agent does not have is not in it."""


class MovedError(Exception):
    """The table was renumbered while it was read: a row has another name than a moment ago."""


@dataclass(frozen=True, slots=True)
class System:
    """How long agent and host have been up, as read at `at_us`; None where the agent does not tell."""

    at_us: int
    up_ticks: int | None
    boots: int | None = None
    engine_s: int | None = None
    host_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that is asked for: its index, and the name that it had when the names were walked, by which column."""

    index: int
    name: str
    name_column: str
    columns: tuple[str, ...]

    @property
    def oids(self) -> list[str]:
        """What is asked for, the name first: it must still be the same."""
        return [f"{column}.{self.index}" for column in (self.name_column, *self.columns)]


@dataclass(frozen=True, slots=True)
class Totals:
    """Bytes in and out as a counter of this width tells them; None: not read."""

    bytes_in: int | None = None
    bytes_out: int | None = None

    @property
    def is_whole(self) -> bool:
        """Both were read."""
        return self.bytes_in is not None and self.bytes_out is not None

    @property
    def is_absent(self) -> bool:
        """Neither was read."""
        return self.bytes_in is None and self.bytes_out is None

    @property
    def moved(self) -> int:
        """In and out together, as far as they were read."""
        return (self.bytes_in or 0) + (self.bytes_out or 0)


@dataclass(frozen=True, slots=True)
class Row:
    """An interface as read at `at_us`, all in one answer, when the agent's uptime was `up_ticks`."""

    index: int
    name: str
    at_us: int
    up_ticks: int | None
    wide: Totals = Totals()
    narrow: Totals = Totals()
    line_rate_bps: int | None = None
    discontinuity_ticks: int | None = None
    is_up: bool | None = None
    alias: str = ""


def system_of(answer: Mapping[str, object], at_us: int) -> System:
    """How long agent and host have been up."""
    return System(
        at_us,
        _number(answer.get(SYS_UP_TIME), TICKS_AT),
        _number(answer.get(ENGINE_BOOTS), 2**31),
        _number(answer.get(ENGINE_TIME), 2**31),
        _number(answer.get(HOST_UP_TIME), TICKS_AT),
    )


def names_of(pairs: Iterable[tuple[str, object]], column: str) -> dict[int, str]:
    """The text of each row of a walked column by index, in the order of the walk; "" where it is none to know it by."""
    found = {}
    for oid, value in pairs:
        index = oid[len(column) + 1 :] if oid.startswith(f"{column}.") else ""
        if index.isascii() and index.isdecimal() and len(index) <= len(str(MAX_INDEX)) and 0 < int(index) <= MAX_INDEX:
            found[int(index)] = text_of(value)
    return found


def text_of(value: object) -> str:
    """What the agent calls something, without the blanks and NULs that some put around it; "" for what is no such text."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes):
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
    else:
        return ""
    text = text.strip(" \t\r\n\0")
    return text if text.isprintable() and len(text) <= MAX_NAME else ""


def indexes_by_name(names: Mapping[int, str], patterns: Sequence[str]) -> dict[str, list[int]]:
    """The rows of each name that is wanted; several where the agent gives the same name twice. No patterns: all are."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, name in names.items():
        if name and (not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)):
            found[name].append(index)
    return dict(found)


def row_of(asked: Asked, answer: Mapping[str, object], at_us: int, up_ticks: int | None) -> Row | None:
    """What was read of a row; None if it has gone. MovedError: another interface has its index now."""
    name = answer.get(f"{asked.name_column}.{asked.index}")
    if name is None:
        return None
    if text_of(name) != asked.name:
        raise MovedError(f"index {asked.index} was {asked.name!r} and is {text_of(name)!r}")

    def value(column: str) -> object:
        return answer.get(f"{column}.{asked.index}")

    status = value(IF_OPER_STATUS)
    return Row(
        asked.index,
        asked.name,
        at_us,
        up_ticks,
        Totals(_number(value(IF_HC_IN), 2**64), _number(value(IF_HC_OUT), 2**64)),
        Totals(_number(value(IF_IN), 2**32), _number(value(IF_OUT), 2**32)),
        _line_rate_bps(value(IF_HIGH_SPEED), value(IF_SPEED)),
        _number(value(IF_DISCONTINUITY), TICKS_AT),
        None if status is None else status == _UP,
        text_of(value(IF_ALIAS)),
    )


def _line_rate_bps(high_speed: object, speed: object) -> int | None:
    """The rate by ifHighSpeed; by ifSpeed only where the agent has no ifHighSpeed at all. None for what cannot be."""
    if high_speed is not None:
        megabits = _number(high_speed, FASTEST_BPS // _MEGA + 1)
        return megabits * _MEGA if megabits else None
    bits = _number(speed, _SPEED_UNKNOWN)
    return bits or None


def _number(value: object, below: int) -> int | None:
    """A whole number in [0, below), whatever type the agent said that it is."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < below else None
