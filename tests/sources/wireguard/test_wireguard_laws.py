"""Peers and interfaces made anew, renames, reboots, failures and crashes of the collector, refereed by who moves the bytes."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from base64 import b64encode
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.clock import HandClock
from support.counted import CountingSink, CrashError
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.machine import Boot
from weighbridge.sources.polled import Rounds, UnreadError
from weighbridge.sources.wireguard.decode import Device, Sight
from weighbridge.sources.wireguard.listen import Interface
from weighbridge.sources.wireguard.settings import WireguardSettings

TABLE = WireguardSettings(interface="wg0", instance="d290f1ee-6c54-4b01-90e6-d701748f0851")
KEYS = [b64encode(bytes([number]) * 32).decode() for number in range(3)]
NOON_US = 1_795_651_200_000_000
STOP = threading.Event()


@dataclass
class Link:
    """An interface as it is, with what each of its peers has moved since it was made."""

    index: int
    peers: dict[str, list[int]] = field(default_factory=dict)


class World:
    """A machine with an interface wg0, perhaps; who moves bytes over it writes them down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock(NOON_US)
        self.sink = CountingSink()
        self.boot, self.newest = 1, 4
        self.wg0: Link | None = Link(4, {KEYS[0]: [100, 50]})
        self.other: Link | None = Link(3, {key: [70_000, 90_000] for key in KEYS})
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.is_readable = True
        self.start()

    def start(self) -> None:
        """The collector begins, with what its folder holds."""
        self.interface = Interface(TABLE, self.folder, self.look)
        self.rounds = Rounds("wireguard", [self.interface], Surroundings(self.sink, self.clock, self.folder, lambda: None))

    def look(self, settings, stop) -> Sight:
        if not self.is_readable:
            raise UnreadError("not now")
        device = None
        if self.wg0 is not None:
            device = Device(self.wg0.index, {key: (moved[0], moved[1]) for key, moved in self.wg0.peers.items()})
        there = [link.index for link in (self.wg0, self.other) if link is not None]
        return Sight(device, Boot(f"boot-{self.boot}", NOON_US // 1_000_000), max([2, *there]))

    def poll(self) -> None:
        self.clock.at_us += 10_000_000
        self.rounds.poll(self.interface, STOP)

    # What happens.

    def move(self, key: str, received: int, sent: int) -> None:
        if self.wg0 is not None and key in self.wg0.peers:
            self.wg0.peers[key][0] += received
            self.wg0.peers[key][1] += sent
            self.received[key] += received
            self.sent[key] += sent

    def add(self, key: str) -> None:
        if self.wg0 is not None:
            self.wg0.peers.setdefault(key, [0, 0])

    def remove(self, key: str) -> None:
        if self.wg0 is not None:
            self.wg0.peers.pop(key, None)

    def make_peer_anew(self, key: str) -> None:
        if self.wg0 is not None and key in self.wg0.peers:
            self.wg0.peers[key] = [0, 0]

    def make_anew(self) -> None:
        if self.wg0 is not None:
            self.newest += 1
            self.wg0 = Link(self.newest, {key: [0, 0] for key in self.wg0.peers})

    def take_down(self) -> None:
        self.wg0 = None

    def bring_up(self) -> None:
        if self.wg0 is None:
            self.newest += 1
            self.wg0 = Link(self.newest, {KEYS[0]: [0, 0], KEYS[1]: [0, 0]})

    def reboot(self) -> None:
        self.boot += 1
        self.newest, self.other = 4, None  # numbers begin anew
        self.wg0 = Link(4, {key: [0, 0] for key in KEYS[:2]})
        self.start()

    def swap(self) -> None:
        """Two interfaces change their names."""
        if self.other is not None:
            self.wg0, self.other = self.other, self.wg0

    def make_other(self) -> None:
        """Another interface is made and moves bytes, and somebody looks at ours meanwhile."""
        self.newest += 1
        self.other = Link(self.newest, {key: [70_000, 90_000] for key in KEYS})
        self.poll()

    def crash(self, dies: str) -> None:
        """The collector dies while it hands in, and begins again."""
        self.sink.dies = dies
        with suppress(CrashError):
            self.poll()
        self.sink.dies = None
        self.start()

    def lose_folder(self) -> None:
        for file in self.folder.iterdir():
            file.unlink()
        self.start()

    def fail(self, what: str) -> None:
        """A poll comes to nothing: WireGuard does not answer, or the sink takes nothing."""
        self.is_readable = what != "unreadable"
        self.sink.is_busy = what == "busy"
        self.poll()
        self.is_readable, self.sink.is_busy = True, False

    def set_back(self) -> None:
        self.clock.at_us -= 25_000_000


PEERS = st.sampled_from(KEYS)
AMOUNTS = st.integers(0, 1000)
MOVES = st.tuples(st.just("move"), PEERS, AMOUNTS, AMOUNTS)
ENDINGS = st.one_of(
    st.tuples(st.sampled_from(["remove", "make_peer_anew"]), PEERS),
    st.sampled_from([("make_anew",), ("take_down",), ("reboot",)]),
)
BEGINNINGS = st.one_of(st.tuples(st.just("add"), PEERS), st.just(("bring_up",)))
TROUBLES = st.sampled_from([
    ("swap",), ("make_other",), ("crash", "before"), ("crash", "after"), ("lose_folder",), ("fail", "unreadable"),
    ("fail", "busy"), ("set_back",),
])
REPAIRED = st.sampled_from([("fail", "busy"), ("crash", "after")])
POLLS = st.just(("poll",))


def world() -> World:
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-wireguard-"))
    made = World(folder)
    weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
    return made


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(MOVES, MOVES, ENDINGS, BEGINNINGS, TROUBLES, POLLS, POLLS), max_size=40))
def test_no_more_is_counted_than_was_moved(story):
    """Law 11: what cannot be proven is not counted; no failure, crash, rename or clock makes a byte."""
    told = world()
    told.poll()
    for name, *arguments in story:
        getattr(told, name)(*arguments)
        assert all(told.sink.received[key] <= told.received[key] for key in KEYS), name
        assert all(told.sink.sent[key] <= told.sent[key] for key in KEYS), name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(MOVES, MOVES, ENDINGS, BEGINNINGS, REPAIRED), max_size=30))
