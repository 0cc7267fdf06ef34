"""The host collector over a made-up /proc and /sys: bonds, which the kernel here may lack, trouble, restarts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from support.clock import HandClock
from weighbridge.domain.errors import BusyError
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.host.choice import Link
from weighbridge.sources.host.listen import HostCollector
from weighbridge.sources.host.read import is_supported, read_interfaces
from weighbridge.sources.host.settings import HostSettings

if TYPE_CHECKING:
    from pathlib import Path

    from weighbridge.collected import Collected


class Machine:
    """A kernel's files, by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.figures: dict[str, tuple[int, int]] = {}
        self.index = 0
        for folder in ("proc/net", "proc/sys/kernel/random", "sys/class/net"):
            (root / folder).mkdir(parents=True)
        self.boot("boot-1", 5)
        self.add("lo")

    def boot(self, boot_id: str, boot_s: int) -> None:
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"{boot_id}\n")
        (self.root / "proc/stat").write_text(f"cpu 1 2\nbtime {boot_s}\n")

    def add(self, name: str, *lowers: str, device: bool = False, master: str | None = None, speed: str | None = None) -> None:
        self.index += 1
        folder = self.root / "sys/class/net" / name
        folder.mkdir()
        (folder / "ifindex").write_text(f"{self.index}\n")
        if device:
            (folder / "device").mkdir()
        if speed is not None:
            (folder / "speed").write_text(speed)
        for lower in lowers:
            (folder / f"lower_{lower}").symlink_to(f"../{lower}")
        if master is not None:
            (folder / "master").symlink_to(f"../{master}")
        self.count(name, 0, 0)

    def count(self, name: str, received: int, sent: int) -> None:
        before = self.figures.get(name, (0, 0))
        self.figures[name] = (before[0] + received, before[1] + sent)
        lines = [f"{name}: {i} 1 0 0 0 0 0 0 {o} 1 0 0 0 0 0 0" for name, (i, o) in self.figures.items()]
        (self.root / "proc/net/dev").write_text("head\nhead\n" + "\n".join(lines) + "\n")


