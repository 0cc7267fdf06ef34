"""`weighbridge` with one more source, `made`: a counter that a file holds, and a flow an interval, each in a slot of its own.

    python agent_source.py collect made --counter FILE --ledger FILE --to URL …

What is about to be handed in, and what was, is written down in the ledger, which outlives a kill -9. Waits are short.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from weighbridge.app.clock import SystemClock
from weighbridge.collected import FLOW_SUM, MAPPED_LO, Collected, CounterReading, FlowSums, Thing, ThingKind
from weighbridge.domain.errors import WeighbridgeError

if TYPE_CHECKING:
    from weighbridge.collected import Stop
    from weighbridge.sources.collector import Surroundings

SERVER = "sv_1"
"""Whose the counter is."""
EXPORTER = "192.0.2.254"
ADDRESS = MAPPED_LO | 0xC000020A
"""192.0.2.10, whose the flows are."""
TRY, DONE, REFUSED = "?", "!", "-"
"""Marks of the ledger: about to be handed in, handed in, not taken."""


class MadeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the counter and the ledger are; a flow goes into the slot `first_slot` plus its number."""

    counter: str
    ledger: str
    first_slot: int
    interval_ms: int = 20
    flows: bool = True


class MadeCollector:
    """See above."""

    def __init__(self, tables: tuple[MadeSettings, ...], surroundings: Surroundings) -> None:
        (self._settings,) = tables
        self._sink = surroundings.sink

    def run(self, stop: Stop) -> None:
        ledger = Path(self._settings.ledger)
        number = sum(line.startswith(TRY) for line in ledger.read_text().splitlines()) if ledger.exists() else 0
        is_last = False
        with ledger.open("a") as written:
            while True:
                written.write(f"{TRY} {number}\n")
                written.flush()
                mark = DONE
                try:
                    self._sink(self._collected(number))
                except WeighbridgeError:
                    mark = REFUSED
                written.write(f"{mark} {number}\n")
                written.flush()
                number += 1
                if is_last:
                    return
                is_last = stop.wait(self._settings.interval_ms / 1000)

    def _collected(self, number: int) -> Collected:
        bytes_in, bytes_out = read_counter(Path(self._settings.counter))
        reading = CounterReading(
            thing=Thing(ThingKind.HOST, SERVER), at_us=SystemClock().now_us(), bytes_in=bytes_in, bytes_out=bytes_out,
        )
        rows = np.zeros(1, FLOW_SUM)
        rows["slot"], rows["lo"] = self._settings.first_slot + number, ADDRESS
        rows["bytes_in"], rows["bytes_out"], rows["packets"], rows["flows"] = *flow_of(number), 2, 1
        flows = (FlowSums(EXPORTER, rows),) if self._settings.flows else ()
        return Collected("made", (reading,), flows, {(EXPORTER, "steps"): 1})


def flow_of(number: int) -> tuple[int, int]:
    """The bytes of a flow, in and out."""
    return 1_000 + number, 7


def read_counter(path: Path) -> tuple[int, int]:
    bytes_in, bytes_out = path.read_text().split()
    return int(bytes_in), int(bytes_out)


def make(tables: tuple[MadeSettings, ...], surroundings: Surroundings) -> MadeCollector:
    return MadeCollector(tables, surroundings)


def main() -> None:
    import agent_source  # noqa: PLC0415  by the name that the registries know it by

    from weighbridge import sources  # noqa: PLC0415
    from weighbridge.cli import agent  # noqa: PLC0415
    from weighbridge.cli import main as program  # noqa: PLC0415
    from weighbridge.spool import delivery  # noqa: PLC0415

    sources.SOURCES["made"] = agent_source.__doc__ or ""
    sources.COLLECTORS["made"] = "agent_source:make"
    sources.SETTINGS["made"] = "agent_source:MadeSettings"
    agent.REQUEST_S, agent.POLL_S = 0.4, 0.01
    delivery.FIRST_WAIT_S = 0.005
    delivery.UnansweredError.longest_wait_s = 0.01
    delivery.LONGEST_ASKED_WAIT_S = 0.01
    sys.exit(program.run())


if __name__ == "__main__":
    main()
