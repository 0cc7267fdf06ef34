"""Which addresses somebody knows: by these a collector tells the ends of flows that are worth keeping."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interest:
    """Everything that is attributed now or later, and the networks that may be.

    An end of a flow is known if its address lies in `prefixes` (canonical texts), or its MAC or VLAN is among these. The
    rows of an end that is not known, whose other end is, are left out, unless its address lies in `networks`.
    """

    prefixes: tuple[str, ...] = ()
    macs: tuple[int, ...] = ()
    vlans: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
