"""Files that are imported whole: each content once, whatever happens between."""

from __future__ import annotations

import gzip
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from support.logs import Keeper, NaiveReader, line_of, sums_of
from weighbridge.sources.log import decode, imports
from weighbridge.sources.log.contents import UnfinishedError, open_content
from weighbridge.sources.log.deliver import UnansweredError, UnplacedError
from weighbridge.sources.log.imports import FileImport, Import, Imports, Told

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 4096


class CrashError(Exception):
    """kill -9, as far as the import can tell."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(imports, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(imports, "LINE_BYTES", 512)


class Importer:
    """Imports files of a folder to a server, with a state that may be lost."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.server, self.reader = folder, Keeper(), NaiveReader()
        self.bad, self.refused, self.offsets = [], [], []
        self.rest_left = False

    def run(self, name: str, send: Callable | None = None, keep: Callable | None = None, *, with_rest: bool = False) -> Told:
        path = self.folder / name
        with closing(open_content(path)) as content, closing(Imports(self.folder / "state" / "imports.sqlite")) as kept:
            if keep is not None:
                original = kept.keep
                kept.keep = lambda *args: keep(original, *args)
            run = FileImport(
                name, content, self.reader, kept, send or self.server.take, lambda *bad: self.bad.append(bad),
                self.refused.append, self.offsets.append,
            )
            self.rest_left = not run.run(kept.find(content), with_rest=with_rest)
        return run.told

    def write(self, name: str, numbers, more: bytes = b"") -> None:
        (self.folder / name).write_bytes(b"".join(line_of(number) for number in numbers) + more)

    def lose_state(self) -> None:
        shutil.rmtree(self.folder / "state")


@pytest.fixture
def importer(tmp_path):
    return Importer(tmp_path)


def test_a_file_is_read_in_chunks_and_counts(importer):
    importer.write("a.log", range(1000))
    told = importer.run("a.log")
    assert (told.lines, told.counted, told.bad) == (1000, 1000, 0)
    assert told.accepted == len(importer.server.events)
    assert importer.server.totals() == sums_of(range(1000))
    assert len(importer.reader.chunks) == -(-(importer.folder / "a.log").stat().st_size // CHUNK)
    assert importer.offsets[-1] == (importer.folder / "a.log").stat().st_size


def again(_importer):
    return "a.log", range(1000)


def renamed(importer):
    (importer.folder / "a.log").rename(importer.folder / "b.log")
    return "b.log", range(1000)


def compressed(importer):
    (importer.folder / "a.log.gz").write_bytes(gzip.compress((importer.folder / "a.log").read_bytes()))
    return "a.log.gz", range(1000)


def compressed_anew(importer):
    (importer.folder / "a").write_bytes(zstd.compress((importer.folder / "a.log").read_bytes()))
    return "a", range(1000)


def grown(importer):
    importer.write("a.log", range(2000))
    return "a.log", range(2000)


def grown_and_compressed(importer):
    importer.write("a.log", range(2000))
    return compressed(importer)[0], range(2000)


@pytest.mark.parametrize("change", [again, renamed, compressed, compressed_anew, grown, grown_and_compressed])
@pytest.mark.parametrize("state_is_lost", [False, True])
def test_what_was_counted_does_not_count_again(importer, change, state_is_lost):
    importer.write("a.log", range(1000))
    importer.run("a.log")
    name, numbers = change(importer)
    if state_is_lost:
        importer.lose_state()
    told = importer.run(name)
    if state_is_lost and len(numbers) > 1000:
        return  # of a file that has grown, the last chunk counts again: see the docs
    assert importer.server.totals() == sums_of(numbers)
    assert told.lines == (len(numbers) if state_is_lost else len(numbers) - 1000)
    assert (told.duplicates > 0) is state_is_lost


def test_of_a_file_that_has_grown_only_the_last_chunk_counts_again_without_state(importer):
    importer.write("a.log", range(1000))
    importer.run("a.log")
    size = (importer.folder / "a.log").stat().st_size
    importer.write("a.log", range(2000))
    importer.lose_state()
    importer.run("a.log")
    again = importer.server.totals()[0] - 2000
    assert 0 < again <= size % CHUNK // len(line_of(999)) + 1


def test_of_a_file_that_grew_between_imports_only_that_chunk_counts_again_without_state(importer):
    importer.write("a.log", range(1000))
    importer.run("a.log")
    importer.write("a.log", range(4000))
    importer.run("a.log")
    assert importer.server.totals() == sums_of(range(4000))
    importer.lose_state()
    importer.run("a.log")
    assert 0 < importer.server.totals()[0] - 4000 <= CHUNK // len(line_of(10)) + 1


def test_equal_lines_count_each_time(importer):
    importer.write("a.log", [1] * 1000)
    importer.run("a.log")
    assert importer.server.totals() == (1000, 1000)


def test_another_file_that_begins_alike_is_another_file(importer):
    importer.write("a.log", range(1000))
    importer.write("b.log", [*range(500), *range(5000, 5500)])
    importer.run("a.log")
    importer.run("b.log")
    assert importer.server.totals()[0] > 1000 + 500


@pytest.mark.parametrize("dies", ["before the first chunk is kept", "while it is sent", "before it is answered"])
@pytest.mark.parametrize("grows", [False, True])
def test_an_import_that_was_killed_goes_on_with_the_same_bytes(importer, dies, grows):
    importer.write("a.log", range(150))
    calls = []

    def keep(original, *args):
        calls.append("keep")
        if (dies, len(calls)) == ("before the first chunk is kept", 1):
            raise CrashError
        return original(*args)

    def send(body):
        calls.append("send")
        if (dies, calls.count("send")) == ("while it is sent", 1):
            raise CrashError
        receipt = importer.server.take(body)
        if (dies, calls.count("send")) == ("before it is answered", 2):
            raise CrashError
        return receipt

    with pytest.raises(CrashError):
        importer.run("a.log", send, keep)
    if grows:
        importer.write("a.log", range(400))
    importer.run("a.log")
    assert importer.server.totals() == sums_of(range(400 if grows else 150))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_kills_growth_and_changes_of_shape(data):
    """The referee is the list of lines."""
    import tempfile  # noqa: PLC0415  hypothesis wants no fixtures

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "CHUNK_BYTES", CHUNK)
        importer, lines, name = Importer(Path(folder)), 0, "a.log"
        for _ in range(data.draw(st.integers(1, 8))):
            lines += data.draw(st.sampled_from([0, 1, 30, 300]))
            whole = b"".join(line_of(number) for number in range(lines))
            name = data.draw(st.sampled_from(["a.log", "b.log", "c.gz"]))
            (importer.folder / name).write_bytes(gzip.compress(whole) if name == "c.gz" else whole)
            left = [data.draw(st.integers(0, 12))]

            def die(left=left) -> None:
                left[0] -= 1
                if left[0] == 0:
                    raise CrashError

            def send(body, die=die):
                die()
                receipt = importer.server.take(body)
                die()
                return receipt

            def keep(original, *args, die=die):
                die()
                found = original(*args)
                die()
                return found

            try:
                importer.run(name, send, keep)
            except CrashError:
                continue
            assert importer.server.totals() == sums_of(range(lines))
        importer.run(name)
        assert importer.server.totals() == sums_of(range(lines))


