"""NetFlow 5, 9 and IPFIX by hand: datagrams as exporters make them, and a naive referee that reads them.

The referee takes one datagram, one set, one record, one field after the other, with struct alone.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from weighbridge.datagrams.block import Datagrams
from weighbridge.sources.netflow.decode import Decoder

V5, V9, IPFIX = 5, 9, 10
RECEIVED_US = 1_795_652_200_000_000
EXPORT_S = 1_795_652_199
UPTIME_MS = 600_000
VARIABLE = 65535
ROUTER = "192.0.2.254"
SENT_US = EXPORT_S * 1_000_000
WEB, USER = 0xC0000201, 0xC6336401
PLAIN = ((8, 4), (12, 4), (1, 4), (2, 4))
"""The smallest template that says all: addresses, octets, packets."""


def block(datagrams, sources=None, received_us=RECEIVED_US):
    """Datagrams as one block; all of ROUTER unless said otherwise."""
    lengths = np.array([len(each) for each in datagrams], np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)))[: len(datagrams)].astype(np.int64)
    octets = np.frombuffer(b"".join(datagrams), np.uint8)
    return Datagrams(octets, starts, lengths, sources or [ROUTER] * len(datagrams), received_us)


def write_capture(datagrams):
    """Datagrams as a file of them."""
    return b"".join(struct.pack(">H", len(each)) + each for each in datagrams)


def read_capture(path):
    """The datagrams of such a file."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        end = at + 2 + struct.unpack_from(">H", content, at)[0]
        found.append(content[at + 2 : end])
        at = end
    return found


# Making them


def v5(records, *, sequence=0, sampling=0, engine=0, uptime_ms=UPTIME_MS, export_s=EXPORT_S, count=None):
    """`records`: (src, dst, packets, octets, first_ms, last_ms) each, addresses as numbers."""
    head = struct.pack(
        ">HHIIIIHH", 5, len(records) if count is None else count, uptime_ms, export_s, 500_000_000, sequence, engine, sampling)
    return head + b"".join(
        struct.pack(">IIIHHIIIIHHBBBBHHBBH", src, dst, 0, 1, 2, packets, octets, first, last, 1, 2, 0, 0, 6, 0, 0, 0, 0, 0, 0)
        for src, dst, packets, octets, first, last in records
    )


def v9(*sets, sequence=0, domain=0, uptime_ms=UPTIME_MS, export_s=EXPORT_S):
    return struct.pack(">HHIIII", 9, len(sets), uptime_ms, export_s, sequence, domain) + b"".join(sets)


def ipfix(*sets, sequence=0, domain=0, export_s=EXPORT_S, length=None):
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body) if length is None else length, export_s, sequence, domain) + body


def message(version, *sets, **head):
    return v9(*sets, **head) if version == V9 else ipfix(*sets, **head)


def a_set(set_id, content, *, padding=0, length=None):
    """A set of any kind. `length`: what it claims, where that is a lie."""
    size = 4 + len(content) + padding
    return struct.pack(">HH", set_id, size if length is None else length) + content + bytes(padding)


def fields_of(fields):
    """Specifiers. A field: (element, length), or (element, length, enterprise)."""
    return b"".join(
        struct.pack(">HHI", element | 0x8000, length, more[0]) if more else struct.pack(">HH", element, length)
        for element, length, *more in fields
    )


def templates(version, *defined, padding=0):
    """A template set; each: (id, fields)."""
    content = b"".join(struct.pack(">HH", number, len(fields)) + fields_of(fields) for number, fields in defined)
    return a_set(0 if version == V9 else 2, content, padding=padding)


def options_templates(version, *defined, padding=0):
    """An options template set; each: (id, scope fields, other fields)."""
    content = b""
    for number, scopes, others in defined:
        first, second = (4 * len(scopes), 4 * len(others)) if version == V9 else (len(scopes) + len(others), len(scopes))
        content += struct.pack(">HHH", number, first, second) + fields_of(scopes) + fields_of(others)
    return a_set(1 if version == V9 else 3, content, padding=padding)


def data(set_id, fields, *records, padding=0):
    """A data set; a record has a number or bytes for each field."""
    return a_set(set_id, b"".join(record(fields, values) for values in records), padding=padding)


def record(fields, values):
    made = b""
    for (_, length, *_), value in zip(fields, values, strict=True):
        if length == VARIABLE:
            made += (bytes([len(value)]) if len(value) < 255 else b"\xff" + struct.pack(">H", len(value))) + value
        else:
            made += value if isinstance(value, bytes) else value.to_bytes(length, "big")
    return made


# What came out


