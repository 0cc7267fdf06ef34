"""Ports of UDP on loopback: one that is free, and whether somebody listens on it."""

from __future__ import annotations

import socket
import time
from pathlib import Path


def free_udp_port() -> int:
    """One that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_udp(port: int, within_s: float = 10.0) -> None:
    """Somebody listens on this port of IPv4, or the time is over: then whoever asked finds out itself."""
    until_s = time.monotonic() + within_s
    while f":{port:04X} " not in Path("/proc/net/udp").read_text("ascii") and time.monotonic() < until_s:
        time.sleep(0.01)
