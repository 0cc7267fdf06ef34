"""Network namespaces of a test's own, wired as it likes; no frame is on them that the test did not send."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import Any

_numbers = itertools.count()
SEND = """
import socket, sys
link, mac, frames, size = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), int(sys.argv[3]), int(sys.argv[4])
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((link, 0))
own = out.getsockname()[4]
for _ in range(frames):
    out.send(mac + own + b"\\x88\\xb5" + bytes(size - 14))
"""
"""Frames of a kind that is reserved for experiments (IEEE 802): nothing answers them, as it would answer datagrams."""


class Namespace:
    """A namespace without IPv6, so that no neighbour is looked for; gone, with all that is in it, when it is closed."""

    def __init__(self) -> None:
        self.name = f"wb{os.getpid()}-{next(_numbers)}"
        run("ip", "netns", "add", self.name)
        for which in ("all", "default"):
            self.run("sysctl", "-qw", f"net.ipv6.conf.{which}.disable_ipv6=1")

    def close(self) -> None:
        run("ip", "netns", "del", self.name)

    def run(self, *command: str) -> str:
        """The output of a command that ran inside."""
        return run("ip", "netns", "exec", self.name, *command)

    def ip(self, *arguments: str) -> str:
        return run("ip", "-n", self.name, *arguments)

    def start(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        """A process that runs inside; `ip` turns into it, so that it has the id."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], text=True, **more)

    def up(self, link: str, mac: str | None = None) -> None:
        """The link carries frames."""
        if mac is not None:
            self.ip("link", "set", link, "address", mac)
        self.ip("link", "set", link, "up")

    def send(self, link: str, mac: str, frames: int, size: int = 1000) -> int:
        """So many frames of so many bytes are on their way to an address; the bytes of all."""
        self.run(sys.executable, "-c", SEND, link, mac, str(frames), str(size))
        return frames * size


def wire(one: Namespace, one_link: str, other: Namespace, other_link: str) -> None:
    """A cable between two namespaces."""
    one.ip("link", "add", one_link, "type", "veth", "peer", "name", other_link, "netns", other.name)


def run(*command: str) -> str:
    """Its output. AssertionError with what it said, where it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, f"{' '.join(command)}: {ran.stderr}{ran.stdout}"
    return ran.stdout
