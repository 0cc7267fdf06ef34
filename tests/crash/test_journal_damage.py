"""Files as a crash or a bad disk leaves them: cut logs, orphans, drafts, flipped bits."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.domain.errors import DamagedStoreError
from weighbridge.measurement import MEASUREMENT
from weighbridge.storage.journal.store import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = 12
IDS = 5


def batch(number: int) -> np.ndarray:
    measurements = np.zeros(IDS, MEASUREMENT)
    measurements["bytes_in"] = number
    numbers = np.arange(number * IDS, (number + 1) * IDS, dtype=np.uint64)
    measurements["key_hi"] = numbers * np.uint64(0x9E3779B97F4A7C15)
    measurements["key_lo"] = np.uint64(number)
    return measurements


def claim(journal: SqliteJournal, number: int) -> list[int]:
    measurements = batch(number)
    return journal.claim(measurements["key_hi"], measurements["key_lo"]).tolist()


def append(journal: SqliteJournal, number: int) -> int:
    assert claim(journal, number) == [0] * IDS
    return journal.append(batch(number), {}).position


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """The folder of a journal of 12 batches as a crash leaves it: the first 6 are in the database and in a run."""
    journal = SqliteJournal(tmp_path / "living")
    for number in range(1, BATCHES + 1):
        append(journal, number)
        if number == BATCHES // 2:
            journal._ids.freeze(number)
            assert journal._ids.wait_until_idle()
            journal.checkpoint()
    shutil.copytree(tmp_path / "living", tmp_path / "crashed")
    journal.close()
    return tmp_path / "crashed"


def test_the_fixture_is_whole(crashed: Path) -> None:
    journal = SqliteJournal(crashed)
    assert journal.mark().position == BATCHES
    assert journal.check() == []
    assert [claim(journal, number) for number in range(1, BATCHES + 1)] == [[1] * IDS] * BATCHES
    journal.close()


def test_a_cut_log_loses_only_its_end_and_says_so(crashed: Path, tmp_path: Path) -> None:
    log = (crashed / "journal.sqlite-wal").read_bytes()
    rng = np.random.default_rng(1)
    ends = set()
    for cut in [0, 1, 31, 32, len(log) - 1, *rng.integers(32, len(log), 20).tolist()]:
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(crashed, folder, dirs_exist_ok=True)
        (folder / "journal.sqlite-wal").write_bytes(log[:cut])
        (folder / "journal.sqlite-shm").unlink(missing_ok=True)
        ends.add(assert_goes_on(folder))
    assert min(ends) <= BATCHES // 2 < BATCHES - 1 <= max(ends)


def assert_goes_on(folder: Path) -> int:
    """The rows that are left are whole, the journal goes on behind the store's mark; the last row that was left."""
    journal = SqliteJournal(folder)
    left = [row.mark.position for row in journal.read(0, 10**6)]
    assert left == list(range(1, len(left) + 1))
    newest = max(len(left), BATCHES // 2)  # the index covers the first half
    assert journal.mark().position == newest
    journal.ensure_after(BATCHES)  # the usage store had folded everything
    details = " ".join(finding.detail for finding in journal.check())
    assert f"to {BATCHES} were acknowledged and are not in the journal" in details or len(left) == BATCHES
    assert append(journal, 100) == BATCHES + 1
    assert [claim(journal, number)[0] for number in range(1, BATCHES + 1)] == [1] * newest + [0] * (BATCHES - newest)
    journal.close()
    return len(left)


def test_an_index_ahead_of_the_journal_never_gives_its_positions_again(crashed: Path) -> None:
    """The log with all rows is gone, and so is the database file they had been moved to."""
    for name in ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"):
        (crashed / name).unlink()
    journal = SqliteJournal(crashed)
    assert [finding.detail for finding in journal.check()] == [
        "positions 1 to 6 were acknowledged and are not in the journal"]
    assert append(journal, 100) == BATCHES // 2 + 1
    assert claim(journal, 1) == [1] * IDS
    journal.close()
    journal = SqliteJournal(crashed)
    assert claim(journal, 100) == [1] * IDS
    assert len(journal.check()) == 1
    journal.close()


def test_orphans_and_drafts_of_a_crash_go(crashed: Path) -> None:
    index = crashed / "index"
    run = next(index.glob("*.run"))
    shutil.copy(run, index / "0000000099.run")
    (index / "0000000100.run").write_bytes(run.read_bytes()[:1000])
    (index / "manifest.draft").write_bytes(b'{"body":{"pos')
    journal = SqliteJournal(crashed)
    assert journal.check() == []
    assert sorted(path.name for path in index.iterdir()) == [run.name, "manifest.json"]
    journal._ids.freeze(journal.mark().position)
    assert journal._ids.wait_until_idle()
    assert "0000000101.run" in {path.name for path in index.iterdir()}  # numbers are not used again
    journal.close()


@pytest.mark.parametrize(
    "damage", ["cut run", "lost run", "cut manifest", "flipped manifest", "cut database", "no database"])
def test_damage_is_refused_with_a_sentence(crashed: Path, damage: str) -> None:
    path = {"run": next((crashed / "index").glob("*.run")), "manifest": crashed / "index" / "manifest.json",
            "database": crashed / "journal.sqlite"}[damage.split()[1]]
    content = path.read_bytes()
    if damage.startswith("lost"):
        path.unlink()
    elif damage.startswith("cut"):
        path.write_bytes(content[: len(content) // 2])
    elif damage.startswith("no "):
        path.write_bytes(b"something else, and no database at all" * 200)
    else:
        path.write_bytes(content.replace(b'"position":6', b'"position":7'))
    if path.suffix == ".sqlite":
        (crashed / "journal.sqlite-wal").unlink()
    with pytest.raises(DamagedStoreError, match=r"is damaged .*: stop Weighbridge, .* run `weighbridge doctor`"):
        SqliteJournal(crashed)
    with pytest.raises(DamagedStoreError):  # and the folder is not left locked
        SqliteJournal(crashed)


def test_an_index_older_than_what_was_trimmed_is_refused(crashed: Path) -> None:
    journal = SqliteJournal(crashed)
    assert journal.trim(3) == 3
    journal.close()
    shutil.rmtree(crashed / "index")
    with pytest.raises(DamagedStoreError, match="covers rows up to 0, but rows up to 3 are trimmed"):
        SqliteJournal(crashed)


def test_an_index_that_was_removed_is_made_anew_from_the_rows(crashed: Path) -> None:
    shutil.rmtree(crashed / "index")
    journal = SqliteJournal(crashed)
    assert journal.check() == []
    assert [claim(journal, number) for number in range(1, BATCHES + 1)] == [[1] * IDS] * BATCHES
    journal.close()
