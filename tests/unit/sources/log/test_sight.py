"""Which file is which: every way in which files become other files between two looks, or between two lives."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
from dataclasses import replace

import pytest
from backports import zstd

from support.logs import line_of, sums_of
from weighbridge.sources.log import follow
from weighbridge.sources.log.sight import SETTLE_S

FIRST, MORE, NEXT = range(300), range(300, 400), range(400, 700)
"""Lines that were read; lines that the same file got afterwards; lines of the file that has the log's name then."""


def content(*ranges) -> bytes:
    return b"".join(line_of(number) for numbers in ranges for number in numbers)


def renamed(folder):
    (folder / "access.log").rename(folder / "access.log.1")


def renamed_with_a_date(folder):
    (folder / "access.log").rename(folder / "access-2026-11-25T10-00-00.000-size.log")


def copied_and_cut(folder):
    shutil.copyfile(folder / "access.log", folder / "access.log.1")
    os.truncate(folder / "access.log", 0)


def copied_onto_a_name_that_was_used(folder):
    (folder / "access.log.1").write_bytes(content(range(9000, 9100)))
    copied_and_cut(folder)


def packed(pack, suffix):
    def change(folder):
        (folder / f"access.log.1{suffix}").write_bytes(pack((folder / "access.log").read_bytes()))
        (folder / "access.log").unlink()

    change.__name__ = f"packed{suffix}"
    return change


def packed_after_a_while(folder):
    renamed(folder)
    (folder / "access.log.1").rename(folder / "access.log.2")
    (folder / "access.log.2.gz").write_bytes(gzip.compress((folder / "access.log.2").read_bytes()))
    (folder / "access.log.2").unlink()


def packed_and_kept(folder):
    renamed(folder)
    (folder / "access.log.1.gz").write_bytes(gzip.compress((folder / "access.log.1").read_bytes()))


def restored_from_a_backup(folder):
    """Another inode, as after a move to another disk, or a new device number."""
    renamed(folder)
    shutil.copyfile(folder / "access.log.1", folder / "copy")
    (folder / "access.log.1").unlink()
    (folder / "copy").rename(folder / "access.log.1")


def onto_its_own_inode(folder):
    """The next file gets the inode of the last: it was copied away, and written anew in place."""
    shutil.copyfile(folder / "access.log", folder / "access.log.1")
    with (folder / "access.log").open("r+b") as file:
        file.write(content(NEXT))
        file.truncate()


WAYS = [
    renamed, renamed_with_a_date, copied_and_cut, copied_onto_a_name_that_was_used, packed(gzip.compress, ".gz"),
    packed(bz2.compress, ".bz2"), packed(lzma.compress, ".xz"), packed(zstd.compress, ".zst"), packed_after_a_while,
    packed_and_kept, restored_from_a_backup, onto_its_own_inode,
]


@pytest.mark.parametrize("with_crash", [False, True])
@pytest.mark.parametrize("with_more", [False, True])
@pytest.mark.parametrize("change", WAYS, ids=lambda change: change.__name__)
def test_every_line_is_read_once(followed, change, with_more, with_crash):
    followed.append(*FIRST)
    followed.poll()
    written = [*FIRST]
    if with_more:
        followed.append(*MORE)
        written += MORE
    if change is copied_onto_a_name_that_was_used:
        written += range(9000, 9100)
        followed.append(*range(9000, 9100), name="access.log.1")
        followed.settle()
    if with_crash:
        followed.crash()
    change(followed.folder)
    if change is not onto_its_own_inode:
        followed.append(*NEXT)
    followed.settle()
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == sorted([*written, *NEXT])
    followed.total()
    assert followed.server.totals() == sums_of([*written, *NEXT])


def test_devices_that_are_numbered_anew_change_nothing(followed, monkeypatch):
    """After a start of the machine the same files may lie on a device of another number."""
    followed.append(*FIRST)
    followed.poll()
    renamed(followed.folder)
    followed.append(*NEXT)
    followed.settle()
    followed.append(*MORE)
    look = follow.look
    monkeypatch.setattr(follow, "look", lambda path: [replace(each, device=each.device + 1) for each in look(path)])
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == sorted([*FIRST, *NEXT, *MORE])


def test_a_copy_under_way_is_no_file_of_its_own(followed):
    followed.append(*FIRST, *MORE)
    whole = followed.log.read_bytes()
    copy = followed.folder / "access.log.1"
    followed.poll()
    for size in (1, 100, 5000, 9000, len(whole)):
        copy.write_bytes(whole[:size])
        followed.settle()
        followed.crash()
        followed.settle()
    os.truncate(followed.log, 0)
    followed.settle()
    assert sorted(followed.numbers()) == [*FIRST, *MORE]


