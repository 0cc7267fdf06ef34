"""When an app's environments and consumers were last heard of, exact to the 5-minute slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.model import BEGINNING_S, END_S, Kind
from weighbridge.ports import Members
from weighbridge.reports.selection import excluded_of, is_excluded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from weighbridge.model import App, CatalogView
    from weighbridge.ports import UsageStore


def last_syncs_s(store: UsageStore, view: CatalogView, apps: Iterable[App], end_s: int) -> dict[int, int]:
    """Start of the newest slot before `end_s` of each environment of these apps, by id; absent where there is none.

    Whatever an environment sends says that it is alive: zeros, and traffic of excluded endpoints, too.
    """
    entries = []
    for app in apps:
        for number in view.series_of.get((Kind.APP, str(app.id)), ()):
            environment = view.series[number].key.environment
            if environment is not None:
                entries.append((number, environment))
    return store.last_slots_s(_members(entries), BEGINNING_S, end_s)


def last_requests_s(
    store: UsageStore, view: CatalogView, app: App, consumers: Collection[int], end_s: int
) -> dict[int, int]:
    """Start of the newest slot before `end_s` in which each of these consumers moved something, by id; absent where none.

    Traffic of excluded endpoints is left out, as in every sum.
    """
    excluded = excluded_of(app)
    entries = []
    for number in view.series_of.get((Kind.APP, str(app.id)), ()):
        key = view.series[number].key
        if key.consumer is not None and key.consumer in consumers and not is_excluded(key, excluded):
            entries.append((number, key.consumer))
    return store.last_slots_s(_members(entries), BEGINNING_S, end_s, moved_only=True)


def _members(entries: list[tuple[int, int]]) -> Members:
    """Series with the id that they are asked for, for all time."""
    series, groups = tuple(entry[0] for entry in entries), tuple(entry[1] for entry in entries)
    return Members(series, groups, (BEGINNING_S,) * len(entries), (END_S,) * len(entries))
