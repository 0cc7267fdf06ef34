"""Whatever a collector may bring in, for hypothesis; and how two of them compare."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from weighbridge.collected import FLOW_SUM, Collected, CounterReading, FlowSums, Thing, ThingKind

AGENT = "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=255)
SOME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255)
AMOUNTS = st.integers(0, 2**63 - 1)
INSTANTS_US = st.integers(0, 253_402_300_799_999_999)
HALVES = st.one_of(
    st.tuples(st.just(0), st.integers(0, 2**32 - 1).map(lambda v4: 0xFFFF << 32 | v4)),
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(0), st.integers(0, 2**34)),  # what looks like IPv4 and is none
)
READINGS = st.builds(
    CounterReading,
    thing=st.builds(Thing, st.sampled_from(ThingKind), SOME, TEXTS),
    at_us=INSTANTS_US,
    bytes_in=st.none() | st.integers(0, 2**64 - 1),
    bytes_out=st.none() | st.integers(0, 2**64 - 1),
    counter=TEXTS,
    bits=st.sampled_from([32, 64]),
    since_us=st.none() | INSTANTS_US,
    line_rate_bps=st.none() | AMOUNTS,
    is_whole=st.booleans(),
)


@st.composite
def flow_sums(draw, max_rows: int = 8) -> FlowSums:
    rows = np.zeros(draw(st.integers(0, max_rows)), FLOW_SUM)
    for row in rows:
        row["slot"] = draw(st.integers(-(2**31), 2**31 - 1))
        row["hi"], row["lo"] = draw(HALVES)
        row["mac"] = draw(st.just(0) | st.integers(0, 2**48 - 1))
        row["vlan"] = draw(st.integers(0, 2**16 - 1))
        row["flags"] = draw(st.integers(0, 255))
        for name in ("bytes_in", "bytes_out", "packets", "flows"):
            row[name] = draw(AMOUNTS)
    exporter = draw(st.sampled_from(["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]))
    return FlowSums(exporter, rows)


COLLECTED = st.builds(
    Collected,
    source=st.sampled_from(["snmp", "netflow", "host", "remote_write"]),
    readings=st.lists(READINGS, max_size=5),
    flows=st.lists(flow_sums(), max_size=4),
    counts=st.dictionaries(st.tuples(TEXTS, SOME), AMOUNTS, max_size=5),
)


def plain(collected: Collected) -> tuple:
    """What compares by value."""
    flows = [(sums.exporter, sums.rows.tolist()) for sums in collected.flows]
    return collected.source, list(collected.readings), flows, dict(collected.counts)


def together(parts: list[Collected]) -> tuple:
    """The parts as one: flows by exporter, in order."""
    flows: dict[str, list] = {}
    for part in parts:
        for sums in (sums for sums in part.flows if len(sums.rows)):
            flows.setdefault(sums.exporter, []).extend(sums.rows.tolist())
    readings = [reading for part in parts for reading in part.readings]
    counts = {key: count for part in parts for key, count in part.counts.items()}
    return {part.source for part in parts}, readings, flows, counts
