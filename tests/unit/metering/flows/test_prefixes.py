"""Longest-prefix match against the standard library's networks."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.flow_referee import matching
from weighbridge.collected import MAPPED_LO
from weighbridge.domain.errors import InvalidInputError
from weighbridge.metering.flows import prefixes as prefixes_module
from weighbridge.metering.flows.prefixes import NONE, Prefixes, read_network


def near(bits):
    """Numbers close to each other and to both ends, so that prefixes nest and touch."""
    middle = 0xC000_0280 if bits == 32 else 0x2001_0DB8_0000_0001 << 64
    return st.builds(
        lambda base, change: base ^ change,
        st.sampled_from([0, 2**bits - 1, middle]) | st.integers(0, 2**bits - 1),
        st.just(0) | st.integers(0, 3) | st.integers(0, 2**9 - 1) | st.integers(0, 2 ** (bits // 2 + 4) - 1),
    )


def networks(bits):
    lengths = st.sampled_from([0, 1, 15, 16, 17, 24, 27, 28, 31, 32, bits // 2, bits // 2 + 1, bits - 1, bits])
    address = IPv4Address if bits == 32 else IPv6Address
    return st.builds(
        lambda first, length: ip_network((address(first), length), strict=False), near(bits), lengths | st.integers(0, bits))


def bounds(network):
    """The first and the last address of a network, and their neighbours."""
    last = 2**network.max_prefixlen - 1
    for edge in (int(network[0]), int(network[-1])):
        yield from (min(max(edge + step, 0), last) for step in (-1, 0, 1))


def is_mapped(address):
    return address >> 32 == 0xFFFF


@settings(max_examples=200, deadline=None)
@given(
    st.lists(networks(32) | networks(128), max_size=12, unique=True), st.lists(near(32)), st.lists(near(128)),
    st.sampled_from([(prefixes_module.TABLE_ENTRIES, prefixes_module.STEP_ENTRIES), (0, 0), (256, 0), (1100, 99)]),
)
def test_the_longest_prefix_is_the_standard_librarys(drawn, fours, sixes, entries):
    # Those that lie in the mapped range are IPv4 prefixes, which the standard library does not say of them.
    drawn = [each for each in drawn if each.version == 4 or not is_mapped(int(each[0])) or each.prefixlen < 96]
    before = prefixes_module.TABLE_ENTRIES, prefixes_module.STEP_ENTRIES
    prefixes_module.TABLE_ENTRIES, prefixes_module.STEP_ENTRIES = entries
    try:
        prefixes = Prefixes([(str(network), number) for number, network in enumerate(drawn)])
    finally:
        prefixes_module.TABLE_ENTRIES, prefixes_module.STEP_ENTRIES = before
    fours += [edge for network in drawn if network.version == 4 for edge in bounds(network)]
    sixes += [edge for network in drawn if network.version == 6 for edge in bounds(network)]
    sixes += [MAPPED_LO | four for four in fours]

    def value(address):
        found = matching(drawn, address)
        return NONE if found is None else drawn.index(found)

    assert prefixes.find4(np.array(fours, np.uint32)).tolist() == [value(MAPPED_LO | four) for four in fours]
    halves = np.array([divmod(six, 2**64) for six in sixes], np.uint64).reshape(-1, 2)
    assert prefixes.find6(halves).tolist() == [value(six) for six in sixes]
    assert prefixes.find(halves[:, 0], halves[:, 1]).dtype == np.int32


def test_many_prefixes_whose_table_does_not_fit_are_found_in_ranges():
    firsts = np.random.default_rng(3).choice(2**27, 30_000, replace=False).astype(np.uint32) << np.uint32(5)
    prefixes = Prefixes((f"{IPv4Address(int(first))}/31", number) for number, first in enumerate(firsts))
    for step, values in ((0, np.arange(len(firsts))), (1, np.arange(len(firsts))), (2, np.full(len(firsts), NONE))):
        assert (prefixes.find4(firsts + np.uint32(step)) == values).all()


def test_without_prefixes_there_are_none():
    assert Prefixes([]).find4(np.array([0, 2**32 - 1], np.uint32)).tolist() == [NONE, NONE]
    assert Prefixes([]).find6(np.array([[0, 0], [2**64 - 1, 2**64 - 1]], np.uint64)).tolist() == [NONE, NONE]


def test_mapped_addresses_are_ipv4():
    assert read_network("::ffff:192.0.2.0/120") == read_network("192.0.2.0/24") == (4, 0xC0000200, 24)
    assert read_network("::ffff:192.0.2.1") == read_network("192.0.2.1/32")
    held = Prefixes([("::/0", 0)]).find(np.zeros(1, np.uint64), np.array([MAPPED_LO | 5], np.uint64))
    assert held.tolist() == [NONE]


@pytest.mark.parametrize("text", [
    "", "/", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/31", "192.0.2/24", "192.0.2.0/24/24", "192.0.2.0/-1", "192.0.2.0/+24",
    "192.0.2.0/255.255.255.0", "2001:db8::/129", "2001:db8::1/64", "fe80::1%lo", "example.org", "192.0.2.1\0",
    "\uff11.0.0.0/8", "10.0.0.0/\uff18", "010.0.0.0/8",
])
def test_what_is_no_prefix_is_refused(text):
    with pytest.raises(InvalidInputError):
        read_network(text)


@pytest.mark.parametrize("same", [
    ["192.0.2.1", "192.0.2.1/32"], ["2001:db8::/64", "2001:0db8:0::/64"], ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
])
def test_the_same_prefix_twice_is_refused(same):
    with pytest.raises(InvalidInputError, match="twice"):
        Prefixes([(text, 0) for text in same])


@pytest.mark.parametrize("value", [-1, 2**31])
def test_values_have_bounds(value):
    with pytest.raises(InvalidInputError, match="value"):
        Prefixes([("10.0.0.0/8", value)])


def test_there_are_no_more_than_so_many(monkeypatch):
    monkeypatch.setattr(prefixes_module, "MOST_PREFIXES", 2)
    assert Prefixes([("10.0.0.0/8", 0), ("11.0.0.0/8", 0)]).find4(np.array([10 << 24], np.uint32)).tolist() == [0]
    with pytest.raises(InvalidInputError, match="more than"):
        Prefixes([("10.0.0.0/8", 0), ("11.0.0.0/8", 0), ("12.0.0.0/8", 0)])
