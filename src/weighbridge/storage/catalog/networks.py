"""Addresses, MACs, VLANs and interfaces as the catalog keeps them: one spelling each, so that equal things look equal."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from weighbridge.model import Port
from weighbridge.storage.catalog.fields import (
    BAD,
    Faults,
    Parser,
    Value,
    WrongValueError,
    choice,
    integer,
    join,
    read_list,
    read_mapping,
    read_text,
    scalar,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ADDRESSES = 10_000
"""Prefixes of one thing, and networks of one exporter: some 400 KB of a body that may have 1 MiB."""
MAX_MACS = 1_000
"""MACs of one thing: a host of virtual machines has hundreds."""
MAX_VLANS = 4_094
"""VLANs of one thing: all that there are."""
MAX_INTERFACES = 1_000
"""Ports that a thing's traffic is the sum of: far above any bond."""

_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_LENGTH = re.compile(r"[0-9]{1,3}")
_MAC_PAIRS = re.compile(r"[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}")
_MAC_WHOLE = re.compile(r"[0-9a-f]{12}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")
_MAPPED_BITS = 96
_MAPPED = 0xFFFF << 32  # ::ffff:0:0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Prefix = tuple[int, int, int, str]
"""Version, number and length, which are also the order of prefixes, and the text that is kept."""


def read_address(value: object) -> str:
    """An IPv4 or IPv6 address of one machine; IPv4 that is mapped into IPv6 becomes IPv4.

    WrongValueError: the value is no such thing; it says what would be right.
    """
    text = read_text(value)
    if "/" in text:
        msg = f"must be one address, without a length, not {show(text)}"
        raise WrongValueError(msg)
    address, _ = _interface(text, "an address such as 192.0.2.1 or 2001:db8::1")
    if address.is_unspecified or address.is_multicast:
        msg = f"must be the address of one machine, not {show(text)}"
        raise WrongValueError(msg)
    return str(address)


def read_prefix(value: object) -> str:
    """An address or prefix, with its length: 192.0.2.10/32, 2001:db8::/64. IPv4 that is mapped into IPv6 becomes IPv4.

    WrongValueError: the value is no such thing, or has bits behind its length; it says what would be right.
    """
    return _prefix(value)[-1]


def _prefix(value: object) -> _Prefix:
    text = read_text(value)
    address, length = _interface(text, "an address or prefix such as 192.0.2.10, 192.0.2.16/28 or 2001:db8::/64")
    number, behind = int(address), (1 << address.max_prefixlen - length) - 1
    if number & behind:
        network = type(address)(number & ~behind)
        msg = (
            f"{show(text)} has bits set behind its length: write {network}/{length} for the network, "
            f"{address} for the address"
        )
        raise WrongValueError(msg)
    if address.version == 6 and length <= _MAPPED_BITS and number == _MAPPED & ~behind:  # noqa: PLR2004  a version
        msg = f"{show(text)} takes in IPv4 as well (::ffff:0:0/96): write 2000::/3 for all of IPv6, 0.0.0.0/0 for all of IPv4"
        raise WrongValueError(msg)
    return address.version, number, length, f"{address}/{length}"


def _interface(text: str, wanted: str) -> tuple[Address, int]:
    """Address and length, IPv4 where it is mapped into IPv6. WrongValueError: the text is not what is wanted."""
    written, slash, length = text.partition("/")
    address = None
    if _ADDRESS.fullmatch(written) and (not slash or _LENGTH.fullmatch(length)):
        with suppress(ValueError):
            address = ipaddress.ip_address(written)
    bits = 0 if address is None else int(length) if slash else address.max_prefixlen
    if address is None or bits > address.max_prefixlen:
        msg = f"must be {wanted}, not {show(text)}"
        raise WrongValueError(msg)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped, bits - _MAPPED_BITS) if mapped is not None and bits >= _MAPPED_BITS else (address, bits)


def read_mac(value: object) -> str:
    """A MAC as six pairs of lower-case digits with colons, from any usual spelling.

    WrongValueError: the value is no such thing, or means no one machine; it says what would be right.
    """
    text = read_text(value)
    plain = text.lower()
    pairs = _MAC_PAIRS.fullmatch(plain)
    if pairs:
        digits = "".join(pair.zfill(2) for pair in plain.split(pairs[1]))
    elif _MAC_WHOLE.fullmatch(plain):
        digits = plain.replace(".", "")
    else:
        msg = f"must be a MAC such as 52:54:00:12:34:56, not {show(text)}"
        raise WrongValueError(msg)
    if int(digits[:2], 16) & 1 or int(digits, 16) == 0:  # IEEE 802: the lowest bit of the first octet means a group
        msg = f"must be the MAC of one machine, not that of a group or of nobody: {show(text)}"
        raise WrongValueError(msg)
    return ":".join(digits[place:place + 2] for place in range(0, len(digits), 2))


def _listing(
    read: Callable[[object], Any], most: int, what: str, keep: Callable[[Any], Any] = lambda found: found
) -> Parser:
    """A parser of a list in which order and repetition mean nothing: each once, in the order of what is read."""

    def parse(value: object, where: str, faults: Faults) -> Value:
        items = read_list(value, where, faults)
        if len(items) > most:
            faults.add(where, f"must hold at most {most} {what}, not {len(items)}")
            return BAD
        one = scalar(read)
        found = {one(item, place, faults) for item, place in items}
        return BAD if BAD in found or not isinstance(value, list) else tuple(keep(each) for each in sorted(found))

    return parse


parse_prefixes = _listing(_prefix, MAX_ADDRESSES, "addresses", itemgetter(-1))
parse_macs = _listing(read_mac, MAX_MACS, "MACs")
parse_vlans = _listing(integer(1, MAX_VLANS), MAX_VLANS, "VLANs")

_PORT: dict[str, Parser] = {
    "device": scalar(read_text), "name": scalar(read_text), "facing": scalar(choice("server", "network")),
}


def parse_ports(value: object, where: str, faults: Faults) -> Value:
    """Interfaces by device and name, each once."""
    before = len(faults.invalid)
    items = read_list(value, where, faults)
    if len(items) > MAX_INTERFACES:
        faults.add(where, f"must hold at most {MAX_INTERFACES} interfaces, not {len(items)}")
        return BAD
    found: dict[tuple[str, str], Port] = {}
    for item, place in items:
        given = read_mapping(item, _PORT, place, faults, required=("device", "name"))
        if given is None or "device" not in given or "name" not in given:
            continue
        port = Port(**given)
        if (port.device, port.name) in found:
            faults.add(join(place, "name"), f"{port.name!r} of {port.device!r} stands in this list already")
        found[port.device, port.name] = port
    return tuple(found[key] for key in sorted(found)) if len(faults.invalid) == before else BAD
