"""Polls this machine's interfaces and hands their counters to the intake."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from weighbridge.domain.errors import WeighbridgeError
from weighbridge.measurement import READING_TYPE, Event, EventData
from weighbridge.metering.accept import Batch
from weighbridge.metering.subjects import Sender
from weighbridge.sources.host.decode import COUNTER_BITS, Interface, Known, Seen, assign, parse_boot_s, parse_net_dev

if TYPE_CHECKING:
    from pathlib import Path

    from weighbridge.metering.intake import Intake
    from weighbridge.ports import Clock

COUNTERS_KEPT = 1_000
"""Counters remembered between polls; machines that make interfaces all day drop the oldest."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATE_FILE = "host.json"
_log = structlog.get_logger("weighbridge.host")


class HostCollector:
    """Reads /proc/net/dev and tells the intake. One poll at a time; what cannot be read is absence, never zero."""

    def __init__(self, intake: Intake, clock: Clock, folder: Path, server: str, root: Path) -> None:
        self._intake = intake
        self._clock = clock
        self._state = folder / _STATE_FILE
        self._sender = Sender(None)
        self._subject = f"server/{server}"
        self._root = root
        self._known = self._load()

    def poll(self) -> int:
        """Takes one reading of every interface; how many were kept. Trouble is logged: the next poll has the bytes."""
        try:
            now_us = self._clock.now_us()
            boot_id = (self._root / "proc/sys/kernel/random/boot_id").read_text().strip()
            boot_s = parse_boot_s((self._root / "proc/stat").read_text())
            seen, known = assign(read_interfaces(self._root), self._known, boot_id, boot_s, now_us)
            receipt = self._intake.take(Batch([self._event(each, boot_id, now_us) for each in seen], self._sender))
        except (OSError, WeighbridgeError) as error:
            _log.warning("host_poll_failed", error=str(error))
            return 0
        for refusal in receipt.rejected:
            _log.warning("host_reading_refused", code=refusal.code, detail=refusal.detail)
        self._known = _newest(known)
        self._save()
        return receipt.accepted

    def _event(self, seen: Seen, boot_id: str, now_us: int) -> Event:
        interface = seen.interface
        return Event(
            id=f"{boot_id}/{seen.counter}/{now_us}"[-255:],
            source="host",
            type=READING_TYPE,
            subject=self._subject,
            time=_instant(now_us),
            data=EventData(
                bytes_in_total=interface.bytes_received,
                bytes_out_total=interface.bytes_sent,
                counter_bits=COUNTER_BITS,
                counter=seen.counter,
                since=None if seen.since_us is None or seen.since_us > now_us else _instant(seen.since_us),
                line_rate_bps=interface.line_rate_bps,
            ),
        )

    def _load(self) -> dict[str, Known]:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=dict[str, Known])
        except (OSError, msgspec.DecodeError):
            return {}  # a first start: each counter begins with its next reading

    def _save(self) -> None:
        """No fsync: what a crash takes of it can only lose bytes of an interface re-made in that very moment."""
        draft = self._state.with_suffix(".new")
        try:
            draft.write_bytes(msgspec.json.encode(self._known))
            draft.replace(self._state)
        except OSError as error:
            _log.warning("host_state_not_saved", error=str(error))


def read_interfaces(root: Path) -> list[Interface]:
    """The interfaces that carry this machine's own traffic: those with a device behind them, else all but loopback."""
    figures = parse_net_dev((root / "proc/net/dev").read_text())
    figures.pop("lo", None)
    net = root / "sys/class/net"
    real = [name for name in figures if (net / name / "device").exists()]
    interfaces = []
    for name in real or figures:
        index = _number(net / name / "ifindex")
        if index is None:  # gone since the figures were read
            continue
        speed_mbps = _number(net / name / "speed")
        rate_bps = speed_mbps * 10**6 if speed_mbps is not None and speed_mbps > 0 else None
        interfaces.append(Interface(name, index, *figures[name], rate_bps))
    return interfaces


def is_supported(root: Path) -> bool:
    """Whether this kernel tells its counters in the way that the collector reads them."""
    return os.access(root / "proc/net/dev", os.R_OK) and (root / "sys/class/net").is_dir()


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # many drivers refuse to tell the speed
        return None


def _newest(known: dict[str, Known]) -> dict[str, Known]:
    if len(known) <= COUNTERS_KEPT:
        return known
    return dict(sorted(known.items(), key=lambda item: item[1].read_at_us)[-COUNTERS_KEPT:])


def _instant(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
