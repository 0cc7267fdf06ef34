"""The applications of tests/clients/apps, each in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.environments import python_of
from support.node import FOLDER, NODE, install_clients
from support.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

APPS = FOLDER / "apps"
STARTED_S = 30.0
"""How long an app may take to listen on a machine that does other things too."""
STOPPED_S = 30.0
"""How long an app may take to send what it still holds: two requests of 10 s each, and its own end."""


def _hub(url: str) -> dict[str, str]:
    return {"APITALLY_HUB_BASE_URL": url}


def _otlp(url: str) -> dict[str, str]:
    return {"APITALLY_OTLP_ENDPOINT": url}


def _sdk(url: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_EXPORTER_OTLP_TIMEOUT": "90",
        "OTEL_METRIC_EXPORT_TIMEOUT": "90000",  # they try for so long; by default 10 s, and then the data is gone
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http", "OTEL_SERVICE_NAME": "shop",
    }


def _sdk_delta(url: str) -> dict[str, str]:
    return _sdk(url) | {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}


def _sdk_twins(url: str) -> dict[str, str]:
    return _sdk(url) | {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=shop-1"}


@dataclass(frozen=True)
class Client:
    """One client: the app that it sits in, where that runs (None: in Node), and how it is told where to send."""

    name: str
    script: str
    environment: str | None
    variables: Callable[[str], dict[str, str]]
    flushes: bool = True
    """It sends what it holds when it is stopped. The JS client leaves that to its next sync, which never comes."""

    @property
    def is_hub(self) -> bool:
        """It speaks the hub's protocol, else OTLP."""
        return self.variables is _hub

    def command(self) -> list[str]:
        """What starts the app, but for its three arguments. The packages are installed when this returns."""
        if self.environment is None:
            install_clients()
            return [str(NODE), str(APPS / self.script)]
        return [str(python_of(self.environment)), str(APPS / self.script)]


CLIENTS = {client.name: client for client in (
    Client("apitally0", "apitally0_starlette.py", "apitally0", _hub),
    Client("apitally_js", "apitally_express.mjs", None, _hub, flushes=False),
    Client("apitally1", "apitally1_fastapi.py", "apitally1", _otlp),
    Client("otel", "otel_fastapi.py", "otel", _sdk),
    Client("otel_delta", "otel_fastapi.py", "otel", _sdk_delta),
)}

OTEL_TWINS = Client("otel_twins", "otel_fastapi.py", "otel", _sdk_twins)
"""Two of its processes differ in nothing but when they started: so do the workers of one server with an SDK that gives no
service.instance.id by itself, and with any SDK where the variable above names one."""


@dataclass
class RunningApp:
    """One process of one app, from `start` to `stop`."""

    client: Client
    folder: Path
    environment: str
    credential: str
    destination: str
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the app and its client print."""
        return self.folder / f"{self.client.name}-{self.port}.log"

    def start(self) -> None:
        """The app listens."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """The process is there, and will listen soon."""
        command = [*self.client.command(), str(self.port), self.environment, self.credential]
        variables = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_THE_APPS)}
        variables |= {"TMPDIR": str(self.folder)} | self.client.variables(self.destination) | self.variables
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, cwd=self.folder)

    def wait(self) -> None:
        """The app listens. No request is made to find that out: it would be counted."""
        assert self.process is not None
        give_up_s = time.monotonic() + STARTED_S
        while time.monotonic() < give_up_s and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"{self.client.name} did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> int:
        """SIGTERM; the exit code. What the client still held is sent, where it can do so."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: what the client still held is gone."""
        self._end(signal.SIGKILL)

    def _end(self, sign: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(sign)
        code = self.process.wait(STOPPED_S)
        self.process = None
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()


_NOT_THE_APPS = ("PYTEST_", "PYTHONPATH", "APITALLY_", "OTEL_", "WEIGHBRIDGE_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy",
                 "https_proxy", "ALL_PROXY", "all_proxy")
"""What the app must not see of the test's own variables: apitally 1.x sends nothing where pytest's are set, and a proxy
would be asked for loopback."""
