"""A UDP socket that hands over what comes in blocks."""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.datagrams.block import Datagrams
from weighbridge.datagrams.receiving import AT_ONCE, LONGEST_BYTES, STRIDE_BYTES, receiver_of
from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

RCVBUF_BYTES: Final = 4 * 2**20
"""Asked of the kernel, which gives no more than net.core.rmem_max; 4 MiB hold some 3,600 full datagrams."""
GATHER_S: Final = 0.1
"""How long a block that has a datagram waits for more: few are decoded at nearly the price of many."""
GATHER_STEP_S: Final = 0.01
"""How often it looks whether there are; at 300,000 datagrams a second the kernel's buffer holds that long."""
HIGHEST_PORT: Final = 65_535

_MEMINFO: Final = 55  # SO_MEMINFO, since Linux 4.12: nine counters of a socket, the last of them what it dropped
_DROPS: Final = struct.Struct("@32xI")


class Listener:
    """Bound to its address. One thread receives.

    `counts`, for the collector to merge and clear: by (source address, what), `datagrams_too_long`: more than LONGEST_BYTES,
    left out; and ("", `datagrams_lost`): the kernel had no room for them, whose they were it does not tell (Linux only).
    """

    def __init__(self, address: str, now_us: Callable[[], int], rcvbuf_bytes: int = RCVBUF_BYTES) -> None:
        """`address`: "0.0.0.0:2055" or "[::]:2055", which takes IPv4 too; port 0 is any that is free.

        InvalidInputError: it is no address with a port. OSError: it cannot be bound.
        """
        host, port = read_address(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.counts: Counter[tuple[str, str]] = Counter()
        self._now_us = now_us
        self._lost = 0
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf_bytes)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._socket.settimeout(0)
            self._socket.bind((host, port))
            self._receiver = receiver_of(self._socket)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        """Address and port that it is bound to."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    @property
    def rcvbuf_bytes(self) -> int:
        """What the kernel gave: Linux tells twice what it was asked for, since it counts its own records of them."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def receive(self, timeout_s: float) -> Datagrams | None:
        """The next block, of at most AT_ONCE datagrams; None: nothing came for so long.

        Its octets are good until the next call. It may be empty, where all were too long. OSError: the socket is of no use.
        """
        if not select.select([self._socket], [], [], timeout_s)[0]:
            self._count_lost()
            return None
        lengths, sources = self._receiver.receive(0)
        until_s = time.monotonic() + GATHER_S
        while len(lengths) < AT_ONCE and time.monotonic() < until_s:
            time.sleep(GATHER_STEP_S)
            more = self._receiver.receive(len(lengths))
            lengths += more[0]
            sources += more[1]
        received_us = self._now_us()
        self._count_lost()
        return self._block(np.array(lengths, np.int64), sources, received_us)

    def close(self) -> None:
        """The socket is closed."""
        self._socket.close()

    def _block(self, lengths: np.ndarray, sources: list[str], received_us: int) -> Datagrams:
        starts = np.arange(len(lengths)) * STRIDE_BYTES
        longer = lengths > LONGEST_BYTES
        if longer.any():
            for at in np.flatnonzero(longer).tolist():
                self.counts[sources[at], "datagrams_too_long"] += 1
            kept = np.flatnonzero(~longer)
            starts, lengths, sources = starts[kept], lengths[kept], [sources[at] for at in kept.tolist()]
        return Datagrams(self._receiver.octets, starts, lengths, sources, received_us)

    def _count_lost(self) -> None:
        """What the kernel has dropped since the last look is counted."""
        if sys.platform != "linux":
            return
        lost = _DROPS.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _MEMINFO, _DROPS.size))[0]
        if lost != self._lost:
            self.counts["", "datagrams_lost"] += (lost - self._lost) % 2**32
            self._lost = lost


def read_address(text: str) -> tuple[str, int]:
    """Address and port of "192.0.2.1:2055" or "[2001:db8::1]:2055". InvalidInputError: it is none."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        written = bare if isinstance(ipaddress.ip_address(bare), ipaddress.IPv4Address) else f"[{bare}]"
    except ValueError:
        written = None
    is_port = colon and port.isascii() and port.isdecimal() and int(port) <= HIGHEST_PORT
    if not is_port or host != written:
        detail = f"{text!r} is no address with a port to listen at; right is 0.0.0.0:2055 or [::]:2055"
        raise InvalidInputError(detail)
    return bare, int(port)
