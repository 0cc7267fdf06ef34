"""The collector: many devices at their own pace, in a thread, with a sink that may refuse."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from support.snmp_agent import Agent, Port, Serving
from weighbridge.app.clock import SystemClock
from weighbridge.domain.errors import BusyError, InvalidInputError, StorageError
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.snmp import device, listen
from weighbridge.sources.snmp.listen import make_collector
from weighbridge.sources.snmp.memory import Memory
from weighbridge.sources.snmp.settings import read_settings

PATIENCE_S = 10.0


class Intake:
    """A sink that remembers; it refuses while `error` is set."""

    def __init__(self):
        self.taken, self.error, self.calls = [], None, 0

    def __call__(self, collected):
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.taken.append(collected)

    def readings(self, name):
        return [each for collected in self.taken for each in collected.readings if each.thing.device == name]

    def count(self, name, what):
        return sum(collected.counts.get((name, what), 0) for collected in self.taken)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    monkeypatch.setenv("SNMP_COMMUNITY", "public")
    monkeypatch.setattr(listen, "GATHER_S", 0.05)


def table(name, port, **more):
    return read_settings({"device": name, "address": f"127.0.0.1:{port}", "community_env": "SNMP_COMMUNITY", "interval_s": 1,
                          "timeout_s": 0.3, "retries": 0} | more)


def agent_of(*figures, **more):
    agent = Agent()
    agent.table({index: Port(f"p{index}", (figure, figure)) for index, figure in enumerate(figures, 1)},
                **({"up_ticks": 100_000} | more))
    return agent


def make(*tables, folder, sink=None):
    return make_collector(tables, Surroundings(sink or Intake(), SystemClock(), folder, lambda: None))


@contextmanager
def collecting(tables, sink, folder):
    """The collector at work in a thread, ended when the `with` is left; how long that took is in the list."""
    collector = make(*tables, folder=folder, sink=sink)
    stop, took_s = threading.Event(), []
    thread = threading.Thread(target=collector.run, args=(stop,))
    thread.start()
    try:
        yield took_s
    finally:
        began = time.monotonic()
        stop.set()
        thread.join(PATIENCE_S)
        took_s.append(time.monotonic() - began)
        assert not thread.is_alive()


def until(true):
    ends = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_each_device_is_polled_at_its_own_pace(tmp_path):
    sink = Intake()
    with Serving(agent_of(1), agent_of(2, 3)) as serving:
        tables = [table("quick", serving.ports[0]), table("slow", serving.ports[1], interval_s=3600)]
        with collecting(tables, sink, tmp_path):
            until(lambda: sink.count("quick", "polls") >= 3)
    assert sink.count("slow", "polls") == 1
    assert [each.bytes_in for each in sink.readings("slow")] == [2, 3]
    times = [each.at_us for each in sink.readings("quick")]
    assert all(0.8e6 < later - earlier < 1.2e6 for earlier, later in pairwise(times))


def test_devices_that_do_not_answer_delay_no_other(tmp_path, monkeypatch):
    """Far more of them than places, each holding its place for ten seconds."""
    monkeypatch.setattr(listen, "AT_ONCE", 8)
    monkeypatch.setattr(listen, "SILENT_AT_ONCE", 2)
    mute = Agent()
    mute.is_mute = True
    sink = Intake()
    with Serving(mute, agent_of(1)) as serving:
        tables = [table(f"mute-{number}", serving.ports[0], timeout_s=0.5) for number in range(40)]
        with collecting([*tables, table("good", serving.ports[1])], sink, tmp_path) as took_s:
            until(lambda: sum(sink.count(each.device, "failed_timeout") >= 1 for each in tables) == 40)
            before = sink.count("good", "polls")
            begun = time.monotonic()
            until(lambda: sink.count("good", "polls") >= before + 3)
            assert time.monotonic() - begun < 4
    assert took_s[0] < 2


def test_a_poll_under_way_does_not_delay_the_end(tmp_path):
    mute = Agent()
    mute.is_mute = True
    sink = Intake()
    with Serving(mute) as serving, collecting([table("mute", serving.ports[0], timeout_s=60)], sink, tmp_path) as took_s:
        time.sleep(0.5)
    assert took_s[0] < 2


@pytest.mark.parametrize("error", [BusyError("full"), StorageError("broken")])
def test_what_the_sink_refuses_is_absent_and_the_next_poll_has_it(tmp_path, error):
    sink = Intake()
    sink.error = error
    with capture_logs() as logs, Serving(agent_of(1)) as serving, collecting([table("a", serving.ports[0])], sink, tmp_path):
        until(lambda: sink.calls >= 3)
        sink.error = None
        until(lambda: sink.readings("a"))
    assert sink.count("a", "not_handed_in") >= 1
    assert sink.count("a", "polls") == sink.count("a", "not_handed_in") + len(sink.readings("a"))
    assert [each["reason"] for each in logs if each["event"] == "snmp_not_handed_in"] == [str(error)]


def test_a_sink_that_takes_its_time_delays_no_poll_and_waits_within_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(listen, "READINGS_WAITING", 3)
    taken, may_go = [], threading.Event()

    def sink(collected):
        may_go.wait(PATIENCE_S)
        taken.append(collected)

    agent = agent_of(1, 2)
    with Serving(agent) as serving, collecting([table("a", serving.ports[0])], sink, tmp_path):
        until(lambda: sum(len(oids) == 4 for _, oids in agent.requests) >= 4)
        may_go.set()
        until(lambda: any(collected.counts.get(("a", "not_handed_in")) for collected in taken))
    polls = sum(collected.counts.get(("a", "polls"), 0) for collected in taken)
    absent = sum(collected.counts.get(("a", "not_handed_in"), 0) for collected in taken)
    assert sum(len(collected.readings) for collected in taken) + absent == 2 * polls


def test_what_is_remembered_outlives_a_restart(tmp_path):
    """The device reboots while nobody looks: its counters began after the last reading, and the collector knows when."""
    sink = Intake()
    agent = agent_of(1000)
    with Serving(agent) as serving:
        tables = [table("a", serving.ports[0])]
        with collecting(tables, sink, tmp_path):
            until(lambda: sink.readings("a"))
        last_us = sink.readings("a")[-1].at_us
        time.sleep(0.3)
        agent.table({5: Port("p1", (10, 10))}, up_ticks=20)
        again = Intake()
        with collecting(tables, again, tmp_path):
            until(lambda: again.readings("a"))
    first = again.readings("a")[0]
    assert (first.bytes_in, first.at_us - first.since_us) == (10, 200_000)
    assert first.since_us > last_us


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100])
def test_what_was_remembered_may_be_lost(tmp_path, damage):
    Memory(tmp_path, 0).close()
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "snmp.sqlite").write_bytes(damage)
    if damage:
        with pytest.raises(StorageError, match="delete it"):
            Memory(tmp_path, 0)
    else:
        assert Memory(tmp_path, 0).load() == {}


def test_first_polls_are_spread_over_the_interval(tmp_path):
    agents = [agent_of(1) for _ in range(60)]
    sink = Intake()
    with Serving(*agents) as serving:
        tables = [table(f"d{number}", port, interval_s=60) for number, port in enumerate(serving.ports)]
        begun_us = SystemClock().now_us()
        with collecting(tables, sink, tmp_path):
            until(lambda: all(sink.readings(each.device) for each in tables))
    starts = sorted((sink.readings(each.device)[0].at_us - begun_us) / 1e6 for each in tables)
    assert starts[-1] - starts[0] > 0.5 * len(tables) * listen.START_EVERY_S
    assert starts[-1] < 2 * len(tables) * listen.START_EVERY_S + 1


def test_trouble_is_told_once_and_its_end_too(tmp_path):
    agent = agent_of(1)
    agent.is_mute = True
    sink = Intake()
    with capture_logs() as logs, Serving(agent) as serving, collecting(
        [table("a", serving.ports[0], timeout_s=0.1)], sink, tmp_path
    ):
        until(lambda: sink.count("a", "failed_timeout") >= 2)
        agent.is_mute = False
        until(lambda: len(sink.readings("a")) >= 2)
    assert [each["event"] for each in logs] == ["snmp_poll_failed", "snmp_device_answers"]
    assert logs[0]["device"] == "a"
    assert "public" not in str(logs)


def test_names_that_several_interfaces_have_are_told_once(tmp_path):
    agent, sink = Agent(), Intake()
    agent.table({1: Port("a", (1, 1)), 2: Port("a", (2, 2)), 3: Port("b", (3, 3))}, up_ticks=100)
    with capture_logs() as logs, Serving(agent) as serving, collecting([table("d", serving.ports[0])], sink, tmp_path):
        until(lambda: sink.count("d", "shared_name") >= 2)
    assert {each.thing.name for each in sink.readings("d")} == {"b"}
    assert [(each["event"], each["interfaces"]) for each in logs] == [("snmp_names_shared", ["a"])]


def test_a_defect_with_one_device_stops_no_other(tmp_path, monkeypatch):
    decode = device.decode

    def broken(name, *rest):
        if name == "odd":
            raise ZeroDivisionError
        return decode(name, *rest)

    monkeypatch.setattr(device, "decode", broken)
    sink = Intake()
    with capture_logs() as logs, Serving(agent_of(1), agent_of(1)) as serving, collecting(
        [table("odd", serving.ports[0]), table("good", serving.ports[1])], sink, tmp_path
    ):
        until(lambda: sink.count("odd", "failed_defect") >= 2 and sink.count("good", "polls") >= 2)
    assert {(each["event"], each["device"]) for each in logs} == {("snmp_poll_defect", "odd")}


def test_sockets_are_closed(tmp_path):
    mute = Agent()
    mute.is_mute = True
    sink = Intake()
    with Serving(mute, agent_of(1)) as serving:
        tables = [table("good", serving.ports[1]), *(table(f"m{n}", serving.ports[0], timeout_s=0.1) for n in range(20))]
        with collecting(tables, sink, tmp_path):
            until(lambda: sink.count("good", "polls") >= 2 and sink.count("m0", "polls") >= 2)
            time.sleep(0.3)
            assert sum(1 for _ in os.scandir("/proc/self/fd")) < 60


def test_a_device_in_two_tables_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="device a stands in two"):
        make(table("a", 1), table("a", 2), folder=tmp_path)


def test_a_missing_library_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gufo.snmp", None)
    with pytest.raises(InvalidInputError, match=r"-m pip install gufo-snmp"):
        make(table("a", 1), folder=tmp_path)


def test_a_missing_variable_ends_the_start(tmp_path):
    with pytest.raises(InvalidInputError, match="device a: the variable NO_SUCH is not set"):
        make(table("a", 1, community_env="NO_SUCH"), folder=tmp_path)
