"""Spreading by example."""

from __future__ import annotations

import pytest

from weighbridge.domain.errors import OutOfRangeError
from weighbridge.domain.spread import spread

SLOT_US = 300_000_000


@pytest.mark.parametrize(("amount", "start_us", "end_us", "expected"), [
    (7, 0, 0, [(0, 7)]),
    (7, SLOT_US, SLOT_US, [(300, 7)]),
    (7, SLOT_US - 1, SLOT_US, [(0, 7)]),
    (0, 0, 3 * SLOT_US, [(0, 0), (300, 0), (600, 0)]),
    (1, 0, 3 * SLOT_US, [(0, 1), (300, 0), (600, 0)]),
    (5, 0, 3 * SLOT_US, [(0, 2), (300, 2), (600, 1)]),
    (1, SLOT_US // 2, 3 * SLOT_US // 2, [(0, 1), (300, 0)]),           # halves: to the earlier
    (3, SLOT_US // 2, 5 * SLOT_US // 2, [(0, 1), (300, 1), (600, 1)]),   # 0.75, 1.5, 0.75
    (1, SLOT_US // 2, 7 * SLOT_US // 2, [(0, 0), (300, 1), (600, 0), (900, 0)]),
    (10, SLOT_US // 3, 2 * SLOT_US, [(0, 4), (300, 6)]),                # 4 and 6
    (1, SLOT_US - 1, 2 * SLOT_US, [(0, 0), (300, 1)]),                  # not to the earlier, but to the larger share
])
def test_table(amount: int, start_us: int, end_us: int, expected: list[tuple[int, int]]) -> None:
    assert spread(amount, start_us, end_us) == expected


def test_longest_span_lists_every_slot() -> None:
    parts = spread(2**53 - 1, 150_000_000, 150_000_000 + 400 * 86_400_000_000)
    assert len(parts) == 400 * 288 + 1
    assert sum(part for _, part in parts) == 2**53 - 1


@pytest.mark.parametrize(("amount", "start_us", "end_us"), [(-1, 0, 1), (1, 1, 0)])
def test_negative_amounts_and_spans_are_refused(amount: int, start_us: int, end_us: int) -> None:
    with pytest.raises(OutOfRangeError):
        spread(amount, start_us, end_us)