@dataclass(frozen=True, order=True)
class Flow:
    """A flow as a value that can be compared."""

    exporter: str
    family: int
    src: int
    dst: int
    octets: int
    packets: int
    start_us: int | None = None
    end_us: int | None = None
    rate: int = 0
    src_mac: int = 0
    dst_mac: int = 0
    src_vlan: int = 0
    dst_vlan: int = 0


def flows_of(decoded):
    """The flows of decoded blocks, sorted."""
    return sorted(
        (flow for each in decoded.flows for flow in _flows(each)), key=lambda flow: (flow.exporter, flow.family, repr(flow)))


def _flows(each):
    def column(values, missing):
        return [missing] * len(each.octets) if values is None else np.broadcast_to(values, len(each.octets)).tolist()

    src, dst = ([high << 64 | low for high, low in side.tolist()] if each.family == 6 else side.tolist()
                for side in (each.src, each.dst))
    columns = (
        src, dst, column(each.octets, 0), column(each.packets, 0), column(each.start_us, None), column(each.end_us, None),
        column(each.rate, 0), column(each.src_mac, 0), column(each.dst_mac, 0), column(each.src_vlan, 0),
        column(each.dst_vlan, 0),
    )
    return [Flow(each.exporter, each.family, *values) for values in zip(*columns, strict=True)]


def decoded(*datagrams, decoder=None, sources=None, received_us=RECEIVED_US):
    """(flows, counts without those that all have), of datagrams in one block."""
    found = (decoder or Decoder()).decode(block(datagrams, sources, received_us))
    usual = {"datagrams", "records"}
    return flows_of(found), {what: many for (_, what), many in found.counts.items() if what not in usual}


def octets_of(flows):
    return [flow.octets for flow in flows]


def plain(*octets, set_id=256, **more):
    """A data set of PLAIN with records from WEB to USER."""
    return a_set(set_id, b"".join(record(PLAIN, (WEB, USER, each, 1)) for each in octets), **more)


# The referee


@dataclass
class Domain:
    templates: dict = field(default_factory=dict)  # id → (is options, fields with their enterprise, scopes)
    rates: dict = field(default_factory=dict)
    waiting: list = field(default_factory=list)
    boot_ms: int | None = None


