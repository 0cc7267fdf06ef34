"""Real snmpd in network namespaces of its own, with veth pairs, traffic of known size, and what the kernel itself counts."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path

CLONE_NEWNET = 0x40000000
PATIENCE_S = 20.0
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
HEADERS = 14 + 20 + 8
"""Ethernet, IPv4 and UDP: what veth counts beside the payload."""
PORT = 9999
AUTH_KEY, PRIVACY_KEY, COMMUNITY = "auth-password", "privacy-password", "a-community"
_numbers = count()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": PATH}).stdout


def enter(namespace):
    """The calling thread lives in this namespace from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


def inside(namespace, function):
    """What the function returns when it is called in this namespace."""
    found = []

    def call():
        enter(namespace)
        found.append(function())

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(PATIENCE_S)
    return found[0]


def until(true, patience_s=PATIENCE_S):
    ends = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


class Site:
    """A host with an agent, and a peer at the other end of its cables, each in its namespace. Nothing talks by itself."""

    def __init__(self):
        name = f"wb{os.getpid()}-{next(_numbers)}"
        self.host, self.peer = f"{name}h", f"{name}p"
        self.folder = Path(tempfile.mkdtemp(prefix="weighbridge-snmpd-"))
        self._agent = None
        for namespace in (self.host, self.peer):
            run("ip", "netns", "add", namespace)
            run("ip", "netns", "exec", namespace, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        (self.folder / "snmpd.conf").write_text(
            "agentaddress udp:127.0.0.1:161\n"
            f"rocommunity {COMMUNITY} 127.0.0.1\n"
            f"createUser weigher SHA-256 {AUTH_KEY} AES {PRIVACY_KEY}\n"
            "rouser weigher priv\n")
        (self.folder / "persistent").mkdir()

    def cable(self, name, subnet, ordinal=0):
        """A cable from the host's interface of this name to the peer's; nobody has to ask for addresses."""
        macs = [f"02:00:00:{ordinal:02x}:{subnet:02x}:{end:02x}" for end in (1, 2)]
        run("ip", "link", "add", name, "netns", self.host, "address", macs[0], "type", "veth",
            "peer", "name", name, "netns", self.peer, "address", macs[1])
        for namespace, end, other in ((self.host, 1, 2), (self.peer, 2, 1)):
            run("ip", "-n", namespace, "addr", "add", f"10.77.{subnet}.{end}/24", "dev", name)
            run("ip", "-n", namespace, "link", "set", name, "up")
            run("ip", "-n", namespace, "neigh", "replace", f"10.77.{subnet}.{other}", "lladdr", macs[other - 1], "dev", name)

    def cut(self, name):
        run("ip", "-n", self.host, "link", "del", name)

    def send(self, subnet, datagrams, size, *, to_host):
        """Bytes that this puts on the cable. Somebody listens at the other end, or the kernel would answer by ICMP."""
        source, target = (self.peer, self.host) if to_host else (self.host, self.peer)
        address = (f"10.77.{subnet}.{1 if to_host else 2}", PORT)
        listening = inside(target, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sending = inside(source, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with listening, sending:
            listening.bind(address)
            for _ in range(datagrams):
                sending.sendto(bytes(size), address)
        return datagrams * (size + HEADERS)

    def kernel(self, name):
        """Bytes received and sent, as the kernel's own files say."""
        text = run("ip", "netns", "exec", self.host, "cat", "/proc/net/dev")
        fields = next(line for line in text.splitlines() if line.strip().startswith(f"{name}:")).partition(":")[2].split()
        return int(fields[0]), int(fields[8])

    def start_agent(self):
        environment = {**os.environ, "PATH": PATH, "SNMP_PERSISTENT_DIR": str(self.folder / "persistent")}
        with (self.folder / "snmpd.log").open("ab") as log:
            self._agent = subprocess.Popen(
                ["ip", "netns", "exec", self.host, "snmpd", "-f", "-Lo", "-C", "-c", "snmpd.conf", "-p", "snmpd.pid"],
                cwd=self.folder, env=environment, stdout=log, stderr=log)

    def stop_agent(self):
        if self._agent is not None:
            self._agent.terminate()  # `ip netns exec` became snmpd
            self._agent.wait(PATIENCE_S)
        self._agent = None

    def close(self):
        self.stop_agent()
        for namespace in (self.host, self.peer):
            run("ip", "netns", "del", namespace)
        shutil.rmtree(self.folder)


@contextmanager
def site():
    made = Site()
    try:
        yield made
    finally:
        made.close()
