"""What agents send: whatever a collector brings in comes out as it went in; what is none is refused."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.collected import AGENT, COLLECTED, plain, together
from weighbridge.collected import FLOW_SUM, Collected, CounterReading, FlowSums, Thing, ThingKind
from weighbridge.spool import wire
from weighbridge.spool.wire import UnreadableError, decode, encode, portions

BODY = {
    "version": 1, "agent": AGENT, "number": 7, "source": "snmp",
    "readings": [{"kind": "interface", "device": "tor-1", "name": "ge-0/0/1", "at_us": 1_765_728_000_000_000, "bytes_in": 1,
                  "bytes_out": None}],
    "flows": [{
        "exporter": "192.0.2.1", "slot": [5_885_760, 5_885_761], "address": ["192.0.2.10", "2001:db8::1"],
        "mac": [None, "02:00:00:00:00:0a"], "vlan": [0, 100], "flags": [0, 1], "bytes_in": [1, 2], "bytes_out": [3, 4],
        "packets": [5, 6], "flows": [7, 8],
    }],
    "counts": [["192.0.2.1", "datagrams", 3]],
}


@settings(max_examples=200)
@given(COLLECTED, st.integers(1, 2**62))
def test_what_is_sent_is_what_is_read(collected, number):
    sent = decode(gzip.decompress(encode(collected, AGENT, number)))
    assert (sent.id, sent.agent, sent.number) == (f"{AGENT}/{number}", AGENT, number)
    assert plain(sent.collected) == plain(collected)


@settings(max_examples=100, deadline=None)
@given(COLLECTED)
def test_portions_are_the_whole_in_pieces_that_fit(collected):
    parts = portions(collected)
    assert parts
    assert together(parts) == together([collected])


def test_portions_are_small_enough_at_the_worst():
    worst = "\x01" * 255  # six bytes each in JSON
    readings = [
        CounterReading(thing=Thing(ThingKind.TUNNEL, worst, worst), at_us=10**17, bytes_in=2**64 - 1, bytes_out=2**64 - 1,
                       counter=worst, since_us=10**17, line_rate_bps=2**62, is_whole=True)
        for _ in range(2_500)
    ]
    rows = np.zeros(30_000, FLOW_SUM)
    rows["hi"] = rows["lo"] = 2**64 - 1
    rows["mac"], rows["slot"], rows["vlan"], rows["flags"] = 2**48 - 1, -(2**31), 2**16 - 1, 255
    for name in ("bytes_in", "bytes_out", "packets", "flows"):
        rows[name] = 2**63 - 1
    flows = [FlowSums("x" * 64, rows), *(FlowSums(f"{n:064}", rows[:1]) for n in range(2_500))]
    counts = {(worst, f"{n:255}"): 2**63 - 1 for n in range(2_500)}
    parts = portions(Collected("snmp", readings, flows, counts))
    assert [len(part.readings) for part in parts] == [1_000, 1_000, 500, 0]
    assert [sum(len(sums.rows) for sums in part.flows) for part in parts] == [25_000, 5_999, 1_000, 501]
    sizes = [len(gzip.decompress(encode(part, AGENT, 1))) for part in parts]
    assert max(sizes) < 14_000_000
    assert sum(part.counts.get((worst, f"{0:255}"), 0) for part in parts) == 2**63 - 1


def test_a_body_reads_as_it_is_documented():
    collected = decode(json.dumps(BODY).encode()).collected
    (reading,) = collected.readings
    assert (reading.thing, reading.bytes_in, reading.bytes_out, reading.bits) == (
        Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/1"), 1, None, 64)
    rows = collected.flows[0].rows
    assert rows["lo"].tolist() == [0xFFFF << 32 | 0xC000020A, 1]
    assert rows["hi"].tolist() == [0, 0x20010DB8 << 32]
    assert rows["mac"].tolist() == [0, 0x02000000000A]
    assert collected.counts == {("192.0.2.1", "datagrams"): 3}


def test_an_empty_body_is_one():
    sent = decode(json.dumps({name: BODY[name] for name in ("version", "agent", "number", "source")}).encode())
    assert plain(sent.collected) == ("snmp", [], [], {})


def changed(**fields):
    return {**BODY, **fields}


def reading(**fields):
    return changed(readings=[{**BODY["readings"][0], **fields}])


def flows(**fields):
    return changed(flows=[{**BODY["flows"][0], **fields}])


@pytest.mark.parametrize(("body", "told"), [
    (changed(version=2), "this server is older than the agent; update it"),
    (changed(version=0), "version"),
    (changed(version="1"), "version"),
    (changed(agent="x"), "agent"),
    (changed(agent=AGENT.upper()), "agent"),
    (changed(number=0), "number"),
    (changed(number=2**62 + 1), "number"),
    (changed(source="../x"), "source"),
    (changed(colour="red"), "unknown field"),
    (reading(kind="peer"), "kind"),
    (reading(device=""), "device"),
    (reading(device="x" * 256), "device"),
    (reading(bytes_in=-1), "bytes_in"),
    (reading(bytes_in=2**64), ""),
    (reading(at_us=-1), "at_us"),
    (reading(at_us=2**62), "at_us"),
    (reading(bits=16), "bits"),
    (flows(slot=[1]), "not of one length"),
    (flows(slot=[2**31, 0]), "slot"),
    (flows(address=["192.0.2.10", "x.y"]), "'x.y' is no address"),
    (flows(address=["192.0.2.10", "1::2::3"]), "is no address"),
    (flows(address=["192.0.2.10", "192.0.2.999"]), "is no address"),
    (flows(mac=[None, "02-00-00-00-00-0a"]), "mac"),
    (flows(mac=[None, "02:00:00:00:00:0A"]), "mac"),
    (flows(vlan=[0, 65536]), "vlan"),
    (flows(flags=[0, 256]), "flags"),
    (flows(bytes_in=[0, -1]), "bytes_in"),
    (flows(bytes_in=[0, 2**63]), "bytes_in"),
    (flows(exporter="x" * 65), "exporter"),
    (changed(counts=[["a", "b", -1]]), "counts"),
    ([], ""),
])
def test_other_bodies_are_refused_with_the_place(body, told):
    with pytest.raises(UnreadableError) as caught:
        decode(json.dumps(body).encode())
    assert told in str(caught.value)


DEEP = b'{"colour":' + b"[" * 100_000  # wrong at its first field, and too deep behind it


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"version":1', b'{"source":"\xff"}', DEEP])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(UnreadableError):
        decode(body)


def test_there_is_a_bound_on_rows(monkeypatch):
    monkeypatch.setattr(wire, "MAX_ROWS", 1)
    with pytest.raises(UnreadableError, match="more than 1 rows"):
        decode(json.dumps(BODY).encode())
