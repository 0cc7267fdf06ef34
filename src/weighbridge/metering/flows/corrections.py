"""Reattribution: what the kept flow sums say under today's dated catalog, less what is counted; the difference is journaled.

Series via flows are fed by flow sums alone, so for every slot of which all sums are kept the two must agree. Where they do
not (an address was attributed late, or a crash came between keeping and journaling), corrections of either sign make them.
They rest on nothing but what is there: an interrupted run is run again, and ends the same; after a run there is nothing to
correct.

Order, for each piece of time, under the desk's lock: fold what is journaled; compare; note in the flow store that what it
holds is counted; journal. A crash before the last step undercounts until the next run, and never counts twice: a sender that
brings an old batch again finds its slots counted.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import structlog

from weighbridge.collected import Fate
from weighbridge.domain.units import DAY_S, SLOT_S
from weighbridge.measurement import MEASUREMENT, MeasurementFlag
from weighbridge.metering.counting import LARGEST_PART
from weighbridge.metering.flows.desk import fates
from weighbridge.metering.flows.limits import SETTLED_AFTER_S
from weighbridge.metering.flows.rows import THING_SUM, difference_rows, sums_by_thing
from weighbridge.metering.flows.sums import exact_sum, run_starts
from weighbridge.metering.gathering import Gathered
from weighbridge.metering.limits import EARLIEST_US
from weighbridge.metering.subjects import Sender
from weighbridge.model import END_S, Metering, SeriesKey
from weighbridge.ports import KeptSums, Members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from weighbridge.metering.flows.desk import FlowDesk
    from weighbridge.metering.flows.owners import Thing
    from weighbridge.metering.intake import Intake
    from weighbridge.ports import Catalog, Clock, FlowStore, Sums, UsageStore

PIECE_S = 1800
"""What is worked out at once. With 10,000 addresses that is some 20 MB on the way and a quarter of a second, for which flows
that come in wait."""
EARLIEST_S = EARLIEST_US // 1_000_000
SOURCE = "reattribution"
"""The source of corrections, for their ids."""

_log = structlog.get_logger("weighbridge.flows")


@dataclass(slots=True)
class Change:
    """What corrections add to a thing and take away from it, in bytes, each slot and direction by itself."""

    gained_in: int = 0
    gained_out: int = 0
    lost_in: int = 0
    lost_out: int = 0

    def add(self, more_in: int, more_out: int) -> None:
        """One slot's difference more."""
        self.gained_in += max(more_in, 0)
        self.gained_out += max(more_out, 0)
        self.lost_in += max(-more_in, 0)
        self.lost_out += max(-more_out, 0)


@dataclass(slots=True)
class Outcome:
    """What a run did, or would do, over [from_s, to_s): what was asked, as far as it could be looked at.

    `unattributed_before` and `_after`: bytes of sums that are nobody's.
    """

    from_s: int
    to_s: int
    changes: dict[Thing, Change] = field(default_factory=lambda: defaultdict(Change))
    corrections: int = 0
    unattributed_before: int = 0
    unattributed_after: int = 0


