"""Flow sums as they come, made fit to keep: multiplied by the sampling rate once (law 21), nonsense refused by name."""

from __future__ import annotations

import ipaddress
from collections import Counter

import numpy as np

from weighbridge.collected import KEPT_SUM, FlowFlag
from weighbridge.domain.units import SLOT_S
from weighbridge.metering.flows.limits import MAX_AMOUNT
from weighbridge.metering.flows.sums import AMOUNTS, exact_sum
from weighbridge.metering.limits import AHEAD_US, EARLIEST_US

UNRATED = FlowFlag.UNRATED | FlowFlag.UNKNOWN_SAMPLER


def rated(rows: np.ndarray, sampling_rate: int | None, now_us: int) -> tuple[np.ndarray, Counter[str]]:
    """Rows to keep (dtype KEPT_SUM, a copy, nobody's yet), and how many were refused for each reason, with their `_bytes`.

    `sampling_rate` is what the exporter is said to sample by where it does not say so itself. Reasons: unknown_sampler,
    in_future, too_old (before 1972), invalid (amounts below zero or above MAX_AMOUNT).
    """
    kept = np.zeros(len(rows), KEPT_SUM)
    for name in rows.dtype.names or ():
        kept[name] = rows[name]
    refused: Counter[str] = Counter()
    rates = np.where(kept["flags"] & UNRATED != 0, sampling_rate or 1, 1)
    invalid = np.zeros(len(kept), bool)
    for name in AMOUNTS:
        most = MAX_AMOUNT if name == "flows" else MAX_AMOUNT // rates
        invalid |= (kept[name] < 0) | (kept[name] > most)
    slots = kept["slot"].astype("i8")
    reasons = {
        "invalid": invalid,
        "in_future": slots * SLOT_S * 1_000_000 > now_us + AHEAD_US,
        "too_old": slots * SLOT_S * 1_000_000 < EARLIEST_US,
        "unknown_sampler": (kept["flags"] & FlowFlag.UNKNOWN_SAMPLER != 0) & (sampling_rate is None),
    }
    fit = np.ones(len(kept), bool)
    for reason, found in reasons.items():
        chosen = fit & found
        if chosen.any():
            refused[reason] += int(chosen.sum())
            refused[f"{reason}_bytes"] += _bytes_of(kept[chosen])
            fit &= ~chosen
    kept, rates = kept[fit], rates[fit]
    for name in ("bytes_in", "bytes_out", "packets"):
        kept[name] *= rates
    kept["flags"] = kept["flags"] & ~np.uint8(UNRATED) | np.where(rates > 1, int(FlowFlag.ESTIMATED), 0).astype("u1")
    return kept, refused


def _bytes_of(rows: np.ndarray) -> int:
    """Bytes in and out, as they came: below zero counts as nothing."""
    return sum(exact_sum(np.maximum(rows[name], 0)) for name in ("bytes_in", "bytes_out"))


def canonical_address(text: str) -> str:
    """An address as the catalog writes it; what is none stays as it is."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
