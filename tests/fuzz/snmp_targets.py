"""Fuzzed: what SNMP agents may answer, over several polls of one device."""

from __future__ import annotations

from contextlib import suppress

from weighbridge.domain.counters import Reading, advance
from weighbridge.sources.snmp.decode import KnownDevice, Poll, ask, decode
from weighbridge.sources.snmp.varbinds import IF_DESCR, IF_NAME, SYSTEM, MovedError, names_of, row_of, system_of

MINUTE_US = 60_000_000
VALUES = (
    None, 0, 1, -1, 2**31 - 1, 2**32 - 1, 2**32, 2**64 - 1, 2**64, True, 0.5,
    "eth0", "eth1", b"eth0", b"\0", b"\xff", "", "x" * 256,
)
SEEDS = (bytes(range(120)), b"\x0b\x03\x05" * 60, b"\x02" * 200 + b"\x07" * 100)


class Script:
    """Values in the order of the data; nothing but absent ones behind its end."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def value(self) -> object:
        octet = next(self._data, 0)
        return octet if octet >= 128 else VALUES[octet % len(VALUES)]

    def number(self, below: int) -> int:
        return next(self._data, 0) % below


def snmp(data: bytes) -> None:
    """Readings lie within their bounds, whatever is answered, and the laws of counters can take them."""
    script, known, states = Script(data), KnownDevice(), {}
    at_us = 1_796_000_000_000_000
    for _ in range(4):
        at_us += script.number(3) * MINUTE_US
        answer = {oid: script.value() for oid in SYSTEM}
        column = (IF_NAME, IF_DESCR)[script.number(2)]
        names = names_of([(f"{column}.{script.number(6)}", script.value()) for _ in range(script.number(6))], column)
        system = system_of(answer, at_us)
        rows = []
        for asked in ask(names, dict.fromkeys(names, column), (), known):
            found = {oid: script.value() for oid in asked.oids} | {f"{column}.{asked.index}": asked.name}
            if script.number(8) == 0:
                found[f"{column}.{asked.index}"] = script.value()
            with suppress(MovedError):
                rows.append(row_of(asked, found, at_us + asked.index, system.up_ticks))
        read = [row for row in rows if row is not None]
        decoded = decode("tor-1", Poll(system, names, read, bool(script.number(2))), known)
        known = decoded.known
        for each in decoded.readings:
            totals = (each.bytes_in, each.bytes_out)
            assert any(total is not None for total in totals)
            assert all(total is None or 0 <= total < 2**each.bits for total in totals)
            assert each.since_us is None or each.since_us < each.at_us
            key = (each.thing, each.counter)
            step = advance(states.get(key), Reading(each.at_us, *totals, each.bits, each.since_us, each.line_rate_bps))
            assert all(part.start_us < part.end_us for part in step.parts)
            states[key] = step.state or states.get(key)
