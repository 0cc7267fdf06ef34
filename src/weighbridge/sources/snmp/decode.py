"""From the rows of one poll to readings: which counter they are of, how wide it is, and since when it counts. Pure.

An interface is known by the device and its ifName (law 14; ifDescr where there is none). Its ifIndex is read anew at each
poll, and every row is read in one answer together with its name, so that a table that is renumbered meanwhile is noticed
(the poll is discarded). Rules, with L the time at which the interface was read last:

- **Width.** 64 bits (ifHCInOctets) where they are there and count; 32 bits where they are missing, or stay at 0 while
  those of 32 bits move. It is decided at the first reading and remembered; another decision takes two polls, and then
  what was counted in the other width is of no use: the server sees the width change and begins anew (law 9).
- **The agent restarted** if snmpEngineBoots rose since L, or sysUpTime is shorter than the time since L, unless
  snmpEngineTime went on, or it wrapped where it had to (sysUpTime has 32 bits: 497 days; RFC 3418). It is no reset: the
  counters of most agents go on. **The device rebooted** if besides a counter fell and hrSystemUptime (RFC 2790) does not
  say that the host went on: then its counters began at zero at the boot, which lies after L.
- **A changed ifCounterDiscontinuityTime** (RFC 2863: sysUpTime at the newest discontinuity; 0: none since the agent began)
  tells that the counter began anew after L, if the same agent has run since L. Agents are known that set it for no reason:
  where nothing fell, the new total must be one that the line can have carried since then, else it is not believed.
- **A new ifIndex** under a known name, while the same agent has run: RFC 2863 (3.1.5) keeps an index for as long as the
  agent runs, so an index that was not in the table before is another interface, made after L. It is believed where a
  counter fell or the row of the old interface is still there (net-snmp keeps rows of removed interfaces for 5 minutes). An
  index that was in the table before is an interface that was renamed: that is another counter, with a name of its own,
  unless its totals say that it is the old one, renumbered against the RFC, or could at least do no harm.
- **Two rows of one name** count only if exactly one of them is up (ifOperStatus) and all others say that they are not;
  otherwise none counts, and it is told.
- Whatever else makes a counter fall gives no `since`: nothing is counted, and a new epoch begins (law 11).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import msgspec

from weighbridge.collected import CounterReading, Thing, ThingKind
from weighbridge.sources.snmp.varbinds import (
    FASTEST_BPS,
    IF_ALIAS,
    IF_DISCONTINUITY,
    IF_HC_IN,
    IF_HC_OUT,
    IF_HIGH_SPEED,
    IF_IN,
    IF_OPER_STATUS,
    IF_OUT,
    IF_SPEED,
    TICK_US,
    TICKS_AT,
    Asked,
    Totals,
    indexes_by_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weighbridge.sources.snmp.varbinds import Row, System

NAMES_KEPT: Final = 20_000
"""Interfaces of a device that are remembered, also while they are gone; beyond it those that were read longest ago go."""
CLOCKS_APART_US: Final = 10_000_000
"""How far two clocks that count the same time may come apart between two polls, and a hundredth of that time besides."""
WIDE, NARROW = 64, 32
UNASKED: Final = -1
"""The doubt about a 64-bit counter that is not there any more, when that of 32 bits was not asked for."""
_APART = 100


class Known(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is remembered of an interface: its newest reading, the agent's clocks then, and since when it counts."""

    index: int
    at_us: int
    bits: int
    bytes_in: int | None
    bytes_out: int | None
    counter: str = ""
    since_us: int | None = None
    up_ticks: int | None = None
    boots: int | None = None
    discontinuity_ticks: int | None = None
    doubt: int | None = None  # the 32-bit totals together, when those of 64 bits were of no use


