"""Fold: the journal, in order, into the usage store. Folding the same rows again changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weighbridge.metering.spreading import slot_counts, slot_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weighbridge.measurement import JournalRow, Mark
    from weighbridge.ports import Journal, UsageStore

EVENTS_A_FOLD = 50_000
"""Most events in one store transaction: some 60 ms of work, so that a reader never waits for longer."""
SLOTS_A_FOLD = 500_000
"""Most slot rows in one store transaction, but for a single journal row (accept bounds those likewise)."""


def fold(journal: Journal, store: UsageStore, max_events: int = EVENTS_A_FOLD) -> int:
    """Moves one portion of the journal into the store, atomically; how many journal rows (0: nothing was left)."""
    rows = _bounded(journal.read(store.mark().position, max_events))
    if not rows:
        return 0
    measurements = np.concatenate([row.measurements for row in rows])
    store.fold(np.concatenate(list(slot_rows(measurements))), rows[-1].mark)
    return len(rows)


def _bounded(rows: Iterable[JournalRow]) -> list[JournalRow]:
    """The first of the rows, at least one, up to what is spread at once."""
    kept: list[JournalRow] = []
    slots = 0
    for row in rows:
        slots += int(slot_counts(row.measurements).sum())
        if kept and slots > SLOTS_A_FOLD:
            break
        kept.append(row)
    return kept


def catch_up(journal: Journal, store: UsageStore) -> Mark:
    """Folds what is in the journal now; how far the store is then.

    While events keep coming there is always a little more: that waits for the next turn, since a transaction costs the
    same for ten rows as for a thousand.
    """
    newest = journal.mark().position
    while store.mark().position < newest and fold(journal, store):
        pass
    return store.mark()
