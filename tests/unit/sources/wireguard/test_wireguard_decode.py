"""What `wg` prints and what the kernel sends, and what follows from two looks at an interface."""

from __future__ import annotations

from base64 import b64encode

import pytest
from pyroute2.netlink.generic.wireguard import wgmsg

from weighbridge.sources.machine import Boot
from weighbridge.sources.polled import UnreadError
from weighbridge.sources.wireguard import decode
from weighbridge.sources.wireguard.decode import (
    HIDDEN,
    Device,
    Kept,
    Known,
    Sight,
    follow,
    marked_kept,
    merge_messages,
    parse_transfer,
    readings_of,
)

ALICE, BOB, CAROL = (b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
RECORDED = (  # wg show wg0 transfer, of wireguard-tools 1.0.20210914 with wireguard-go 0.0.20220316
    b"2jvb9k5Cmsq6Oo1CtbjVnU+n1tnUYOdjKOX12HbHQV4=\t148\t92\n"
    b"RevuY16BXxIkIOlAupDWbLpV29gQyv8eRZdgDCPJIls=\t18446744073709551615\t0\n"
)


def test_what_wg_prints_is_read():
    assert parse_transfer(RECORDED) == {
        "2jvb9k5Cmsq6Oo1CtbjVnU+n1tnUYOdjKOX12HbHQV4=": (148, 92),
        "RevuY16BXxIkIOlAupDWbLpV29gQyv8eRZdgDCPJIls=": (2**64 - 1, 0),
    }
    assert parse_transfer(b"") == {}


@pytest.mark.parametrize("output", [
    f"{ALICE}\t1\t2".encode(),                    # cut off
    f"{ALICE}\t1\n".encode(),
    f"{ALICE}\t1\t2\t3\n".encode(),
    f"{ALICE}\t1\t-2\n".encode(),
    f"{ALICE}\t1\t{2**64}\n".encode(),
    f"{ALICE}\t1\t\n".encode(),
    f"{ALICE}\t1\t{'9' * 5000}\n".encode(),
    f"{ALICE}\t1\t\u0662\n".encode(),
    f"wg0\t{ALICE}\t1\t2\n".encode(),             # of `wg show all transfer`
    f"{ALICE[:-4]}\t1\t2\n".encode(),
    b"Unable to access interface: No such device\n",
    f"{ALICE}\t1\t2\n\n{BOB}\t1\t2\n".encode(),
])
def test_a_line_that_is_none_makes_the_whole_unread(output):
    """A peer that were passed over would seem to be made anew when it is read again, and count whole."""
    with pytest.raises(UnreadError):
        parse_transfer(output)


def test_too_many_peers_are_none(monkeypatch):
    monkeypatch.setattr(decode, "PEERS_MOST", 1)
    with pytest.raises(UnreadError, match="2 peers"):
        parse_transfer(RECORDED)


def message(peers, *, index=7, flags=0):
    """A message as the kernel sends it, through pyroute2's own encoder and decoder."""
    made = wgmsg()
    made["header"]["flags"] = flags
    if index is not None:
        made["attrs"].append(["WGDEVICE_A_IFINDEX", index])
    made["attrs"] += [["WGDEVICE_A_IFNAME", "wg0"], ["WGDEVICE_A_PRIVATE_KEY", b64encode(b"p" * 32)]]
    made["attrs"].append(["WGDEVICE_A_PEERS", [{"attrs": peer} for peer in peers]])
    made.encode()
    read = wgmsg(bytes(made.data))
    read.decode()
    return read


def peer(key, received=None, sent=None, *addresses):
    attributes = [["WGPEER_A_PUBLIC_KEY", key]]
    if received is not None:
        attributes += [["WGPEER_A_RX_BYTES", received], ["WGPEER_A_TX_BYTES", sent]]
    allowed = [{"attrs": [["WGALLOWEDIP_A_FAMILY", 2], ["WGALLOWEDIP_A_IPADDR", address], ["WGALLOWEDIP_A_CIDR_MASK", 32]]}
               for address in addresses]
    return [*attributes, ["WGPEER_A_ALLOWEDIPS", allowed]]


def test_messages_of_a_long_list_are_merged_by_key():
    """The second goes on with a peer of which only more allowed addresses are told."""
    first = message([peer(ALICE, 5, 6), peer(BOB, 2**40, 2**63)])
    second = message([peer(BOB, None, None, b"\x0a\0\0\1"), peer(CAROL, 0, 0)])
    assert merge_messages([first, second]) == Device(7, {ALICE: (5, 6), BOB: (2**40, 2**63), CAROL: (0, 0)})


def test_an_interface_without_peers_is_one():
    assert merge_messages([message([])]) == Device(7, {})


@pytest.mark.parametrize(("messages", "words"), [
    ([], "empty"),
    ([message([peer(ALICE, 1, 1)]), message([peer(BOB, 1, 1)], flags=0x12)], "changed while"),
    ([message([peer(ALICE, 1, 1)]), message([peer(BOB, 1, 1)], index=8)], "not of one interface"),
    ([message([peer(ALICE, 1, 1)], index=None)], "not of one interface"),
    ([message([peer(ALICE)])], "without its totals"),
    ([message([[["WGPEER_A_RX_BYTES", 1], ["WGPEER_A_TX_BYTES", 1]]])], "no public key"),
])
def test_an_answer_that_is_not_whole_is_none(messages, words):
    with pytest.raises(UnreadError, match=words):
        merge_messages(messages)


ONE = Boot("one", 5)


def sight(index=4, *, boot=ONE, newest=4, **totals):
    names = {"alice": ALICE, "bob": BOB}
    return Sight(Device(index, {names[name]: amounts for name, amounts in totals.items()}), boot, newest)


GONE = Sight(None, Boot("one", 5), 9)
BEFORE = Known("m/wg0#4", "one", 4, 4, 1000, 1000, {ALICE: Kept(10, 20, None, is_kept=True)})


@pytest.mark.parametrize(("known", "seen", "peers", "counter"), [
    (None, sight(alice=(10, 20)), {ALICE: Kept(10, 20)}, "m/wg0#4"),
    (BEFORE, sight(alice=(10, 25)), {ALICE: Kept(10, 25, None, is_kept=True)}, "m/wg0#4"),
    (BEFORE, sight(alice=(10, 20), bob=(7, 0)), {ALICE: Kept(10, 20, None, is_kept=True), BOB: Kept(7, 0, 1000)}, "m/wg0#4"),
    (BEFORE, sight(alice=(9, 99)), {ALICE: Kept(9, 99, 1001)}, "m/wg0#4"),
    (BEFORE, sight(alice=(99, 19)), {ALICE: Kept(99, 19, 1001)}, "m/wg0#4"),
    (BEFORE, sight(5, newest=5, alice=(99, 99)), {ALICE: Kept(99, 99, 1001)}, "m/wg0#4"),
    (BEFORE, sight(3, alice=(99, 99)), {ALICE: Kept(99, 99)}, "m/wg0#3@3000000"),
    (BEFORE, sight(HIDDEN, alice=(99, 99)), {ALICE: Kept(99, 99)}, "m/wg0#0@3000000"),
    (BEFORE, sight(boot=Boot("two", 2), alice=(99, 99)), {ALICE: Kept(99, 99, 2_000_000)}, "m/wg0#4"),
    (BEFORE, sight(boot=Boot("two", 0), alice=(99, 99)), {ALICE: Kept(99, 99, 1001)}, "m/wg0#4"),
    (BEFORE, sight(boot=Boot("two", 8), alice=(99, 99)), {ALICE: Kept(99, 99, 2_999_999)}, "m/wg0#4"),
    (BEFORE, sight(boot=Boot("two"), alice=(99, 99)), {ALICE: Kept(99, 99, 1001)}, "m/wg0#4"),
    (BEFORE, sight(boot=Boot(""), alice=(99, 99)), {ALICE: Kept(99, 99, None, is_kept=True)}, "m/wg0#4"),
    (BEFORE, sight(), {}, "m/wg0#4"),
    (BEFORE, GONE, BEFORE.peers, "m/wg0#4"),
], ids=["first", "grown", "new peer", "received fell", "sent fell", "interface anew", "renamed", "hidden", "reboot",
        "reboot before", "reboot ahead", "reboot at no time", "no boot told", "peer gone", "interface gone"])
def test_what_follows_from_two_looks(known, seen, peers, counter):
    found = follow(known, seen, 3_000_000, "m/wg0")
    assert (found.peers, found.counter) == (peers, counter)
    assert found.looked_at_us == 3_000_000


def test_an_interface_that_comes_back_began_after_it_was_missed():
    missed = follow(BEFORE, GONE, 2000, "m/wg0")
    assert follow(missed, sight(10, alice=(99, 99)), 3000, "m/wg0").peers == {ALICE: Kept(99, 99, 2001)}
    assert follow(missed, sight(9, alice=(99, 99)), 3000, "m/wg0").peers == {ALICE: Kept(99, 99)}  # there, by another name
    assert follow(missed, sight(4, alice=(99, 99), bob=(1, 1)), 3000, "m/wg0").peers == {
        ALICE: Kept(99, 99, None, is_kept=True), BOB: Kept(1, 1, 1000)}


def test_an_interface_that_comes_after_the_first_look_counts_whole():
    missed = follow(None, GONE, 2000, "m/wg0")
    found = follow(missed, sight(10, alice=(99, 99)), 3000, "m/wg0")
    assert (found.peers, found.counter) == ({ALICE: Kept(99, 99, 2001)}, "m/wg0#10")


def test_where_the_clock_was_set_back_nothing_is_proven():
    found = follow(BEFORE, sight(5, newest=5, alice=(9, 9), bob=(1, 1)), 900, "m/wg0")
    assert found.peers == {ALICE: Kept(9, 9), BOB: Kept(1, 1)}
    assert (found.counter, found.listed_at_us) == ("m/wg0#4", 900)


def test_readings_say_whole_until_they_are_kept():
    known = follow(BEFORE, sight(alice=(11, 20), bob=(7, 0)), 3_000_000, "m/wg0")
    alice, bob = readings_of(known, "vpn")
    assert (alice.thing.device, alice.thing.name, alice.bytes_in, alice.bytes_out, alice.counter) == (
        "vpn", ALICE, 11, 20, "m/wg0#4")
    assert (alice.at_us, alice.since_us, alice.is_whole, alice.bits) == (3_000_000, None, False, 64)
    assert (bob.since_us, bob.is_whole) == (1000, True)
    alice, bob = readings_of(marked_kept(known), "vpn")
    assert (bob.since_us, bob.is_whole, alice.is_whole) == (1000, False, False)
