"""The kernel's figures and the counters that they belong to: renames, re-made interfaces, reboots."""

from __future__ import annotations

import pytest

from weighbridge.sources.host.decode import (
    Interface,
    Look,
    Now,
    assign,
    parse_net_dev,
    without_left,
)

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


BOOT_S = 5


def at(now_us: int, boot: str = "boot-1", boot_s: int | None = BOOT_S) -> Now:
    return Now(now_us, boot, boot_s)


def look(at_us: int, highest: int, boot: str = "boot-1") -> Look:
    return Look(at_us, boot, highest)


def counters(seen):
    return {each.counter: (each.interface.bytes_received, each.since_us) for each in seen}


ETH0 = Interface("eth0", 2, 100, 0)
KNOWN = assign([ETH0], {}, None, at(1000))[1]


def test_a_first_poll_knows_no_beginning():
    seen, known = assign([ETH0], {}, None, at(1000))
    assert counters(seen) == {"eth0": (100, None)}
    assert known["eth0"].read_at_us == 1000


def test_a_renamed_interface_keeps_its_counter():
    seen, known = assign([Interface("wan0", 2, 150, 0)], KNOWN, look(1000, 2), at(2000))
    assert counters(seen) == {"eth0": (150, None)}
    seen, _ = assign([Interface("wan0", 2, 170, 0)], known, look(2000, 2), at(60_000_000, "boot-2", 50))
    assert counters(seen) == {"eth0": (170, 50_000_000)}, "after a reboot the name tells"


def test_swapped_names_stay_with_their_interfaces():
    _, known = assign([ETH0, Interface("eth1", 3, 7, 0)], {}, None, at(1000))
    seen, _ = assign([Interface("eth1", 2, 150, 0), Interface("eth0", 3, 8, 0)], known, look(1000, 3), at(2000))
    assert counters(seen) == {"eth0": (150, None), "eth1": (8, None)}


def test_a_new_interface_under_a_name_in_use_gets_a_counter_of_its_own():
    new = Interface("eth0", 9, 1, 0, None, is_virtual=True)
    seen, _ = assign([Interface("wan0", 2, 150, 0), new], KNOWN, look(1000, 2), at(2000))
    assert counters(seen) == {"eth0": (150, None), "eth0#9": (1, 1001)}
    assert [each.is_whole for each in seen] == [False, True]


def test_a_re_made_interface_began_after_its_last_reading():
    seen, known = assign([Interface("eth0", 9, 500, 0)], KNOWN, look(1000, 2), at(2000))
    assert counters(seen) == {"eth0": (500, 1001)}
    seen, _ = assign([Interface("eth0", 9, 600, 0)], known, look(2000, 9), at(3000))
    assert counters(seen) == {"eth0": (600, 1001)}


@pytest.mark.parametrize(("boot_s", "since_us"), [(50, 50_000_000), (0, 1001), (None, 1001)])
def test_a_reboot_restarts_every_counter_even_when_the_clock_stepped(boot_s, since_us):
    seen, _ = assign([Interface("eth0", 2, 900, 0)], KNOWN, look(1000, 2), at(60_000_000, "boot-2", boot_s))
    assert counters(seen) == {"eth0": (900, since_us)}
    assert not seen[0].is_whole


@pytest.mark.parametrize(("interface", "last", "boot", "expected"), [
    (Interface("veth1", 9, 500, 0, None, is_virtual=True), look(1000, 8), "boot-1", ("veth1", 1001, True)),
    (Interface("veth1", 9, 500, 0, None, is_virtual=True), look(1000, 8), "boot-2", ("veth1", 5_000_000, True)),
    (Interface("veth1", 8, 500, 0, None, is_virtual=True), look(1000, 8), "boot-1", ("veth1@9", None, False)),
    (Interface("eth1", 9, 500, 0), look(1000, 8), "boot-1", ("eth1@9", None, False)),
    (Interface("veth1", 9, 500, 0, None, is_virtual=True), None, "boot-1", ("veth1", None, False)),
])
def test_what_was_never_read_counts_whole_only_where_it_is_new_for_certain(interface, last, boot, expected):
    (seen,), _ = assign([interface], {}, last, at(9_000_000, boot))
    assert (seen.counter, seen.since_us, seen.is_whole) == expected


def test_what_is_metered_elsewhere_for_a_while_begins_anew():
    for left in (ETH0, Interface("wan0", 2, 150, 0), Interface("eth0", 9, 1, 0)):  # as it was, renamed, made anew
        known = without_left(KNOWN, [], [left], "boot-1")
        assert known == {}
        (seen,), _ = assign([left], known, look(2000, 9), at(3_000_000))
        assert (seen.counter, seen.since_us) == (f"{left.name}@3", None)
    assert without_left(KNOWN, [], [ETH0], "boot-2") == {}, "after a reboot the name tells"
    other = Interface("eth1", 2, 1, 1)
    assert without_left(KNOWN, [], [other], "boot-2") == KNOWN, "and the index does not"
    assert without_left(KNOWN, [ETH0], [Interface("eth1", 3, 1, 1)], "boot-1") == KNOWN
    assert without_left(KNOWN, [Interface("wan0", 2, 1, 1)], [Interface("eth0", 7, 1, 1)], "boot-1") == KNOWN
