"""Polls this machine's interfaces and hands in what their counters say."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from weighbridge.collected import Collected, CounterReading, Thing, ThingKind
from weighbridge.domain.errors import InvalidInputError, WeighbridgeError
from weighbridge.sources.host.choice import choose
from weighbridge.sources.host.decode import COUNTER_BITS, Known, Look, Seen, assign, without_left
from weighbridge.sources.host.read import is_supported, read_interfaces, read_machine, read_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.collected import Stop
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.host.decode import Interface, Now
    from weighbridge.sources.host.settings import HostSettings

ROOT: Final = Path("/")
COUNTERS_KEPT: Final = 10_000
"""Counters remembered between polls; machines that make interfaces all day drop the oldest."""
SWAPPED: Final = "~"
"""Ends the counter of an interface that faces the server: turned around it is another counter."""

_STATE_FILE = "host.json"
_log = structlog.get_logger("weighbridge.host")


class State(msgspec.Struct):
    """What is kept between polls and restarts. `known`: the counters of each server and direction, all of one machine."""

    machine: str = ""
    last: Look | None = None
    known: dict[str, dict[str, Known]] = {}


class HostCollector:
    """Reads /proc/net/dev and hands in. What cannot be read is absence, never zero."""

    def __init__(self, tables: tuple[HostSettings, ...], surroundings: Surroundings, root: Path = ROOT) -> None:
        self._tables = tables
        self._interval_s = min(table.interval_s for table in tables)
        self._sink = surroundings.sink
        self._clock = surroundings.clock
        self._file = surroundings.folder / _STATE_FILE
        self._root = root
        self._machine = read_machine(root)
        self._state = self._load()
        self._trouble = ""
        self._chosen: tuple[dict[str, int], dict[str, str]] | None = None
        self._counters = 0

    def run(self, stop: Stop) -> None:
        """Polls until it is time to end, and once more then."""
        due_s = time.monotonic()
        while True:
            self.poll()
            due_s = max(due_s + self._interval_s, time.monotonic())
            if stop.wait(max(due_s - time.monotonic(), 0)):
                self.poll()
                return

    def poll(self) -> int:
        """Hands in one reading of every interface; how many there were. Trouble is logged: the next poll has the bytes."""
        try:
            readings, state = self._read()
            if readings:
                self._sink(Collected("host", readings))
        except (OSError, WeighbridgeError) as error:
            if str(error) != self._trouble:
                _log.warning("host_poll_failed", error=str(error))
            self._trouble = str(error)
            return 0
        self._trouble = ""
        self._state = state
        self._save()
        return len(readings)

    def _read(self) -> tuple[list[CounterReading], State]:
        """What is to be handed in, and the state once it is."""
        now = read_now(self._root, self._clock.now_us())
        found = read_interfaces(self._root)
        chosen, left = choose(self._tables, [link for _, link in found.values()])
        self._tell(chosen, left)
        groups: dict[str, list[Interface]] = {_group(table): [] for table in self._tables}
        for name, number in chosen.items():
            groups[_group(self._tables[number])].append(found[name][0])
        readings: list[CounterReading] = []
        kept: dict[str, dict[str, Known]] = {}
        for table in {_group(table): table for table in self._tables}.values():
            metered = groups[_group(table)]
            own = {interface.index for interface in metered}
            left_here = [interface for interface, _ in found.values() if interface.index not in own]
            known = without_left(self._state.known.get(_group(table), {}), metered, left_here, now.boot_id)
            seen, known = assign(metered, known, self._state.last, now)
            readings += [_reading(each, table, now, self._machine) for each in seen]
            kept[_group(table)] = _newest(known)
        highest = max((interface.index for interface, _ in found.values()), default=0)
        if self._state.last is not None and self._state.last.boot_id == now.boot_id:
            highest = max(highest, self._state.last.highest)
        return readings, State(self._machine, Look(now.at_us, now.boot_id, highest), kept)

    def _tell(self, chosen: dict[str, int], left: dict[str, str]) -> None:
        """Which interfaces are metered is logged once, and when it changes."""
        if self._chosen == (chosen, left):
            return
        self._chosen = (chosen, left)
        metered: dict[str, list[str]] = {}
        for name, number in sorted(chosen.items()):
            metered.setdefault(self._tables[number].server, []).append(name)
        _log.info("host_interfaces", metered=metered, left_out=left)

    def _load(self) -> State:
        try:
            state = msgspec.json.decode(self._file.read_bytes(), type=State)
        except (OSError, msgspec.DecodeError):
            return State()  # a first start: each counter begins with its next reading
        return state if state.machine == self._machine else State()  # a folder that was copied says nothing of this machine

    def _save(self) -> None:
        """No fsync: what a crash takes of it can only lose bytes of an interface re-made in that very moment."""
        draft = self._file.with_suffix(".new")
        try:
            draft.write_bytes(msgspec.json.encode(self._state))
            draft.replace(self._file)
        except OSError as error:
            _log.warning("host_state_not_saved", error=str(error))


def make_collector(tables: tuple[HostSettings, ...], surroundings: Surroundings) -> HostCollector:
    """The collector of this machine's interfaces. InvalidInputError: this system does not tell their counters."""
    if not is_supported(ROOT):
        raise InvalidInputError("this system has no /proc/net/dev; take [sources.host] out, and serve with --no-host")
    return HostCollector(tables, surroundings)


def _group(table: HostSettings) -> str:
    return f"{table.server}{SWAPPED if table.facing == 'server' else ''}"


def _reading(seen: Seen, table: HostSettings, now: Now, machine: str) -> CounterReading:
    """The counter's name holds the machine's, so that two machines that say to be one server are two counters."""
    interface = seen.interface
    towards_server = table.facing == "server"
    in_out = (interface.bytes_sent, interface.bytes_received) if towards_server else (
        interface.bytes_received, interface.bytes_sent)
    return CounterReading(
        thing=Thing(ThingKind.HOST, table.server),
        at_us=now.at_us,
        bytes_in=in_out[0],
        bytes_out=in_out[1],
        counter=f"{seen.counter}{SWAPPED if towards_server else ''}{machine and f'/{machine}'}",
        bits=COUNTER_BITS,
        since_us=None if seen.since_us is None or seen.since_us > now.at_us else seen.since_us,
        line_rate_bps=interface.line_rate_bps,
        is_whole=seen.is_whole,
    )


def _newest(known: Mapping[str, Known]) -> dict[str, Known]:
    kept = sorted(known.items(), key=lambda item: item[1].read_at_us, reverse=True)[:COUNTERS_KEPT]
    return dict(kept)
