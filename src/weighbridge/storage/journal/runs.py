"""Sorted runs: immutable files of event ids, ascending by `hi`, each with a Bloom filter and fences.

File: blocks of BLOCK_IDS ids (16 bytes each: hi, lo, little-endian; the last block is filled up by repeating the last
id), the filter's words, the fences (first `hi` of each block), and the footer. Filter and fences are kept in memory,
blocks are read with `pread`: a mapped file would count as resident memory.
"""

from __future__ import annotations

import mmap
import os
import struct
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import xxhash

from weighbridge.storage.journal import bloom, faults
from weighbridge.storage.journal.tables import CONFLICT, CONTENT_BITS, KNOWN, NEW

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BLOCK_IDS = 128
"""Ids that one look-up reads: 2 KB, half a page. Fences then cost half a bit an id."""
ID_BYTES = 16
MERGE_IDS = 4_096
"""Ids of each run that a merge holds at a time, 512 KB for 8 runs: its NumPy calls then keep the interpreter lock from
claims for 0.1 ms at most."""
CHECK_IDS = 65_536
"""Ids that a full check of a run holds at a time: 1 MB."""
SEARCH_IDS = 512
"""Ids whose blocks a search holds at a time: 1 MB."""
FEW_CANDIDATES = 8
"""Up to so many candidates are looked up one by one, which is faster than NumPy's fixed costs."""

_BLOCK_BYTES = BLOCK_IDS * ID_BYTES
_FOOTER = struct.Struct("<8sQQQQQ")  # magic, ids, filter words; digests of ids, of filter and fences, of the footer
_MAGIC = b"WBIDRUN1"
_CONTENT_BITS = np.uint64(CONTENT_BITS)


def _page_array(words: int) -> np.ndarray:
    """Zeros (uint64) in pages of their own, which go back to the system at once.

    On the heap, the filters of merged runs would stay resident as holes.
    """
    return np.frombuffer(mmap.mmap(-1, 8 * words), "<u8")


