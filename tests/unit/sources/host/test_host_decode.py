"""The kernel's figures and the counters that they belong to: renames, re-made interfaces, reboots."""

from __future__ import annotations

import pytest

from weighbridge.sources.host.decode import Interface, assign, parse_boot_s, parse_net_dev
from weighbridge.sources.host.listen import read_interfaces

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  255216     318    0    0    0     0          0         0   255216     318    0    0    0     0       0          0
  eth0: 552459111   19828    0    0    0     0          0         0  1172237   10795    0    0    0     0       0          0
eth0:1:7 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
wg0:18446744073709551615 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0
"""


def test_net_dev_is_read():
    assert parse_net_dev(NET_DEV) == {
        "lo": (255216, 255216), "eth0": (552459111, 1172237), "eth0:1": (7, 9), "wg0": (2**64 - 1, 1)}


@pytest.mark.parametrize("text", ["", "eth0: 1 2", "garbage", "eth0: x x x x x x x x x x"])
def test_other_lines_are_passed_over(text):
    assert parse_net_dev(text) == {}


def test_the_boot_is_read():
    assert parse_boot_s("cpu 1 2\nbtime 1795251243\n") == 1795251243
    assert parse_boot_s("cpu 1 2\n") is None


def counters(seen):
    return {each.counter: (each.interface.bytes_received, each.since_us) for each in seen}


ETH0 = Interface("eth0", 2, 100, 0)


def test_a_first_poll_knows_no_beginning():
    seen, known = assign([ETH0], {}, "boot-1", 5, 1000)
    assert counters(seen) == {"eth0": (100, None)}
    assert known["eth0"].read_at_us == 1000


def test_a_renamed_interface_keeps_its_counter():
    _, known = assign([ETH0], {}, "boot-1", 5, 1000)
    seen, _ = assign([Interface("wan0", 2, 150, 0)], known, "boot-1", 5, 2000)
    assert counters(seen) == {"eth0": (150, None)}


def test_swapped_names_stay_with_their_interfaces():
    _, known = assign([ETH0, Interface("eth1", 3, 7, 0)], {}, "boot-1", 5, 1000)
    seen, _ = assign([Interface("eth1", 2, 150, 0), Interface("eth0", 3, 8, 0)], known, "boot-1", 5, 2000)
    assert counters(seen) == {"eth0": (150, None), "eth1": (8, None)}


def test_a_new_interface_under_a_name_in_use_gets_a_counter_of_its_own():
    _, known = assign([ETH0], {}, "boot-1", 5, 1000)
    seen, _ = assign([Interface("wan0", 2, 150, 0), Interface("eth0", 9, 1, 0)], known, "boot-1", 5, 2000)
    assert counters(seen) == {"eth0": (150, None), "eth0#9": (1, None)}


def test_a_re_made_interface_began_after_its_last_reading():
    _, known = assign([ETH0], {}, "boot-1", 5, 1000)
    seen, known = assign([Interface("eth0", 9, 500, 0)], known, "boot-1", 5, 2000)
    assert counters(seen) == {"eth0": (500, 1001)}
    seen, _ = assign([Interface("eth0", 9, 600, 0)], known, "boot-1", 5, 3000)
    assert counters(seen) == {"eth0": (600, 1001)}


@pytest.mark.parametrize(("boot_s", "since_us"), [(50, 50_000_000), (0, 1001), (None, 1001)])
def test_a_reboot_restarts_every_counter_even_when_the_clock_stepped(boot_s, since_us):
    _, known = assign([ETH0], {}, "boot-1", 5, 1000)
    seen, _ = assign([Interface("eth0", 2, 900, 0)], known, "boot-2", boot_s, 60_000_000)
    assert counters(seen) == {"eth0": (900, since_us)}


def test_interfaces_with_a_device_are_preferred(tmp_path):
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/dev").write_text(NET_DEV)
    for name, index in (("eth0", 2), ("wg0", 3), ("lo", 1)):
        folder = tmp_path / "sys/class/net" / name
        folder.mkdir(parents=True)
        (folder / "ifindex").write_text(f"{index}\n")
        (folder / "speed").write_text("1000\n" if name == "eth0" else "-1\n")
    assert [i.name for i in read_interfaces(tmp_path)] == ["eth0", "wg0"]
    (tmp_path / "sys/class/net/eth0/device").mkdir()
    assert read_interfaces(tmp_path) == [Interface("eth0", 2, 552459111, 1172237, 10**9)]
