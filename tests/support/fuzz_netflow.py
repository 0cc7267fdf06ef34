"""NetFlow and IPFIX for the fuzzer: where to begin, and what must hold for whatever comes."""

from __future__ import annotations

import numpy as np

from support import netflow
from weighbridge.metering.flows.block import UNKNOWN_SAMPLER
from weighbridge.sources.netflow.decode import Decoder

MARK = b"\xfe\xed\xfa\xce"
OCTETS = 7_777_777
MIXED = ((8, 4), (82, netflow.VARIABLE), (12, 4), (1, 4), (61, 1), (10, 4), (48, 4), (21, 4))
TOLD = ([(1, 4)], [(48, 4), (50, 4)])
SOUND = netflow.v5([(1, 2, 1, OCTETS, 0, 0)])
SEEDS = tuple(MARK.join(each) for each in (
    [netflow.v5([(1, 2, 3, 4, 5, 6)] * 2, sampling=100)],
    *([
        netflow.message(version, netflow.plain(1), sequence=1),
        netflow.message(
            version, netflow.templates(version, (256, netflow.PLAIN), (257, MIXED)), netflow.plain(2),
            netflow.options_templates(version, (300, *TOLD)), sequence=2),
        netflow.message(
            version, netflow.data(300, [*TOLD[0], *TOLD[1]], (0, 7, 100)),
            netflow.data(257, MIXED, (1, b"x" * 300, 2, 3, 1, 5, 7, 6)), sequence=4),
    ] for version in (netflow.V9, netflow.IPFIX)),
))


def check(data: bytes) -> None:
    """Pieces of a datagram each, parted by MARK. Whatever they hold, the sound one behind is read."""
    datagrams = [*data.split(MARK)[:64], SOUND]
    sources = [f"192.0.2.{number % 2}" for number in range(len(datagrams) - 1)] + ["192.0.2.9"]
    decoder = Decoder()
    found = 0
    for begin in (0, 3):  # the first three in a block of their own: what they define is remembered
        part = slice(begin, begin + 3) if begin == 0 else slice(begin, None)
        if not datagrams[part]:
            continue
        decoded = decoder.decode(netflow.block(datagrams[part], sources[part]))
        assert all(many > 0 for many in decoded.counts.values())
        for each in decoded.flows:
            assert len(each.src) == len(each.dst) == len(each.octets) == len(each.packets) > 0
            assert each.octets.min() >= 0
            assert each.packets.min() >= 0
            assert np.min(each.rate) >= UNKNOWN_SAMPLER
            found += sum(each.octets == OCTETS)
    assert found >= 1, "the sound one is lost"
