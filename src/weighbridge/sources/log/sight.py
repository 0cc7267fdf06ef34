"""Which files in the folder are which of those that were read before: one stream for each that may have more to give.

    a file with the inode and the content of one that was read       is that one
    another with the content of one that is nowhere else             is that one: copied (copytruncate), compressed,
                                                                     restored, or on a disk whose number has changed
    another with the content of one that is there too                is a copy: the first gives all that both hold
    another that begins like one and ends before its mark            is a copy that is not complete
    the log's own name, and none of these                            is a new file
    a sibling, and none of these                                     is a new file, once nobody writes to it any more
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from weighbridge.sources.log.contents import EDGE_BYTES, SUFFIXES, DamagedError, UnfinishedError, open_content
from weighbridge.sources.log.marks import Verdict, compare, digest, mark_at
from weighbridge.sources.log.place import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from weighbridge.sources.log.contents import Content
    from weighbridge.sources.log.files import Candidate
    from weighbridge.sources.log.place import Place

SETTLE_S: Final = 1.0
"""How long a sibling that is like no other must stand still before it is read: it might be a copy under way."""
OPEN_FILES: Final = 64
"""Streams at once, each an open file; after a long absence the others have their turn later."""
OLD_NS: Final = 86_400 * 10**9
"""A sibling never seen that was last written to so long before the first start comes from a backup, and is not read."""

_log = structlog.get_logger("weighbridge.log")


@dataclass(slots=True)
class Stream:
    """An open file that may have more to give."""

    candidate: Candidate
    content: Content
    file: File
    changed_s: float  # when more was last found in it
    read_s: float | None = None  # when it was last read
    checked: tuple[int, int] | None = None  # its version when all of it had been read
    has_rest: bool = False  # bytes behind the last newline wait for theirs
    is_gone: bool = False  # no name that is looked at leads to it any more

    @property
    def is_live(self) -> bool:
        """Whether it has the log's own name."""
        return self.candidate.is_live and not self.is_gone


