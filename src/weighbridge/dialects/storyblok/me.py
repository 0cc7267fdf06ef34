"""Who `me` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.dialects.organization import organization_of
from weighbridge.domain.errors import NotVisibleError

if TYPE_CHECKING:
    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView, Organization


def organization_of_me(call: Call, view: CatalogView) -> Organization:
    """The organization that `me` stands for.

    NotVisibleError: none that the key sees. InvalidInputError: there are several, and none is named.
    """
    if call.who.project is not None:  # spaces belong to no project, so this key sees none
        raise NotVisibleError("organization", "me")
    return organization_of(call, view)
