"""Laws 21 and 22: from records to usage, sampled flows count by their rate once, and each flow at one metering point."""

from __future__ import annotations

import ipaddress
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from support.flows import NOON, NOON_S, FlowNetwork
from weighbridge.collected import FlowFlag
from weighbridge.metering.flows.block import UNKNOWN_SAMPLER, UNRATED, FlowBlock
from weighbridge.metering.flows.interest import Interest
from weighbridge.metering.flows.tally import FlowTally

SERVERS = {"192.0.2.10": "sv_0", "192.0.2.11": "sv_1", "192.0.2.12": "sv_2"}
STRANGERS = ("203.0.113.1", "203.0.113.2")
EXPORTERS = {"198.51.100.1": "edge-1", "198.51.100.2": "edge-2"}
ENDS = st.sampled_from((*SERVERS, *STRANGERS))
RATES = st.sampled_from([1, 7, 1000, UNRATED, UNKNOWN_SAMPLER])
RECORDS = st.lists(st.tuples(ENDS, ENDS, st.integers(0, 10**6), RATES), min_size=1, max_size=20)


def block_of(exporter, records):
    """What a protocol decodes to."""
    columns = list(zip(*records, strict=True))
    src, dst = (np.array([int(ipaddress.ip_address(end)) for end in column], "u4") for column in columns[:2])
    octets, rates = (np.array(column, "i8") for column in columns[2:])
    packets = np.ones(len(records), "i8")
    return FlowBlock(exporter, 4, NOON_S * 1_000_000, src, dst, octets, packets, rate=rates)


def bring(network, blocks, *, is_told):
    """The records go through a tally, which knows the addresses or is blind, and its sums to the desk."""
    interest = Interest(tuple(f"{address}/32" for address in SERVERS)) if is_told else None
    tally = FlowTally(lambda: interest, network.clock.now_us)
    network.clock.at_us = NOON_S * 1_000_000
    tally.add(blocks)
    network.take(*tally.take())


@settings(max_examples=30, deadline=None)
@given(RECORDS, st.none() | st.sampled_from([1, 50]), st.booleans())
def test_law_21_a_rate_multiplies_once(records, setting, is_told):
    expected: Counter[tuple[str, int]] = Counter()
    sampled, refused = set(), 0
    for src, dst, octets, rate in records:
        told = rate if rate > 0 else setting
        if told is None and rate == UNKNOWN_SAMPLER:
            known = [end for end in (src, dst) if end in SERVERS]
            refused += octets * (len(known) if known and is_told else 2)
            continue
        for end, way in ((src, 1), (dst, 0)):
            if end in SERVERS:
                expected[SERVERS[end], way] += octets * (told or 1)
                sampled |= {SERVERS[end]} if (told or 1) > 1 else set()
    with tempfile.TemporaryDirectory() as folder:
        network = FlowNetwork(Path(folder))
        try:
            network.declare("edge-1", "198.51.100.1", setting)
            for address, server in SERVERS.items():
                network.know(server, address)
            bring(network, [block_of("198.51.100.1", records)], is_told=is_told)
            assert network.totals() == {
                server: (expected[server, 0], expected[server, 1]) for server in SERVERS.values()
                if expected[server, 0] or expected[server, 1]}
            assert network.counts("unknown_sampler_bytes") == refused
            assert {server for server in network.totals() if network.estimated(server)} <= sampled
            assert all(network.estimated(server) == {NOON} for server in sampled & set(network.totals()))
            flags = [int(row["flags"]) for pile in network.store.read(0, NOON_S + 300) for row in pile.rows]
            assert not any(each & (FlowFlag.UNRATED | FlowFlag.UNKNOWN_SAMPLER) for each in flags)
        finally:
            network.close()


SEEN = st.lists(
    st.tuples(ENDS, ENDS, st.integers(1, 10**6), st.sets(st.sampled_from(sorted(EXPORTERS)), min_size=1)),
    min_size=1, max_size=12)
POINTS = st.dictionaries(st.sampled_from(sorted(SERVERS.values())), st.sampled_from(sorted(EXPORTERS.values())))


@settings(max_examples=30, deadline=None)
@given(SEEN, POINTS, st.booleans())
def test_law_22_a_flow_counts_at_the_metering_point(flows, points, is_told):
    expected: Counter[tuple[str, int]] = Counter()
    elsewhere = 0
    for src, dst, octets, seen_by in flows:
        for end, way in ((src, 1), (dst, 0)):
            for exporter in seen_by if end in SERVERS else ():
                if points.get(SERVERS[end], EXPORTERS[exporter]) == EXPORTERS[exporter]:
                    expected[SERVERS[end], way] += octets
                else:
                    elsewhere += octets
    with tempfile.TemporaryDirectory() as folder:
        network = FlowNetwork(Path(folder))
        try:
            for address, name in EXPORTERS.items():
                network.declare(name, address)
            for address, server in SERVERS.items():
                network.know(server, address, exporter=points.get(server))
            for exporter in EXPORTERS:
                records = [(src, dst, octets, 1) for src, dst, octets, seen_by in flows if exporter in seen_by]
                if records:
                    bring(network, [block_of(exporter, records)], is_told=is_told)
            assert network.totals() == {
                server: (expected[server, 0], expected[server, 1]) for server in SERVERS.values()
                if expected[server, 0] or expected[server, 1]}
            assert network.counts("elsewhere_bytes") == elsewhere
        finally:
            network.close()
