"""An SNMP v2c agent with scripted tables: BER by hand (X.690, RFC 3416), one thread for as many agents as a test needs."""

from __future__ import annotations

import selectors
import socket
import threading
from bisect import bisect_right
from dataclasses import dataclass, field

INTEGER, STRING, OID, SEQUENCE = 0x02, 0x04, 0x06, 0x30
COUNTER32, GAUGE32, TICKS, COUNTER64 = 0x41, 0x42, 0x43, 0x46
NO_SUCH_INSTANCE, END_OF_VIEW = (0x81, b""), (0x82, b"")
GET, GET_NEXT, RESPONSE, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA5
TOO_BIG, GENERAL_ERROR = 1, 5

SYS_UP_TIME = (1, 3, 6, 1, 2, 1, 1, 3, 0)
ENGINE_BOOTS = (1, 3, 6, 1, 6, 3, 10, 2, 1, 2, 0)
ENGINE_TIME = (1, 3, 6, 1, 6, 3, 10, 2, 1, 3, 0)
HOST_UP_TIME = (1, 3, 6, 1, 2, 1, 25, 1, 1, 0)
IF_TABLE = (1, 3, 6, 1, 2, 1, 2, 2, 1)
IF_X_TABLE = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)


def tagged(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def whole(number, tag=INTEGER):
    return tagged(tag, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def oid_of(parts):
    content = bytearray([parts[0] * 40 + parts[1]])
    for part in parts[2:]:
        septets = [part & 0x7F]
        while part := part >> 7:
            septets.append(0x80 | part & 0x7F)
        content += bytes(reversed(septets))
    return tagged(OID, bytes(content))


def read(data, at=0):
    """(tag, content, where the next one begins)."""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at : at + count], "big"), at + count
    return tag, data[at : at + size], at + size


def read_all(data):
    at = 0
    while at < len(data):
        tag, content, at = read(data, at)
        yield tag, content


