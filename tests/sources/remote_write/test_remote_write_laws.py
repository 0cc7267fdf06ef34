"""Laws 8 to 15 for remote write: what devices count is billed once, whatever senders, shards, retries and restarts do.

Bodies go through the route's handler into a real intake and journal; a witness who saw every byte says what was right.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.catalog import MemoryCatalog, acme
from support.clock import HandClock
from support.kit import services_with
from support.remote_write import HEADERS_V1, HEADERS_V2, Sent, sent, write_v1, write_v2
from weighbridge.http.route import Call, Principal
from weighbridge.metering.intake import Intake
from weighbridge.model import Scope
from weighbridge.sources.remote_write.mapping import make_rules
from weighbridge.sources.remote_write.routes import RemoteWrite
from weighbridge.sources.remote_write.settings import RemoteWriteSettings
from weighbridge.storage.journal.store import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AT_MS = 1_765_728_000_000
EVERY_MS = 15_000
TABLE = RemoteWriteSettings(metric_in="rx", metric_out="tx", metric_requests="rq", subject="server/{instance}")
WHO = Principal("key_1", "org_acme", None, frozenset([Scope.INGEST]))
COLUMNS = {"rx": "bytes_in", "tx": "bytes_out", "rq": "requests"}
NOTHING = {"bytes_in": 0, "bytes_out": 0, "requests": 0}

Device = tuple[str, str]
"""Server and interface."""
Reading = tuple[Device, str, int, float, int]
"""Device, metric, instant and start in ms: one sample."""


class Plant:
    """The source over a folder, to be stopped and started again."""

    def __init__(self, folder: Path, table: RemoteWriteSettings = TABLE) -> None:
        self.folder = folder
        self.catalog = MemoryCatalog(acme())
        self.clock = HandClock((AT_MS + 10**8) * 1000)
        self.table = table
        self.start()

    def start(self) -> None:
        self.journal = SqliteJournal(self.folder / "journal")
        self.intake = Intake(self.catalog, self.journal, self.clock, self.journal.mark())
        self.services = services_with(self.catalog.view(), journal=self.journal, intake=self.intake)
        self.source = RemoteWrite(make_rules([self.table]))

    def stop(self) -> None:
        self.intake.close()
        self.journal.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    async def send(self, series: Sequence[Sent], *, version: int = 2, who: Principal = WHO) -> int:
        body, headers = (write_v2(series), HEADERS_V2) if version == 2 else (write_v1(series), HEADERS_V1)
        sent_headers = {name.lower(): value for name, value in headers.items()}
        call = Call(self.services, "POST", "/api/v1/write", {}, (), sent_headers, body, who)
        return (await self.source.post_write(call)).status

    def billed(self) -> dict[str, dict[str, int]]:
        """By server: what the journal holds, everything ever accepted."""
        sums: dict[str, dict[str, int]] = defaultdict(lambda: dict(NOTHING))
        for row in self.journal.read(0, 10**9):
            for each in row.measurements:
                name = self.catalog.view().series[int(each["series"])].key.object
                for column in NOTHING:
                    sums[name][column] += max(0, int(each[column]))
        return dict(sums)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.stop()


@dataclass
class Counter:
    """One counter of a device, and the witness of every byte: (instant in ms, amount), and of every reset."""

    value: int
    started_ms: int = AT_MS - 3_600_000
    counted: list[tuple[int, int]] = field(default_factory=list)
    resets_ms: list[int] = field(default_factory=list)

    def count(self, at_ms: int, amount: int) -> None:
        self.value += amount
        self.counted.append((at_ms, amount))

    def reset(self, at_ms: int) -> None:
        self.value, self.started_ms = 0, at_ms
        self.resets_ms.append(at_ms)

    def seen(self, start_ms: int, end_ms: int) -> int:
        return sum(amount for at_ms, amount in self.counted if start_ms < at_ms <= end_ms)

    def proven(self, start_ms: int, end_ms: int) -> int:
        """What readings at both ends prove, with the counter's start: all of it, or what came after the last reset."""
        return self.seen(max([start_ms, *(at_ms for at_ms in self.resets_ms if start_ms < at_ms < end_ms)]), end_ms)


@dataclass(frozen=True)
class Step:
    """What a device does between two scrapes: amounts before and after a reset that may be, by metric."""

    before: tuple[int, int, int]
    after: tuple[int, int, int]
    reset: bool


DEVICES: tuple[Device, ...] = (("sv_0", "eth0"), ("sv_0", "eth1"), ("sv_1", "eth0"))
amounts = st.tuples(*[st.integers(0, 50) | st.integers(0, 2**40)] * 3)


def steps(*, resets: bool) -> st.SearchStrategy[list[dict[Device, Step]]]:
    is_reset = st.integers(0, 3).map(lambda n: n == 0) if resets else st.just(value=False)
    step = st.builds(Step, amounts, amounts, is_reset)
    return st.lists(st.fixed_dictionaries(dict.fromkeys(DEVICES, step)), min_size=1, max_size=7)


