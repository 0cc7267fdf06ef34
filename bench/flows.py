"""Flows from the socket to the slot: CPU a datagram and the rate without loss, beside nfcapd and nfacctd in one run.

    python -m bench.flows                                  all protocols, 1, 100 and 10,000 prefixes, some six minutes
    python -m bench.flows --only v9 --prefixes 100         one of them
    python -m bench.flows --datagrams 20000 --quick        everything once, small

A sender in a process of its own; what the collector's processes use from the first datagram until the socket is empty and
they are idle again counts: with ours that is decoding, matching, keeping, the journal with its fsync, and the fold. Peers
where they are installed (Debian: nfdump, nfdump-sflow, pmacct). For sFlow they are sfcapd and sfacctd.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.flow_datagrams import PROTOCOLS, Protocol
from bench.flow_peers import INSTALL, Running, drops, find, nfdump, pmacct, waiting, weighbridge
from bench.machine import describe, load
from bench.table import Check, Row, as_markdown, median, ratio, times

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

PREFIXES = (1, 100, 10_000)
RATE = 40_000
"""Datagrams a second at which CPU is measured: a quarter of a core."""
RATES = (60_000, 80_000, 100_000, 125_000, 150_000, 200_000, 250_000)
RATE_S = 3.0
"""How long each rate is held."""
SETTLE_S = 1.5
IDLE_S = 30.0
NOTES = (
    ("Flows: made-up datagrams of one exporter on loopback, 10,000 addresses of the operator's own, the other ends anywhere "
    "(30 records a datagram of v5 and v9, 24 of IPFIX, 7 samples of sFlow); CPU of all processes of the collector from the "
    "first datagram until it is idle again. nfcapd writes records to files, nfacctd sums by both addresses in memory; "
    "neither attributes, keeps slots or survives kill -9."),
)


@dataclass
class Figures:
    """What was seen of one collector: CPU a datagram by round, and the highest rate without a loss."""

    cpu_us: list[float] = field(default_factory=list)
    lossless_s: float = 0.0


def send(protocol: str, port: int, count: int, rate: float, first: int) -> None:
    """Sends so many datagrams at a steady pace. Runs in a process of its own."""
    kind = PROTOCOLS[protocol]
    variants = kind.variants()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        if kind.opening is not None:
            out.send(kind.opening())
            time.sleep(0.2)
        began = time.perf_counter()
        for number in range(count):
            datagram = variants[number % len(variants)]
            struct.pack_into(">I", datagram, kind.sequence_at, (first + number) * kind.step & 0xFFFFFFFF)
            if number % 16 == 0:
                ahead_s = number / rate - (time.perf_counter() - began)
                if ahead_s > 0.0005:
                    time.sleep(ahead_s)
            out.send(datagram)


class Sender:
    """Sends to one collector, its sequence numbers going on from run to run."""

    def __init__(self, protocol: Protocol, running: Running) -> None:
        self._protocol = protocol
        self._running = running
        self._sent = 1

    def send(self, count: int, rate: float) -> tuple[float, int]:
        """CPU seconds that the collector used for so many, and how many the kernel dropped."""
        dropped = drops(self._running.port)
        before_s = self._running.cpu_s()
        arguments = (self._protocol.name, self._running.port, count, rate, self._sent)
        process = multiprocessing.get_context("spawn").Process(target=send, args=arguments)
        process.start()
        process.join()
        self._sent += count
        self._wait()
        return self._running.cpu_s() - before_s, drops(self._running.port) - dropped

    def _wait(self) -> None:
        """The socket is empty and the collector idle again, so that the next run does not pay for this one."""
        until_s = time.monotonic() + IDLE_S
        while waiting(self._running.port) and time.monotonic() < until_s:
            time.sleep(0.05)
        before_s = -1.0
        while time.monotonic() < until_s and self._running.cpu_s() - before_s > 0.03 * SETTLE_S:
            before_s = self._running.cpu_s()
            time.sleep(SETTLE_S)


def measure(protocol: Protocol, running: Running, asked: argparse.Namespace) -> Figures:
    """CPU at a steady rate, and the highest rate without loss."""
    figures = Figures()
    sender = Sender(protocol, running)
    sender.send(asked.datagrams // 10, RATE)  # what is made at the first sight of anything
    for _ in range(asked.rounds):
        used_s, lost = sender.send(asked.datagrams, RATE)
        figures.cpu_us.append(used_s / asked.datagrams * 1e6)
        if lost:
            say(f"  {running.name}: {lost} dropped at {RATE:,} a second")
    for rate in RATES if not asked.quick else RATES[:2]:
        _, lost = sender.send(int(rate * RATE_S), rate)
        if lost:
            break
        figures.lossless_s = rate
    return figures


def say(line: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def rows(asked: argparse.Namespace, folder: Path) -> list[Row]:
    """A row for each protocol and number of prefixes."""
    made = []
    for name in asked.only or list(PROTOCOLS):
        protocol = PROTOCOLS[name]
        peers = _peers(protocol, asked, folder)
        for prefixes in asked.prefixes:
            say(f"{name}, {prefixes:,} prefixes")
            with weighbridge(folder / f"own-{name}-{prefixes}", name, prefixes) as running:
                made.append(_row(name, prefixes, measure(protocol, running, asked), peers))
    return made


def _peers(protocol: Protocol, asked: argparse.Namespace, folder: Path) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    kinds: Sequence[tuple[str, Callable[[Path, str], AbstractContextManager[Running]]]] = (
        ("sfcapd" if protocol.name == "sflow" else "nfcapd", nfdump),
        ("sfacctd" if protocol.name == "sflow" else "nfacctd", pmacct),
    )
    for name, start in kinds:
        if find(name) is None:
            say(f"{name} is not here; {INSTALL}")
            continue
        say(f"{protocol.name}, {name}")
        with start(folder / f"{name}-{protocol.name}", protocol.name) as running:
            found[name] = measure(protocol, running, asked)
    return found


def _row(name: str, prefixes: int, own: Figures, peers: dict[str, Figures]) -> Row:
    cpu_us = median(own.cpu_us)
    first = next(iter(peers.values()), None)
    share = ratio(cpu_us, median(first.cpu_us)) if first else None
    told = "; ".join(
        f"{peer} {median(figures.cpu_us):.2f} µs, {figures.lossless_s:,.0f}/s" for peer, figures in peers.items()
    )
    return Row(
        path=f"{name} datagram, socket to slot, {prefixes:,} prefix{'es' * (prefixes > 1)}",
        measured=f"{cpu_us:.2f} µs CPU, {own.lossless_s:,.0f}/s without loss",
        bar="≤ nfcapd's CPU, then 0.6" if name == "v9" else "–",
        peer=told or "–",
        ratio=times(share),
        checks=(Check(share, 1.0, 0.6, at_most=True),) if name == "v9" else (),
        figures={"cpu_us": cpu_us, "lossless_datagrams_s": own.lossless_s},
        notes=NOTES,
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(PROTOCOLS))
    parser.add_argument("--prefixes", type=lambda text: [int(each) for each in text.split(",")], default=list(PREFIXES))
    parser.add_argument("--datagrams", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    before = load()
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
        made = rows(asked, Path(folder))
    heading = [f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} on {describe()}; load before {before}, after {load()}."]
    print(as_markdown(made, heading))


if __name__ == "__main__":
    main()
