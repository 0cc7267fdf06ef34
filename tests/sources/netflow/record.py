"""`PYTHONPATH=src:tests python tests/sources/netflow/record.py`: records softflowd's datagrams of a small capture anew.

Each file of captures/ holds datagrams, every one behind its length in two bytes; expected.json the capture's own IP bytes
by address, in and out.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from support.netflow import write_capture
from support.pcap import make_capture

FOLDER = Path(__file__).parent / "captures"
PACKETS = 900
SERVERS = ("198.51.100.1", "198.51.100.2", "2001:db8:1::1")
REMOTES = (*(f"203.0.113.{last}" for last in range(1, 9)), "2001:db8:ffff::1", "2001:db8:ffff::2")
KINDS = {
    "v5": ("-v", "5"), "v9": ("-v", "9"), "ipfix": ("-v", "10"), "ipfix_two_way": ("-v", "10", "-b"),
    "ipfix_nano": ("-v", "10", "-A", "nano"), "v9_ether": ("-v", "9", "-T", "ether"),
}


def record(pcap: Path, options: tuple[str, ...], folder: Path) -> list[bytes]:
    """What softflowd sends of a capture. It wants short relative names for its own files."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        receiver.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{receiver.getsockname()[1]}"
        command = ["timeout", "20", shutil.which("softflowd", path="/usr/sbin") or "softflowd", "-d", "-r", str(pcap)]
        subprocess.run([*command, "-n", where, "-p", "x.pid", "-c", "x.ctl", *options], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        receiver.settimeout(0.5)
        found = []
        while True:
            try:
                found.append(receiver.recv(65_535))
            except TimeoutError:
                return found


def main() -> None:
    made = make_capture(PACKETS, SERVERS, REMOTES)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pcap = Path(folder) / "c.pcap"
        made.write(pcap)
        for name, options in KINDS.items():
            (FOLDER / f"{name}.bin").write_bytes(write_capture(record(pcap, options, Path(folder))))
    moved = {address: made.of(address) for address in (*SERVERS, *REMOTES)}
    (FOLDER / "expected.json").write_text(json.dumps(moved, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
