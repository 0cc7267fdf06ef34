"""Follows a log: what was written since the last look is read once, through rotation of every kind, into the place.

    renamed      its stream goes on until PATH is another file and nobody has written to it for a while
    cut          (copytruncate) what was not read yet is read from the copy, and PATH from its beginning
    compressed   read from where the plain file was read to; a file that is not complete waits
    deleted      what was open is read to its end
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from weighbridge.sources.log.contents import DamagedError, UnfinishedError, open_content
from weighbridge.sources.log.files import look
from weighbridge.sources.log.marks import mark_behind, read_behind
from weighbridge.sources.log.sight import Sight, packed_version, passed_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from weighbridge.ports import Clock
    from weighbridge.sources.log.decode import Chunk
    from weighbridge.sources.log.files import Candidate
    from weighbridge.sources.log.marks import Portion
    from weighbridge.sources.log.place import File, Place
    from weighbridge.sources.log.sight import Stream

IDLE_S: Final = 10.0
"""How long nobody must have written to a rotated file before it is done: a server that is told to open its log anew
finishes the lines under way first."""
LINGER_S: Final = 5.0
"""How long new lines of a log gather before they are read: each event is remembered for ever, so fewer are better."""
EAGER_BYTES: Final = 256 * 1024
"""New lines of so many bytes are read at once."""
COPY_S: Final = 60.0
"""How long the rest of a file that was cut or is gone is looked for before somebody is told."""
BAD_SHOWN: Final = 10
"""Bad lines that are shown; all are counted."""

_log = structlog.get_logger("weighbridge.log")


class Reader(Protocol):
    """What makes sums of lines: LogReader (decode.py). `header`: the header line that what comes next stands under."""

    header: str

    def read(self, data: bytes) -> Chunk:
        """What whole lines add up to."""

    def close(self) -> None:
        """It is not used any more."""


@dataclass(frozen=True, slots=True)
class Begin:
    """What the first start of all reads. `from_start`: siblings too; `from_end`: nothing of what is there by then."""

    from_start: bool = False
    from_end: bool = False


class Follower:
    """One log and its place. `poll` looks once; nothing happens between polls."""

    def __init__(
        self,
        path: Path,
        reader: Reader,
        place: Place,
        clock: Clock,
        *,
        chunk_bytes: int,
        monotonic_s: Callable[[], float] = time.monotonic,
        linger_s: float = LINGER_S,
        begin: Begin | None = None,
    ) -> None:
        """`begin`: what the first start of all reads; none: the log, and no siblings."""
        self.path = path
        self._reader = reader
        self._place = place
        self._clock = clock
        self._chunk_bytes = chunk_bytes
        self._monotonic_s = monotonic_s
        self._linger_s = linger_s
        self._how = begin or Begin()
        self._sight = Sight(place, monotonic_s, with_old=self._how.from_start)
        self._trouble = ""
        self._bad_shown = 0
        self._lost: dict[int, float] = {}  # files whose rest is looked for, since when

    def poll(self, enough: Callable[[], bool] = lambda: False) -> bool:
        """Everything that was written is read, or `enough` said so. True: something is left that another poll may read.

        StorageError: the place cannot be written to; nothing is lost by that.
        """
        seen = self._look()
        if seen is None:
            return False
        if self._place.started_us is None:
            self._begin(seen)
        self._sight.update(seen)
        self._tell_lost()
        is_more = self._sight.is_waiting
        has_live = any(each.is_live for each in seen)
        streams = sorted(self._sight.streams.values(), key=lambda stream: stream.is_live)  # those first that may go
        for stream in streams:
            is_more |= self._take(stream, enough, has_live=has_live)
        return is_more

    def unread_bytes(self) -> int:
        """Bytes of plain files that were in sight at the last poll and have not been read."""
        return sum(
            max(stream.content.told()[0] - stream.file.mark.offset, 0)
            for stream in self._sight.streams.values()
            if not stream.content.is_packed
        )

    def close(self) -> None:
        """Files are let go of; the place and the reader are not touched."""
        self._sight.close()

    def _look(self) -> Sequence[Candidate] | None:
        """What is there; None if the folder cannot be looked at. Trouble is told once, until it is over."""
        seen, trouble = None, ""
        try:
            seen = look(self.path)
            if not any(each.is_live for each in seen):
                trouble = "it is no regular file" if self.path.exists() else "it is not there yet"
        except OSError as error:
            trouble = error.strerror or str(error)
        if trouble != self._trouble:
            tell = _log.warning if trouble else _log.info
            tell("log_not_there" if trouble else "log_there", log=str(self.path), **({"reason": trouble} if trouble else {}))
            self._trouble = trouble
        return seen

    def _begin(self, seen: Sequence[Candidate]) -> None:
        """The first look: what is there and is not to be read is kept as done with."""
        files: list[File] = []
        packed: list[str] = []
        for each in seen:
            is_read = not self._how.from_end if each.is_live else self._how.from_start
            if is_read or each.size == 0:
                continue
            if each.plain_path is not None:
                packed.append(packed_version(each))
                continue
            try:
                content = open_content(each.path)
            except OSError:
                continue  # told when it is looked at
            try:
                files.append(passed_over(each, content))
            finally:
                content.close()
        self._place.begin(self._clock.now_us(), files, packed)
        how = "at its end" if self._how.from_end else "at its beginning"
        _log.info("log_begun", log=str(self.path), begins=how, rotated_files_passed_over=sum(not s.is_live for s in seen))

    def _tell_lost(self) -> None:
        """Somebody should know of a file that was cut or deleted, where its copy has not been found for COPY_S."""
        lost = {file.number: file for file in self._sight.lost()}
        now_s = self._monotonic_s()
        self._lost = {number: self._lost.get(number, now_s) for number in lost}
        for number in [number for number, since_s in self._lost.items() if now_s - since_s > COPY_S]:
            _log.warning(
                "rest_not_found",
                log=str(self.path),
                read_bytes=lost[number].mark.offset,
                remedy="what was written to it after that is not counted; keep rotated files beside the log for a while",
            )
            self._place.enter(replace(lost[number], is_done=True))

    def _take(self, stream: Stream, enough: Callable[[], bool], *, has_live: bool) -> bool:
        """What the stream has is read. True: another poll may read more of it."""
        try:
            is_more = self._read(stream, enough)
            if stream.is_live or stream.content.is_packed or is_more:
                return is_more
            return self._finish(stream, has_live=has_live)
        except (UnfinishedError, DamagedError) as error:
            self._sight.wait(stream, error)
        except OSError as error:
            _log.warning("file_not_read", file=str(stream.candidate.path), reason=error.strerror or str(error))
            self._sight.drop(stream)
        return False

    def _read(self, stream: Stream, enough: Callable[[], bool]) -> bool:
        now_s = self._monotonic_s()
        if self._lingers(stream, now_s):
            return True
        stream.read_s = now_s
        version = stream.content.told()
        while version != stream.checked:
            if enough() or self._place.is_full:
                return True
            portion = read_behind(stream.content, stream.file.mark, self._chunk_bytes)
            if portion is None:
                return self._was_cut(stream)
            if portion.data:
                stream.changed_s = now_s
            is_end = portion.is_last and stream.content.is_packed
            data = portion.data if is_end else _lines(portion.data, self._chunk_bytes)
            if data or is_end:
                self._enter(stream, portion, data, is_end=is_end)
            if is_end:
                self._sight.drop(stream, done=True)
                return False
            if portion.is_last:
                stream.checked = version
                stream.has_rest = len(data) < len(portion.data)
                break
        return False

    def _lingers(self, stream: Stream, now_s: float) -> bool:
        """Whether new lines of the log are left to gather some more."""
        if not stream.is_live or stream.read_s is None or now_s - stream.read_s >= self._linger_s:
            return False
        version = stream.content.told()
        return version != stream.checked and 0 <= version[0] - stream.file.mark.offset < EAGER_BYTES

    def _finish(self, stream: Stream, *, has_live: bool) -> bool:
        """A rotated file that nobody writes to any more is done, its last line too if it has no newline."""
        if not (has_live or stream.is_gone):
            return False
        if self._monotonic_s() - stream.changed_s < IDLE_S:
            return stream.has_rest
        portion = read_behind(stream.content, stream.file.mark, self._chunk_bytes)
        if portion is None:
            return self._was_cut(stream)
        if stream.content.told() != stream.checked or self._place.is_full:
            return True
        if stream.file.mark.offset or portion.data:
            self._enter(stream, portion, portion.data, is_end=True)
        self._sight.drop(stream, done=True)
        return False

    def _enter(self, stream: Stream, portion: Portion, data: bytes, *, is_end: bool) -> None:
        """What `data`, the beginning of the portion, adds up to is in the place."""
        chunk = None
        file = stream.file
        if data:
            # A writer that does not append leaves a hole at the head of a log that was cut.
            self._reader.header = file.header
            chunk = self._reader.read(data.lstrip(b"\0") if data[:1] == b"\0" else data)
            self._show_bad(file, chunk)
        mark = mark_behind(file.mark, portion.before, data)
        lines = file.lines + (chunk.lines if chunk else 0)
        name = stream.candidate.path.name
        packed = packed_version(stream.candidate) if is_end and stream.content.is_packed else None
        header = self._reader.header if chunk else file.header
        moved = replace(file, name=name, mark=mark, lines=lines, header=header, is_done=is_end)
        stream.content.sync()  # first: a mark behind the end of a file would make it another one
        stream.file = self._place.enter(moved, chunk, packed)

    def _show_bad(self, file: File, chunk: Chunk) -> None:
        for line, reason, text in chunk.first_bad[: BAD_SHOWN - self._bad_shown]:
            self._bad_shown += 1
            _log.warning("bad_line", file=file.name, line=file.lines + line, reason=reason, text=text)

    def _was_cut(self, stream: Stream) -> bool:
        """The file is not what was read any more; its next look finds what it is, and where the rest has gone."""
        if stream.file.number:
            _log.info("log_was_cut", file=str(stream.candidate.path), read_bytes=stream.file.mark.offset)
        self._sight.drop(stream)
        return True


def _lines(data: bytes, most: int) -> bytes:
    """The whole lines of it; all of it where a line is as long as a chunk, which no line is."""
    end = data.rfind(b"\n") + 1
    return data if not end and len(data) == most else data[:end]
