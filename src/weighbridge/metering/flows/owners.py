"""Whose a flow sum is: by its address (longest prefix first), else its MAC, else its VLAN, as attributed in its slot.

What a thing is known by changes at attributions' borders. Between two borders nothing changes: that is an epoch, and each
epoch that is asked about gets an index of its own. A sender that does not reach every organization has indexes of what it
reaches: what it may not see does not exist for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.domain.units import SLOT_S
from weighbridge.metering.attribution import Stretch, organization_at, stretches
from weighbridge.metering.flows.prefixes import Prefixes, read_network
from weighbridge.metering.subjects import Sender, owner_at
from weighbridge.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weighbridge.model import CatalogView

NOBODY = -1
ELSEWHERE = -2
"""A thing has it, whose one metering point is another exporter (law 22)."""
INDEXES_KEPT = 64
"""Indexes of epochs that stay: what senders of several organizations bring about today, and what comes late."""
WEIGHT_KEPT = 50_000
"""Prefixes, MACs and VLANs of all indexes that stay, some 60 MB at worst (addresses that lie in networks of their own)."""
REACHES_KEPT = 1_000
"""Senders' reaches whose stretches stay; forgotten together."""
EXPORTERS_KEPT = 256
"""Exporters that an index remembers the choice of things for; forgotten together."""

Thing = tuple[Kind, str]
Claim = tuple[int, "str | None"]
"""A thing's number, and the only exporter that counts for it; None: any."""


class Owners:
    """See above, of the catalog as it is. One thread at a time."""

    def __init__(self) -> None:
        self._version = -1
        self._stretches: list[Stretch] = []
        self._networks = Prefixes(())
        self._reaches: dict[Sender, Reach] = {}
        self._indexes: OrderedDict[tuple[Sender, int], _Index] = OrderedDict()

    def find(self, reach: Reach, rows: np.ndarray, exporter: str | None) -> np.ndarray:
        """The number of each row's thing (`reach.things`), NOBODY or ELSEWHERE. `exporter`: its id; None: not declared.

        Rows: dtype FLOW_SUM or KEPT_SUM.
        """
        codes = np.full(len(rows), NOBODY, "i4")
        epochs = np.searchsorted(reach.borders_s, rows["slot"].astype("i8") * SLOT_S, side="right")
        low, high = (int(epochs.min()), int(epochs.max())) if len(rows) else (0, -1)
        if low == high:
            return self._index(reach, low).find(rows, exporter)
        for epoch in np.unique(epochs).tolist():
            chosen = epochs == epoch
            codes[chosen] = self._index(reach, epoch).find(rows[chosen], exporter)
        return codes

    def is_apart(self, rows: np.ndarray) -> np.ndarray:
        """Which rows' addresses lie in a network that is kept apart even where nobody has them (Exporter.networks).

        By the catalog that `reach` saw last.
        """
        is_within: np.ndarray = self._networks.find(rows["hi"], rows["lo"]) >= 0
        return is_within

    def reach(self, view: CatalogView, sender: Sender) -> Reach:
        """What the sender reaches, by the catalog as it is now."""
        if view.version != self._version:
            version = view.version  # read first: what changes meanwhile is learned with the next version
            self._learn(view)
            self._version = version
        found = self._reaches.get(sender)
        if found is None:
            if len(self._reaches) >= REACHES_KEPT:
                self._forget()
            parts = [part for stretch in self._stretches for part in _within(view, stretch, sender)]
            found = self._reaches[sender] = Reach.of(sender, parts)
        return found

    def _learn(self, view: CatalogView) -> None:
        """Many changes of a catalog change no attribution: then every index still holds, but for those of a reach."""
        networks = {read_network(text): text for each in tuple(view.exporters_by_address.values()) for text in each.networks}
        self._networks = Prefixes((text, 0) for text in networks.values())
        listed = list(stretches(view))
        if listed != self._stretches:
            self._stretches = listed
            self._forget()
            return
        whole = Sender(None)
        for key in [key for key in self._indexes if key[0] != whole]:
            del self._indexes[key]
        self._reaches = {sender: reach for sender, reach in self._reaches.items() if sender == whole}

    def _forget(self) -> None:
        self._indexes.clear()
        self._reaches.clear()

    def _index(self, reach: Reach, epoch: int) -> _Index:
        key = (reach.sender, epoch)
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = _Index(reach.claims_in(epoch))
            weight = sum(each.weight for each in self._indexes.values())
            while len(self._indexes) > 1 and (weight > WEIGHT_KEPT or len(self._indexes) > INDEXES_KEPT):
                weight -= self._indexes.popitem(last=False)[1].weight
        self._indexes.move_to_end(key)
        return index


