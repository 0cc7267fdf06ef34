"""Which organization a call speaks of, where the vendor's API knows only the one of the key (CONTRACT part 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.domain.errors import InvalidInputError
from weighbridge.http.route import Param
from weighbridge.reports.selection import Reach, Selection, resolve

if TYPE_CHECKING:
    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView, Organization

ORGANIZATION_HEADER = "Weighbridge-Organization"
ORGANIZATION_PARAM = Param(
    ORGANIZATION_HEADER, "Which organization is meant, id or slug: for a key that sees several.", where="header",
)


def named_organization(call: Call) -> str | None:
    """What the header says, id or slug; None without it."""
    return call.headers.get(ORGANIZATION_HEADER.lower())


def organization_of(call: Call, view: CatalogView) -> Organization:
    """The organization that is meant: the named one, the key's own, or the only one there is.

    NotVisibleError: the named one is not in sight. InvalidInputError: there are several, and none is named.
    """
    asked = Selection(organization=named_organization(call))
    found = resolve(view, Reach(call.who.organization), asked).organization
    if found is not None and found in view.organizations:
        return view.organizations[found]
    alive = [each for each in tuple(view.organizations.values()) if each.deleted_at_s is None]
    if found is not None or len(alive) != 1:
        raise InvalidInputError("must name one of the organizations", where=ORGANIZATION_HEADER)
    return alive[0]
