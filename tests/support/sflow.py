"""sFlow 5 datagrams made by hand, and a naive reader of them: struct, one field after the other."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address


def xdr(data: bytes) -> bytes:
    """Padded to words."""
    return data + bytes(-len(data) % 4)


def record(kind: int, body: bytes) -> bytes:
    return struct.pack(">II", kind, len(body)) + body


def address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip(src: str, dst: str, length: int) -> bytes:
    """An IP header of a datagram of `length` bytes in all, with a little of what follows it."""
    if ":" in src:
        return struct.pack(">IHBB", 6 << 28, length - 40, 17, 64) + address(src) + address(dst) + bytes(8)
    return struct.pack(">BBHHHBBH", 0x45, 0, length, 1, 0, 64, 17, 0) + address(src) + address(dst) + bytes(8)


def frame(
    packet: bytes, src_mac: str = "02:00:00:00:00:01", dst_mac: str = "02:00:00:00:00:02", vlans: tuple[int, ...] = (),
    kind: int | None = None,
) -> bytes:
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in vlans)
    if kind is None:
        kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return mac(dst_mac) + mac(src_mac) + tags + struct.pack(">H", kind) + packet


def header_record(data: bytes, frame_length: int = 0, protocol: int = 1, told: int | None = None) -> bytes:
    """A raw packet header; `told`: the length that it tells of itself, if that is to be a lie."""
    length = len(data) if told is None else told
    return record(1, struct.pack(">IIII", protocol, frame_length or len(data) + 4, 4, length) + xdr(data))


def ethernet_record(length: int, src_mac: str, dst_mac: str) -> bytes:
    return record(2, struct.pack(">I", length) + xdr(mac(src_mac)) + xdr(mac(dst_mac)) + struct.pack(">I", 0x0800))


def ip_record(src: str, dst: str, length: int) -> bytes:
    kind = 4 if ":" in src else 3
    return record(kind, struct.pack(">II", length, 17) + address(src) + address(dst) + struct.pack(">IIII", 1, 2, 0, 0))


def switch_record(src_vlan: int, dst_vlan: int) -> bytes:
    return record(1001, struct.pack(">IIII", src_vlan, 0, dst_vlan, 0))


def flow_sample(
    *records: bytes, rate: int = 1, source: int = 1, inward: int = 1, outward: int = 2, expanded: bool = False,
    count: int | None = None, out_format: int = 0,
) -> bytes:
    told = len(records) if count is None else count
    if expanded:
        own = struct.pack(">IIIIIIIIIII", 7, 0, source, rate, 100, 0, 0, inward, out_format, outward, told)
    else:
        own = struct.pack(">IIIIIIII", 7, source, rate, 100, 0, inward, out_format << 30 | outward, told)
    return record(3 if expanded else 1, own + b"".join(records))


def counter_sample(*records: bytes, source: int = 1, expanded: bool = False) -> bytes:
    own = struct.pack(">IIII", 9, 0, source, len(records)) if expanded else struct.pack(">III", 9, source, len(records))
    return record(4 if expanded else 2, own + b"".join(records))


def interface_record(index: int, inward: int, outward: int, speed_bps: int = 10**9) -> bytes:
    return record(1, struct.pack(
        ">IIQIIQIIIIIIQIIIIII", index, 6, speed_bps, 1, 3, inward, 1, 0, 0, 0, 0, 0, outward, 1, 0, 0, 0, 0, 0,
    ))


def name_record(name: str) -> bytes:
    return record(1005, struct.pack(">I", len(name)) + xdr(name.encode()))


def datagram(
    *samples: bytes, agent: str = "192.0.2.1", sub_agent: int = 0, sequence: int = 1, uptime_ms: int = 1000,
    count: int | None = None, version: int = 5,
) -> bytes:
    kind = 2 if ":" in agent else 1
    told = len(samples) if count is None else count
    opening = struct.pack(">II", version, kind) + address(agent)
    return opening + struct.pack(">IIII", sub_agent, sequence, uptime_ms, told) + b"".join(samples)


@dataclass(frozen=True)
class Packet:
    """What one sample says, as the naive reader sees it."""

    src: str
    dst: str
    length: int
    rate: int
    macs: tuple[int, int] = (0, 0)
    vlans: tuple[int, int] = (0, 0)


@dataclass
class Read:
    """What a datagram says."""

    packets: list[Packet] = field(default_factory=list)
    counters: list[tuple[str, int, int]] = field(default_factory=list)


def read_naively(data: bytes) -> Read:
    """A whole and truthful datagram, field by field; only the record types that tests make."""
    kind = struct.unpack_from(">I", data, 4)[0]
    at = 8 + (4 if kind == 1 else 16)
    count = struct.unpack_from(">IIII", data, at)[3]
    at += 16
    read = Read()
    for _ in range(count):
        form, length = struct.unpack_from(">II", data, at)
        _read_sample(form, data[at + 8 : at + 8 + length], read)
        at += 8 + length
    return read


def _read_sample(form: int, body: bytes, read: Read) -> None:
    own = {1: 32, 3: 44, 2: 12, 4: 16}.get(form)
    if own is None:
        return
    rate = struct.unpack_from(">I", body, 8 if form == 1 else 12)[0] if form in (1, 3) else 0
    at = own
    records = {}
    for _ in range(struct.unpack_from(">I", body, own - 4)[0]):
        kind, length = struct.unpack_from(">II", body, at)
        records[kind] = body[at + 8 : at + 8 + length]
        at += 8 + length
    if form in (2, 4):
        if 1 in records:
            index, _, _, _, _, inward, *_, outward, _, _, _, _, _, _ = struct.unpack(">IIQIIQIIIIIIQIIIIII", records[1])
            name = records[1005][4:4 + int.from_bytes(records[1005][:4], "big")].decode() if 1005 in records else str(index)
            read.counters.append((name, inward, outward))
        return
    packet = _read_packet(records)
    if packet is not None:
        read.packets.append(Packet(*packet[:3], rate, *packet[3:]))


def _read_packet(records: dict[int, bytes]) -> tuple | None:
    macs, vlans, found = (0, 0), (0, 0), None
    if 1 in records:
        protocol, _, _, length = struct.unpack_from(">IIII", records[1])
        raw = records[1][16 : 16 + length]
        if protocol == 1:
            macs = (int.from_bytes(raw[6:12], "big"), int.from_bytes(raw[:6], "big"))
            at = 12
            while raw[at : at + 2] == b"\x81\x00":
                if vlans == (0, 0):
                    vlans = (int.from_bytes(raw[at + 2 : at + 4], "big") & 4095,) * 2
                at += 4
            raw = raw[at + 2 :] if raw[at : at + 2] in (b"\x08\x00", b"\x86\xdd") else b""
        found = _read_ip(raw)
    for kind, size in ((3, 4), (4, 16)):
        if found is None and kind in records:
            body = records[kind]
            ends = body[8 : 8 + size], body[8 + size : 8 + 2 * size]
            found = (*(str(ip_address(end)) for end in ends), struct.unpack_from(">I", body)[0])
    if 2 in records:
        macs = (int.from_bytes(records[2][4:10], "big"), int.from_bytes(records[2][12:18], "big"))
    if 1001 in records:
        src_vlan, _, dst_vlan, _ = struct.unpack(">IIII", records[1001])
        vlans = (src_vlan, dst_vlan)
    if vlans[0] == vlans[1]:
        vlans = (0, 0)
    return None if found is None else (*found, macs, vlans)


def _read_ip(raw: bytes) -> tuple[str, str, int] | None:
    if raw and raw[0] >> 4 == 4 and len(raw) >= 20:
        ends = str(IPv4Address(raw[12:16])), str(IPv4Address(raw[16:20]))
        return (*ends, int.from_bytes(raw[2:4], "big"))
    if raw and raw[0] >> 4 == 6 and len(raw) >= 40:
        ends = str(IPv6Address(raw[8:24])), str(IPv6Address(raw[24:40]))
        return (*ends, int.from_bytes(raw[4:6], "big") + 40)
    return None
