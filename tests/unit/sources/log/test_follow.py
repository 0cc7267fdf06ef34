"""Following a log: which lines are read, when, from which file."""

from __future__ import annotations

import gzip
import os
import shutil

import pytest
from structlog.testing import capture_logs

from support.logs import CHUNK, Followed, line_of
from weighbridge.domain.errors import DiskFullError
from weighbridge.sources.log import place, sight
from weighbridge.sources.log.follow import COPY_S, EAGER_BYTES, IDLE_S, LINGER_S, Begin
from weighbridge.sources.log.sight import OLD_NS, SETTLE_S


def test_lines_are_read_once_they_are_whole(followed):
    followed.append(0, 1)
    with followed.log.open("ab") as file:
        file.write(b"2 the rest is to")
    followed.poll()
    assert followed.numbers() == [0, 1]
    with followed.log.open("ab") as file:
        file.write(b" come\n3 more\n")
    followed.poll()
    followed.poll()
    assert followed.numbers() == [0, 1, 2, 3]
    assert followed.total() == 4


def test_a_log_larger_than_a_chunk_is_read_in_chunks_of_whole_lines(followed):
    followed.append(*range(1000))
    followed.poll()
    assert followed.numbers() == list(range(1000))
    assert len(followed.reader.chunks) > 3
    assert all(len(chunk) <= CHUNK and chunk.endswith(b"\n") for chunk in followed.reader.chunks)


def test_lines_gather_for_a_while_unless_there_are_many(tmp_path):
    followed = Followed(tmp_path, linger_s=LINGER_S)
    followed.append(0)
    followed.poll()
    followed.append(1)
    followed.poll(LINGER_S / 2)
    assert followed.numbers() == [0]
    followed.poll(LINGER_S / 2)
    assert followed.numbers() == [0, 1]
    followed.append(2, width=EAGER_BYTES)
    followed.append(3)
    followed.poll()
    assert followed.numbers()[-1] == 3
    followed.close()


@pytest.mark.parametrize(("begin", "expected"), [
    (None, [10, 11]),
    (Begin(from_start=True), [0, 1, 2, 3, 10, 11]),
    (Begin(from_end=True), [11]),
])
def test_where_the_first_start_begins(tmp_path, begin, expected):
    followed = Followed(tmp_path, begin)
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(line_of(0) + line_of(1)))
    followed.append(2, 3, name="access.log.1")
    followed.append(10)
    with followed.log.open("ab") as file:
        file.write(b"11 written in")
    followed.poll()
    followed.crash()
    with followed.log.open("ab") as file:
        file.write(b" two parts\n")
    followed.settle()
    assert sorted(followed.numbers()) == expected
    shutil.move(tmp_path / "access.log.2.gz", tmp_path / "access.log.3.gz")
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress((tmp_path / "access.log.1").read_bytes()))
    (tmp_path / "access.log.1").unlink()
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == expected
    followed.close()


def test_a_log_that_is_not_there_yet_is_waited_for_and_told_once(tmp_path):
    followed = Followed(tmp_path / "later")
    shutil.rmtree(tmp_path / "later")
    with capture_logs() as told:
        followed.poll()
        followed.poll()
        (tmp_path / "later").mkdir()
        followed.poll()
        followed.append(0)
        followed.poll()
    followed.close()
    reasons = [each.get("reason") for each in told if each["event"] == "log_not_there"]
    assert reasons == ["No such file or directory", "it is not there yet"]
    assert [each["event"] for each in told if each["event"] == "log_there"] == ["log_there"]
    assert followed.numbers() == [0]


def test_a_pipe_is_no_log(followed):
    os.mkfifo(followed.log)
    with capture_logs() as told:
        followed.poll()
    assert told[0]["reason"] == "it is no regular file"


def test_a_file_that_may_not_be_read_is_told_once_and_read_later(followed, monkeypatch):
    followed.append(0)
    may = []

    def open_content(path):
        if not may:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    original = sight.open_content
    monkeypatch.setattr(sight, "open_content", open_content)
    with capture_logs() as told:
        followed.poll()
        followed.poll()
        may.append(True)
        followed.poll()
    assert [each["event"] for each in told].count("file_not_read") == 1
    assert followed.numbers() == [0]


