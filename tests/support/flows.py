"""Flow sums through a desk, a store of flows, an intake and a real journal; and a store of flows that is obviously right."""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from itertools import count
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from support.catalog import MemoryCatalog, acme
from support.clock import HandClock
from weighbridge.collected import FLOW_SUM, KEPT_SUM, MAPPED_LO, Collected, Fate, FlowSums
from weighbridge.domain.errors import ConflictError, StorageError
from weighbridge.measurement import SlotFlag
from weighbridge.metering.desk import Desk
from weighbridge.metering.flows.corrections import Reattribution
from weighbridge.metering.flows.desk import FlowDesk
from weighbridge.metering.flows.limits import SETTLED_AFTER_S
from weighbridge.metering.fold import catch_up
from weighbridge.metering.intake import Intake
from weighbridge.metering.subjects import Sender
from weighbridge.model import END_S, Attribution, Exporter, Metering
from weighbridge.ports import KeptSums, Members
from weighbridge.storage.journal.store import SqliteJournal
from weighbridge.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from weighbridge.metering.flows.corrections import Outcome
    from weighbridge.metering.gathering import GatheredReceipt
    from weighbridge.model import CatalogView
    from weighbridge.ports import Finding, FlowStore, UsageStore

DAY_S = 86_400
NOON_S = 1_765_713_600
"""2025-12-14T12:00:00Z, a slot's start."""
NOON = NOON_S // 300
EVERYONE = Sender(None)
KEYS = ("slot", "hi", "lo", "mac", "vlan", "flags", "fate")
AMOUNTS = ("bytes_in", "bytes_out", "packets", "flows")

Entries = dict[tuple[int, str, str | None, str | None], Counter[tuple[tuple[int, ...], str]]]


def halves(address: str) -> tuple[int, int]:
    """An address as flow sums hold it."""
    found = ipaddress.ip_address(address)
    number = int(found)
    return (0, MAPPED_LO | number) if found.version == 4 else (number >> 64, number & (2**64 - 1))


def flow(address: str, bytes_in: int = 0, bytes_out: int = 0, slot: int = NOON, **more: int) -> tuple[int, ...]:
    """A row of FLOW_SUM."""
    said = {"mac": 0, "vlan": 0, "flags": 0, "packets": 1, "flows": 1} | more
    return (slot, *halves(address), said["mac"], said["vlan"], said["flags"], bytes_in, bytes_out, said["packets"],
            said["flows"])


def sums_of(*rows: tuple[int, ...], exporter: str = "192.0.2.1") -> FlowSums:
    return FlowSums(exporter, np.array(list(rows), FLOW_SUM))


def kept_of(
    *rows: tuple[int, ...], fate: int = Fate.UNATTRIBUTED, exporter: str = "192.0.2.1", organization: str | None = None,
    project: str | None = None,
) -> KeptSums:
    return KeptSums(exporter, organization, project, np.array([(*row, fate) for row in rows], KEPT_SUM))


def entries_of(piles: Sequence[KeptSums]) -> Entries:
    """What stands in piles, by slot and pile: the sums of each key, in Python's integers."""
    found: Entries = defaultdict(Counter)
    for pile in piles:
        for row in pile.rows:
            key = tuple(int(row[name]) for name in KEYS)
            for name in AMOUNTS:
                found[key[0], pile.exporter, pile.organization, pile.project][key, name] += int(row[name])
    return dict(found)


