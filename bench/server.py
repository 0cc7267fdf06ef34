"""A real `weighbridge serve` in a process of its own, or the same HTTP server with a handler that does nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.connection import BrokenAnswerError, ask, connect, get

ADMIN = "bench-admin-key-0123456789"
START_S = 60.0
"""A start that takes longer ends the benchmark."""
ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port of loopback that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """One process while the `with` lasts. `started_s` is the time from its start to its first answer."""

    folder: Path
    is_noop: bool = False
    config: Path | None = None  # its settings file
    port: int = field(default_factory=free_port)
    started_s: float = 0.0
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return self.process.pid

    def _command(self) -> list[str]:
        if self.is_noop:
            return [sys.executable, "-m", "bench.noop", str(self.port)]
        command = [sys.executable, "-m", "weighbridge", "serve", "--no-host"]
        command += ["--config", str(self.config)] if self.config else []
        return [*command, "--data", str(self.folder), "--port", str(self.port)]

    def __enter__(self) -> Self:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        variables |= {"WEIGHBRIDGE_ADMIN_KEY": ADMIN, "WEIGHBRIDGE_RATE_LIMITS": "off"}
        log = self.folder.parent / f"{self.folder.name}.log"
        began = time.perf_counter()
        with log.open("ab") as out:
            self.process = subprocess.Popen(self._command(), stdout=out, stderr=out, env=variables, cwd=ROOT)
        while time.perf_counter() - began < START_S and self.process.poll() is None:
            if self._answers():
                self.started_s = time.perf_counter() - began
                return self
            time.sleep(0.005)
        self._end(signal.SIGKILL)
        msg = f"the server did not start: {log.read_text()[-2000:]}"
        raise RuntimeError(msg)

    def _answers(self) -> bool:
        try:
            with connect(self.port) as connection:
                return ask(connection, get("/readyz", ADMIN))[0] == 200
        except (OSError, BrokenAnswerError):
            return False

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
