"""What the section [sources.sflow] of the settings file says."""

from __future__ import annotations

from typing import Annotated

import msgspec


class SflowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The one section; a second one listens on another address."""

    listen: Annotated[str, msgspec.Meta(
        min_length=1, max_length=255, description="Address and UDP port to listen on; 0.0.0.0:6343 is every IPv4 address",
    )] = "127.0.0.1:6343"
    networks: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(
        max_length=10_000, description="Prefix of the own network: its addresses are kept even where nobody has them yet",
    )] = ()
    receive_buffer_bytes: Annotated[int, msgspec.Meta(
        ge=65_536, le=2**30, description="What the kernel keeps while this process is busy; net.core.rmem_max is its bound",
    )] = 4 * 2**20
