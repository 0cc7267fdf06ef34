"""Status texts as OpenVPN writes them, version 2 and 3 (2.6.14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CLIENT_COLUMNS = (
    "Common Name", "Real Address", "Virtual Address", "Virtual IPv6 Address", "Bytes Received", "Bytes Sent",
    "Connected Since", "Connected Since (time_t)", "Username", "Client ID", "Peer ID", "Data Channel Cipher",
)


@dataclass
class Client:
    """A session as the server keeps it."""

    number: int
    name: str
    connected_s: int
    received: int = 0
    sent: int = 0
    user: str = "UNDEF"


def status_text(time_s: int, clients: Iterable[Client], version: int = 2) -> bytes:
    """The status of a server with these sessions."""
    lines = [
        ["TITLE", "OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)] [LZO] [LZ4] [EPOLL] [PKCS11] [MH/PKTINFO] [AEAD] [DCO]"],
        ["TIME", "2026-11-26 00:17:44", str(time_s)],
        ["HEADER", "CLIENT_LIST", *CLIENT_COLUMNS],
        *(["CLIENT_LIST", each.name, f"192.0.2.7:{40_000 + each.number}", "10.8.0.2", "", str(each.received), str(each.sent),
           "2026-11-26 00:17:41", str(each.connected_s), each.user, str(each.number), str(each.number), "AES-256-GCM"]
          for each in clients),
        ["HEADER", "ROUTING_TABLE", "Virtual Address", "Common Name", "Real Address", "Last Ref", "Last Ref (time_t)"],
        ["GLOBAL_STATS", "Max bcast/mcast queue length", "9"],
        ["GLOBAL_STATS", "dco_enabled", "0"],
        ["END"],
    ]
    separator = "\t" if version == 3 else ","
    return "".join(separator.join(line) + "\n" for line in lines).encode()
