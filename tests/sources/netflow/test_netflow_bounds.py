"""Whatever is sent, by however many pretended exporters: no datagram raises, and memory has a bound."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import numpy as np
import pytest

from support.netflow import (
    IPFIX,
    PLAIN,
    RECEIVED_US,
    V9,
    VARIABLE,
    a_set,
    block,
    data,
    decoded,
    ipfix,
    message,
    octets_of,
    options_templates,
    plain,
    templates,
    v5,
    v9,
)
from weighbridge.sources.netflow import egress, held, streams
from weighbridge.sources.netflow.decode import Decoder
from weighbridge.sources.netflow.held import Held, HeldSet
from weighbridge.sources.netflow.streams import Key, Streams
from weighbridge.sources.netflow.templates import make_template

BLOCKS = int(os.environ.get("NETFLOW_BLOCKS", "100"))
"""Of 256 datagrams each; 4,000 are a million and take some minutes."""
GROWTH_MB = 250
"""What a decoder may grow to: 64 MiB held, 64 MiB of templates and rates, what Python adds, and a block's columns."""


def noise(chance: Random) -> list[bytes]:
    """Honest datagrams of each kind, to be damaged."""
    wide = tuple((number, 4) for number in range(1, 300))
    mixed = ((8, 4), (82, VARIABLE), (12, 4), (1, 4), (61, 1), (10, 4), (48, 4), (21, 4))
    record = (1, b"x" * 9, 2, 3, 1, 4, 5, 6)
    return [
        v5([(1, 2, 3, 4, 5, 6)] * 30),
        *(each for version in (V9, IPFIX) for each in (
            message(version, templates(version, (256, PLAIN)), plain(1, 2, 3), plain(4, set_id=257)),
            message(version, templates(version, (chance.randint(256, 65_535), wide), (300, mixed)), data(300, mixed, record)),
            message(version, options_templates(version, (400, [(1, 4)], [(48, 4), (50, 4)])),
                    data(400, [(1, 4), (48, 4), (50, 4)], *[(0, chance.getrandbits(32), 5) for _ in range(20)])),
            message(version, *[a_set(chance.randint(256, 65_535), bytes(chance.randint(0, 40))) for _ in range(10)]),
            message(version, *[plain(7, set_id=300)] * 20),
        )),
        ipfix(a_set(2, b"\x01\x00\x00\x00" * 50)),
    ]


def damaged(datagram: bytes, chance: Random) -> bytes:
    found = bytearray(datagram)
    for _ in range(chance.choice((0, 1, 1, 3))):
        found[chance.randrange(len(found))] = chance.choice((0, 1, 255, chance.getrandbits(8)))
    if datagram[1] != 5:  # another domain
        place = 16 if datagram[1] == V9 else 12
        found[place : place + 4] = chance.getrandbits(chance.choice((1, 8, 32))).to_bytes(4, "big")
    return bytes(found[: chance.choice((len(found), len(found), chance.randint(0, len(found))))])


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_memory_stays_within_its_bound_whatever_comes():
    chance = Random(4)
    kinds = noise(chance)
    decoder = Decoder()
    began_mb = 0.0
    for number in range(BLOCKS):
        sent = [damaged(chance.choice(kinds), chance) for _ in range(200)] + [chance.randbytes(60) for _ in range(56)]
        sources = [f"10.{chance.getrandbits(chance.choice((1, 16)))}" for _ in sent]
        found = decoder.decode(block(sent, sources, RECEIVED_US + number * 100_000))
        for each in found.flows:
            assert (each.octets >= 0).all()
            assert len(each.octets) == len(each.packets) == len(each.src) == len(each.dst) > 0
        if number == 4:
            began_mb = resident_mb()
    assert resident_mb() - began_mb < GROWTH_MB


def test_an_empty_block_is_fine():
    assert decoded() == ([], {})


@pytest.mark.parametrize("number", [held.HELD_SETS - 1, held.HELD_SETS, held.HELD_SETS + 5])
def test_sets_held_of_one_exporter(number):
    waiting, key = Held(), Key("192.0.2.1", V9, 0)
    for at in range(number):
        waiting.put(key, 256 + at % 3, HeldSet(b"x", at, 0, RECEIVED_US))
    kept = [each.export_us for set_id in (256, 257, 258) for each in waiting.take(key, set_id)]
    assert sorted(kept) == list(range(max(0, number - held.HELD_SETS), number))  # the newest
    assert waiting.dropped == ({} if number <= held.HELD_SETS else {"192.0.2.1": number - held.HELD_SETS})


