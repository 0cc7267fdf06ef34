"""Law 17: integers until the last step."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import weighbridge.domain
from weighbridge.domain import counters
from weighbridge.domain.apportion import apportion
from weighbridge.domain.percentile import nearest_rank
from weighbridge.domain.spread import spread
from weighbridge.domain.units import GB, gb, round_half_up

HUGE = st.integers(2**60, 2**300)
MODULES = sorted(Path(weighbridge.domain.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_only_the_last_step_makes_a_float(module: Path) -> None:
    found = []
    for function in ast.walk(ast.parse(module.read_text())):
        if not isinstance(function, ast.FunctionDef | ast.Module | ast.ClassDef):
            continue
        for node in ast.iter_child_nodes(function):
            found += [function] if _makes_a_float(node) else []
    names = {getattr(node, "name", "module") for node in found}
    assert names <= {"mbps"}


def _makes_a_float(statement: ast.AST) -> bool:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return False
    return any(
        (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id in ("float", "round"))
        for node in ast.walk(statement))


@settings(max_examples=60, deadline=None)
@given(amount=HUGE, start_us=st.integers(0, 10**15), span_us=st.integers(1, 10**10))
def test_sums_stay_exact_however_large(amount: int, start_us: int, span_us: int) -> None:
    parts = [part for _, part in spread(amount, start_us, start_us + span_us)]
    assert sum(parts) == amount
    assert nearest_rank(parts, 99).value in parts
    state = counters.State(0, 0, 0, 64)
    assert counters.advance(state, counters.Reading(1, amount, amount + 1)).parts == (
        counters.Part(0, 1, amount, amount + 1),)


@settings(max_examples=150, deadline=None)
@given(amounts=st.lists(st.one_of(st.integers(0, 3 * GB), st.just(GB // 2), HUGE), max_size=30))
@example(amounts=[GB // 2] * 3)
def test_rounded_parts_add_up_at_every_place(amounts: list[int]) -> None:
    """CONTRACT 5.1: days add up to their region, regions to the whole, nothing is off by more than 1 GB."""
    parts = apportion(amounts, GB)
    assert len(parts) == len(amounts)
    for k in range(len(amounts) + 1):
        assert sum(parts[:k]) == gb(sum(amounts[:k]))
    assert all(abs(part * GB - amount) <= GB for part, amount in zip(parts, amounts, strict=True))


@settings(max_examples=150, deadline=None)
@given(numerator=HUGE, denominator=st.integers(1, 2**70))
def test_rounding_is_never_off_by_more_than_a_half(numerator: int, denominator: int) -> None:
    rounded = round_half_up(numerator, denominator)
    assert -denominator < 2 * (numerator - rounded * denominator) < denominator or (
        2 * (rounded * denominator - numerator) == denominator)
