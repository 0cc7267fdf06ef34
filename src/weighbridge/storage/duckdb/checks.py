"""The self-check: every rollup against its finer tier, the sums against the journal's totals, nothing below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.ports import Finding
from weighbridge.storage.duckdb.database import row
from weighbridge.storage.duckdb.question import query
from weighbridge.storage.duckdb.tiers import DAY, FIVE, HALF

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from weighbridge.storage.duckdb.tiers import Horizons, Tier

_AMOUNTS = ("bytes_in", "bytes_out", "requests")
_REMEDY = "keep a copy of the data folder, then restore the newest backup; the journal folds again what came later"
FINDINGS_MAX = 20
"""Rollup findings that one check reports: damage that large needs a backup, not a longer list."""


def findings(cursor: duckdb.DuckDBPyConnection, horizons: Horizons) -> list[Finding]:
    """What is wrong with the store as this transaction sees it; empty if all is well."""
    found = [*_totals(cursor), *_below_zero(cursor)]
    for coarse, fine, before_s in ((HALF, FIVE, horizons.five_s), (DAY, HALF, horizons.half_s)):
        for finding in _rollup(cursor, coarse, fine, before_s):
            if len(found) >= FINDINGS_MAX:
                return found
            found.append(finding)
    return found


def _totals(cursor: duckdb.DuckDBPyConnection) -> list[Finding]:
    totals = {entry: amounts for entry, *amounts in cursor.execute(query("check_totals")).fetchall()}
    nothing = [0, 0, 0]
    found = []
    for i, name in enumerate(_AMOUNTS):
        held, folded = totals["held"][i], totals["mark"][i]
        loaded, retired = totals.get("loaded", nothing)[i], totals.get("retired", nothing)[i]
        due = folded + loaded - retired
        if held != due:
            found.append(Finding(
                "totals",
                f"{name}: the day sums hold {held}, but {folded} folded + {loaded} loaded - {retired} retired = {due}, "
                f"a difference of {held - due}",
                _REMEDY,
            ))
    return found


def _below_zero(cursor: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Corrections take away what is there and no more: no slot of the finest tier holds less than nothing."""
    count, series, slot = row(cursor, query("check_below_zero"))
    if count:
        yield Finding(
            "below zero",
            f"{count} sums of 5 minutes lie below zero; the first is series {series}, "
            f"second {slot * FIVE.slot_s} of the epoch",
            _REMEDY,
        )


def _rollup(cursor: duckdb.DuckDBPyConnection, coarse: Tier, fine: Tier, before_s: int) -> Iterator[Finding]:
    """Findings by chunk of the coarser tier, so that memory stays bounded; from the finer tier's horizon on."""
    slots = coarse.slot_s // fine.slot_s
    first, last = row(cursor, query("check_bounds").format(coarse=coarse.table, fine=fine.table, slots=slots))
    if first is None:
        return
    lo = max(first, before_s // coarse.slot_s)
    while lo <= last:
        hi = min((lo // coarse.chunk_slots + 1) * coarse.chunk_slots, last + 1)
        differing = row(cursor, query("check_rollup").format(
            coarse=coarse.table, fine=fine.table, lo=lo, hi=hi, slots=slots))
        if differing[0]:
            yield _describe(coarse, fine, differing)
        lo = hi


def _describe(coarse: Tier, fine: Tier, differing: tuple[int | None, ...]) -> Finding:
    count, series, slot, *amounts = differing
    figures = ", ".join(
        f"{name} {amounts[2 * i]} in {coarse.table} and {amounts[2 * i + 1]} in {fine.table}"
        for i, name in enumerate(_AMOUNTS))
    return Finding(
        "rollup",
        f"{count} sums of {coarse.table} are not those of {fine.table}; the first is series {series}, "
        f"second {(slot or 0) * coarse.slot_s} of the epoch: {figures}",
        _REMEDY,
    )
