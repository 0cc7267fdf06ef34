"""The desk for flow sums: each is rated, kept, and attributed to whom it belonged in its slot.

The steps, in order:
    rate       rows without a sampling rate get their exporter's (law 21); a named sampler that nobody knows is refused
    attribute  the thing that was known by the address, MAC or VLAN in the row's slot (law 22: at its one metering point)
    keep       all of it, durably, under the id of what brought it (storage/flows/): before anything is journaled
    sum        rows for the journal: per series (via flows), slot and estimated or not
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from weighbridge.collected import FlowSums
    from weighbridge.metering.subjects import Sender
    from weighbridge.ports import Catalog, Clock, FlowStore


@dataclass(frozen=True, slots=True)
class Prepared:
    """What flow sums become: `rows` for the journal (dtype MEASUREMENT, keys 0), and what happened to whose flows.

    `counts` by (exporter, what): the exporter's id, or its address where it is not declared; words in snake_case.
    """

    rows: np.ndarray
    counts: Mapping[tuple[str, str], int]


class FlowDesk:
    """See above. Hold `lock` from before `prepare` until its rows are in the journal, or are known not to be."""

    def __init__(self, catalog: Catalog, store: FlowStore, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._catalog = catalog
        self._store = store
        self._clock = clock

    def prepare(self, id_: str, flows: Sequence[FlowSums], sender: Sender) -> Prepared:
        """The sums are kept under the id, which no other carrier uses, and attributed as far as the sender reaches.

        The same id again, after a crash or a failed journal, keeps nothing twice and leaves out what a correction has
        counted meanwhile. ConflictError: the id came with other sums before. StorageError: nothing is kept.
        """
        raise NotImplementedError

    def withdraw(self, id_: str) -> None:
        """What `prepare` kept under the id is gone again: its rows were refused by the journal, and the sender knows."""
        raise NotImplementedError
