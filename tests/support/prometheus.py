"""A real Prometheus in a process of its own, and a page of counters for it to read."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx

from support.process import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

PROGRAM = "prometheus"
STARTED_S = 60.0
"""How long a start may take on a machine that does other things too."""

CONFIGURATION = """
global:
  scrape_interval: 400ms
  scrape_timeout: 400ms
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["127.0.0.1:{page}"]
        labels: {{instance: sv_1}}
remote_write:
  - url: http://127.0.0.1:{server}/api/v1/write
    authorization: {{credentials_file: {key}}}
    write_relabel_configs:
      - {{source_labels: [__name__], regex: "node_network_.*", action: keep}}
    queue_config: {{batch_send_deadline: 200ms, min_shards: 2, max_shards: 2, min_backoff: 50ms, max_backoff: 500ms}}
    metadata_config: {{send_interval: 1s}}
"""


@dataclass
class Page:
    """Counters in the text format, at /metrics on loopback. `served` is what each scrape was told, in order."""

    devices: tuple[str, ...] = ("eth0", "eth1", "lo")
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    served: list[dict[tuple[str, str], int]] = field(default_factory=list)
    is_there: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, received: int, transmitted: int) -> None:
        """All devices received and transmitted so much."""
        with self.lock:
            for device in self.devices:
                for name, amount in (("receive", received), ("transmit", transmitted)):
                    self.totals[name, device] = self.totals.get((name, device), 0) + amount

    def reset(self, received: int) -> None:
        """All counters began anew, and received so much since."""
        with self.lock:
            self.totals = {key: received if key[0] == "receive" else 0 for key in self.totals}

    def text(self) -> str:
        with self.lock:
            if not self.is_there:
                return "other_total 1\n"
            self.served.append(dict(self.totals))
            lines = [f'node_network_{name}_bytes_total{{device="{device}"}} {total}'
                     for (name, device), total in self.totals.items()]
        return "\n".join([*lines, 'node_network_up{device="eth0"} 1', ""])

    def __enter__(self) -> Self:
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = page.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def port(self) -> int:
        return self.server.server_address[1]


@dataclass
class Prometheus:
    """One folder; at most one process at a time."""

    folder: Path
    page: int
    server: int
    key: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """It is ready, and scrapes."""
        program = shutil.which(PROGRAM)
        if program is None:
            msg = f"this test runs a real {PROGRAM}; install Debian's package of that name, or put the program on the PATH"
            raise AssertionError(msg)
        self.folder.mkdir(exist_ok=True)
        (self.folder / "key").write_text(self.key)
        configuration = self.folder / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(page=self.page, server=self.server, key=self.folder / "key"))
        command = [
            program, f"--config.file={configuration}", f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.retention.time=1d",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        until_s = time.monotonic() + STARTED_S
        while time.monotonic() < until_s and self.process.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        msg = f"{PROGRAM} did not start:\n{self.log.read_text()[-3000:]}"
        raise AssertionError(msg)

    @property
    def log(self) -> Path:
        return self.folder / "prometheus.log"

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None