def test_everything_is_counted_where_every_end_was_seen(story):
    """A poll before whatever ends a counter and one after it: then not a byte is lost, whatever the sink does between."""
    told = world()
    told.poll()
    for name, *arguments in story:
        ends = name in ("remove", "make_peer_anew", "make_anew", "take_down", "reboot", "crash")
        if ends:
            told.poll()
        getattr(told, name)(*arguments)
        if ends:
            told.poll()
    told.poll()
    assert told.sink.received == told.received
    assert told.sink.sent == told.sent
    assert told.sink.counters <= len(KEYS)  # one for each peer, however often it is made anew


@pytest.mark.parametrize("event", ["make_anew", "reboot", "take_down"])
def test_what_was_not_seen_to_end_loses_its_tail_and_no_more(event):
    told = world()
    told.poll()
    told.move(KEYS[0], 1000, 10)
    told.poll()
    told.move(KEYS[0], 7, 7)  # between the last poll and the end: nobody sees it
    getattr(told, event)()
    if event == "take_down":
        told.poll()
        told.bring_up()
    told.move(KEYS[0], 5000, 500)  # more than before: no fall tells
    told.poll()
    assert +told.sink.received == {KEYS[0]: 6000}
    assert +told.sink.sent == {KEYS[0]: 510}


def test_a_peer_made_anew_under_its_key_counts_whole_where_its_totals_fell():
    told = world()
    told.move(KEYS[0], 900, 0)
    told.poll()
    told.make_peer_anew(KEYS[0])
    told.move(KEYS[0], 999, 1)  # in the whole more than the 1,000 of before only in one direction
    told.poll()
    assert (told.sink.received[KEYS[0]], told.sink.sent[KEYS[0]]) == (999, 1)


def test_a_peer_made_anew_that_has_grown_past_its_old_totals_counts_the_difference():
    """Nothing tells it from one that went on: too little is counted, never too much."""
    told = world()
    told.poll()
    told.make_peer_anew(KEYS[0])
    told.move(KEYS[0], 300, 60)
    told.poll()
    assert (told.sink.received[KEYS[0]], told.sink.sent[KEYS[0]]) == (200, 10)


def test_an_interface_that_was_renamed_to_the_name_bills_nothing_at_first():
    told = world()
    told.poll()
    told.swap()
    told.poll()
    told.move(KEYS[1], 5, 6)
    told.poll()
    assert (+told.sink.received, +told.sink.sent) == ({KEYS[1]: 5}, {KEYS[1]: 6})


def test_the_last_totals_of_a_peer_wait_for_a_sink_that_takes_nothing():
    told = world()
    told.poll()
    told.move(KEYS[0], 40, 4)
    told.fail("busy")
    told.make_peer_anew(KEYS[0])
    told.fail("busy")
    told.move(KEYS[0], 8, 1)
    told.fail("busy")
    told.poll()
    assert (told.sink.received[KEYS[0]], told.sink.sent[KEYS[0]]) == (48, 5)


def test_an_interface_that_was_there_under_another_name_while_ours_was_missing_is_not_new():
    told = world()
    told.poll()
    told.take_down()
    told.make_other()
    told.swap()
    told.poll()
    assert not +told.sink.received


def test_what_is_owed_goes_where_the_clock_is_set_back():
    told = world()
    told.fail("busy")
    told.set_back()
    told.make_peer_anew(KEYS[0])
    told.poll()
    assert not +told.sink.received
    assert told.sink.told["readings_dropped"] == 1


def test_trouble_is_told():
    told = world()
    told.poll()
    told.fail("unreadable")
    told.take_down()
    told.poll()
    assert told.sink.told == {"polls": 1, "polls_failed": 1, "interface_missing": 1}