class MemoryFlowStore:
    """The referee: a FlowStore of one list, written to be obviously right. Nothing here reaches a disk."""

    def __init__(self, begins_s: int = 0) -> None:
        self._since_s = begins_s
        self._batches: dict[str, tuple[bytes, int]] = {}
        self._rows: list[tuple[str | None, KeptSums]] = []  # one row each, with its batch
        self._corrected: dict[int, int] = {}
        self._number = 0
        self._newest = ""
        self._closed = False

    def keep(self, id_: str, content: bytes, sums: Sequence[KeptSums]) -> frozenset[int]:
        self._must_be_open()
        if id_ in self._batches:
            known, number = self._batches[id_]
            if known != content:
                raise ConflictError("another content")
            self._newest = ""
            return frozenset(slot for slot, until in self._corrected.items() if until >= number)
        self._number += 1
        self._newest = id_
        self._batches[id_] = (content, self._number)
        for each in sums:
            for row in each.rows:
                if row["slot"] * 300 >= self._since_s:
                    one = np.array([row], KEPT_SUM)
                    self._rows.append((id_, KeptSums(each.exporter, each.organization, each.project, one)))
        return frozenset()

    def withdraw(self, id_: str) -> None:
        self._must_be_open()
        if id_ == self._newest:
            self._batches.pop(id_)
            self._rows = [(batch, each) for batch, each in self._rows if batch != id_]
            self._newest = ""

    def read(self, start_s: int, end_s: int, *, unattributed_only: bool = False) -> Iterator[KeptSums]:
        self._must_be_open()
        if start_s % 300 or end_s % 300:
            raise ValueError("off the slots")
        piles: dict[tuple[int, str, str | None, str | None], list[np.ndarray]] = defaultdict(list)
        for _, each in self._rows:
            row = each.rows[0]
            is_asked = start_s <= row["slot"] * 300 < end_s and not (unattributed_only and row["fate"] != Fate.UNATTRIBUTED)
            if is_asked:
                piles[int(row["slot"]), each.exporter, each.organization, each.project].append(each.rows)
        for (_, *pile), rows in sorted(piles.items(), key=lambda item: item[0][0]):
            yield KeptSums(*pile, np.concatenate(rows))  # equal rows stand beside each other: they add up

    def slots(self, start_s: int, end_s: int) -> list[int]:
        return sorted({int(pile.rows["slot"][0]) for pile in self.read(start_s, end_s)})

    def replace(self, slot: int, sums: Sequence[KeptSums]) -> None:
        self._must_be_open()
        held = [each for _, each in self._rows if each.rows[0]["slot"] == slot]
        for name in AMOUNTS:
            if sum(int(each.rows[name].sum()) for each in held) != sum(int(each.rows[name].sum()) for each in sums):
                raise ValueError("BUG: other amounts")
        self._corrected[slot] = self._number
        self._rows = [(batch, each) for batch, each in self._rows if each.rows[0]["slot"] != slot]
        for each in sums:
            for row in each.rows:
                one = np.array([row], KEPT_SUM)
                self._rows.append((None, KeptSums(each.exporter, each.organization, each.project, one)))

    def compact(self, now_s: int) -> int:
        self._must_be_open()
        return 0

    def retain(self, before_s: int) -> int:
        self._must_be_open()
        self._since_s = max(self._since_s, before_s // DAY_S * DAY_S)
        before = {int(each.rows[0]["slot"]) * 300 // DAY_S for _, each in self._rows}
        self._rows = [(batch, each) for batch, each in self._rows if each.rows[0]["slot"] * 300 >= self._since_s]
        return len(before - {int(each.rows[0]["slot"]) * 300 // DAY_S for _, each in self._rows})

    def kept_since_s(self) -> int:
        self._must_be_open()
        return -(-self._since_s // 300) * 300

    def check(self) -> list[Finding]:
        self._must_be_open()
        return []

    def close(self) -> None:
        self._must_be_open()
        self._closed = True

    def _must_be_open(self) -> None:
        if self._closed:
            raise StorageError("closed")


class FlowNetwork:
    """A catalog filled by hand, and everything from the desk to a usage store. The clock stands two days past noon."""

    def __init__(
        self, folder: Path, view: CatalogView | None = None, store: FlowStore | None = None, usage: UsageStore | None = None
    ) -> None:
        self.catalog = MemoryCatalog(view or acme())
        self.clock = HandClock((NOON_S + 2 * DAY_S) * 1_000_000)
        self.store: FlowStore = store or MemoryFlowStore()
        self.usage: UsageStore = usage or MemoryStore()
        self.journal = SqliteJournal(folder)
        self.intake = Intake(self.catalog, self.journal, self.clock, self.usage.mark())
        self.flow_desk = FlowDesk(self.catalog, self.store, self.clock)
        self.desk = Desk(self.intake, self.flow_desk)
        self.reattribution = Reattribution(
            self.flow_desk, catalog=self.catalog, flows=self.store, usage=self.usage, intake=self.intake, clock=self.clock,
            fold=self.fold,
        )
        self._ids = count()

    def close(self) -> None:
        self.intake.close()
        self.journal.close()

    @property
    def view(self) -> CatalogView:
        return self.catalog.view()

    def take(
        self, *sums: FlowSums, sender: Sender = EVERYONE, name: str | None = None, source: str = "netflow"
    ) -> GatheredReceipt:
        """Flows are handed in, by default under an id of their own."""
        return self.desk.take(Collected(source, flows=sums), sender, "", name or f"own-{next(self._ids)}")

    # What the operator enters.

    def attribute(self, server: str, *attributions: Attribution) -> None:
        """The server is known by these, oldest first."""
        self.view.servers[server] = msgspec.structs.replace(self.view.servers[server], attributions=attributions)
        self.view.version += 1

    def know(self, server: str, *addresses: str, from_s: int = 0, **more: object) -> None:
        """From an instant on the server is known by these addresses, and by nothing before."""
        canonical = tuple(str(ipaddress.ip_network(address)) for address in addresses)
        self.attribute(server, Attribution(from_s, addresses=canonical, **more))

    def declare(self, name: str, address: str, rate: int | None = None, networks: tuple[str, ...] = ()) -> None:
        """There is an exporter."""
        self.view.exporters[name] = self.view.exporters_by_address[address] = Exporter(name, address, rate, networks)
        self.view.version += 1

    # What came of it.

    def fold(self) -> None:
        """Everything is in the usage store."""
        catch_up(self.journal, self.usage)

    def reattribute(self, *, dry_run: bool = False, days: int = 30) -> Outcome:
        """What of the last days can be corrected is."""
        now_s = self.clock.now_us() // 1_000_000
        return self.reattribution.run(now_s - days * DAY_S, now_s, dry_run=dry_run)

    def usage_by_slot(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Bytes in and out of each thing and slot that holds any, via flows; nothing else may have fed those series."""
        self.fold()
        fed = [series for series in self.view.series.values() if series.key.via == Metering.FLOWS]
        numbers = tuple(series.id for series in fed)
        members = Members(numbers, numbers, (0,) * len(fed), (END_S,) * len(fed))
        sums = self.usage.sums(members, 0, NOON_S + 1000 * DAY_S, 300)
        names = {series.id: series.key.object for series in fed}
        columns = zip(sums.group, sums.start_s, sums.bytes_in, sums.bytes_out, strict=True)
        found = {(names[group], start_s // 300): (in_ or 0, out or 0) for group, start_s, in_, out in columns}
        assert all(amount >= 0 for amounts in found.values() for amount in amounts), "law: no slot below zero"
        return {key: amounts for key, amounts in found.items() if any(amounts)}

    def totals(self) -> dict[str, tuple[int, int]]:
        """Bytes in and out of each thing over all time."""
        found: dict[str, tuple[int, int]] = {}
        for (name, _), (in_, out) in self.usage_by_slot().items():
            before = found.get(name, (0, 0))
            found[name] = (before[0] + in_, before[1] + out)
        return found

    def estimated(self, server: str) -> set[int]:
        """The slots of a server of which a part is an estimate; each is measured, too."""
        self.fold()
        fed = [series.id for series in self.view.series.values() if series.key.object == server and series.key.via == "flows"]
        sums = self.usage.sums(Members((fed[0],), (0,), (0,), (END_S,)), 0, NOON_S + 1000 * DAY_S, 300)
        assert all(flags & SlotFlag.MEASURED for flags in sums.flags)
        return {start_s // 300 for start_s, flags in zip(sums.start_s, sums.flags, strict=True) if flags & SlotFlag.ESTIMATED}

    def counts(self, what: str) -> int:
        """How often something happened, over all exporters."""
        return sum(number for (_, _, each), number in self.desk.counts().items() if each == what)

    def settle(self) -> None:
        """So much time goes by that everything up to now can be corrected."""
        self.clock.at_us += (SETTLED_AFTER_S + 300) * 1_000_000
