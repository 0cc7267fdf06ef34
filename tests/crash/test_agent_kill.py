"""An agent that is killed, and a server that fails in every way: no byte is lost, none counts twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from support.agent_crash import Agent, kill_agent
from support.agent_source import EXPORTER
from support.flaky import FAILURES, Chooser, FlakyServer
from weighbridge.domain.counters import Reading, advance

if TYPE_CHECKING:
    from pathlib import Path


def test_an_agent_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    outcome = kill_agent(tmp_path, rounds=8, seed=1)
    assert outcome.troubles == []
    assert outcome.found == outcome.expected
    assert outcome.handed_in > 16
    assert outcome.exit_code == 0, outcome.reported[-3000:]


def counter_total(server: FlakyServer) -> tuple[int, int]:
    """What the readings that were kept come to, in the order in which they came, by the laws themselves."""
    state, total = None, [0, 0]
    for sent in server.kept.values():
        for each in sent.collected.readings:
            step = advance(state, Reading(each.at_us, each.bytes_in, each.bytes_out))
            assert step.state is not None, step
            state = step.state
            total[0] += sum(part.bytes_in or 0 for part in step.parts)
            total[1] += sum(part.bytes_out or 0 for part in step.parts)
    return total[0], total[1]


def flows_kept(server: FlakyServer, first_slot: int) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    with server.lock:
        kept = list(server.kept.values())
    for sent in kept:
        for row in (row for sums in sent.collected.flows for row in sums.rows):
            number = int(row["slot"]) - first_slot
            seen = found.get(number, (0, 0))
            found[number] = (seen[0] + int(row["bytes_in"]), seen[1] + int(row["bytes_out"]))
    return found


def test_five_hundred_failed_deliveries_lose_and_double_nothing(tmp_path: Path) -> None:
    chooser = Chooser(500, seed=2)
    server = FlakyServer(chooser)
    agent = Agent(tmp_path, server.url)
    try:
        agent.begin()
        deadline = time.monotonic() + 120
        kills = 0
        while chooser.left:
            assert time.monotonic() < deadline, (chooser.left, agent.output.read_text()[-2000:])
            time.sleep(0.02)
            if chooser.left < 400 - 100 * kills:
                agent.kill()
                agent.start()
                kills += 1
        agent.end_ticking()
        agent.wait_for(len(agent.marks("!")) + 2)
        while any(number not in flows_kept(server, agent.first_slot) for number in agent.marks("!")[:-5]):
            assert time.monotonic() < deadline, agent.output.read_text()[-2000:]
            time.sleep(0.1)
        assert agent.stop() == 0
    finally:
        agent.close()
        server.close()
    assert kills >= 3
    assert server.failed.total() == 500
    assert set(server.failed) == set(FAILURES)
    assert server.conflicts == []
    assert counter_total(server) == agent.counted()
    assert agent.troubles(flows_kept(server, agent.first_slot)) == []
    steps = sum(sent.collected.counts[EXPORTER, "steps"] for sent in server.kept.values())
    assert steps == len(server.kept)
