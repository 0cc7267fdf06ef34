"""Real OpenVPN between two namespaces, metered by a real server from the status file and from the management socket.

Both are read of the same OpenVPN server, each as an instance of its own, so each byte is seen in both ways.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.namespaces import run
from support.tunnels import VPN, Hosts, end, inside, listen, send, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

ASKED = "5c0a3f1e-1b0f-4f6e-9f6c-2f2a3b1e7d10"
"""The instance that is read by the management socket."""
INSTANCES = (VPN, ASKED)
SERVER = """
dev {link}
dev-type tun
topology subnet
server 10.8.0.0 255.255.255.0
proto udp
local 10.9.0.1
ca ca.crt
cert server.crt
key server.key
dh none
duplicate-cn
status status.log 1
status-version 2
management management.sock unix password
script-security 2
client-disconnect disconnect.sh
"""
CLIENT = ("--client", "--nobind", "--dev-type", "tun", "--proto", "udp", "--remote", "10.9.0.1", "--ca", "ca.crt",
          "--remote-cert-tls", "server", "--explicit-exit-notify", "1")
TABLES = f"""
[[sources.openvpn]]
instance = "{VPN}"
status = "status.log"
interval_s = 1

[[sources.openvpn]]
instance = "{ASKED}"
management = "./management.sock"
password_file = "password"
interval_s = 1
"""
PEERS = {"alice": "alice", "john": "Smith, John"}
"""In the catalog, by id; bob is not."""


def certify(folder: Path) -> None:
    """An authority, and certificates of a server and of three clients."""
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def openssl(*words: str) -> None:
        run("openssl", *words)

    openssl("req", "-x509", *new, "-days", "30", "-subj", "/CN=ca", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.crt")
    for name, common_name, use in (
        ("server", "server", "serverAuth"), ("alice", "alice", "clientAuth"), ("bob", "bob", "clientAuth"),
        ("john", "Smith, John", "clientAuth"),
    ):
        extensions = folder / f"{name}.ext"
        extensions.write_text(f"keyUsage=digitalSignature\nextendedKeyUsage={use}\n")
        own = f"{folder}/{name}"
        openssl("req", *new, "-subj", f"/CN={common_name}", "-keyout", f"{own}.key", "-out", f"{own}.csr")
        openssl("x509", "-req", "-in", f"{own}.csr", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key",
                "-CAcreateserial", "-days", "30", "-out", f"{own}.crt", "-extfile", str(extensions))


class Site:
    """An OpenVPN server, its clients, and a metering server beside it."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, self.folder = hosts, hosts.folder
        self.mark = hosts.server.name[2:]
        self.ended: Counter[tuple[str, int]] = Counter()
        self.clients: dict[str, subprocess.Popen[str]] = {}
        certify(self.folder)
        (self.folder / "password").write_text("hush\n")
        (self.folder / "server.conf").write_text(SERVER.format(link=f"ovs{self.mark}"))
        script = self.folder / "disconnect.sh"
        script.write_text('#!/bin/sh\necho "$common_name|$bytes_received|$bytes_sent" >>disconnected\n')
        script.chmod(0o700)
        (self.folder / "disconnected").touch()
        self.start()
        self.server = hosts.serve(TABLES, [{"id": id_, "common_name": name} for id_, name in PEERS.items()], INSTANCES)
        until(lambda: all(hosts.polls(self.server, "openvpn", each) for each in INSTANCES))

    def start(self) -> None:
        """OpenVPN's server."""
        self.daemon = self.hosts.start(self.hosts.server, "openvpn", "--config", "server.conf")
        self.taken = until(self._listen)

    def _listen(self):
        try:
            return listen(self.hosts.server, "10.8.0.1")
        except OSError:
            return None

    def stop(self) -> None:
        """The server and all sessions are over."""
        self.taken.close()
        for session in self.sessions().values():
            self.write_down(session)
        end(self.daemon)
        (self.folder / "status.log").unlink()

    def restart(self) -> None:
        """What was moved is counted, and all clients are gone too."""
        self.weigh()
        self.stop()
        while self.clients:
            self.clients.popitem()[1].kill()
        self.start()

    def sessions(self) -> dict[str, tuple[str, int, int]]:
        """Name, bytes received and bytes sent of each by its number, from the status file, read in the plainest way."""
        lines = until(self._status)
        told = [line.replace("Smith, John", "Smith John").split(",") for line in lines if line.startswith("CLIENT_LIST,")]
        return {words[10]: (words[1].replace("Smith John", "Smith, John"), int(words[5]), int(words[6])) for words in told}

    def _status(self) -> list[str] | None:
        """The lines of the status file; None: it is just being rewritten. An idle server writes its first after 10 s."""
        try:
            lines = (self.folder / "status.log").read_text().splitlines()
        except FileNotFoundError:
            return ["END"]
        return lines if lines and lines[-1] == "END" else None

    def names(self) -> list[str]:
        return sorted(name for name, _, _ in self.sessions().values())

    def connect(self, **devices: str) -> None:
        """Clients are connected, each with the certificate of that name; those of one name are told apart by their devices."""
        wanted = sorted([*self.names(), *(PEERS.get(name, name) for name in devices.values())])
        for device, name in devices.items():
            self.clients[device] = self.hosts.start(
                self.hosts.client, "openvpn", *CLIENT, "--dev", self._link(device),
                "--cert", f"{name}.crt", "--key", f"{name}.key")
        until(lambda: self.names() == wanted)
        for device in devices:
            until(partial(self._is_up, self._link(device)))

    def _is_up(self, link: str) -> bool:
        return "10.8.0." in self.hosts.client.ip("-o", "addr", "show", link)

    def disconnect(self, device: str, other: str) -> None:
        """The session is over, seconds after its client has taken its leave; its last totals are written down.

        They stand still before the server lets go of them, so that every collector sees them. Another client talks
        meanwhile: a server that has nothing to do and is not asked sleeps for ten seconds.
        """
        before = self.sessions()
        end(self.clients.pop(device))
        last = before
        while (now := self.sessions()).keys() == before.keys():
            last = now
            self.talk(other, 1, 100)
            time.sleep(0.1)
        (gone,) = before.keys() - now.keys()
        self.write_down(last[gone])

    def write_down(self, session: tuple[str, int, int]) -> None:
        """These are the last totals of a session that anybody sees."""
        name, received, sent = session
        self.ended[name, 0] += received
        self.ended[name, 1] += sent

    def _link(self, device: str) -> str:
        return f"ov{device}{self.mark}"

    def talk(self, device: str, count: int, size: int) -> None:
        """So many datagrams have gone through the tunnel, none was lost."""
        send(self.hosts.client, self._link(device), "10.8.0.1", count, size)
        for _ in range(count):
            self.taken.settimeout(5)
            assert len(self.taken.recv(2**16)) == size

    def moved(self) -> dict[str, tuple[int, int]]:
        """By OpenVPN's status: what each peer of the catalog moved, and the others for the instance."""
        total = Counter(self.ended)
        for name, received, sent in self.sessions().values():
            total[name, 0] += received
            total[name, 1] += sent
        named = {id_: (total[name, 0], total[name, 1]) for id_, name in PEERS.items()}
        return {who: amounts for who, amounts in (named | {"": (total["bob", 0], total["bob", 1])}).items() if any(amounts)}

    def weigh(self) -> dict[str, tuple[int, int]]:
        """The usage of both instances, once it is what OpenVPN says."""
        def even():
            moved = self.moved()
            weighed = [{who: amounts for who, amounts in self.hosts.usage(self.server, each).items() if any(amounts)}
                       for each in INSTANCES]
            return moved if weighed == [moved, moved] and self.moved() == moved else None

        return until(even)


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    with Hosts(tmp_path) as hosts:
        site = Site(hosts)
        yield site
        site.taken.close()  # also where the test fell


