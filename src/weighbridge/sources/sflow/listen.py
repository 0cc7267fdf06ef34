"""Collects sFlow: the decoder behind the common loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.sources.flows import FlowCollector
from weighbridge.sources.sflow.decode import Decoder

if TYPE_CHECKING:
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.sflow.settings import SflowSettings


def make_collector(tables: tuple[SflowSettings, ...], surroundings: Surroundings) -> FlowCollector:
    """What collects at every address of the tables."""
    return FlowCollector("sflow", tables, Decoder(), surroundings)
