"""Datagrams from a socket that does not block into one buffer: by recvmmsg(2) where the platform has it, else one by one.

recvmmsg through ctypes costs a third of recvfrom's CPU time (measured on loopback with 1,400 bytes: 0.9 µs for 2.7 µs).
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE: Final = 2_048
"""Datagrams of a block, at most: 19 MB. A block costs some 0.4 ms of decoding and summing by itself: at 256 as much as the
datagrams do. The kernel's buffer holds 3,600 more of them meanwhile."""
LONGEST_BYTES: Final = 9_216
"""Longest datagram that is taken: a jumbo frame. Exporters keep below their link's frame."""
STRIDE_BYTES: Final = LONGEST_BYTES + 64
"""From one datagram's place in the buffer to the next: room for the byte by which a longer one is told."""
SOURCES_KEPT: Final = 65_536
"""Addresses whose text is kept; then all are forgotten, since most were made up."""

_ROOM_BYTES: Final = LONGEST_BYTES + 1
_DONT_WAIT: Final = getattr(socket, "MSG_DONTWAIT", 0)
_NAME_BYTES: Final = 28  # struct sockaddr_in6, the longer of the two
_ADDRESS: Final = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}  # where an address stands in its struct


class Receiver(Protocol):
    """Number i of its datagrams lies from `i * STRIDE_BYTES` in `octets`."""

    octets: np.ndarray

    def receive(self, at: int) -> tuple[list[int], list[str]]:
        """Lengths and sources of what was waiting, now in place `at` and those behind it, as far as there are any.

        A length of LONGEST_BYTES + 1 says that it was longer. OSError: the socket is of no use any more.
        """


def receiver_of(listening: socket.socket) -> Receiver:
    """The better one that the platform has."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "recvmmsg", None) if os.name == "posix" else None
    return One(listening) if call is None else Many(listening, call)


class One:
    """Anywhere: a system call for each datagram."""

    def __init__(self, listening: socket.socket) -> None:
        self.octets = np.zeros(AT_ONCE * STRIDE_BYTES, np.uint8)
        self._view = self.octets.data
        self._socket = listening
        self._texts = _Texts()

    def receive(self, at: int) -> tuple[list[int], list[str]]:
        """See Receiver. OSError: the socket is of no use any more."""
        lengths, sources = [], []
        try:
            for place in range(at, AT_ONCE):
                length, name = self._socket.recvfrom_into(self._view[place * STRIDE_BYTES :], _ROOM_BYTES)
                lengths.append(length)
                sources.append(self._texts[name[0]])
        except (BlockingIOError, InterruptedError):
            pass
        return lengths, sources


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("bytes", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p), ("name_bytes", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p), ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("control_bytes", ctypes.c_size_t), ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


_MESSAGE: Final = np.dtype({
    "names": ["name_bytes", "length"], "formats": ["u4", "u4"],
    "offsets": [_Header.name_bytes.offset, _Message.length.offset], "itemsize": ctypes.sizeof(_Message),
})


class Many:
    """Linux and the BSDs: up to AT_ONCE datagrams a system call."""

    def __init__(self, listening: socket.socket, recvmmsg: Callable[..., int]) -> None:
        self.octets = np.zeros(AT_ONCE * STRIDE_BYTES, np.uint8)
        self._names = np.zeros((AT_ONCE, _NAME_BYTES), np.uint8)
        self._vectors = (_Vector * AT_ONCE)()
        self._messages = (_Message * AT_ONCE)()
        for at, (vector, message) in enumerate(zip(self._vectors, self._messages, strict=True)):
            vector.base, vector.bytes = self.octets.ctypes.data + at * STRIDE_BYTES, _ROOM_BYTES
            header = message.header
            header.name, header.vectors = self._names.ctypes.data + at * _NAME_BYTES, ctypes.addressof(vector)
            header.vector_count = 1
        self._columns = np.frombuffer(memoryview(self._messages).cast("B"), _MESSAGE)
        self._socket = listening
        self._address = _ADDRESS[listening.family]
        self._texts = _Texts()
        self._call = recvmmsg

    def receive(self, at: int) -> tuple[list[int], list[str]]:
        """See Receiver. OSError: the socket is of no use any more."""
        self._columns["name_bytes"] = _NAME_BYTES
        first = ctypes.byref(self._messages, at * ctypes.sizeof(_Message))
        count = self._call(self._socket.fileno(), first, ctypes.c_uint(AT_ONCE - at), ctypes.c_int(_DONT_WAIT), None)
        if count < 0:
            code = ctypes.get_errno()
            if code in {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR}:
                return [], []
            raise OSError(code, os.strerror(code))
        names = self._names[at : at + count, self._address]
        raw, size = names.tobytes(), names.shape[1]
        texts = self._texts
        if raw == raw[:size] * count:  # most often
            sources = [texts[raw[:size]]] * count
        else:
            sources = [texts[raw[begin : begin + size]] for begin in range(0, len(raw), size)]
        return self._columns["length"][at : at + count].tolist(), sources


class _Texts(dict[bytes | str, str]):
    """Addresses, as the platform has them, as text; IPv4 that is mapped into IPv6 is IPv4."""

    def __missing__(self, name: bytes | str) -> str:
        if len(self) >= SOURCES_KEPT:
            self.clear()
        address = ipaddress.ip_address(name.partition("%")[0] if isinstance(name, str) else name)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        text = self[name] = str(mapped or address)
        return text
