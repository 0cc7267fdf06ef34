"""What a log file holds, plain or compressed, read at any offset of what it is uncompressed, in bounded memory."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import sys
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

EDGE_BYTES: Final = 4096
"""Bytes of a file's head, and of what stands before an offset, that tell it from others: some twenty lines with their
instants. Digests of so many are kept in places: a change of it would make every file a new one."""
BLOCK_BYTES: Final = 256 * 1024
"""Most that is decompressed at a time."""
SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst")
"""Endings of compressed files."""


class Stream(Protocol):
    """A file that decompresses what it reads."""

    def read1(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def _gunzip(file: BinaryIO) -> Stream:
    return gzip.GzipFile(fileobj=file, mode="rb")


_OPENERS: Final[dict[bytes, Callable[[BinaryIO], Stream]]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": zstd.ZstdFile,
}
"""First bytes of a compressed file → how it is read."""
_MAGIC_BYTES: Final = max(map(len, _OPENERS))


class UnfinishedError(Exception):
    """A compressed file ends before its content does: it is still being written, or was cut. `data` was read before."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__("the file ends before its compressed content does")
        self.data = data


class DamagedError(Exception):
    """No compressed file, or one whose content contradicts its checksum. `str()` says what is wrong."""


class Content(Protocol):
    """What a file holds. OSError: it cannot be read; UnfinishedError, DamagedError: a compressed one cannot."""

    is_packed: bool

    def read(self, offset: int, size: int) -> bytes:
        """The bytes in [offset, offset + size); fewer only at the end of what there is."""

    def told(self) -> tuple[int, int]:
        """Size on disk and time of the last change (ns), which differ once more was written."""

    def sync(self) -> None:
        """What was read is on the disk, so that a loss of power does not take back lines that were counted."""

    def done_bytes(self, offset: int) -> int:
        """How much of the file on disk `offset` amounts to, for showing progress."""

    def close(self) -> None:
        """The file is let go of."""


def open_content(path: Path) -> Content:
    """The content of a regular file. OSError: there is none that can be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # or a pipe would wait for its writer
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))  # noqa: TRY301  closed below like any other
        magic = os.pread(descriptor, _MAGIC_BYTES, 0)
    except BaseException:
        os.close(descriptor)
        raise
    for known, opener in _OPENERS.items():
        if magic.startswith(known):
            return PackedContent(descriptor, opener)
    return PlainContent(descriptor)


class PlainContent:
    """A file that is what it holds. It may grow, and be cut, while it is read."""

    is_packed = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        """See Content."""
        found = os.pread(self._descriptor, size, offset)
        if not found or len(found) == size:
            return found
        pieces = [found]
        missing = size - len(found)
        while missing and (more := os.pread(self._descriptor, missing, offset + size - missing)):
            pieces.append(more)
            missing -= len(more)
        return b"".join(pieces)

    def told(self) -> tuple[int, int]:
        """See Content."""
        found = os.fstat(self._descriptor)
        return found.st_size, found.st_mtime_ns

    def sync(self) -> None:
        """See Content. Linux lets readers do it; what some file systems cannot is theirs to answer for."""
        with suppress(OSError):
            os.fdatasync(self._descriptor)

    def done_bytes(self, offset: int) -> int:
        """See Content."""
        return offset

    def close(self) -> None:
        """See Content."""
        os.close(self._descriptor)


class PackedContent:
    """A compressed file. Read forward it decompresses each byte once; a step back begins anew."""

    is_packed = True

    def __init__(self, descriptor: int, opener: Callable[[BinaryIO], Stream]) -> None:
        self._file = os.fdopen(descriptor, "rb")
        self._opener = opener
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._stream = self._opener(self._file)
        self._position = 0
        self._recent = b""  # the bytes that end at the position

    def read(self, offset: int, size: int) -> bytes:
        """See Content."""
        if offset < self._position - len(self._recent):
            self._begin()
        while self._position < offset:
            if not self._advance(offset - self._position):
                return b""
        back = self._position - offset
        pieces = [self._recent[len(self._recent) - back :][:size]] if back else []
        missing = size - min(back, size)
        try:
            while missing and (more := self._advance(missing)):
                pieces.append(more)
                missing -= len(more)
        except UnfinishedError as error:
            error.data = b"".join(pieces)
            raise
        return b"".join(pieces)

    def _advance(self, size: int) -> bytes:
        try:
            found = self._stream.read1(min(size, BLOCK_BYTES))
        except EOFError as error:
            raise UnfinishedError from error
        except (zlib.error, lzma.LZMAError, zstd.ZstdError, gzip.BadGzipFile, ValueError) as error:
            raise DamagedError(str(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise DamagedError(str(error)) from error  # bz2 has no error of its own
        self._position += len(found)
        self._recent = (self._recent + found)[-EDGE_BYTES:]
        return found

    def told(self) -> tuple[int, int]:
        """See Content."""
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def sync(self) -> None:
        """See Content. One that is complete takes nothing back."""

    def done_bytes(self, offset: int) -> int:  # noqa: ARG002  only the file itself knows
        """See Content."""
        return self._file.tell()

    def close(self) -> None:
        """See Content."""
        self._file.close()
