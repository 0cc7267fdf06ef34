"""What counters and what flows say of the same server or VPN, side by side. It bills nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weighbridge.domain.units import SLOT_S, round_half_up
from weighbridge.model import Kind, Metering
from weighbridge.reports.selection import Span, billed_at, select
from weighbridge.reports.usage import sum_windows

if TYPE_CHECKING:
    from weighbridge.domain.timegrid import Window
    from weighbridge.model import CatalogView
    from weighbridge.ports import UsageStore
    from weighbridge.reports.selection import Selection
    from weighbridge.reports.usage import Amounts

KINDS = (Kind.SERVER, Kind.VPN)
"""What is compared. A VPN's figures are those of the instance and its peers together."""
COUNTERS = (Metering.INTERFACES, Metering.HOST)
"""Who counts every byte; the first that has figures in the range is compared."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What two saw of one thing. `billed`: who was billed at the end of the range. `via`: whose the counters are."""

    kind: Kind
    object: str
    billed: Metering
    via: Metering
    counters: Amounts
    flows: Amounts

    @property
    def id(self) -> str:
        """What reconciled things are in order of: server/ID, then vpn/UUID."""
        return f"{self.kind}/{self.object}"

    @property
    def difference(self) -> tuple[int | None, int | None]:
        """Flows less counters, bytes in and bytes out; None where one of them does not know."""
        return (
            _less(self.flows.bytes_in, self.counters.bytes_in), _less(self.flows.bytes_out, self.counters.bytes_out)
        )

    @property
    def percent(self) -> float | None:
        """The difference of both directions as a share of the counters, 2 decimals, half up; None where these are 0."""
        sides = zip(self.difference, (self.counters.bytes_in, self.counters.bytes_out), strict=True)
        known = [(less, counted) for less, counted in sides if less is not None and counted is not None]
        counted = sum(side[1] for side in known)
        return round_half_up(sum(side[0] for side in known) * 10_000, counted) / 100 if counted else None


def _less(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left - right


def reconcile(store: UsageStore, view: CatalogView, found: Selection, window: Window, now_s: int) -> list[Reconciled]:
    """Every thing of a resolved selection that has both counters and flows in the window, in order of `Reconciled.id`.

    The window lies on 5-minute slots. What a thing moved while it was another's is left out.
    """
    return [each for kind in KINDS for each in _of_kind(store, view, replace(found, kinds=frozenset({kind})), window, now_s)]


def _of_kind(
    store: UsageStore, view: CatalogView, found: Selection, window: Window, now_s: int
) -> list[Reconciled]:
    (kind,) = found.kinds
    span = Span(window.start_s, window.end_s, now_s)
    seen: dict[Metering, dict[str, Amounts]] = {}
    for via in Metering:
        selected = select(view, found, (kind.value,), span, via)
        sums = sum_windows(store, selected.members, [window] if window.start_s < window.end_s else [])
        seen[via] = {str(selected.keys[group][0]): amounts for (group, _), amounts in sums.items()}
    reconciled = []
    for name, flows in sorted(seen[Metering.FLOWS].items()):
        counted = [via for via in COUNTERS if name in seen[via]]
        if counted:
            billed = billed_at(view, kind, name, window.end_s - SLOT_S)
            reconciled.append(Reconciled(kind, name, billed, counted[0], seen[counted[0]][name], flows))
    return reconciled
