from __future__ import annotations

import asyncio
import gzip
import sys
import tracemalloc
from typing import Any

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.http.body import ENCODED_SLACK, MAX_MEMBERS, ClientGoneError, decode_body, receive_body
from weighbridge.http.failures import TooLargeError, UnreadableBodyError, WrongContentTypeError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODERS = {"gzip": lambda body: gzip.compress(body, mtime=0), "zstd": zstd.compress}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from(sorted(ENCODERS)), st.integers(1, 4))
def test_what_was_encoded_comes_back_also_from_several_members(body: bytes, encoding: str, members: int) -> None:
    step = len(body) // members + 1
    parts = [body[at : at + step] for at in range(0, max(1, len(body)), step)]
    encoded = b"".join(ENCODERS[encoding](part) for part in parts)
    assert decode_body(encoded, encoding, len(body)) == body


SNAPPY = ("snappy",)


def _block(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000) | st.builds(lambda piece, times: piece * times, st.binary(max_size=9), st.integers(0, 500)))
def test_a_snappy_block_comes_back_where_its_route_takes_it(body: bytes) -> None:
    assert decode_body(_block(body), "Snappy ", len(body), SNAPPY) == body
    with pytest.raises(WrongContentTypeError, match="use gzip, zstd or none"):
        decode_body(_block(body), "snappy", 10_000)
    if body:
        with pytest.raises(TooLargeError, match=f"{len(body) - 1} bytes"):
            decode_body(_block(body), "snappy", len(body) - 1, SNAPPY)


def test_a_snappy_block_by_hand() -> None:
    """Its length, a literal of 3 bytes, a copy of 6 bytes from 3 bytes before (format_description.txt)."""
    assert decode_body(b"\x09\x08abc\x09\x03", "snappy", 9, SNAPPY) == b"abcabcabc"


@pytest.mark.parametrize("body", [
    b"", b"\x80", b"\xff\xff\xff\xff\xff\x01", b"\x04\x08abc", b"\x02\x08abc", b"\x03\x08ab", b"\x03\x09\x03",
    b"\xff\x06\x00\x00sNaPpY",
])
def test_a_snappy_block_that_lies_or_is_none_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableBodyError, match="no snappy block"):
        decode_body(body, "snappy", 10_000, SNAPPY)


@pytest.mark.parametrize("length", [b"\x91\x4e", b"\x80\x80\x80\x20", b"\xff\xff\xff\xff\x0f"])
def test_a_length_over_the_limit_is_refused_before_anything_is_unpacked(length: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            decode_body(length + b"\x08abc", "snappy", 10_000, SNAPPY)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_cut_snappy_block_is_unreadable() -> None:
    encoded = _block(bytes(range(256)) * 3)
    for length in range(len(encoded)):
        with pytest.raises(UnreadableBodyError):
            decode_body(encoded[:length], "snappy", 10_000, SNAPPY)


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "x-gzip", "zstd", "snappy, snappy"])
def test_a_route_may_insist_on_one_encoding(encoding: str) -> None:
    with pytest.raises(WrongContentTypeError, match="here; use snappy"):
        decode_body(b"abc", encoding, 100, SNAPPY)


@pytest.mark.parametrize("encoding", ["", "identity", "Identity "])
def test_no_encoding(encoding: str) -> None:
    assert decode_body(b"abc", encoding, 3) == b"abc"
    with pytest.raises(TooLargeError):
        decode_body(b"abcd", encoding, 3)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "gzip,zstd", "\xff", "x" * 10_000])
def test_other_encodings_are_named_and_refused(encoding: str) -> None:
    with pytest.raises(WrongContentTypeError, match="gzip, zstd or none"):
        decode_body(b"abc", encoding, 100)


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_the_limit_is_exact(encoding: str) -> None:
    encoded = ENCODERS[encoding](b"x" * 1000)
    assert decode_body(encoded, encoding.upper(), 1000) == b"x" * 1000
    with pytest.raises(TooLargeError, match="999 bytes"):
        decode_body(encoded, encoding, 999)
    with pytest.raises(TooLargeError):
        decode_body(encoded + encoded, encoding, 1999)


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_a_bomb_is_refused_without_being_unpacked(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            decode_body(bomb, encoding, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_every_cut_is_unreadable(encoding: str) -> None:
    encoded = ENCODERS[encoding](bytes(range(256)) * 3)
    for length in range(len(encoded)):
        with pytest.raises(UnreadableBodyError):
            decode_body(encoded[:length], encoding, 10_000)


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.sampled_from(sorted(ENCODERS)))
def test_garbage_is_unreadable_or_too_large_and_nothing_else(garbage: bytes, encoding: str) -> None:
    for body in (garbage, ENCODERS[encoding](b"good") + garbage):
        try:
            decode_body(body, encoding, 1000)
        except (UnreadableBodyError, TooLargeError):
            continue


def test_a_flipped_bit_in_gzip_never_passes_as_another_body() -> None:
    body = b"weighed to the byte" * 5
    encoded = ENCODERS["gzip"](body)
    for at in range(10, len(encoded)):
        damaged = encoded[:at] + bytes([encoded[at] ^ 1]) + encoded[at + 1 :]
        with pytest.raises(UnreadableBodyError):
            decode_body(damaged, "gzip", 10_000)


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_the_number_of_members_is_bounded(encoding: str) -> None:
    member = ENCODERS[encoding](b"")
    assert decode_body(member * MAX_MEMBERS, encoding, 10) == b""
    with pytest.raises(UnreadableBodyError, match="members"):
        decode_body(member * (MAX_MEMBERS + 1), encoding, 10)


def _receive(*messages: dict[str, Any]) -> Any:
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return receive


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_parts_are_joined() -> None:
    receive = _receive(_part(b"a", more=True), _part(b"", more=True), _part(b"bc", more=False))
    assert asyncio.run(receive_body(receive, {}, 3)) == b"abc"


def test_a_body_over_the_limit_is_refused_while_it_comes() -> None:
    receive = _receive(_part(b"ab", more=True), _part(b"cd", more=True))  # a third one would be StopIteration
    with pytest.raises(TooLargeError):
        asyncio.run(receive_body(receive, {}, 3))


@pytest.mark.parametrize("length", ["4", "99999999999999999999999999", "0000000000000000000004"])
def test_a_content_length_over_the_limit_is_refused_before_anything_is_read(length: str) -> None:
    with pytest.raises(TooLargeError):
        asyncio.run(receive_body(_receive(), {"content-length": length}, 3))


@pytest.mark.parametrize("length", ["", "1", "-1", "x", "٣", "²"])
def test_a_content_length_that_lies_changes_nothing(length: str) -> None:
    receive = _receive(_part(b"abc", more=False))
    assert asyncio.run(receive_body(receive, {"content-length": length}, 3)) == b"abc"


def test_an_encoded_body_is_bounded_too() -> None:
    headers = {"content-encoding": "gzip"}
    body = bytes(3 + ENCODED_SLACK)
    assert asyncio.run(receive_body(_receive(_part(body, more=False)), headers, 3)) == body
    with pytest.raises(TooLargeError):
        asyncio.run(receive_body(_receive(_part(body + b"x", more=False)), headers, 3))


def test_a_client_that_goes_away_is_no_fault() -> None:
    receive = _receive(_part(b"a", more=True), {"type": "http.disconnect"})
    with pytest.raises(ClientGoneError):
        asyncio.run(receive_body(receive, {}, 3))
