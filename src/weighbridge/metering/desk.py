"""The desk: where everything that collectors bring in is handed in, by those of this server and by those of other hosts."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.measurement import MEASUREMENT
from weighbridge.metering.gathering import MAX_READINGS, Gathered, identify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from weighbridge.collected import Collected, FlowSums
    from weighbridge.metering.gathering import GatheredReceipt
    from weighbridge.metering.intake import Intake
    from weighbridge.metering.subjects import Sender

NAMES_COUNTED = 100_000
"""Counts kept apart by source, device and outcome, some 20 MB: 10,000 devices; what is told beyond them is one count."""
OTHERS = ("other", "other", "other")
"""Where that is counted."""


class PreparedFlows(Protocol):
    """Flows that are kept, and what is counted of them (metering/flows/desk.py)."""

    rows: np.ndarray
    counts: Counter[tuple[str, str]]


class Flows(Protocol):
    """Who keeps flows and knows whose they are (metering/flows/desk.py). `lock` is held until the intake has answered."""

    lock: AbstractContextManager[object]

    def prepare(self, id: str, flows: Sequence[FlowSums], sender: Sender) -> PreparedFlows:  # noqa: A002  its word
        """The flows are kept durably, once for each id, and these are the rows that they come to."""


class Desk:
    """See above. Safe from any thread."""

    def __init__(self, intake: Intake, flows: Flows) -> None:
        self._intake = intake
        self._flows = flows
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._counting = threading.Lock()

    def take(self, collected: Collected, sender: Sender, owner: str, id: str | None) -> GatheredReceipt:  # noqa: A002
        """All of it is durable, once, however often it is brought under this id (unique within owner and source).

        `owner`: an organization, or "" where it is this server's own. No id: readings alone, which a retry does not move.
        BusyError, StorageError: nothing is kept, bring it again. OutOfRangeError: more readings than may come at once.
        """
        if len(collected.readings) > MAX_READINGS:
            detail = f"{len(collected.readings)} readings at once, and {MAX_READINGS} are the most"
            raise OutOfRangeError(detail, where="readings")
        if collected.flows and id is None:
            raise ValueError("flows want an id: without one a retry would count them twice")
        gathered = Gathered(collected.readings, np.zeros(0, MEASUREMENT), sender, owner, collected.source, id)
        receipt = self._take_flows(gathered, collected.flows) if collected.flows else self._hand_in(gathered)
        if not receipt.is_known:
            self._count(collected.source, receipt.counts)
            self._count(collected.source, collected.counts)
        return receipt

    def counts(self) -> dict[tuple[str, str, str], int]:
        """What happened since the start, by (source, exporter or device, what)."""
        with self._counting:
            return dict(self._counts)

    def _take_flows(self, gathered: Gathered, flows: Sequence[FlowSums]) -> GatheredReceipt:
        high, low = identify(gathered.owner, gathered.source, gathered.id or "")
        with self._flows.lock:
            prepared = self._flows.prepare(f"{high:016x}{low:016x}", flows, gathered.sender)
            receipt = self._hand_in(replace(gathered, rows=prepared.rows))
        if not receipt.is_known:
            self._count(gathered.source, prepared.counts)
        return receipt

    def _hand_in(self, gathered: Gathered) -> GatheredReceipt:
        return cast("GatheredReceipt", self._intake.take(gathered))  # what the intake gives for what was gathered

    def _count(self, source: str, counts: Mapping[tuple[str, str], int]) -> None:
        with self._counting:
            for (who, what), number in counts.items():
                key = (source, who, what)
                if key not in self._counts and len(self._counts) >= NAMES_COUNTED:
                    key = OTHERS
                self._counts[key] += number
