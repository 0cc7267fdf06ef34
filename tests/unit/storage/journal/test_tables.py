"""Ids in memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.storage.journal.tables import CONFLICT, KNOWN, NEW, IdTable, digest_of

U64 = st.integers(0, 2**64 - 1)
IDS = st.dictionaries(st.tuples(st.one_of(st.just(5), U64), st.integers(0, 2**32 - 1)), st.integers(0, 2**32 - 1))


@given(IDS, st.data())
def test_a_table_holds_what_was_entered_and_not_removed(ids: dict[tuple[int, int], int], data: st.DataObject) -> None:
    table = IdTable()
    for (hi, tag), content in ids.items():
        table.enter(hi, tag << 32 | content)
    gone = data.draw(st.sets(st.sampled_from(sorted(ids)))) if ids else set()
    for hi, tag in gone:
        table.remove(hi, tag << 32 | ids[hi, tag])
    kept = {(hi, tag << 32 | content) for (hi, tag), content in ids.items() if (hi, tag) not in gone}
    assert set(table) == kept
    assert len(table) == len(kept)
    assert [table.find(*pair) for pair in kept] == [KNOWN] * len(kept)
    assert [table.find(hi, lo ^ 1) for hi, lo in kept] == [CONFLICT] * len(kept)
    assert [table.find(hi, tag << 32) for hi, tag in gone] == [NEW] * len(gone)
    key_hi, key_lo = table.columns()
    assert set(zip(key_hi.tolist(), key_lo.tolist(), strict=True)) == kept
    assert (key_hi[1:] >= key_hi[:-1]).all()
    assert digest_of(key_hi, key_lo) == table.digest


def test_tables_are_apart_only_if_no_id_could_be_shared() -> None:
    table = IdTable()
    table.enter(5, 1 << 32)
    assert table.is_apart_from([4, 6])
    assert not table.is_apart_from([4, 5])
    table.enter(5, 2 << 32)
    assert not table.is_apart_from([4])  # twins are looked up one by one


def test_absorbing_adds_up() -> None:
    one, other = IdTable(), IdTable()
    one.enter(1, 1)
    other.enter(2, 2)
    other.enter(1, 1 << 32, twin=True)
    one.absorb(other)
    assert sorted(one) == [(1, 1), (1, 1 << 32), (2, 2)]
    assert one.digest == digest_of(np.array([1, 2, 1], np.uint64), np.array([1, 2, 1 << 32], np.uint64))
