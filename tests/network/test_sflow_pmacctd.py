"""A real sFlow agent over a capture of 24,000 packets: each server's bytes are the capture's own, and sfacctd's reading."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Self

import pytest

from support.network import PATH, Metered, wait_until
from support.pcap import make_capture

SERVERS = ("198.51.100.1", "198.51.100.2", "198.51.100.77", "2001:db8:1::1", "2001:db8:1::2")
REMOTES = tuple(f"203.0.113.{last}" for last in range(1, 60)) + tuple(f"2001:db8:ffff::{last}" for last in range(1, 20))
NOBODY = ("192.0.2.200", "192.0.2.201")
FRAME_BYTES = 18
"""What sFlow's frame lengths have more than IP's: 14 of Ethernet's head, 4 of its check sequence."""
PACKETS = 24_000
AT_ONCE, PACE_S = 10, 0.005
"""Datagrams that are handed on together, and how long the relay rests then: some 2,000 a second."""
TAIL = 60
"""Packets of nobody's at the end: pmacctd does not send the last few of a file."""


class Relay:
    """Hands each datagram on to several ports of loopback, so that all collectors read the same stream.

    pmacctd reads a file as fast as it can, some 5 MB at once, which is more than a socket's buffer: what comes is kept here
    at once, and handed on at a pace that every collector follows, also on a busy machine.
    """

    def __init__(self, *ports: int) -> None:
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        self._in.bind(("127.0.0.1", 0))
        self._in.settimeout(0.2)
        self.port = self._in.getsockname()[1]
        self._ports = ports
        self._kept: deque[bytes] = deque()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._receive), threading.Thread(target=self._hand_on)]

    def _receive(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                self._kept.append(self._in.recv(65_535))

    def _hand_on(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._stop.is_set():
                for _ in range(min(len(self._kept), AT_ONCE)):
                    datagram = self._kept.popleft()
                    for port in self._ports:
                        out.sendto(datagram, ("127.0.0.1", port))
                time.sleep(PACE_S)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._in.close()


class Referee:
    """sfacctd, summing by both addresses in memory."""

    def __init__(self, folder, port: int) -> None:
        self._folder = folder
        (folder / "sfacctd.conf").write_text(
            f"daemonize: false\nsfacctd_ip: 127.0.0.1\nsfacctd_port: {port}\nplugins: memory\naggregate: src_host,dst_host\n"
            f"imt_path: {folder}/pipe\nimt_mem_pools_number: 0\nsfacctd_renormalize: true\n"
            f"plugin_pipe_size: 33554432\nplugin_buffer_size: 1024\nsfacctd_pipe_size: {4 * 2**20}\n"
        )

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [shutil.which("sfacctd", path=PATH), "-f", "sfacctd.conf"], cwd=self._folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        wait_until((self._folder / "pipe").exists, 10)
        return self

    def rows(self) -> list[tuple[str, str, int, int]]:
        """Source, destination, packets, bytes."""
        command = [shutil.which("pmacct", path=PATH), "-s", "-p", str(self._folder / "pipe"), "-O", "csv"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
        cells = [line.split(",") for line in told.splitlines()[1:] if line.count(",") == 3]
        return [(src, dst, int(packets), int(octets)) for src, dst, packets, octets in cells]

    def moved(self) -> dict[str, tuple[int, int]]:
        """IP bytes that each server received and sent."""
        return {address: (self._sum(address, 1), self._sum(address, 0)) for address in SERVERS}

    def _sum(self, address: str, column: int) -> int:
        return sum(row[3] - FRAME_BYTES * row[2] for row in self.rows() if row[column] == address)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    made = make_capture(PACKETS, SERVERS, REMOTES)
    for _ in range(TAIL):
        made.add(*NOBODY, 100)
    path = tmp_path_factory.mktemp("capture") / "c.pcap"
    made.write(path)
    return made, path


def _pmacctd(folder, pcap, port, rate=1):
    (folder / "pmacctd.conf").write_text(
        f"daemonize: false\npcap_savefile: {pcap}\nplugins: sfprobe[s]\nsfprobe_receiver[s]: 127.0.0.1:{port}\n"
        f"sampling_rate[s]: {rate}\n"
    )
    command = ["timeout", "-k", "1", "25", shutil.which("pmacctd", path=PATH), "-f", "pmacctd.conf"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=40, check=False)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_each_server_has_the_bytes_of_the_capture_and_of_another_collector(tmp_path, capture):
    made, pcap = capture
    own, other = _free_udp_port(), _free_udp_port()
    with (
        Metered(tmp_path / "data", f'[sources.sflow]\nlisten = "127.0.0.1:{own}"\n') as metered,
        Referee(tmp_path, other) as referee, Relay(own, other) as relay,
    ):
        metered.declare({f"sv_{at}": [address] for at, address in enumerate(SERVERS)})
        metered.wait_for_udp(own)
        _pmacctd(tmp_path, pcap, relay.port)
        expected = {f"sv_{at}": made.of(address) for at, address in enumerate(SERVERS)}
        wait_until(lambda: metered.usage() == expected, 15)
        assert metered.usage() == expected
        whole = {address: made.of(address) for address in SERVERS}
        wait_until(lambda: referee.moved() == whole, 5)
        assert referee.moved() == whole


def test_samples_stand_for_as_many_packets_as_their_rate_and_are_estimates(tmp_path, capture):
    made, pcap = capture
    own = _free_udp_port()
    with Metered(tmp_path / "data", f'[sources.sflow]\nlisten = "127.0.0.1:{own}"\n') as metered:
        metered.declare({"sv_all": ["198.51.100.0/24", "2001:db8:1::/48"]})
        metered.wait_for_udp(own)
        _pmacctd(tmp_path, pcap, own, rate=10)
        time.sleep(2.5)
        received, sent = metered.usage()["sv_all"]
        whole = made.total - TAIL * 100
        assert 0.85 * whole < received + sent < 1.15 * whole
        assert received % 10 == sent % 10 == 0
        assert metered.is_estimated("sv_all")