def test_a_renamed_log_is_read_until_nobody_writes_to_it(followed):
    followed.append(0)
    followed.poll()
    followed.log.rename(followed.folder / "access.log.1")
    followed.append(1, name="access.log.1")
    followed.append(2)
    followed.poll()
    followed.append(3, name="access.log.1")
    followed.poll(IDLE_S - 1)
    with (followed.folder / "access.log.1").open("ab") as file:
        file.write(b"4 without an end")
    followed.poll(IDLE_S - 1)
    assert sorted(followed.numbers()) == [0, 1, 2, 3]
    followed.poll(IDLE_S)
    assert sorted(followed.numbers()) == [0, 1, 2, 3, 4]
    followed.append(5, name="access.log.1")  # somebody is very late
    followed.poll()
    assert sorted(followed.numbers()) == [0, 1, 2, 3, 4, 5]
    followed.poll(IDLE_S + 1)
    followed.append(6, name="access.log.1")
    followed.crash()
    followed.poll()
    assert sorted(followed.numbers()) == [0, 1, 2, 3, 4, 5, 6]
    assert followed.total() == 7


def test_what_was_open_is_read_to_its_end_though_it_is_deleted(followed):
    followed.append(0)
    followed.poll()
    followed.append(1)
    followed.log.unlink()
    followed.append(2)
    followed.poll()
    assert sorted(followed.numbers()) == [0, 1, 2]


def test_lines_between_the_last_look_and_the_cut_are_read_from_the_copy(followed):
    followed.append(*range(300))
    followed.poll()
    followed.append(300, 301)
    shutil.copyfile(followed.log, followed.folder / "access.log.1")
    followed.poll()
    os.truncate(followed.log, 0)
    followed.append(302)
    followed.settle()
    assert sorted(followed.numbers()) == list(range(303))


def test_a_cut_is_noticed_though_the_log_is_longer_than_before(followed):
    followed.append(*range(10))
    followed.poll()
    shutil.copyfile(followed.log, followed.folder / "access.log.1")
    os.truncate(followed.log, 0)
    followed.append(*range(10, 500))
    followed.settle()
    assert sorted(followed.numbers()) == list(range(500))


def test_a_cut_is_noticed_though_the_log_is_as_long_as_before(followed):
    followed.append(*range(10, 20))
    followed.poll()
    os.truncate(followed.log, 0)
    followed.append(*range(20, 30))
    followed.settle()
    assert sorted(followed.numbers()) == list(range(10, 30))


def test_a_cut_log_whose_copy_is_nowhere_is_told_after_a_while(followed):
    followed.append(*range(10))
    followed.poll()
    os.truncate(followed.log, 0)
    with capture_logs() as told:
        followed.poll()
        followed.poll()
        followed.poll(COPY_S + 1)
        followed.crash()
        followed.poll(COPY_S * 2)
    assert [each["event"] for each in told].count("rest_not_found") == 1


def test_a_hole_at_the_head_of_a_cut_log_is_no_line(followed):
    """A writer that does not append goes on where it was; what the file system makes of that are zeros."""
    followed.append(0, 1)
    with followed.log.open("r+b") as file:
        followed.poll()
        os.truncate(followed.log, 0)
        file.seek(100_000)
        file.write(line_of(2))
    followed.settle()
    assert followed.numbers() == [0, 1, 2]
    assert followed.place.counts["bad"] == 0


def test_a_line_longer_than_a_chunk_is_bad_and_nothing_else_is(followed):
    followed.append(0)
    with followed.log.open("ab") as file:
        file.write(b"z" * (CHUNK * 3) + b"\n")
    followed.append(1)
    followed.poll()
    assert followed.numbers() == [0, 1]
    assert followed.place.counts["counted"] == 2
    assert followed.place.counts["bad"] > 0


def test_bad_lines_are_shown_with_their_number_the_first_ones(followed):
    followed.append(*range(400))
    with followed.log.open("ab") as file:
        file.write(b"no number\n" * 30)
    with capture_logs() as told:
        followed.poll()
    shown = [(each["line"], each["text"]) for each in told if each["event"] == "bad_line"]
    assert shown == [(401 + n, "no number") for n in range(10)]
    assert followed.place.counts["bad"] == 30


def test_a_full_outbox_lets_the_log_wait(followed, monkeypatch):
    monkeypatch.setattr(place, "OUTBOX_BODIES", 2)
    followed.append(*range(1000))
    assert followed.poll()
    assert (followed.place.waiting, len(followed.reader.chunks)) == (2, 2)
    for _ in range(10):
        followed.delivery.run()
        followed.poll()
    assert followed.total() == 1000


