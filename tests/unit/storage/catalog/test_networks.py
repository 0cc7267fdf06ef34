"""One spelling for each address, MAC and VLAN; and what is refused, with what would be right."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.metering.attribution import show_prefix
from weighbridge.model import Port
from weighbridge.storage.catalog.fields import BAD, Faults, WrongValueError
from weighbridge.storage.catalog.networks import (
    MAX_ADDRESSES,
    MAX_INTERFACES,
    MAX_MACS,
    parse_macs,
    parse_ports,
    parse_prefixes,
    parse_vlans,
    read_address,
    read_mac,
    read_prefix,
)

if TYPE_CHECKING:
    from weighbridge.storage.catalog.fields import Parser

NO_TEXT = [None, 1, 1.5, True, [], {}, b"192.0.2.1"]


@pytest.mark.parametrize(("text", "kept", "shown"), [
    ("192.0.2.10", "192.0.2.10/32", "192.0.2.10"),
    ("192.0.2.10/32", "192.0.2.10/32", "192.0.2.10"),
    ("192.0.2.16/28", "192.0.2.16/28", "192.0.2.16/28"),
    ("0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0"),
    ("2001:db8::/64", "2001:db8::/64", "2001:db8::/64"),
    ("2001:DB8:0:0::1", "2001:db8::1/128", "2001:db8::1"),
    ("2001:db8::/32", "2001:db8::/32", "2001:db8::/32"),
    ("2000::/3", "2000::/3", "2000::/3"),
    ("::1", "::1/128", "::1"),
    ("::ffff:192.0.2.10", "192.0.2.10/32", "192.0.2.10"),
    ("::FFFF:c000:20a", "192.0.2.10/32", "192.0.2.10"),
    ("::ffff:192.0.2.16/124", "192.0.2.16/28", "192.0.2.16/28"),
    ("::ffff:0:0/96", "0.0.0.0/0", "0.0.0.0/0"),
])
def test_prefixes(text: str, kept: str, shown: str) -> None:
    assert read_prefix(text) == kept
    assert show_prefix(kept) == shown
    assert read_prefix(shown) == kept


@pytest.mark.parametrize(("text", "words"), [
    ("192.0.2.17/28", "write 192.0.2.16/28 for the network, 192.0.2.17 for the address"),
    ("2001:db8::1/64", "write 2001:db8::/64 for the network, 2001:db8::1 for the address"),
    ("::ffff:192.0.2.17/124", "write 192.0.2.16/28 for the network, 192.0.2.17 for the address"),
    ("::/0", "write 2000::/3 for all of IPv6, 0.0.0.0/0 for all of IPv4"),
    ("::/80", "takes in IPv4 as well"),
    *((text, "must be an address or prefix such as") for text in (
        "192.0.2", "192.0.2.256", "192.0.2.010", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.0/255.255.255.0",
        "192.0.2.0/0.0.0.255", "2001:db8::/129", "fe80::1%eth0", "192.0.2.1 ", " 192.0.2.1", "192.0.2.1/", "/24", "a",
        "192.0.2.1/24/24", "\u0661\u0669\u0662.0.2.1", "edge.example.com", "3221225985", "::ffff:192.0.2.1/1000")),
])
def test_prefixes_that_cannot_be(text: str, words: str) -> None:
    with pytest.raises(WrongValueError) as error:
        read_prefix(text)
    assert words in str(error.value)


@pytest.mark.parametrize("read", [read_prefix, read_address, read_mac])
@pytest.mark.parametrize("value", NO_TEXT)
def test_what_is_no_text(read: Any, value: object) -> None:
    with pytest.raises(WrongValueError, match="must be text"):
        read(value)


@given(st.ip_addresses(), st.integers(0, 128))
def test_any_network_is_read_as_it_is_written(address: Any, length: int) -> None:
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    overlaps = network.version == 6 and network.overlaps(ipaddress.IPv6Network("::ffff:0:0/96"))
    if not overlaps:
        assert read_prefix(str(network)) == read_prefix(network.exploded) == read_prefix(str(network).upper()) == str(network)
        assert read_prefix(show_prefix(str(network))) == str(network)
    mapped = ipaddress.IPv6Address(f"::ffff:{address}") if address.version == 4 else None
    if mapped:
        assert read_prefix(str(mapped)) == f"{address}/32"


@pytest.mark.parametrize(("text", "kept"), [
    ("192.0.2.1", "192.0.2.1"), ("2001:DB8::0:1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1")])
def test_addresses(text: str, kept: str) -> None:
    assert read_address(text) == kept


@pytest.mark.parametrize(("text", "words"), [
    ("192.0.2.1/32", "without a length"), ("0.0.0.0", "of one machine"), ("::", "of one machine"),
    ("224.0.0.1", "of one machine"), ("ff02::1", "of one machine"), ("x", "must be an address such as"),
    ("edge-1", "must be an address such as"), ("fe80::1%eth0", "must be an address such as"),
])
def test_addresses_that_cannot_be(text: str, words: str) -> None:
    with pytest.raises(WrongValueError, match=words):
        read_address(text)


@pytest.mark.parametrize("text", [
    "52:54:00:1a:0b:c6", "52:54:00:1A:0B:C6", "52-54-00-1a-0b-c6", "5254.001a.0bc6", "5254001A0BC6", "52:54:0:1a:b:c6"])
def test_macs(text: str) -> None:
    assert read_mac(text) == "52:54:00:1a:0b:c6"


@pytest.mark.parametrize(("text", "words"), [
    ("ff:ff:ff:ff:ff:ff", "of one machine"), ("01:00:5e:00:00:01", "of one machine"),
    ("00:00:00:00:00:00", "of one machine"),
    *((text, "must be a MAC such as") for text in (
        "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54-00:12:34:56", "52:54:00:12:34:5g", "5254.0012.345", "525400123456a",
        "52540012345", "52:54:00:12:34:", "1:2:3", "52:54:00:12:34:56\n")),
])
def test_macs_that_cannot_be(text: str, words: str) -> None:
    with pytest.raises(WrongValueError, match=words if "\n" not in text else "control characters"):
        read_mac(text)


@pytest.mark.parametrize(("parse", "given_", "kept"), [
    (parse_prefixes, [], ()),
    (parse_prefixes, ["2001:db8::1", "192.0.2.10", "::ffff:192.0.2.10", "192.0.2.9", "192.0.2.0/24", "192.0.2.0/25"],
     ("192.0.2.0/24", "192.0.2.0/25", "192.0.2.9/32", "192.0.2.10/32", "2001:db8::1/128")),
    (parse_macs, ["52:54:00:00:00:02", "5254.0000.0001", "52-54-00-00-00-02"], ("52:54:00:00:00:01", "52:54:00:00:00:02")),
    (parse_vlans, [4094, 1, 20, 20], (1, 20, 4094)),
    (parse_ports, [{"device": "b", "name": "1", "facing": "server"}, {"device": "a", "name": "2"}],
     (Port("a", "2", "network"), Port("b", "1", "server"))),
])
def test_lists_have_one_order_and_each_thing_once(parse: Parser, given_: list[Any], kept: tuple[Any, ...]) -> None:
    faults = Faults()
    assert parse(given_, "x", faults) == kept
    assert parse(list(reversed(given_)), "x", faults) == kept
    assert faults.is_empty


@pytest.mark.parametrize(("parse", "value", "places"), [
    (parse_prefixes, None, ["x"]), (parse_prefixes, "192.0.2.1", ["x"]), (parse_prefixes, {}, ["x"]),
    (parse_prefixes, ["192.0.2.1", "y", 5], ["x[1]", "x[2]"]),
    (parse_prefixes, ["192.0.2.1"] * (MAX_ADDRESSES + 1), ["x"]),
    (parse_macs, ["52:54:00:00:00:02"] * (MAX_MACS + 1), ["x"]),
    (parse_macs, [525400123456], ["x[0]"]),
    (parse_vlans, [0, 4095, "1", True, None, 1.0], [f"x[{place}]" for place in range(6)]),
    (parse_vlans, [1] * 4095, ["x"]),
    (parse_ports, [{"device": "a", "name": "1"}] * (MAX_INTERFACES + 1), ["x"]),
    (parse_ports, [{"device": "a", "name": "1"}, {"device": "a", "name": "1", "facing": "server"}], ["x[1].name"]),
    (parse_ports, [{"device": "a"}, {"name": ""}, 5, {"device": "a", "name": "b", "facing": "up", "speed": 1}],
     ["x[0].name", "x[1].name", "x[1].device", "x[2]", "x[3].facing", "x[3].speed"]),
])
def test_lists_that_cannot_be(parse: Parser, value: object, places: list[str]) -> None:
    faults = Faults()
    assert parse(value, "x", faults) is BAD
    assert [place for place, _ in faults.invalid] == places
