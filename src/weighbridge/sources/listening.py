"""What every source of flows is told of the socket that it listens on."""

from __future__ import annotations

from typing import Annotated

import msgspec

ADDRESS = msgspec.Meta(
    min_length=1, max_length=255, description="Address and UDP port to listen on; 0.0.0.0:PORT is every IPv4 address",
)
Prefix = Annotated[str, msgspec.Meta(max_length=64)]


class Listening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of a source of flows; a second one listens on another address."""

    listen: Annotated[str, ADDRESS]
    networks: Annotated[tuple[Prefix, ...], msgspec.Meta(
        max_length=10_000, description="Prefix of the own network: its addresses are kept even where nobody has them yet",
    )] = ()
    receive_buffer_bytes: Annotated[int, msgspec.Meta(
        ge=65_536, le=2**30, description="What the kernel keeps while this process is busy; net.core.rmem_max is its bound",
    )] = 4 * 2**20
