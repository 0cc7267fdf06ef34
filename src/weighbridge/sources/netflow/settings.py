"""What the section [sources.netflow] of the settings file says."""

from __future__ import annotations

from typing import Annotated

import msgspec

from weighbridge.sources.listening import ADDRESS, Listening
from weighbridge.sources.netflow.egress import Egress  # noqa: TC001  msgspec reads it


class NetflowSettings(Listening, frozen=True, kw_only=True):
    """The one section; a second one listens on another address. Version 5, 9 and 10 are told apart by themselves."""

    listen: Annotated[str, ADDRESS] = "127.0.0.1:2055"
    egress: Annotated[Egress, msgspec.Meta(
        description="Records of what left an interface: auto counts those that tell nothing twice, count all, ignore none",
    )] = "auto"
