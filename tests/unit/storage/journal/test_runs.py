"""Sorted runs: what is written is found, what is damaged is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.domain.errors import DamagedStoreError
from weighbridge.storage.journal import bloom
from weighbridge.storage.journal.runs import BLOCK_IDS, MERGE_IDS, SEARCH_IDS, Run, RunWriter, merged

if TYPE_CHECKING:
    from pathlib import Path

MAX_U64 = 2**64 - 1


def write(path: Path, key_hi: np.ndarray, key_lo: np.ndarray, pieces: int = 1) -> Run:
    writer = RunWriter(path, len(key_hi))
    for part_hi, part_lo in zip(np.array_split(key_hi, pieces), np.array_split(key_lo, pieces), strict=True):
        writer.add(part_hi, part_lo)
    writer.finish()
    return Run(path, 0)


def random_ids(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    key_hi = np.sort(rng.integers(0, MAX_U64, count, np.uint64, endpoint=True))
    return key_hi, rng.integers(0, MAX_U64, count, np.uint64, endpoint=True)


@pytest.mark.parametrize("count", [1, 2, BLOCK_IDS - 1, BLOCK_IDS, BLOCK_IDS + 1, 3 * SEARCH_IDS + 5])
@pytest.mark.parametrize("pieces", [1, 3])
def test_finds_what_was_written(tmp_path: Path, count: int, pieces: int) -> None:
    key_hi, key_lo = random_ids(count)
    run = write(tmp_path / "a.run", key_hi, key_lo, pieces)
    assert run.ids == count
    assert run.search(key_hi, key_lo).tolist() == [1] * count
    assert run.search(key_hi, key_lo ^ np.uint64(1)).tolist() == [2] * count  # other content
    assert run.search(key_hi, key_lo ^ np.uint64(1 << 32)).tolist() == [0] * count  # another identity
    assert [run.find(*pair) for pair in zip(key_hi.tolist(), key_lo.tolist(), strict=True)] == [1] * count
    candidates = run.candidates(bloom.tops_of(key_hi), bloom.masks_of(key_hi))
    assert candidates.tolist() == list(range(count))
    assert all(run.may_hold(hi, bloom.mask_of(hi)) for hi in key_hi.tolist())
    assert run.check() is None
    run.close()


def test_few_absent_ids_pass_the_filter(tmp_path: Path) -> None:
    run = write(tmp_path / "a.run", *random_ids(50_000))
    absent, _ = random_ids(50_000, seed=2)
    assert len(run.candidates(bloom.tops_of(absent), bloom.masks_of(absent))) < 500
    assert run.search(absent, absent).sum() == 0
    run.close()


def test_filter_of_one_id_and_of_many_agree() -> None:
    key_hi, _ = random_ids(1000)
    assert bloom.masks_of(key_hi).tolist() == [bloom.mask_of(hi) for hi in key_hi.tolist()]
    assert bloom.tops_of(key_hi).tolist() == [hi >> 32 for hi in key_hi.tolist()]


def test_identities_with_the_same_hi_are_kept_apart_across_blocks(tmp_path: Path) -> None:
    same = np.full(3 * BLOCK_IDS, 5, np.uint64)
    key_hi = np.concatenate((np.array([3], np.uint64), same, np.array([MAX_U64], np.uint64)))
    key_lo = np.arange(len(key_hi), dtype=np.uint64) << np.uint64(32)
    run = write(tmp_path / "a.run", key_hi, key_lo)
    assert run.search(key_hi, key_lo).tolist() == [1] * len(key_hi)
    assert run.search(key_hi, key_lo + np.uint64(9)).tolist() == [2] * len(key_hi)
    assert run.search(same, np.full(len(same), 2**63, np.uint64)).sum() == 0
    assert [run.find(hi, 1 << 50) for hi in (0, 3, 4, 5, 6, MAX_U64)] == [0] * 6
    run.close()


@pytest.mark.parametrize("counts", [(1, 1), (5, 3 * MERGE_IDS, 1), (MERGE_IDS, MERGE_IDS, MERGE_IDS + 1)])
def test_merging_keeps_every_id_in_order(tmp_path: Path, counts: tuple[int, ...]) -> None:
    parts = [random_ids(count, seed) for seed, count in enumerate(counts)]
    parts[0][0][:] = parts[1][0][0]  # equal `hi` in several runs
    runs = [write(tmp_path / f"{index}.run", *part) for index, part in enumerate(parts)]
    pieces = list(merged(runs))
    assert max(len(key_hi) for key_hi, _ in pieces) <= MERGE_IDS * len(runs)
    key_hi, key_lo = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    assert (key_hi[1:] >= key_hi[:-1]).all()
    expected = sorted(pair for part in parts for pair in zip(*(column.tolist() for column in part), strict=True))
    assert sorted(zip(key_hi.tolist(), key_lo.tolist(), strict=True)) == expected
    for run in runs:
        run.close()


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("cut", [0, 1, 47, 48, 2048, 4000, -1, -8, -48])
def test_a_truncated_run_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.run"
    write(path, *random_ids(200)).close()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DamagedStoreError, match="restore it from the last backup"):
        Run(path, 0)


def test_a_flipped_bit_in_filter_fences_or_footer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    write(path, *random_ids(200)).close()
    content = path.read_bytes()
    for at in range(2 * 16 * BLOCK_IDS, len(content), 7):
        path.write_bytes(flip(content, at))
        with pytest.raises(DamagedStoreError):
            Run(path, 0)


def test_a_flipped_bit_in_the_ids_is_found_by_check_and_by_merging(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    write(path, *random_ids(200)).close()
    path.write_bytes(flip(path.read_bytes(), 1000))
    run = Run(path, 0)
    with pytest.raises(DamagedStoreError, match="checksum of its ids"):
        run.check()
    with pytest.raises(DamagedStoreError, match="checksum of its ids"):
        list(merged([run]))
    run.close()


def test_check_finds_ids_out_of_order(tmp_path: Path) -> None:
    run = write(tmp_path / "a.run", np.array([1, 9, 3], np.uint64), np.array([1, 2, 3], np.uint64))
    assert run.check() == "a.run is not sorted"
    run.close()


def test_a_missing_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedStoreError, match=r"a\.run is missing"):
        Run(tmp_path / "a.run", 0)


def test_a_writer_that_got_fewer_ids_than_it_was_promised_refuses_to_finish(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "a.run", 3)
    writer.add(np.array([1], np.uint64), np.array([1], np.uint64))
    with pytest.raises(ValueError, match="1 ids instead of 3"):
        writer.finish()
    writer.abandon()
    assert list(tmp_path.iterdir()) == []
