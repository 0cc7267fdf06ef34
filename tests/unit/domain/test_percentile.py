"""Percentiles by example: the ranks of months, and which of equal slots is named."""

from __future__ import annotations

import pytest

from weighbridge.domain.errors import InvalidInputError, OutOfRangeError
from weighbridge.domain.percentile import METHODS, Pick, billed, nearest_rank, rank


@pytest.mark.parametrize(("n", "expected"), [
    (0, 0), (1, 1), (19, 19), (20, 19), (21, 20), (39, 38), (40, 38),
    (1344, 1277), (1392, 1323), (1440, 1368), (1488, 1414),  # months of 28, 29, 30 and 31 days
    (8064, 7661), (8928, 8482),                              # in 5-minute slots
])
def test_ranks_of_the_95th(n: int, expected: int) -> None:
    assert rank(n) == expected


@pytest.mark.parametrize(("p", "expected"), [(1, 1), (50, 50), (90, 90), (99, 99)])
def test_ranks_of_a_hundred(p: int, expected: int) -> None:
    assert rank(100, p) == expected


@pytest.mark.parametrize("p", [0, 100, -1, 950])
def test_p_is_bounded(p: int) -> None:
    with pytest.raises(OutOfRangeError, match="1 to 99"):
        nearest_rank([1], p)


@pytest.mark.parametrize(("values", "p", "expected"), [
    ([], 95, Pick(0, 0, 0, 0, None)),
    ([5], 95, Pick(5, 1, 1, 0, 0)),
    ([0, 9, 0, 9], 95, Pick(9, 4, 4, 0, 1)),                        # the earliest of equals
    ([3, 1, 2, 4], 50, Pick(2, 2, 4, 2, 2)),
    ([1000, *range(19)], 95, Pick(18, 19, 20, 1, 19)),
])
def test_picks(values: list[int], p: int, expected: Pick) -> None:
    assert nearest_rank(values, p) == expected


@pytest.mark.parametrize(("method", "expected"), [
    ("in", Pick(5, 2, 2, 0, 0)), ("out", Pick(7, 2, 2, 0, 1)), ("max_of_p95", Pick(7, 2, 2, 0, 1)),
    ("p95_of_sum", Pick(8, 2, 2, 0, 1)), ("p95_of_slot_max", Pick(7, 2, 2, 0, 1)),
])
def test_billing_methods(method: str, expected: Pick) -> None:
    assert billed([5, 1], [2, 7], method) == expected
    assert method in METHODS


def test_equal_directions_bill_in() -> None:
    assert billed([0, 4], [4, 0]) == nearest_rank([0, 4])


def test_what_cannot_be_billed() -> None:
    with pytest.raises(InvalidInputError, match="max_of_p95"):
        billed([1], [1], "mean")
    with pytest.raises(InvalidInputError, match="same slots"):
        billed([1], [1, 2])
