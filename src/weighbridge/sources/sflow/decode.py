"""sFlow version 5, a block of datagrams at a time: sampled packets become flow blocks, counter samples readings of ports.

What is not counted, and why: an agent that samples a packet where it comes in and where it goes out tells of it twice, so
a sample of the port that it goes out by counts only while nothing is known to be sampled where it came in (law 22); what
the agent did not forward was delivered to nobody; what is not IP has no address to be attributed by.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from ipaddress import ip_address
from struct import Struct
from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.collected import CounterReading, Thing, ThingKind
from weighbridge.metering.flows.block import UNRATED, FlowBlock
from weighbridge.sources.sflow.packets import NO_PORT, read_packets, read_ports
from weighbridge.sources.sflow.walk import records_of, walk

if TYPE_CHECKING:
    from weighbridge.datagrams.block import Datagrams
    from weighbridge.sources.sflow.packets import Packets, Ports
    from weighbridge.sources.sflow.walk import Head, Walked

MAX_AGENTS: Final = 10_000
"""Agents (with each of their sub-agents) that are remembered; beyond it the one goes that was heard of longest ago."""
MAX_PORTS: Final = 4_096
"""Ports of one agent that are remembered as sampling what comes in."""
MAX_GAP: Final = 100_000
"""Datagrams missing between two numbers; more is no loss but another counting."""
LATE: Final = 1_000
"""Datagrams by which one may come late; further back is a counting that began anew."""
LATE_MS: Final = 10_000
"""Milliseconds by which one may come late; further back the agent has restarted."""

_GENERIC, _PORT_NAME = 1, 1005  # formats of counter records
_INTERFACE = Struct(">IIQII QIIIIII QIIIII I")
_UNKNOWN_64: Final = 2**64 - 1
_MAX_NAME: Final = 255
_SEQUENCES: Final = 2**32


@dataclass(slots=True)
class _Agent:
    """What is remembered of an agent: where its datagrams stand, and which of its ports sample what comes in."""

    sequence: int
    uptime_ms: int
    samples_in: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a block says. `counts`: (exporter, what) → how many."""

    flows: list[FlowBlock]
    readings: list[CounterReading]
    counts: Counter[tuple[str, str]]


class Decoder:
    """Decodes blocks, remembering agents between them. Never raises for what a datagram holds."""

    def __init__(self) -> None:
        self._agents: OrderedDict[tuple[bytes, int], _Agent] = OrderedDict()
        self._names: OrderedDict[bytes, str] = OrderedDict()

    def decode(self, block: Datagrams) -> Decoded:
        """All that whole samples say; the rest is counted."""
        walked = walk(block)
        exporters = [source if head is None else self._name(head) for source, head in
                     zip(block.sources, walked.heads, strict=True)]
        counts: Counter[tuple[str, str]] = Counter()
        for (at, what), many in walked.faults.items():
            counts[exporters[at], what] += many
        for head, exporter in zip(walked.heads, exporters, strict=True):
            counts[exporter, "datagrams"] += 1
            if head is not None:
                self._follow(head, exporter, counts)
        flows = self._decode_flows(block, walked, exporters, counts)
        readings = _decode_counters(block, walked, exporters, counts)
        return Decoded(flows, readings, counts)

    def keep(self) -> None:
        """Nothing: what is remembered is learned again from a few datagrams."""

    def _name(self, head: Head) -> str:
        """The agent's address as text."""
        name = self._names.get(head.agent)
        if name is None:
            address = ip_address(head.agent)
            mapped = getattr(address, "ipv4_mapped", None)
            name = self._names[head.agent] = str(mapped or address)
            if len(self._names) > MAX_AGENTS:
                self._names.popitem(last=False)
        return name

    def _follow(self, head: Head, exporter: str, counts: Counter[tuple[str, str]]) -> None:
        """Counts datagrams that are missing before this one; a restart and one that comes late miss none."""
        key = (head.agent, head.sub_agent)
        agent = self._agents.get(key)
        if agent is None:
            self._agents[key] = _Agent(head.sequence, head.uptime_ms)
            if len(self._agents) > MAX_AGENTS:
                self._agents.popitem(last=False)
            return
        self._agents.move_to_end(key)
        ahead = (head.sequence - agent.sequence) % _SEQUENCES
        has_restarted = agent.uptime_ms - head.uptime_ms > LATE_MS
        if not has_restarted and ahead > _SEQUENCES - LATE:
            counts[exporter, "out_of_order"] += 1
            return
        if not has_restarted and 1 < ahead <= MAX_GAP:
            counts[exporter, "lost_datagrams"] += ahead - 1
        agent.sequence, agent.uptime_ms = head.sequence, head.uptime_ms

    def _decode_flows(
        self, block: Datagrams, walked: Walked, exporters: list[str], counts: Counter[tuple[str, str]]
    ) -> list[FlowBlock]:
        samples = walked.flows
        if not len(samples):
            return []
        ports = read_ports(walked.words, samples)
        packets = read_packets(block.octets, walked.words, samples)
        for place in set(packets.cut.tolist()):
            counts[exporters[int(samples.owner[place])], "truncated"] += 1
        blocks: list[FlowBlock] = []
        for key, datagrams in _by_agent(walked.heads).items():
            own = np.flatnonzero(np.isin(samples.owner, datagrams))
            exporter = exporters[datagrams[0]]
            reasons = _reasons(own, self._agents.get(key), ports, packets)
            counts[exporter, "samples"] += len(own)
            for what, mask in reasons.items():
                if mask.any():
                    counts[exporter, what] += int(mask.sum())
            blocks += _blocks(own[~np.logical_or.reduce(list(reasons.values()))], exporter, block.received_us, ports, packets)
        return blocks


