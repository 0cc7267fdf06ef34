"""What WireGuard says of its peers, and since when each of their counters runs.

Source: include/uapi/linux/wireguard.h of the Linux kernel; wg(8). A peer's two totals live as long as the peer: they begin
at zero when it is made, in the kernel and in wireguard-go, and nothing but traffic changes them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from weighbridge.collected import CounterReading, Thing, ThingKind
from weighbridge.sources.polled import UnreadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weighbridge.sources.machine import Boot

PEERS_MOST: Final = 100_000
"""Peers of one interface: ten times what one carries in practice. Each is a reading at every poll."""
KEY_BYTES: Final = 32
"""Length of a public key."""
HIDDEN: Final = 0
"""The index of an interface that is there, but in another network namespace than ours."""
INTERRUPTED: Final = 0x10
"""NLM_F_DUMP_INTR: the list changed between two of its messages, so peers may be missing."""

_FIELDS = 3
_TOTAL_END = 2**64

Totals = tuple[int, int]
"""Bytes received from a peer and sent to it, as this end of the tunnel sees them."""


@dataclass(frozen=True, slots=True)
class Device:
    """An interface as polled, with all of its peers by public key. `index` is unique within one boot."""

    index: int
    peers: dict[str, Totals]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look found: the interface, or None where there is none of that name.

    `newest_index`: the highest index of any interface that was there; what is made later gets a higher one.
    """

    device: Device | None
    boot: Boot
    newest_index: int


class Attributes(Protocol):
    """What pyroute2 makes of a netlink message or of one of its nests."""

    def get_attr(self, name: str) -> Any:  # noqa: ANN401  whatever that attribute holds
        """The attribute of that name, or None."""


class Message(Attributes, Protocol):
    """A message, whose header is there by name."""

    def __getitem__(self, name: str) -> Any: ...  # noqa: ANN401  likewise


def parse_transfer(output: bytes) -> dict[str, Totals]:
    """The peers in what `wg show INTERFACE transfer` prints. UnreadError: a line is none of a peer's, or they are too many.

    All or nothing: a peer that were passed over would seem to have been removed.
    """
    peers: dict[str, Totals] = {}
    lines = output.split(b"\n")
    if lines.pop():
        raise UnreadError("wg ended in the middle of a line")
    for line in lines:
        fields = line.split(b"\t")
        if len(fields) != _FIELDS or not all(_is_total(each) for each in fields[1:]):
            raise UnreadError(f"wg printed {line[:100]!r}, which is no key with two totals")
        peers[_key(fields[0])] = (int(fields[1]), int(fields[2]))
    return _bounded(peers)


def merge_messages(messages: Iterable[Message]) -> Device:
    """The interface that the messages of one answer speak of. UnreadError: they are no whole answer.

    A long list of peers comes in several messages, and so does a peer with many allowed addresses: what goes on with it
    names its key again, without totals.
    """
    index: int | None = None
    peers: dict[str, Totals] = {}
    for message in messages:
        if message["header"]["flags"] & INTERRUPTED:
            raise UnreadError("the peers changed while they were listed", "polls_interrupted")
        told = message.get_attr("WGDEVICE_A_IFINDEX")
        if told is None or index not in (None, told):
            raise UnreadError("the kernel's answer is not of one interface")
        index = told
        for peer in message.get_attr("WGDEVICE_A_PEERS") or ():
            received, sent = peer.get_attr("WGPEER_A_RX_BYTES"), peer.get_attr("WGPEER_A_TX_BYTES")
            key = _key(peer.get_attr("WGPEER_A_PUBLIC_KEY") or b"")
            if received is not None and sent is not None:
                peers[key] = (received, sent)
            elif key not in peers:
                raise UnreadError("the kernel told a peer without its totals")
    if index is None:
        raise UnreadError("the kernel's answer is empty")
    return Device(index, _bounded(peers))


def _is_total(field: bytes) -> bool:
    return field.isdigit() and len(field) <= len(str(_TOTAL_END)) and int(field) < _TOTAL_END


def _key(text: bytes) -> str:
    try:
        if len(base64.b64decode(text, validate=True)) == KEY_BYTES:
            return text.decode("ascii")
    except (binascii.Error, ValueError):
        pass
    raise UnreadError(f"{text[:100]!r} is no public key")


