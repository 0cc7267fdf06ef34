"""Readings of things in the network through a desk, an intake and a real journal, and what then stands in the series."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from support.catalog import MemoryCatalog, acme
from support.clock import HandClock
from weighbridge.collected import FLOW_SUM, Collected, CounterReading, FlowSums, Thing, ThingKind
from weighbridge.domain.timegrid import Window
from weighbridge.measurement import MEASUREMENT, UNKNOWN, SlotFlag
from weighbridge.metering.desk import Desk
from weighbridge.metering.fold import catch_up
from weighbridge.metering.intake import Intake
from weighbridge.metering.subjects import Sender
from weighbridge.model import END_S, Attribution, CatalogView, Kind, Metering, Peer, Placement, Port, SeriesKey
from weighbridge.ports import Members
from weighbridge.reports.selection import Reach, Selection, Span, resolve, select
from weighbridge.reports.usage import usage
from weighbridge.storage.journal.store import SqliteJournal
from weighbridge.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weighbridge.metering.gathering import GatheredReceipt

TEN_S = int(datetime(2025, 12, 14, 10, 0, tzinfo=UTC).timestamp())
"""Ten o'clock, when the stories of these tests begin."""
US = 1_000_000
EVERYONE = Sender(None)
PORT = Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/1")


def at_s(minutes: float) -> int:
    """So many minutes past ten, in seconds."""
    return TEN_S + round(minutes * 60)


def at_us(minutes: float) -> int:
    """So many minutes past ten, in microseconds."""
    return TEN_S * US + round(minutes * 60 * US)


def reading(
    minutes: float, bytes_in: int | None, bytes_out: int | None = None, thing: Thing = PORT, **more: Any
) -> CounterReading:
    """Totals as read so many minutes past ten."""
    return CounterReading(thing=thing, at_us=at_us(minutes), bytes_in=bytes_in, bytes_out=bytes_out, **more)


@dataclass
class Prepared:
    """Rows of flows as the desk of flows makes them."""

    rows: np.ndarray
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)


