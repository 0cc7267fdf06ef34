"""The desk for flow sums: each is rated, attributed to whom it belonged in its slot, and kept.

The steps, in order:
    rate       rows without a sampling rate get their exporter's (law 21); a named sampler that nobody knows is refused
    attribute  the thing that was known by the address, MAC or VLAN in the row's slot (law 22: at its one metering point)
    keep       all of it, durably, under the id of what brought it (storage/flows/): before anything is journaled
    sum        rows for the journal: per series (via flows), slot, and estimated or not

What was kept and then not journaled, because the process died in between and nobody brings it again, is counted by the next
reattribution (metering/flows/corrections.py).
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from weighbridge.collected import FLOW_SUM, Fate, FlowFlag
from weighbridge.domain.errors import OutOfRangeError
from weighbridge.measurement import MAX_NAME, MEASUREMENT
from weighbridge.metering.flows.limits import ROWS_AT_ONCE
from weighbridge.metering.flows.owners import ELSEWHERE, Owners
from weighbridge.metering.flows.rating import canonical_address, rated
from weighbridge.metering.flows.rows import THING_KEYS, measurement_rows, sums_by_thing
from weighbridge.metering.flows.sums import exact_sum, summed
from weighbridge.model import Metering, SeriesKey
from weighbridge.ports import KeptSums

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from weighbridge.collected import FlowSums
    from weighbridge.metering.flows.owners import Reach
    from weighbridge.metering.subjects import Sender
    from weighbridge.model import CatalogView
    from weighbridge.ports import Catalog, Clock, FlowStore

COMPACTIONS_A_TURN = 24
"""Slots that one turn of `compact` rewrites, one after the other: two hours of flows, a tenth of a second each at worst."""


@dataclass(slots=True)
class Prepared:
    """What flow sums become: `rows` for the journal (dtype MEASUREMENT, keys 0), and what happened to whose flows.

    `counts` by (exporter, what): the exporter's id, or its address where it is not declared; words in snake_case. Of
    attributed, elsewhere, unattributed and beside (see collected.Fate) `_bytes`, in and out; of each reason to refuse
    the rows and their `_bytes`.
    """

    rows: np.ndarray
    counts: Counter[tuple[str, str]]


class FlowDesk:
    """See above. Hold `lock` from before `prepare` until its rows are in the journal, or are known not to be."""

    def __init__(self, catalog: Catalog, store: FlowStore, clock: Clock) -> None:
        self.lock: AbstractContextManager[object] = threading.RLock()
        self.owners = Owners()  # whoever holds the lock may ask it
        self._catalog = catalog
        self._store = store
        self._clock = clock

    def prepare(self, id: str, flows: Sequence[FlowSums], sender: Sender) -> Prepared:  # noqa: A002  its word everywhere
        """The sums are kept under the id, which no other carrier uses, and attributed as far as the sender reaches.

        The same id again, after a crash or a failed journal, keeps nothing twice and leaves out what a correction has
        counted meanwhile. ConflictError: the id came with other sums before. OutOfRangeError: more rows than ROWS_AT_ONCE,
        or an exporter without a name. StorageError: nothing is kept.
        """
        _check(flows)
        with self.lock:
            view = self._catalog.view()
            reach = self.owners.reach(view, sender)
            counts: Counter[tuple[str, str]] = Counter()
            kept: list[KeptSums] = []
            attributed: list[np.ndarray] = []
            for sums in flows:
                address = canonical_address(sums.exporter)
                exporter = view.exporters_by_address.get(address)
                named = address if exporter is None else exporter.id
                rows, refused = rated(sums.rows, None if exporter is None else exporter.sampling_rate, self._clock.now_us())
                counts.update({(named, what): number for what, number in refused.items()})
                rows["fate"][self.owners.is_apart(rows) & (rows["flags"] & FlowFlag.LONELY == 0)] = Fate.BESIDE
                codes = self.owners.find(reach, rows, None if exporter is None else exporter.id)
                rows["fate"] = fates(codes, rows["fate"])
                _count(counts, named, rows)
                kept.append(KeptSums(address, sender.organization, sender.project, rows))
                attributed.append(sums_by_thing(rows[codes >= 0], codes[codes >= 0]))
            corrected = self._store.keep(id, _content(flows), kept)
            return Prepared(self._measured(attributed, reach, corrected), counts)

    def _measured(self, attributed: Sequence[np.ndarray], reach: Reach, corrected: frozenset[int]) -> np.ndarray:
        """Sums by thing (THING_SUM), as rows for the journal; series that are new are made."""
        if not attributed:
            return np.zeros(0, MEASUREMENT)
        listed = np.concatenate(attributed)
        sums = summed(listed[~np.isin(listed["slot"], list(corrected))], THING_KEYS)
        things, places = np.unique(sums["thing"], return_inverse=True)
        keys = [series_key(reach, thing) for thing in things.tolist()]
        series = [each.id for each in self._catalog.enter_series(keys)] if keys else []
        sums["thing"] = np.array(series, "u4")[places] if keys else 0
        return measurement_rows(sums)

    def withdraw(self, id: str) -> None:  # noqa: A002  as above
        """What `prepare` kept under the id is gone again: its rows were refused by the journal, and the sender knows."""
        with self.lock:
            self._store.withdraw(id)

    def compact(self) -> int:
        """What is over is kept in fewer pieces, up to a bound; how many slots. Others may work in between."""
        done = 0
        now_s = self._clock.now_us() // 1_000_000
        while done < COMPACTIONS_A_TURN:
            with self.lock:
                if not self._store.compact(now_s):
                    break
            done += 1
        return done

    def retain(self, before_s: int) -> int:
        """Flows of whole UTC days before an instant are forgotten; how many days."""
        with self.lock:
            return self._store.retain(before_s)


def series_key(reach: Reach, thing: int) -> SeriesKey:
    """The series that a thing's flows feed, and nothing else does."""
    kind, name = reach.things[thing]
    return SeriesKey(kind, name, via=Metering.FLOWS)


