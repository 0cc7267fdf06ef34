"""Collectors run each by itself; one that falls is told and started again."""

from __future__ import annotations

import sys
import threading
import time
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from weighbridge import sources
from weighbridge.app import collectors as running
from weighbridge.app.collectors import Collectors, numbered
from weighbridge.collected import Collected
from weighbridge.domain.errors import BusyError, DiskFullError, InvalidInputError
from weighbridge.sources.collector import Surroundings

if TYPE_CHECKING:
    from pathlib import Path


class Made:
    """A collector that does as it is told."""

    def __init__(self, tables, surroundings) -> None:
        self.runs = 0
        self.plan, self.ended = tables[0]
        self.surroundings = surroundings
        if self.plan == "refuse":
            raise InvalidInputError("two tables say different things")

    def run(self, stop) -> None:
        self.runs += 1
        step = self.plan[self.runs - 1] if self.runs <= len(self.plan) else None
        if isinstance(step, Exception):
            raise step
        if step == "end":
            return
        if step == "hang":
            time.sleep(3)
        stop.wait()
        self.ended.append(self.runs)


@pytest.fixture
def registry(monkeypatch):
    """Sources of this test alone."""
    module = ModuleType("made_collectors")
    module.make = Made
    monkeypatch.setitem(sys.modules, "made_collectors", module)
    for name in list(sources.COLLECTORS):
        monkeypatch.delitem(sources.COLLECTORS, name)
    for name in ("one", "two"):
        monkeypatch.setitem(sources.COLLECTORS, name, "made_collectors:make")
    monkeypatch.setattr(running, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(running, "LONGEST_WAIT_S", 0.05)


def surround(folder: Path):
    return lambda name: Surroundings(lambda _: None, None, folder / name, lambda: None)


def until(holds) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.usefixtures("registry")
def test_one_that_falls_is_started_again_and_no_other_is_disturbed(tmp_path, monkeypatch):
    ended_one, ended_two = [], []
    plan = [OSError("the address is taken"), KeyError("a defect"), "end"]
    made = Collectors({"one": ((plan, ended_one),), "two": (([], ended_two),), "log": ("no collector",)}, surround(tmp_path))
    troubles = set()
    made.start()
    until(lambda: troubles.update(made.troubles().items()) or made._runs[0]._collector.runs == 4)
    assert {why for name, why in troubles if name == "one"} == {
        "the address is taken", "KeyError: 'a defect'", "it ended by itself"}
    assert {name for name, _ in troubles} == {"one"}
    assert made.troubles() == {"one": "it ended by itself"}  # it has not stood long enough
    monkeypatch.setattr(running, "STEADY_S", 0)
    assert made.troubles() == {}
    made.stop()
    assert (ended_one, ended_two) == ([4], [1])


@pytest.mark.usefixtures("registry")
def test_waits_grow_to_a_bound(tmp_path, monkeypatch):
    waits = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return len(waits) == 9

    monkeypatch.setattr(running, "FIRST_WAIT_S", 1.0)
    monkeypatch.setattr(running, "LONGEST_WAIT_S", 60.0)
    collector = Made((([OSError("x")] * 20, []),), None)
    running._Run("one", collector, Stop())._run()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.usefixtures("registry")
def test_tables_that_contradict_each_other_are_told_before_anything_runs(tmp_path):
    with pytest.raises(InvalidInputError, match="different things"):
        Collectors({"one": (("refuse", []),)}, surround(tmp_path))


@pytest.mark.usefixtures("registry")
def test_a_stop_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "STOP_S", 0.1)
    made = Collectors({"one": ((["hang"], []),)}, surround(tmp_path))
    made.start()
    began_s = time.monotonic()
    made.stop()
    assert time.monotonic() - began_s < 2


@pytest.mark.usefixtures("registry")
def test_a_stop_before_the_start_is_one(tmp_path):
    Collectors({"one": (([], []),)}, surround(tmp_path)).stop()


ONE = Collected("one")


def test_each_hand_over_has_an_id_of_its_own():
    asked = []
    sink = numbered(lambda _collected, name: asked.append(name))
    for _ in range(3):
        sink(ONE)
    numbered(lambda _collected, name: asked.append(name))(ONE)
    assert len(set(asked)) == 4
    assert [name.partition("/")[2] for name in asked] == ["1", "2", "3", "1"]


@pytest.mark.parametrize("error", [BusyError("full"), DiskFullError("full")])
def test_what_was_not_kept_is_the_collectors_again(error):
    def take(_collected, _name):
        raise error

    with pytest.raises(type(error)):
        numbered(take)(ONE)