class Sight:
    """The streams of a log, by inode. `is_waiting`: something that was seen must be looked at again soon."""

    def __init__(self, place: Place, monotonic_s: Callable[[], float], *, with_old: bool = False) -> None:
        """`with_old`: siblings are read however old they are."""
        self.streams: dict[tuple[int, int], Stream] = {}
        self.is_waiting = False
        self._place = place
        self._monotonic_s = monotonic_s
        self._with_old = with_old
        self._known: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}  # version, number of the file: done with
        self._waits: dict[tuple[int, int], tuple[tuple[int, int], int | None]] = {}  # version, number of what it repeats
        self._fresh: dict[tuple[int, int], tuple[tuple[int, int], float]] = {}  # version, since when
        self._troubles: dict[tuple[int, int], str] = {}
        self._embodied: set[int] = set()
        self._heads: dict[int, dict[str, list[File]]] = {}

    def update(self, seen: Sequence[Candidate]) -> None:
        """Every file in sight is a stream, or known to have nothing more to give at the moment.

        StorageError: the place cannot be written to.
        """
        listed = {each.ident: each for each in seen}
        self.is_waiting = False
        for memo in (self._known, self._waits, self._fresh, self._troubles):
            for ident in [ident for ident in memo if ident not in listed]:
                del memo[ident]
        for ident, stream in self.streams.items():
            stream.candidate, stream.is_gone = listed.get(ident, stream.candidate), ident not in listed
        for ident in [ident for ident, (version, _) in self._known.items() if listed[ident].version != version]:
            del self._known[ident]  # somebody wrote to it, or another file has its inode
        self._embodied = {stream.file.number for stream in self.streams.values()}
        self._embodied.update(number for _, number in self._known.values())
        unknown = [each for each in seen if not self._is_known(each)]
        if unknown:
            by_ident = {file.ident: file for file in self._place.files.values()}
            left = [each for each in unknown if not self._has_its_inode(each, by_ident)]
            self._heads = _by_head(self._place.files.values()) if left else {}
            for candidate in left:
                self._open(candidate, self._find)
        self._place.forget(self._embodied, [packed_version(each) for each in seen])

    def drop(self, stream: Stream, *, done: bool = False) -> None:
        """The stream is closed. `done`: it has nothing more to give, unless somebody writes to the file."""
        ident = stream.candidate.ident
        self.streams.pop(ident, None)
        stream.content.close()
        if not done:
            self._embodied.discard(stream.file.number)
        else:
            self._known[ident] = (stream.checked or stream.candidate.version, stream.file.number)

    def wait(self, stream: Stream, error: Exception) -> None:
        """The stream is closed until its file changes: it is not complete, or damaged."""
        self.drop(stream)
        self._wait(stream.candidate, str(error), damaged=isinstance(error, DamagedError))

    def lost(self) -> list[File]:
        """Files that were not read to their end, as far as is known, and are nowhere to be seen."""
        return [file for number, file in self._place.files.items() if not file.is_done and number not in self._embodied]

    def close(self) -> None:
        """All files are let go of."""
        for stream in list(self.streams.values()):
            self.drop(stream)

    def _is_known(self, candidate: Candidate) -> bool:
        ident, version = candidate.ident, candidate.version
        if ident in self.streams or ident in self._known:
            return True
        waits = self._waits.get(ident)
        if waits is not None and waits[0] == version and (waits[1] is None or waits[1] in self._embodied):
            return True
        if candidate.plain_path is None:
            return candidate.size == 0 and not candidate.is_live
        # What is being compressed keeps its name until all of it is: no need to unpack what is there again and again.
        return packed_version(candidate) in self._place.packed or os.path.lexists(candidate.plain_path)

    def _has_its_inode(self, candidate: Candidate, by_ident: dict[str | None, File]) -> bool:
        """Whether it is the file that had this inode before; then its stream is open."""
        file = by_ident.get(ident_text(candidate))
        if file is None or candidate.plain_path is not None:
            return False

        def find(candidate: Candidate, content: Content) -> bool:
            if compare(content, file.mark) is not Verdict.SAME:
                return False
            return self._adopt(candidate, content, file)

        return self._open(candidate, find)

    def _open(self, candidate: Candidate, find: Callable[[Candidate, Content], bool]) -> bool:
        """Whether the file is accounted for; `find` says so, and keeps the content if there is a stream of it now."""
        if len(self.streams) >= OPEN_FILES and not candidate.is_live:
            self.is_waiting = True
            return True
        try:
            content = open_content(candidate.path)
        except OSError as error:
            self._cannot(candidate, error)
            return True
        try:
            if candidate.plain_path is not None and not content.is_packed:
                self._wait(candidate, "it is not compressed as its name says", damaged=candidate.size > EDGE_BYTES)
                return True
            return find(candidate, content)
        except UnfinishedError as error:
            self._wait(candidate, str(error))
        except DamagedError as error:
            self._wait(candidate, str(error), damaged=True)
        except OSError as error:
            self._cannot(candidate, error)
        finally:
            stream = self.streams.get(candidate.ident)
            if stream is None or stream.content is not content:
                content.close()
        return True

    def _find(self, candidate: Candidate, content: Content) -> bool:
        """The file is found to be one that was read before, a copy, or new; see the table above."""
        for file in self._alike(content):
            verdict = compare(content, file.mark)
            if verdict is Verdict.OTHER or (candidate.is_live and (verdict is Verdict.SHORT or file.is_done)):
                continue
            if file.number not in self._embodied:
                if verdict is Verdict.SAME:
                    return self._adopt(candidate, content, file)
                reason = f"it begins as {file.name} did and ends before what was read of that"
                _log.info("copy_not_complete", file=str(candidate.path), reason=reason)
                self._wait(candidate, reason)
                return True
            if not candidate.is_live:
                self._wait(candidate, f"it repeats {file.name}", repeats=file.number)
                return True
        if candidate.is_live or not self._must_wait(candidate, content):
            self._start(candidate, content, File(0, _plain_ident(candidate), candidate.path.name))
        return True

    def _alike(self, content: Content) -> Iterator[File]:
        """Files with the same head, first those that were not read to their end, then those that were read furthest."""
        head = content.read(0, EDGE_BYTES)
        found: list[File] = []
        for edge, files in self._heads.items():
            if edge <= len(head):
                found += files.get(digest(head[:edge]), [])
        yield from sorted(found, key=lambda file: (file.is_done, -file.mark.offset))

    def _must_wait(self, candidate: Candidate, content: Content) -> bool:
        """Whether a sibling that is like no other is not to be read, or not yet."""
        if not self._with_old and candidate.mtime_ns < (self._place.started_us or 0) * 1000 - OLD_NS:
            self.pass_over(candidate, content)
            _log.info("old_file_not_read", file=str(candidate.path), reason="it is older than this place; see `import log`")
            return True
        if any(_repeats(stream, candidate, content) for stream in self.streams.values()):
            self.is_waiting = True
            return True
        if content.is_packed:
            return False
        version, since_s = self._fresh.get(candidate.ident, (None, 0.0))
        now_s = self._monotonic_s()
        if version != candidate.version:
            self._fresh[candidate.ident] = (candidate.version, now_s)
        elif now_s - since_s >= SETTLE_S:
            return False
        self.is_waiting = True
        return True

    def pass_over(self, candidate: Candidate, content: Content) -> None:
        """The file is kept as one that is done with. StorageError: it cannot be."""
        if content.is_packed:
            self._place.enter_packed(packed_version(candidate))
        else:
            kept = self._place.enter(passed_over(candidate, content))
            self._known[candidate.ident] = (candidate.version, kept.number)

    def _adopt(self, candidate: Candidate, content: Content, file: File) -> bool:
        self._embodied.add(file.number)
        if file.is_done and not content.is_packed and candidate.size == file.mark.offset:
            self._known[candidate.ident] = (candidate.version, file.number)
        else:
            self._start(candidate, content, replace(file, ident=_plain_ident(candidate), name=candidate.path.name))
        return True

    def _start(self, candidate: Candidate, content: Content, file: File) -> None:
        self.streams[candidate.ident] = Stream(candidate, content, file, self._monotonic_s())
        for memo in (self._known, self._waits, self._fresh, self._troubles):
            memo.pop(candidate.ident, None)

    def _cannot(self, candidate: Candidate, error: OSError) -> None:
        """Told once; tried again at the next look, since nothing tells when it would succeed."""
        why = error.strerror or str(error)
        if self._troubles.get(candidate.ident) != why:
            self._troubles[candidate.ident] = why
            _log.warning("file_not_read", file=str(candidate.path), reason=why, remedy="let Weighbridge's user read it")

    def _wait(self, candidate: Candidate, why: str, *, repeats: int | None = None, damaged: bool = False) -> None:
        tell = _log.warning if damaged else _log.debug
        tell("file_waits", file=str(candidate.path), reason=why)
        self._waits[candidate.ident] = (candidate.version, repeats)