def parts_of(content):
    parts, number = [content[0] // 40, content[0] % 40], 0
    for octet in content[1:]:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            parts.append(number)
            number = 0
    return tuple(parts)


def encoded(value):
    """A scripted value: (tag, number or bytes), a number (an INTEGER), or a text."""
    tag, content = value if isinstance(value, tuple) else (STRING if isinstance(value, str | bytes) else INTEGER, value)
    if isinstance(content, int):
        return whole(content, tag)
    return tagged(tag, content.encode() if isinstance(content, str) else content)


@dataclass
class Port:
    """An interface of a scripted table; None leaves an object out."""

    name: str | bytes | None
    wide: tuple[int | None, int | None] | None = None
    narrow: tuple[int | None, int | None] | None = None
    speed: object = 1000
    discontinuity: int | None = 0
    status: int | None = 1
    described: str | None = None
    alias: str = ""
    more: dict = field(default_factory=dict)  # (table, column): value, last word

    def objects(self, index):
        wide, narrow = self.wide or (None, None), self.narrow or (None, None)
        high_speed = (GAUGE32, self.speed) if isinstance(self.speed, int) else self.speed
        found = {
            (IF_X_TABLE, 1): self.name,
            (IF_X_TABLE, 6): None if wide[0] is None else (COUNTER64, wide[0]),
            (IF_X_TABLE, 10): None if wide[1] is None else (COUNTER64, wide[1]),
            (IF_X_TABLE, 15): high_speed,
            (IF_X_TABLE, 18): self.alias,
            (IF_X_TABLE, 19): None if self.discontinuity is None else (TICKS, self.discontinuity),
            (IF_TABLE, 2): self.described,
            (IF_TABLE, 8): self.status,
            (IF_TABLE, 10): None if narrow[0] is None else (COUNTER32, narrow[0]),
            (IF_TABLE, 16): None if narrow[1] is None else (COUNTER32, narrow[1]),
        } | self.more
        return {(*table, column, index): value for (table, column), value in found.items() if value is not None}


class Agent:
    """Answers requests from `objects`. Each fault is a switch; `before(agent, kind)` may change things at each request."""

    def __init__(self, community="public"):
        self.community = community.encode()
        self.largest = 65_000     # bytes of a response: GETs get tooBig beyond, GETBULKs fewer rows
        self.drops_large = False  # what is too large is not answered at all
        self.is_mute = False
        self.garbage = None
        self.failing = ()         # OIDs for which a GET is answered with genErr
        self.before = None
        self.requests = []        # kind and OIDs of each
        self._objects, self._ordered = {}, []

    def table(self, ports, *, up_ticks=None, boots=None, engine_s=None, host_ticks=None, more=None):
        """Everything that the agent has from now on. `ports`: by index, or (index, Port) in pairs."""
        objects = {}
        for index, port in ports.items():
            objects |= port.objects(index)
        clocks = {SYS_UP_TIME: up_ticks, HOST_UP_TIME: host_ticks}
        objects |= {oid: (TICKS, ticks) for oid, ticks in clocks.items() if ticks is not None}
        objects |= {oid: value for oid, value in {ENGINE_BOOTS: boots, ENGINE_TIME: engine_s}.items() if value is not None}
        objects |= more or {}
        self._ordered = sorted(objects)
        self._objects = {oid: (oid_of(oid), encoded(value)) for oid, value in objects.items()}

    def respond(self, datagram):
        """The answer to a datagram; None for none."""
        _, message, _ = read(datagram)
        (_, version), (_, community), (kind, pdu) = read_all(message)
        if self.before is not None:
            self.before(self, kind)
        if self.is_mute or community != self.community:
            return None
        if self.garbage is not None:
            return self.garbage
        (_, number), (_, first), (_, second), (_, bindings) = read_all(pdu)
        oids = [parts_of(next(read_all(binding))[1]) for _, binding in read_all(bindings)]
        self.requests.append((kind, oids))
        head = tagged(INTEGER, version) + tagged(STRING, community)
        status, found = self._found(kind, oids, int.from_bytes(first, "big"), int.from_bytes(second, "big"))
        answer = _message(head, number, status, found)
        while len(answer) > self.largest:
            if self.drops_large:
                return None
            status, found = (0, found[:-1]) if kind == GET_BULK and len(found) > 1 else (TOO_BIG, [])
            answer = _message(head, number, status, found)
        return answer

    def _found(self, kind, oids, first, second):
        if kind == GET:
            if any(oid in self.failing for oid in oids):
                return GENERAL_ERROR, [tagged(SEQUENCE, oid_of(oid) + b"\x05\x00") for oid in oids]
            return 0, [self._binding(oid) for oid in oids]
        if kind == GET_NEXT:
            return 0, [self._after(oid)[1] for oid in oids]
        rows = [self._after(oid)[1] for oid in oids[:first]]
        oids = oids[first:]
        for _ in range(second):
            pairs = [self._after(oid) for oid in oids]
            rows += [binding for _, binding in pairs]
            oids = [oid for oid, _ in pairs]
            if all(oid == (2, 39) for oid in oids):
                break
        return 0, rows

    def _binding(self, oid):
        known = self._objects.get(oid) or (oid_of(oid), tagged(*NO_SUCH_INSTANCE))
        return tagged(SEQUENCE, b"".join(known))

    def _after(self, oid):
        place = bisect_right(self._ordered, oid)
        if place == len(self._ordered):
            return (2, 39), tagged(SEQUENCE, oid_of(oid) + tagged(*END_OF_VIEW))
        return self._ordered[place], self._binding(self._ordered[place])


def _message(head, number, status, bindings):
    body = tagged(INTEGER, number) + whole(status) + whole(0) + tagged(SEQUENCE, b"".join(bindings))
    return tagged(SEQUENCE, head + tagged(RESPONSE, body))


class Serving:
    """Agents behind sockets of loopback, each at a port of its own, served by one thread while the `with` lasts."""

    def __init__(self, *agents):
        self._selector = selectors.DefaultSelector()
        self.ports = []
        for agent in agents:
            bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            bound.bind(("127.0.0.1", 0))
            self._selector.register(bound, selectors.EVENT_READ, agent)
            self.ports.append(bound.getsockname()[1])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _serve(self):
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.02):
                datagram, sender = key.fileobj.recvfrom(65_535)
                answer = key.data.respond(datagram)
                if answer is not None:
                    key.fileobj.sendto(answer, sender)
