"""Fills an empty data folder with the demo: catalog, keys, and months of usage straight into the store."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.app.adminkey import find_admin_key
from weighbridge.app.demo.company import API, HOSTING, PUBLISHER, VPN, VPN_HQ, document, habits
from weighbridge.app.demo.traffic import rows_of
from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.timegrid import floor
from weighbridge.domain.units import SLOT_S
from weighbridge.http.route import Principal
from weighbridge.model import Scope
from weighbridge.storage.catalog.store import SqlCatalog
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.journal.store import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from weighbridge.app.config import Settings
    from weighbridge.ports import Clock

MAX_MONTHS = 120
"""Ten years: 130 million rows, which take minutes."""
_OPERATOR = Principal("key_admin", None, None, frozenset({Scope.ADMIN}))
_SCOPES = [Scope.INGEST.value, Scope.TRAFFIC_READ.value, Scope.VPN_VIEW.value]


@dataclass(frozen=True, slots=True)
class Filled:
    """What the demo has made. `keys` are by organization; `curls` are commands ready to paste, by name of the API."""

    admin_key: str
    keys: dict[str, str]
    curls: dict[str, str]
    series: int
    rows: int
    start_s: int
    end_s: int


def fill(
    settings: Settings,
    clock: Clock,
    *,
    months: int = 13,
    seed: int = 1,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Filled:
    """The folder holds the demo, `months` months of it up to now; the same seed at the same time makes the same usage.

    `on_progress` hears how many months of how many are there. InvalidInputError: the folder holds usage already, or
    `months` is out of bounds. FolderInUseError: a server runs on it. StorageError: the disk is at fault.
    """
    if not 1 <= months <= MAX_MONTHS:
        raise InvalidInputError(f"months is {months}; it goes from 1 to {MAX_MONTHS}", where="months")
    with ExitStack() as opened:
        journal = SqliteJournal(settings.data / "journal")  # first: it locks the folder
        opened.callback(journal.close)
        catalog = SqlCatalog(settings.data / "catalog.sqlite", clock)
        opened.callback(catalog.close)
        if journal.mark().position > 0 or journal.mark().totals.events > 0 or catalog.view().series:
            raise InvalidInputError(
                f"{settings.data} holds usage already, and made-up traffic must not mix with it; give an empty one "
                "with --data",
                where="data",
            )
        admin_key = find_admin_key(settings.data, settings.admin_key).secret
        catalog.admin_key(admin_key)
        catalog.apply(document())
        keys = {
            organization: catalog.create_key(
                {"organization": organization, "name": "demo", "scopes": _SCOPES}, _OPERATOR
            )[1]
            for organization in (HOSTING, API, PUBLISHER, VPN)
        }
        store = DuckDBStore(
            settings.data / "usage", memory_limit_mb=settings.duckdb_memory_mb, threads=settings.duckdb_threads
        )
        opened.callback(store.close)
        end_s = floor(clock.now_us() // 1_000_000, SLOT_S)
        start_s = _months_before(end_s, months)
        rows = _load(catalog, store, (start_s, end_s), seed, on_progress)
    return Filled(admin_key, keys, _curls(settings, keys, end_s), len(habits()), rows, start_s, end_s)


def _load(
    catalog: SqlCatalog, store: DuckDBStore, span: tuple[int, int], seed: int, on_progress: Callable[[int, int], None]
) -> int:
    """Usage of the span is in the store, month by month; how many rows."""
    start_s, end_s = span
    moving = habits()
    numbers = [catalog.enter_series([habit.key], polled=habit.polled)[0].id for habit in moving]
    months = list(_months(start_s, end_s))
    count = 0
    for done, month in enumerate(months):
        on_progress(done, len(months))
        parts = [rows_of(habit, number, month, span, seed) for habit, number in zip(moving, numbers, strict=True)]
        rows = np.concatenate(parts)
        store.load(rows)
        count += len(rows)
    on_progress(len(months), len(months))
    return count


def _months(start_s: int, end_s: int) -> Iterator[tuple[int, int, int]]:
    """(number of the month, its start, its end) of every month (UTC) that the span touches."""
    first = dt.datetime.fromtimestamp(start_s, dt.UTC)
    number = first.year * 12 + first.month - 1
    while (at_s := _month_start(number)) < end_s:
        yield number, at_s, _month_start(number + 1)
        number += 1


def _month_start(number: int) -> int:
    return int(dt.datetime(number // 12, number % 12 + 1, 1, tzinfo=dt.UTC).timestamp())


def _months_before(at_s: int, months: int) -> int:
    """Midnight (UTC) of the day so many months before, or of the first day of the next month where that day lacks."""
    at = dt.datetime.fromtimestamp(at_s, dt.UTC)
    number = at.year * 12 + at.month - 1 - months
    return min(_month_start(number) + (at.day - 1) * 86400, _month_start(number + 1))


def _curls(settings: Settings, keys: dict[str, str], end_s: int) -> dict[str, str]:
    """A command for each of the five endpoints, over the last month."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{host}:{settings.port}"
    first, last = (dt.datetime.fromtimestamp(at_s, dt.UTC).date() for at_s in (end_s - 30 * 86400, end_s))
    return {
        "Latitude.sh traffic": (
            f"curl -gs -H 'Authorization: {keys[HOSTING]}' '{base}/traffic?filter[date][gte]={first}T00:00:00Z"
            f"&filter[date][lte]={last}T00:00:00Z&filter[project]=incredible-bronze-knife'"
        ),
        "Latitude.sh quota": f"curl -gs -H 'Authorization: {keys[HOSTING]}' '{base}/traffic/quota'",
        "Apitally": (
            f"curl -s -H 'Api-Key: {keys[API]}' "
            f"'{base}/v1/apps/1/traffic?interval=day&timezone=Europe/London&start={first}'"
        ),
        "Storyblok": (
            f"curl -s -H 'Authorization: {keys[PUBLISHER]}' "
            f"'{base}/v1/orgs/me/statistics/all_traffic?group_by=month&start_date={first}'"
        ),
        "Altostrat": f"curl -s -H 'Authorization: Bearer {keys[VPN]}' '{base}/vpn/instances/{VPN_HQ}/bandwidth'",
    }
