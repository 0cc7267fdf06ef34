"""Sums by key against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.metering.flows.cells import AMOUNTS, Cells

words = st.integers(0, 3) | st.integers(0, 2**64 - 2)


def contents(cells):
    keys = zip(*(column.tolist() for column in cells.words()), strict=True)
    sums = zip(*(cells.sums(name).tolist() for name in AMOUNTS), strict=True)
    return dict(zip(keys, map(list, sums), strict=True))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 4), st.booleans())
def test_cells_are_a_dictionarys(data, width, colliding):
    cells = Cells(width)
    if colliding:
        cells._seeds = [np.uint64(0)] * len(cells._seeds)  # every key's search begins at the same place
    held = {}
    additions = st.tuples(st.tuples(*[words] * width), st.integers(0, 2**40))
    for batch in data.draw(st.lists(st.lists(additions, max_size=30), max_size=4)):
        keys = [np.array([key[word] for key, _ in batch], np.uint64) for word in range(width)]
        amounts = np.array([amount for _, amount in batch], np.int64)
        numbers = cells.find(keys)
        cells.add("bytes_in", numbers, amounts)
        cells.add("flows", numbers, 1)
        for key, amount in batch:
            sums = held.setdefault(key, [0, 0, 0, 0])
            sums[0] += amount
            sums[3] += 1
    assert contents(cells) == held
    if held:
        kept = np.array(data.draw(st.lists(st.booleans(), min_size=cells.count, max_size=cells.count)))
        left = {key for key, keep in zip(contents(cells), kept.tolist(), strict=True) if keep}
        cells.keep(kept)
        assert contents(cells) == {key: sums for key, sums in held.items() if key in left}


def test_cells_grow_and_are_found_again():
    cells = Cells(1)
    keys = np.random.default_rng(1).integers(0, 2**63, 100_000, dtype=np.uint64)
    for begin in range(0, len(keys), 7000):
        cells.add("packets", cells.find([keys[begin : begin + 7000]]), 1)
    assert cells.count == len(np.unique(keys))
    numbers = cells.find([keys])
    assert (cells.words()[0][numbers - 1] == keys).all()
    assert (cells.sums("packets") == 1).all()
    cells.clear()
    assert (cells.count, contents(cells)) == (0, {})
