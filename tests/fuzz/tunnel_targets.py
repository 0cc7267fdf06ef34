"""What tunnels tell: `wg`'s output, OpenVPN's status and its management socket."""

from __future__ import annotations

from contextlib import suppress

from support.openvpn import Client, status_text
from weighbridge.collected import Thing, ThingKind
from weighbridge.sources.openvpn.decode import LINE_MOST, NAME_MOST, STATUS_MOST, Dialogue, Listing, parse_status
from weighbridge.sources.openvpn.sessions import Known, follow, readings_of
from weighbridge.sources.polled import UnreadError
from weighbridge.sources.wireguard.decode import parse_transfer

_KEY = b"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
_LISTED_S = 100
_NOW_US = 10**15
_CLIENTS = [Client(1, "alice", 90, 5, 6), Client(2, "a,b", 120, 7, 8, user="c,d"), Client(3, "UNDEF", 120)]

TRANSFER = (_KEY + b"\t5\t6\n" + _KEY.replace(b"AQ", b"AB") + b"\t18446744073709551615\t0\n", b"")
STATUSES = (
    status_text(130, _CLIENTS, 2), status_text(130, _CLIENTS, 3), status_text(130, []),
    b"OpenVPN STATISTICS\nUpdated,now\nTCP/UDP read bytes,1\nTCP/UDP write bytes,2\nEND\n",
)
SOCKETS = (
    b"\x05ENTER PASSWORD:SUCCESS: password is correct\r\n>INFO:x\r\n" + STATUSES[1].replace(b"\n", b"\r\n"),
    b"\x01ERROR: no\r\nEND\r\n",
)


def transfer(data: bytes) -> None:
    """All or nothing: every line is a peer's, with totals that fit."""
    with suppress(UnreadError):
        peers = parse_transfer(data)
        assert len(peers) <= data.count(b"\n")
        assert all(0 <= total < 2**64 for totals in peers.values() for total in totals)


def status(data: bytes) -> None:
    """Whatever is read becomes readings that a desk takes, one counter each."""
    with suppress(UnreadError):
        found = parse_status(data)
        if isinstance(found, Listing):
            _follow(found)
        else:
            assert 0 <= found.bytes_in < 2**64
            assert 0 <= found.bytes_out < 2**64


def _follow(listing: Listing) -> None:
    known, stood = follow(Known("m", _NOW_US - 10, _LISTED_S), listing, _NOW_US)
    readings = readings_of(known, stood, _NOW_US - 10, "vpn")
    assert len({(reading.thing, reading.counter) for reading in readings}) == len(readings)
    for reading in readings:
        assert reading.thing == Thing(ThingKind.TUNNEL, "vpn", reading.thing.name)
        assert 0 < len(reading.thing.name) <= NAME_MOST
        assert 0 <= reading.bytes_in < 2**64
        assert reading.since_us is None or _NOW_US - 10 < reading.since_us < _NOW_US


def dialogue(data: bytes) -> None:
    """The first byte says in what pieces the rest comes; what waits has a bound, and an answer ends with its END."""
    size = (data[0] if data else 0) + 1
    talk = Dialogue()
    with suppress(UnreadError):
        for start in range(1, len(data), size):
            talk.feed(data[start:start + size])
        while (answer := talk.take_answer()) is not None:
            assert answer.endswith(b"END\n")
            assert b"\n>" not in b"\n" + answer
    assert len(talk._rest) <= LINE_MOST + size
    assert talk._waiting_bytes == sum(len(line) + 1 for line in talk._lines) <= STATUS_MOST + size
