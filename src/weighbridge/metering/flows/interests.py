"""What the catalog knows on the network now: the interest of those who collect flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weighbridge.domain.addresses import mac_number
from weighbridge.metering.attribution import organization_at, stretches
from weighbridge.metering.flows.interest import Interest
from weighbridge.metering.subjects import Sender, owner_at
from weighbridge.model import Kind

if TYPE_CHECKING:
    from weighbridge.metering.attribution import Stretch
    from weighbridge.model import CatalogView
    from weighbridge.ports import Catalog, Clock

LINGER_S: Final = 2 * 3600
"""How long a stretch that has ended stays known: flows may tell of up to an hour before, and agents ask once a minute."""
RENEW_S: Final = 300
"""An interest is made anew when the catalog changes, and so often, because stretches end by themselves."""
KEPT: Final = 100
"""Interests that are kept, one for each reach that asks; some MB each where a catalog has many prefixes."""
EVERYBODY: Final = Sender(None)


def interest_of(view: CatalogView, now_s: int, sender: Sender = EVERYBODY) -> Interest:
    """Everything that is attributed now or later; of a sender that reaches less, what is its own then, without networks."""
    since_s = now_s - LINGER_S
    prefixes: dict[str, None] = {}
    macs: dict[int, None] = {}
    vlans: dict[int, None] = {}
    for stretch in stretches(view):
        if stretch.until_s > since_s and _is_reached(view, stretch, since_s, sender):
            prefixes.update(dict.fromkeys(stretch.attribution.addresses))
            macs.update(dict.fromkeys(mac_number(mac) for mac in stretch.attribution.macs))
            vlans.update(dict.fromkeys(stretch.attribution.vlans))
    networks: dict[str, None] = {}
    if sender.organization is None:
        for exporter in tuple(view.exporters.values()):
            if exporter.deleted_at_s is None:
                networks.update(dict.fromkeys(exporter.networks))
    return Interest(tuple(prefixes), tuple(macs), tuple(vlans), tuple(networks))


class Interests:
    """The interest of each sender, kept until the catalog changes. From any thread."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._kept: dict[Sender, tuple[int, int, Interest]] = {}  # catalog's version, until when, what

    def of(self, sender: Sender = EVERYBODY) -> Interest:
        """What the sender reaches now."""
        view = self._catalog.view()
        now_s = self._clock.now_us() // 1_000_000
        version, until_s, interest = self._kept.get(sender, (-1, 0, Interest()))
        if version == view.version and now_s < until_s:
            return interest
        version = view.version  # before it is read: what changes meanwhile makes it anew
        interest = interest_of(view, now_s, sender)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[sender] = (version, now_s + RENEW_S, interest)
        return interest


def _is_reached(view: CatalogView, stretch: Stretch, since_s: int, sender: Sender) -> bool:
    """Whether the thing is the sender's at some moment of the stretch from `since_s` on."""
    if sender.organization is None:
        return True
    begin_s = max(stretch.from_s, since_s)
    moments_s = [begin_s]
    server = view.servers.get(stretch.object) if stretch.kind is Kind.SERVER else None
    if server is not None:
        moments_s += [each.from_s for each in server.placements if begin_s < each.from_s < stretch.until_s]
    for at_s in moments_s:
        if organization_at(view, stretch.kind, stretch.object, at_s) != sender.organization:
            continue
        if sender.project is None or (server is not None and owner_at(server, at_s) == sender.project):
            return True
    return False
