"""Addresses as texts and as numbers: IPv6 as two halves, IPv4 mapped into it (RFC 4291, 2.5.5.2), MACs of 48 bits."""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

MAPPED: Final = 0xFFFF
"""The upper 32 bits of the lower half of an IPv4 address that is mapped into IPv6; its upper half is 0."""

_halves = struct.Struct("!QQ")


def address_text(high: int, low: int) -> str:
    """An address as people write it; IPv4 without its mapping."""
    if high == 0 and low >> 32 == MAPPED:
        return inet_ntop(AF_INET, (low & 0xFFFFFFFF).to_bytes(4, "big"))
    return inet_ntop(AF_INET6, _halves.pack(high, low))


def address_numbers(text: str) -> tuple[int, int]:
    """The upper and the lower half of an address. ValueError: it is none."""
    try:
        if ":" not in text:
            return 0, MAPPED << 32 | int.from_bytes(inet_pton(AF_INET, text), "big")
        high, low = _halves.unpack(inet_pton(AF_INET6, text))
    except (OSError, ValueError) as error:
        raise ValueError(f"{text!r} is no address") from error
    return high, low


def mac_text(mac: int) -> str:
    """A MAC address as people write it: twelve lower-case hexadecimal digits with colons."""
    return mac.to_bytes(6, "big").hex(":")


def mac_number(text: str) -> int:
    """The other way. ValueError: it is none."""
    digits = text.replace(":", "")
    if len(digits) != 12:  # noqa: PLR2004  48 bits
        raise ValueError(f"{text!r} is no MAC address")
    return int(digits, 16)
