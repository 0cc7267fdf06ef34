"""What a `[[sources.host]]` table says: which interfaces of this machine, and whose traffic they carry."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from weighbridge.measurement import MAX_NAME

Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Patterns = Annotated[tuple[Pattern, ...], msgspec.Meta(max_length=1_000)]


class HostSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One table. Patterns are of names, with * and ?; an interface belongs to the first table that takes it."""

    server: Annotated[str, msgspec.Meta(
        min_length=1, max_length=MAX_NAME, description="Id of the server whose traffic this is",
    )]
    interfaces: Annotated[Patterns, msgspec.Meta(
        description="Pattern of names of interfaces, such as veth-web* [default: those with a device behind them]",
    )] = ()
    exclude: Annotated[Patterns, msgspec.Meta(description="Pattern of names of interfaces that are left out")] = ()
    facing: Annotated[Literal["network", "server"], msgspec.Meta(
        description="What the interfaces face; server: they receive what the server sent, as this end of a container's veth "
        "does",
    )] = "network"
    interval_s: Annotated[int, msgspec.Meta(
        ge=1, le=3600, description="Seconds between readings; of several tables the smallest counts for all",
    )] = 10
