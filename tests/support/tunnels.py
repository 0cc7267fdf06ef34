"""Two hosts in namespaces of their own with a cable between, WireGuard and OpenVPN on them, and a server that meters one."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from support.namespaces import Namespace, run, wire
from support.process import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
PATIENCE_S = 20
CLONE_NEWNET = 0x40000000
PORT = 9999
"""Where datagrams go through the tunnel; nobody answers them."""


def enter(namespace: Namespace) -> None:
    """The calling thread, and what it starts, lives in this namespace from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/run/netns/{namespace.name}", os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


def inside(namespace: Namespace, function: Callable[[], Any]) -> Any:
    """What the function returns when a thread calls it in this namespace."""
    found: list[Any] = []
    failed: list[BaseException] = []

    def call() -> None:
        try:
            enter(namespace)
            found.append(function())
        except BaseException as error:  # noqa: BLE001  it is raised again, by the test
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(PATIENCE_S)
    if failed:
        raise failed[0]
    return found[0]


def until(what: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """The first thing that it returns and that is true."""
    ends_s = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < ends_s, "nothing came of it"
        time.sleep(0.05)
    return found


class Hosts:
    """`server` at 10.9.0.1 and `client` at 10.9.0.2; everything that runs on them ends with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ending = ExitStack()
        self.server, self.client = self._host(), self._host()
        wire(self.server, "eth0", self.client, "eth0")
        for host, address in ((self.server, "10.9.0.1/24"), (self.client, "10.9.0.2/24")):
            host.ip("addr", "add", address, "dev", "eth0")
            host.up("eth0")
            host.up("lo")

    def _host(self) -> Namespace:
        host = Namespace()
        self._ending.callback(host.close)
        return host

    def start(self, host: Namespace, *command: str) -> subprocess.Popen[str]:
        """A process on a host; what it says is in a file beside the test's."""
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            process = host.start(*command, stdout=log, stderr=log, cwd=self.folder)
        self._ending.callback(end, process)
        return process

    def serve(self, tables: str, peers: list[dict[str, str]], instances: tuple[str, ...] = (VPN,)) -> Server:
        """A real server on the server's loopback, with these sources, and with instances that have these peers."""
        (self.folder / "weighbridge.toml").write_text(tables)
        server = Server(
            self.folder / "data", arguments=("--no-host", "--config", str(self.folder / "weighbridge.toml")),
            wrapper=["ip", "netns", "exec", self.server.name])
        inside(self.server, server.start)
        self._ending.callback(lambda: server.process and server.kill())
        vpns = [{"id": each, "name": f"vpn-{number}", "peers": peers} for number, each in enumerate(instances)]
        acme = {"id": "org_acme", "slug": "acme", "name": "Acme", "vpn_instances": vpns}
        answer = self.ask(server, "PUT", "/api/v1/catalog", json={"organizations": [acme]})
        assert answer.status_code == 200, answer.text
        return server

    def ask(self, server: Server, method: str, path: str, **more: Any) -> Any:
        """An answer of the server, asked on its own host."""
        def call() -> Any:
            with server.client() as client:
                return client.request(method, path, **more)

        return inside(self.server, call)

    def usage(self, server: Server, vpn: str = VPN) -> dict[str, tuple[int, int]]:
        """Bytes in and out of each peer, and of the instance itself under ""."""
        start, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + more_s)) for more_s in (-3600, 3600))
        asked = {"from": start, "to": end, "window": "total", "vpn": vpn, "group_by": "peer"}
        answer = self.ask(server, "GET", "/api/v1/usage", params=asked)
        assert answer.status_code == 200, answer.text
        rows = answer.json()["data"]
        return {row["peer"] or "": (row["bytes_in"] or 0, row["bytes_out"] or 0) for row in rows}

    def bandwidth(self, server: Server, vpn: str = VPN) -> tuple[int, int]:
        """What Altostrat's endpoint says of the instance."""
        answer = self.ask(server, "GET", f"/vpn/instances/{vpn}/bandwidth")
        assert answer.status_code == 200, answer.text
        return answer.json()["incoming_bytes"], answer.json()["outgoing_bytes"]

    def polls(self, server: Server, source: str, vpn: str = VPN) -> int:
        """How many polls of an instance the server has taken in."""
        lines = self.ask(server, "GET", "/metrics").text.splitlines()
        labels = (f'source="{source}"', f'"{vpn}"', '"polls"')
        found = [line for line in lines if line.startswith("weighbridge_source_") and all(label in line for label in labels)]
        return sum(int(float(line.rpartition(" ")[2])) for line in found)

    def close(self) -> None:
        self._ending.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def end(process: subprocess.Popen[str]) -> None:
    """It is over, however it takes it."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def send(host: Namespace, link: str, address: str, count: int, size: int) -> None:
    """So many datagrams of so many bytes are on their way through a link."""
    def call() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
            for _ in range(count):
                out.sendto(bytes(size), (address, PORT))
                time.sleep(0.0005)  # no queue on the way runs over

    inside(host, call)


def listen(host: Namespace, address: str) -> socket.socket:
    """A socket that takes datagrams and says nothing, so that no host answers that there is none."""
    def call() -> socket.socket:
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**21)
        taken.bind((address, PORT))
        return taken

    return inside(host, call)


def transfer(link: str) -> dict[str, tuple[int, int]]:
    """What `wg` says of each peer."""
    lines = [line.split() for line in run("wg", "show", link, "transfer").splitlines()]
    return {key: (int(received), int(sent)) for key, received, sent in lines}
