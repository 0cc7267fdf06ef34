"""Runs of lines as long as real ones: the fast way, what goes around it, and what the worst of them cost."""

from __future__ import annotations

import resource
import time
from contextlib import closing
from pathlib import Path

import pytest

from support.access_logs import AT_10, CountingReader, count_lines, fast_reader, read_slowly, reader
from weighbridge.sources.log import decode, groups
from weighbridge.sources.log.decode import CHUNK_BYTES
from weighbridge.sources.log.tally import _show

GOOD = '192.0.2.{} - {} [29/Nov/2025:10:{:02}:{:02} +0000] "GET /items/{}?q={} HTTP/1.1" 200 {} "-" "curl/8.4.0"\n'
TABLE = {"consumer": "$remote_user", "endpoints": ["/items/{id}"], "rules": [{"prefix": "/items/7", "app": 2}], "app": 1}


def good(number):
    user = ("-", "alice", "bob")[number % 3]
    return GOOD.format(number % 250, user, number % 60, number % 59, number % 400, number, number).encode()


def expected(numbers):
    """Requests and bytes by app and consumer, as a loop would count them."""
    found = {}
    for number in numbers:
        key = (2 if str(number % 400).startswith("7") else 1, (None, "alice", "bob")[number % 3],
            AT_10 + number % 60 // 5 * 300)
        requests, bytes_out = found.get(key, (0, 0))
        found[key] = (requests + 1, bytes_out + number)
    return found


def totals(chunk):
    return {(int(each.subject[4:]), each.consumer, each.slot_s): (each.requests, each.bytes_out) for each in chunk.sums}


def test_a_clean_run_is_read_fast_and_right():
    numbers = range(20_000)
    with closing(fast_reader("combined", **TABLE)) as made:
        chunk = made.read(b"".join(map(good, numbers)))
    assert totals(chunk) == expected(numbers)
    assert {each.path for each in chunk.sums} == {"/items/{id}"}


@pytest.mark.parametrize(("name", "value"), [("CAN_GROUP", False), ("CHUNK_BYTES", 60_000)])
def test_without_files_in_memory_and_beyond_a_chunk_the_same_is_found(name, value, monkeypatch):
    data = b"".join(map(good, range(6000)))
    with closing(reader("combined", kind=CountingReader, **TABLE)) as made:
        chunk = made.read(data)
        assert made.fast == 1
    monkeypatch.setattr(decode, name, value)
    with closing(reader("combined", kind=CountingReader, **TABLE)) as made:
        assert made.read(data) == chunk
        assert made.fast == (0 if name == "CAN_GROUP" else 8)


ODD = [b"", b"\r", b"garbage", b'"', b"\xff" * 9, b"x" * 20_000, b"\0", good(1).replace(b"curl", b"\\x22")[:-1],
    good(2)[:-1] + b" "]


@pytest.mark.parametrize("step", [5000, 400, 3])
def test_odd_lines_between_do_not_disturb_the_others(step):
    """A stray quote swallows nothing, and every bad line is named by its number."""
    slow = reader("combined", **TABLE)
    rows = []
    for number in range(6000):
        rows += [ODD[len(rows) % len(ODD)] + b"\n"] if number % step == step - 1 else []
        rows.append(good(number))
    data = b"".join(rows)
    with closing(reader("combined", kind=CountingReader, **TABLE)) as made:
        chunk = made.read(data)
    assert chunk == read_slowly(slow, data)
    assert chunk.lines == count_lines(data) == len(rows)
    for number, _, text in chunk.first_bad:
        assert _show(rows[number - 1].rstrip(b"\n")) == text
    assert made.fast > 0 or step == 3


def test_a_second_kind_of_line_in_the_same_file_is_counted_out():
    """DuckDB disagrees about every part; nothing is lost."""
    data = b"".join(good(number) if number % 2 else b'{"not":"combined"}\n' for number in range(4000))
    with closing(reader("combined", **TABLE)) as made:
        chunk = made.read(data)
    assert (chunk.counted, chunk.bad) == (2000, 2000)
    assert totals(chunk) == expected(range(1, 4000, 2))


def test_a_sign_of_every_kind_of_time_is_enough():
    """Times of other looks among those of the first line go the long way, each to its own slot."""
    lines = [b'{"msec":1764410412.5,"bytes_sent":1}\n'] * 2000
    lines[700:703] = [b'{"msec":"2025-11-29T10:06:00Z","bytes_sent":2}\n'] * 3
    lines[1500] = b'{"time_local":"29/Nov/2025:10:11:00 +0000","bytes_sent":3}\n'
    with closing(reader("nginx-json")) as made:
        chunk = made.read(b"".join(lines))
    assert [(each.slot_s - AT_10, each.requests, each.bytes_out) for each in chunk.sums] == [
        (0, 1996, 1996), (300, 3, 6), (600, 1, 3)]


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_the_database_is_made_anew_now_and_then(monkeypatch):
    """DuckDB holds on to a little of each run of lines; over weeks that would fill the memory."""
    monkeypatch.setattr(groups, "QUESTIONS", 3)
    data = b"".join(map(good, range(400)))
    with closing(fast_reader("combined", **TABLE)) as made:
        found = [(made.read(data), made._grouping._database) for _ in range(7)]
    assert [found[at][1] is found[at + 1][1] for at in range(6)] == [True, True, False, True, True, False]
    assert {chunk for chunk, _ in found} == {found[0][0]}


WORST = {"only line ends": b"\n", "only quotes": b'"', "one line": b"x", "only brackets": b"[", "only NUL": b"\0",
    "short": b"{}\n"}


@pytest.mark.parametrize("format_", ["combined", "nginx-json"])
@pytest.mark.parametrize("name", WORST)
def test_the_worst_of_bytes_take_bounded_time_and_memory(name, format_):
    data = (WORST[name] * CHUNK_BYTES)[: CHUNK_BYTES // 4 // 3 * 3]
    with closing(reader(format_)) as made:
        before_mb, begun_s = peak_mb(), time.process_time()
        chunk = made.read(data)
        assert time.process_time() - begun_s < 60
    assert chunk.lines == count_lines(data) == chunk.bad + chunk.blank
    assert peak_mb() - before_mb < 200


def open_files():
    return set(Path("/proc/self/fd").iterdir())


def test_nothing_is_left_open_or_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = open_files()
    made = fast_reader("combined", **TABLE)
    with closing(made):
        made.read(b"".join(map(good, range(2000))))
        assert len(open_files() - before) > 0
    made.close()
    assert len(open_files() - before) == 0
    assert list(tmp_path.iterdir()) == []
