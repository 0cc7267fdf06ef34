"""Made-up datagrams of every flow protocol: the same ones whenever they are made, but for their time."""

from __future__ import annotations

import random
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

OWN_NETWORK = "198.18.0.0/16"
OWN_ADDRESSES = 10_000
"""Addresses of the operator's own, which attribution knows; the other end of each flow is anywhere."""
VARIANTS = 2_048
"""Datagrams that are told apart: sent in turn, so that neither side reads the same one from its cache."""
UPTIME_MS = 86_400_000
TEMPLATE = 256
V9_FIELDS = ((8, 4), (12, 4), (10, 4), (14, 4), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (4, 1), (5, 1), (6, 1))
IPFIX_FIELDS = ((8, 4), (12, 4), (10, 4), (14, 4), (2, 8), (1, 8), (152, 8), (153, 8), (7, 2), (11, 2), (4, 1), (5, 1))
V5_RECORDS, V9_RECORDS, IPFIX_RECORDS, SAMPLES = 30, 30, 24, 7


@dataclass(frozen=True, slots=True)
class Protocol:
    """A kind of datagram. `sequence_at`: where its number stands; `step`: by how much it grows with each datagram."""

    name: str
    make: Callable[[random.Random], bytes]
    records: int
    sequence_at: int
    step: int
    opening: Callable[[], bytes] | None = None  # what must be told first

    def variants(self) -> list[bytearray]:
        """Datagrams as of now."""
        chance = random.Random(1)
        return [bytearray(self.make(chance)) for _ in range(VARIANTS)]


def own_address(number: int) -> int:
    """Address `number` of the operator's own, as a number."""
    return 0xC6120000 + number


def _ends(chance: random.Random) -> tuple[int, int]:
    own = own_address(chance.randrange(OWN_ADDRESSES))
    other = chance.randrange(0x0B000000, 0xC6000000)
    return (own, other) if chance.random() < 0.5 else (other, own)


def _v5(chance: random.Random) -> bytes:
    body = b""
    for _ in range(V5_RECORDS):
        src, dst = _ends(chance)
        last = UPTIME_MS - chance.randrange(30_000)
        body += struct.pack(
            ">IIIHHIIIIHHBBBBHHBBH", src, dst, 0, 1, 2, chance.randrange(1, 100), chance.randrange(60, 100_000),
            last - chance.randrange(60_000), last, 443, 50_000, 0, 24, 6, 0, 0, 0, 24, 24, 0,
        )
    return struct.pack(">HHIIIIBBH", 5, V5_RECORDS, UPTIME_MS, int(time.time()), 0, 0, 0, 0, 0) + body


def _v9(chance: random.Random) -> bytes:
    body = b""
    for _ in range(V9_RECORDS):
        src, dst = _ends(chance)
        last = UPTIME_MS - chance.randrange(30_000)
        body += struct.pack(
            ">IIIIIIIIHHBBB", src, dst, 1, 2, chance.randrange(1, 100), chance.randrange(60, 100_000),
            last - chance.randrange(60_000), last, 443, 50_000, 6, 0, 24,
        )
    return _v9_head(1) + _set(TEMPLATE, body)


def _v9_head(count: int) -> bytes:
    return struct.pack(">HHIIII", 9, count, UPTIME_MS, int(time.time()), 0, 7)


def _set(number: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(">HH", number, len(body) + 4) + body


def _template(fields: tuple[tuple[int, int], ...], set_id: int) -> bytes:
    told = b"".join(struct.pack(">HH", kind, size) for kind, size in fields)
    return _set(set_id, struct.pack(">HH", TEMPLATE, len(fields)) + told)


def _ipfix(chance: random.Random) -> bytes:
    body = b""
    now_ms = int(time.time() * 1000)
    for _ in range(IPFIX_RECORDS):
        src, dst = _ends(chance)
        last_ms = now_ms - chance.randrange(30_000)
        body += struct.pack(
            ">IIIIQQQQHHBB", src, dst, 1, 2, chance.randrange(1, 100), chance.randrange(60, 100_000),
            last_ms - chance.randrange(60_000), last_ms, 443, 50_000, 6, 0,
        )
    return _ipfix_message(_set(TEMPLATE, body))


def _ipfix_message(sets: bytes) -> bytes:
    return struct.pack(">HHIII", 10, len(sets) + 16, int(time.time()), 0, 7) + sets


def _sflow(chance: random.Random) -> bytes:
    samples = b""
    for _ in range(SAMPLES):
        src, dst = _ends(chance)
        length = chance.randrange(60, 1500)
        packet = struct.pack(">BBHHHBBHII", 0x45, 0, length, 1, 0, 64, 6, 0, src, dst) + bytes(94)
        header = struct.pack(">IIII", 1, length + 18, 4, 128) + b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + packet
        record = struct.pack(">II", 1, len(header)) + header
        own = struct.pack(">IIIIIIII", 1, 1, 1000, 1, 0, 1, 2, 1)
        samples += struct.pack(">II", 1, len(own) + len(record)) + own + record
    return struct.pack(">II4sIIII", 5, 1, socket.inet_aton("127.0.0.1"), 0, 0, UPTIME_MS, SAMPLES) + samples


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("v5", _v5, V5_RECORDS, 16, V5_RECORDS),
        Protocol("v9", _v9, V9_RECORDS, 12, 1, lambda: _v9_head(1) + _template(V9_FIELDS, 0)),
        Protocol("ipfix", _ipfix, IPFIX_RECORDS, 8, IPFIX_RECORDS, lambda: _ipfix_message(_template(IPFIX_FIELDS, 2))),
        Protocol("sflow", _sflow, SAMPLES, 16, 1),
    )
}
