"""Rounding parts so that they still add up to their rounded whole."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from weighbridge.domain.units import round_half_up

if TYPE_CHECKING:
    from collections.abc import Sequence


def apportion(amounts: Sequence[int], unit: int) -> list[int]:
    """Return each amount in whole units so that the first k sum to the first k amounts rounded half up, for every k.

    No part is off by more than one unit. Units: `amounts` and `unit` alike, for instance bytes and GB.
    """
    sums = accumulate(amounts, initial=0)
    return [part - before for before, part in pairwise(round_half_up(total, unit) for total in sums)]