def _bounded(peers: dict[str, Totals]) -> dict[str, Totals]:
    if len(peers) > PEERS_MOST:
        raise UnreadError(f"{len(peers)} peers; {PEERS_MOST} are the most of one interface", "peers_too_many")
    return peers


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A peer as last listed. `since_us`: when it was made, where that is known; `is_kept`: its totals were handed in."""

    received: int
    sent: int
    since_us: int | None = None
    is_kept: bool = False


class Known(msgspec.Struct, frozen=True):
    """What is remembered of an interface between polls and restarts.

    `counter` is empty before the first list. `listed_at_us`: when its peers were last listed; `looked_at_us`: when it
    was last looked for, which is later where it was not there. `newest_index` is that of this look.
    """

    counter: str
    boot_id: str
    index: int | None
    newest_index: int
    listed_at_us: int
    looked_at_us: int
    peers: dict[str, Kept]


def follow(known: Known | None, sight: Sight, now_us: int, name: str) -> Known:
    """What to remember after a look at an interface. `name` tells it from all interfaces of all machines.

    An interface that was made anew, and a peer that was missing before or whose totals fell, began after the look before:
    it counts whole since then (law 11). An interface that has another index without being newer was renamed to this
    name: it gets a counter of its own, whose first reading bills nothing (law 8).
    """
    device = sight.device
    if known is None or now_us <= known.looked_at_us:  # where the clock was set back, what was before proves nothing
        counter = "" if known is None else known.counter
        return _known(counter or _counter(name, device), sight, now_us, {} if device is None else _first(device))
    if device is None:
        return msgspec.structs.replace(known, newest_index=sight.newest_index, looked_at_us=now_us)
    made_us = _made_us(known, sight, device, now_us)
    if made_us is not None:
        peers = {key: Kept(*totals, made_us) for key, totals in device.peers.items()}
        return _known(known.counter or _counter(name, device), sight, now_us, peers)
    if device.index != known.index:
        return _known(f"{_counter(name, device)}@{now_us}", sight, now_us, _first(device))
    peers = {key: _peer(known.peers.get(key), totals, known.listed_at_us) for key, totals in device.peers.items()}
    return _known(known.counter, sight, now_us, peers)


def _counter(name: str, device: Device | None) -> str:
    """What an interface's counters are called from its first list on; one that is made anew takes them over.

    By its index, so that two interfaces never share them where what was remembered is lost and names have changed.
    """
    return "" if device is None else f"{name}#{device.index}"


def _known(counter: str, sight: Sight, now_us: int, peers: dict[str, Kept]) -> Known:
    index = None if sight.device is None else sight.device.index
    return Known(counter, sight.boot.id, index, sight.newest_index, now_us, now_us, peers)


def _first(device: Device) -> dict[str, Kept]:
    """Peers of which nothing is known."""
    return {key: Kept(*totals) for key, totals in device.peers.items()}


def _made_us(known: Known, sight: Sight, device: Device, now_us: int) -> int | None:
    """After when the interface was made, if that was after the look before; None: nothing proves it."""
    boot = sight.boot
    if known.boot_id and boot.id and known.boot_id != boot.id:
        booted_us = 0 if boot.at_s is None else min(boot.at_s * 1_000_000, now_us - 1)  # clocks step over reboots
        return max(known.looked_at_us + 1, booted_us)
    is_newer = device.index != known.index and device.index > known.newest_index
    return known.looked_at_us + 1 if is_newer else None


def _peer(last: Kept | None, totals: Totals, listed_at_us: int) -> Kept:
    """A peer of the same interface as before."""
    if last is None:
        return Kept(*totals, listed_at_us)
    if totals[0] < last.received or totals[1] < last.sent:
        return Kept(*totals, listed_at_us + 1)
    return Kept(*totals, last.since_us, last.is_kept)


def readings_of(known: Known, instance: str) -> list[CounterReading]:
    """What the last list of an interface's peers says, one reading a peer: in is what this end received from it."""
    return [
        CounterReading(
            thing=Thing(ThingKind.TUNNEL, instance, key),
            at_us=known.listed_at_us,
            bytes_in=peer.received,
            bytes_out=peer.sent,
            counter=known.counter,
            since_us=peer.since_us,
            is_whole=peer.since_us is not None and not peer.is_kept,
        )
        for key, peer in known.peers.items()
    ]


def marked_kept(known: Known) -> Known:
    """The same, its last readings handed in: from now on each peer's next reading says what it grew by."""
    peers = {key: msgspec.structs.replace(peer, is_kept=True) for key, peer in known.peers.items()}
    return msgspec.structs.replace(known, peers=peers)
