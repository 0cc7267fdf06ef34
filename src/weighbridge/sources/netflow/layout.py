"""How the records of one definition are read: fields at offsets, all records of many datagrams as one NumPy array.

What no one asks for (unknown elements, those of enterprises) is stepped over. Elements of variable length (RFC 7011,
section 7) move all that stands behind them: such records are walked side by side, one of each set at a time, and what is
wanted of them is copied together; then they are arrays like all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from weighbridge.sources.netflow.elements import ADDRESSES, MAX_NUMBER_BYTES, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE: Final = 65535
"""A length that says: each record tells its own."""
LONG: Final = 255
"""A first byte of a variable length that says: two bytes of it follow."""
MAX_VARIABLE: Final = 512
"""Records of variable length in one set: in the longest datagram that is 18 bytes for each, less than any flow takes."""
_LONG_HEAD: Final = 3


class Field(NamedTuple):
    """A field as a template defines it. `enterprise` 0: IANA's numbers."""

    enterprise: int
    element: int
    length: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A field that is read: its name, and where it is behind the variable fields that come before it."""

    name: str
    run: int
    offset: int
    length: int
    is_address: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """`dtype` names what is wanted; its size is a record's, or where fields vary that of what is copied together.

    `runs`: bytes of fixed size before the first variable field, between it and the next, … and after the last.
    """

    dtype: np.dtype
    wanted: tuple[Wanted, ...]
    runs: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What a record says, in the order of its fields."""
        return self.dtype.names or ()

    @property
    def is_variable(self) -> bool:
        """Whether records differ in length."""
        return len(self.runs) > 1

    @property
    def shortest(self) -> int:
        """Bytes that no record is shorter than."""
        return sum(self.runs) + len(self.runs) - 1


def make_layout(fields: Sequence[Field]) -> Layout:
    """How records of these fields are read. Of an element that stands there twice the first counts."""
    wanted: dict[str, Wanted] = {}
    runs = [0]
    for field in fields:
        if field.length == VARIABLE:
            runs.append(0)
            continue
        name, is_address = _name_of(field)
        if name and name not in wanted:
            wanted[name] = Wanted(name, len(runs) - 1, runs[-1], field.length, is_address)
        runs[-1] += field.length
    found = tuple(wanted.values())
    return Layout(_make_dtype(found, runs), found, tuple(runs))


def _name_of(field: Field) -> tuple[str, bool]:
    key = (field.enterprise, field.element)
    if key in NUMBERS and 0 < field.length <= MAX_NUMBER_BYTES:
        return NUMBERS[key], False
    name, length = ADDRESSES.get(key, ("", 0))
    return (name, True) if field.length == length else ("", False)


def _make_dtype(wanted: Sequence[Wanted], runs: Sequence[int]) -> np.dtype:
    offsets, size = [], 0
    for each in wanted:
        offsets.append(size)
        size += each.length
    if len(runs) == 1:
        offsets, size = [each.offset for each in wanted], runs[0]
    return np.dtype({
        "names": [each.name for each in wanted], "formats": [_format(each) for each in wanted],
        "offsets": offsets, "itemsize": size,
    })


def _format(wanted: Wanted) -> str | tuple[str, tuple[int]]:
    if wanted.is_address and wanted.length > MAX_NUMBER_BYTES:
        return (">u8", (2,))
    return f">u{wanted.length}" if wanted.length in (1, 2, 4, 8) else ("u1", (wanted.length,))


def anywhere(octets: np.ndarray, kind: np.dtype | str) -> np.ndarray:
    """A view in which number i is what stands at byte i, read as `kind`: any places are taken from it at once."""
    dtype = np.dtype(kind)
    return np.ndarray((max(len(octets) - dtype.itemsize + 1, 0),), dtype, octets, strides=(1,))


@dataclass(frozen=True, slots=True)
class Cut:
    """Records cut out of sets: the array, how many each set held, and how many sets ended in what is no record."""

    records: np.ndarray
    counts: np.ndarray
    broken: int


def cut_records(layout: Layout, octets: np.ndarray, start: np.ndarray, end: np.ndarray) -> Cut:
    """The records of sets, which are `octets[start:end]` each, in the order of the sets. Padding is passed over."""
    if layout.is_variable:
        return _cut_variable(layout, octets, start, end)
    size = layout.dtype.itemsize
    counts = (end - start) // size
    most = int(counts.max(initial=0))
    if most and (counts == most).all():  # full datagrams of one exporter: one copy for all
        whole = anywhere(octets, np.dtype((np.void, most * size)))[start]
        return Cut(whole.view(np.uint8).view(layout.dtype), counts, 0)
    view = octets.data
    past = (start + counts * size).tolist()
    whole = b"".join([view[one:other] for one, other in zip(start.tolist(), past, strict=True)])
    return Cut(np.frombuffer(whole, layout.dtype), counts, 0)


def _cut_variable(layout: Layout, octets: np.ndarray, start: np.ndarray, end: np.ndarray) -> Cut:
    found_runs, found_sets = [], []
    sets = np.arange(len(start))
    broken = 0
    at = start
    for _ in range(MAX_VARIABLE):
        chosen = end[sets] - at >= layout.shortest  # what is shorter is padding
        sets, at = sets[chosen], at[chosen]
        if not len(sets):
            break
        runs, at = _walk(layout, octets, at, end[sets])
        is_whole = at <= end[sets]
        broken += len(sets) - int(is_whole.sum())
        sets, at = sets[is_whole], at[is_whole]
        found_runs.append(runs[is_whole])
        found_sets.append(sets)
    else:
        broken += len(sets)
    if not found_sets:
        return Cut(np.empty(0, layout.dtype), np.zeros(len(start), np.int64), broken)
    owner = np.concatenate(found_sets)
    order = np.argsort(owner, kind="stable")
    records = _copied(layout, octets, np.concatenate(found_runs)[order])
    return Cut(records, np.bincount(owner, minlength=len(start)), broken)


def _walk(layout: Layout, octets: np.ndarray, at: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each run of each record begins, and where the records end: past `end` where one claims more than is there."""
    begins = np.empty((len(at), len(layout.runs)), np.int64)
    last = len(octets) - 1
    for number, size in enumerate(layout.runs):
        begins[:, number] = at
        at = at + size
        if number == len(layout.runs) - 1:
            break
        length = octets[np.minimum(at, last)].astype(np.int64)
        is_long = length == LONG
        if is_long.any():
            high, low = octets[np.minimum(at + 1, last)].astype(np.int64), octets[np.minimum(at + 2, last)]
            length = np.where(is_long, (high << 8 | low) + _LONG_HEAD - 1, length)
        at = at + 1 + length
    return begins, np.where(begins[:, -1] > end, end + 1, at)


def _copied(layout: Layout, octets: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """What is wanted of records, whose runs begin there, together."""
    records = np.empty(len(begins), layout.dtype)
    for each in layout.wanted:
        kind = np.dtype((np.void, each.length))
        records.view(_as_bytes(layout.dtype))[each.name] = anywhere(octets, kind)[begins[:, each.run] + each.offset]
    return records


def _as_bytes(dtype: np.dtype) -> np.dtype:
    fields: Mapping[str, Any] = dtype.fields or {}
    return np.dtype({
        "names": list(fields), "formats": [np.dtype((np.void, field[0].itemsize)) for field in fields.values()],
        "offsets": [field[1] for field in fields.values()], "itemsize": dtype.itemsize,
    })
