"""What handlers may use; put together once, in app/build.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from weighbridge.http.metrics import Metrics

if TYPE_CHECKING:
    from weighbridge.metering.desk import Desk
    from weighbridge.metering.flows.corrections import Reattribution
    from weighbridge.metering.flows.interests import Interests
    from weighbridge.metering.intake import Intake
    from weighbridge.ports import Catalog, Clock, FlowStore, Journal, UsageStore


class Health(Protocol):
    """How the running parts are."""

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether requests can be served, and a word on each part by its name."""


class AlwaysReady:
    """The health of what has no parts that could fail: for tests, and until app/build.py says more."""

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Yes, without parts."""
        return True, {}


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts, as handlers see them. The last four are None where nobody asks for them."""

    catalog: Catalog
    store: UsageStore
    journal: Journal
    intake: Intake
    clock: Clock
    health: Health = field(default_factory=AlwaysReady)
    metrics: Metrics = field(default_factory=Metrics)
    desk: Desk | None = None
    interests: Interests | None = None
    flows: FlowStore | None = None
    reattribution: Reattribution | None = None
