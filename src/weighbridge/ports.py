"""The seams of the house: what metering and reports need from stores, as Protocols.

Errors: everything here may raise StorageError (domain/errors.py) when the disk or a store is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from weighbridge.domain.counters import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np

    from weighbridge.measurement import JournalRow, Mark, Totals
    from weighbridge.model import CatalogView, Endpoint, Series, SeriesKey

STEPS_S = (0, 300, 1800, 3600, 86400)
"""Bucket lengths a store can sum by; 0 is one bucket for the whole range. All are aligned to the epoch, UTC."""

MAX_EDGES = 129
"""Edges of one question: they become a decision tree that each row walks, 7 steps deep at most."""


def must_be_edges(edges_s: Sequence[int]) -> None:
    """Raise ValueError unless these can be asked about by `sums_between`: a defect of the caller."""
    ascending = all(left < right for left, right in pairwise(edges_s))
    if not 1 < len(edges_s) <= MAX_EDGES or not ascending or any(edge_s % 300 for edge_s in edges_s):
        raise ValueError(f"{len(edges_s)} edges are not 2 to {MAX_EDGES} ascending multiples of 300 s")


class Clock(Protocol):
    """Where the time comes from. Always passed in, so that tests own it."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, UTC."""


@dataclass(frozen=True, slots=True)
class Members:
    """Which series a question is about: parallel columns, one entry per series and stretch of time.

    `groups` are small integers that the asker gives meaning to. `from_s` and `until_s` clip an entry to the time in
    which the series belonged to its group (multiples of 300, half-open). The same series may stand here several times,
    with stretches that do not overlap or with different groups.
    """

    series: tuple[int, ...]
    groups: tuple[int, ...]
    from_s: tuple[int, ...]
    until_s: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums by group and bucket: parallel lists, ordered by (group, start). A bucket without rows is absent.

    `start_s` is the bucket's aligned start (with step 0: the asked start). Amounts are exact; None where rows exist but
    none of them knows this amount. `flags` is the bitwise or of SlotFlag.
    """

    group: list[int]
    start_s: list[int]
    bytes_in: list[int | None]
    bytes_out: list[int | None]
    requests: list[int | None]
    flags: list[int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a self-check found wrong: which check, a sentence with the figures, and what to do."""

    check: str
    detail: str
    remedy: str


class UsageStore(Protocol):
    """Sums per series and slot in three tiers (5 minutes, 30 minutes, UTC day). Knows no vendor and no catalog.

    Thread-safe: one writer (fold, flush, compact) and any number of readers, which see a consistent state and never wait
    for a write longer than a fold takes.
    """

    def mark(self) -> Mark:
        """How far the journal has been folded, from the same durable state as the sums."""

    def fold(self, rows: np.ndarray, mark: Mark) -> bool:
        """Add `rows` (dtype SLOT_ROW, any order) and move to `mark`, atomically and durably.

        Rows with SlotFlag.SUBTRACT are taken away; they never exceed what their slot holds by then. False, and nothing
        changes, if the store is at or past `mark.position` already.
        """

    def load(self, rows: np.ndarray) -> None:
        """Add `rows` that never were in a journal (the demo), sorted into all tiers at once; durable at return.

        The store keeps their totals apart, so that `check` still comes out even.
        """

    def sums(self, members: Members, start_s: int, end_s: int, step_s: int, *, bytes_only: bool = False) -> Sums:
        """Sums over [start_s, end_s), both multiples of 300, in buckets of one of STEPS_S.

        Buckets cut by the range or by a member's stretch hold just the part inside, exact to the 5-minute slot. With
        `bytes_only` requests are None and flags 0 in every row, which takes a third less time.
        """

    def sums_between(self, members: Members, edges_s: Sequence[int]) -> Sums:
        """Sums of the windows between adjoining edges: ascending multiples of 300, 2 to MAX_EDGES of them.

        A row's `start_s` is its window's start. Windows whose inner edges lie on UTC days cost least.
        """

    def alive(self, members: Members, start_s: int, end_s: int, step_s: int) -> int:
        """Number of distinct (series, bucket) pairs in the range with the flag MEASURED. `step_s` is 300 or 1800."""

    def last_slot_s(self, members: Members, start_s: int, end_s: int) -> int | None:
        """Start of the newest 5-minute slot in the range that has a row, in epoch seconds."""

    def last_slots_s(self, members: Members, start_s: int, end_s: int, *, moved_only: bool = False) -> dict[int, int]:
        """The same for each group of the members, all from one state; groups without such a row are absent.

        With `moved_only` a row counts where an amount of it is above zero: not one that only says that somebody looked.
        """

    def flush(self) -> None:
        """Move what was folded lately into the tiers. Answers do not change."""

    def compact(self, now_s: int) -> int:
        """Rewrite chunks that hold partial sums, a bounded piece of work; how many chunks. Answers do not change."""

    def retain(self, tier_s: int, before_s: int) -> int:
        """Forget rows of one tier (300, 1800, 86400) that lie wholly before an instant; how many rows went."""

    def exact_since_s(self) -> int:
        """From which instant on sums of 5 minutes are kept: before it `retain` has left coarser ones only."""

    def check(self) -> list[Finding]:
        """Every rollup against its finer tier, the totals of the sums against the mark's, and no slot's sum below zero.

        Empty: all is well.
        """

    def close(self) -> None:
        """Flush and let go of the files. Further calls raise StorageError."""


CounterState = State
"""The newest reading of a counter; laws 8 to 14 work on it."""

CounterKey = tuple[str, str, str, str]
"""(organization, subject, source, counter)"""


