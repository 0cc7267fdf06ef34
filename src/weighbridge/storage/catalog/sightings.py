"""Endpoints of apps, met in traffic or told by a client at its start: listed and numbered on first sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.model import Endpoint, Kind
from weighbridge.storage.catalog import tables
from weighbridge.storage.catalog.kinds import ENDPOINTS_PER_APP, FIRST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from weighbridge.model import SeriesKey
    from weighbridge.storage.catalog.kinds import Book

_KIND = "endpoint"


def endpoints_of_series(keys: Sequence[SeriesKey]) -> dict[int, list[Endpoint]]:
    """The endpoints that these series name, by app."""
    found: dict[int, list[Endpoint]] = {}
    for key in keys:
        if key.kind is Kind.APP and key.method is not None and key.path is not None:
            found.setdefault(int(key.object), []).append(Endpoint(key.method, key.path))
    return found


def number_endpoints(
    book: Book, endpoints: Mapping[int, Sequence[Endpoint]], numbers: dict[str, int]
) -> dict[int, dict[Endpoint, int]]:
    """The new ones among these with their numbers, up to the bound of each app; `numbers` moves on."""
    sighted: dict[int, dict[Endpoint, int]] = {}
    for app, found in endpoints.items():
        known = book.view.endpoints_of.get(app, {})
        room = ENDPOINTS_PER_APP - len(known)
        new = [endpoint for endpoint in dict.fromkeys(found) if endpoint not in known][: max(room, 0)]
        if not new or app not in book.view.apps:
            continue
        first = numbers.get(_KIND, FIRST_NUMBER - 1) + 1
        sighted[app] = dict(zip(new, range(first, first + len(new)), strict=True))
        numbers[_KIND] = first + len(new) - 1
    return sighted


def write_endpoints(connection: Connection, sighted: Mapping[int, Mapping[Endpoint, int]]) -> None:
    """The new endpoints are in the database."""
    rows = [
        {"id": number, "app": app, "method": endpoint.method, "path": endpoint.path}
        for app, added in sighted.items()
        for endpoint, number in added.items()
    ]
    if rows:
        connection.execute(tables.endpoints.insert(), rows)
