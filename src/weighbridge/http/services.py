"""What handlers may use; put together once, in app/build.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weighbridge.metering.accept import Intake
    from weighbridge.ports import Catalog, Clock, Journal, UsageStore


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts, as handlers see them."""

    catalog: Catalog
    store: UsageStore
    journal: Journal
    intake: Intake
    clock: Clock
