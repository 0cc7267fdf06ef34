"""Places in files, found again in whatever the files have become."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.sources.log.contents import EDGE_BYTES
from weighbridge.sources.log.marks import START, Verdict, compare, mark_at, mark_behind, read_behind

SIZES = st.one_of(st.integers(0, 50), st.integers(EDGE_BYTES - 3, EDGE_BYTES + 3), st.integers(0, 4 * EDGE_BYTES))


@dataclass
class Held:
    """A content in memory; `later` is what it is from the second read on."""

    data: bytes
    later: bytes | None = None
    is_packed: bool = False
    reads: int = field(default=0)

    def read(self, offset: int, size: int) -> bytes:
        self.reads += 1
        data = self.data if self.later is None or self.reads == 1 else self.later
        return data[offset : offset + size]


def text(size: int, seed: int = 0) -> bytes:
    return b"".join(b"%d-%d\n" % (seed, n) for n in range(size // 3 + 2))[:size]


@given(size=SIZES, first=SIZES)
def test_a_mark_moved_is_the_mark_taken_there(size, first):
    held = Held(text(size))
    mark, first = START, min(first, size)
    for stop in (first, size):
        before = held.data[mark.offset - mark.edge : mark.offset]
        mark = mark_behind(mark, before, held.data[mark.offset : stop])
    if size:
        assert mark == mark_at(held, size)
        assert compare(held, mark) is Verdict.SAME


LONG = text(3 * EDGE_BYTES)
OTHER_HEAD = text(EDGE_BYTES, 1) + LONG[EDGE_BYTES:]
OTHER_TAIL = LONG[: 2 * EDGE_BYTES - 9] + b"other" + LONG[2 * EDGE_BYTES - 4 :]
CASES = [
    # what was read, how far, what is there now, what it is
    (LONG, 2 * EDGE_BYTES, LONG, Verdict.SAME),
    (LONG, 2 * EDGE_BYTES, LONG[: 2 * EDGE_BYTES], Verdict.SAME),
    (LONG, 2 * EDGE_BYTES, LONG[: 2 * EDGE_BYTES - 1], Verdict.SHORT),
    (LONG, 2 * EDGE_BYTES, LONG[:EDGE_BYTES], Verdict.SHORT),
    (LONG, 2 * EDGE_BYTES, LONG[: EDGE_BYTES - 1], Verdict.OTHER),
    (LONG, 2 * EDGE_BYTES, OTHER_HEAD, Verdict.OTHER),
    (LONG, 2 * EDGE_BYTES, OTHER_TAIL, Verdict.OTHER),
    (LONG, 2 * EDGE_BYTES, b"", Verdict.OTHER),
    (LONG, 7, LONG, Verdict.SAME),
    (LONG, 7, LONG[:7], Verdict.SAME),
    (LONG, 7, LONG[:6], Verdict.OTHER),
    (LONG, 7, b"other things\n", Verdict.OTHER),
]


@pytest.mark.parametrize(("was", "offset", "now", "verdict"), CASES)
def test_what_a_content_is_seen_from_a_mark(was, offset, now, verdict):
    assert compare(Held(now), mark_at(Held(was), offset)) is verdict


@pytest.mark.parametrize(("offset", "size", "is_last"), [(0, 10**6, True), (EDGE_BYTES + 9, 100, False), (8, 30_000, True)])
def test_reading_behind_a_mark(offset, size, is_last):
    portion = read_behind(Held(LONG), mark_at(Held(LONG), offset) if offset else START, size)
    assert portion is not None
    assert portion.before + portion.data == LONG[offset - min(offset, EDGE_BYTES) : offset + size]
    assert portion.is_last is is_last


@pytest.mark.parametrize("now", [b"", LONG[: EDGE_BYTES * 2 - 1], OTHER_TAIL, text(5 * EDGE_BYTES, 2)], ids=len)
@pytest.mark.parametrize("is_cut_while_reading", [False, True])
def test_a_file_that_was_cut_is_noticed(now, is_cut_while_reading):
    mark = mark_at(Held(LONG), 2 * EDGE_BYTES)
    held = Held(LONG, later=now) if is_cut_while_reading else Held(now)
    assert read_behind(held, mark, 100) is None


def test_a_file_that_is_cut_in_the_middle_of_its_first_read():
    assert read_behind(Held(LONG, later=text(9 * EDGE_BYTES, 3)), START, 10**6) is None
    assert read_behind(Held(LONG, later=b""), START, 10**6) is None
