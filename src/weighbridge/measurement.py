"""What moves through the pipeline: events from sources, measurements in the journal, slot rows in stores.

Units: instants are integers, `_us` microseconds and `_s` seconds since the Unix epoch, UTC. Amounts are integers: bytes
or requests. An unknown amount is None in Python and UNKNOWN (-1) in arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag, StrEnum
from typing import Annotated, Final, Literal

import msgspec
import numpy as np

MAX_AMOUNT = 2**53 - 1
"""Largest amount of one usage event: what every JSON reader can hold exactly."""
MAX_TOTAL = 2**64 - 1
"""Largest value of a counter."""
UNKNOWN = -1
"""Stands for an amount that nobody knows (null) in arrays."""

USAGE_TYPE: Final = "weighbridge.usage"
READING_TYPE: Final = "weighbridge.reading"


MAX_DURATION_S = 400 * 86400
"""Longest stretch that one event may speak of."""
MAX_NAME = 255
"""Longest environment, consumer, counter, source or id, in characters."""
MAX_PATH = 1024
"""Longest endpoint path, in characters."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class EventData(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The `data` of an event, of either type. Totals are bounded by accept: msgspec has no bounds beyond 64 bits.

    A field that is none of these refuses the event: a misspelt amount must not be taken for an unknown one.
    """

    bytes_in: Amount | None = None
    bytes_out: Amount | None = None
    requests: Amount | None = None
    duration_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_DURATION_S)] | None = None
    environment: Name | None = None
    consumer: Name | None = None
    method: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | None = None
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH)] | None = None
    bytes_in_total: int | None = None
    bytes_out_total: int | None = None
    counter_bits: Literal[32, 64] | None = None
    counter: Name | None = None
    since: Instant | None = None
    line_rate_bps: Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)] | None = None


class Event(msgspec.Struct, gc=False):
    """One CloudEvents 1.0 event, as every source hands it to accept. Its bounds hold once it is decoded."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    type: Literal["weighbridge.usage", "weighbridge.reading"]
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    time: Instant
    data: EventData
    specversion: Literal["1.0"] = "1.0"


class RejectReason(StrEnum):
    """Why an event was not kept. The codes of CONTRACT part 3; the docs list them."""

    INVALID = "invalid"
    UNKNOWN_SUBJECT = "unknown_subject"
    IN_FUTURE = "in_future"
    CONFLICT = "conflict"
    OUT_OF_ORDER = "out_of_order"
    TOO_MANY = "too_many"


class Rejection(msgspec.Struct, frozen=True):
    """One event that was refused: its place in the request, its id where it has one, the code, and a sentence."""

    index: int
    id: str | None
    code: RejectReason
    detail: str


class Receipt(msgspec.Struct, frozen=True):
    """The answer to a batch; sent only after what it reports is on disk."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...] = ()


class MeasurementFlag(IntFlag):
    """`flags` of a measurement."""

    COUNTER = 1  # worked out from a cumulative counter: slots strictly inside its span are estimates (law 12)
    ESTIMATED = 2  # a piece of what a counter counted, whose slots all lie strictly inside the counter's span


MEASUREMENT = np.dtype([
    ("series", "<u4"),
    ("flags", "u1"),
    ("start_us", "<i8"),
    ("end_us", "<i8"),      # == start_us for an instant; half-open otherwise
    ("bytes_in", "<i8"),    # UNKNOWN where nobody knows
    ("bytes_out", "<i8"),
    ("requests", "<i8"),
    ("key_hi", "<u8"),      # first 64 bits of the event's identity
    ("key_lo", "<u8"),      # 32 more bits of it, then 32 bits of its content; both 0: not in the index
])
"""One accepted measurement. Amounts are below 2**62; a larger delta is split into several measurements by accept."""


class SlotFlag(IntFlag):
    """`flags` of a slot row; rows of one slot are combined with bitwise or."""

    MEASURED = 1   # a source was alive in this slot
    ESTIMATED = 2  # at least a part was spread over a gap (law 12) or scaled from a sample (law 21)


SLOT_ROW = np.dtype([
    ("series", "<u4"),
    ("slot", "<i4"),        # number of the 5-minute slot since the epoch: seconds // 300
    ("bytes_in", "<i8"),
    ("bytes_out", "<i8"),
    ("requests", "<i8"),
    ("flags", "u1"),
])
"""A partial sum of one series in one 5-minute slot. Several rows may speak of the same slot; they add up."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Control totals: what went in since the beginning. Exact, unbounded integers; unknown amounts count as 0."""

    events: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the journal: the last position that is covered, and the totals of everything up to it."""

    position: int = 0
    totals: Totals = Totals()


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One committed batch, as read back: its mark (totals include it) and its measurements (dtype MEASUREMENT)."""

    mark: Mark
    measurements: np.ndarray


def totals_of(rows: np.ndarray) -> Totals:
    """Control totals of measurements or slot rows, exact however large; unknown amounts count as 0."""

    def exact_sum(column: np.ndarray) -> int:
        known = column[column > 0]
        low = int((known & 0xFFFFFFFF).sum(dtype="uint64"))
        high = int((known >> 32).sum(dtype="uint64"))
        return (high << 32) + low

    return Totals(len(rows), exact_sum(rows["bytes_in"]), exact_sum(rows["bytes_out"]), exact_sum(rows["requests"]))
