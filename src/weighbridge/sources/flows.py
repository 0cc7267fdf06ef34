"""Collecting flows, whatever the protocol: datagrams to decoded blocks, to sums, to the sink about once a second.

While a hand-in waits for the disk the socket must be read on: the kernel keeps some milliseconds of a busy exporter. So one
thread receives, decodes and sums; another hands in, one portion at a time. What the sink refuses goes back into the sums.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from weighbridge.collected import Collected
from weighbridge.datagrams.listener import Listener
from weighbridge.domain.errors import BusyError, StorageError
from weighbridge.metering.flows.interest import Interest
from weighbridge.metering.flows.tally import FlowTally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.collected import CounterReading, FlowSums, Stop
    from weighbridge.datagrams.block import Datagrams
    from weighbridge.metering.flows.block import FlowBlock
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.listening import Listening

HAND_IN_EVERY_S: Final = 1.0
"""What came is in an answer two seconds later; kill -9 loses no more than this of what is sent without acknowledgement."""
LOOK_S: Final = 0.25
"""How long a look at a socket lasts where nothing comes: a stop waits for it."""
READINGS_HELD: Final = 50_000
"""Readings of ports between two hand-ins; beyond them they are left out: the next ones have their bytes."""
LAST_TRY_S: Final = 5.0
"""How long a stop goes on trying to hand in."""
RETRY_S: Final = 0.5

_log = structlog.get_logger("weighbridge.flows")


class Decoded(Protocol):
    """What a block of datagrams says. `counts`: (exporter, what) → how many."""

    @property
    def flows(self) -> Sequence[FlowBlock]:
        """The records."""

    @property
    def readings(self) -> Sequence[CounterReading]:
        """Counters of ports."""

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """What happened on the way."""


class Decoder(Protocol):
    """One protocol. It remembers what datagrams before told, and never raises for what one holds."""

    def decode(self, block: Datagrams) -> Decoded:
        """What a block says."""

    def keep(self) -> None:
        """Called about once a second and at the end: what is to outlast this process is on disk."""


@dataclass(frozen=True, slots=True)
class _Portion:
    """What is handed in at once."""

    flows: list[FlowSums]
    readings: list[CounterReading]
    counts: Counter[tuple[str, str]]


class FlowCollector:
    """Collects one source's flows. See above."""

    def __init__(
        self, source: str, listenings: Sequence[Listening], decoder: Decoder, surroundings: Surroundings
    ) -> None:
        self._source = source
        self._listenings = listenings
        self._decoder = decoder
        self._surroundings = surroundings
        self._networks = tuple(dict.fromkeys(network for each in listenings for network in each.networks))
        self._tally = FlowTally(self._interest, surroundings.clock.now_us)
        self._readings: list[CounterReading] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._known: tuple[Interest | None, Interest | None] = (None, None)
        self._refused = False

    def run(self, stop: Stop) -> None:
        """Collects until it is told to stop. OSError: an address cannot be bound. InvalidInputError: it is none."""
        with ExitStack() as opened:
            listeners = [self._open(each, opened) for each in self._listenings]
            worker = opened.enter_context(ThreadPoolExecutor(1, thread_name_prefix=f"hand-in-{self._source}"))
            pending: Future[_Portion | None] | None = None
            due_s = time.monotonic() + HAND_IN_EVERY_S
            while not stop.is_set():
                for listener in listeners:
                    self._receive(listener, LOOK_S / len(listeners))
                if time.monotonic() < due_s:
                    continue
                if pending is not None and not pending.done():
                    continue  # the disk is slow: more is summed meanwhile
                self._settle(pending)
                pending = worker.submit(self._hand_in, self._portion(listeners))
                due_s = time.monotonic() + HAND_IN_EVERY_S
            for listener in listeners:
                self._drain(listener)
            self._settle(pending)
            self._hand_in_last(self._portion(listeners))
        self._decoder.keep()

    def _open(self, listening: Listening, opened: ExitStack) -> Listener:
        listener = Listener(listening.listen, self._surroundings.clock.now_us, listening.receive_buffer_bytes)
        opened.callback(listener.close)
        host, port = listener.address
        _log.info("listening", source=self._source, address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        return listener

    def _receive(self, listener: Listener, timeout_s: float) -> bool:
        """Whether something came, which is in the sums then."""
        block = listener.receive(timeout_s)
        if block is None:
            return False
        decoded = self._decoder.decode(block)
        self._tally.add(decoded.flows)
        self._counts.update(decoded.counts)
        room = READINGS_HELD - len(self._readings)
        self._readings += decoded.readings[:room]
        for reading in decoded.readings[room:]:
            self._counts[reading.thing.device, "readings_refused_full"] += 1
        return True

    def _drain(self, listener: Listener) -> None:
        """What stood in the kernel's buffer when it was told to stop counts too."""
        until_s = time.monotonic() + 1.0
        while self._receive(listener, 0.0) and time.monotonic() < until_s:
            pass

    def _interest(self) -> Interest | None:
        """What somebody knows, with the networks of the settings. The same object while nothing changes."""
        found = self._surroundings.interest()
        if not self._networks:
            return found
        if found is not self._known[0] or self._known[1] is None:
            merged = found if found is not None else Interest()
            networks = tuple(dict.fromkeys((*merged.networks, *self._networks)))
            self._known = (found, None if found is None else replace(merged, networks=networks))
        return self._known[1]

    def _portion(self, listeners: Sequence[Listener]) -> _Portion:
        """Everything since the last one."""
        for counts in (self._tally.counts, *(listener.counts for listener in listeners)):
            self._counts.update(counts)
            counts.clear()
        portion = _Portion(self._tally.take(), self._readings, self._counts)
        self._readings, self._counts = [], Counter()
        return portion

    def _hand_in(self, portion: _Portion) -> _Portion | None:
        """None: it is kept. Otherwise nothing of it is, and it is given back."""
        self._decoder.keep()
        flows = [sums for sums in portion.flows if len(sums.rows)]
        if not flows and not portion.readings and not portion.counts:
            return None
        try:
            self._surroundings.sink(Collected(self._source, portion.readings, flows, portion.counts))
        except (BusyError, StorageError) as error:
            if not self._refused:
                _log.warning("hand_in_waits", source=self._source, reason=str(error))
            self._refused = True
            return portion
        if self._refused:
            _log.info("hand_in_works_again", source=self._source)
        self._refused = False
        return None

    def _settle(self, pending: Future[_Portion | None] | None) -> None:
        """What was refused is in the sums again; its readings are left to the next ones."""
        refused = None if pending is None else pending.result()
        if refused is None:
            return
        self._tally.put_back(refused.flows)
        self._counts.update(refused.counts)
        for reading in refused.readings:
            self._counts[reading.thing.device, "readings_refused"] += 1

    def _hand_in_last(self, portion: _Portion) -> None:
        until_s = time.monotonic() + LAST_TRY_S
        while self._hand_in(portion) is not None:
            if time.monotonic() >= until_s:
                rows = sum(len(sums.rows) for sums in portion.flows)
                _log.error("flows_lost", source=self._source, rows=rows, reason="the sink took nothing before the end")
                return
            time.sleep(RETRY_S)
