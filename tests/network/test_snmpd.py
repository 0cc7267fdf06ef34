"""Real snmpd: what is billed is what the kernel counted, by v2c and v3, through restarts, removals and re-made interfaces."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from support import snmpd
from support.snmpd import AUTH_KEY, COMMUNITY, PRIVACY_KEY, enter, until
from support.things import EVERYONE, Network
from weighbridge.app.clock import SystemClock
from weighbridge.collected import Thing, ThingKind
from weighbridge.model import Kind
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.snmp.listen import make_collector
from weighbridge.sources.snmp.settings import read_settings

DEVICE = "host-1"
V2C = {"version": "2c", "community_env": "SNMP_COMMUNITY"}
V3 = {"version": "3", "user": "weigher", "auth": "sha256", "auth_key_env": "SNMP_AUTH", "privacy": "aes128",
      "privacy_key_env": "SNMP_PRIVACY"}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    for name, value in (("COMMUNITY", COMMUNITY), ("AUTH", AUTH_KEY), ("PRIVACY", PRIVACY_KEY)):
        monkeypatch.setenv(f"SNMP_{name}", value)


@pytest.fixture
def site():
    with snmpd.site() as made:
        yield made


class Weighed:
    """A site, a collector that polls it from inside every second, and a desk that takes its readings."""

    def __init__(self, site, folder, **asked):
        self.site = site
        self.network = Network(folder / "journal")
        self.network.clock.at_us = 2**53  # the intake's bound on the future is not what is tested
        self.shown, self.counts, self.handed_in = {}, Counter(), 0
        self._folder = folder / "snmp"
        self._folder.mkdir()
        self._asked = asked

    def take(self, collected):
        self.handed_in += 1
        self.network.desk.take(collected, EVERYONE, "", f"own-{self.handed_in}")
        self.counts.update({what: number for (_, what), number in collected.counts.items()})
        for reading in collected.readings:
            self.shown[reading.thing.name] = (reading.bytes_in, reading.bytes_out)

    def start(self):
        table = read_settings({
            "device": DEVICE, "address": "127.0.0.1", "interval_s": 1, "timeout_s": 0.5, "retries": 0, **self._asked})
        collector = make_collector((table,), Surroundings(self.take, SystemClock(), self._folder, lambda: None))
        self._stop = threading.Event()

        def run():
            enter(self.site.host)
            collector.run(self._stop)

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def catch_up(self, name):
        """The agent shows what the kernel counts (it looks every few seconds), and it was handed in."""
        until(lambda: self.shown.get(name) == self.site.kernel(name))

    def give(self, name, **more):
        """From now on the interface is the server's."""
        self.network.give_port("sv_0", thing=Thing(ThingKind.INTERFACE, DEVICE, name), **more)

    def billed(self):
        return self.network.total(Kind.SERVER, "sv_0", "interfaces")


@pytest.fixture
def weighed(site, tmp_path, request):
    made = Weighed(site, tmp_path, **request.param)
    site.cable("wan0", 1)
    site.start_agent()
    made.give("wan0", facing="server")
    made.start()
    made.catch_up("wan0")
    yield made
    made.stop()
    made.network.close()


@pytest.mark.parametrize("weighed", [V2C, V3], indirect=True, ids=["v2c", "v3"])
def test_what_is_billed_is_what_the_kernel_counted(weighed):
    """The port faces the server: what it received the server sent. Then the agent is restarted, which resets nothing."""
    site = weighed.site
    before = site.kernel("wan0")
    received = site.send(1, 400, 1000, to_host=True)
    sent = site.send(1, 300, 100, to_host=False)
    weighed.catch_up("wan0")
    assert site.kernel("wan0") == (before[0] + received, before[1] + sent)
    assert weighed.billed() == (sent, received)
    site.stop_agent()
    received += site.send(1, 50, 1400, to_host=True)
    until(lambda: weighed.counts["failed_refused"] + weighed.counts["failed_timeout"])
    site.start_agent()
    weighed.catch_up("wan0")
    assert weighed.billed() == (sent, received)
    assert weighed.shown["wan0"] == site.kernel("wan0")


@pytest.mark.parametrize("weighed", [V2C], indirect=True, ids=["v2c"])
def test_an_interface_that_is_made_anew_counts_from_zero_and_no_byte_twice(weighed):
    """The agent keeps the row of the removed one under the same name: the one that is up counts, the whole of it."""
    site = weighed.site
    received = site.send(1, 100, 1000, to_host=True)
    weighed.catch_up("wan0")
    site.cut("wan0")
    site.cable("wan0", 1, ordinal=1)
    received += site.send(1, 500, 1000, to_host=True)
    sent = site.send(1, 10, 500, to_host=False)
    weighed.catch_up("wan0")
    assert weighed.billed() == (sent, received)
    received += site.send(1, 20, 1000, to_host=True)
    weighed.catch_up("wan0")
    assert weighed.billed() == (sent, received)
