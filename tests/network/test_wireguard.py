"""Real WireGuard (wireguard-go) between two namespaces, metered by a real server on one of them, to `wg`'s own byte."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.namespaces import run
from support.tunnels import VPN, Hosts, end, inside, listen, send, transfer, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.namespaces import Namespace

HANDSHAKE_IN, HANDSHAKE_OUT = 148, 92
"""Bytes of a handshake's initiation and of its response."""
OVERHEAD = 32
"""Of each data message: its header and its tag. A keepalive is nothing else."""


class End:
    """One end of a tunnel."""

    def __init__(self, hosts: Hosts, host: Namespace, link: str, address: str, *options: str) -> None:
        self.hosts, self.host, self.link, self.address, self.options = hosts, host, link, address, options
        self.private = hosts.folder / f"{link}.key"
        self.private.touch(0o600)
        self.private.write_text(run("wg", "genkey"))
        self.public = run("sh", "-c", f"wg pubkey <{self.private}").strip()
        self.start()

    def start(self) -> None:
        self.daemon = self.hosts.start(self.host, "wireguard-go", "-f", self.link)
        until(lambda: os.path.exists(f"/var/run/wireguard/{self.link}.sock"))  # noqa: PTH110  short
        run("wg", "set", self.link, "private-key", str(self.private), *self.options)
        self.host.ip("addr", "add", f"{self.address}/24", "dev", self.link)
        self.host.up(self.link)

    def stop(self) -> None:
        end(self.daemon)
        until(lambda: self.link not in self.host.ip("-o", "link"))

    def add(self, peer: End, *options: str) -> None:
        run("wg", "set", self.link, "peer", peer.public, "allowed-ips", f"{peer.address}/32", *options)

    def remove(self, peer: End) -> None:
        run("wg", "set", self.link, "peer", peer.public, "remove")


class Tunnel:
    """A server's end and two clients', and a metering server; alice is in its catalog, bob is not."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        mark = hosts.server.name[2:]
        self.end = End(hosts, hosts.server, f"wgs{mark}", "10.10.0.1", "listen-port", "51820")
        self.alice = End(hosts, hosts.client, f"wga{mark}", "10.10.0.2")
        self.bob = End(hosts, hosts.client, f"wgb{mark}", "10.10.0.3")
        self.ended: Counter[tuple[str, int]] = Counter()
        self.server = hosts.serve(
            f'[[sources.wireguard]]\ninterface = "{self.end.link}"\ninstance = "{VPN}"\ninterval_s = 1\n',
            [{"id": "alice", "public_key": self.alice.public}])
        until(lambda: hosts.polls(self.server, "wireguard"))
        self.taken = listen(hosts.server, "10.10.0.1")
        for client in (self.alice, self.bob):
            self.join(client)

    def join(self, client: End) -> None:
        """Both ends begin anew: a client whose peer was made anew would go on with a session that is gone."""
        client.remove(self.end)
        self.end.add(client)
        client.add(self.end, "endpoint", "10.9.0.1:51820")

    def talk(self, client: End, count: int, size: int) -> tuple[int, int]:
        """What the client moved by so many datagrams, as `wg` tells it; none was lost."""
        before = transfer(self.end.link).get(client.public, (0, 0))
        send(client.host, client.link, self.end.address, count, size)
        for _ in range(count):
            self.taken.settimeout(5)
            assert len(self.taken.recv(2**16)) == size
        after = transfer(self.end.link)[client.public]
        return after[0] - before[0], after[1] - before[1]

    def moved(self) -> dict[str, tuple[int, int]]:
        """By `wg`: what alice moved, and what everybody else did for the instance."""
        total = Counter(self.ended)
        for key, amounts in transfer(self.end.link).items():
            for way in (0, 1):
                total[key, way] += amounts[way]
        return {
            "alice": (total[self.alice.public, 0], total[self.alice.public, 1]),
            "": (total[self.bob.public, 0], total[self.bob.public, 1]),
        }

    def weigh(self) -> dict[str, tuple[int, int]]:
        """The usage, once it is what `wg` says."""
        def even():
            moved = self.moved()
            return moved if self.hosts.usage(self.server) == moved == self.moved() else None

        return until(even)

    def close_books(self, *clients: End) -> None:
        """Everything is counted that these have moved, and their counters may end."""
        self.weigh()
        shown = transfer(self.end.link)
        for client in clients:
            for way in (0, 1):
                self.ended[client.public, way] += shown.get(client.public, (0, 0))[way]


@pytest.fixture
def tunnel(tmp_path) -> Iterator[Tunnel]:
    with Hosts(tmp_path) as hosts:
        tunnel = Tunnel(hosts)
        yield tunnel
        tunnel.taken.close()


def test_every_byte_of_each_peer_is_billed_through_whatever_is_made_anew(tunnel):
    received, sent = tunnel.talk(tunnel.alice, 400, 1000)
    data = 400 * (1040 + OVERHEAD)  # 1000 and 28 of headers, padded to a multiple of 16
    assert (received - HANDSHAKE_IN - data) % OVERHEAD == 0
    assert received - HANDSHAKE_IN - data <= 3 * OVERHEAD
    assert sent >= HANDSHAKE_OUT
    tunnel.talk(tunnel.bob, 100, 500)
    weighed = tunnel.weigh()
    assert weighed["alice"][0] >= data
    assert weighed[""][0] >= 100 * 500

    # The peer is made anew between two polls: its totals have fallen.
    tunnel.close_books(tunnel.alice)
    tunnel.end.remove(tunnel.alice)
    tunnel.join(tunnel.alice)
    tunnel.talk(tunnel.alice, 50, 900)
    tunnel.weigh()

    # It is gone for some polls, and then moves more than ever before.
    tunnel.close_books(tunnel.alice)
    tunnel.end.remove(tunnel.alice)
    polls = tunnel.hosts.polls(tunnel.server, "wireguard")
    until(lambda: tunnel.hosts.polls(tunnel.server, "wireguard") > polls + 1)
    tunnel.join(tunnel.alice)
    tunnel.talk(tunnel.alice, 600, 1200)
    tunnel.weigh()

    # The interface is made anew, and with it all peers; the metering server is started anew meanwhile.
    tunnel.close_books(tunnel.alice, tunnel.bob)
    tunnel.server.kill()
    tunnel.taken.close()
    tunnel.end.stop()
    tunnel.end.start()
    tunnel.taken = listen(tunnel.hosts.server, "10.10.0.1")
    for client in (tunnel.alice, tunnel.bob):
        tunnel.join(client)
    tunnel.talk(tunnel.alice, 700, 1200)
    tunnel.talk(tunnel.bob, 300, 700)
    inside(tunnel.hosts.server, tunnel.server.start)
    weighed = tunnel.weigh()
    assert weighed["alice"][0] > 700 * 1200 + 600 * 1200 + 400 * 1000 + 50 * 900
    assert tunnel.hosts.bandwidth(tunnel.server) == tuple(map(sum, zip(*weighed.values(), strict=True)))
