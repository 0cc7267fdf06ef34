"""Units, apportioning and quotas by example."""

from __future__ import annotations

import pytest

from weighbridge.domain.apportion import apportion
from weighbridge.domain.quota import Standing, tb_to_bytes, total
from weighbridge.domain.units import GB, TB, bits_per_second, gb, mbps, round_half_up


@pytest.mark.parametrize(("numerator", "denominator", "expected"), [
    (0, 7, 0), (1, 2, 1), (3, 2, 2), (5, 2, 3), (1, 3, 0), (2, 3, 1), (10**40 + 1, 2, 5 * 10**39 + 1), (-1, 2, 0),
])
def test_round_half_up(numerator: int, denominator: int, expected: int) -> None:
    assert round_half_up(numerator, denominator) == expected


@pytest.mark.parametrize(("bytes_", "seconds", "rate_bps", "rate_mbps"), [
    (0, 1800, 0, 0.0), (1, 0, 0, 0.0), (225_000_000, 1800, 1_000_000, 1.0), (1, 16, 1, 0.0), (1, 17, 0, 0.0),
    (625, 1, 5000, 0.01), (624, 1, 4992, 0.0), (5625, 1, 45_000, 0.05), (18_125, 1, 145_000, 0.15),
    (10**12, 86_400, 92_592_593, 92.59),
])
def test_rates(bytes_: int, seconds: int, rate_bps: int, rate_mbps: float) -> None:
    assert (bits_per_second(bytes_, seconds), mbps(bytes_, seconds)) == (rate_bps, rate_mbps)


@pytest.mark.parametrize(("bytes_", "expected"), [(0, 0), (GB // 2 - 1, 0), (GB // 2, 1), (3 * GB // 2, 2)])
def test_gb(bytes_: int, expected: int) -> None:
    assert gb(bytes_) == expected


@pytest.mark.parametrize(("amounts", "expected"), [
    ([], []), ([4], [0]), ([5], [1]), ([4, 4, 4], [0, 1, 0]), ([5, 5, 5], [1, 0, 1]), ([14, 0, 14], [1, 0, 2]),
])
def test_apportion_in_tens(amounts: list[int], expected: list[int]) -> None:
    assert apportion(amounts, 10) == expected


@pytest.mark.parametrize(("used", "remaining", "over", "exceeded", "used_bp"), [
    (0, 20, 0, False, 0), (5, 15, 0, False, 2500), (20, 0, 0, False, 10_000), (21, 0, 1, True, 10_500),
])
def test_standing(used: int, remaining: int, over: int, used_bp: int, *, exceeded: bool) -> None:
    standing = Standing(total(15, 5), used)
    assert (standing.remaining, standing.over, standing.exceeded, standing.used_bp) == (
        remaining, over, exceeded, used_bp)


def test_quotas_are_decimal_and_a_share_of_nothing_is_none() -> None:
    assert tb_to_bytes(20) == 20 * TB == 20_000_000_000_000
    assert Standing(0, 5).used_bp is None
    assert Standing(3, 2).used_bp == 6666
    assert Standing(10**6, 10**6 - 1).used_bp == 9999