class Sink:
    """Keeps what it is given, unless it is full."""

    def __init__(self) -> None:
        self.full = False
        self.taken: list[Collected] = []

    def __call__(self, collected: Collected) -> None:
        if self.full:
            raise BusyError("full")
        self.taken.append(collected)

    def last(self) -> dict[str, tuple[str, int | None, int | None, int | None, bool]]:
        return {
            each.counter: (each.thing.device, each.bytes_in, each.bytes_out, each.since_us, each.is_whole)
            for each in self.taken[-1].readings
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


class Host:
    """A collector over a machine, to be started again."""

    def __init__(self, folder: Path, machine: Machine, *tables: HostSettings) -> None:
        self.folder, self.machine, self.tables = folder, machine, tables or (HostSettings(server="sv_1"),)
        self.sink = Sink()
        self.clock = HandClock(1_000_000_000)
        self.start()

    def start(self) -> None:
        surroundings = Surroundings(self.sink, self.clock, self.folder, lambda: None)
        self.collector = HostCollector(self.tables, surroundings, self.machine.root)

    def poll(self) -> int:
        self.clock.at_us += 10_000_000
        return self.collector.poll()


def test_bonds_bridges_and_speeds_are_read(machine):
    machine.add("eth0", device=True, master="bond0", speed="1000\n")
    machine.add("eth1", device=True, master="bond0", speed="-1\n")
    machine.add("bond0", "eth0", "eth1", speed="2000\n")
    machine.add("br0", "bond0")
    (machine.root / "sys/class/net/br0/bridge").mkdir()
    found = read_interfaces(machine.root)
    assert [link for _, link in found.values()] == [
        Link("lo"), Link("eth0", True, frozenset(), "bond0"), Link("eth1", True, frozenset(), "bond0"),
        Link("bond0", False, frozenset({"eth0", "eth1"})), Link("br0", False, frozenset({"bond0"}), None, True)]
    assert [(each.line_rate_bps, each.is_virtual) for each, _ in found.values()] == [
        (None, True), (10**9, False), (None, False), (None, True), (None, True)]


def test_one_that_is_gone_or_renamed_while_it_is_read_waits(machine):
    machine.add("eth0", device=True)
    machine.count("gone0", 5, 5)
    assert set(read_interfaces(machine.root)) == {"lo", "eth0"}
    assert is_supported(machine.root)
    assert not is_supported(machine.root / "sys")


def test_a_bonds_members_count_and_it_does_not(machine, tmp_path):
    machine.add("eth0", device=True, master="bond0")
    machine.add("eth1", device=True, master="bond0")
    machine.add("bond0", "eth0", "eth1")
    host = Host(tmp_path, machine, HostSettings(server="sv_1", interfaces=("bond*", "eth*")))
    with capture_logs() as told:
        assert host.poll() == 2
        assert host.poll() == 2
    assert [each for each in told if each["event"] == "host_interfaces"] == [{
        "event": "host_interfaces", "log_level": "info", "metered": {"sv_1": ["eth0", "eth1"]},
        "left_out": {"bond0": "what goes through it is counted at eth0, eth1"}}]


def test_directions_turn_where_the_interface_faces_the_server(machine, tmp_path):
    machine.add("eth0", device=True)
    machine.add("veth1")
    machine.count("veth1", 700, 30)
    machine.count("eth0", 5, 6)
    host = Host(tmp_path, machine, HostSettings(server="sv_1"),
                HostSettings(server="sv_2", interfaces=("veth*",), facing="server"))
    assert host.poll() == 2
    assert host.sink.last() == {"eth0": ("sv_1", 5, 6, None, False), "veth1~": ("sv_2", 30, 700, None, False)}


def test_what_was_not_taken_is_read_again_with_the_same_beginning(machine, tmp_path):
    machine.add("eth0", device=True)
    host = Host(tmp_path, machine, HostSettings(server="sv_1", interfaces=("*",)))
    host.poll()
    at_us = host.clock.at_us
    machine.add("veth1")
    machine.count("veth1", 10, 0)
    host.sink.full = True
    with capture_logs() as told:
        assert host.poll() == 0
        assert host.poll() == 0
    assert [each["event"] for each in told if each["event"] == "host_poll_failed"] == ["host_poll_failed"], "told once"
    host.sink.full = False
    host.start()
    machine.count("veth1", 10, 0)
    assert host.poll() == 2
    assert host.sink.last()["veth1"] == ("sv_1", 20, 0, at_us + 1, True)
    host.poll()
    assert host.sink.last()["veth1"] == ("sv_1", 20, 0, at_us + 1, False)


def test_a_state_that_is_lost_or_damaged_is_a_first_start(machine, tmp_path):
    machine.add("eth0", device=True)
    host = Host(tmp_path, machine)
    host.poll()
    (tmp_path / "host.json").write_bytes(b"\xff{")
    host.start()
    machine.count("eth0", 9, 9)
    host.poll()
    assert host.sink.last() == {"eth0": ("sv_1", 9, 9, None, False)}, "the same counter, which goes on"


def test_two_machines_that_say_to_be_one_server_are_two_counters(machine, tmp_path):
    machine.add("eth0", device=True)
    (machine.root / "etc").mkdir()
    names = []
    for number, name in enumerate(["0f7e5b1c9f0b4c4e8e862d9c7b6a5f10\n", "0f7e5b1c9f0b4c4e8e862d9c7b6a5f11\n"]):
        (machine.root / "etc/machine-id").write_text(name)
        machine.boot(f"boot-{number}", 900)
        host = Host(tmp_path, machine)  # with the folder of the other one, as where a disk was copied
        host.poll()
        (reading,) = host.sink.taken[-1].readings
        assert (reading.since_us, reading.is_whole) == (None, False)
        names.append(reading.counter)
    assert len(set(names)) == 2
    assert all(name.startswith("eth0/") and "0f7e" not in name for name in names)


def test_a_reboot_is_told_by_the_boot_alone(machine, tmp_path):
    machine.add("eth0", device=True)
    machine.count("eth0", 100, 0)
    host = Host(tmp_path, machine)
    host.poll()
    machine.boot("boot-2", 1_005)
    machine.count("eth0", 100, 0)  # more than before: nothing but the boot tells
    host.poll()
    assert host.sink.last() == {"eth0": ("sv_1", 200, 0, max(1_005_000_000, 1_010_000_001), False)}


def test_a_kernel_that_tells_nothing_is_trouble_and_no_figure(machine, tmp_path):
    host = Host(tmp_path, machine)
    (machine.root / "proc/net/dev").unlink()
    assert host.poll() == 0
    assert host.sink.taken == []


def test_it_runs_until_it_is_told_to_end_and_reads_once_more_then(machine, tmp_path):
    machine.add("eth0", device=True)
    host = Host(tmp_path, machine, HostSettings(server="sv_1", interval_s=3600))
    stop = threading.Event()
    running = threading.Thread(target=host.collector.run, args=(stop,))
    running.start()
    while not host.sink.taken:
        stop.wait(0.01)
    machine.count("eth0", 7, 7)
    stop.set()
    running.join(10)
    assert not running.is_alive()
    assert [each.readings[0].bytes_in for each in host.sink.taken] == [0, 7]
