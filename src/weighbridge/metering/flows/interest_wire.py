"""An interest as `GET /api/v1/interest` answers it, and back. Pure: no I/O, no clock."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Final

import msgspec

from weighbridge.domain.addresses import mac_number, mac_text
from weighbridge.metering.flows.interest import Interest

VERSION: Final = 1
"""Of what is written here. Fields that are added are passed over by older readers."""
MAX_KNOWN: Final = 1_000_000
"""Prefixes, MACs or networks of an interest, each: more than any catalog has."""

_SHOWN: Final = 300  # characters of a decoder's complaint that are passed on
_Prefix = Annotated[str, msgspec.Meta(max_length=64)]
_Mac = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", max_length=17)]


class UnreadableError(Exception):
    """It is no interest; the sentence says where it breaks."""


class _Known(msgspec.Struct, kw_only=True):
    version: int
    prefixes: Annotated[tuple[_Prefix, ...], msgspec.Meta(max_length=MAX_KNOWN)]
    macs: Annotated[tuple[_Mac, ...], msgspec.Meta(max_length=MAX_KNOWN)]
    vlans: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)], ...], msgspec.Meta(max_length=2**16)]
    networks: Annotated[tuple[_Prefix, ...], msgspec.Meta(max_length=MAX_KNOWN)]


_known = msgspec.json.Decoder(_Known)


def write_interest(interest: Interest) -> bytes:
    """A JSON object: prefixes and networks as texts, MACs as `aa:bb:cc:dd:ee:ff`."""
    macs = tuple(mac_text(mac) for mac in interest.macs)
    return msgspec.json.encode(
        _Known(version=VERSION, prefixes=interest.prefixes, macs=macs, vlans=interest.vlans, networks=interest.networks)
    )


def read_interest(body: bytes) -> Interest:
    """What was written. UnreadableError: it is no interest."""
    try:
        found = _known.decode(body)
        for text in (*found.prefixes, *found.networks):
            ip_network(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnreadableError(str(error)[:_SHOWN]) from error
    return Interest(found.prefixes, tuple(mac_number(mac) for mac in found.macs), found.vlans, found.networks)
