"""The body of a request, decoded and never larger than its route allows."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from weighbridge.http.failures import TooLargeError, UnreadableBodyError, WrongContentTypeError

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]

MAX_MEMBERS = 100
"""Gzip members or zstd frames in one body: senders append a handful; each costs a copy of what follows it."""
ZSTD_WINDOW_LOG_MAX = 24
"""16 MiB, the largest body: a frame that asks for a larger window would only reserve memory."""
ENCODED_SLACK = 64 * 1024
"""What an encoding may add to a body that does not compress: headers, and a little per block."""
ENCODINGS = ("gzip", "zstd", "identity")
"""What a route takes unless it says otherwise."""


_ZSTD_OPTIONS: dict[int, int] = {DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX}


class ClientGoneError(Exception):
    """The client went away before its body was whole: nobody waits for an answer."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


async def receive_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The body as it came, still encoded.

    TooLargeError: over `limit`, by its Content-Length or while it comes. ClientGoneError: it broke off.
    """
    encoded = headers.get("content-encoding", "")
    bound = limit + ENCODED_SLACK if encoded else limit
    length = headers.get("content-length", "")
    if length.isdecimal() and (len(length) > len(str(bound)) or int(length) > bound):
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    while (message := await receive())["type"] == "http.request":  # run.py gives up a connection that goes silent here
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > bound:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return part if len(parts) == 1 else b"".join(parts)
    raise ClientGoneError


def _bounded(body: bytes, bound: int, limit: int) -> bytes:
    if len(body) > bound:
        raise _too_large(limit)
    return body


def decode_body(body: bytes, encoding: str, limit: int, accepted: Sequence[str] = ENCODINGS) -> bytes:
    """`body` without its Content-Encoding: gzip (also x-gzip), zstd, snappy, identity or none; `accepted` are the route's.

    Never holds more than `limit` decoded bytes. TooLargeError: there would be more. UnreadableBodyError: damaged or cut
    off. WrongContentTypeError: another encoding.
    """
    sent = encoding.strip().lower() or "identity"
    name = "gzip" if sent == "x-gzip" else sent
    if name not in accepted:
        *most, last = ["none" if each == "identity" else each for each in accepted]
        wanted = f"{', '.join(most)} or {last}" if most else last
        msg = f"the content encoding {sent[:40]!r} is not supported here; use {wanted}"
        raise WrongContentTypeError(msg)
    if name == "gzip":
        return _decode(body, _gzip_member, limit, "gzip")
    if name == "zstd":
        return _decode(body, _zstd_frame, limit, "zstd")
    return _decode_snappy(body, limit) if name == "snappy" else _bounded(body, limit, limit)


def _decode_snappy(body: bytes, limit: int) -> bytes:
    """A snappy block (not a stream of frames). It begins with its decoded length, which is looked at before anything else."""
    import cramjam  # noqa: PLC0415  2 MB that only remote write needs

    try:
        if cramjam.snappy.decompress_raw_len(body) > limit:
            raise _too_large(limit)
        return bytes(cramjam.snappy.decompress_raw(body))  # fails where the length was a lie
    except cramjam.DecompressionError as exc:
        msg = "the body is damaged, or is no snappy block"
        raise UnreadableBodyError(msg) from exc


def _gzip_member(body: bytes, room: int) -> tuple[bytes, bytes]:
    return _member(zlib.decompressobj(wbits=31), body, room)


def _zstd_frame(body: bytes, room: int) -> tuple[bytes, bytes]:
    return _member(ZstdDecompressor(options=_ZSTD_OPTIONS), body, room)


def _member(decoder: _Decoder, body: bytes, room: int) -> tuple[bytes, bytes]:
    """One member decoded, up to room + 1 bytes, and what follows it."""
    part = decoder.decompress(body, room + 1)
    if len(part) <= room and not decoder.eof:  # less than asked for: all input is used up, and the end was not in it
        msg = "the body is cut off"
        raise UnreadableBodyError(msg)
    return part, decoder.unused_data


def _decode(body: bytes, member: Callable[[bytes, int], tuple[bytes, bytes]], limit: int, name: str) -> bytes:
    decoded: list[bytes] = []
    size = 0
    rest = body
    if not rest:
        msg = f"the body is empty, which is no {name}"
        raise UnreadableBodyError(msg)
    for _ in range(MAX_MEMBERS):
        try:
            part, rest = member(rest, limit - size)
        except (zlib.error, ZstdError, EOFError) as exc:
            msg = f"the body is damaged, or is no {name}"
            raise UnreadableBodyError(msg) from exc
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        decoded.append(part)
        if not rest:
            return b"".join(decoded) if len(decoded) > 1 else part
    msg = f"the body has more than {MAX_MEMBERS} {name} members"
    raise UnreadableBodyError(msg)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body is larger than {limit} bytes (decoded)")
