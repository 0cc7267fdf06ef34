"""What the section [sources.sflow] of the settings file says."""

from __future__ import annotations

from typing import Annotated

from weighbridge.sources.listening import ADDRESS, Listening


class SflowSettings(Listening, frozen=True, kw_only=True):
    """The one section; a second one listens on another address."""

    listen: Annotated[str, ADDRESS] = "127.0.0.1:6343"
