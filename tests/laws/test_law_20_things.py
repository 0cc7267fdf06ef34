"""Laws 12, 15 and 20 for things: every byte of a counter goes to whom had the thing in its slot, or is unattributed.

The referee takes the counter's parts as laws 8 to 14 give them and looks, for each slot by itself, who had the port then.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.things import PORT, TEN_S, US, Network, at_s
from weighbridge.collected import CounterReading
from weighbridge.domain.counters import Reading, State, advance
from weighbridge.domain.spread import spread
from weighbridge.measurement import SlotFlag
from weighbridge.metering.subjects import Sender
from weighbridge.model import Attribution, Kind, Metering, Placement, Port, Project

SERVERS = ("sv_0", "sv_1", "sv_2")
HOMES = (("org_acme", "proj_a"), ("org_acme", "proj_b"), ("org_other", "proj_o"))
SENDERS = (Sender(None), Sender("org_acme"), Sender("org_other"), Sender("org_acme", "proj_a"), Sender("org_acme", "proj_b"))
SLOTS = 40

Sums = dict[tuple[str, int], list[int]]


@dataclass
class Case:
    """Who had the port when, and what was read of it by whom, a batch at a time."""

    sender: Sender
    attributions: dict[str, list[tuple[int, str | None]]]  # server → (from, how the port faces it; None: it has no port)
    deleted_s: dict[str, int | None]
    moves_s: dict[str, list[int]]  # server → when it went from each of HOMES to the next
    batches: list[list[CounterReading]] = field(default_factory=list)

    def owner(self, slot_s: int) -> tuple[str, bool] | None:
        """Who had the port in a slot, as far as the sender may speak for it, and whether it faced them."""
        for server in SERVERS:
            known = [facing for from_s, facing in self.attributions[server] if from_s <= slot_s]
            gone_s = self.deleted_s[server]
            if not known or known[-1] is None or (gone_s is not None and slot_s + 300 > gone_s):
                continue
            organization, project = HOMES[sum(move_s <= slot_s for move_s in self.moves_s[server])]
            is_reached = self.sender.organization in (None, organization) and self.sender.project in (None, project)
            return (server, known[-1] == "server") if is_reached else None
        return None


SLOT = st.integers(-2, SLOTS + 2).map(lambda number: TEN_S + number * 300)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    attributions = {}
    for server in SERVERS:
        times_s = sorted(draw(st.sets(SLOT, max_size=3)))
        facings = [draw(st.sampled_from(["network", "server", None])) for _ in times_s]
        attributions[server] = list(zip(times_s, facings, strict=True))
    deleted_s = {server: draw(st.none() | st.integers(at_s(0), at_s(SLOTS * 5))) for server in SERVERS}
    moves_s = {server: sorted(draw(st.sets(SLOT, max_size=2))) for server in SERVERS}
    case = Case(draw(st.sampled_from(SENDERS)), attributions, deleted_s, moves_s)
    bits = draw(st.sampled_from([32, 64]))
    total_in = total_out = draw(st.integers(0, 2**bits - 1))
    now_us, since_us = TEN_S * US - draw(st.integers(0, 900)) * US, None
    batch: list[CounterReading] = []
    for _ in range(draw(st.integers(2, 12))):
        before_us = now_us
        now_us += draw(st.one_of(st.integers(0, 120), st.integers(0, 3_000))) * US + draw(st.integers(0, 2))
        if draw(st.integers(0, 4)) == 0:
            total_in = total_out = 0
            since_us = draw(st.sampled_from([None, before_us + 1, now_us - 1]))
        largest = draw(st.sampled_from([5, 10**9, 2**bits]))
        total_in, total_out = ((total + draw(st.integers(0, largest))) % 2**bits for total in (total_in, total_out))
        batch.append(CounterReading(
            thing=PORT, at_us=now_us, bytes_in=draw(st.sampled_from([total_in, total_in, None])),
            bytes_out=draw(st.sampled_from([total_out, total_out, None])), bits=bits,
            since_us=since_us if since_us is not None and since_us <= now_us else None,
            line_rate_bps=draw(st.sampled_from([None, 10**10])), is_whole=draw(st.booleans()),
        ))
        if draw(st.booleans()):
            case.batches.append(draw(st.permutations(batch)))
            batch = []
    case.batches.append(batch)
    return case


def enter(network: Network, case: Case) -> None:
    """The case stands in the catalog."""
    network.view.projects["proj_b"] = Project("proj_b", "proj-b", "org_acme")
    for server in SERVERS:
        moves = zip(case.moves_s[server], HOMES[1:], strict=False)
        placements = [Placement(from_s, project, "brazil") for from_s, (_, project) in moves]
        network.attribute(server, *(
            Attribution(from_s, interfaces=() if facing is None else (Port(PORT.device, PORT.name, facing),))
            for from_s, facing in case.attributions[server]
        ))
        network.view.servers[server] = msgspec.structs.replace(
            network.view.servers[server], deleted_at_s=case.deleted_s[server],
            placements=(*network.view.servers[server].placements, *placements))
    network.view.version += 1


@dataclass
class Referee:
    """Every part of the counter in every slot by itself."""

    case: Case
    state: State | None = None
    sums: Sums = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))  # (server, slot) → in, out, flags
    lost: list[int] = field(default_factory=lambda: [0, 0])
    whole: list[int] = field(default_factory=lambda: [0, 0])

    def read(self, reading: CounterReading) -> None:
        self._begin(reading)
        step = advance(self.state, Reading(
            reading.at_us, reading.bytes_in, reading.bytes_out, reading.bits, reading.since_us, reading.line_rate_bps))
        if step.state is None:
            return
        self.state = step.state
        for part in step.parts:
            for direction, amount in enumerate((part.bytes_in, part.bytes_out)):
                shares = [] if amount is None else spread(amount, part.start_us, part.end_us)
                for place, (slot_s, share) in enumerate(shares):
                    is_edge = place in (0, len(shares) - 1)
                    self._count(slot_s, direction, share, SlotFlag.MEASURED if is_edge else SlotFlag.ESTIMATED)
        if not step.parts:
            for direction, total in enumerate((reading.bytes_in, reading.bytes_out)):
                if total is not None:
                    self._count(reading.at_us // (300 * US) * 300, direction, 0, SlotFlag.MEASURED)

    def _begin(self, reading: CounterReading) -> None:
        """What is new and whole began at zero."""
        if not reading.is_whole or reading.since_us is None or reading.since_us >= reading.at_us:
            return
        sides = ((reading.bytes_in, "bytes_in_total", "in_at_us"), (reading.bytes_out, "bytes_out_total", "out_at_us"))
        for total, name, at_name in sides:
            was_read = self.state is not None and (getattr(self.state, name), getattr(self.state, at_name)) != (None, None)
            if total is not None and not was_read:
                known = self.state or State(reading.since_us, None, None, reading.bits)
                zero: dict[str, Any] = {name: 0, at_name: reading.since_us}
                self.state = replace(known, **zero)

    def _count(self, slot_s: int, direction: int, share: int, flag: SlotFlag) -> None:
        self.whole[direction] += share
        owner = self.case.owner(slot_s)
        if owner is None:
            self.lost[direction] += share
            return
        server, faces = owner
        self.sums[server, slot_s][1 - direction if faces else direction] += share
        self.sums[server, slot_s][2] |= flag


@settings(max_examples=80, deadline=None)
@given(cases())
def test_every_byte_of_a_counter_is_with_whom_had_the_port_or_unattributed(case: Case) -> None:
    referee = Referee(case)
    lost = [0, 0]
    with tempfile.TemporaryDirectory() as folder:
        network = Network(Path(folder) / "journal")
        try:
            enter(network, case)
            for batch in case.batches:
                counts = network.read(*batch, sender=case.sender).counts
                lost[0] += counts.get(("tor-1", "unattributed_bytes_in"), 0)
                lost[1] += counts.get(("tor-1", "unattributed_bytes_out"), 0)
                for reading in sorted(batch, key=lambda reading: reading.at_us):
                    referee.read(reading)
            found = {
                (server, at_s(minutes)): [amounts[0] or 0, amounts[1] or 0, flags]
                for server in SERVERS
                for minutes, (amounts, flags) in network.rows(Kind.SERVER, server, Metering.INTERFACES).items()
            }
        finally:
            network.close()
    assert found == referee.sums
    assert lost == referee.lost
    for direction in (0, 1):
        swapped = [1 - direction if (case.owner(slot_s) or ("", False))[1] else direction for _, slot_s in found]
        attributed = sum(row[at] for row, at in zip(found.values(), swapped, strict=True))
        assert attributed + lost[direction] == referee.whole[direction]


@pytest.mark.parametrize("amount", [2**62, 2**63 + 12_345, 2**64 - 1])
@pytest.mark.parametrize("border", [None, 10, 15])
def test_amounts_beyond_a_column_are_divided_to_the_byte(tmp_path: Path, amount: int, border: int | None) -> None:
    attributions: dict[str, list[tuple[int, str | None]]] = {"sv_0": [(0, "network")], "sv_1": [], "sv_2": []}
    case = Case(Sender(None), attributions, dict.fromkeys(SERVERS), {server: [] for server in SERVERS})
    if border is not None:
        case.attributions |= {"sv_0": [(0, "network"), (at_s(border), None)], "sv_1": [(at_s(border), "server")]}
    readings = [CounterReading(thing=PORT, at_us=at_s(minutes) * US + 7, bytes_in=total, bytes_out=0)
                for minutes, total in ((3, 0), (27, amount))]
    referee, network = Referee(case), Network(tmp_path / "journal")
    enter(network, case)
    network.read(*readings)
    for reading in readings:
        referee.read(reading)
    found = {(server, at_s(minutes)): [amounts[0] or 0, amounts[1] or 0, flags] for server in SERVERS
             for minutes, (amounts, flags) in network.rows(Kind.SERVER, server, Metering.INTERFACES).items()}
    network.close()
    assert found == referee.sums
    assert sum(sum(row[:2]) for row in found.values()) == amount