def _within(view: CatalogView, stretch: Stretch, sender: Sender) -> Iterator[Stretch]:
    """The parts of a stretch in which its thing belonged to whom the sender speaks for."""
    if sender.organization is None and sender.project is None:
        yield stretch
        return
    server = view.servers.get(stretch.object) if stretch.kind is Kind.SERVER else None
    moves_s = () if server is None else tuple(placement.from_s for placement in server.placements)
    inner_s = sorted({at_s for at_s in moves_s if stretch.from_s < at_s < stretch.until_s})
    for from_s, until_s in pairwise([stretch.from_s, *inner_s, stretch.until_s]):
        is_reached = sender.organization in (None, organization_at(view, stretch.kind, stretch.object, from_s))
        if is_reached and (sender.project is None or (server is not None and owner_at(server, from_s) == sender.project)):
            yield Stretch(stretch.kind, stretch.object, stretch.attribution, from_s, until_s)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a sender reaches: stretches, the borders between epochs, and things in the order of their numbers."""

    sender: Sender
    stretches: Sequence[Stretch]
    borders_s: np.ndarray
    things: Sequence[Thing]
    numbers: dict[Thing, int]

    @classmethod
    def of(cls, sender: Sender, stretches: Iterable[Stretch]) -> Reach:
        """Of stretches in any order."""
        parts = sorted(stretches, key=lambda part: (part.kind, part.object, part.from_s))
        ends = {at_s for part in parts for at_s in (part.from_s, part.until_s)}
        things = sorted({(part.kind, part.object) for part in parts})
        numbers = {thing: number for number, thing in enumerate(things)}
        return cls(sender, parts, np.array(sorted(ends), "i8"), things, numbers)

    def claims_in(self, epoch: int) -> Iterator[tuple[Claim, Stretch]]:
        """The stretches of an epoch, each with its thing's claim, things in order."""
        if not 0 < epoch < len(self.borders_s):
            return
        at_s = int(self.borders_s[epoch - 1])
        for part in self.stretches:
            if part.from_s <= at_s < part.until_s:
                yield (self.numbers[part.kind, part.object], part.attribution.exporter), part


@dataclass(slots=True)
class _Claims:
    """Who claims the same: a group for each prefix, MAC or VLAN, and the choice among its claims for an exporter."""

    groups: list[tuple[Claim, ...]] = field(default_factory=list)
    _known: dict[tuple[Claim, ...], int] = field(default_factory=dict)
    _choices: dict[str | None, np.ndarray] = field(default_factory=dict)

    def group(self, claims: Iterable[Claim]) -> int:
        """The number of a group."""
        key = tuple(claims)
        if key not in self._known:
            self._known[key] = len(self.groups)
            self.groups.append(key)
        return self._known[key]

    def chosen(self, exporter: str | None) -> np.ndarray:
        """For each group, and for NOBODY at the end, the thing that counts what this exporter sees, or ELSEWHERE."""
        found = self._choices.get(exporter)
        if found is None:
            if len(self._choices) >= EXPORTERS_KEPT:
                self._choices.clear()
            found = np.array([*(_choose(claims, exporter) for claims in self.groups), NOBODY], "i4")
            self._choices[exporter] = found
        return found


def _choose(claims: Sequence[Claim], exporter: str | None) -> int:
    """Who named this exporter comes before who takes any; of equals the first."""
    here = [thing for thing, only in claims if only is not None and only == exporter]
    anywhere = [thing for thing, only in claims if only is None]
    return (here or anywhere or [ELSEWHERE])[0]


class _Index:
    """What is known by which address, MAC and VLAN in one epoch."""

    def __init__(self, claimed: Iterable[tuple[Claim, Stretch]]) -> None:
        prefixes: dict[tuple[int, int, int], list[Claim]] = {}
        texts: dict[tuple[int, int, int], str] = {}
        macs: dict[int, list[Claim]] = {}
        vlans: dict[int, list[Claim]] = {}
        for claim, stretch in claimed:
            for text in stretch.attribution.addresses:
                network = read_network(text)
                prefixes.setdefault(network, []).append(claim)
                texts.setdefault(network, text)
            for mac in stretch.attribution.macs:
                macs.setdefault(int(mac.replace(":", ""), 16), []).append(claim)
            for vlan in stretch.attribution.vlans:
                vlans.setdefault(vlan, []).append(claim)
        self.weight = len(prefixes) + len(macs) + len(vlans)
        self._claims = _Claims()
        self._prefixes = Prefixes((texts[network], self._claims.group(claims)) for network, claims in prefixes.items())
        self._macs = _Exact({mac: self._claims.group(claims) for mac, claims in macs.items()}, "u8")
        self._vlans = _Exact({vlan: self._claims.group(claims) for vlan, claims in vlans.items()}, "u2")

    def find(self, rows: np.ndarray, exporter: str | None) -> np.ndarray:
        """See Owners.find."""
        groups = self._prefixes.find(rows["hi"], rows["lo"])
        for names, exact in (("mac", self._macs), ("vlan", self._vlans)):
            if exact.is_empty:
                continue
            open_ = np.flatnonzero((groups < 0) & (rows[names] != 0))
            if len(open_):
                groups[open_] = exact.find(rows[names][open_])
        codes: np.ndarray = self._claims.chosen(exporter)[groups]  # NOBODY, -1, is the last
        return codes


class _Exact:
    """Numbers with a value each."""

    def __init__(self, values: dict[int, int], width: str) -> None:
        keys = sorted(values)
        self.is_empty = not keys
        self._keys = np.array(keys, width)
        self._values = np.array([values[key] for key in keys], "i4")

    def find(self, asked: np.ndarray) -> np.ndarray:
        """The value of each number, -1 where it has none."""
        places = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        found: np.ndarray = np.where(self._keys[places] == asked, self._values[places], NOBODY)
        return found