@pytest.mark.parametrize("with_rest", [False, True])
def test_a_last_line_without_a_newline(importer, with_rest):
    importer.write("a.log", range(10), b"10 no newline")
    told = importer.run("a.log", with_rest=with_rest)
    assert importer.rest_left is not with_rest
    assert told.counted == 10 + with_rest
    if not with_rest:
        importer.write("a.log", range(10), b"10 no newline yet\n")
        assert importer.run("a.log").counted == 1
    assert importer.server.totals() == sums_of(range(11))


def test_ids_do_not_depend_on_when_the_last_line_was_taken(importer):
    importer.write("a.log", range(10), b"10 no newline")
    importer.run("a.log")
    importer.lose_state()
    importer.run("a.log", with_rest=True)
    assert importer.server.totals() == sums_of(range(11))


def test_long_lines_are_cut_and_bad_and_the_others_count(importer):
    importer.write("a.log", range(100), b"z" * 3 * CHUNK + b"\n")
    with (importer.folder / "a.log").open("ab") as file:
        file.write(b"".join(line_of(number) for number in range(100, 200)))
    for _ in range(2):
        importer.run("a.log")
        assert importer.server.totals() == sums_of(range(200))
        importer.lose_state()
    assert importer.bad


def test_bad_lines_are_told_with_their_number_in_the_file(importer):
    importer.write("a.log", range(300), b"bad\n")
    importer.run("a.log")
    assert importer.bad == [(301, "no number", "bad")]
    importer.write("a.log", range(300), b"bad\n" + line_of(300) + b"worse\n")
    importer.run("a.log")
    assert importer.bad[1:] == [(303, "no number", "worse")]


def test_a_cut_file_gives_what_it_holds_and_goes_on_when_it_is_whole(importer):
    importer.write("plain", range(5000))
    whole = gzip.compress((importer.folder / "plain").read_bytes())
    (importer.folder / "a.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnfinishedError):
        importer.run("a.gz", with_rest=True)
    assert 0 < importer.server.totals()[0] < 5000
    (importer.folder / "a.gz").write_bytes(whole)
    importer.run("a.gz", with_rest=True)
    assert importer.server.totals() == sums_of(range(5000))


def test_what_the_catalog_lacks_stops_it_and_it_goes_on_there(importer):
    importer.write("a.log", range(1000))
    importer.server.refusing = {"app/3"}
    with pytest.raises(UnplacedError, match="no app/3"):
        importer.run("a.log")
    importer.server.refusing = set()
    importer.run("a.log")
    assert importer.server.totals() == sums_of(range(1000))


def test_a_server_that_goes_away_stops_it_and_it_goes_on_there(importer):
    importer.write("a.log", range(1000))
    sent = []

    def send(body):
        sent.append(body)
        if len(sent) == 3:
            return importer.server.lose_answer(body)
        return importer.server.take(body)

    with pytest.raises(UnansweredError):
        importer.run("a.log", send)
    importer.run("a.log")
    assert importer.server.totals() == sums_of(range(1000))


def test_the_oldest_imports_are_forgotten_beyond_a_bound(importer, monkeypatch):
    monkeypatch.setattr(imports, "IMPORTS_KEPT", 2)
    for number in range(5):
        importer.write("a.log", range(number * 10, number * 10 + 5))
        importer.run("a.log")
    with closing(Imports(importer.folder / "state" / "imports.sqlite")) as kept:
        known = []
        for number in range(5):
            importer.write("a.log", range(number * 10, number * 10 + 5))
            with closing(open_content(importer.folder / "a.log")) as content:
                known.append(kept.find(content) != Import())
    assert known == [False, False, False, True, True]


def test_chunks_of_an_import_fit_the_reader():
    assert decode.CHUNK_BYTES >= 16 * 1024 * 1024  # what imports.CHUNK_BYTES is for ever
