"""The place on disk: what one transaction moves, what is told when the disk is at fault."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from uuid import UUID

import pytest

from support.logs import SLOT_S, chunk_of, sum_of
from weighbridge.domain.errors import DamagedStoreError, FolderInUseError, FolderNotWritableError, StorageError
from weighbridge.measurement import Receipt, Rejection
from weighbridge.sources.log import place as place_module
from weighbridge.sources.log.marks import Mark
from weighbridge.sources.log.place import File, Place, path_in

CHUNK = chunk_of(3, 2, 1, sums=(sum_of("app/1", SLOT_S, 1, 10), sum_of("app/2", SLOT_S, 1, 20)))
FILE = File(0, "1/2", "access.log", Mark(30, "head", "tail"), lines=3, header="#Fields: x")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "place.sqlite"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def place(path, log):
    opened = Place(path, log)
    yield opened
    opened.close()


def test_what_was_entered_is_there_again(place, path, log):
    kept = place.enter(FILE, CHUNK)
    place.enter(replace(kept, is_done=True), None, "7/8/9")
    before = (place.files, place.packed, place.counts, place.source, place.waiting, place.waiting_bytes, place.first())
    place.close()
    again = Place(path, log)
    now = (again.files, again.packed, again.counts, again.source, again.waiting, again.waiting_bytes, again.first())
    again.close()
    assert now == before
    assert before[0] == {1: replace(FILE, number=1, is_done=True)}
    assert before[2] == Counter({"lines": 3, "counted": 2, "bad": 1, "unmatched": 0})


def test_ids_are_fixed_and_never_used_twice(place, path, log):
    place.enter(FILE, CHUNK)
    sequence, body = place.first()
    events = json.loads(gzip.decompress(body))
    assert [each["id"] for each in events] == ["1/0", "1/1"]
    assert {each["source"] for each in events} == {place.source}
    assert UUID(place.source.removeprefix("log/"))
    place.answered(sequence, Receipt(2, 0))
    assert place.first() is None
    place.close()
    again = Place(path, log)
    again.enter(FILE, CHUNK)
    assert json.loads(gzip.decompress(again.first()[1]))[0]["id"] == "2/0"
    again.close()


def test_what_the_server_said_is_counted(place):
    place.enter(FILE, CHUNK)
    refusals = (Rejection(0, "1/0", "too_many", ""), Rejection(1, "1/1", "invalid", ""), Rejection(2, "x", "invalid", ""))
    place.answered(1, Receipt(5, 7, refusals))
    said = {name: place.counts[name] for name in ("accepted", "duplicates", "refused.invalid", "refused.too_many")}
    assert said == {"accepted": 5, "duplicates": 7, "refused.invalid": 2, "refused.too_many": 1}


def test_an_inode_has_one_file(place, path, log):
    first = place.enter(FILE)
    second = place.enter(replace(FILE, mark=Mark(9, "other", "other")))
    assert place.files[first.number].ident is None
    assert place.files[second.number].ident == "1/2"
    place.close()
    again = Place(path, log)
    assert again.files == place.files
    again.close()


def test_what_fails_changes_nothing(place, monkeypatch):
    place.enter(FILE, CHUNK)
    before = (dict(place.files), dict(place.counts), place.waiting, place.waiting_bytes)
    place._connection.execute("CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(StorageError):
        place.enter(replace(FILE, mark=Mark(60, "head", "later")), CHUNK)
    assert (place.files, place.counts, place.waiting, place.waiting_bytes) == before
    place._connection.execute("DROP TRIGGER no")
    place.enter(replace(FILE, mark=Mark(60, "head", "later")), CHUNK)
    assert place.waiting == 2


def test_one_process_has_a_place(place, path, log):
    other = f"""
from pathlib import Path
from weighbridge.sources.log.place import Place
try:
    Place(Path({str(path)!r}), Path({str(log)!r}))
except Exception as error:
    print(type(error).__name__, error)
"""
    said = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"FolderInUseError process {os.getpid()} follows this log already")
    with pytest.raises(FolderInUseError):
        Place(path, log)
    place.close()
    Place(path, log).close()


def test_others_may_not_read_it(place, path):
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_told_and_left_alone(path, log):
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DamagedStoreError, match="counts twice"):
        Place(path, log)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_folder_that_cannot_be_made(tmp_path, log):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(FolderNotWritableError):
        Place(tmp_path / "state" / "place.sqlite", log)


def test_large_inodes_are_kept(place, path, log):
    """Overlays and network file systems use all 64 bits."""
    place.enter(replace(FILE, ident=f"{2**64 - 1}/{2**64 - 1}"))
    place.close()
    again = Place(path, log)
    assert again.files[1].ident == f"{2**64 - 1}/{2**64 - 1}"
    again.close()


def test_files_that_are_gone_are_forgotten_beyond_a_bound(place, monkeypatch):
    monkeypatch.setattr(place_module, "FILES_KEPT", 3)
    numbers = [place.enter(replace(FILE, ident=str(n), is_done=n != 1), None, f"version {n}").number for n in range(6)]
    place.forget({numbers[0]}, ["version 0"])
    assert sorted(place.files) == [numbers[0], numbers[1], numbers[5]]
    assert place.packed == {"version 0", "version 4", "version 5"}


def test_each_log_has_a_place_of_its_own(tmp_path):
    paths = {path_in(tmp_path, log) for log in (tmp_path / "a/access.log", tmp_path / "b/access.log", tmp_path / "a/x y")}
    assert len(paths) == 3
    assert all(path.parent == tmp_path and " " not in path.name for path in paths)


def test_room_is_given_back(place, path):
    noise = chunk_of(sums=tuple(sum_of("app/1", SLOT_S, n, n * 7919 % 104729) for n in range(5000)))
    for _ in range(20):
        place.enter(FILE, noise)
    while (first := place.first()) is not None:
        place.answered(first[0], Receipt(1, 0))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA page_count").fetchone()[0] < 50
    connection.close()
