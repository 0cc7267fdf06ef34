"""An intake over a real journal that can be closed and opened again, for tests of what clients report as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from support.catalog import MemoryCatalog, acme
from support.clock import HandClock
from weighbridge.metering.fold import catch_up
from weighbridge.metering.intake import Intake
from weighbridge.metering.messages import Beat, Figure, Message
from weighbridge.metering.subjects import Sender
from weighbridge.model import END_S, CatalogView, Kind, SeriesKey
from weighbridge.ports import Members
from weighbridge.storage.journal.store import SqliteJournal
from weighbridge.storage.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from weighbridge.measurement import Receipt, RejectReason

NOW_S = int(datetime(2025, 12, 14, 16, 0, tzinfo=UTC).timestamp())
"""Where the clock stands: on a slot's edge."""
US = 1_000_000
ACME = Sender("org_acme")
APP = {"kind": Kind.APP, "object": "1"}
SERVER = {"kind": Kind.SERVER, "object": "sv_0"}

Amounts = tuple[int | None, int | None, int | None]
"""Bytes in, bytes out, requests."""


def at_us(seconds: float) -> int:
    """An instant relative to NOW_S."""
    return NOW_S * US + round(seconds * US)


class MessageBench:
    """A catalog filled by hand, a journal on disk, a store in memory; bounds of names are low."""

    def __init__(self, folder: Path, view: CatalogView | None = None, *, environments: int = 2, consumers: int = 2) -> None:
        self.catalog = MemoryCatalog(view or acme(), environments=environments, consumers=consumers)
        self.store = MemoryStore()
        self.clock = HandClock(at_us(0))
        self._folder = folder
        self._open()

    def _open(self) -> None:
        self.journal = SqliteJournal(self._folder)
        self.intake = Intake(self.catalog, self.journal, self.clock, self.store.mark())

    def send(self, message: Message) -> Receipt:
        return self.intake.take(message)

    def close(self) -> None:
        self.intake.close()
        self.journal.close()

    def reopen(self) -> None:
        """The server is started anew over the same folder."""
        self.close()
        self._open()

    def slots(self, **key: Any) -> dict[int, Amounts]:
        """What stands in the slots of a series, by their start relative to NOW_S; empty where there is no series."""
        catch_up(self.journal, self.store)
        series = self.catalog.view().series_by_key.get(SeriesKey(**key))
        if series is None:
            return {}
        sums = self.store.sums(Members((series.id,), (0,), (0,), (END_S,)), 0, NOW_S + 1000 * 86_400, 300)
        columns = zip(sums.start_s, sums.bytes_in, sums.bytes_out, sums.requests, strict=True)
        return {start_s - NOW_S: amounts for start_s, *rest in columns if any(amounts := tuple(rest))}

    def total(self, **key: Any) -> Amounts:
        """The sums of a series over all time."""
        found = list(self.slots(**key).values())
        return tuple(sum(filter(None, column)) for column in zip(*found, strict=True)) if found else (0, 0, 0)


def usage(seconds: float = 0.0, subject: str = "app/1", **fields: Any) -> Figure:
    """A byte of the app, unless `fields` say otherwise."""
    return Figure(subject=subject, end_us=at_us(seconds), **({"bytes_in": 1} | fields))


def total(seconds: float, value: int, **fields: Any) -> Figure:
    """A counter as read."""
    return Figure(subject="server/sv_0", end_us=at_us(seconds), bytes_in=value, counter="eth0", **fields)


def message(*figures: Figure, message_id: str | None = "m-1", **fields: Any) -> Message:
    given: dict[str, Any] = {"sender": ACME, "owner": "org_acme", "source": "probe", "id": message_id}
    return Message(figures, **(given | {"content": repr(figures)} | fields))


def beat(
    seconds: float, *figures: Figure, instance: str = "i", is_start: bool = False, message_id: str | None = None
) -> Message:
    """A whole message of an instance that told the time."""
    told = Beat("app/1", instance, at_us(seconds), is_start=is_start)
    return message(*figures, beat=told, is_whole=True, message_id=message_id or f"{instance} {seconds}")


def codes(receipt: Receipt) -> list[RejectReason]:
    """Why each refused figure was refused."""
    return [refusal.code for refusal in receipt.rejected]