def ident_text(candidate: Candidate) -> str:
    """Device and inode as they are kept: they may be larger than SQLite's integers."""
    return f"{candidate.device}/{candidate.inode}"


def packed_version(candidate: Candidate) -> str:
    """What a compressed file is known by, wherever it is renamed to."""
    return f"{candidate.inode}/{candidate.size}/{candidate.mtime_ns}"


def passed_over(candidate: Candidate, content: Content) -> File:
    """A plain file, not empty, of which nothing is read that stands there now; of the log itself, no whole line."""
    offset = (candidate.is_live and end_of_lines(content)) or content.told()[0]
    return File(0, ident_text(candidate), candidate.path.name, mark_at(content, offset), is_done=not candidate.is_live)


def end_of_lines(content: Content) -> int:
    """The offset behind the last newline of a plain file; 0 if there is none."""
    end, _ = content.told()
    while end > 0:
        start = max(end - EDGE_BYTES, 0)
        at = content.read(start, end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _plain_ident(candidate: Candidate) -> str | None:
    return ident_text(candidate) if candidate.path.suffix not in SUFFIXES else None


def _by_head(files: Iterable[File]) -> dict[int, dict[str, list[File]]]:
    found: dict[int, dict[str, list[File]]] = {}
    for file in files:
        if file.mark.offset:
            found.setdefault(file.mark.edge, {}).setdefault(file.mark.head, []).append(file)
    return found


def _repeats(stream: Stream, candidate: Candidate, content: Content) -> bool:
    """Whether a sibling may be a copy of what a stream has open: of the log, or of a file of which nothing is kept yet."""
    if stream.file.number == 0:
        heads = stream.content.read(0, EDGE_BYTES), content.read(0, EDGE_BYTES)
        common = min(map(len, heads))
        return common > 0 and heads[0][:common] == heads[1][:common]
    if not stream.is_live or content.is_packed:
        return False
    edge = min(candidate.size, EDGE_BYTES)
    return all(content.read(at, edge) == stream.content.read(at, edge) for at in (0, candidate.size - edge))