class HandFlows:
    """A stand-in for the desk of flows: whatever flows come, it gives the rows that a test has laid out."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows = np.zeros(0, MEASUREMENT)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.prepared: list[str] = []

    def prepare(self, id: str, flows: Sequence[FlowSums], sender: Sender) -> Prepared:  # noqa: A002  the seam's
        assert self.lock.locked()
        self.prepared.append(id)
        return Prepared(self.rows.copy(), Counter(self.counts))

    def withdraw(self, id: str) -> None:  # noqa: A002  the seam's
        assert self.lock.locked()
        self.prepared.remove(id)


class Network:
    """A catalog filled by hand, a desk over a journal on disk, a store in memory. The clock stands far past ten."""

    def __init__(self, folder: Path, view: CatalogView | None = None) -> None:
        self.catalog = MemoryCatalog(view or acme())
        self.store = MemoryStore()
        self.clock = HandClock(at_us(3 * 24 * 60))
        self.flows = HandFlows()
        self._folder = folder
        self._ids = count()
        self._open()

    def _open(self) -> None:
        self.journal = SqliteJournal(self._folder)
        self.intake = Intake(self.catalog, self.journal, self.clock, self.store.mark())
        self.desk = Desk(self.intake, self.flows)

    def close(self) -> None:
        self.intake.close()
        self.journal.close()

    def reopen(self) -> None:
        """The server is started anew over the same folder."""
        self.close()
        self._open()

    @property
    def view(self) -> CatalogView:
        return self.catalog.view()

    def read(
        self, *readings: CounterReading, sender: Sender = EVERYONE, source: str = "snmp", name: str | None = None
    ) -> GatheredReceipt:
        """The readings are handed in, by default under an id of their own."""
        return self.desk.take(Collected(source, readings), sender, "", name or f"own-{next(self._ids)}")

    def flow(self, server: str, *sums: tuple[float, int, int], name: str | None = None) -> GatheredReceipt:
        """Flows of a server are handed in: minutes past ten, bytes in, bytes out."""
        number = self.catalog.enter_series([SeriesKey(Kind.SERVER, server, via=Metering.FLOWS)])[0].id
        rows = [(number, 0, at_us(minutes), at_us(minutes), *amounts, UNKNOWN, 0, 0) for minutes, *amounts in sums]
        self.flows.rows = np.array(rows, MEASUREMENT)
        flows = (FlowSums("192.0.2.1", np.zeros(len(sums), FLOW_SUM)),)
        return self.desk.take(Collected("netflow", flows=flows), EVERYONE, "", name or f"own-{next(self._ids)}")

    # What the operator enters.

    def attribute(self, server: str, *attributions: Attribution) -> None:
        """The server is known by these, oldest first."""
        self.view.servers[server] = msgspec.structs.replace(self.view.servers[server], attributions=attributions)
        self.view.version += 1

    def give_port(
        self, server: str, from_s: int = 0, thing: Thing = PORT, facing: str = "network", **more: Any
    ) -> None:
        """From an instant on the port is the server's."""
        known = self.view.servers[server].attributions
        port = Port(thing.device, thing.name, facing)
        self.attribute(server, *known, Attribution(from_s, interfaces=(port,), **more))

    def take_port(self, server: str, from_s: int) -> None:
        """From an instant on the server has no port."""
        self.attribute(server, *self.view.servers[server].attributions, Attribution(from_s))

    def move(self, server: str, from_s: int, project: str) -> None:
        """From an instant on the server stands in another project."""
        known = self.view.servers[server]
        placements = (*known.placements, Placement(from_s, project, known.region))
        self.view.servers[server] = msgspec.structs.replace(known, project=project, placements=placements)
        if server not in self.view.servers_of.get(project, ()):
            self.view.servers_of[project] = (*self.view.servers_of.get(project, ()), server)
        self.view.version += 1

    def enter_peer(self, vpn: str, peer: str, **fields: Any) -> None:
        """The instance has this peer."""
        self.view.peers[vpn, peer] = Peer(vpn, peer, **fields)
        if peer not in self.view.peers_of.get(vpn, ()):
            self.view.peers_of[vpn] = (*self.view.peers_of.get(vpn, ()), peer)
        self.view.version += 1

    # What came of it.

    def fold(self) -> None:
        """Everything is in the store."""
        catch_up(self.journal, self.store)

    def slots(self, kind: Kind, name: str, via: str) -> dict[int, tuple[int | None, int | None]]:
        """Bytes in and out in each slot of a series that has a row, by its start in minutes past ten."""
        return {minutes: amounts for minutes, (amounts, _) in self.rows(kind, name, via).items()}

    def total(self, kind: Kind, name: str, via: str) -> tuple[int, int]:
        """The sums of a series over all time."""
        found = list(self.slots(kind, name, via).values())
        return sum(amounts[0] or 0 for amounts in found), sum(amounts[1] or 0 for amounts in found)

    def estimated(self, kind: Kind, name: str, via: str) -> list[int]:
        """The slots of which a part is an estimate, in minutes past ten."""
        rows = self.rows(kind, name, via)
        return [minutes for minutes, (_, flags) in rows.items() if flags & SlotFlag.ESTIMATED]

    def billed(self, group_by: str, **filters: Any) -> dict[str | int | None, tuple[int | None, int | None]]:
        """The usage report over the day of ten o'clock: bytes in and out by id, where anything moved."""
        self.fold()
        day = Window(TEN_S - 36_000, TEN_S + 50_400)
        asked = resolve(self.view, Reach(), Selection(**filters))
        selected = select(self.view, asked, (group_by,), Span(day.start_s, day.end_s, day.end_s))
        rows = usage(self.store, selected, [day]).rows()
        return {key[0]: (amounts.bytes_in, amounts.bytes_out) for _, key, amounts in rows if amounts.known}

    def rows(self, kind: Kind, name: str, via: str) -> dict[int, tuple[tuple[int | None, int | None], int]]:
        self.fold()
        series = self.view.series_by_key.get(SeriesKey(kind, name, via=via))
        if series is None:
            return {}
        sums = self.store.sums(Members((series.id,), (0,), (0,), (END_S,)), 0, TEN_S + 1000 * 86_400, 300)
        columns = zip(sums.start_s, sums.bytes_in, sums.bytes_out, sums.flags, strict=True)
        return {(start_s - TEN_S) // 60: ((inward, outward), flags) for start_s, inward, outward, flags in columns}