def test_every_byte_of_each_session_is_billed_through_reconnects_and_restarts(site):
    site.connect(a="alice", b="bob", j="john")
    site.talk("a", 300, 1000)
    site.talk("b", 100, 500)
    site.talk("j", 50, 700)
    weighed = site.weigh()
    assert weighed["alice"][0] > 300 * 1000
    assert weighed[""][0] > 100 * 500
    assert weighed["john"][0] > 50 * 700

    # Alice reconnects, and then has two sessions at once.
    site.disconnect("a", "b")
    site.connect(a="alice", c="alice")
    site.talk("a", 200, 900)
    site.talk("c", 100, 1100)
    site.weigh()

    # The metering server is away while bob's session ends, of which it misses the leave, and another begins.
    seen = next(session for session in site.sessions().values() if session[0] == "bob")
    site.server.kill()
    told = Counter(site.ended)
    site.disconnect("b", "a")
    site.ended = told
    site.write_down(seen)
    site.connect(b="bob")
    site.talk("b", 400, 1000)
    inside(site.hosts.server, site.server.start)
    site.weigh()

    # OpenVPN's server begins anew, with other sessions of the same numbers.
    site.restart()
    site.connect(a="alice")
    site.talk("a", 500, 1200)
    weighed = site.weigh()
    assert weighed["alice"][0] > 300 * 1000 + 200 * 900 + 100 * 1100 + 500 * 1200
    for each in INSTANCES:
        assert site.hosts.bandwidth(site.server, each) == tuple(map(sum, zip(*weighed.values(), strict=True)))

    # What OpenVPN itself says of each session at its end: only the last moment of some is missing.
    site.stop()
    told = [line.split("|") for line in (site.folder / "disconnected").read_text().splitlines()]
    assert Counter(name for name, _, _ in told) == {"alice": 4, "bob": 2, "Smith, John": 1}
    missing = sum(int(received) for _, received, _ in told) - sum(received for received, _ in weighed.values())
    assert 0 <= missing <= 7 * 200
