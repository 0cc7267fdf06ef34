"""Captures of made-up traffic, and the IP bytes that each server moved in it: what every flow exporter must lead to."""

from __future__ import annotations

import random
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_FILE = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
_MACS = bytes.fromhex("020000000002") + bytes.fromhex("020000000001")
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58


@dataclass
class Capture:
    """Packets with the time of now. `moved` by (address, "in" or "out"): IP bytes."""

    packets: list[bytes] = field(default_factory=list)
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, src: str, dst: str, length: int, protocol: int = UDP, ports: tuple[int, int] = (40_000, 443)) -> None:
        """A datagram of `length` IP bytes."""
        self.packets.append(_frame(src, dst, length, protocol, ports))
        self.moved[src, "out"] += length
        self.moved[dst, "in"] += length

    def write(self, path: Path, over_s: float = 10.0) -> None:
        """As a pcap file, the packets spread over so many seconds that ended a moment ago."""
        first_us = int((time.time() - over_s - 1) * 1e6)
        step_us = int(over_s * 1e6 / max(len(self.packets), 1))
        with path.open("wb") as file:
            file.write(_FILE)
            for number, packet in enumerate(self.packets):
                at_s, rest_us = divmod(first_us + number * step_us, 1_000_000)
                file.write(struct.pack("<IIII", at_s, rest_us, len(packet), len(packet)) + packet)

    def of(self, address: str) -> tuple[int, int]:
        """What an address received and sent."""
        return self.moved[address, "in"], self.moved[address, "out"]

    @property
    def total(self) -> int:
        """All IP bytes."""
        return sum(amount for (_, way), amount in self.moved.items() if way == "out")


def make_capture(packets: int, servers: Iterable[str], remotes: Iterable[str], seed: int = 1) -> Capture:
    """Traffic between servers and remote addresses of their family, both ways, of several protocols."""
    chance = random.Random(seed)
    capture = Capture()
    pairs = [(ours, theirs) for ours in servers for theirs in remotes if (":" in ours) == (":" in theirs)]
    for _ in range(packets):
        ends = chance.choice(pairs)
        src, dst = ends if chance.random() < 0.6 else ends[::-1]
        icmp = ICMPV6 if ":" in src else ICMP
        protocol = chance.choice((TCP, TCP, UDP, icmp))
        ports = (443, chance.randrange(30_000, 30_050)) if src == ends[0] else (chance.randrange(30_000, 30_050), 443)
        capture.add(src, dst, chance.randrange(80, 1400), protocol, ports)
    return capture


def _frame(src: str, dst: str, length: int, protocol: int, ports: tuple[int, int]) -> bytes:
    source, destination = ip_address(src).packed, ip_address(dst).packed
    if len(source) == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, length, 1, 0x4000, 64, protocol, 0) + source + destination
        head = head[:10] + _checksum(head).to_bytes(2, "big") + head[12:]
        kind = b"\x08\x00"
    else:
        head = struct.pack(">IHBB", 6 << 28, length - 40, protocol, 64) + source + destination
        kind = b"\x86\xdd"
    body = length - len(head)
    if protocol == TCP:
        payload = struct.pack(">HHIIBBHHH", *ports, 1, 1, 0x50, 0x10, 1000, 0, 0)
    elif protocol == UDP:
        payload = struct.pack(">HHHH", *ports, body, 0)
    else:
        payload = struct.pack(">BBHI", 8 if protocol == ICMP else 128, 0, 0, 0)
    return _MACS + kind + head + payload + bytes(body - len(payload))


def _checksum(head: bytes) -> int:
    total = sum(struct.unpack(f">{len(head) // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