def _by_agent(heads: list[Head | None]) -> dict[tuple[bytes, int], list[int]]:
    """The datagrams of each agent and sub-agent."""
    found: dict[tuple[bytes, int], list[int]] = {}
    for at, head in enumerate(heads):
        if head is not None:
            found.setdefault((head.agent, head.sub_agent), []).append(at)
    return found


def _reasons(own: np.ndarray, agent: _Agent | None, ports: Ports, packets: Packets) -> dict[str, np.ndarray]:
    """Which samples of an agent do not count, by the reason; each has one at most."""
    source, inward, outward = ports.source[own], ports.inward[own], ports.outward[own]
    comes_in = (source == inward) & (source != NO_PORT)
    again = np.zeros(len(own), dtype=bool)
    if agent is not None:
        if len(agent.samples_in) < MAX_PORTS:
            agent.samples_in.update(np.unique(source[comes_in]).tolist())
        goes_out = (source == outward) & ~comes_in & (inward != NO_PORT)
        again = goes_out & np.isin(inward, list(agent.samples_in))
    dropped = ports.is_dropped[own] & ~again
    foreign = (packets.family[own] == 0) & ~again & ~dropped
    return {"seen_twice": again, "not_forwarded": dropped, "not_ip": foreign}


def _blocks(
    chosen: np.ndarray, exporter: str, received_us: int, ports: Ports, packets: Packets
) -> list[FlowBlock]:
    blocks = []
    for family in (4, 6):
        own = chosen[packets.family[chosen] == family]
        if not len(own):
            continue
        rate = ports.rate[own]
        # Within one VLAN a frame does not tell which end is whose: only where it was routed between two does it.
        routed = packets.src_vlan[own] != packets.dst_vlan[own]
        has_vlans = bool(routed.any())
        blocks.append(FlowBlock(
            exporter=exporter,
            family=family,
            received_us=received_us,
            src=packets.src[own, 1].astype(np.uint32) if family == 4 else packets.src[own],  # noqa: PLR2004
            dst=packets.dst[own, 1].astype(np.uint32) if family == 4 else packets.dst[own],  # noqa: PLR2004
            octets=packets.length[own],
            packets=np.ones(len(own), dtype=np.int64),
            rate=np.where(rate < 1, UNRATED, rate),
            src_mac=packets.src_mac[own],
            dst_mac=packets.dst_mac[own],
            src_vlan=np.where(routed, packets.src_vlan[own], 0).astype(np.uint16) if has_vlans else None,
            dst_vlan=np.where(routed, packets.dst_vlan[own], 0).astype(np.uint16) if has_vlans else None,
        ))
    return blocks


def _decode_counters(
    block: Datagrams, walked: Walked, exporters: list[str], counts: Counter[tuple[str, str]]
) -> list[CounterReading]:
    """A reading for each port whose generic counters are told. Ports are few and told every half minute: one by one."""
    samples = walked.counters
    if not len(samples):
        return []
    records, cut = records_of(walked.words, samples)
    for place in set(cut.tolist()):
        counts[exporters[int(samples.owner[place])], "truncated"] += 1
    names: dict[int, str] = {}
    generic: dict[int, bytes] = {}
    for start, end, kind, owner in zip(
        records.start.tolist(), records.end.tolist(), records.format.tolist(), records.owner.tolist(), strict=True
    ):
        if kind == _GENERIC and (end - start) * 4 >= _INTERFACE.size:
            generic[owner] = block.octets[start * 4 : start * 4 + _INTERFACE.size].tobytes()
        elif kind == _PORT_NAME:
            names[owner] = _text(block.octets[start * 4 : end * 4].tobytes())
    readings = []
    for owner, record in generic.items():
        exporter = exporters[int(samples.owner[owner])]
        counts[exporter, "counter_samples"] += 1
        readings.append(_reading(record, names.get(owner, ""), exporter, block.received_us))
    return readings


def _reading(record: bytes, name: str, exporter: str, received_us: int) -> CounterReading:
    index, _, speed_bps, _, _, inward, _, _, _, _, _, _, outward, *_ = _INTERFACE.unpack(record)
    return CounterReading(
        thing=Thing(ThingKind.INTERFACE, exporter, name or str(index)),
        at_us=received_us,
        bytes_in=None if inward == _UNKNOWN_64 else inward,
        bytes_out=None if outward == _UNKNOWN_64 else outward,
        line_rate_bps=speed_bps if 0 < speed_bps < _UNKNOWN_64 else None,
    )


def _text(record: bytes) -> str:
    """The text of an XDR string; empty where it is none."""
    if len(record) < 4:  # noqa: PLR2004  the word that tells its length
        return ""
    length = int.from_bytes(record[:4], "big")
    name = record[4 : 4 + min(length, _MAX_NAME)].decode("utf-8", "replace").strip()
    return name if name.isprintable() else ""
