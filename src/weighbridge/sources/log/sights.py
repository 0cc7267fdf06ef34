"""Requests that were met, by number: paths come again and again, and most of them come down to the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from weighbridge.sources.log.lines import Request
    from weighbridge.sources.log.rules import Sight

SIGHTS_KEPT: Final = 32_768
"""Requests that are remembered beyond the lines that they stood in: at most some 15 MB, since …"""
KEPT_CHARACTERS: Final = 200
"""… longer texts are not remembered."""


class Sights:
    """What matters of each request, found by `see` once. Numbers hold until `number` or `find` is called again."""

    def __init__(self, see: Callable[[Request], Sight]) -> None:
        self._see = see
        self._by_request: dict[Request, int] = {}
        self._by_sight: dict[Sight, int] = {}
        self._sights: list[Sight] = []

    def number(self, requests: Iterable[Request]) -> list[int]:
        """A number for each request, the same for those of which the same matters."""
        if max(len(self._by_request), len(self._sights)) > SIGHTS_KEPT:
            self._by_request.clear()
            self._by_sight.clear()
            self._sights.clear()
        known = self._by_request
        return [known[request] if request in known else self._add(request) for request in requests]

    def find(self, request: Request) -> Sight:
        """What matters of a request."""
        return self._sights[self.number((request,))[0]]

    def __getitem__(self, number: int) -> Sight:
        return self._sights[number]

    def _add(self, request: Request) -> int:
        sight = self._see(request)
        number = self._by_sight.setdefault(sight, len(self._sights))
        if number == len(self._sights):
            self._sights.append(sight)
        if sum(map(len, request)) <= KEPT_CHARACTERS:
            self._by_request[request] = number
        return number
