"""Fuzzed: bodies of agents, and interests as agents read them."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress

from weighbridge.metering.flows import interest_wire
from weighbridge.spool import wire

COLLECTED = json.dumps({
    "version": 1, "agent": "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10", "number": 7, "source": "snmp",
    "readings": [{"kind": "host", "device": "sv_1", "at_us": 1_765_728_000_000_000, "bytes_in": 1, "bytes_out": None,
                  "counter": "eth0", "bits": 32, "since_us": 1, "line_rate_bps": 10**9, "is_whole": True}],
    "flows": [{
        "exporter": "192.0.2.1", "slot": [1, 2], "address": ["192.0.2.10", "2001:db8::1"], "mac": [None, "02:00:00:00:00:0a"],
        "vlan": [0, 100], "flags": [0, 1], "bytes_in": [1, 2], "bytes_out": [3, 4], "packets": [5, 6], "flows": [7, 8],
    }],
    "counts": [["192.0.2.1", "datagrams", 3]],
}).encode()
INTEREST = b'{"version":1,"prefixes":["192.0.2.10/32","2001:db8::/64"],"macs":["02:00:00:00:00:0a"],"vlans":[7],"networks":[]}'


def collected(data: bytes) -> None:
    """What is taken is within all bounds, and says the same when it is written again."""
    with suppress(wire.UnreadableError):
        sent = wire.decode(data)
        assert len(sent.collected.readings) <= wire.MAX_READINGS
        assert sum(len(sums.rows) for sums in sent.collected.flows) <= wire.MAX_ROWS
        for sums in sent.collected.flows:
            assert all((sums.rows[name] >= 0).all() for name in ("bytes_in", "bytes_out", "packets", "flows"))
        again = wire.decode(gzip.decompress(wire.encode(sent.collected, sent.agent, sent.number)))
        assert (again.id, again.collected.source) == (sent.id, sent.collected.source)
        assert again.collected.readings == sent.collected.readings
        assert again.collected.counts == sent.collected.counts
        for one, other in zip(again.collected.flows, sent.collected.flows, strict=True):
            assert (one.exporter, one.rows.tolist()) == (other.exporter, other.rows.tolist())


def interest(data: bytes) -> None:
    with suppress(interest_wire.UnreadableError):
        found = interest_wire.read_interest(data)
        assert interest_wire.read_interest(interest_wire.write_interest(found)) == found