def test_bytes_held_of_one_and_of_all_exporters(monkeypatch):
    size = 1_000 + held.SET_BYTES
    monkeypatch.setattr(held, "HELD_BYTES", 10 * size)
    monkeypatch.setattr(held, "ALL_BYTES", 25 * size)
    waiting = Held()
    keys = [Key(f"192.0.2.{last}", V9, 0) for last in range(4)]
    for key in keys:
        for _ in range(12):
            waiting.put(key, 256, HeldSet(bytes(1_000), 0, 0, RECEIVED_US))
    assert [len(waiting.take(key, 256)) for key in keys] == [10, 10, 5, 0]
    assert waiting.dropped == {"192.0.2.0": 2, "192.0.2.1": 2, "192.0.2.2": 7, "192.0.2.3": 12}
    waiting.put(keys[3], 256, HeldSet(bytes(1_000), 0, 0, RECEIVED_US))
    assert len(waiting.take(keys[3], 256)) == 1


def test_templates_of_one_domain():
    decoder = Decoder()
    sets = [templates(V9, (number, PLAIN)) for number in range(256, 256 + streams.MAX_TEMPLATES + 3)]
    for begin in range(0, len(sets), 100):
        counts = decoded(v9(*sets[begin : begin + 100], sequence=begin // 100), decoder=decoder)[1]
    assert counts == {"too_many_templates": 3}
    again = decoded(v9(sets[5], plain(1, set_id=261), sequence=99), decoder=decoder)  # those that are known may be told again
    assert octets_of(again[0]) == [1]


def test_domains_heard_of_longest_ago_are_forgotten_first(monkeypatch):
    monkeypatch.setattr(streams, "MAX_STREAMS", 3)
    known = Streams()
    keys = [Key("192.0.2.1", V9, number) for number in range(5)]
    for key in (*keys[:3], keys[0], *keys[3:]):
        known.heard_of(key)
    assert [stream.key for stream in known] == [keys[0], *keys[3:]]


def test_templates_and_rates_of_all_domains_have_a_bound(monkeypatch):
    monkeypatch.setattr(streams, "MAX_BYTES", 10_000)
    known, template = Streams(), make_template((8, 4), (12, 4), (1, 4))
    for number in range(1_000):
        stream = known.heard_of(Key("192.0.2.1", V9, number))
        stream.define(256, template)
        stream.rate("sampler", 1, 10)
        known.weigh(stream)
        stream.forget(257)
    kept = list(known)
    assert kept[-1].key.domain == 999
    assert sum(stream.bytes for stream in kept) <= 10_000
    assert len(kept) == 10_000 // kept[0].bytes


def test_rates_of_one_domain(monkeypatch):
    monkeypatch.setattr(streams, "MAX_RATES", 2)
    fields = [(1, 4), (48, 4), (50, 4)]
    rates = data(300, fields, *((0, number, 5) for number in range(4)))
    sent = v9(options_templates(V9, (300, fields[:1], fields[1:])), rates)
    assert decoded(sent)[1] == {"too_many_rates": 2}


def test_interfaces_that_are_noted_have_a_bound(monkeypatch):
    monkeypatch.setattr(egress, "MAX_NOTES", 10)
    monkeypatch.setattr(egress, "MAX_PORTS", 6)
    twins = egress.Twins()
    for exporter in ("a", "b", "c"):
        for port in range(9):
            twins.note(exporter, port, RECEIVED_US)
    assert {exporter: len(ports) for exporter, ports in twins.seen().items()} == {"c": 6}


def test_records_of_variable_length_in_one_set():
    fields = ((58, 1), (1, 1), (82, VARIABLE))
    sent = ipfix(templates(IPFIX, (256, fields)), data(256, fields, *[(1, 1, b"")] * 600))
    flows, counts = decoded(sent)
    assert (len(flows), counts) == (512, {"malformed_records": 1})
    assert np.sum(octets_of(flows)) == 512