@dataclass
class World:
    """What the devices counted, and what each scrape read."""

    counters: dict[tuple[Device, str], Counter]
    scrapes: list[list[Reading]]

    def times_ms(self) -> list[int]:
        return [scrape[0][2] for scrape in self.scrapes]


def play(script: list[dict[Device, Step]], *, tell_start: bool) -> World:
    counters = {(device, metric): Counter(1000 * number) for number, device in enumerate(DEVICES) for metric in COLUMNS}
    world = World(counters, [])
    for number in range(len(script) + 1):
        at_ms = AT_MS + number * EVERY_MS
        world.scrapes.append([
            (device, metric, at_ms, float(counter.value), counter.started_ms if tell_start else 0)
            for (device, metric), counter in counters.items()
        ])
        if number == len(script):
            break
        for device, step in script[number].items():
            for metric, before, after in zip(COLUMNS, step.before, step.after, strict=True):
                counter = counters[device, metric]
                counter.count(at_ms + 1000, before)
                if step.reset:
                    counter.reset(at_ms + 2000)
                counter.count(at_ms + 3000, after)
    return world


def series_of(readings: Sequence[Reading]) -> list[Sent]:
    return [sent(metric, (value, at_ms, start_ms), instance=device[0], device=device[1])
            for device, metric, at_ms, value, start_ms in readings]


def summed(by_counter: dict[tuple[Device, str], int]) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for (device, metric), amount in by_counter.items():
        sums.setdefault(device[0], dict(NOTHING))[COLUMNS[metric]] += amount
    return sums


def run(coroutine: Any) -> None:
    asyncio.run(coroutine)


ways = st.sampled_from(["together", "apart", "apart the other way"])


def requests_of(scrape: list[Reading], way: str) -> list[list[Reading]]:
    """A scrape as shards send it: in one request, or each metric in its own."""
    if way == "together":
        return [scrape]
    metrics = list(COLUMNS) if way == "apart" else list(COLUMNS)[::-1]
    return [[reading for reading in scrape if reading[1] == metric] for metric in metrics]


@settings(max_examples=25, deadline=None)
@given(script=steps(resets=True), way=ways, data=st.data())
def test_with_starts_all_that_can_be_proven_counts_once(
    script: list[dict[Device, Step]], way: str, data: st.DataObject,
) -> None:
    """Retries of any request so far, restarts between, receive and transmit together or apart."""
    world = play(script, tell_start=True)
    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder))
        try:
            async def course() -> None:
                before: list[list[Reading]] = []
                for scrape in world.scrapes:
                    for request in requests_of(scrape, way):
                        assert await plant.send(series_of(request)) == 204
                        before.append(request)
                        for again in data.draw(st.lists(st.sampled_from(before), max_size=2)):
                            assert await plant.send(series_of(again)) == 204
                        if data.draw(st.integers(0, 5)) == 0:
                            plant.restart()
            run(course())
            stretches = list(pairwise(world.times_ms()))
            proven = {key: sum(counter.proven(*each) for each in stretches) for key, counter in world.counters.items()}
            assert plant.billed() == summed(proven)
        finally:
            plant.stop()


@settings(max_examples=25, deadline=None)
@given(script=steps(resets=True), way=ways, version=st.sampled_from([1, 2]))
def test_without_starts_nothing_is_invented(script: list[dict[Device, Step]], way: str, version: int) -> None:
    """Nor is anything lost but what a reset took: together, every stretch without one counts whole."""
    world = play(script, tell_start=False)
    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder))
        try:
            async def course() -> None:
                for scrape in world.scrapes:
                    for request in requests_of(scrape, way):
                        assert await plant.send(series_of(request), version=version) == 204
            run(course())
            most, least = {}, {}
            for key, counter in world.counters.items():
                stretches = list(pairwise(world.times_ms()))
                whole = [pair for pair in stretches if not any(pair[0] < at_ms < pair[1] for at_ms in counter.resets_ms)]
                most[key] = sum(counter.seen(*pair) for pair in stretches)
                least[key] = sum(counter.seen(*pair) for pair in whole) if way == "together" else 0
            billed, upper, lower = plant.billed(), summed(most), summed(least)
            for server, amounts_of in upper.items():
                for column, amount in amounts_of.items():
                    assert lower[server][column] <= billed[server][column] <= amount
            if not any(counter.resets_ms for counter in world.counters.values()):
                assert billed == upper
        finally:
            plant.stop()


def referee(requests: Sequence[Sequence[Reading]]) -> dict[tuple[Device, str], int]:
    """One request after another, instant by instant: a counter's newest value, and what it grew by since the one before.

    Receive and transmit of a device at one instant in one request are one reading: it is old if one of them is.
    """
    newest: dict[tuple[Device, str], tuple[int, float]] = {}
    billed: dict[tuple[Device, str], int] = {}
    for request in requests:
        together: dict[tuple[int, Device, bool], dict[str, float]] = {}
        for device, metric, at_ms, value, _ in request:
            together.setdefault((at_ms, device, metric == "rq"), {})[metric] = value
        for (at_ms, device, _), values in sorted(together.items()):
            known = {metric: newest.get((device, metric)) for metric in values}
            if any(last is not None and at_ms < last[0] for last in known.values()):
                continue
            for metric, value in values.items():
                last = known[metric]
                billed[device, metric] = billed.get((device, metric), 0) + (0 if last is None else int(value - last[1]))
                newest[device, metric] = (at_ms, value)
    return billed


