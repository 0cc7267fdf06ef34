"""What files hold, plain or compressed, at any offset."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
from contextlib import closing

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.sources.log.contents import BLOCK_BYTES, EDGE_BYTES, DamagedError, UnfinishedError, open_content

PACKERS = {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd.compress}
TEXT = b"".join(b"%d %d\n" % (n, n * n) for n in range(70_000))


@pytest.fixture(scope="module", params=PACKERS)
def content(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("contents") / request.param
    path.write_bytes(PACKERS[request.param](TEXT))
    opened = open_content(path)
    assert opened.is_packed is (request.param != "plain")
    yield opened
    opened.close()


@settings(max_examples=30, deadline=None)
@given(reads=st.lists(st.tuples(st.integers(0, len(TEXT) + 10), st.integers(0, 3 * BLOCK_BYTES)), max_size=6))
def test_any_reads_in_any_order(content, reads):
    for offset, size in reads:
        assert content.read(offset, size) == TEXT[offset : offset + size]


def test_reading_on_with_what_stands_before(content):
    at = 0
    while at < len(TEXT):
        before = min(at, EDGE_BYTES)
        assert content.read(at - before, before + 50_000) == TEXT[at - before : at + 50_000]
        at += 50_000


def test_progress_ends_at_the_size_of_the_file(content):
    content.read(0, len(TEXT) + 1)
    assert content.done_bytes(len(TEXT)) == content.told()[0]


@pytest.mark.parametrize("kind", [kind for kind in PACKERS if kind != "plain"])
def test_several_members_are_one_content(tmp_path, kind):
    path = tmp_path / "several"
    path.write_bytes(PACKERS[kind](b"one\n") + PACKERS[kind](b"two\n"))
    with closing(open_content(path)) as content:
        assert content.read(0, 100) == b"one\ntwo\n"


@pytest.mark.parametrize("kind", [kind for kind in PACKERS if kind != "plain"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_file_that_is_still_being_compressed(tmp_path, kind, share):
    path = tmp_path / "part"
    noise = random.Random(1).randbytes(2_000_000)
    packed = PACKERS[kind](noise)
    path.write_bytes(packed[: int(len(packed) * share)])
    with closing(open_content(path)) as content:
        for _ in range(2):  # told again, as often as somebody asks
            with pytest.raises(UnfinishedError) as told:
                content.read(0, len(noise))
            assert noise.startswith(told.value.data)
        with pytest.raises(UnfinishedError):
            content.read(len(noise) - 10, 10)


@pytest.mark.parametrize("kind", [kind for kind in PACKERS if kind != "plain"])
def test_a_damaged_file(tmp_path, kind):
    path = tmp_path / "damaged"
    noise = random.Random(1).randbytes(100_000)
    packed = bytearray(PACKERS[kind](noise))
    packed[len(packed) // 2] ^= 0xFF
    packed[-5] ^= 0xFF  # of raw bytes only the checksum tells
    if kind == "zst":
        packed = bytearray(zstd.compress(noise, options={zstd.CompressionParameter.checksum_flag: 1}))
        packed[-1] ^= 0xFF
    path.write_bytes(packed)
    with closing(open_content(path)) as content, pytest.raises(DamagedError):
        content.read(0, len(noise) + 1)


def test_a_file_that_grows_and_is_cut(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    with closing(open_content(path)) as content:
        before = content.told()
        with path.open("ab") as file:
            file.write(b"two\n")
        assert content.told() != before
        assert content.read(4, 100) == b"two\n"
        os.truncate(path, 2)
        assert content.read(0, 100) == b"on"
        assert content.read(4, 100) == b""


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "nowhere"):
        with pytest.raises(OSError, match=r"regular|No such"):
            open_content(path)
