"""Which files beside a log are the same log, rotated: its siblings."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weighbridge.sources.log.contents import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIBLINGS: Final = 10_000
"""Siblings that are looked at, the newest: a log that is rotated every hour has as many after a year."""

_PACKED: Final = f"(?:{'|'.join(map(re.escape, SUFFIXES))})?"
_STAMP: Final = r"\d{4}-\d\d-\d\dT[0-9.:+Z-]+(?:-\w+)?"
"""Caddy and what else rolls its logs with lumberjack or timberjack: the instant and, with the latter, the reason."""
_BEHIND: Final = rf"[.-](?:{_STAMP}|[0-9][0-9.:_+-]*|old)"
"""After the whole name: logrotate's number or date (in any `dateformat` of digits), or what a person writes."""
_WITHIN: Final = rf"(?:[.-](?:{_STAMP}|\d{{8}}[0-9.:_+-]*|\d{{4}}-\d\d[0-9.:_+-]*)|\.\d{{1,4}})"
"""Before the ending (logrotate's `extension`): a date, or .1; app-1.log and app-2.log are logs of their own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is the log or may be a part of it from before. `is_live`: it has the log's own name."""

    path: Path
    device: int
    inode: int
    size: int
    mtime_ns: int
    is_live: bool

    @property
    def ident(self) -> tuple[int, int]:
        """What tells it from other files, for as long as it exists."""
        return self.device, self.inode

    @property
    def version(self) -> tuple[int, int]:
        """What is another one when it was written to."""
        return self.size, self.mtime_ns

    @property
    def plain_path(self) -> Path | None:
        """Of a compressed file, what it was called before; None of a plain one."""
        return self.path.with_suffix("") if self.path.suffix in SUFFIXES else None


def sibling_names(name: str) -> re.Pattern[str]:
    """A pattern that is met by the names that a log called `name` is given when it is rotated."""
    stem, dot, ending = name.rpartition(".")
    behind = rf"{re.escape(name)}{_BEHIND}{_PACKED}"
    if not stem or not dot:
        return re.compile(behind, re.ASCII)
    return re.compile(rf"{behind}|{re.escape(stem)}{_WITHIN}\.{re.escape(ending)}{_PACKED}", re.ASCII)


def look(path: Path) -> list[Candidate]:
    """The log first, if it is there, then its siblings, the newest first. OSError: the folder cannot be looked at.

    Where the log is a link to the file that is written at the moment, siblings of that file count too.
    """
    found: dict[tuple[int, int], Candidate] = {}
    live = _candidate(path, is_live=True)
    if live is not None:
        found[live.ident] = live
    siblings: dict[tuple[int, int], Candidate] = {}
    for base in dict.fromkeys((path, Path(os.path.realpath(path)))):
        for each in _siblings(base):
            if each.ident not in found:
                siblings.setdefault(each.ident, each)
    newest = sorted(siblings.values(), key=lambda each: each.mtime_ns, reverse=True)
    return [*found.values(), *newest[:MAX_SIBLINGS]]


def _siblings(base: Path) -> Iterator[Candidate]:
    names = sibling_names(base.name)
    with os.scandir(base.parent) as entries:
        for entry in entries:
            if names.fullmatch(entry.name):
                candidate = _candidate(base.parent / entry.name, is_live=False)
                if candidate is not None:
                    yield candidate


def _candidate(path: Path, *, is_live: bool) -> Candidate | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None  # gone, or renamed at this very moment: the next look sees it
    if not stat.S_ISREG(found.st_mode):
        return None
    return Candidate(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, is_live)
