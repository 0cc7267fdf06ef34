"""Records that tell of the same packets twice, once where they came in and once where they went out (law 22).

An exporter that meters what leaves an interface and what enters the interface that it came from exports each packet twice.
So a record of the way out counts only while its exporter has no records, of its address family, of what comes in by the
interface that it names as the way in. An exporter that meters one uplink in both directions has none, and all of it counts.
Probes that see a wire name no way in, or the same as the way out (softflowd): what they call egress is the other direction.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from weighbridge.sources.netflow.flows import EGRESS

if TYPE_CHECKING:
    from weighbridge.sources.netflow.flows import Flows

Egress: TypeAlias = Literal["auto", "count", "ignore"]
"""Which records of what left an interface count: those that tell nothing twice, all, or none."""
KNOWN_S: Final = 3_600
"""How long an interface counts as metered where packets come in: twice the longest active timeout that exporters allow."""
REFRESH_S: Final = 600
"""After how long it is noted anew that it still is: each note is a change that is written to disk."""
MAX_PORTS: Final = 8_192
"""Interfaces of one exporter, for each address family."""
MAX_EXPORTERS: Final = 16_384
"""Exporters; beyond it the one goes that was heard of longest ago."""
MAX_NOTES: Final = 262_144
"""Interfaces of all exporters, some 100 bytes each; beyond it the exporter goes that was heard of longest ago."""
_US: Final = 1_000_000
_SMALL: Final = 65_536


class Twins:
    """By exporter and interface, about when a record of what came in by it was seen last. `changes` grows with each note."""

    def __init__(self) -> None:
        self.changes = 0
        self._notes = 0
        self._seen: OrderedDict[str, dict[int, int]] = OrderedDict()

    def leave_out(self, exporter: str, flows: Flows, received_us: int) -> Flows:
        """The records without those whose packets were metered on their way in."""
        if flows.direction is None or flows.port_in is None:
            return flows
        is_egress = flows.direction == EGRESS
        some_egress = bool(is_egress.any())
        is_six = flows.src4 is None if flows.is_six is None else flows.is_six
        ports = flows.port_in * 2 + is_six
        for port in _different(ports[~is_egress] if some_egress else ports):
            self.note(exporter, port, received_us)
        if not some_egress:
            return flows
        may_be_twins = is_egress & (flows.port_in != 0)
        if flows.port_out is not None:
            may_be_twins &= flows.port_in != flows.port_out
        since_us = received_us - KNOWN_S * _US
        known = [port for port, at_us in self._seen.get(exporter, {}).items() if at_us >= since_us]
        return flows.only(~(may_be_twins & np.isin(ports, known)))

    def note(self, exporter: str, port: int, at_us: int) -> None:
        """Packets are metered as they come in by an interface; `port`: twice its number, and 1 for IPv6."""
        seen = self._seen.get(exporter)
        if seen is None:
            seen = self._seen[exporter] = {}
            if len(self._seen) > MAX_EXPORTERS:
                self._forget_oldest()
        self._seen.move_to_end(exporter)
        if port in seen:
            if at_us - seen[port] < REFRESH_S * _US:
                return
        elif len(seen) >= MAX_PORTS:
            return
        else:
            self._notes += 1
        seen[port] = at_us
        self.changes += 1
        while self._notes > MAX_NOTES:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._notes -= len(self._seen.popitem(last=False)[1])

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
