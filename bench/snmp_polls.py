"""SNMP: how many devices one process polls, and what a poll costs, beside pysnmp over the same made-up agents.

    python -m bench.snmp_polls                                  1,000 devices of 50 interfaces, 20 seconds
    python -m bench.snmp_polls --devices 100 --seconds 5        fewer
    python -m bench.snmp_polls --peer venv/bin/python           an interpreter that has pysnmp

The agents live in a process of their own on the same machine, and answer what they were asked before from memory: polls a
second are those of both together, CPU is that of the poller alone. A poll is all names, and of every interface its
counters, speed and discontinuity; interval 60 s means that a core is enough for 60 s / CPU of a poll.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from bench.machine import describe, load
from bench.table import Row, as_markdown, ratio, times

from weighbridge.app.clock import SystemClock
from weighbridge.sources.snmp.decode import KnownDevice
from weighbridge.sources.snmp.device import Device
from weighbridge.sources.snmp.settings import Secrets, SnmpSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
AT_ONCE = 64
INSTALL = "pysnmp is the peer where --peer names an interpreter that has it: python3 -m venv x; x/bin/pip install pysnmp"
NOTES = ((
    "SNMP v2c over loopback, 64 devices at a time. Ours: names by GETBULK, then rows by GET, 8 in a request, decoded to "
    "readings with resets judged. pysnmp: five columns together by GETBULK, 8 rows in a request, decoded by its library."
),)


def serve(devices: int, interfaces: int) -> None:
    """Agents answer until stdin is closed; their ports stand on stdout, as JSON."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.snmp_agent import Agent, Port  # noqa: PLC0415  the tests' agent, found by the line above

    agent = Agent()
    ports = {index: Port(f"ge-0/0/{index}", (10**12 + index, 10**11 + index)) for index in range(1, interfaces + 1)}
    agent.table(ports, up_ticks=10**6, boots=3, engine_s=10**4, host_ticks=10**6)
    remembered = Remembered(agent)
    selector = selectors.DefaultSelector()
    numbers = []
    for _ in range(devices):
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        numbers.append(bound.getsockname()[1])
        selector.register(bound, selectors.EVENT_READ, bound)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(json.dumps(numbers), flush=True)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            datagram, sender = key.data.recvfrom(65_535)
            key.data.sendto(remembered.respond(datagram), sender)


class Remembered:
    """An agent whose answers are remembered by what was asked; only the number of the request is new."""

    def __init__(self, agent: object) -> None:
        from support.snmp_agent import RESPONSE, SEQUENCE, read, tagged  # noqa: PLC0415  as above

        self._agent, self._read, self._tagged = agent, read, tagged
        self._sequence, self._response = SEQUENCE, RESPONSE
        self._known: dict[bytes, tuple[bytes, bytes]] = {}

    def respond(self, datagram: bytes) -> bytes:
        """The answer to a request."""
        head, number, rest = self._parted(datagram)
        asked = head + rest
        if asked not in self._known:
            answer_head, _, answer_rest = self._parted(self._agent.respond(datagram))
            self._known[asked] = answer_head, answer_rest
        head, rest = self._known[asked]
        return self._tagged(self._sequence, head[:-1] + self._tagged(self._response, number + rest))

    def _parted(self, datagram: bytes) -> tuple[bytes, bytes, bytes]:
        """Version, community and kind; the number; what was asked."""
        _, message, _ = self._read(datagram)
        _, _, at = self._read(message)
        _, _, at = self._read(message, at)
        kind, pdu, _ = self._read(message, at)
        _, _, behind = self._read(pdu)
        return message[:at] + bytes((kind,)), pdu[:behind], pdu[behind:]


@contextmanager
def serving(devices: int, interfaces: int) -> Iterator[list[int]]:
    command = [sys.executable, "-m", "bench.snmp_polls", "--serve", "--devices", str(devices), "--interfaces", str(interfaces)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.stdin.close()


async def poll_all(ports: list[int], interfaces: int, seconds: float) -> dict[str, float]:
    """Every device again and again, AT_ONCE at a time."""
    clock = SystemClock()
    waiting: asyncio.Queue[Device] = asyncio.Queue()
    for number, port in enumerate(ports):
        settings = SnmpSettings(device=f"d{number}", address=f"127.0.0.1:{port}", community_env="C", timeout_s=5)
        waiting.put_nowait(Device(settings, Secrets("public"), KnownDevice(), clock.now_us))
    await asyncio.gather(*(work(waiting, interfaces, time.monotonic() + len(ports) / 200) for _ in range(AT_ONCE)))  # warm
    cpu_s, began = used_s(), time.monotonic()
    polls = await asyncio.gather(*(work(waiting, interfaces, began + seconds) for _ in range(AT_ONCE)))
    return {"polls": sum(polls), "seconds": time.monotonic() - began, "cpu_s": used_s() - cpu_s}


async def work(waiting: asyncio.Queue[Device], interfaces: int, until_s: float) -> int:
    polls = 0
    while time.monotonic() < until_s:
        device = waiting.get_nowait()
        decoded = await device.poll()
        assert len(decoded.readings) == interfaces, decoded.counts
        polls += 1
        waiting.put_nowait(device)
    return polls


def used_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peer(python: str, ports: list[int], interfaces: int, seconds: float) -> dict[str, float]:
    """What pysnmp did, in a process of that interpreter."""
    asked = json.dumps({"ports": ports, "interfaces": interfaces, "seconds": seconds, "at_once": AT_ONCE})
    command = [str(Path(python).absolute()), str(ROOT / "bench" / "peer_pysnmp.py")]
    told = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    return json.loads(told.stdout)


def row_of(ours: dict[str, float], theirs: dict[str, float] | None, devices: int, interfaces: int) -> Row:
    rate, cpu_us = ours["polls"] / ours["seconds"], 1e6 * ours["cpu_s"] / ours["polls"]
    figures = {"polls_a_s": rate, "cpu_us": cpu_us}
    told, factor = "–", "–"
    if theirs is not None:
        peer_cpu_us = 1e6 * theirs["cpu_s"] / theirs["polls"]
        figures |= {"peer_polls_a_s": theirs["polls"] / theirs["seconds"], "peer_cpu_us": peer_cpu_us}
        told = f"pysnmp {figures['peer_polls_a_s']:,.0f} polls/s, {peer_cpu_us:,.0f} µs CPU each"
        factor = times(ratio(peer_cpu_us, cpu_us))
    return Row(
        f"SNMP, {devices:,} devices of {interfaces} interfaces",
        f"{rate:,.0f} polls/s, {cpu_us:,.0f} µs CPU each: {60e6 / cpu_us:,.0f} devices a core every minute",
        "–", told, factor, figures=figures, notes=NOTES if theirs else (*NOTES, INSTALL))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--interfaces", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--peer", help="an interpreter that has pysnmp")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.devices, chosen.interfaces)
        return
    load_before = load()
    with serving(chosen.devices, chosen.interfaces) as ports:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ours = runner.run(poll_all(ports, chosen.interfaces, chosen.seconds))
        theirs = peer(chosen.peer, ports, chosen.interfaces, chosen.seconds) if chosen.peer else None
    rows = [row_of(ours, theirs, chosen.devices, chosen.interfaces)]
    print(as_markdown(rows, [f"On {describe()}. Load averages (1 and 5 minutes): before {load_before}, after {load()}."]))


if __name__ == "__main__":
    main()
