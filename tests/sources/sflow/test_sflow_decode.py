"""sFlow 5: hand-made datagrams by case, and any truthful one against a naive reader."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import sflow
from support.sflow import Packet
from weighbridge.collected import CounterReading, Thing, ThingKind
from weighbridge.datagrams.block import Datagrams
from weighbridge.metering.flows.block import UNRATED
from weighbridge.sources.sflow.decode import Decoder
from weighbridge.sources.sflow.walk import MAX_SAMPLES

NOW_US = 1_700_000_000_000_000
EDGE = "192.0.2.1"
WEB, USER = "198.51.100.10", "203.0.113.77"
MAC_1, MAC_2 = 0x020000000001, 0x020000000002


def block_of(datagrams, source=EDGE):
    """The datagrams as a listener hands them over, each on a word of its own, with rubbish between."""
    octets, starts = bytearray(), []
    for data in datagrams:
        starts.append(len(octets))
        octets += data + b"\xff" * (-len(data) % 4) + b"\xff" * 8
    lengths = [len(data) for data in datagrams]
    return Datagrams(np.frombuffer(bytes(octets), dtype=np.uint8), np.array(starts, dtype=np.int64),
                     np.array(lengths, dtype=np.int64), [source] * len(datagrams), NOW_US)


def decode(*datagrams, decoder=None):
    return (decoder or Decoder()).decode(block_of(datagrams))


def text_of(value, family):
    return str(IPv4Address(int(value))) if family == 4 else str(IPv6Address(int(value[0]) << 64 | int(value[1])))


def packets_of(decoded):
    """What the blocks say, one packet each."""
    found = []
    for block in decoded.flows:
        for at in range(len(block.octets)):
            vlans = (0, 0) if block.src_vlan is None else (int(block.src_vlan[at]), int(block.dst_vlan[at]))
            found.append(Packet(
                text_of(block.src[at], block.family), text_of(block.dst[at], block.family), int(block.octets[at]),
                int(block.rate[at]), (int(block.src_mac[at]), int(block.dst_mac[at])), vlans,
            ))
    return found


def raw(src=WEB, dst=USER, length=1000, **frame):
    return sflow.header_record(sflow.frame(sflow.ip(src, dst, length), **frame))


PLAIN = Packet(WEB, USER, 1000, 1, (MAC_1, MAC_2))


@pytest.mark.parametrize(("sample", "expected"), [
    (sflow.flow_sample(raw()), PLAIN),
    (sflow.flow_sample(raw(), expanded=True, rate=512), Packet(WEB, USER, 1000, 512, (MAC_1, MAC_2))),
    (sflow.flow_sample(raw(), rate=0), Packet(WEB, USER, 1000, UNRATED, (MAC_1, MAC_2))),
    (sflow.flow_sample(raw("2001:db8::1", "2001:db8::2", 1400)),
     Packet("2001:db8::1", "2001:db8::2", 1400, 1, (MAC_1, MAC_2))),
    (sflow.flow_sample(raw(vlans=(120,))), PLAIN),
    (sflow.flow_sample(raw(vlans=(120, 7))), PLAIN),
    (sflow.flow_sample(raw(vlans=(120,)), sflow.switch_record(120, 130)),
     Packet(WEB, USER, 1000, 1, (MAC_1, MAC_2), (120, 130))),
    (sflow.flow_sample(raw(), sflow.switch_record(120, 0)), Packet(WEB, USER, 1000, 1, (MAC_1, MAC_2), (120, 0))),
    (sflow.flow_sample(sflow.header_record(sflow.ip(WEB, USER, 700), protocol=11)), Packet(WEB, USER, 700, 1)),
    (sflow.flow_sample(sflow.header_record(sflow.ip("2001:db8::1", "2001:db8::2", 700), protocol=12)),
     Packet("2001:db8::1", "2001:db8::2", 700, 1)),
    (sflow.flow_sample(sflow.ip_record(WEB, USER, 900)), Packet(WEB, USER, 900, 1)),
    (sflow.flow_sample(sflow.ip_record("2001:db8::1", "2001:db8::2", 901),
                       sflow.ethernet_record(919, "02:00:00:00:00:01", "02:00:00:00:00:02")),
     Packet("2001:db8::1", "2001:db8::2", 901, 1, (MAC_1, MAC_2))),
    (sflow.flow_sample(sflow.record(4242, bytes(12)), sflow.record(1 << 12 | 1, bytes(8)), raw()), PLAIN),
    (sflow.flow_sample(raw(), count=9), PLAIN),
    # A header that lies about its own length, or is cut where the addresses stand: the decoded record has them.
    (sflow.flow_sample(sflow.header_record(sflow.frame(sflow.ip(WEB, USER, 800)), told=10**9)),
     Packet(WEB, USER, 800, 1, (MAC_1, MAC_2))),
    (sflow.flow_sample(sflow.header_record(sflow.frame(sflow.ip(WEB, USER, 800))[:30]), sflow.ip_record(WEB, USER, 800)),
     Packet(WEB, USER, 800, 1, (MAC_1, MAC_2))),
    # Segmentation left to the hardware: the IP header tells no length, the agent does (a frame of 14 + 1000 + 4).
    (sflow.flow_sample(sflow.header_record(sflow.frame(sflow.ip(WEB, USER, 0)), frame_length=1014)),
     Packet(WEB, USER, 1000, 1, (MAC_1, MAC_2))),
])
def test_a_sample_becomes_a_packet(sample, expected):
    assert packets_of(decode(sflow.datagram(sample))) == [expected]


def test_several_samples_datagrams_and_agents_in_one_block():
    decoded = decode(
        sflow.datagram(sflow.flow_sample(raw(length=100)), sflow.flow_sample(raw(USER, WEB, 200)), sequence=1),
        sflow.datagram(sflow.flow_sample(raw(length=300)), agent="2001:db8::9", sequence=5),
        sflow.datagram(sflow.flow_sample(raw(length=400)), sequence=2),
    )
    assert {block.exporter: block.octets.tolist() for block in decoded.flows} == {
        EDGE: [100, 200, 400], "2001:db8::9": [300]
    }
    assert decoded.counts[EDGE, "datagrams"] == 2
    assert decoded.counts[EDGE, "samples"] == 3


@pytest.mark.parametrize(("sample", "why"), [
    (sflow.flow_sample(raw(), outward=0, out_format=1), "not_forwarded"),
    (sflow.flow_sample(raw(), outward=258, out_format=1, expanded=True), "not_forwarded"),
    (sflow.flow_sample(sflow.header_record(sflow.frame(b"\0" * 46, kind=0x0806))), "not_ip"),
    (sflow.flow_sample(), "not_ip"),
])
def test_what_does_not_count_is_counted_by_its_reason(sample, why):
    decoded = decode(sflow.datagram(sample))
    assert decoded.flows == []
    assert decoded.counts[EDGE, why] == 1


def test_a_packet_sampled_where_it_comes_in_and_where_it_goes_out_counts_once():
    comes_in = sflow.flow_sample(raw(length=100), source=1, inward=1, outward=2)
    goes_out = sflow.flow_sample(raw(length=100), source=2, inward=1, outward=2)
    decoder = Decoder()
    first = decode(sflow.datagram(goes_out), decoder=decoder)
    assert [packet.length for packet in packets_of(first)] == [100]  # port 1 is not known to sample
    both = decode(sflow.datagram(comes_in, goes_out, sequence=2), decoder=decoder)
    assert [packet.length for packet in packets_of(both)] == [100]
    assert both.counts[EDGE, "seen_twice"] == 1
    from_elsewhere = sflow.flow_sample(raw(length=300), source=2, inward=9, outward=2)
    third = decode(sflow.datagram(from_elsewhere, sequence=3), decoder=decoder)
    assert [packet.length for packet in packets_of(third)] == [300]


def test_a_host_samples_both_ways_of_its_one_port():
    own = 0x3FFFFFFF
    decoded = decode(sflow.datagram(
        sflow.flow_sample(raw(USER, WEB, 100), source=2, inward=2, outward=own),
        sflow.flow_sample(raw(WEB, USER, 200), source=2, inward=own, outward=2),
    ))
    assert [packet.length for packet in packets_of(decoded)] == [100, 200]


def test_counters_of_ports():
    generic = sflow.interface_record(3, 5_000_000_000, 7)
    named = sflow.interface_record(4, 2**64 - 1, 9, speed_bps=0)
    decoded = decode(sflow.datagram(
        sflow.counter_sample(generic), sflow.counter_sample(named, sflow.name_record("swp4"), expanded=True),
        sflow.flow_sample(raw()), sflow.counter_sample(sflow.record(2, bytes(52))),
    ))
    assert decoded.readings == [
        CounterReading(thing=Thing(ThingKind.INTERFACE, EDGE, "3"), at_us=NOW_US, bytes_in=5_000_000_000, bytes_out=7,
                       line_rate_bps=10**9),
        CounterReading(thing=Thing(ThingKind.INTERFACE, EDGE, "swp4"), at_us=NOW_US, bytes_in=None, bytes_out=9),
    ]
    assert [packet.length for packet in packets_of(decoded)] == [1000]


WHOLE = sflow.datagram(*[sflow.flow_sample(raw(length=length)) for length in (100, 200, 300)])


@pytest.mark.parametrize("size", range(0, len(WHOLE), 4))
def test_of_a_datagram_that_is_cut_off_the_whole_samples_count(size):
    decoded = decode(WHOLE[:size])
    one = (len(WHOLE) - 28) // 3
    assert [packet.length for packet in packets_of(decoded)] == [100, 200, 300][: max(size - 28, 0) // one]
    assert decoded.counts[EDGE, "truncated"] == 1


@pytest.mark.parametrize(("data", "why"), [
    (b"", "truncated"),
    (sflow.datagram(version=4), "not_sflow_5"),
    (b"\0\5\0\1" + bytes(60), "not_sflow_5"),
    (sflow.datagram(sflow.record(1, bytes(8))[:-2] + b"\0\0"), "truncated"),
    (sflow.datagram(count=2**32 - 1), "truncated"),
    (sflow.datagram(b"\0\0\0\1" + b"\xff\xff\xff\xfc" + bytes(64)), "truncated"),
    (sflow.datagram(*[sflow.record(99, b"")] * (MAX_SAMPLES + 1)), "too_many_samples"),
    (sflow.datagram(sflow.flow_sample(*[sflow.record(99, b"")] * 40)), "truncated"),
])
def test_datagrams_that_lie(data, why):
    decoded = decode(data)
    assert decoded.flows == []
    assert decoded.counts[EDGE, why] == 1


@pytest.mark.parametrize(("heard", "lost", "late"), [
    ([(1, 1000), (2, 2000), (3, 3000)], 0, 0),
    ([(1, 1000), (4, 2000)], 2, 0),
    ([(1, 1000), (4, 4000), (2, 2000), (5, 5000)], 2, 1),
    ([(900, 90_000), (1, 100), (2, 200)], 0, 0),              # a restart
    ([(2**32 - 1, 1000), (1, 2000)], 1, 0),                   # the number wraps: 0 is missing
    ([(1, 1000), (1_000_000, 2000), (1_000_001, 3000)], 0, 0),  # another counting
])
def test_gaps_in_the_sequence(heard, lost, late):
    decoded = decode(*[sflow.datagram(sequence=sequence, uptime_ms=uptime_ms) for sequence, uptime_ms in heard])
    assert decoded.counts[EDGE, "lost_datagrams"] == lost
    assert decoded.counts[EDGE, "out_of_order"] == late


ENDS = st.one_of(
    st.tuples(*[st.ip_addresses(v=4).map(str)] * 2), st.tuples(*[st.ip_addresses(v=6).map(str)] * 2),
)
MACS = st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))


@st.composite
def records(draw):
    src, dst = draw(ENDS)
    packet = sflow.ip(src, dst, draw(st.integers(48, 9000)))
    kinds = {
        "framed": st.builds(lambda src_mac, dst_mac, vlans: sflow.header_record(
            sflow.frame(packet, src_mac, dst_mac, vlans)), MACS, MACS, st.sampled_from([(), (5,), (4094, 7)])),
        "bare": st.just(sflow.header_record(packet, protocol=12 if ":" in src else 11)),
        "decoded": st.just(sflow.ip_record(src, dst, draw(st.integers(0, 70_000)))),
        "ethernet": st.builds(sflow.ethernet_record, st.integers(0, 9000), MACS, MACS),
        "switch": st.builds(sflow.switch_record, st.integers(0, 4094), st.integers(0, 4094)),
        "unknown": st.builds(lambda body: sflow.record(77, sflow.xdr(body)), st.binary(max_size=20)),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), max_size=4, unique=True))
    if {"framed", "bare"} <= set(chosen):
        chosen.remove("bare")
    return [draw(kinds[kind]) for kind in chosen]


FLOWS = st.builds(
    lambda parts, rate, expanded: sflow.flow_sample(*parts, rate=rate, expanded=expanded),
    records(), st.integers(1, 2**31), st.booleans(),
)
PORTS = st.builds(
    lambda index, inward, outward, name, expanded: sflow.counter_sample(
        *[sflow.interface_record(index, inward, outward), *([sflow.name_record(name)] if name else [])], expanded=expanded),
    st.integers(1, 2**31), st.integers(0, 2**64 - 2), st.integers(0, 2**64 - 2), st.sampled_from(["", "eth0", "ge-0/0/1"]),
    st.booleans(),
)
OTHERS = st.builds(lambda body: sflow.record(5, sflow.xdr(body)), st.binary(max_size=40))


@given(st.lists(st.lists(st.one_of(FLOWS, PORTS, OTHERS), max_size=6), min_size=1, max_size=4))
def test_any_truthful_datagrams_say_what_the_naive_reader_reads(contents):
    datagrams = [sflow.datagram(*samples, sequence=at) for at, samples in enumerate(contents, 1)]
    decoded = decode(*datagrams)
    naive = [sflow.read_naively(data) for data in datagrams]
    assert Counter(packets_of(decoded)) == Counter(packet for read in naive for packet in read.packets)
    assert Counter((r.thing.name, r.bytes_in, r.bytes_out) for r in decoded.readings) == Counter(
        counter for read in naive for counter in read.counters
    )
    assert not any(what in {"truncated", "too_many_samples", "not_sflow_5"} for _, what in decoded.counts)


CHANGES = st.tuples(st.integers(0, 4000), st.integers(0, 255))


@given(st.lists(st.binary(max_size=200), max_size=4), st.lists(CHANGES, max_size=8))
def test_no_rubbish_breaks_it_or_its_neighbours(rubbish, changes):
    spoilt = bytearray(WHOLE)
    for at, octet in changes:
        spoilt[at % len(spoilt)] = octet
    decoded = decode(*rubbish, bytes(spoilt), sflow.datagram(sflow.flow_sample(raw(length=777)), agent="192.0.2.99"))
    assert [block.octets.tolist() for block in decoded.flows if block.exporter == "192.0.2.99"] == [[777]]