@settings(max_examples=30, deadline=None)
@given(script=steps(resets=False), data=st.data())
def test_batches_of_shards_in_any_order_with_any_overlap_count_what_the_newest_proves(
    script: list[dict[Device, Step]], data: st.DataObject,
) -> None:
    world = play(script, tell_start=False)
    everything = [reading for scrape in world.scrapes for reading in scrape]
    requests = data.draw(st.lists(st.lists(st.sampled_from(everything), min_size=1, max_size=12, unique=True), max_size=8))
    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder))
        try:
            async def course() -> None:
                for request in requests:
                    assert await plant.send(series_of(request)) == 204
                    if data.draw(st.integers(0, 5)) == 0:
                        plant.restart()
            run(course())
            billed = summed(referee(requests))
            assert plant.billed() == billed
            most = summed({key: counter.seen(0, AT_MS * 2) for key, counter in world.counters.items()})
            for server, amounts_of in billed.items():
                assert all(amount <= most[server][column] for column, amount in amounts_of.items())
        finally:
            plant.stop()


def test_two_senders_of_the_same_series_count_once(plant: Plant) -> None:
    """A pair of Prometheus servers without a label that tells them apart: their scrapes lie between one another."""
    async def course() -> None:
        for number in range(10):
            for offset_ms in (0, 7000):
                at_ms = AT_MS + number * EVERY_MS + offset_ms
                await plant.send([sent("rx", (float(at_ms - AT_MS), at_ms), instance="sv_0")])
    run(course())
    assert plant.billed()["sv_0"]["bytes_in"] == 9 * EVERY_MS + 7000


def test_a_series_that_went_stale_goes_on_where_it_was(plant: Plant) -> None:
    from support.remote_write import STALE  # noqa: PLC0415  only here

    async def course() -> None:
        for value, at_ms in ((100.0, AT_MS), (150.0, AT_MS + 1), (STALE, AT_MS + 2), (180.0, AT_MS + 3)):
            await plant.send([sent("rx", (value, at_ms), instance="sv_0")])
    run(course())
    assert plant.billed()["sv_0"]["bytes_in"] == 80


def test_a_zero_sample_at_the_start_makes_the_first_value_count(plant: Plant) -> None:
    """What Prometheus injects with created-timestamp-zero-ingestion, also over 1.0."""
    async def course() -> None:
        for value, at_ms in ((900.0, AT_MS), (0.0, AT_MS + 5), (30.0, AT_MS + 9), (0.0, AT_MS + 5), (31.0, AT_MS + 10)):
            await plant.send([sent("rx", (value, at_ms), instance="sv_0")], version=1)
    run(course())
    assert plant.billed()["sv_0"]["bytes_in"] == 31


def test_another_value_of_a_known_instant_changes_nothing(plant: Plant) -> None:
    async def course() -> None:
        for value, at_ms in ((10.0, AT_MS), (20.0, AT_MS + 1), (25.0, AT_MS + 1), (30.0, AT_MS + 2)):
            await plant.send([sent("rx", (value, at_ms), instance="sv_0")])
    run(course())
    assert plant.billed()["sv_0"]["bytes_in"] == 20


def test_what_came_before_its_server_was_entered_bills_nothing(plant: Plant) -> None:
    from support.catalog import place_server  # noqa: PLC0415  only here

    async def course() -> None:
        await plant.send([sent("rx", (1000.0, AT_MS), instance="sv_late")])
        await plant.send([sent("rx", (2000.0, AT_MS + 1), instance="sv_late")])
        place_server(plant.catalog.view(), "sv_late", "proj_a", "brazil")
        plant.catalog.view().version += 1
        for number in (2, 3):
            await plant.send([sent("rx", (1000.0 * (number + 1), AT_MS + number), instance="sv_late")])
    run(course())
    assert plant.billed() == {"sv_late": NOTHING | {"bytes_in": 1000}}


def test_after_a_long_outage_of_many_counters_all_of_it_counts(plant: Plant) -> None:
    """More slots than one message may touch: it is taken apart, not refused for ever."""
    year_ms = 365 * 86_400_000
    plant.clock.at_us += year_ms * 1000

    async def course() -> None:
        for at_ms, value in ((AT_MS, 0.0), (AT_MS + year_ms, 5.0)):
            await plant.send([sent("rx", (value, at_ms), instance="sv_0", device=f"eth{number}") for number in range(250)])
    run(course())
    assert plant.billed()["sv_0"]["bytes_in"] == 5 * 250


def test_series_fed_by_it_can_have_gaps(plant: Plant) -> None:
    run(plant.send([sent("rx", (1.0, AT_MS), instance="sv_0")]))
    assert [series.polled for series in plant.catalog.view().series.values()] == [True]
