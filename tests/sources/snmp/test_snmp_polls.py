"""Polls of a scripted agent over real sockets: what is read of it, to the byte, whatever it does."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

from support.clock import HandClock
from support.snmp_agent import (
    COUNTER64,
    GAUGE32,
    GET,
    GET_BULK,
    IF_TABLE,
    IF_X_TABLE,
    INTEGER,
    STRING,
    Agent,
    Port,
    Serving,
)
from weighbridge.sources.snmp import poll as polling
from weighbridge.sources.snmp.decode import KnownDevice
from weighbridge.sources.snmp.device import Device
from weighbridge.sources.snmp.settings import Secrets, SnmpSettings

START_US = 1_796_000_000_000_000
MINUTE_US = 60_000_000


class Poller:
    """A device that is polled by hand, a minute apart."""

    def __init__(self, port, clock=None, community="public", **given):
        self.clock = clock or HandClock(START_US)
        settings = SnmpSettings(device="tor-1", address=f"127.0.0.1:{port}", community_env="X", timeout_s=0.3, retries=0)
        self.device = Device(_changed(settings, given), Secrets(community), KnownDevice(), self.clock.now_us)

    def poll(self):
        decoded = asyncio.run(self.device.poll())
        self.clock.at_us += MINUTE_US
        return decoded


def _changed(settings, given):
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return SnmpSettings(**(fields | given))


@contextmanager
def polled(agent, **given):
    with Serving(agent) as serving:
        yield Poller(serving.ports[0], **given)


def figures(decoded):
    return {reading.thing.name: (reading.bytes_in, reading.bytes_out) for reading in decoded.readings}


def test_a_reading_says_all_that_was_read():
    agent = Agent()
    agent.table({7: Port("ge-0/0/1", (10**15, 2**64 - 1), speed=10_000)}, up_ticks=500)
    with polled(agent) as poller:
        decoded = poller.poll()
    (reading,) = decoded.readings
    assert (reading.thing.kind, reading.thing.device, reading.thing.name) == ("interface", "tor-1", "ge-0/0/1")
    assert (reading.bytes_in, reading.bytes_out, reading.bits) == (10**15, 2**64 - 1, 64)
    assert (reading.at_us, reading.since_us, reading.line_rate_bps) == (START_US, None, 10**10)
    assert (reading.counter, reading.is_whole) == ("", False)
    assert decoded.counts == {"polls": 1}


@pytest.mark.parametrize("rows", [0, 1, 24, 25, 26, 300])
@pytest.mark.parametrize("largest", [300, 484, 1472, 65_000])
def test_every_row_is_read_whatever_the_agent_can_answer_at_once(rows, largest):
    """Walks come truncated, GETs are answered tooBig: RFC 3416, 4.2.1 and 4.2.3."""
    agent = Agent()
    ports = {index * 3: Port(f"ge-0/0/{index}", (index, index + 1), alias="x" * 60) for index in range(1, rows + 1)}
    agent.table(ports, up_ticks=500)
    agent.largest = largest
    with polled(agent) as poller:
        decoded = poller.poll()
        again = poller.poll()
    expected = {port.name: port.wide for port in ports.values()}
    assert figures(decoded) == figures(again) == expected
    assert max((len(oids) for kind, oids in agent.requests if kind == GET), default=0) <= polling.OIDS_AT_ONCE + 1


def test_what_a_device_can_answer_is_learned_once():
    agent = Agent()
    agent.table({index: Port(f"p{index}", (1, 1)) for index in range(1, 101)}, up_ticks=500)
    agent.largest = 400
    requests = []
    with polled(agent) as poller:
        for _ in range(3):
            agent.requests.clear()
            assert len(poller.poll().readings) == 100
            requests.append([len(oids) for kind, oids in agent.requests if kind == GET])
    assert [len(sizes) > 50 + 1 for sizes in requests] == [True, True, False]  # beside the clocks, two rows at once


def test_an_agent_that_drops_what_is_too_large_is_asked_for_less_next_time():
    agent = Agent()
    agent.table({index: Port(f"p{index}", (index, 1)) for index in range(1, 31)}, up_ticks=500)
    agent.largest, agent.drops_large = 700, True
    with polled(agent, max_repetitions=5) as poller:
        decoded = [poller.poll() for _ in range(4)]
    assert decoded[0].counts["failed_timeout"] == 1
    assert figures(decoded[-1]) == {f"p{index}": (index, 1) for index in range(1, 31)}


def test_a_row_that_the_agent_fails_at_is_absent_and_the_others_are_read():
    agent = Agent()
    agent.table({index: Port(f"p{index}", (index, 1)) for index in range(1, 31)}, up_ticks=500)
    agent.failing = ((*IF_X_TABLE, 6, 13),)
    with polled(agent) as poller:
        decoded = poller.poll()
    assert set(figures(decoded)) == {f"p{index}" for index in range(1, 31)} - {"p13"}
    assert decoded.counts["unread"] == 1


@pytest.mark.parametrize(("port", "expected", "bits", "rate_bps"), [
    (Port("a", (5, None)), (5, None), 64, 10**9),
    (Port("a", (None, 6)), (None, 6), 64, 10**9),
    (Port("a", None, (7, 8)), (7, 8), 32, 10**9),
    (Port("a", (0, 0), (7, 8)), (7, 8), 32, 10**9),
    (Port("a", (0, 0), (0, 0)), (0, 0), 64, 10**9),
    (Port("a", (0, 0)), (0, 0), 64, 10**9),
    (Port("a", (5, None), (7, 8)), (7, 8), 32, 10**9),
    (Port("a", None, (7, None)), (7, None), 32, 10**9),
    (Port("a", (1, 2), speed=0), (1, 2), 64, None),
    (Port("a", (1, 2), speed=(GAUGE32, 2**32 - 1)), (1, 2), 64, None),
    (Port("a", (1, 2), speed=(INTEGER, -1)), (1, 2), 64, None),
    (Port("a", (1, 2), speed="fast"), (1, 2), 64, None),
    (Port("a", (1, 2), speed=10), (1, 2), 64, 10**7),
    (Port("a", None, (1, 2), speed=None, more={(IF_TABLE, 5): (GAUGE32, 10**8)}), (1, 2), 32, 10**8),
    (Port("a", None, (1, 2), speed=None, more={(IF_TABLE, 5): (GAUGE32, 2**32 - 1)}), (1, 2), 32, None),
    (Port("a", None, (1, 2), speed=None), (1, 2), 32, None),
    (Port("a", (1, 2), more={(IF_X_TABLE, 6): "12"}), (None, 2), 64, 10**9),
    (Port("a", (1, 2), more={(IF_X_TABLE, 6): (INTEGER, -12)}), (None, 2), 64, 10**9),
    (Port("a", (1, 2), more={(IF_X_TABLE, 6): (GAUGE32, 12)}), (12, 2), 64, 10**9),
    (Port("a", None, (1, 2), more={(IF_TABLE, 10): (COUNTER64, 2**32)}), (None, 2), 32, 10**9),
    (Port("", (1, 2), described="a"), (1, 2), 64, 10**9),
    (Port(None, (1, 2), described="a"), (1, 2), 64, 10**9),
    (Port(b" a\0\0", (1, 2)), (1, 2), 64, 10**9),
    (Port("a", (1, 2), discontinuity=None), (1, 2), 64, 10**9),
])
def test_what_lacks_or_lies_is_absent_and_the_rest_is_read(port, expected, bits, rate_bps):
    agent = Agent()
    agent.table({4: port}, up_ticks=500)
    with polled(agent) as poller:
        (reading,) = poller.poll().readings
    assert (reading.thing.name, (reading.bytes_in, reading.bytes_out)) == ("a", expected)
    assert (reading.bits, reading.line_rate_bps) == (bits, rate_bps)


@pytest.mark.parametrize("name", [b"\x01\x02", "x" * 256, "", (STRING, b""), (INTEGER, 5)])
def test_an_interface_without_a_usable_name_is_not_read(name):
    agent = Agent()
    agent.table({1: Port(name, (1, 1)), 2: Port("b", (2, 2))}, up_ticks=500)
    with polled(agent) as poller:
        assert figures(poller.poll()) == {"b": (2, 2)}


def test_names_that_are_no_utf8_are_latin_1():
    agent = Agent()
    agent.table({1: Port("Büro".encode("latin-1"), (1, 1)), 2: Port("Büro 2", (2, 2))}, up_ticks=500)
    with polled(agent) as poller:
        assert figures(poller.poll()) == {"Büro": (1, 1), "Büro 2": (2, 2)}


def test_only_the_interfaces_that_are_named_are_read():
    agent = Agent()
    names = ["ge-0/0/1", "ge-0/0/2", "xe-0/0/1", "lo0"]
    agent.table({index: Port(name, (index, index)) for index, name in enumerate(names, 1)}, up_ticks=500)
    with polled(agent, interfaces=("ge-*", "xe-0/0/[12]")) as poller:
        assert set(figures(poller.poll())) == set(names[:3])


def test_a_device_without_uptime_is_read_all_the_same():
    agent = Agent()
    agent.table({index: Port(f"p{index}", (index, 1)) for index in range(1, 41)})
    agent.largest = 500
    with polled(agent) as poller:
        assert len(poller.poll().readings) == 40


def test_indexes_are_read_anew_at_each_poll():
    agent = Agent()
    agent.table({1: Port("a", (100, 10)), 2: Port("b", (900, 90))}, up_ticks=100_000)
    with polled(agent) as poller:
        first = poller.poll()
        agent.table({1: Port("b", (950, 95)), 2: Port("a", (130, 13))}, up_ticks=106_000)
        second = poller.poll()
    assert figures(first) == {"a": (100, 10), "b": (900, 90)}
    assert figures(second) == {"a": (130, 13), "b": (950, 95)}
    assert {reading.counter for reading in second.readings} == {""}


@pytest.mark.parametrize("moment", range(8))
def test_a_table_that_is_renumbered_in_the_middle_of_a_poll_gives_nothing_or_what_is_right(moment):
    """Whenever it happens: every figure belongs to its name."""
    first = {index: Port(f"p{index}", (index, 1)) for index in range(1, 41)}
    moved = {index + 1: Port(f"p{index}", (index, 1)) for index in range(1, 41)}
    agent = Agent()
    agent.table(first, up_ticks=500)

    def move(agent, kind):
        if len(agent.requests) == moment:
            agent.table(moved, up_ticks=501)

    agent.before = move
    with polled(agent) as poller:
        decoded = poller.poll()
        again = poller.poll()
    assert all(name == f"p{total}" for name, (total, _) in figures(decoded).items())
    assert len(decoded.readings) in {0, 40} or decoded.counts["failed_moved"] == 0
    assert figures(again) == {f"p{index}": (index, 1) for index in range(1, 41)}


def test_an_agent_that_restarts_in_the_middle_of_a_poll_gives_nothing():
    agent = Agent()
    ports = {index: Port(f"p{index}", (index, 1)) for index in range(1, 41)}
    agent.table(ports, up_ticks=100_000)

    def restart(agent, kind):
        if sum(kind == GET for kind, _ in agent.requests) == 3:
            agent.table(ports, up_ticks=10)

    agent.before = restart
    with polled(agent) as poller:
        decoded = poller.poll()
    assert (decoded.readings, decoded.counts) == ((), {"polls": 1, "failed_restarted": 1})


def test_what_was_read_before_a_device_fell_silent_counts():
    agent = Agent()
    agent.table({index: Port(f"p{index}", (index, 1)) for index in range(1, 41)}, up_ticks=500)

    def fall_silent(agent, kind):
        agent.is_mute = sum(kind == GET for kind, _ in agent.requests) >= 4

    agent.before = fall_silent
    with polled(agent) as poller:
        decoded = poller.poll()
    assert 0 < len(decoded.readings) < 40
    assert decoded.counts["failed_timeout"] == 1
    assert all(name == f"p{total}" for name, (total, _) in figures(decoded).items())


GARBAGE = [
    b"", b"\x30", b"\x00" * 40, b"\xff" * 1400, b"GET / HTTP/1.0\r\n\r\n", b"\x30\x84\xff\xff\xff\xff\x02",
    bytes.fromhex("302902010104067075626c6963a21c02040000000102010002010030") + b"\x0e\x30\x00" * 5,
    bytes.fromhex("3026020101040670") + b"ublic" + bytes.fromhex("a219020101020100020100300e300c06082b0601020101030043"),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_a_failed_poll_and_no_more(garbage):
    agent = Agent()
    agent.table({1: Port("a", (1, 1))}, up_ticks=500)
    agent.garbage = garbage
    with polled(agent) as poller:
        decoded = poller.poll()
        agent.garbage = None
        again = poller.poll()
    assert decoded.readings == ()
    assert set(decoded.counts) in ({"polls", "failed_broken_answer"}, {"polls", "failed_timeout"})
    assert figures(again) == {"a": (1, 1)}


def test_a_table_that_goes_in_circles_ends():
    agent = Agent()
    agent.table({1: Port("a", (1, 1)), 2: Port("b", (1, 1))}, up_ticks=500)
    agent._after = lambda oid: ((*IF_X_TABLE, 1, 1), agent._binding((*IF_X_TABLE, 1, 1)))
    with polled(agent) as poller:
        assert poller.poll().counts == {"polls": 1, "failed_broken_answer": 1}
    assert sum(kind == GET_BULK for kind, _ in agent.requests) == 1


def test_there_is_a_bound_on_interfaces(monkeypatch):
    monkeypatch.setattr(polling, "MAX_INTERFACES", 10)
    agent = Agent()
    agent.table({index: Port(f"p{index}", (1, 1)) for index in range(1, 13)}, up_ticks=500)
    with polled(agent) as poller:
        decoded = poller.poll()
    assert (len(decoded.readings), decoded.counts["cut"]) == (10, 1)


def test_a_device_without_interfaces_is_told():
    agent = Agent()
    agent.table({}, up_ticks=500)
    with polled(agent) as poller:
        assert poller.poll().counts == {"polls": 1, "failed_no_interfaces": 1}


@pytest.mark.parametrize(("given", "reason"), [
    ({"community": "wrong"}, "timeout"),
    ({"address": "127.0.0.1:1"}, "refused"),
    ({"address": f"{'x' * 64}.invalid"}, "no_such_host"),  # a label is 63 characters at most: nobody is asked
    ({"address": "255.255.255.255"}, "unreachable"),        # a broadcast is refused by the kernel
])
def test_why_a_device_does_not_answer_is_told(given, reason):
    agent = Agent()
    agent.table({1: Port("a", (1, 1))}, up_ticks=500)
    with polled(agent, **given) as poller:
        assert poller.poll().counts == {"polls": 1, f"failed_{reason}": 1}


def test_a_device_that_does_not_answer_is_asked_ever_more_seldom():
    agent = Agent()
    agent.is_mute = True
    agent.table({1: Port("a", (1, 1))}, up_ticks=500)
    with polled(agent, timeout_s=0.1, interval_s=60) as poller:
        pauses = []
        for _ in range(5):
            poller.poll()
            pauses.append(poller.device.pause_s)
        agent.is_mute = False
        poller.poll()
        pauses.append(poller.device.pause_s)
    assert pauses == [60, 120, 240, 300, 300, 60]


def test_retries_ask_again():
    agent = Agent()
    agent.table({1: Port("a", (1, 1))}, up_ticks=500)
    seen = []

    def lose_every_second(agent, kind):
        seen.append(kind)
        agent.is_mute = len(seen) % 2 == 1

    agent.before = lose_every_second
    with polled(agent, retries=1, timeout_s=0.1) as poller:
        assert figures(poller.poll()) == {"a": (1, 1)}