class Run:
    """An open run. Whoever searches it keeps others from closing it meanwhile."""

    def __init__(self, path: Path, level: int) -> None:
        """Filter and fences are in memory and proved right. DamagedStoreError if the file is not a whole run."""
        self.path = path
        self.level = level
        with faults.told(path.parent):
            try:
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                faults.refuse(f"the event-id index {path.parent}", f"{path.name} is missing")
            try:
                self._load()
            except BaseException:
                os.close(self._descriptor)
                raise

    def _load(self) -> None:
        size = os.fstat(self._descriptor).st_size
        footer = os.pread(self._descriptor, _FOOTER.size, max(size - _FOOTER.size, 0))
        if len(footer) < _FOOTER.size or not footer.startswith(_MAGIC):
            self.refuse("its end is missing")
        self.ids: int
        _, self.ids, words, self._digest, filter_digest, footer_digest = _FOOTER.unpack(footer)
        self._blocks = -(-self.ids // BLOCK_IDS)
        ends_at = self._blocks * _BLOCK_BYTES + 8 * (words + self._blocks) + _FOOTER.size
        if xxhash.xxh3_64_intdigest(footer[:-8]) != footer_digest or size != ends_at:
            self.refuse("its length or its footer is wrong")
        self.bytes = size
        loaded = _page_array(words + self._blocks)
        os.preadv(self._descriptor, [loaded.data], self._blocks * _BLOCK_BYTES)
        if xxhash.xxh3_64_intdigest(loaded.data) != filter_digest:
            self.refuse("the checksum of its filter is wrong")
        self._words, self._fences = loaded[:words], loaded[words:]
        self._word_view, self._fence_view = self._words.data, self._fences.data

    def refuse(self, why: str) -> NoReturn:
        """Raise DamagedStoreError about this file."""
        faults.refuse(f"the event-id run {self.path}", why)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def candidates(self, tops: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Indices of the ids that may be in here (see bloom.tops_of, bloom.masks_of)."""
        words = self._words.take((tops * len(self._words)) >> 32)
        return np.flatnonzero((words & masks) == masks)

    def may_hold(self, hi: int, mask: int) -> bool:
        """`candidates` for one id."""
        return self._word_view[((hi >> 32) * len(self._word_view)) >> 32] & mask == mask

    def search(self, key_hi: np.ndarray, key_lo: np.ndarray) -> np.ndarray:
        """NEW, KNOWN or CONFLICT of each id (uint8)."""
        if len(key_hi) <= FEW_CANDIDATES:
            pairs = zip(key_hi.tolist(), key_lo.tolist(), strict=True)
            return np.array([self.find(hi, lo) for hi, lo in pairs], np.uint8)
        parts = [
            self._search_part(key_hi[start : start + SEARCH_IDS], key_lo[start : start + SEARCH_IDS])
            for start in range(0, len(key_hi), SEARCH_IDS)
        ]
        return np.concatenate(parts)

    def _search_part(self, key_hi: np.ndarray, key_lo: np.ndarray) -> np.ndarray:
        first = np.maximum(self._fences.searchsorted(key_hi, "left") - 1, 0)
        found = np.full(len(key_hi), NEW, np.uint8)
        blocks = np.frombuffer(b"".join(map(self._read_block, first.tolist())), "<u8").reshape(-1, BLOCK_IDS, 2)
        rows, columns = np.nonzero(blocks[:, :, 0] == key_hi[:, None])
        differs = blocks[rows, columns, 1] ^ key_lo[rows]
        same = (differs >> _CONTENT_BITS) == 0
        found[rows[same]] = np.where(differs[same] == 0, KNOWN, CONFLICT)
        # An equal `hi` may begin a later block: its fence is this `hi`, so the search for the last block ends there.
        last = self._fences.searchsorted(key_hi, "right") - 1
        for index in np.flatnonzero((last > first) & (found == NEW)).tolist():
            found[index] = self.find(int(key_hi[index]), int(key_lo[index]))
        return found

    def find(self, hi: int, lo: int) -> int:
        """NEW, KNOWN or CONFLICT of one id."""
        first = max(bisect_left(self._fence_view, hi) - 1, 0)
        last = bisect_right(self._fence_view, hi) - 1
        sought = hi.to_bytes(8, "little")
        for number in range(first, last + 1):
            block = self._read_block(number)
            at = block.find(sought)
            while at >= 0:
                if at % ID_BYTES == 0:
                    held = int.from_bytes(block[at + 8 : at + ID_BYTES], "little")
                    if not (held ^ lo) >> CONTENT_BITS:
                        return KNOWN if held == lo else CONFLICT
                at = block.find(sought, at + 1)
        return NEW

    def _read_block(self, number: int) -> bytes:
        block = os.pread(self._descriptor, _BLOCK_BYTES, number * _BLOCK_BYTES)
        if len(block) < _BLOCK_BYTES:
            self.refuse("it became shorter")
        return block

    def chunks(self, size: int) -> Iterator[np.ndarray]:
        """All ids as arrays (n, 2) of up to `size`, ascending by hi. DamagedStoreError if they are not as written."""
        digest = xxhash.xxh3_64()
        for start in range(0, self.ids, size):
            count = min(size, self.ids - start)
            part = os.pread(self._descriptor, count * ID_BYTES, start * ID_BYTES)
            digest.update(part)
            if len(part) < count * ID_BYTES or (start + count == self.ids and digest.intdigest() != self._digest):
                self.refuse("the checksum of its ids is wrong")
            yield np.frombuffer(part, "<u8").reshape(-1, 2)

    def check(self) -> str | None:
        """What is wrong with the ids on disk; None if they are whole and ascending."""
        newest = 0
        for chunk in self.chunks(CHECK_IDS):
            key_hi = chunk[:, 0]
            if int(key_hi[0]) < newest or (key_hi[1:] < key_hi[:-1]).any():
                return f"{self.path.name} is not sorted"
            newest = int(key_hi[-1])
        return None


class RunWriter:
    """A run in the making. `add` ids ascending by hi, then `finish`; or `abandon`."""

    def __init__(self, path: Path, ids: int) -> None:
        """`ids`, at least 1, is how many will be added."""
        self._path = path
        self._ids = ids
        self._written = 0
        self._digest = xxhash.xxh3_64()
        self._words = _page_array(bloom.word_count(ids))
        self._fences: list[np.ndarray] = []
        self._file = path.open("wb")

    def add(self, key_hi: np.ndarray, key_lo: np.ndarray) -> None:
        """Append ids whose hi is not below any added before."""
        if len(key_hi) == 0:
            return
        pairs = np.column_stack((key_hi, key_lo)).astype("<u8", copy=False)
        self._digest.update(pairs.data)
        self._file.write(pairs.data)
        self._fences.append(key_hi[-self._written % BLOCK_IDS :: BLOCK_IDS].copy())
        bloom.fill(self._words, key_hi)
        self._written += len(pairs)
        if self._written == self._ids:
            self._file.write(pairs[-1].tobytes() * (-self._written % BLOCK_IDS))

    def finish(self) -> None:
        """The file is whole and on disk (its name is not, until the folder is synced).

        ValueError: the ids added are not as many as were announced.
        """
        if self._written != self._ids:
            message = f"{self._written} ids instead of {self._ids} for {self._path.name}"
            raise ValueError(message)
        fences = np.concatenate(self._fences).astype("<u8", copy=False)
        digest = xxhash.xxh3_64()
        for part in (self._words, fences):
            digest.update(part.data)
            self._file.write(part.data)
        footer = _FOOTER.pack(
            _MAGIC, self._ids, len(self._words), self._digest.intdigest(), digest.intdigest(), 0)[:-8]
        self._file.write(footer + xxhash.xxh3_64_intdigest(footer).to_bytes(8, "little"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Nothing is left of the file."""
        try:
            self._file.close()
        finally:
            self._path.unlink(missing_ok=True)


def merged(runs: Sequence[Run]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All ids of some runs, ascending by hi, as columns of bounded length."""
    sources = [run.chunks(MERGE_IDS) for run in runs]
    held = [next(source) for source in sources]
    while held:
        bound = min(chunk[-1, 0] for chunk in held)
        cuts = [int(chunk[:, 0].searchsorted(bound, "right")) for chunk in held]
        ids = np.concatenate([chunk[:cut] for chunk, cut in zip(held, cuts, strict=True)])
        order = np.argsort(ids[:, 0])
        yield ids[order, 0], ids[order, 1]
        held = [chunk[cut:] for chunk, cut in zip(held, cuts, strict=True)]
        spent = [index for index, chunk in enumerate(held) if len(chunk) == 0]
        for index in reversed(spent):
            following = next(sources[index], None)
            if following is None:
                del held[index], sources[index]
            else:
                held[index] = following
