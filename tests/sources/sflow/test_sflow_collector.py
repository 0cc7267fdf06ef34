"""The collector of sFlow over a real socket: everything that came is handed in once, whatever the sink does meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import structlog

from support import sflow
from weighbridge.app.clock import SystemClock
from weighbridge.domain.errors import BusyError, StorageError
from weighbridge.metering.flows.interest import Interest
from weighbridge.sources import flows
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.sflow.listen import make_collector
from weighbridge.sources.sflow.settings import SflowSettings

WEB = "198.51.100.10"


class Sink:
    """Keeps what it is given, but for the first few times, when it refuses."""

    def __init__(self, refusals=(), delay_s=0.0):
        self.refusals = list(refusals)
        self.delay_s = delay_s
        self.taken = []

    def __call__(self, collected):
        time.sleep(self.delay_s)
        if self.refusals:
            raise self.refusals.pop(0)
        self.taken.append(collected)

    def sums(self):
        rows = [row for collected in self.taken for each in collected.flows for row in each.rows]
        return sum(int(row["bytes_in"]) for row in rows), sum(int(row["bytes_out"]) for row in rows)

    def counts(self):
        total = Counter()
        for collected in self.taken:
            total.update(collected.counts)
        return total


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A collector in a thread while the `with` lasts."""

    def __init__(self, folder, sink, interest=None, networks=(), **table):
        self.port = free_port()
        settings = SflowSettings(listen=f"127.0.0.1:{self.port}", networks=networks, **table)
        surroundings = Surroundings(sink, SystemClock(), folder, lambda: interest)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=make_collector((settings,), surroundings).run, args=(self.stop,))

    def __enter__(self):
        self.thread.start()
        self.wait_for_socket()
        return self

    def wait_for_socket(self):
        until_s = time.monotonic() + 5
        while time.monotonic() < until_s:
            if f":{self.port:04X} " in Path("/proc/net/udp").read_text("ascii"):
                return
            time.sleep(0.01)
        pytest.fail("it does not listen")

    def send(self, *datagrams):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for datagram in datagrams:
                out.sendto(datagram, ("127.0.0.1", self.port))

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


def samples(count, length=100, first=1):
    packet = sflow.header_record(sflow.frame(sflow.ip(WEB, "203.0.113.7", length)))
    return [sflow.datagram(sflow.flow_sample(packet, rate=10), sequence=number) for number in range(first, first + count)]


def wait_until(holds):
    until_s = time.monotonic() + 10
    while not holds() and time.monotonic() < until_s:
        time.sleep(0.02)
    assert holds()


KNOWN = Interest(prefixes=("198.51.100.0/24",))


def test_what_comes_is_handed_in_within_two_seconds_and_the_rest_at_the_end(tmp_path):
    sink = Sink()
    with Running(tmp_path, sink, KNOWN) as running:
        running.send(*samples(50))
        wait_until(lambda: sink.sums() == (0, 50 * 1000))
        running.send(*samples(7, first=51))
    assert sink.sums() == (0, 57 * 1000)
    assert sink.counts()["192.0.2.1", "datagrams"] == 57
    assert {collected.source for collected in sink.taken} == {"sflow"}


def test_what_the_sink_refuses_is_handed_in_later_once(tmp_path, monkeypatch):
    monkeypatch.setattr(flows, "HAND_IN_EVERY_S", 0.05)
    sink = Sink([BusyError("full"), StorageError("disk"), BusyError("full")])
    with Running(tmp_path, sink, KNOWN) as running:
        for first in range(1, 200, 10):
            running.send(*samples(10, first=first))
            time.sleep(0.02)
        wait_until(lambda: sink.sums() == (0, 200 * 1000))
    assert sink.sums() == (0, 200 * 1000)
    assert sink.counts()["192.0.2.1", "samples"] == 200


def test_a_slow_sink_stops_nobody_from_receiving(tmp_path, monkeypatch):
    monkeypatch.setattr(flows, "HAND_IN_EVERY_S", 0.05)
    sink = Sink(delay_s=0.4)
    with Running(tmp_path, sink, KNOWN) as running:
        for first in range(1, 1001, 100):
            running.send(*samples(100, first=first))
            time.sleep(0.05)
    assert sink.sums() == (0, 1000 * 1000)


def test_what_the_sink_refuses_until_the_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(flows, "LAST_TRY_S", 0.1)
    sink = Sink([BusyError("full")] * 100)
    with structlog.testing.capture_logs() as told, Running(tmp_path, sink, KNOWN) as running:
        running.send(*samples(5))
    assert sink.taken == []
    assert "flows_lost" in [each["event"] for each in told]


def test_networks_of_the_settings_are_kept_beside_what_is_known(tmp_path):
    packet = sflow.header_record(sflow.frame(sflow.ip(WEB, "203.0.113.7", 500)))
    foreign = sflow.header_record(sflow.frame(sflow.ip(WEB, "192.0.2.99", 70)))
    sink = Sink()
    with Running(tmp_path, sink, KNOWN, networks=("203.0.113.0/24",)) as running:
        running.send(sflow.datagram(sflow.flow_sample(packet), sflow.flow_sample(foreign)))
    assert sink.sums() == (500, 570)


def test_counters_of_ports_come_along(tmp_path):
    sink = Sink()
    with Running(tmp_path, sink, KNOWN) as running:
        running.send(sflow.datagram(sflow.counter_sample(sflow.interface_record(3, 10, 20))))
    readings = [reading for collected in sink.taken for reading in collected.readings]
    assert [(r.thing.device, r.thing.name, r.bytes_in, r.bytes_out) for r in readings] == [("192.0.2.1", "3", 10, 20)]


def test_an_address_that_is_taken_is_told(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings = SflowSettings(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        collector = make_collector((settings,), Surroundings(Sink(), SystemClock(), tmp_path, lambda: None))
        with pytest.raises(OSError, match="in use"):
            collector.run(threading.Event())