class Journal(Protocol):
    """The durable queue between accept and fold, with the states of counters and the exact index of event ids."""

    def append(
        self, measurements: np.ndarray, counters: dict[CounterKey, CounterState], cuts: Sequence[int] = ()
    ) -> Mark:
        """One transaction, fsynced: the batch (dtype MEASUREMENT) and the new counter states.

        `cuts`, ascending places in the batch, make several rows of it, of which fold takes one at a time.
        The ids of the batch must have been claimed in the index before. On failure nothing is kept and the ids are
        released again.
        """

    def claim(self, key_hi: np.ndarray, key_lo: np.ndarray) -> np.ndarray:
        """Enter ids (see MEASUREMENT) into the index. uint8 per id: 0 new, 1 known, 2 known with other content.

        Exact, over all time, also between the ids of one call (the first is new). What came back as 0 is entered.
        """

    def known(self, key_hi: int, key_lo: int) -> int:
        """Like `claim` for one id, but enters nothing."""

    def release(self, key_hi: np.ndarray, key_lo: np.ndarray) -> None:
        """Take back ids that were claimed as new and then not appended."""

    def counter(self, key: CounterKey) -> CounterState | None:
        """The newest state of a counter, None if it was never read."""

    def forget_counters(self, before_us: int) -> int:
        """Forget counters that were read last before an instant, and nobody moved since the call before; how many went.

        So a counter has a whole turn to move in: history that is brought in late rests on states as old as itself.
        """

    def mark(self) -> Mark:
        """The newest position and the totals of everything ever appended."""

    def read(self, after: int, max_events: int) -> Iterable[JournalRow]:
        """Rows behind position `after`, in order, at least one if there is any, then up to `max_events` events."""

    def trim(self, folded: int) -> int:
        """Delete rows that both the fold (position `folded`) and the index on disk are past; how many went."""

    def ensure_after(self, position: int, totals: Totals | None = None) -> None:
        """New positions lie behind `position`, durably: the store's mark may be past what a damaged disk left here."""

    def checkpoint(self) -> None:
        """What is committed is where reads are cheap. Called every second."""

    def check(self) -> list[Finding]:
        """Index against journal. Empty: all is well."""

    def close(self) -> None:
        """Let go of the files."""


@dataclass(frozen=True, slots=True)
class KeptSums:
    """Flow sums of one exporter (its address as text) that came from senders of one reach; `rows` have dtype KEPT_SUM.

    `organization` and `project` are the reach of whoever sent them (see metering.subjects.Sender).
    """

    exporter: str
    organization: str | None
    project: str | None
    rows: np.ndarray


class FlowStore(Protocol):
    """Every flow sum that was taken, for some weeks: what unattributed and corrected attribution are worked out from.

    One writer (metering/flows/desk.py, under its lock); reads may come from any thread.
    """

    def keep(self, id_: str, content: bytes, sums: Sequence[KeptSums]) -> frozenset[int]:
        """The sums are kept durably under an id, once: the same id again changes nothing.

        Answers with the slots whose share of this id a correction has counted already (`replace`); none when it is new.
        What is older than `kept_since_s` is not kept. ConflictError: the id is there with another `content`.
        """

    def withdraw(self, id_: str) -> None:
        """What the last `keep` kept anew, under this id, is gone: its journal transaction failed.

        What it found kept already stays, for that may be in the journal since. Any other id: nothing happens.
        """

    def read(self, start_s: int, end_s: int, *, unattributed_only: bool = False) -> Iterator[KeptSums]:
        """What is kept of the slots in [start_s, end_s), slot by slot in ascending order, each with equal rows added up.

        ValueError: the bounds do not lie on slots.
        """

    def slots(self, start_s: int, end_s: int) -> list[int]:
        """The slots in [start_s, end_s) of which something is kept, ascending. ValueError: bounds off the slots."""

    def replace(self, slot: int, sums: Sequence[KeptSums]) -> None:
        """The slot holds these sums, which differ from what it held in fates alone. What it held counts as corrected.

        ValueError: they hold other amounts; a defect of the caller.
        """

    def compact(self, now_s: int) -> int:
        """Slots that are over are kept in one piece each, a bounded number of them at a time; how many were rewritten."""

    def retain(self, before_s: int) -> int:
        """Forget whole UTC days that lie before an instant; how many days went."""

    def kept_since_s(self) -> int:
        """From which instant on everything that was ever taken is kept, a multiple of 300."""

    def check(self) -> list[Finding]:
        """Files and what stands in them. Empty: all is well."""

    def close(self) -> None:
        """Let go of the files. Further calls raise StorageError."""


class Catalog(Protocol):
    """What is metered and whose it is. Reads go to the view; writes are durable at return and then in the view."""

    def view(self) -> CatalogView:
        """The one living view. Ask for it anew in each request."""

    def enter_series(self, keys: Sequence[SeriesKey], *, polled: bool = False) -> list[Series]:
        """The series of these keys, made where new, in one transaction. `polled` marks them as fed by counters."""

    def enter_environment(self, app: int, name: str) -> int | None:
        """Id of an app's environment, made on first sight; None when the app has as many as it may."""

    def enter_consumer(self, app: int, identifier: str) -> int | None:
        """Id of an app's consumer, made on first sight; None when the app has as many as it may."""

    def enter_endpoints(self, app: int, endpoints: Sequence[Endpoint]) -> None:
        """The endpoints are in the list of the app's, made on first sight, up to a bound; more of them are passed over."""

    def describe_app(self, app: int, framework: str) -> None:
        """The app runs on this framework, as its client says."""

    def describe_consumers(self, app: int, described: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Consumers by identifier have this name and group (None: as it was), and are made where new, up to the bound."""

    def series_count(self, app: int) -> int:
        """How many series an app has, to bound endpoints."""