def fates(codes: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The Fate of rows by whose they are (Owners.find). `before`: what they were until now; what is beside stays so."""
    found = np.where(before == Fate.BESIDE, int(Fate.BESIDE), int(Fate.UNATTRIBUTED)).astype("u1")
    found[codes >= 0] = Fate.ATTRIBUTED
    found[codes == ELSEWHERE] = Fate.ELSEWHERE
    return found


def exporter_name(view: CatalogView, address: str) -> str:
    """The id of a declared exporter, otherwise its address."""
    exporter = view.exporters_by_address.get(address)
    return address if exporter is None else exporter.id


def _check(flows: Sequence[FlowSums]) -> None:
    rows = sum(len(sums.rows) for sums in flows)
    if rows > ROWS_AT_ONCE:
        raise OutOfRangeError(f"{rows} flow sums at once, and {ROWS_AT_ONCE} are the most", where="flows")
    for sums in flows:
        if not 0 < len(sums.exporter) <= MAX_NAME:
            raise OutOfRangeError(f"an exporter's name has 1 to {MAX_NAME} characters", where="flows")


def _content(flows: Sequence[FlowSums]) -> bytes:
    """A digest of everything that was brought, in its order."""
    digest = xxhash.xxh3_128()
    for sums in flows:
        rows = np.ascontiguousarray(sums.rows, FLOW_SUM)
        digest.update(f"{len(sums.exporter)}\0{sums.exporter}{len(rows)}\0".encode())
        digest.update(rows.tobytes())
    return digest.digest()


def _count(counts: Counter[tuple[str, str]], named: str, rows: np.ndarray) -> None:
    """The bytes of each fate, of an exporter."""
    for fate in Fate:
        chosen = rows[rows["fate"] == fate]
        if len(chosen):
            counts[named, f"{fate.name.lower()}_bytes"] += exact_sum(chosen["bytes_in"]) + exact_sum(chosen["bytes_out"])
