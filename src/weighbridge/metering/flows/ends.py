"""How well the ends of flows are known: what an Interest says of whole columns of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weighbridge.metering.flows.prefixes import BITS, Prefixes, read_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weighbridge.metering.flows.interest import Interest

NEARBY = 0
"""An end that nobody is known by, in a network whose ends are kept all the same."""
KNOWN = 1
"""An end that somebody is known by. What is below NEARBY is neither."""
VLANS = 2**16


class Ends:
    """An interest, ready for columns."""

    def __init__(self, interest: Interest) -> None:
        """InvalidInputError: one of its prefixes or networks is none."""
        self._prefixes = Prefixes(_telling(interest))
        self._macs = np.array(sorted(set(interest.macs) - {0}), np.uint64)
        self._vlans = np.full(VLANS, NEARBY - 1, np.int32)
        self._vlans[sorted(set(interest.vlans) - {0})] = KNOWN

    def find(self, addresses: np.ndarray) -> np.ndarray:
        """KNOWN, NEARBY or less (int32) for each address, as a FlowBlock holds them."""
        return self._prefixes.find4(addresses) if addresses.ndim == 1 else self._prefixes.find6(addresses)

    def find_mac(self, macs: np.ndarray) -> np.ndarray:
        """KNOWN or less for each MAC."""
        if not len(self._macs):
            return np.full(len(macs), NEARBY - 1, np.int32)
        place = np.minimum(np.searchsorted(self._macs, macs), len(self._macs) - 1)
        return np.where(self._macs[place] == macs, np.int32(KNOWN), np.int32(NEARBY - 1))

    def find_vlan(self, vlans: np.ndarray) -> np.ndarray:
        """KNOWN or less for each VLAN."""
        found: np.ndarray = self._vlans[vlans]
        return found


def _telling(interest: Interest) -> Iterator[tuple[str, int]]:
    """Prefixes and networks whose longest match says how well an address is known: none lies in a known prefix."""
    values = {read_network(text): (NEARBY, text) for text in interest.networks}
    values |= {read_network(text): (KNOWN, text) for text in interest.prefixes}
    end = (0, 0)  # of the known prefix before, by version; those that it holds follow it in the order of networks
    for network in sorted(values):
        version, first, length = network
        if (version, first) < end:
            continue
        value, text = values[network]
        yield text, value
        if value == KNOWN:
            end = (version, first + (1 << (BITS[version] - length)))
