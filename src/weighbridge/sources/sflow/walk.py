"""The outer layers of sFlow version 5, a block of datagrams at a time: which samples there are, and where.

XDR is a stream of 4-byte words, so a block is read as words, and all datagrams (then all samples) are walked side by side:
a step of the walk is a few NumPy calls, however many there are. Source: sflow.org, "sFlow Version 5", July 2004.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from weighbridge.datagrams.block import Datagrams

VERSION: Final = 5
MAX_SAMPLES: Final = 512
"""Samples of one datagram: a jumbo frame holds some 220 of the smallest that say anything."""
MAX_RECORDS: Final = 32
"""Records of one sample: agents send one to five."""

_IPV4, _IPV6 = 1, 2  # types of an agent's address
_OPENING = Struct(">II")
_REST = Struct(">IIII")  # sub-agent, sequence number, uptime in ms, samples
_FORMATS: Final = {"flow": (1, 3), "counters": (2, 4)}  # of samples; the second is the expanded one
_OWN_WORDS: Final = {1: 8, 3: 11, 2: 3, 4: 4}  # words of a sample before its records, by format


@dataclass(frozen=True, slots=True)
class Head:
    """What a datagram says of itself. `agent`: an address of 4 or 16 bytes."""

    agent: bytes
    sub_agent: int
    sequence: int
    uptime_ms: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """Samples or records, as parallel columns: where they begin and end (in words), their format, and whose they are."""

    start: np.ndarray
    end: np.ndarray
    format: np.ndarray
    owner: np.ndarray  # of a sample the datagram, of a record the sample

    def only(self, chosen: np.ndarray) -> Pieces:
        """Those that a mask or places choose."""
        return Pieces(self.start[chosen], self.end[chosen], self.format[chosen], self.owner[chosen])

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True)
class Walked:
    """What a block holds. `heads` by datagram, None where it is no sFlow 5; `faults`: (datagram, what) → how many."""

    words: np.ndarray
    heads: list[Head | None]
    flows: Pieces
    counters: Pieces
    faults: Counter[tuple[int, str]]


def walk(block: Datagrams) -> Walked:
    """Every whole sample of a block; what is cut off or lies about its length is counted, what stands before it is kept.

    Each datagram begins on a multiple of 4.
    """
    words = block.octets[: len(block.octets) // 4 * 4].view(">u4")
    heads: list[Head | None] = []
    faults: Counter[tuple[int, str]] = Counter()
    opened: list[tuple[int, int, int, int]] = []  # first word of the samples, past the last, how many, datagram
    view = block.octets.data
    for at, (start, length) in enumerate(zip(block.starts.tolist(), block.lengths.tolist(), strict=True)):
        head, size, samples = _read_head(view[start : start + length])
        heads.append(head)
        if head is None:
            faults[at, "truncated" if size else "not_sflow_5"] += 1
        else:
            opened.append(((start + size) // 4, (start + length) // 4, samples, at))
    first, past, told, owner = np.array(opened, dtype=np.int64).reshape(-1, 4).T
    steps = _walk(words, Pieces(first, past, told, owner), MAX_SAMPLES)
    for at in steps.cut.tolist():
        faults[at, "truncated"] += 1
    for at in steps.excess.tolist():
        faults[at, "too_many_samples"] += 1
    found = steps.pieces
    return Walked(words, heads, _of(found, "flow"), _of(found, "counters"), faults)


def _read_head(datagram: memoryview) -> tuple[Head | None, int, int]:
    """The head, its bytes and how many samples follow. Without a head: 0 bytes if it is another protocol, else 1."""
    if len(datagram) < _OPENING.size:
        return None, 1, 0
    version, kind = _OPENING.unpack_from(datagram)
    if version != VERSION or kind not in (_IPV4, _IPV6):
        return None, 0, 0
    rest = _OPENING.size + (4 if kind == _IPV4 else 16)
    if len(datagram) < rest + _REST.size:
        return None, 1, 0
    sub_agent, sequence, uptime_ms, samples = _REST.unpack_from(datagram, rest)
    return Head(bytes(datagram[_OPENING.size : rest]), sub_agent, sequence, uptime_ms), rest + _REST.size, samples


@dataclass(frozen=True, slots=True)
class _Steps:
    """The pieces that were found, in the order of their owners; owners that were cut off, and those that hold too many."""

    pieces: Pieces
    cut: np.ndarray
    excess: np.ndarray


def _walk(words: np.ndarray, runs: Pieces, most: int) -> _Steps:
    """Walks runs of (format, length, body) side by side. `runs.format` tells how many pieces each run is to have."""
    at, past, left, owner = runs.start, runs.end, runs.format, runs.owner
    found: list[Pieces] = []
    cut: list[np.ndarray] = []
    for _ in range(most):
        going = left > 0
        at, past, left, owner = at[going], past[going], left[going], owner[going]
        if not len(at):
            break
        fits = at + 2 <= past
        cut.append(owner[~fits])
        at, past, left, owner = at[fits], past[fits], left[fits], owner[fits]
        kinds = words[at].astype(np.int64)
        lengths = words[at + 1].astype(np.int64)
        ends = at + 2 + (lengths + 3) // 4
        whole = (ends <= past) & (lengths % 4 == 0)
        cut.append(owner[~whole])
        found.append(Pieces(at + 2, ends, kinds, owner).only(whole))
        at, past, left, owner = ends[whole], past[whole], left[whole] - 1, owner[whole]
    return _Steps(_join(found), np.concatenate([*cut, _NONE]), owner[left > 0])


_NONE = np.zeros(0, dtype=np.int64)


def _join(found: list[Pieces]) -> Pieces:
    if not found:
        return Pieces(_NONE, _NONE, _NONE, _NONE)
    columns = [np.concatenate([getattr(each, name) for each in found]) for name in ("start", "end", "format", "owner")]
    joined = Pieces(*columns)
    return joined.only(np.argsort(joined.owner, kind="stable"))


def _of(samples: Pieces, kind: str) -> Pieces:
    plain, expanded = _FORMATS[kind]
    return samples.only((samples.format == plain) | (samples.format == expanded))


def records_of(words: np.ndarray, samples: Pieces) -> tuple[Pieces, np.ndarray]:
    """The records of samples of one kind, `owner` being the sample's place; and the places of samples that are cut off.

    Every sample must have been found by `walk`.
    """
    expanded = samples.format > 2  # noqa: PLR2004  formats 3 and 4
    own = np.where(expanded, *_own_words(samples))
    whole = samples.start + own <= samples.end
    places = np.flatnonzero(whole)
    first = (samples.start + own)[whole]
    told = words[first - 1].astype(np.int64)
    steps = _walk(words, Pieces(first, samples.end[whole], told, places), MAX_RECORDS)
    return steps.pieces, np.concatenate([np.flatnonzero(~whole), steps.cut, steps.excess])


def _own_words(samples: Pieces) -> tuple[int, int]:
    is_flow = bool(len(samples)) and int(samples.format[0]) in _FORMATS["flow"]
    plain, expanded = _FORMATS["flow" if is_flow else "counters"]
    return _OWN_WORDS[expanded], _OWN_WORDS[plain]
