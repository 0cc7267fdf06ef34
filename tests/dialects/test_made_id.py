"""Made-up numbers fit where they go, and stay what they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weighbridge.dialects.made_id import made_id

names = st.lists(st.text(max_size=5) | st.integers(0, 2**53), max_size=3)


@given(st.integers(1, 63), names)
def test_a_number_has_so_many_bits_and_is_none_of_zero(bits: int, name: list[str | int]) -> None:
    assert 1 <= made_id(bits, *name) < 2**bits
    assert made_id(bits, *name) == made_id(bits, *name)


def test_what_is_named_otherwise_has_another_number() -> None:
    found = {made_id(53, *name) for name in ((), ("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"), ("a", 1, ""))}
    assert len(found) == 8


def test_numbers_stay_the_same_over_releases() -> None:
    """They are kept by those who ask."""
    assert (made_id(31, "team", "org_acme"), made_id(53, 123, "/f/logo.svg")) == (1642207862, 4809638601509855)
