"""Storyblok's traffic of single assets: `GET /v1/orgs/me/statistics/assets_traffic`.

An asset is a path that usage of a space was sent with. Its number is made of the two, which is enough: among a million
assets some two share one with a probability of 1 in 18,000, and then their spaces and file names still tell them apart.
"""

from __future__ import annotations

import posixpath
from heapq import nsmallest
from itertools import chain, islice
from mimetypes import MimeTypes
from typing import TYPE_CHECKING, NamedTuple

from weighbridge.dialects.exact_json import encode
from weighbridge.dialects.made_id import made_id
from weighbridge.dialects.storyblok.assets_wire import Asset, Assets
from weighbridge.dialects.storyblok.groups import parse_dates, today
from weighbridge.dialects.storyblok.me import organization_of_me
from weighbridge.dialects.storyblok.tally import Moved
from weighbridge.http.route import Answer
from weighbridge.model import BEGINNING_S, END_S, Kind
from weighbridge.ports import Members
from weighbridge.reports.usage import add

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weighbridge.dialects.storyblok.groups import Dates
    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView
    from weighbridge.ports import UsageStore

MAX_ASSETS = 10_000
"""Assets of one answer, those with most bytes: some 3 MB of JSON. The vendor's list has no pages."""
ASSETS_A_QUESTION = 50_000
"""Assets that the store is asked about at once: some 20 MB of Python integers."""
ID_BITS = 53
"""A number has so many in JavaScript."""


class _Ranked(NamedTuple):
    """An asset that moved something; the first in order is the one with most bytes, of equals by space and path."""

    minus_bytes: int
    space: int
    path: str
    moved: Moved


def assets_traffic(call: Call) -> Answer:
    """The assets of the organization's spaces that moved something in a range of dates, at most MAX_ASSETS of them."""
    dates = parse_dates(call.one("start_date"), call.one("end_date"), today(call.services.clock.now_us()))
    view = call.services.catalog.view()
    organization = organization_of_me(call, view)
    paths = _paths(view, view.spaces_of.get(organization.id, ()))
    best: list[_Ranked] = []
    while asked := dict(islice(paths, ASSETS_A_QUESTION)):
        best = nsmallest(MAX_ASSETS, chain(best, _moved(call.services.store, view, asked, dates)))
    return Answer(200, encode(Assets([_asset(ranked) for ranked in best])))


def _paths(view: CatalogView, spaces: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(series, space) of every asset."""
    for space in spaces:
        for number in view.series_of.get((Kind.SPACE, str(space)), ()):
            if view.series[number].key.path is not None:
                yield number, space


def _moved(store: UsageStore, view: CatalogView, asked: dict[int, int], dates: Dates) -> Iterator[_Ranked]:
    """What each of these series moved, where it did."""
    series, count = tuple(asked), len(asked)
    members = Members(series, series, (BEGINNING_S,) * count, (END_S,) * count)
    sums = store.sums(members, dates.start_s, dates.end_s, 0)
    for number, into, out, requests in zip(sums.group, sums.bytes_in, sums.bytes_out, sums.requests, strict=True):
        moved = Moved(requests, add(into, out))
        if moved.anything:
            yield _Ranked(-(moved.bytes or 0), asked[number], view.series[number].key.path or "", moved)


def _asset(ranked: _Ranked) -> Asset:
    """An asset in the vendor's words; null what only the content system knows."""
    return Asset(
        id=made_id(ID_BITS, ranked.space, ranked.path),
        alt="",
        asset_folder_id=None,
        content_length=None,
        content_type=content_type_of(ranked.path),
        deleted_at=None,
        filename=ranked.path,
        is_private=False,
        space_id=ranked.space,
        total_bytes=ranked.moved.total_bytes,
    )


def _known_types() -> dict[str, str]:
    """Content types by suffix: Python's own table, and not that of the machine, which differs from one to the next."""
    table = MimeTypes()
    usual, others = table.types_map[True], table.types_map[False]
    return others | usual | {".woff": "font/woff", ".woff2": "font/woff2"}


_TYPES = _known_types()


def content_type_of(path: str) -> str | None:
    """The content type that the suffix of a path stands for; None where it stands for none."""
    return _TYPES.get(posixpath.splitext(path)[1].lower())
