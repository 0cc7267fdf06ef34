"""By what a thing is known on the network: what is declared becomes stretches of time, one after the other.

Decision 0011 says why it is dated so. Everything here is pure; the clock's second is passed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain import timegrid
from weighbridge.domain.units import SLOT_S
from weighbridge.model import BEGINNING_S, Attribution, Metering
from weighbridge.storage.catalog.fields import Parser, choice, nullable, read_id, scalar
from weighbridge.storage.catalog.networks import parse_macs, parse_ports, parse_prefixes, parse_vlans

if TYPE_CHECKING:
    from collections.abc import Mapping

Attributions = tuple[Attribution, ...]
"""Oldest first, each until the next one; no two with the same `from_s`, and no two neighbours that say the same."""

MAX_ATTRIBUTIONS = 10_000
"""Attributions of one thing: one an hour for more than a year, or one a day for its life."""
NOTHING = Attribution(BEGINNING_S)
"""What holds where nothing was ever declared."""

_read_metering = choice(*(metering.value for metering in Metering))
ATTRIBUTION_FIELDS: Mapping[str, Parser] = {
    "addresses": parse_prefixes,
    "macs": parse_macs,
    "vlans": parse_vlans,
    "interfaces": parse_ports,
    "metering": scalar(nullable(lambda value: Metering(_read_metering(value)))),
    "exporter": scalar(nullable(read_id)),
}
"""What a caller may declare, in the order of answers; all of it, but for its date, is an Attribution."""
_UNSET = {name: getattr(NOTHING, name) for name in ATTRIBUTION_FIELDS}


def newest(known: Attributions) -> Attribution:
    """What was declared last, be it for an instant to come."""
    return known[-1] if known else NOTHING


def declared_in(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an attribution among the given ones."""
    return {name: value for name, value in fields.items() if name in ATTRIBUTION_FIELDS}


def declare(
    known: Attributions, declared: Mapping[str, Any], from_s: int | None, now_s: int
) -> Attributions | None:
    """What is known with what is declared from an instant on (None: from now on); None where that contradicts it.

    Fields that are not declared stay as they were last. What is on record changes nothing; the same as last from an
    earlier instant on, but after the one before, is dated back.
    """
    last = newest(known)
    wanted = msgspec.structs.replace(last, **declared)
    start_s = timegrid.floor(now_s if from_s is None else from_s, SLOT_S)
    is_last = wanted == last
    if is_last and (from_s is None or not known or start_s >= last.from_s):
        return known
    if not known or start_s >= last.from_s:
        return _append(known[:-1] if last.from_s == start_s else known, wanted, start_s)
    if any(each.from_s == start_s and msgspec.structs.replace(each, **declared) == each for each in known):
        return known
    if is_last and (len(known) == 1 or known[-2].from_s < start_s):
        return (*known[:-1], msgspec.structs.replace(last, from_s=start_s))
    return None


def declare_again(
    known: Attributions, deleted_at_s: int, declared: Mapping[str, Any], from_s: int | None, now_s: int
) -> Attributions | None:
    """What is known of a thing that is restored; None where what is declared contradicts it.

    It was known by nothing from the slot of its deletion on, and what is declared now begins anew: unless it is
    declared from an instant before the deletion, then it goes on as if there had been none.
    """
    gone_s = timegrid.floor(deleted_at_s, SLOT_S)
    kept = tuple(each for each in known if each.from_s < gone_s)
    whole = {**_UNSET, **declared}
    if declared and from_s is not None and timegrid.floor(from_s, SLOT_S) < gone_s:
        return declare(kept, whole, from_s, now_s)
    ended = _append(kept, NOTHING, gone_s)
    return declare(ended, whole, max(gone_s, now_s if from_s is None else from_s), now_s)


def _append(known: Attributions, wanted: Attribution, from_s: int) -> Attributions:
    """With one more at the end, unless it says what the last one says."""
    last = newest(known)
    if msgspec.structs.replace(wanted, from_s=last.from_s) == last:
        return known
    return (*known, msgspec.structs.replace(wanted, from_s=from_s))
