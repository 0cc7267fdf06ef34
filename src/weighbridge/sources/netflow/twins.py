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
MAX_PORTS: Final = 4_096
"""Interfaces of one exporter."""
MAX_EXPORTERS: Final = 16_384
"""Exporters; beyond it the one goes that was heard of longest ago."""
_US: Final = 1_000_000
_SMALL: Final = 65_536


class Twins:
    """By exporter and interface, when a record of what came in by it was seen last."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, dict[int, int]] = OrderedDict()

    def leave_out(self, exporter: str, flows: Flows, received_us: int) -> Flows:
        """The records without those whose packets were metered on their way in."""
        if flows.direction is None:
            return flows
        is_egress = flows.direction == EGRESS
        some_egress = bool(is_egress.any())
        ports = np.zeros(len(flows), np.int64) if flows.port_in is None else flows.port_in
        seen = self._seen.get(exporter)
        if seen is None:
            seen = self._seen[exporter] = {}
            while len(self._seen) > MAX_EXPORTERS:
                self._seen.popitem(last=False)
        self._seen.move_to_end(exporter)
        for port in _different(ports[~is_egress] if some_egress else ports):
            if port in seen or len(seen) < MAX_PORTS:
                seen[port] = received_us
        if not some_egress:
            return flows
        since_us = received_us - KNOWN_S * _US
        known = [port for port, at_us in seen.items() if at_us >= since_us]
        return flows.only(~(is_egress & np.isin(ports, known)))


def _different(ports: np.ndarray) -> list[int]:
    if not len(ports):
        return []
    if (ports == ports[0]).all():
        return [int(ports[0])]
    if ports.min() >= 0 and ports.max() < _SMALL:
        return [int(port) for port in np.flatnonzero(np.bincount(ports))]
    return [int(port) for port in np.unique(ports)]