def test_lines_are_on_the_disk_before_they_count(followed, monkeypatch):
    """A loss of power that shortens the log would make it another one, and every line of it would count again."""
    steps = []
    sync, enter = os.fdatasync, followed.place.enter
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: steps.append("sync") or sync(descriptor))
    monkeypatch.setattr(followed.place, "enter", lambda *args: steps.append("enter") or enter(*args))
    followed.append(*range(1000))
    followed.poll()
    assert steps == ["sync", "enter"] * len(followed.reader.chunks)


def test_a_full_disk_lets_the_log_wait(followed, monkeypatch):
    followed.append(*range(10))
    enter = followed.place.enter

    def fail(*_args, **_options):
        raise DiskFullError("no room")

    monkeypatch.setattr(followed.place, "enter", fail)
    with pytest.raises(DiskFullError):
        followed.poll()
    monkeypatch.setattr(followed.place, "enter", enter)
    followed.poll()
    assert followed.total() == 10


def test_a_sibling_never_seen_is_read_once_nobody_writes_to_it(followed):
    followed.append(0)
    followed.poll()
    followed.append(1, name="access.log.1")
    assert followed.poll()
    followed.append(2, name="access.log.1")
    assert followed.poll(SETTLE_S)
    assert followed.numbers() == [0]
    followed.poll(SETTLE_S)
    assert followed.numbers() == [0, 1, 2]


def test_a_sibling_from_before_the_first_start_that_appears_later_is_not_read(followed):
    followed.append(0)
    followed.poll()
    old_ns = followed.clock.at_us * 1000 - OLD_NS - 1
    followed.append(1, name="access.log.5")
    os.utime(followed.folder / "access.log.5", ns=(old_ns, old_ns))
    (followed.folder / "access.log.6.gz").write_bytes(gzip.compress(line_of(2)))
    os.utime(followed.folder / "access.log.6.gz", ns=(old_ns, old_ns))
    with capture_logs() as told:
        followed.settle()
        followed.crash()
        followed.settle()
    assert followed.numbers() == [0]
    assert [each["event"] for each in told].count("old_file_not_read") == 2


def test_compressed_files_of_a_long_absence_are_read_whole_and_the_known_one_from_where_it_was(followed):
    followed.append(*range(500))
    followed.poll()
    followed.append(*range(500, 600))
    (followed.folder / "access.log.3.gz").write_bytes(gzip.compress(followed.log.read_bytes()))
    followed.log.unlink()
    followed.append(*range(600, 1200), name="plain")
    (followed.folder / "access.log.2.gz").write_bytes(gzip.compress((followed.folder / "plain").read_bytes()))
    followed.append(*range(1200, 1300), name="access.log.1")
    followed.append(1300)
    followed.crash()
    followed.settle()
    followed.crash()
    followed.settle()
    assert sorted(followed.numbers()) == list(range(1301))


def test_a_compressed_file_that_is_not_complete_waits(followed):
    followed.append(0)
    followed.poll()
    path, whole = followed.folder / "access.log.1.gz", gzip.compress(line_of(1))
    path.write_bytes(whole[:-3])
    followed.settle()
    assert followed.numbers() == [0]
    path.write_bytes(whole)
    followed.settle()
    assert followed.numbers() == [0, 1]


def test_the_last_line_of_a_compressed_file_counts_without_a_newline(followed):
    followed.append(0)
    followed.poll()
    (followed.folder / "access.log.1.gz").write_bytes(gzip.compress(line_of(1) + b"2 no newline"))
    followed.settle()
    assert followed.numbers() == [0, 1, 2]


def test_many_files_at_once_have_their_turns(followed):
    followed.append(0)
    followed.poll()
    for number in range(1, 150):
        followed.append(number, name=f"access.log.{number}")
    for _ in range(10):
        followed.settle()
    assert sorted(followed.numbers()) == list(range(150))


def test_headers_stay_with_their_file(followed):
    followed.reader.header = ""
    followed.append(0)
    read = followed.reader.read
    seen = []

    def read_with_header(data):
        seen.append((followed.reader.header, data.split()[0]))
        followed.reader.header = f"#Fields of {data.split()[0].decode()}"
        return read(data)

    followed.reader.read = read_with_header
    followed.poll()
    followed.log.rename(followed.folder / "access.log.1")
    followed.append(1)
    followed.poll()
    followed.append(2, name="access.log.1")
    followed.append(3)
    followed.crash()
    followed.poll()
    assert seen == [("", b"0"), ("", b"1"), ("#Fields of 0", b"2"), ("#Fields of 1", b"3")]
