"""A real `weighbridge serve` in a process of its own, to be asked, stopped and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

ADMIN = "test-admin-key-0123456789"
STARTED_S = 60.0
"""How long a start may take on a machine that does other things too, before the test gives up."""


def free_port() -> int:
    """A port of loopback that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """One data folder, one port, and at most one process at a time."""

    folder: Path
    arguments: tuple[str, ...] = ("--no-host",)
    port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)
    wrapper: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def start(self) -> float:
        """Seconds from the start of the process to its first answer."""
        began = time.monotonic()
        command = [sys.executable, "-m", "weighbridge", "serve", "--data", str(self.folder), "--port", str(self.port)]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        variables |= {"WEIGHBRIDGE_ADMIN_KEY": ADMIN, "WEIGHBRIDGE_RATE_LIMITS": "off"} | self.variables
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *command, *self.arguments], stdout=log, stderr=log, env=variables, cwd=self.folder.parent
            )
        with httpx.Client() as client:
            while time.monotonic() - began < STARTED_S:
                try:
                    if client.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                        return time.monotonic() - began
                except httpx.TransportError:
                    time.sleep(0.02)
                if self.process.poll() is not None:
                    break
        msg = f"the server did not start:\n{self.log.read_text()[-3000:]}"
        raise AssertionError(msg)

    def kill(self) -> None:
        """kill -9: no warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(sign)
        code = self.process.wait(30)
        self.process = None
        return code

    def client(self, key: str = ADMIN, **options) -> httpx.Client:
        """A client of the server's API."""
        return httpx.Client(base_url=self.url, headers={"Authorization": key}, timeout=30, **options)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()
