"""Collects sFlow: the decoder behind the common loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.sources.flows import FlowCollector, Listening
from weighbridge.sources.sflow.decode import Decoder

if TYPE_CHECKING:
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.sflow.settings import SflowSettings


def make_collector(tables: tuple[SflowSettings, ...], surroundings: Surroundings) -> FlowCollector:
    """What collects at every address of the tables."""
    listenings = [Listening(table.listen, table.networks, table.receive_buffer_bytes) for table in tables]
    return FlowCollector("sflow", listenings, Decoder(), surroundings)
