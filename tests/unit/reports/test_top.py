"""The first ones and the rest."""

from __future__ import annotations

import pytest

from weighbridge.domain.errors import InvalidInputError
from weighbridge.reports.top import first
from weighbridge.reports.usage import NOTHING, Amounts


def moved(bytes_in: int | None, bytes_out: int | None, requests: int | None = None) -> Amounts:
    return Amounts(bytes_in, bytes_out, requests, 1, known=True)


AMOUNTS = {
    ("a",): moved(5, 5, 1),
    ("b",): moved(1, 20, 1),
    ("c",): moved(10, 0, None),
    ("d",): moved(None, None, 9),
    ("e",): NOTHING,
    (None,): moved(100, 100, 100),
}


@pytest.mark.parametrize(("metric", "order"), [
    ("bytes", "bacd"),
    ("bytes_in", "cabd"),
    ("bytes_out", "bacd"),
    ("requests", "dabc"),
])
def test_most_first_of_equals_the_smaller_key_and_unknown_last(metric: str, order: str) -> None:
    assert [key[0] for key, _ in first(AMOUNTS, metric, 10).items] == list(order)


def test_the_rest_is_one_sum_with_what_belongs_to_nothing() -> None:
    found = first(AMOUNTS, "bytes", 1)
    assert found.items == ((("b",), moved(1, 20, 1)),)
    assert (found.other.bytes_in, found.other.bytes_out, found.other.requests) == (115, 105, 110)


def test_other_is_zeros_when_all_fit() -> None:
    assert first({("a",): moved(1, 2, 3)}, "bytes", 1).other == NOTHING
    assert first({}, "bytes", 1).other == NOTHING


def test_a_metric_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="bytes_in"):
        first({("a",): moved(1, 2, 3)}, "packets", 1)
