"""Usage events to measurement columns: the inner loop of the intake.

Two ways to the same rows: NumPy for many events, plain Python for a few, where NumPy's calls would cost more than they
save. A property test holds them equal, since a retry may come in a batch of another size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weighbridge.measurement import MEASUREMENT, UNKNOWN
from weighbridge.metering.identity import content, contents, identities, identity, identity_prefix, key_low

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.measurement import Event

FEW_EVENTS = 12
"""Up to here plain Python is faster: NumPy's calls cost some 60 µs a batch, whatever its size."""

Located = tuple[int, str]
"""(number of the series, organization within which the event's id is unique)"""


def usage_rows(events: Sequence[Event], places: Sequence[Located]) -> np.ndarray:
    """One row (dtype MEASUREMENT) per event, in order, with its identity and content."""
    if len(events) <= FEW_EVENTS:
        return few_rows(events, places)
    return many_rows(events, places)


def _prefixes(events: Sequence[Event], places: Sequence[Located]) -> list[str]:
    """Each event's identity text. Most batches have one organization and source, so their prefix is made once."""
    sources, organizations = {event.source for event in events}, {place[1] for place in places}
    if len(sources) == len(organizations) == 1:
        prefix = identity_prefix(organizations.pop(), sources.pop())
        return [prefix + event.id for event in events]
    made: dict[tuple[str, str], str] = {}
    texts = []
    for event, place in zip(events, places, strict=True):
        pair = (place[1], event.source)
        if pair not in made:
            made[pair] = identity_prefix(*pair)
        texts.append(made[pair] + event.id)
    return texts


def many_rows(events: Sequence[Event], places: Sequence[Located]) -> np.ndarray:
    """Rows by NumPy columns."""
    data = [event.data for event in events]
    rows = np.empty(len(events), dtype=MEASUREMENT)
    rows["series"] = [place[0] for place in places]
    rows["flags"] = 0
    instants_s = np.array([event.time.timestamp() for event in events])
    # A float of seconds holds microseconds exactly until the year 2255 when rounded to the nearest.
    rows["start_us"] = np.rint(instants_s * 1e6).astype(np.int64)
    durations_s = np.array([d.duration_s or 0 for d in data], dtype=np.int64)
    rows["end_us"] = rows["start_us"] + durations_s * 1_000_000
    rows["bytes_in"] = [UNKNOWN if d.bytes_in is None else d.bytes_in for d in data]
    rows["bytes_out"] = [UNKNOWN if d.bytes_out is None else d.bytes_out for d in data]
    rows["requests"] = [UNKNOWN if d.requests is None else d.requests for d in data]
    hashes = identities(_prefixes(events, places))
    rows["key_hi"] = hashes[:, 0]
    said = contents([rows[name] for name in ("series", "start_us", "end_us", "bytes_in", "bytes_out", "requests")])
    rows["key_lo"] = hashes[:, 1] & np.uint64(0xFFFFFFFF00000000) | said
    return rows


def few_rows(events: Sequence[Event], places: Sequence[Located]) -> np.ndarray:
    """The same rows, one by one."""
    rows = []
    texts = _prefixes(events, places)
    for event, (number, _), text in zip(events, places, texts, strict=True):
        data = event.data
        start_us = round(event.time.timestamp() * 1e6)
        end_us = start_us + (data.duration_s or 0) * 1_000_000
        amounts = [UNKNOWN if a is None else a for a in (data.bytes_in, data.bytes_out, data.requests)]
        high, low = identity(text)
        said = content((number, start_us, end_us, *amounts))
        rows.append((number, 0, start_us, end_us, *amounts, high, key_low(low, said)))
    return np.array(rows, dtype=MEASUREMENT)
