"""Which counter each session's totals belong to, and since when it runs.

A session that was not in the list before is new, and counts whole from its beginning, if it began no earlier than that list
by the server's own clock; else nothing proves it, and its first reading bills nothing (laws 8 and 11). New sessions of a
name take over the counter of one that ended, so that counters do not grow in number with every reconnect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from weighbridge.collected import CounterReading, Thing, ThingKind

if TYPE_CHECKING:
    from weighbridge.sources.openvpn.decode import Listing, Session, Statistics

SECOND_US: Final = 1_000_000
"""Microseconds of a second."""


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A session as last listed.

    `counter`: which of its name's counters it is, None where it has no name yet. `since_us`: when that began at zero,
    where that is known; `is_kept`: its totals were handed in.
    """

    name: str | None
    counter: str | None
    bytes_in: int
    bytes_out: int
    since_us: int | None = None
    is_kept: bool = False


class Known(msgspec.Struct, frozen=True):
    """What is remembered of a server between polls and restarts.

    `mark` tells the counters of this memory from those of one that was lost. `listed_at_us`: when the last list was
    made, and `time_s` the same by the server's clock; 0: there was none. `updated`: that of the last statistics.
    """

    mark: str
    listed_at_us: int = 0
    time_s: int = 0
    sessions: dict[str, Kept] = {}
    updated: str = ""


def follow(known: Known, listing: Listing, at_us: int) -> tuple[Known, list[Kept]]:
    """What to remember after a list, and where sessions stood before that have another name now.

    The latter are readings at the time of the list before, under the new name: what it counts from.
    """
    is_after = at_us > known.listed_at_us > 0  # else the clock was set back, or there was no list: nothing is proven
    sessions: dict[str, Kept] = {}
    stood: list[Kept] = []
    for key, session in sorted(listing.sessions.items(), key=lambda item: (item[1].connected_s, item[0])):
        last = known.sessions.get(key)
        if last is None:
            since_us = _since(known, listing, session, at_us) if is_after else None
            sessions[key] = Kept(session.name, None, session.bytes_in, session.bytes_out, since_us)
        elif session.name in (None, last.name):  # a name that is lost for a moment comes back
            sessions[key] = msgspec.structs.replace(last, bytes_in=session.bytes_in, bytes_out=session.bytes_out)
        else:
            sessions[key] = kept = _renamed(known, key, last, session)
            if kept.since_us is None and is_after and last.bytes_in <= session.bytes_in:
                stood.append(msgspec.structs.replace(kept, bytes_in=last.bytes_in, bytes_out=last.bytes_out))
    sessions = _with_counters(sessions, at_us)
    return msgspec.structs.replace(known, listed_at_us=at_us, time_s=listing.time_s, sessions=sessions), stood


def _since(known: Known, listing: Listing, session: Session, at_us: int) -> int | None:
    """When a session began that is new in the list; None: it may have been there before."""
    if session.connected_s < known.time_s:
        return None
    connected_us = at_us - (listing.time_s - session.connected_s) * SECOND_US  # by our clock
    return max(known.listed_at_us + 1, min(connected_us, at_us - 1))


def _renamed(known: Known, key: str, last: Kept, session: Session) -> Kept:
    """A session that has another name than in the list before. One that had none, and is new, counts whole for its name."""
    amounts = (session.bytes_in, session.bytes_out)
    if last.name is None and last.since_us is not None:
        return Kept(session.name, None, *amounts, max(last.since_us, known.listed_at_us + 1))
    return Kept(session.name, f"{key}@{known.listed_at_us}", *amounts)


def _with_counters(sessions: dict[str, Kept], at_us: int) -> dict[str, Kept]:
    """The same, each session that has a name with a counter.

    One that counts whole takes the lowest number that no other session of its name has: its `since_us` lies after
    whatever that counter showed before. One that does not needs a counter that nobody had.
    """
    taken = {(kept.name, kept.counter) for kept in sessions.values()}
    lowest: dict[str, int] = {}
    found = {}
    for key, kept in sessions.items():
        counter = kept.counter
        if kept.name is not None and counter is None:
            if kept.since_us is None:
                counter = f"{key}@{at_us}"
            else:
                number = lowest.get(kept.name, 0)
                while (kept.name, str(number)) in taken:
                    number += 1
                counter = str(number)
                lowest[kept.name] = number + 1
        found[key] = msgspec.structs.replace(kept, counter=counter)
    return found


def readings_of(known: Known, stood: list[Kept], before_us: int, instance: str) -> list[CounterReading]:
    """What a list says of each session with a name, after where those stood before (at `before_us`) that had another."""
    kept = [(before_us, each) for each in stood] + [(known.listed_at_us, each) for each in known.sessions.values()]
    return [
        CounterReading(
            thing=Thing(ThingKind.TUNNEL, instance, each.name),
            at_us=at_us,
            bytes_in=each.bytes_in,
            bytes_out=each.bytes_out,
            counter=f"{known.mark}/{each.counter}",
            since_us=each.since_us,
            is_whole=each.since_us is not None and not each.is_kept,
        )
        for at_us, each in kept
        if each.name is not None
    ]


def statistics_reading(known: Known, statistics: Statistics, at_us: int, instance: str) -> CounterReading:
    """The reading of an end without sessions. What restarts it sets its totals back to zero, and nothing proves when."""
    return CounterReading(
        thing=Thing(ThingKind.TUNNEL, instance),
        at_us=at_us,
        bytes_in=statistics.bytes_in,
        bytes_out=statistics.bytes_out,
        counter=f"{known.mark}/",
    )


def marked_kept(known: Known) -> Known:
    """The same, its last readings handed in."""
    sessions = {
        key: msgspec.structs.replace(kept, is_kept=kept.name is not None) for key, kept in known.sessions.items()
    }
    return msgspec.structs.replace(known, sessions=sessions)