class Reattribution:
    """See above. Safe from any thread. `fold` moves everything journaled into the usage store, one caller at a time."""

    def __init__(
        self,
        desk: FlowDesk,
        *,
        catalog: Catalog,
        flows: FlowStore,
        usage: UsageStore,
        intake: Intake,
        clock: Clock,
        fold: Callable[[], object],
    ) -> None:
        self._desk = desk
        self._catalog = catalog
        self._flows = flows
        self._usage = usage
        self._intake = intake
        self._clock = clock
        self._fold = fold

    def bounds_s(self) -> tuple[int, int]:
        """Between which instants slots can be corrected: everything of them is kept, and nothing more is expected."""
        since_s = max(self._flows.kept_since_s(), self._usage.exact_since_s(), EARLIEST_S)
        settled_s = (self._clock.now_us() // 1_000_000 - SETTLED_AFTER_S) // SLOT_S * SLOT_S
        return -(-since_s // SLOT_S) * SLOT_S, max(settled_s, EARLIEST_S)

    def run(self, from_s: int, to_s: int, *, dry_run: bool) -> Outcome:
        """Slots that lie within [from_s, to_s) are as the catalog says today; with `dry_run`, what that would take.

        BusyError, StorageError: pieces before it are done; run it again.
        """
        first_s, past_s = self.bounds_s()
        from_s = max(-(-from_s // SLOT_S) * SLOT_S, first_s)
        to_s = max(min(to_s // SLOT_S * SLOT_S, past_s), from_s)
        outcome = Outcome(from_s, to_s)
        things = _Things(self._catalog)
        for day_s in range(from_s // DAY_S * DAY_S, to_s, DAY_S):
            for piece_s in self._pieces(max(day_s, from_s), min(day_s + DAY_S, to_s), things.now()):
                with self._desk.lock:
                    start_s, end_s = max(piece_s, from_s, self.bounds_s()[0]), min(piece_s + PIECE_S, to_s)
                    if start_s < end_s:  # or that day was forgotten meanwhile
                        things = things.now()
                        self._run_piece((start_s, end_s), things, outcome, dry_run=dry_run)
        if outcome.corrections and not dry_run:
            _log.info("reattributed", start_s=from_s, end_s=to_s, corrections=outcome.corrections)
        return outcome

    def _pieces(self, start_s: int, end_s: int, things: _Things) -> list[int]:
        """Where pieces begin of which something is kept or counted, so that empty days cost two questions."""
        with self._desk.lock:
            self._fold()
            counted = self._usage.sums(things.members, start_s, end_s, PIECE_S, bytes_only=True)
            kept = {slot * SLOT_S // PIECE_S * PIECE_S for slot in self._flows.slots(start_s, end_s)}
        return sorted(kept | set(counted.start_s))

    def _run_piece(self, range_s: tuple[int, int], things: _Things, outcome: Outcome, *, dry_run: bool) -> None:
        self._fold()
        kept = list(self._kept(*range_s, things))
        for each in kept:
            outcome.unattributed_before += _unattributed(each.before)
            outcome.unattributed_after += _unattributed(each.after)
        counted = self._usage.sums(things.members, *range_s, SLOT_S)
        differences = _differences([each.sums for each in kept], counted)
        rows: list[tuple[int, ...]] = []
        for thing, slot, more_in, more_out, flags in differences:
            outcome.changes[things.listed[thing]].add(more_in, more_out)
            rows += difference_rows(thing, slot, (more_in, more_out), flags)
        outcome.corrections += len(rows)
        if not dry_run:
            self._note(kept, {slot for _, slot, *_ in differences})
            self._journal(rows, things, "-".join(map(str, range_s)))

    def _kept(self, start_s: int, end_s: int, things: _Things) -> Iterator[_Kept]:
        """Everything that is kept of a piece, with the fates that today's catalog gives it."""
        view = self._catalog.view()
        for pile in self._flows.read(start_s, end_s):
            reach = self._desk.owners.reach(view, Sender(pile.organization, pile.project))
            exporter = view.exporters_by_address.get(pile.exporter)
            codes = self._desk.owners.find(reach, pile.rows, None if exporter is None else exporter.id)
            after = pile.rows.copy()
            after["fate"] = fates(codes, pile.rows["fate"])
            owned = codes >= 0
            numbers, places = np.unique(codes[owned], return_inverse=True)
            listed = np.array([things.number(reach.things[number]) for number in numbers.tolist()], "u4")
            sums = sums_by_thing(after[owned], listed[places] if len(listed) else numbers)
            yield _Kept(pile, KeptSums(pile.exporter, pile.organization, pile.project, after), sums)

    def _note(self, kept: Sequence[_Kept], corrected: set[int]) -> None:
        """The flow store holds the new fates, and that every batch that it has of these slots is counted."""
        slots: dict[int, list[_Kept]] = defaultdict(list)
        for each in kept:
            slots[int(each.after.rows["slot"][0])].append(each)
        changed = {slot for slot, piles in slots.items() if any(each.is_changed for each in piles)}
        for slot in sorted(changed | corrected):
            self._flows.replace(slot, [each.after for each in slots.get(slot, ())])

    def _journal(self, rows: Sequence[tuple[int, ...]], things: _Things, piece: str) -> None:
        """The corrections are durable. `piece` and how far usage is folded name them: the same state, the same name."""
        if not rows:
            return
        listed = np.array(rows, MEASUREMENT)
        listed["series"] = things.series(listed["series"])
        name = f"{piece}@{self._usage.mark().position}"
        self._intake.take(Gathered((), listed, Sender(None), "", SOURCE, name), None)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Sums of one slot, exporter and reach: as kept, as today's catalog has them, and what that is for whom (THING_SUM)."""

    before: KeptSums
    after: KeptSums
    sums: np.ndarray

    @property
    def is_changed(self) -> bool:
        """Whether somebody else has them now, or nobody."""
        return bool((self.before.rows["fate"] != self.after.rows["fate"]).any())


class _Things:
    """Numbers of things while pieces are worked out: first those that have a series via flows, then others as they come.

    `members`: the series that there are, each a group by its number here.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known = _extent(catalog)
        fed = [each for each in tuple(catalog.view().series.values()) if each.key.via == Metering.FLOWS]
        self.members = Members(
            tuple(each.id for each in fed), tuple(range(len(fed))), (0,) * len(fed), (END_S,) * len(fed))
        self.listed: list[Thing] = [(each.key.kind, each.key.object) for each in fed]
        self._numbers = {thing: number for number, thing in enumerate(self.listed)}

    def now(self) -> _Things:
        """These, or others where series were made since."""
        return self if _extent(self._catalog) == self._known else _Things(self._catalog)

    def number(self, thing: Thing) -> int:
        """The number of a thing."""
        if thing not in self._numbers:
            self._numbers[thing] = len(self.listed)
            self.listed.append(thing)
        return self._numbers[thing]

    def series(self, numbers: np.ndarray) -> np.ndarray:
        """The series of things by their numbers, made where new."""
        asked, places = np.unique(numbers, return_inverse=True)
        fed = [self.listed[number] for number in asked.tolist()]
        keys = [SeriesKey(kind, name, via=Metering.FLOWS) for kind, name in fed]
        found: np.ndarray = np.array([each.id for each in self._catalog.enter_series(keys)], "u4")[places]
        return found


def _extent(catalog: Catalog) -> tuple[int, int]:
    """What changes with every series that is made."""
    view = catalog.view()
    return view.version, len(view.series)


def _unattributed(pile: KeptSums) -> int:
    rows = pile.rows[pile.rows["fate"] == Fate.UNATTRIBUTED]
    return exact_sum(rows["bytes_in"]) + exact_sum(rows["bytes_out"])


def _differences(due: Sequence[np.ndarray], counted: Sums) -> list[tuple[int, int, int, int, int]]:
    """Thing, slot, bytes in and out to add (below zero: to take away) and measurement flags, where they are not nothing."""
    sums = np.concatenate(due) if due else np.zeros(0, THING_SUM)
    things = np.concatenate([sums["thing"], np.array(counted.group, "u4")])
    slots = np.concatenate([sums["slot"], np.array(counted.start_s, "i8") // SLOT_S])
    if not len(things):
        return []
    order = np.lexsort((slots, things))
    things, slots = things[order], slots[order]
    begins = run_starts([things, slots])
    flags = np.zeros(len(order), "u1")
    flags[: len(sums)] = np.where(sums["flags"] != 0, int(MeasurementFlag.SAMPLED), 0)
    more = [_added(sums[name], held, order, begins) for name, held in (
        ("bytes_in", counted.bytes_in), ("bytes_out", counted.bytes_out))]
    columns = [things[begins], slots[begins], *more, np.bitwise_or.reduceat(flags[order], begins)]
    differs = (more[0] != 0) | (more[1] != 0)
    return list(zip(*(column[differs].tolist() for column in columns), strict=True))


def _added(due: np.ndarray, held: Sequence[int | None], order: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """What is due less what is held, by thing and slot; as Python's integers where 64 bits might not hold it."""
    known = [amount or 0 for amount in held]
    is_large = float(due.sum(dtype="f8")) + sum(map(float, known)) >= LARGEST_PART
    less = np.array([-amount for amount in known], object if is_large else "i8")
    sums: np.ndarray = np.add.reduceat(np.concatenate([due.astype(less.dtype), less])[order], begins)
    return sums