def test_a_copy_under_way_of_a_log_not_read_yet_is_no_file_of_its_own(followed):
    followed.poll()
    followed.append(*FIRST)
    whole = followed.log.read_bytes()
    copy = followed.folder / "access.log.1"
    copy.write_bytes(whole[:5000])
    followed.follower.poll(lambda: True)  # looks, and reads nothing
    copy.write_bytes(whole)
    followed.follower.poll(lambda: True)
    os.truncate(followed.log, 0)
    followed.append(*NEXT)
    followed.settle()
    assert sorted(followed.numbers()) == [*FIRST, *NEXT]


def test_a_copy_under_way_of_a_rotated_file_is_no_file_of_its_own(followed):
    followed.append(*FIRST)
    followed.poll()
    renamed(followed.folder)
    followed.append(*NEXT)
    followed.settle()
    copy = followed.folder / "access.log.7"
    for size in (100, 200, 9000):
        copy.write_bytes(content(FIRST)[:size])
        followed.poll()
        followed.poll(SETTLE_S / 2)
    followed.settle()
    assert sorted(followed.numbers()) == [*FIRST, *NEXT]


def test_a_copy_that_was_never_finished_is_no_file_of_its_own(followed):
    """Somebody killed the copier; then the log is rotated by renaming."""
    followed.append(*FIRST)
    followed.poll()
    (followed.folder / "access.log.1").write_bytes(content(FIRST)[:7000])
    followed.settle()
    (followed.folder / "access.log.1").rename(followed.folder / "access.log.2")
    renamed(followed.folder)
    followed.append(*NEXT)
    followed.settle()
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == [*FIRST, *NEXT]


def test_a_copy_that_somebody_made_is_no_file_of_its_own(followed):
    followed.append(*FIRST)
    followed.settle()
    renamed(followed.folder)
    shutil.copyfile(followed.folder / "access.log.1", followed.folder / "access.log.7")
    followed.append(*NEXT)
    followed.settle()
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == [*FIRST, *NEXT]


def test_the_inode_of_a_deleted_file_is_used_again(followed):
    followed.append(*FIRST)
    followed.settle()
    renamed(followed.folder)
    followed.append(*MORE)
    followed.settle()
    with (followed.folder / "access.log.1").open("r+b") as file:  # what a file system does, without waiting for it
        file.write(content(NEXT))
        file.truncate()
    (followed.folder / "access.log").rename(followed.folder / "access.log.2")
    (followed.folder / "access.log.1").rename(followed.folder / "access.log")
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == [*FIRST, *MORE, *NEXT]


def test_equal_lines_in_file_after_file_count_each_time(followed):
    """Nothing tells these files apart but what they are: the log, then the log again."""
    for round_number in range(3):
        followed.append(*[1] * 300)
        followed.poll()
        if round_number < 2:
            (followed.folder / "access.log").rename(followed.folder / f"access.log.{9 - round_number}")
    followed.settle()
    followed.crash()
    followed.settle()
    assert followed.numbers() == [1] * 900


def test_equal_lines_count_though_the_file_that_had_them_is_gone(followed):
    followed.append(*[1] * 300)
    followed.poll()
    renamed(followed.folder)
    followed.append(2)
    followed.settle()
    (followed.folder / "access.log.1").rename(followed.folder / "elsewhere")  # and its inode is not used again
    followed.settle()
    (followed.folder / "access.log").rename(followed.folder / "access.log.1")
    followed.append(*[1] * 300)
    followed.settle()
    assert sorted(followed.numbers()) == [*[1] * 600, 2]


def test_a_file_is_unpacked_again(followed):
    followed.append(*FIRST)
    followed.poll()
    packed_after_a_while(followed.folder)
    followed.append(*NEXT)
    followed.settle()
    (followed.folder / "access.log.2").write_bytes(gzip.decompress((followed.folder / "access.log.2.gz").read_bytes()))
    followed.settle()
    (followed.folder / "access.log.2.gz").unlink()
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == [*FIRST, *NEXT]


def test_the_log_is_moved_away_and_back(followed):
    followed.append(*FIRST)
    followed.poll()
    followed.log.rename(followed.folder / "elsewhere")
    followed.settle()
    (followed.folder / "elsewhere").rename(followed.log)
    followed.append(*MORE)
    followed.settle()
    assert followed.numbers() == [*FIRST, *MORE]
