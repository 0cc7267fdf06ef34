"""A UDP socket that hands over what comes in blocks.

Several datagrams a system call (recvmmsg(2), through ctypes) where the platform has it, else one by one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import ipaddress
import select
import socket
import struct
import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.datagrams.block import Datagrams
from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

RCVBUF_BYTES = 4 * 2**20
"""What Linux allows where nobody raised net.core.rmem_max is often less; 4 MiB hold some 3,600 full datagrams."""
AT_ONCE = 256
"""Datagrams of a block, at most: enough that what a block costs by itself is little for each."""
LONGEST_BYTES = 9_216
"""Longest datagram that is taken: a jumbo frame. Exporters keep below their link's frame; longer ones are counted."""
GATHER_S = 0.1
"""How long a block waits for more datagrams once it has one: few are decoded at nearly the price of many."""
GATHER_STEP_S = 0.01
"""How often it looks: some 3,600 datagrams a step fit into the kernel's buffer."""
SOURCES_KEPT = 65_536
"""Addresses whose text is kept."""


class Listener:
    """Bound to its address. One thread receives; `counts` has what happened to datagrams since it was cleared.

    `counts`, by (source address, what): `datagrams_too_long`; and for ("", "datagrams_lost"): dropped by the kernel, whose
    buffer was full.
    """

    def __init__(self, address: str, now_us: Callable[[], int], rcvbuf_bytes: int = RCVBUF_BYTES) -> None:
        """`address`: "0.0.0.0:2055", "[::]:2055" (IPv4 too); port 0 is any that is free.

        InvalidInputError: it is no address with a port. OSError: it cannot be bound.
        """
        raise NotImplementedError

    @property
    def address(self) -> tuple[str, int]:
        """Address and port that it is bound to."""
        raise NotImplementedError

    def receive(self, timeout_s: float) -> Datagrams | None:
        """The next block, of 1 to AT_ONCE datagrams; None: nothing came for so long. Its octets are good until the next."""
        raise NotImplementedError

    def close(self) -> None:
        """The socket is closed."""
        raise NotImplementedError
