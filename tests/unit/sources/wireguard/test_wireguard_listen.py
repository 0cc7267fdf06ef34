"""Settings of interfaces, and `wg` as a command that may fail, hang, flood or be absent."""

from __future__ import annotations

import errno
import sys
import threading

import pyroute2
import pytest
from pyroute2.netlink.generic.wireguard import wgmsg

from weighbridge.app.source_settings import read_sources
from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.polled import UnreadError
from weighbridge.sources.wireguard import listen
from weighbridge.sources.wireguard.decode import Device
from weighbridge.sources.wireguard.listen import make_collector, read_netlink, read_tool, run_tool
from weighbridge.sources.wireguard.settings import WireguardSettings

VPN = "D290F1EE-6c54-4b01-90e6-d701748f0851"
KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
STOP = threading.Event()


def settings_of(**table):
    found, faults = read_sources({"wireguard": [table]}, None, "weighbridge.toml")
    return found["wireguard"], faults


def test_settings_are_read():
    (table,), faults = settings_of(interface="wg0", instance=VPN)
    assert faults == []
    assert table == WireguardSettings(interface="wg0", instance=VPN.lower())
    assert (table.interval_s, table.command) == (10, "wg")


@pytest.mark.parametrize(("table", "words"), [
    ({"interface": "wg0"}, "instance"),
    ({"instance": VPN}, "interface"),
    ({"interface": "wg0", "instance": "hq"}, "'hq' is no UUID"),
    ({"interface": "all", "instance": VPN}, "'all' is no name"),
    ({"interface": "-x", "instance": VPN}, "'-x' is no name"),
    ({"interface": "a/b", "instance": VPN}, "'a/b' is no name"),
    ({"interface": "sixteen-letters-", "instance": VPN}, "is no name"),
    ({"interface": "wg0", "instance": VPN, "interval_s": 0}, "interval_s"),
    ({"interface": "wg0", "instance": VPN, "interval": 10}, "known there: interface, instance, interval_s, command"),
])
def test_wrong_settings_are_told(table, words):
    _, (fault,) = settings_of(**table)
    assert words in fault


def test_an_interface_that_is_named_twice_is_refused():
    table = WireguardSettings(interface="wg0", instance=VPN)
    with pytest.raises(InvalidInputError, match="twice"):
        make_collector((table, table), None)


def script(folder, body):
    path = folder / "wg"
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o700)
    return str(path)


def test_an_interface_is_read_by_the_command(tmp_path):
    command = script(tmp_path, f"assert sys.argv[1:] == ['show', 'lo', 'transfer']\nprint('{KEY}\\t5\\t6')")
    assert read_tool(command, "lo", STOP) == Device(1, {KEY: (5, 6)})
    assert read_tool(script(tmp_path, "pass"), "wb-none", STOP) == Device(0, {})  # seen by wg, hidden from us


def test_an_interface_that_nobody_knows_is_absent_and_one_that_is_refused_is_unread(tmp_path):
    command = script(tmp_path, "sys.exit('Unable to access interface: Operation not permitted')")
    assert read_tool(command, "wb-none", STOP) is None
    with pytest.raises(UnreadError, match="show lo transfer: Unable to access interface: Operation not permitted"):
        read_tool(command, "lo", STOP)


@pytest.mark.parametrize("body", ["time.sleep(60)", "while True: print('x' * 9999)"])
def test_a_command_that_does_not_end_is_ended(tmp_path, monkeypatch, body):
    monkeypatch.setattr(listen, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(listen, "OUTPUT_MOST", 50_000_000)
    with pytest.raises(UnreadError, match="did not end"):
        run_tool([script(tmp_path, body)], STOP)


def test_a_flood_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(listen, "OUTPUT_MOST", 100_000)
    with pytest.raises(UnreadError, match="100000 bytes"):
        run_tool([script(tmp_path, "while True: print('x' * 9999)")], STOP)


def test_a_command_is_left_when_it_is_time_to_end(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(UnreadError, match="told to stop"):
        run_tool([script(tmp_path, "time.sleep(60)")], stop)


def test_a_command_that_is_not_there_says_what_to_install():
    with pytest.raises(UnreadError, match=r"install wireguard-tools, or .* -m pip install pyroute2"):
        run_tool(["wb-no-such-command"], STOP)


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """A kernel that has WireGuard, which those of test machines have not: what it answers can be put into `answer`."""

    class Link:
        answer = ()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def info(self, interface):
            assert interface == "wg0"
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    monkeypatch.setattr(listen, "_MODULE", tmp_path)
    monkeypatch.setattr(pyroute2, "WireGuard", Link)
    return Link


def test_a_kernel_without_wireguard_is_not_asked():
    assert read_netlink("wb-none") is None


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EOPNOTSUPP])
def test_what_the_kernel_does_not_know_as_wireguard_is_left_to_the_command(kernel, code):
    kernel.answer = pyroute2.NetlinkError(code)
    assert read_netlink("wg0") is None


def test_a_kernel_that_refuses_is_no_absence(kernel):
    kernel.answer = pyroute2.NetlinkError(errno.EPERM)
    with pytest.raises(UnreadError, match="CAP_NET_ADMIN"):
        read_netlink("wg0")


def test_the_kernels_answer_is_read(kernel):
    peer = wgmsg.wgdevice_peer()
    peer["attrs"] = [["WGPEER_A_PUBLIC_KEY", KEY.encode()], ["WGPEER_A_RX_BYTES", 5], ["WGPEER_A_TX_BYTES", 6]]
    message = wgmsg()
    message["attrs"] = [["WGDEVICE_A_IFINDEX", 3], ["WGDEVICE_A_PEERS", [peer]]]
    message["header"]["flags"] = 2
    kernel.answer = (message,)
    assert read_netlink("wg0") == Device(3, {KEY: (5, 6)})


def test_without_pyroute2_the_command_is_asked(kernel, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroute2", None)
    assert read_netlink("wg0") is None
