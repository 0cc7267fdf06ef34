"""The event-id index against a dict, with thresholds so low that each run freezes, merges and reopens."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from weighbridge.storage.journal.index import EventIndex

MAX_U64 = 2**64 - 1
# Few identities, so that they meet; equal `hi` with another upper half of `lo` is another identity.
KEYS = st.tuples(
    st.one_of(st.sampled_from([0, 1, 2**32, MAX_U64]), st.integers(0, 60).map(lambda n: n * 0x03F0_3F03_F03F_03F1)),
    st.builds(lambda tag, content: tag << 32 | content, st.sampled_from([0, 1, 2**32 - 1]), st.sampled_from([1, 2])),
)


def columns(keys: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([hi for hi, _ in keys], np.uint64), np.array([lo for _, lo in keys], np.uint64)


def identity(key: tuple[int, int]) -> tuple[int, int]:
    return key[0], key[1] >> 32


class IndexMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="weighbridge-index-"))
        self.settled: dict[tuple[int, int], int] = {}
        self.open: dict[tuple[int, int], int] = {}
        self.journal: list[list[tuple[int, int]]] = []  # what stands at positions 1, 2, …
        self.index = EventIndex(self.folder / "index", freeze_ids=4, fan_in=2)

    def expected(self, key: tuple[int, int]) -> int:
        held = self.settled.get(identity(key), self.open.get(identity(key)))
        return 0 if held is None else 1 if held == key[1] else 2

    @rule(keys=st.lists(KEYS, max_size=30))
    def claim(self, keys: list[tuple[int, int]]) -> None:
        expected = []
        for key in keys:
            expected.append(self.expected(key))
            if expected[-1] == 0:
                self.open[identity(key)] = key[1]
        assert self.index.claim(*columns(keys)).tolist() == expected

    @precondition(lambda self: self.open)
    @rule(data=st.data(), commits=st.booleans(), twice=st.booleans())
    def append(self, data: st.DataObject, *, commits: bool, twice: bool) -> None:
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.open)), min_size=1)) if data.draw(st.booleans()) else {
            *self.open}
        keys = [(key[0], self.open.pop(key)) for key in sorted(chosen)]
        assert self.index.begin(*columns(keys + keys[:1] * twice)) == len(keys)
        if commits:
            self.journal.append(keys)
            self.settled.update((identity(key), key[1]) for key in keys)
            self.index.settle(len(self.journal), len(keys))
        else:
            self.index.drop()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.open)), min_size=1))
        keys = [(key[0], self.open.pop(key)) for key in sorted(chosen)]
        self.index.release(*columns(keys))

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4))
    def ask(self, keys: list[tuple[int, int]]) -> None:
        assert [self.index.known(*key) for key in keys] == [self.expected(key) for key in keys]

    @rule()
    def release_what_is_settled(self) -> None:
        self.index.release(*columns([(hi, lo) for (hi, _), lo in list(self.settled.items())[:3]]))

    @rule()
    def freeze(self) -> None:
        self.index.freeze(len(self.journal))

    @rule(wait=st.booleans())
    def reopen(self, *, wait: bool) -> None:
        if wait:
            assert self.index.wait_until_idle()
        self.index.close()
        self.open.clear()
        self.index = EventIndex(self.folder / "index", freeze_ids=4, fan_in=2)
        for position in range(self.index.position, len(self.journal)):
            self.index.load(*columns(self.journal[position]))
            self.index.settle(position + 1, len(self.journal[position]))

    @invariant()
    def counts_agree(self) -> None:
        assert self.index.ids == len(self.settled)
        assert self.index.position <= len(self.journal)

    def teardown(self) -> None:
        assert self.index.check() == []
        assert self.index.wait_until_idle()
        named = json.loads((self.folder / "index" / "manifest.json").read_text())["body"]["runs"] if any(
            (self.folder / "index").iterdir()) else []
        assert {path.name for path in (self.folder / "index").glob("*.run")} == {run["name"] for run in named}
        assert len(named) <= 20
        everything = [(hi, lo) for (hi, _), lo in self.settled.items()]
        assert self.index.claim(*columns(everything)).tolist() == [1] * len(everything)
        self.index.close()
        shutil.rmtree(self.folder)


TestIndexMachine = IndexMachine.TestCase
TestIndexMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
