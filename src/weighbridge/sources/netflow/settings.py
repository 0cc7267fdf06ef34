"""What the section [sources.netflow] of the settings file says."""

from __future__ import annotations

from typing import Annotated

import msgspec

from weighbridge.sources.netflow.egress import Egress  # noqa: TC001  msgspec reads it


class NetflowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The one section; a second one listens on another address. Version 5, 9 and 10 are told apart by themselves."""

    listen: Annotated[str, msgspec.Meta(
        min_length=1, max_length=255, description="Address and UDP port to listen on; 0.0.0.0:2055 is every IPv4 address",
    )] = "127.0.0.1:2055"
    networks: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(
        max_length=10_000, description="Prefix of the own network: its addresses are kept even where nobody has them yet",
    )] = ()
    egress: Annotated[Egress, msgspec.Meta(
        description="Records of what left an interface: auto counts those that tell nothing twice, count all, ignore none",
    )] = "auto"
    receive_buffer_bytes: Annotated[int, msgspec.Meta(
        ge=65_536, le=2**30, description="What the kernel keeps while this process is busy; net.core.rmem_max is its bound",
    )] = 4 * 2**20
