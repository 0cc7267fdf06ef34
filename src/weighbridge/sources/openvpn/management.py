"""The management socket of an OpenVPN server: one connection that is kept, one question at a time."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Final

from weighbridge.sources.openvpn.decode import Dialogue
from weighbridge.sources.polled import UnreadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.collected import Stop

TIMEOUT_S: Final = 5.0
"""Most that a question takes, connecting included: the server answers between two packets."""
LOOK_S: Final = 0.25
"""Most that one wait for bytes takes: a stop is heard after that."""
CHUNK_BYTES: Final = 65_536
"""Most that is received at once."""
QUESTION: Final = b"status 3\n"
"""Version 3: its separator is in no name."""


class Management:
    """A connection to a server, made when it is needed. OpenVPN takes one at a time: others wait until it is let go."""

    def __init__(self, address: str | tuple[str, int], password: Callable[[], str | None]) -> None:
        self._address = address
        self._password = password
        self._socket: socket.socket | None = None
        self._dialogue = Dialogue()

    def ask_status(self, stop: Stop) -> bytes:
        """The server's status, version 3. UnreadError, OSError: it does not answer, or refuses."""
        until_s = time.monotonic() + TIMEOUT_S
        try:
            if self._socket is not None:
                try:
                    return self._ask(until_s, stop)
                except OSError:  # the server was started anew since; what came so far is of no use
                    self.close()
            self._connect(until_s, stop)
            return self._ask(until_s, stop)
        except BaseException:
            self.close()  # or the rest of this answer would be taken for the next one's
            raise

    def close(self) -> None:
        """The connection is let go of."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None

    def _ask(self, until_s: float, stop: Stop) -> bytes:
        self._dialogue.forget()
        self._send(QUESTION)
        while (answer := self._dialogue.take_answer()) is None:
            if self._dialogue.refusal:
                raise UnreadError(f"the management socket says {self._dialogue.refusal[:100].decode('utf-8', 'replace')}")
            self._receive(until_s, stop)
        return answer

    def _connect(self, until_s: float, stop: Stop) -> None:
        """Connected, and through the password if one is wanted."""
        if isinstance(self._address, str):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(TIMEOUT_S)
            self._socket.connect(self._address)
        else:
            self._socket = socket.create_connection(self._address, TIMEOUT_S)
        self._dialogue = Dialogue()
        is_told = False
        while not self._dialogue.greeted:
            if self._dialogue.refusal:
                raise UnreadError("the management socket refuses the password", "password_refused")
            if self._dialogue.wants_password and not is_told:
                password = self._password()
                if password is None:
                    raise UnreadError("the management socket wants a password: give password_file or password_env")
                self._send(password.encode() + b"\n")
                is_told = True
            self._receive(until_s, stop)

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            raise ConnectionError("not connected")
        self._socket.sendall(data)

    def _receive(self, until_s: float, stop: Stop) -> None:
        """Takes in what comes next, waiting a moment. ConnectionError: the server has hung up."""
        if stop.is_set():
            raise UnreadError("told to stop")
        if time.monotonic() > until_s:
            raise UnreadError(
                f"the management socket did not answer within {TIMEOUT_S:g} s: is another program connected to it? "
                "OpenVPN takes one at a time")
        if self._socket is None:
            raise ConnectionError("not connected")
        self._socket.settimeout(LOOK_S)
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except TimeoutError:
            return
        if not data:
            raise ConnectionError("the server has hung up")
        self._dialogue.feed(data)
