"""What a collector is made of, whether it runs inside the server or as an agent on another host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from weighbridge.collected import Collector, Sink
    from weighbridge.metering.flows.interest import Interest
    from weighbridge.ports import Clock


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a collector is given: where to, what it may keep, what time it is, and which addresses somebody knows.

    `folder` is the source's own, made already; what it keeps there may be lost without losing or doubling a byte that
    was handed in. `interest`: the newest, asked for anew every second or so; None where nobody knows any (then all ends
    of all flows are kept).
    """

    sink: Sink
    clock: Clock
    folder: Path
    interest: Callable[[], Interest | None]


MakeCollector: TypeAlias = "Callable[[tuple[Any, ...], Surroundings], Collector]"
"""From the source's tables of settings to its collector. InvalidInputError: tables that contradict each other."""
