"""Records that tell of the same packets twice, once where they came in and once where they went out (law 22).

An exporter that meters what leaves an interface and what enters the interface that it came from exports each packet twice.
So a record of the way out counts only while its exporter has no records of what comes in by the interface that it names as
the way in. An exporter that meters one uplink in both directions has none, and all of it counts.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.sources.netflow.flows import EGRESS

if TYPE_CHECKING:
    from weighbridge.sources.netflow.flows import Flows

KNOWN_S: Final = 3_600
"""How long an interface counts as metered where packets come in: twice the longest active timeout that exporters allow."""
REFRESH_S: Final = 600
"""After how long it is noted anew that it still is: each note is a change that is written to disk."""
MAX_PORTS: Final = 4_096
"""Interfaces of one exporter."""
MAX_EXPORTERS: Final = 16_384
"""Exporters; beyond it the one goes that was heard of longest ago."""
_US: Final = 1_000_000
_SMALL: Final = 65_536


class Twins:
    """By exporter and interface, about when a record of what came in by it was seen last. `changes` grows with each note."""

    def __init__(self) -> None:
        self.changes = 0
        self._seen: OrderedDict[str, dict[int, int]] = OrderedDict()

    def leave_out(self, exporter: str, flows: Flows, received_us: int) -> Flows:
        """The records without those whose packets were metered on their way in."""
        if flows.direction is None:
            return flows
        is_egress = flows.direction == EGRESS
        some_egress = bool(is_egress.any())
        ports = np.zeros(len(flows), np.int64) if flows.port_in is None else flows.port_in
        for port in _different(ports[~is_egress] if some_egress else ports):
            self.note(exporter, port, received_us)
        if not some_egress:
            return flows
        since_us = received_us - KNOWN_S * _US
        known = [port for port, at_us in self._seen.get(exporter, {}).items() if at_us >= since_us]
        return flows.only(~(is_egress & np.isin(ports, known)))

    def note(self, exporter: str, port: int, at_us: int) -> None:
        """The interface is one that packets are metered on as they come in."""
        seen = self._seen.get(exporter)
        if seen is None:
            seen = self._seen[exporter] = {}
            if len(self._seen) > MAX_EXPORTERS:
                self._seen.popitem(last=False)
        self._seen.move_to_end(exporter)
        if port in seen:
            if at_us - seen[port] < REFRESH_S * _US:
                return
        elif len(seen) >= MAX_PORTS:
            return
        seen[port] = at_us
        self.changes += 1

    def seen(self) -> dict[str, dict[int, int]]:
        """All of it, to be kept."""
        return dict(self._seen)


def _different(ports: np.ndarray) -> list[int]:
    if not len(ports):
        return []
    if (ports == ports[0]).all():
        return [int(ports[0])]
    if ports.min() >= 0 and ports.max() < _SMALL:
        return [int(port) for port in np.flatnonzero(np.bincount(ports))]
    return [int(port) for port in np.unique(ports)]
