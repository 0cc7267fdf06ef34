"""Which series a subject means, remembered for each sender until the catalog changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from weighbridge.measurement import RejectReason
from weighbridge.metering.subjects import RefusedError, locate, owner_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from weighbridge.measurement import Event
    from weighbridge.metering.columns import Located
    from weighbridge.metering.messages import Message
    from weighbridge.metering.subjects import Place, Sender, Wanted
    from weighbridge.model import CatalogView, Server
    from weighbridge.ports import Catalog

PLACES_KEPT = 500_000
"""Subjects remembered with their series, some 150 MB at worst; forgotten together when full or the catalog changed."""

Found: TypeAlias = "tuple[list[Located], None] | tuple[None, list[Located | RefusedError]]"


class Places:
    """See above. One thread uses it: the writer."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = -1
        self._moved: dict[str, Server] = {}
        self._known: dict[Sender, dict[Wanted, Located]] = {}
        self._count = 0
        self.coarser: Counter[str] = Counter()  # what was left out of figures, each time that it was looked up

    def find(self, events: Sequence[Event], sender: Sender) -> Found:
        """The series of each event and its organization; on the right if some have none, with the reason in its place."""
        wanted: list[Wanted] = [
            (event.subject, (data := event.data).environment, data.consumer, data.method, data.path) for event in events
        ]
        return self._look_up(wanted, lambda: [int(event.time.timestamp()) for event in events], sender)

    def find_figures(self, message: Message) -> list[Located | RefusedError]:
        """The same for the figures of a message. Names and endpoints beyond an app's bounds are left out, bytes never.

        A client that reports by itself cannot ask for fewer names, and what it moved belongs on the invoice.
        """
        figures = message.figures
        wanted: list[Wanted] = [(f.subject, f.environment, f.consumer, f.method, f.path) for f in figures]
        exact, mixed = self._look_up(wanted, lambda: [f.end_us // 1_000_000 for f in figures], message.sender)
        found: list[Located | RefusedError] = list(exact or mixed or ())
        for at, place in enumerate(found):
            if isinstance(place, RefusedError) and place.code is RejectReason.TOO_MANY:
                found[at] = self._find_coarser(wanted[at], figures[at].end_us // 1_000_000, message.sender, place)
        return found

    def _find_coarser(self, wanted: Wanted, at_s: int, sender: Sender, refusal: RefusedError) -> Located | RefusedError:
        for what, coarser in _coarser(wanted):
            exact, mixed = self._look_up([coarser], lambda: [at_s], sender)
            found = (exact or mixed or [refusal])[0]
            if not isinstance(found, RefusedError):
                self.coarser[what] += 1
                return found
        return refusal

    def _look_up(self, wanted: list[Wanted], times_s: Callable[[], list[int]], sender: Sender) -> Found:
        version = self._catalog.view().version
        if version != self._version or self._count > PLACES_KEPT:
            self._known.clear()
            self._count, self._version = 0, version
            self._moved = _moved_servers(self._catalog.view())
        known = self._known.setdefault(sender, {})
        keys = wanted
        if self._moved:  # whose events they are depends on their time: each stretch is a subject of its own
            keys = [self._dated(key, at_s) for key, at_s in zip(wanted, times_s(), strict=True)]
        try:
            return [known[key] for key in keys], None
        except KeyError:
            learned = self._learn(wanted, keys, times_s(), sender, known)
            return None, [known[key] if key in known else learned[key] for key in keys]

    def _dated(self, key: Wanted, at_s: int) -> Wanted:
        server = self._moved.get(key[0])
        return key if server is None else (*key[:-1], owner_at(server, at_s))

    def _learn(
        self,
        wanted: list[Wanted],
        keys: list[Wanted],
        times_s: list[int],
        sender: Sender,
        known: dict[Wanted, Located],
    ) -> dict[Wanted, Located | RefusedError]:
        """Looks up what is not known yet, each subject once; new series are made in one transaction."""
        learned: dict[Wanted, Located | RefusedError] = {}
        fresh: dict[Wanted, Place] = {}
        for want, key, at_s in zip(wanted, keys, times_s, strict=True):
            if key in learned or key in fresh or key in known:
                continue
            try:
                fresh[key] = locate(self._catalog, want, at_s, sender)
            except RefusedError as refusal:
                learned[key] = refusal
        series = self._catalog.enter_series([place.key for place in fresh.values()]) if fresh else []
        for (key, place), entered in zip(fresh.items(), series, strict=True):
            learned[key] = known[key] = (entered.id, place.organization)
        self._count += len(fresh)
        return learned


def _coarser(wanted: Wanted) -> Iterator[tuple[str, Wanted]]:
    """Without the consumer, without the endpoint, without both, without anything but the subject."""
    subject, environment, consumer, method, path = wanted
    yield "consumer", (subject, environment, None, method, path)
    yield "endpoint", (subject, environment, consumer, None, None)
    yield "consumer and endpoint", (subject, environment, None, None, None)
    yield "everything", (subject, None, None, None, None)


def _moved_servers(view: CatalogView) -> dict[str, Server]:
    """Servers that have stood in more than one project, by subject."""
    servers = tuple(view.servers.values())
    return {f"server/{s.id}": s for s in servers if len({placement.project for placement in s.placements}) > 1}
