"""Collectors of flows side by side: Weighbridge's own server, nfdump's collectors and pmacct's."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from bench.connection import ask, connect, get, put
from bench.flow_datagrams import OWN_ADDRESSES, OWN_NETWORK, own_address
from bench.machine import family_cpu_s
from bench.server import ADMIN, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INSTALL = "Debian: apt-get install nfdump nfdump-sflow pmacct"
PATHS = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"
STARTED_S = 2.0
SERVERS_A_PROJECT = 10_000


@dataclass
class Running:
    """A collector that listens: its UDP port, and what it has used so far, in CPU seconds."""

    name: str
    port: int
    cpu_s: Callable[[], float]


def find(command: str) -> str | None:
    """Where a peer is installed; daemons stand where users' PATH does not look."""
    return shutil.which(command, path=PATHS)


@contextmanager
def weighbridge(folder: Path, kind: str, prefixes: int) -> Iterator[Running]:
    """Our server with one source, and so many prefixes to attribute by, each a server's."""
    port = free_port()
    source = "sflow" if kind == "sflow" else "netflow"
    folder.mkdir()
    settings = folder / "weighbridge.toml"
    settings.write_text(f'[sources.{source}]\nlisten = "127.0.0.1:{port}"\n')
    with Server(folder / "data", config=settings) as server:
        _declare(server.port, prefixes)
        yield Running("weighbridge", port, lambda: family_cpu_s(server.pid))


def _declare(port: int, prefixes: int) -> None:
    servers = [
        {"id": f"sv_{number}", "hostname": f"web-{number}", "region": "r", "addresses": [prefix]}
        for number, prefix in enumerate(own_prefixes(prefixes))
    ]
    project = {"id": "proj_bench", "slug": "bench", "servers": servers}
    organization = {"id": "org_bench", "slug": "bench", "name": "Bench", "projects": [project]}
    catalog = {"regions": [{"id": "reg_r", "slug": "r", "name": "R"}], "organizations": [organization]}
    with connect(port) as connection:
        status, answer = ask(connection, put("/api/v1/catalog", json.dumps(catalog).encode(), ADMIN))
    if status != 200:
        msg = f"the catalog was refused: {answer[-500:]!r}"
        raise RuntimeError(msg)


def own_prefixes(count: int) -> list[str]:
    """So many prefixes that cover the operator's own addresses between them, or one of each address."""
    if count >= OWN_ADDRESSES:
        return [f"{(n := own_address(at)) >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for at in range(count)]
    network = ip_network(OWN_NETWORK)
    if count == 1:
        return [str(network)]
    bits = (count - 1).bit_length()
    return [str(each) for each in list(network.subnets(prefixlen_diff=bits))[:count]]


def moved(port: int) -> tuple[int, int]:
    """Bytes that all servers of our own server's received and sent, as its usage tells them."""
    with connect(port) as connection:
        status, body = ask(connection, get("/api/v1/usage?organization=org_bench", ADMIN))
    told = json.loads(body[body.index(b"{") :])["data"][0]
    return (told["bytes_in"], told["bytes_out"]) if status == 200 else (0, 0)


@contextmanager
def _process(name: str, command: list[str], folder: Path, port: int) -> Iterator[Running]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        time.sleep(STARTED_S)
        if process.poll() is not None:
            msg = f"{name} did not start: {(folder / f'{name}.log').read_text()[-500:]}"
            raise RuntimeError(msg)
        yield Running(name, port, lambda: family_cpu_s(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:  # pmacct's do not hear it
            process.kill()
            process.wait()


@contextmanager
def nfdump(folder: Path, kind: str) -> Iterator[Running]:
    """nfcapd, or sfcapd for sFlow, writing its files uncompressed as it does by default."""
    name = "sfcapd" if kind == "sflow" else "nfcapd"
    folder.mkdir()
    port = free_port()
    command = [str(find(name)), "-b", "127.0.0.1", "-p", str(port), "-l", str(folder), "-t", "60", "-B", str(4 * 2**20)]
    with _process(name, command, folder, port) as running:
        yield running


@contextmanager
def pmacct(folder: Path, kind: str) -> Iterator[Running]:
    """nfacctd, or sfacctd for sFlow, summing by both addresses in memory."""
    name = "sfacctd" if kind == "sflow" else "nfacctd"
    folder.mkdir()
    port = free_port()
    (folder / "c.conf").write_text(
        f"daemonize: false\n{name}_ip: 127.0.0.1\n{name}_port: {port}\nplugins: memory\naggregate: src_host,dst_host\n"
        f"imt_path: {folder}/pipe\nimt_mem_pools_number: 0\nplugin_pipe_size: 67108864\nplugin_buffer_size: 65536\n"
        f"{name}_pipe_size: {4 * 2**20}\n"
    )
    with _process(name, [str(find(name)), "-f", "c.conf"], folder, port) as running:
        yield running


def drops(port: int) -> int:
    """Datagrams that the kernel had no room for on this UDP port of loopback, since it was opened."""
    total = 0
    for line in Path("/proc/net/udp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port:
            total += int(fields[-1])
    return total


def waiting(port: int) -> int:
    """Bytes that stand in the socket's queue and were not read yet."""
    total = 0
    for line in Path("/proc/net/udp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port:
            total += int(fields[4].rpartition(":")[2], 16)
    return total
