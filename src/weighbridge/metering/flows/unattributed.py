"""What flows are nobody's: by exporter and address, and in all, so that an operator sees what is missing in the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.collected import FLOW_SUM, FlowFlag
from weighbridge.domain.errors import OutOfRangeError
from weighbridge.metering.flows.desk import exporter_name
from weighbridge.metering.flows.sums import AMOUNTS, address_text, exact_sum, summed

if TYPE_CHECKING:
    from weighbridge.model import CatalogView
    from weighbridge.ports import FlowStore

MOST_ADDRESSES = 1_000_000
"""Addresses of all exporters that one question may be about, 150 MB with what is read on top; a shorter range has fewer."""
ROWS_ON_TOP = 500_000
"""Rows that are read before they are added to what is known."""
_KEYS = ("hi", "lo")


@dataclass(frozen=True, slots=True)
class Stranger:
    """An address that is nobody's and what it moved as an exporter saw it, both ways. `exporter`: its id, or its address."""

    exporter: str
    address: str
    bytes: int
    packets: int
    flows: int


def strangers(
    store: FlowStore, view: CatalogView, start_s: int, end_s: int, exporter: str | None = None
) -> tuple[list[Stranger], dict[str, tuple[int, int, int]]]:
    """Addresses, those with most bytes first, and bytes, packets and flows of each exporter, in which each flow counts once.

    `exporter`: only this one, an id or an address. Both ends of a flow are listed. OutOfRangeError: too many addresses.
    """
    found: dict[str, _Addresses] = {}
    for pile in store.read(start_s, end_s, unattributed_only=True):
        name = exporter_name(view, pile.exporter)
        if exporter in (None, name, pile.exporter):
            found.setdefault(name, _Addresses()).add(pile.rows)
            if sum(len(each.known) for each in found.values()) > MOST_ADDRESSES:
                raise OutOfRangeError(
                    f"more than {MOST_ADDRESSES:,} addresses are nobody's in that time; ask about a shorter one", where="from")
    listed = [
        Stranger(name, address_text(hi, lo), *amounts)
        for name, addresses in found.items() for hi, lo, *amounts in addresses.rows()
    ]
    listed.sort(key=lambda each: (-each.bytes, each.exporter, each.address))
    return listed, {name: (each.bytes, each.packets, each.flows) for name, each in sorted(found.items())}


class _Addresses:
    """One exporter's rows, added up by address now and then."""

    def __init__(self) -> None:
        self.known = np.zeros(0, FLOW_SUM)
        self.bytes = self.packets = self.flows = 0
        self._on_top: list[np.ndarray] = []
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """More rows (dtype KEPT_SUM)."""
        once = rows[(rows["flags"] & FlowFlag.SENDER != 0) | (rows["flags"] & FlowFlag.LONELY == 0)]
        self.bytes += exact_sum(once["bytes_in"]) + exact_sum(once["bytes_out"])
        self.packets += exact_sum(once["packets"])
        self.flows += exact_sum(once["flows"])
        self._on_top.append(rows[list(FLOW_SUM.names or ())].astype(FLOW_SUM))
        self._count += len(rows)
        if self._count > ROWS_ON_TOP:
            self._settle()

    def _settle(self) -> None:
        self.known = summed(np.concatenate([self.known, *self._on_top]), _KEYS)
        self._on_top = []
        self._count = 0

    def rows(self) -> list[tuple[int, int, int, int, int]]:
        """Halves of the address, bytes, packets and flows; exact, however large."""
        self._settle()
        sums: dict[tuple[int, int], list[int]] = {}
        columns = [self.known[name].tolist() for name in (*_KEYS, *AMOUNTS)]
        for hi, lo, bytes_in, bytes_out, packets, flows in zip(*columns, strict=True):
            mine = sums.setdefault((hi, lo), [0, 0, 0])
            for at, amount in enumerate((bytes_in + bytes_out, packets, flows)):
                mine[at] += amount
        return [(hi, lo, bytes_, packets, flows) for (hi, lo), (bytes_, packets, flows) in sums.items()]
