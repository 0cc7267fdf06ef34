"""Sampling rates: what exporters tell in options data, and what holds for each record.

A record's own rate comes first, then its sampler's, its interface's, the whole domain's (decision of law 21's order). What
is left is UNRATED; a sampler that is named and unknown is UNKNOWN_SAMPLER, unless the domain tells one rate for all and
none by sampler. Sampler 0 is none, unless its rate was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.metering.flows.block import UNKNOWN_SAMPLER, UNRATED
from weighbridge.sources.netflow.elements import CHOICES
from weighbridge.sources.netflow.flows import rates_told, read_number
from weighbridge.sources.netflow.streams import PORT, SAMPLER, WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.sources.netflow.flows import Flows
    from weighbridge.sources.netflow.layout import Layout
    from weighbridge.sources.netflow.streams import Stream

TABLE_NUMBERS: Final = 65_536
"""Numbers of samplers and interfaces below it are looked up in an array, others one different number at a time."""
_ABSENT: Final = -2
_NONE: Final[dict[int, int]] = {}


class News:
    """What options data say: rates by what they hold for, and when the exporter booted."""

    def __init__(self, layout: Layout, records: np.ndarray) -> None:
        self.rates: dict[tuple[str, int], int] = {}
        self.boot_us: int | None = None
        names = frozenset(layout.names)
        if "boot_ms" in names and len(records):
            self.boot_us = int(read_number(records["boot_ms"])[-1]) * 1_000
        told = rates_told(records, names)
        if told is None:
            return
        for key, rate in zip(_keys(records, names), told.tolist(), strict=True):
            if rate > 0:
                self.rates[key] = rate

    def changes(self, stream: Stream) -> bool:
        """Whether the stream does not know all of it yet."""
        return self.boot_us not in (None, stream.boot_us) or any(
            stream.rates.get(kind, _NONE).get(number) != rate for (kind, number), rate in self.rates.items()
        )

    def tell(self, stream: Stream) -> int:
        """The stream knows it; how many rates there was no room for."""
        if self.boot_us is not None:
            stream.boot_us = self.boot_us
        return sum(not stream.rate(kind, number, rate) for (kind, number), rate in self.rates.items())


def _keys(records: np.ndarray, names: frozenset[str]) -> list[tuple[str, int]]:
    for kind, elements in ((SAMPLER, CHOICES["sampler"]), (PORT, ("scope_port", "port_in"))):
        found = next((name for name in elements if name in names), None)
        if found is not None:
            return [(kind, number) for number in read_number(records[found]).tolist()]
    return [(WHOLE, 0)] * len(records)


def rates_of(flows: Flows, stream: Stream) -> np.ndarray | int:
    """The rate of each record, or one for all."""
    if flows.rate is not None and (flows.rate > 0).all():
        return flows.rate
    whole = stream.rates.get(WHOLE, _NONE).get(0, UNRATED)
    rate: np.ndarray | int = whole
    by_port, by_sampler = stream.rates.get(PORT, _NONE), stream.rates.get(SAMPLER, _NONE)
    for ports in (flows.port_out, flows.port_in):  # where it came in comes first
        if by_port and ports is not None:
            rate = _looked_up(by_port, ports, rate)
    if flows.sampler is not None:
        is_none = flows.sampler == 0
        unknown = rate if whole != UNRATED and not by_sampler else UNKNOWN_SAMPLER
        rate = _looked_up(by_sampler, flows.sampler, np.where(is_none, rate, unknown) if is_none.any() else unknown)
    if flows.rate is not None:
        rate = np.where(flows.rate > 0, flows.rate, rate)
    return rate


def _looked_up(table: Mapping[int, int], numbers: np.ndarray, otherwise: np.ndarray | int) -> np.ndarray | int:
    """The rates of numbers, and what stands in `otherwise` for those that the table lacks."""
    if not table or not len(numbers):
        return otherwise
    first = int(numbers[0])
    if (numbers == first).all():
        return table.get(first, otherwise)
    if numbers.min() >= 0 and numbers.max() < TABLE_NUMBERS:
        rates = np.full(int(numbers.max()) + 1, _ABSENT, np.int64)
        for number, rate in table.items():
            if number < len(rates):
                rates[number] = rate
        found = rates[numbers]
    else:
        different, places = np.unique(numbers, return_inverse=True)
        found = np.array([table.get(number, _ABSENT) for number in different.tolist()], np.int64)[places]
    return np.where(found == _ABSENT, otherwise, found)
