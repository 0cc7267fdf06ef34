"""The host source on a real kernel's interfaces, to the byte: containers behind a bridge, renames, what is made anew."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest

from support import host_probe
from support.namespaces import Namespace, wire
from support.things import EVERYONE, Network
from weighbridge.model import Kind
from weighbridge.spool.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from weighbridge.collected import Collected

HOST, WEB, WORLD = (f"02:00:00:00:00:0{n}" for n in (1, 2, 3))
TABLES = [
    {"server": "sv_0", "interfaces": ["up*"]},
    {"server": "sv_1", "interfaces": ["veth*"], "facing": "server"},
]


@dataclass
class Scene:
    """A host with a bridge between its uplink and a container; what its collector says goes to a desk."""

    folder: Path
    network: Network
    host: Namespace
    container: Namespace
    world: Namespace
    tables: list[dict] = field(default_factory=lambda: TABLES)
    probe: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, host_probe.__file__, str(self.folder), json.dumps(self.tables)]
        self.probe = self.host.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(self) -> None:
        if self.probe is not None:
            self.probe.communicate(timeout=30)
            self.probe = None

    def poll(self) -> Collected:
        """What the collector handed in."""
        if self.probe is None:
            self.start()
        self.probe.stdin.write("\n")
        self.probe.stdin.flush()
        collected = decode(gzip.decompress(base64.b64decode(self.probe.stdout.readline()))).collected
        self.network.clock.at_us = time.time_ns() // 1000
        self.network.desk.take(collected, EVERYONE, "", None)
        return collected

    def total(self, server: str) -> tuple[int, int]:
        return self.network.total(Kind.SERVER, server, "host")

    def plug(self, link: str = "veth-web") -> None:
        """The container hangs on the bridge by a cable of this name."""
        wire(self.host, link, self.container, "eth0")
        self.host.ip("link", "set", link, "master", "br0")
        self.host.up(link)
        self.container.up("eth0", WEB)

    def converse(self, out: int = 7, back: int = 3) -> tuple[int, int]:
        """Frames from the container into the world and back: the bytes of each."""
        return self.container.send("eth0", WORLD, out), self.world.send("eth0", WEB, back, 500)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    spaces = [Namespace() for _ in range(3)]
    network = Network(tmp_path / "journal")
    for name in ("sv_0", "sv_1"):
        network.view.servers.setdefault(name, msgspec.structs.replace(network.view.servers["sv_0"], id=name))
    scene = Scene(tmp_path / "state", network, *spaces)
    try:
        scene.host.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        scene.host.up("br0")
        wire(scene.host, "up0", scene.world, "eth0")
        scene.host.ip("link", "set", "up0", "master", "br0")
        scene.host.up("up0")
        scene.world.up("eth0", WORLD)
        scene.plug()
        yield scene
    finally:
        scene.stop()
        network.close()
        for space in spaces:
            space.close()


def test_a_container_is_weighed_from_its_side_and_the_host_from_its_own(scene: Scene) -> None:
    scene.converse()
    scene.poll()  # what was before is nobody's
    sent = received = 0
    for n in range(3):
        out, back = scene.converse(5 + n, 2 + n)
        sent, received = sent + out, received + back
        scene.poll()
    assert scene.total("sv_1") == (received, sent)
    assert scene.total("sv_0") == (received, sent)


def test_a_renamed_interface_and_a_new_process_lose_nothing(scene: Scene) -> None:
    scene.poll()
    first = scene.converse()
    scene.stop()  # nobody looks while it is renamed
    scene.host.ip("link", "set", "veth-web", "down")
    scene.host.ip("link", "set", "veth-web", "name", "veth-old")
    scene.host.ip("link", "set", "veth-old", "up")
    second = scene.converse()
    scene.poll()
    third = scene.converse()
    readings = scene.poll().readings
    assert {reading.counter.partition("/")[0] for reading in readings} == {"up0", "veth-web~"}
    assert scene.total("sv_1") == (first[1] + second[1] + third[1], first[0] + second[0] + third[0])


@pytest.mark.parametrize("name", ["veth-web", "veth-7f3a"])
def test_a_cable_made_anew_counts_whole_under_its_old_name_and_a_new_one(scene: Scene, name: str) -> None:
    scene.poll()
    first = scene.converse()
    scene.poll()
    scene.host.ip("link", "del", "veth-web")
    scene.plug(name)
    second = scene.converse()
    scene.stop()
    scene.poll()
    third = scene.converse(1, 1)
    scene.poll()
    assert scene.total("sv_1") == (first[1] + second[1] + third[1], first[0] + second[0] + third[0])
    assert scene.total("sv_0") == scene.total("sv_1")


def test_what_is_left_out_for_a_while_counts_for_nobody_later(scene: Scene) -> None:
    scene.poll()
    first = scene.converse()
    scene.poll()
    scene.stop()
    scene.tables = [TABLES[0]]
    scene.poll()
    scene.converse()
    scene.poll()
    scene.stop()
    scene.tables = TABLES
    scene.poll()  # the container is metered again from here on
    last = scene.converse()
    scene.poll()
    assert scene.total("sv_1") == (first[1] + last[1], first[0] + last[0])


def test_an_interface_on_another_counts_once(scene: Scene) -> None:
    """The bridge itself is metered where its port is not, and passed over where its port is."""
    scene.host.up("br0", HOST)
    scene.tables = [{"server": "sv_0", "interfaces": ["br0", "up0"]}, {"server": "sv_1", "interfaces": ["br0"]}]
    scene.poll()
    sent = scene.host.send("br0", WORLD, 4)
    passing, back = scene.converse()
    assert {reading.counter.partition("/")[0] for reading in scene.poll().readings} == {"up0"}
    assert scene.total("sv_0") == (back, sent + passing)
    assert scene.total("sv_1") == (0, 0)
