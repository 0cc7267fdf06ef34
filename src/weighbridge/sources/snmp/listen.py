"""Polls the devices of the settings, each at its own pace, and hands what they count to the sink."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog
import uvloop
import xxhash

from weighbridge.collected import Collected
from weighbridge.domain.errors import InvalidInputError, WeighbridgeError
from weighbridge.sources.snmp.decode import Decoded, KnownDevice
from weighbridge.sources.snmp.device import Device
from weighbridge.sources.snmp.memory import Memory
from weighbridge.sources.snmp.session import check_installed
from weighbridge.sources.snmp.settings import read_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weighbridge.collected import CounterReading, Sink, Stop
    from weighbridge.ports import Clock
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.snmp.settings import SnmpSettings

AT_ONCE: Final = 256
"""Devices that are polled at the same time, each with a socket and one request under way."""
SILENT_AT_ONCE: Final = 128
"""The same for devices that did not answer last time: they wait for each other, and for them nobody else."""
GATHER_S: Final = 1.0
"""How long readings wait for others: what is handed in together costs one transaction."""
READINGS_WAITING: Final = 50_000
"""Readings that wait while the sink takes its time, 10 MB; polls beyond it are absences: the next one has the bytes."""
START_EVERY_S: Final = 0.02
"""How far the first polls lie apart: 50 devices begin in a second, and all of them within their interval."""
LOOKUPS_AT_ONCE: Final = 8
"""Names of hosts that are looked up at the same time; addresses are not looked up."""
STOP_EVERY_S: Final = 0.1
"""How soon the end is noticed."""
NAME: Final = "snmp"

_log = structlog.get_logger("weighbridge.snmp")


def make_collector(tables: tuple[Any, ...], surroundings: Surroundings) -> SnmpCollector:
    """The collector of all devices. InvalidInputError: a secret is missing, or two tables are of one device."""
    check_installed()
    settings: Sequence[SnmpSettings] = tables
    twice = [name for name, number in Counter(each.device for each in settings).items() if number > 1]
    if twice:
        raise InvalidInputError(
            f"device {twice[0]} stands in two [[sources.snmp]]: each of its bytes would count twice; keep one of them",
            where="device",
        )
    return SnmpCollector(settings, surroundings.sink, surroundings.clock, surroundings.folder)


class SnmpCollector:
    """All devices in one loop, in the thread that calls `run`."""

    def __init__(self, settings: Sequence[SnmpSettings], sink: Sink, clock: Clock, folder: Path) -> None:
        """What is remembered is read. InvalidInputError: a secret is missing; StorageError: the folder is at fault."""
        secrets = [read_secrets(each) for each in settings]
        self._sink = sink
        self._clock = clock
        self._memory = Memory(folder, clock.now_us())
        known = self._memory.load()
        self.devices = [
            Device(each, secret, known.get(each.device, KnownDevice()), clock.now_us)
            for each, secret in zip(settings, secrets, strict=True)
        ]
        self._readings: list[CounterReading] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._changed: dict[str, KnownDevice] = {}
        self._trouble = ""

    def run(self, stop: Stop) -> None:
        """Polls until `stop` is set, then hands in what waits."""
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._run(stop))
        finally:
            self._memory.close()

    async def _run(self, stop: Stop) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(LOOKUPS_AT_ONCE, "snmp-lookup"))
        self._answering = asyncio.Semaphore(AT_ONCE)
        self._silent = asyncio.Semaphore(SILENT_AT_ONCE)
        with ThreadPoolExecutor(1, "snmp-sink") as carrier:
            tasks = [loop.create_task(self._follow(device)) for device in self.devices]
            tasks.append(loop.create_task(self._deliver(carrier)))
            ended: list[asyncio.Task[None]] = []
            for task in tasks:
                task.add_done_callback(ended.append)
            try:
                while not stop.is_set():
                    await asyncio.sleep(STOP_EVERY_S)
                    for task in ended:
                        task.result()  # it ends only by a defect: that is told, not hidden
            finally:
                await _end(tasks)
                await loop.run_in_executor(carrier, self._hand_in, *self._take())

    async def _follow(self, device: Device) -> None:
        """Polls a device for ever. First polls are spread, so that thousands do not begin together."""
        loop = asyncio.get_running_loop()
        share = xxhash.xxh3_64_intdigest(device.name.encode()) / 2**64
        due_s = loop.time() + share * min(device.settings.interval_s, len(self.devices) * START_EVERY_S)
        while True:
            await asyncio.sleep(due_s - loop.time())
            async with self._silent if device.failures else self._answering:
                self._keep(device.name, await self._poll(device))
            due_s += device.pause_s
            if due_s < loop.time():  # it was too slow: no poll is made up for
                due_s = loop.time() + share * min(1.0, device.pause_s)

    async def _poll(self, device: Device) -> Decoded:
        """What a poll brought. A defect that one device's answers bring to light is told, and stops no other device."""
        try:
            return await device.poll()
        except Exception:  # noqa: BLE001  see above
            _log.exception("snmp_poll_defect", device=device.name)
            return Decoded((), device.known, Counter(polls=1, failed_defect=1))

    def _keep(self, name: str, decoded: Decoded) -> None:
        """What a poll brought waits for the sink."""
        for what, number in decoded.counts.items():
            self._counts[name, what] += number
        if len(self._readings) + len(decoded.readings) > READINGS_WAITING:
            self._counts[name, "not_handed_in"] += len(decoded.readings)
        else:
            self._readings += decoded.readings
        self._changed[name] = decoded.known

    async def _deliver(self, carrier: ThreadPoolExecutor) -> None:
        """What waits is handed in every GATHER_S, by another thread: a sink that takes its time delays no answer."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(GATHER_S)
            if self._changed or self._counts:
                refused = await asyncio.shield(loop.run_in_executor(carrier, self._hand_in, *self._take()))
                self._counts.update(refused)

    def _take(self) -> tuple[Collected, dict[str, KnownDevice]]:
        taken = Collected(NAME, tuple(self._readings), (), dict(self._counts)), self._changed
        self._readings, self._counts, self._changed = [], Counter(), {}
        return taken

    def _hand_in(self, collected: Collected, changed: dict[str, KnownDevice]) -> Counter[tuple[str, str]]:
        """The sink has it. What it does not take is absent, the next poll has the bytes; counts that must wait for that."""
        refused: Counter[tuple[str, str]] = Counter()
        if collected.readings or collected.counts:
            try:
                self._sink(collected)
            except WeighbridgeError as error:
                self._tell("snmp_not_handed_in", error)
                refused.update(collected.counts)
                refused.update((reading.thing.device, "not_handed_in") for reading in collected.readings)
            else:
                self._trouble = ""
        with suppress(WeighbridgeError):  # told by the next start, which cannot open it; nothing is lost by it now
            self._memory.save(changed, self._clock.now_us())
        return refused

    def _tell(self, what: str, error: WeighbridgeError) -> None:
        if str(error) != self._trouble:
            _log.warning(what, reason=str(error))
        self._trouble = str(error)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """None of them runs any more. Before Python 3.12 wait_for may swallow a cancellation: they are told until they heed."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=STOP_EVERY_S)