class KnownDevice(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a device: its interfaces by name, and every index that its table had at the last poll."""

    interfaces: dict[str, Known] = {}
    indexes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll brought. `names`: every row of the table, also those not read. Not `is_whole`: it broke off."""

    system: System
    names: Mapping[int, str]
    rows: Sequence[Row]
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Decoded:
    """Readings of a poll, what to remember for the next one, and what could not be read, by reason."""

    readings: tuple[CounterReading, ...]
    known: KnownDevice
    counts: Counter[str] = field(default_factory=Counter)
    shared: tuple[str, ...] = ()  # names that several interfaces have, none of which counts


@dataclass(frozen=True, slots=True)
class _Before:
    """The table at the last poll: every index, and whom those that were read belonged to."""

    indexes: frozenset[int]
    at_index: Mapping[int, Known]


class _Run(Enum):
    """What became of the agent since an interface was read last."""

    SAME = auto()
    RESTARTED = auto()  # the agent alone, as its host says
    REBOOTED = auto()   # the agent, and for all that is known its host too
    UNKNOWN = auto()


def ask(names: Mapping[int, str], columns: Mapping[int, str], patterns: Sequence[str], known: KnownDevice) -> list[Asked]:
    """The rows to read, in the order of their indexes; `columns`: by which column each has its name.

    Counters of 32 bits are asked for only where those of 64 bits are not known to count.
    """
    wanted = []
    for name, indexes in indexes_by_name(names, patterns).items():
        more = _more_columns(known.interfaces.get(name))
        if len(indexes) > 1:
            more = (*more, IF_OPER_STATUS)
        wanted += [Asked(index, name, columns[index], (IF_HC_IN, IF_HC_OUT, IF_HIGH_SPEED, IF_DISCONTINUITY, *more))
                   for index in indexes]
    return sorted(wanted, key=lambda asked: asked.index)


def ask_all(names: Mapping[int, str], columns: Mapping[int, str], patterns: Sequence[str]) -> list[Asked]:
    """The rows with all that a person may want to see."""
    everything = (IF_HC_IN, IF_HC_OUT, IF_HIGH_SPEED, IF_IN, IF_OUT, IF_SPEED, IF_OPER_STATUS, IF_ALIAS)
    wanted = [index for indexes in indexes_by_name(names, patterns).values() for index in indexes]
    return [Asked(index, names[index], columns[index], everything) for index in sorted(wanted)]


def _more_columns(known: Known | None) -> tuple[str, ...]:
    if known is not None and known.bits == WIDE and known.bytes_in and known.bytes_out and known.doubt is None:
        return ()
    return (IF_IN, IF_OUT, IF_SPEED)


def decode(device: str, poll: Poll, known: KnownDevice) -> Decoded:
    """The readings of a poll. What was not read, or cannot be told apart, is absent, never zero (law 10)."""
    counts: Counter[str] = Counter()
    readings = []
    interfaces = dict(known.interfaces)
    before = _before(known)
    rows, shared = _rows_by_name(poll)
    for name, row in rows.items():
        last = interfaces.get(name)
        if last is not None and row.at_us <= last.at_us:
            counts["clock_behind"] += 1  # our clock was set back: until it has caught up the device's counters wait
            continue
        interfaces[name], reading = _read(Thing(ThingKind.INTERFACE, device, name), row, last, poll, before)
        if reading is None:
            counts["unread"] += 1
        else:
            readings.append(reading)
    counts["shared_name"] += len(shared)
    indexes = poll.names if poll.is_whole else {*known.indexes, *(row.index for row in poll.rows)}
    return Decoded(
        tuple(readings), KnownDevice(_newest(interfaces), tuple(sorted(indexes))), +counts, tuple(sorted(shared)))


def _before(known: KnownDevice) -> _Before:
    ordered = sorted(known.interfaces.values(), key=lambda each: each.at_us)
    return _Before(frozenset(known.indexes), {each.index: each for each in ordered})  # of one index the newest stays


def _rows_by_name(poll: Poll) -> tuple[dict[str, Row], list[str]]:
    """The row that each name means, and the names that several rows have a claim to."""
    many = Counter(poll.names.values())
    found: dict[str, Row] = {}
    rivals: dict[str, list[Row]] = {}
    for row in poll.rows:
        if many[row.name] > 1:
            rivals.setdefault(row.name, []).append(row)
        else:
            found[row.name] = row
    shared = []
    for name, rows in rivals.items():
        up = [row for row in rows if row.is_up is not False]
        if len(up) == 1 and up[0].is_up and len(rows) == many[name]:
            found[name] = up[0]
        else:
            shared.append(name)
    return found, shared


def _read(
    thing: Thing, row: Row, last: Known | None, poll: Poll, before: _Before
) -> tuple[Known, CounterReading | None]:
    """What to remember of an interface, and its reading if there is one."""
    bits, doubt = _width(row, last)
    totals = row.wide if bits == WIDE else row.narrow
    if totals.is_absent and last is not None:
        return msgspec.structs.replace(last, doubt=doubt), None
    counter, since_us = "", None
    if last is not None:
        counter, since_us = _epoch(row, totals, last, poll, before, is_same_width=bits == last.bits)
    read = Known(
        index=row.index,
        at_us=row.at_us,
        bits=bits,
        bytes_in=_kept(totals.bytes_in, None if last is None else last.bytes_in),
        bytes_out=_kept(totals.bytes_out, None if last is None else last.bytes_out),
        counter=counter,
        since_us=since_us,
        up_ticks=row.up_ticks,
        boots=poll.system.boots,
        discontinuity_ticks=row.discontinuity_ticks,
        doubt=doubt,
    )
    if totals.is_absent:
        return read, None
    return read, CounterReading(
        thing=thing,
        at_us=row.at_us,
        bytes_in=totals.bytes_in,
        bytes_out=totals.bytes_out,
        counter=counter,
        bits=bits,
        since_us=since_us,
        line_rate_bps=row.line_rate_bps,
    )


def _kept(total: int | None, last: int | None) -> int | None:
    return last if total is None else total


def _width(row: Row, last: Known | None) -> tuple[int, int | None]:
    """How wide the counter is, and what to remember if the other width may be the right one."""
    counts = row.wide.is_whole and row.wide.moved > 0
    if last is None:
        return (WIDE if counts else _first_width(row)), None
    if last.bits == NARROW:
        return (WIDE if counts else NARROW), None
    is_missing = row.wide.is_absent
    if row.narrow.is_absent:
        return WIDE, (UNASKED if is_missing else None)
    if not is_missing and (counts or not row.wide.is_whole):
        return WIDE, None
    has_moved = last.doubt is not None and (is_missing or row.narrow.moved != last.doubt)
    return (NARROW, None) if has_moved else (WIDE, row.narrow.moved)


def _first_width(row: Row) -> int:
    """The width of a counter that nobody read before, and that shows nothing in 64 bits."""
    is_dead = row.wide.is_whole and row.narrow.is_whole and row.narrow.moved > 0
    is_missing = not row.wide.is_whole and (row.narrow.is_whole or row.wide.is_absent)
    return NARROW if is_dead or is_missing else WIDE


def _epoch(
    row: Row, totals: Totals, last: Known, poll: Poll, before: _Before, *, is_same_width: bool
) -> tuple[str, int | None]:
    """The counter's name, and since when it counts, where that is known."""
    run, began_us = _run_since(row, last, poll.system)
    is_elsewhere = run is _Run.SAME and row.index != last.index
    if is_elsewhere and row.index in before.indexes and not _is_renumbered(totals, last, before.at_index.get(row.index)):
        return f"@{row.at_us // 1_000_000}", None  # a name that no other counter of this interface has, now or later
    if not is_same_width:
        return last.counter, None
    fell = _fell(totals, last)
    since_us = None
    if is_elsewhere:
        if row.index not in before.indexes and (fell or last.index in poll.names):
            since_us = max(_discontinuity_us(row, last) or 0, last.at_us + 1)
    elif run is _Run.SAME:
        since_us = _discontinuity_us(row, last)
        if since_us is not None and not fell and not _can_have_carried(totals, row, since_us):
            since_us = None
    elif run is _Run.REBOOTED and fell:
        since_us = max(began_us, last.at_us + 1)
    if since_us is None or since_us >= row.at_us:
        since_us = last.since_us
    return last.counter, since_us


def _is_renumbered(totals: Totals, last: Known, holder: Known | None) -> bool:
    """Whether a counter goes on under an index that another interface, the holder, had at the last poll.

    RFC 2863 says no: then it is the holder, renamed. But where the totals lie below the holder's, it cannot be; and where
    they are no more above this interface's last ones than above the holder's, going on counts nothing too much.
    """
    if holder is None or holder.bits != WIDE or last.bits != WIDE:
        return False
    return _fell(totals, holder) or not _fell(Totals(last.bytes_in, last.bytes_out), holder)


def _run_since(row: Row, last: Known, system: System) -> tuple[_Run, int]:
    """What became of the agent since the last reading, and when it or its host began, where that lies behind it."""
    elapsed_us = row.at_us - last.at_us
    read_ago_us = row.at_us - system.at_us
    began_ago_us = _began_ago_us(row, last, system, elapsed_us)
    if began_ago_us is None:
        return _Run.UNKNOWN, 0
    if began_ago_us >= elapsed_us:
        return _Run.SAME, 0
    host_us = 0 if system.host_ticks is None else system.host_ticks * TICK_US + read_ago_us
    run = _Run.RESTARTED if host_us >= elapsed_us else _Run.REBOOTED
    return run, row.at_us - max(began_ago_us, host_us)


def _began_ago_us(row: Row, last: Known, system: System, elapsed_us: int) -> int | None:
    """For how long the agent has run, or at least how long; None where it does not tell."""
    engine_us = None
    if system.engine_s is not None and system.boots is not None and last.boots is not None:
        engine_us = system.engine_s * 1_000_000 + row.at_us - system.at_us
        if system.boots == last.boots and engine_us >= elapsed_us:
            return engine_us
        if system.boots <= last.boots:
            engine_us = None
    if row.up_ticks is None:
        return engine_us
    return elapsed_us if _wrapped(row, last, elapsed_us) else row.up_ticks * TICK_US


def _wrapped(row: Row, last: Known, elapsed_us: int) -> bool:
    """Whether sysUpTime is as short as it is because it went past 2^32 ticks."""
    if last.up_ticks is None or row.up_ticks is None:
        return False
    due_ticks = last.up_ticks + elapsed_us // TICK_US
    apart_ticks = (CLOCKS_APART_US + elapsed_us // _APART) // TICK_US
    behind_ticks = (row.up_ticks - due_ticks) % TICKS_AT
    is_due = min(behind_ticks, TICKS_AT - behind_ticks) <= apart_ticks
    return is_due and due_ticks + apart_ticks >= TICKS_AT


def _discontinuity_us(row: Row, last: Known) -> int | None:
    """When the counter began anew, if the agent says that this was after the last reading."""
    ticks = row.discontinuity_ticks
    if not ticks or row.up_ticks is None or ticks == last.discontinuity_ticks:
        return None
    if last.discontinuity_ticks is None and row.index == last.index:
        return None  # it was not told then: nobody knows whether it changed
    at_us = row.at_us - (row.up_ticks - ticks) % TICKS_AT * TICK_US
    if at_us < last.at_us - CLOCKS_APART_US:
        return None
    return max(at_us, last.at_us + 1)


def _fell(totals: Totals, last: Known) -> bool:
    pairs = ((totals.bytes_in, last.bytes_in), (totals.bytes_out, last.bytes_out))
    return any(now is not None and before is not None and now < before for now, before in pairs)


def _can_have_carried(totals: Totals, row: Row, since_us: int) -> bool:
    most = (row.line_rate_bps or FASTEST_BPS) * max(0, row.at_us - since_us)
    return all(total is None or total * 8_000_000 <= most for total in (totals.bytes_in, totals.bytes_out))


def _newest(interfaces: dict[str, Known]) -> dict[str, Known]:
    if len(interfaces) <= NAMES_KEPT:
        return interfaces
    newest: Iterable[tuple[str, Known]] = sorted(interfaces.items(), key=lambda item: item[1].at_us)[-NAMES_KEPT:]
    return dict(newest)
