"""Flow sums the naive way: record by record, end by end, in Python's integers and with the standard library's networks."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network

from weighbridge.collected import MAPPED_LO, FlowFlag
from weighbridge.domain.spread import spread
from weighbridge.measurement import MAX_AMOUNT

HOUR_US = 3_600_000_000
AHEAD_US = 300_000_000
COLUMNS = ("bytes_in", "bytes_out", "packets", "flows")


def matching(networks, address):
    """The longest of some networks that holds an address of 128 bits, IPv4 being mapped; None: none does."""
    wide = IPv6Address(address)
    ip = wide.ipv4_mapped or wide
    holding = [network for network in networks if network.version == ip.version and ip in network]
    return max(holding, key=lambda network: network.prefixlen, default=None)


def class_of(interest, address, mac, vlan):
    """1: known, 0: in a network that is kept, -1: neither."""
    if matching([ip_network(text) for text in interest.prefixes], address) is not None:
        return 1
    if (mac and mac in interest.macs) or (vlan and vlan in interest.vlans):
        return 1
    return 0 if matching([ip_network(text) for text in interest.networks], address) is not None else -1


def ends_of(block, at):
    """Address, MAC and VLAN of the source and of the destination."""
    def address(column):
        return MAPPED_LO | int(column[at]) if block.family == 4 else int(column[at][0]) << 64 | int(column[at][1])

    def told(column):
        return 0 if column is None else int(column[at])

    return (
        (address(block.src), told(block.src_mac), told(block.src_vlan)),
        (address(block.dst), told(block.dst_mac), told(block.dst_vlan)),
    )


def span_of(block, at, now_us):
    """Start, end, and whether they had to be mended."""
    start_us = end_us = block.received_us
    mended = False
    if block.start_us is not None and block.end_us is not None:
        told = int(block.start_us[at]), int(block.end_us[at])
        mended = told[1] < told[0] or any(abs(time_us - block.received_us) > HOUR_US for time_us in told)
        start_us, end_us = (start_us, end_us) if mended else told
    return min(start_us, now_us + AHEAD_US), min(end_us, now_us + AHEAD_US), mended


def amounts_of(block, at):
    """Bytes and packets, scaled up, and the flags of the rate."""
    rate = block.rate if isinstance(block.rate, int) else int(block.rate[at])
    flags = {0: FlowFlag.UNRATED, -1: FlowFlag.UNKNOWN_SAMPLER, 1: FlowFlag(0)}.get(rate, FlowFlag.ESTIMATED)
    return int(block.octets[at]) * max(rate, 1), int(block.packets[at]) * max(rate, 1), flags


def add_row(sums, key, *amounts):
    """The amounts are added to a key's."""
    held = sums.setdefault(key, [0, 0, 0, 0])
    for place, amount in enumerate(amounts):
        held[place] += amount


def naive_sums(blocks, interest, now_us):
    """What a tally should have: {(exporter, slot, hi, lo, mac, vlan, flags): [bytes_in, bytes_out, packets, flows]}."""
    sums = {}
    for block in blocks:
        for at in range(len(block.src)):
            octets, packets, flags = amounts_of(block, at)
            if max(octets, packets) > MAX_AMOUNT:
                continue
            start_us, end_us, _ = span_of(block, at, now_us)
            ends = ends_of(block, at)
            classes = [-1, -1] if interest is None else [class_of(interest, *end) for end in ends]
            lonely = max(classes) < 1
            flags |= (FlowFlag.LONELY if lonely else 0) | (FlowFlag.BLIND if interest is None else 0)
            parts = zip(spread(octets, start_us, end_us), spread(packets, start_us, end_us), strict=True)
            for number, ((slot_s, some_octets), (_, some_packets)) in enumerate(parts):
                for is_src, (address, mac, vlan), known in zip((True, False), ends, classes, strict=True):
                    if known < 0 and not lonely:
                        continue
                    all_flags = flags | (FlowFlag.SENDER if lonely and is_src else 0)
                    key = (block.exporter, slot_s // 300, address >> 64, address & 2**64 - 1, mac, vlan, int(all_flags))
                    add_row(sums, key, 0 if is_src else some_octets, some_octets if is_src else 0, some_packets, number == 0)
    return sums


def as_sums(taken):
    """FlowSums in the same shape; rows that speak of the same add up."""
    sums = {}
    for each in taken:
        for row in each.rows:
            key = (each.exporter, *(int(row[name]) for name in ("slot", "hi", "lo", "mac", "vlan", "flags")))
            add_row(sums, key, *(int(row[name]) for name in COLUMNS))
    return sums
