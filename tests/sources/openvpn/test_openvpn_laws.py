"""Sessions that come, get a name, change it, move bytes and go; servers and collectors that start anew: who is billed what.

The referee is the server itself, which knows whose each byte is.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.clock import HandClock
from support.counted import CountingSink, CrashError
from support.openvpn import Client, status_text
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.openvpn.listen import Server
from weighbridge.sources.openvpn.settings import OpenvpnSettings
from weighbridge.sources.polled import Rounds

TABLE = OpenvpnSettings(status="/run/status.log", instance="d290f1ee-6c54-4b01-90e6-d701748f0851")
NAMES = ("alice", "bob")
NOON_US = 1_795_651_200_300_000
STOP = threading.Event()


class World:
    """A server and its sessions. `is_asked`: it is asked by management socket, else it writes a file a moment before."""

    def __init__(self, *, is_asked: bool = False, version: int = 2) -> None:
        self.is_asked, self._version = is_asked, version
        self.folder = Path(tempfile.mkdtemp(prefix="weighbridge-openvpn-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.clock = HandClock(NOON_US)
        self.sink = CountingSink()
        self.next = 1
        self.clients = [Client(0, "alice", NOON_US // 1_000_000 - 100, 5000, 6000)]
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.text = b""
        self.start()

    def start(self) -> None:
        """The collector begins, with what its folder holds."""
        self.server = Server(TABLE, self.folder, self)
        self.rounds = Rounds("openvpn", [self.server], Surroundings(self.sink, self.clock, self.folder, lambda: None))

    def read(self, stop) -> bytes:
        return self.text

    def poll(self, wait_us: int = 10_100_000) -> None:
        self.clock.at_us += wait_us
        self.text = status_text(self.clock.at_us // 1_000_000, self.clients, self._version)
        self.rounds.poll(self.server, STOP)

    # What happens.

    def connect(self, name: str) -> None:
        self.clients.append(Client(self.next, name, self.clock.at_us // 1_000_000))
        self.next += 1

    def move(self, at: int, received: int, sent: int) -> None:
        if self.clients:
            client = self.clients[at % len(self.clients)]
            client.received += received
            client.sent += sent
            self.received[client.name] += received
            self.sent[client.name] += sent

    def rename(self, at: int, name: str) -> None:
        if self.clients:
            client = self.clients[at % len(self.clients)]
            if client.name == "UNDEF":  # what it moved before is this one's, if it was counted on at all
                is_new = client.connected_s >= NOON_US // 1_000_000
                self.received[name] += client.received if is_new else 0
                self.sent[name] += client.sent if is_new else 0
            client.name = name

    def disconnect(self, at: int) -> None:
        if self.clients:
            del self.clients[at % len(self.clients)]

    def restart(self) -> None:
        """The server, not the collector."""
        self.clients.clear()
        self.next = 0
        self.clock.at_us += 1_500_000

    def tick(self, wait_us: int) -> None:
        self.clock.at_us += wait_us

    def crash(self, dies: str) -> None:
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
        """A poll comes to nothing: the status is torn, or still the old one, or the sink takes nothing."""
        self.sink.is_busy = what == "busy"
        if what == "busy":
            self.poll()
        else:
            self.clock.at_us += 10_000_000
            self.text = self.text[:-30] if what == "torn" else self.text
            self.rounds.poll(self.server, STOP)
        self.sink.is_busy = False

    def set_back(self) -> None:
        self.clock.at_us -= 25_000_000


PLACES = st.integers(0, 5)
AMOUNTS = st.integers(0, 1000)
CONNECTS = st.tuples(st.just("connect"), st.sampled_from([*NAMES, "alice", "UNDEF"]))
MOVES = st.tuples(st.just("move"), PLACES, AMOUNTS, AMOUNTS)
RENAMES = st.tuples(st.just("rename"), PLACES, st.sampled_from(NAMES))
ENDINGS = st.one_of(st.tuples(st.just("disconnect"), PLACES), st.just(("restart",)))
TICKS = st.tuples(st.just("tick"), st.integers(1, 1_200_000))
POLLS = st.tuples(st.just("poll"), st.sampled_from([10_100_000, 1_000_000, 300_000]))
FAILURES = [("fail", "busy"), ("fail", "torn"), ("fail", "stale")]
TROUBLES = st.sampled_from([*FAILURES, ("crash", "before"), ("crash", "after"), ("lose_folder",), ("set_back",)])


@pytest.mark.parametrize("is_asked", [False, True])
@settings(max_examples=100, deadline=None)
@given(story=st.lists(st.one_of(CONNECTS, MOVES, MOVES, RENAMES, ENDINGS, TICKS, TROUBLES, POLLS, POLLS), max_size=40))
def test_no_more_is_counted_than_was_moved(is_asked, story):
    """Whatever happens. A rename between two polls moves bytes from one name to the other, and makes none."""
    told = World(is_asked=is_asked)
    told.poll()
    for name, *arguments in story:
        getattr(told, name)(*arguments)
        moved = sum(client.received for client in told.clients if client.name == "UNDEF")
        assert told.sink.received.total() <= told.received.total() + moved, name
        if not any(step[0] == "rename" for step in story):
            assert all(told.sink.sent[each] <= told.sent[each] for each in NAMES), name


@pytest.mark.parametrize("is_asked", [False, True])
@settings(max_examples=100, deadline=None)
@given(story=st.lists(st.one_of(
    CONNECTS, MOVES, MOVES, RENAMES, ENDINGS, TICKS, st.sampled_from([*FAILURES[:1], ("crash", "after")])), max_size=30))
def test_everything_is_counted_where_every_end_was_seen(is_asked, story):
    """A poll before whatever ends a session or its name: then each name has its own bytes, whatever the sink does between."""
    told = World(is_asked=is_asked, version=3)
    told.poll()
    for name, *arguments in story:
        if name in ("disconnect", "restart", "rename", "crash"):
            told.poll()
        getattr(told, name)(*arguments)
    told.poll()
    for each in NAMES:
        assert told.sink.received[each] == told.received[each]
        assert told.sink.sent[each] == told.sent[each]


def test_reconnects_share_one_counter_and_sessions_at_once_have_two():
    told = World()
    told.poll()
    for _ in range(5):
        told.disconnect(0)
        told.connect("alice")
        told.move(0, 7, 8)
        told.poll()
    assert told.sink.counters == 2  # that of the first session, and that of all after it
    told.connect("alice")
    told.move(1, 100, 1)
    told.poll()
    assert told.sink.counters == 3
    assert (told.sink.received["alice"], told.sink.sent["alice"]) == (135, 41)


def test_a_session_of_the_second_of_the_last_poll_counts_whole():
    """Its beginning is floored to a second, so it seems to lie before."""
    told = World()
    told.poll()
    told.tick(200_000)
    told.connect("bob")
    told.move(1, 9, 9)
    told.poll()
    assert told.clients[1].connected_s * 1_000_000 < told.clock.at_us - 10_100_000
    assert told.sink.received["bob"] == 9


def test_a_session_that_the_last_list_lacked_by_mistake_is_not_counted_twice():
    told = World()
    told.connect("bob")
    told.move(1, 50, 5)
    told.poll()
    alice, bob = told.clients
    told.clients = [alice]
    told.poll()
    told.clients = [alice, bob]
    told.move(1, 3, 2)
    told.poll()
    told.move(1, 4, 1)
    told.poll()
    assert told.sink.received["bob"] == 4


def test_what_is_nobodys_is_told():
    told = World()
    told.connect("UNDEF")
    told.move(1, 303, 2491)
    told.poll()
    told.fail("torn")
    told.poll()
    assert told.sink.received.total() == 0
    assert told.sink.told == {"polls": 2, "sessions_unnamed": 2, "torn": 1}


def played(*story, is_asked=False) -> World:
    """A world after a poll, this story, and a poll."""
    told = World(is_asked=is_asked)
    told.poll()
    for name, *arguments in story:
        getattr(told, name)(*arguments)
    told.poll()
    return told


POLL = ("poll", 10_100_000)


def test_a_session_that_gets_its_name_late_takes_a_counter_over_at_its_end_only():
    told = played(
        ("connect", "alice"), ("move", 1, 100, 100), POLL,      # in alice's first counter
        ("connect", "UNDEF"), ("move", 2, 700, 7), POLL,
        ("disconnect", 1), ("rename", 1, "alice"),
    )
    assert told.sink.received["alice"] == told.received["alice"] == 800


def test_a_session_that_changes_its_name_has_a_counter_that_nobody_had():
    told = played(
        ("connect", "bob"), ("move", 1, 10, 10), POLL, ("disconnect", 1), POLL,   # bob's first counter stands at 10
        ("connect", "alice"), ("move", 1, 500, 500), POLL, ("rename", 1, "bob"), ("move", 1, 3, 3),
    )
    assert (told.sink.received["alice"], told.sink.received["bob"]) == (500, 13)


def test_a_name_that_is_lost_for_a_moment_costs_nothing():
    told = played(("move", 0, 10, 10), ("rename", 0, "UNDEF"), POLL, ("rename", 0, "alice"), ("move", 0, 5, 5))
    assert told.sink.received == {"alice": 15}


def test_two_sessions_that_began_before_a_crash_keep_their_counters():
    """The one with the first counter goes; the other must not count whole a second time in its place."""
    told = played(
        ("connect", "bob"), ("connect", "bob"), ("move", 1, 10, 10), ("move", 2, 900, 900),
        ("crash", "after"), ("disconnect", 1),
    )
    assert told.sink.received == {"bob": 910, "alice": 0}


def test_a_session_from_before_the_first_list_counts_from_there_when_it_has_a_name():
    told = World()
    told.clients[0].name = "UNDEF"
    told.poll()
    told.rename(0, "alice")
    told.move(0, 30, 3)
    told.poll()
    assert (told.sink.received["alice"], told.sink.sent["alice"]) == (30, 3)
