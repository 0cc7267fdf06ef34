"""Pages of a list of objects: a limit, and a token that says behind which object the next page begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from weighbridge.dialects.apitally.errors import InvalidParametersError, value_fault
from weighbridge.dialects.apitally.token import MAX_LENGTH, read_place, write_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weighbridge.dialects.apitally.parameters import Reader
    from weighbridge.http.route import Call

T = TypeVar("T")

FOREIGN_TOKEN = "the token belongs to other parameters, or to nothing; send it with those that it came from"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page: at most `limit` objects behind the one with the id `after`; None: from the beginning."""

    limit: int
    after: int | None
    query: bytes

    def cut(self, rest: Sequence[T], id_of: Callable[[T], int]) -> tuple[Sequence[T], str | None]:
        """The page of what is listed from here on, and the token for the next one if there is more."""
        page = rest[: self.limit]
        return page, write_place(self.query, id_of(page[-1])) if len(rest) > self.limit else None


def read_paging(call: Call, reader: Reader, listed: tuple[str | None, ...], default: int, most: int) -> Paging:
    """The parameters `next_token` and `limit`, checked together with all that `reader` has read so far.

    A token is bound to `listed`, which says what list it is of and how it is filtered, to whose key asked, and to `limit`.
    InvalidParametersError: a parameter is at fault, or the token.
    """
    token = reader.text("next_token", MAX_LENGTH)
    limit = reader.integer("limit", 1, most)
    reader.check()
    query = msgspec.json.encode([*listed, call.who.organization, call.who.project, call.one("limit")])
    if token is None:
        return Paging(limit or default, None, query)
    try:
        return Paging(limit or default, read_place(query, token), query)
    except ValueError:
        raise InvalidParametersError([value_fault("next_token", FOREIGN_TOKEN, token)]) from None