class Referee:
    """Reads whole, honest datagrams, one thing after the other. It knows the elements of `_flow` and no others."""

    def __init__(self):
        self.domains = {}
        self.flows = []
        self.counts = Counter()

    def read(self, source, datagram):
        version = struct.unpack_from(">H", datagram)[0]
        if version == V5:
            self._read_v5(source, datagram)
            return
        if version == V9:
            _, _, uptime_ms, export_s, _, number = struct.unpack_from(">HHIIII", datagram)
            at = 20
        else:
            _, _, export_s, _, number = struct.unpack_from(">HHIII", datagram)
            uptime_ms, at = None, 16
        domain = self.domains.setdefault((source, version, number), Domain())
        while at + 4 <= len(datagram):
            set_id, length = struct.unpack_from(">HH", datagram, at)
            self._read_set(source, version, domain, (set_id, datagram[at + 4 : at + length]), (export_s, uptime_ms))
            at += length

    def _read_v5(self, source, datagram):
        _, count, uptime_ms, export_s, export_ns, _, _, sampling = struct.unpack_from(">HHIIIIHH", datagram)
        for number in range(count):
            found = struct.unpack_from(">IIIHHIIII", datagram, 24 + 48 * number)
            src, dst, _, _, _, packets, octets, first, last = found
            sent_us = export_s * 1_000_000 + export_ns // 1000
            times = [sent_us - _wrapped(uptime_ms - told) * 1000 for told in (first, last)]
            self.flows.append(Flow(source, 4, src, dst, octets, packets, *times, sampling & 0x3FFF))

    def _read_set(self, source, version, domain, each, sent):
        set_id, content = each
        is_template, is_options = set_id in ((0, 1) if version == V9 else (2, 3)), set_id in (1, 3)
        if not is_template:
            if set_id in domain.templates:
                self._read_data(source, domain, domain.templates[set_id], content, sent)
            else:
                domain.waiting.append((set_id, content, sent))
            return
        at = 0
        while at + 4 <= len(content):
            number, fields, scopes, at = _template(version, is_options, content, at)
            if number < 256:
                break
            domain.templates[number] = (is_options, fields, scopes if version == V9 else 0)
            waiting, domain.waiting = domain.waiting, []
            for held in waiting:
                if held[0] == number:
                    self._read_data(source, domain, domain.templates[number], *held[1:])
                else:
                    domain.waiting.append(held)

    def _read_data(self, source, domain, template, content, sent):
        is_options, fields, scopes = template
        at = 0
        shortest = sum(1 if length == VARIABLE else length for _, _, length in fields)
        while len(content) - at >= shortest:
            values = {}
            for number, (enterprise, element, length) in enumerate(fields):
                if length == VARIABLE:
                    length, at = content[at], at + 1  # noqa: PLW2901
                    if length == 255:
                        length, at = struct.unpack_from(">H", content, at)[0], at + 2  # noqa: PLW2901
                    at += length
                    continue
                key = ("scope", element) if number < scopes else (enterprise, element)
                values.setdefault(key, int.from_bytes(content[at : at + length], "big"))
                at += length
            if is_options:
                self._learn(domain, values)
            else:
                self._flow(source, domain, values, sent)

    def _learn(self, domain, values):
        if (0, 160) in values:
            domain.boot_ms = values[0, 160]
        rate = _rate(values)
        if not rate:
            return
        if sampler := [each for each in ((0, 48), (0, 302)) if each in values]:
            domain.rates["sampler", values[sampler[0]]] = rate
        elif port := [each for each in (("scope", 2), (0, 10)) if each in values]:
            domain.rates["port", values[port[0]]] = rate
        else:
            domain.rates["all"] = rate

    def _flow(self, source, domain, values, sent):
        def first(*elements):
            return next((values[0, each] for each in elements if values.get((0, each))), 0)

        if not any((0, each) in values for each in (1, 23, 85, 231)):
            self.counts["records_without_bytes"] += 1
            return
        fits_four, fits_six = ({(0, each) for each in pair} & set(values) for pair in ((8, 12), (27, 28)))
        vlans = (first(58, 243), first(59, 254))
        together = vlans[0] == vlans[1]  # a VLAN that both ends are in attributes neither
        links = (first(56, 81), first(57, 80), *((0, 0) if together else vlans))
        if not fits_four and not fits_six and not {(0, each) for each in (56, 57, 58, 59, 80, 81, 243, 254)} & set(values):
            self.counts["records_without_address"] += 1
            return
        is_six = bool(fits_six) and (not fits_four or bool(first(27) or first(28)))
        if fits_four and fits_six and values.get((0, 60)):
            is_six = values[0, 60] == 6
        if not fits_four:
            is_six = True
        ends = (first(27), first(28)) if is_six else (first(8), first(12))
        self.flows.append(Flow(
            source, 6 if is_six else 4, *ends, first(1, 85, 23, 231), first(2, 86, 24, 298),
            _time(values, domain, sent, (152, 150, 22)), _time(values, domain, sent, (153, 151, 21)),
            self._rate_of(domain, values), *links,
        ))

    def _rate_of(self, domain, values):
        rates = domain.rates
        if _rate(values):
            return _rate(values)
        whole = rates.get("all", 0)
        rate = rates.get(("port", values.get((0, 10))), rates.get(("port", values.get((0, 14))), whole))
        named = [each for each in ((0, 48), (0, 302)) if each in values]
        if not named:
            return rate
        sampler = next((values[each] for each in named if values[each]), 0)
        if ("sampler", sampler) in rates:
            return rates["sampler", sampler]
        if sampler == 0 or (whole and not any(key[0] == "sampler" for key in rates if key != "all")):
            return rate
        return -1


def _template(version, is_options, content, at):
    if not is_options:
        number, count = struct.unpack_from(">HH", content, at)
        scopes, at = 0, at + 4
    else:
        number, first, second = struct.unpack_from(">HHH", content, at)
        scopes, count = (first // 4, first // 4 + second // 4) if version == V9 else (second, first)
        at += 6
    fields = []
    for _ in range(count if number >= 256 else 0):
        element, length = struct.unpack_from(">HH", content, at)
        enterprise, at = 0, at + 4
        if version == IPFIX and element & 0x8000:
            enterprise, element, at = struct.unpack_from(">I", content, at)[0], element & 0x7FFF, at + 4
        fields.append((enterprise, element, length))
    return number, fields, scopes, at


def _rate(values):
    if rate := values.get((0, 34)) or values.get((0, 50)):
        return rate
    if values.get((0, 305)) and (0, 306) in values:
        return (values[0, 305] + values[0, 306] + values[0, 305] // 2) // values[0, 305]
    return 0


def _wrapped(ago_ms):
    return (ago_ms + 2**31) % 2**32 - 2**31


def _time(values, domain, sent, elements):
    in_ms, in_s, by_uptime = elements
    export_s, uptime_ms = sent
    if (0, in_ms) in values:
        return values[0, in_ms] * 1000
    if (0, in_s) in values:
        return values[0, in_s] * 1_000_000
    if (0, by_uptime) not in values:
        return None
    if uptime_ms is None:
        if domain.boot_ms is None:
            return None
        uptime_ms = export_s * 1000 - domain.boot_ms
    return export_s * 1_000_000 - _wrapped(uptime_ms - values[0, by_uptime]) * 1000
