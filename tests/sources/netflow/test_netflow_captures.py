"""What softflowd 1.1.0 sent of a capture (record.py): its bytes by address are the capture's own."""

from __future__ import annotations

import json
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from support.netflow import Referee, block, flows_of, read_capture
from weighbridge.sources.netflow.decode import Decoder

FOLDER = Path(__file__).parent / "captures"
EXPECTED = json.loads((FOLDER / "expected.json").read_text("utf-8"))
SIX = {address for address in EXPECTED if ":" in address}


def address_of(number: int, family: int) -> str:
    return str(ip_address(number.to_bytes(4 if family == 4 else 16, "big")))


@pytest.mark.parametrize("at_once", [1, 7, 256])
@pytest.mark.parametrize("name", ["v5", "v9", "ipfix", "ipfix_two_way", "ipfix_nano", "v9_ether"])
def test_the_bytes_of_a_real_exporter_are_the_captures_own(name, at_once):
    datagrams = read_capture(FOLDER / f"{name}.bin")
    decoder, moved, counts, flows = Decoder(), Counter(), Counter(), []
    for begin in range(0, len(datagrams), at_once):
        decoded = decoder.decode(block(datagrams[begin : begin + at_once]))
        flows += flows_of(decoded)
        counts.update({what: many for (_, what), many in decoded.counts.items()})
    for flow in flows:
        moved[address_of(flow.src, flow.family), "out"] += flow.octets
        moved[address_of(flow.dst, flow.family), "in"] += flow.octets
    expected = {address: tuple(amounts) for address, amounts in EXPECTED.items() if name != "v5" or address not in SIX}
    assert {address: (moved[address, "in"], moved[address, "out"]) for address in expected} == expected
    assert counts == {"datagrams": len(datagrams), "records": len(flows)}  # nothing lost, nothing left out
    assert all(flow.start_us <= flow.end_us for flow in flows)
    assert {flow.rate for flow in flows} == ({0} if name == "v5" else {1})
    assert {(flow.src_mac, flow.dst_mac) for flow in flows} == ({(2**41 + 1, 2**41 + 2)} if name == "v9_ether" else {(0, 0)})


@pytest.mark.parametrize("name", ["v5", "v9", "ipfix"])
def test_the_referee_reads_them_the_same(name):
    datagrams = read_capture(FOLDER / f"{name}.bin")
    referee = Referee()
    for datagram in datagrams:
        referee.read("192.0.2.254", datagram)
    assert Counter(flows_of(Decoder().decode(block(datagrams)))) == Counter(referee.flows)
