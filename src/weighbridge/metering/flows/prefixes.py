"""Longest-prefix match for whole columns of addresses.

Prefixes become ranges that do not overlap, each with the value of its longest prefix. A table answers in steps: the upper
16 bits first, further bits where ranges lie closer together. What would not fit is sought in the ranges (bisection). For
IPv6 the table is over the upper halves of addresses; lower halves are sought only where prefixes longer than 64 bits are.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from weighbridge.collected import MAPPED_HI, MAPPED_LO
from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

NONE = -1
"""No prefix holds this address."""
MOST_PREFIXES = 2_000_000
"""Twice what the whole internet's table of IPv4 has. Their ranges take 60 MB."""
TABLE_ENTRIES = 2**22
"""Most entries of the table below its first step: 16 MB. Ten thousand hosts in networks of their own take an eighth."""
LARGEST_VALUE = 2**31 - 1
FIRST_BITS = 16
STEP_BITS = (16, 8, 4)
"""Bits of a further step: the first of these with which it has at most STEP_ENTRIES, else the last."""
STEP_ENTRIES = 2**18
"""1 MB: about what a processor's cache holds beside everything else."""

BITS = {4: 32, 6: 128}
"""How long an address of each version is."""
_IPV4_BITS, _IPV6_BITS = BITS[4], BITS[6]
_MAPPED_BITS = 96
_MAPPED = MAPPED_LO >> _IPV4_BITS
_HALF_BITS = 64
_LENGTH = re.compile(r"[0-9]{1,3}", re.ASCII)

Network: TypeAlias = tuple[int, int, int]
"""Its version (4 or 6), its first address as a number, and how many bits of it are told."""


def read_network(text: str) -> Network:
    """An address or a prefix; IPv4 mapped into IPv6 is IPv4.

    InvalidInputError: it is neither, or has bits behind its length.
    """
    address, slash, length = text.partition("/")
    family, version, bits = (socket.AF_INET6, 6, _IPV6_BITS) if ":" in address else (socket.AF_INET, 4, _IPV4_BITS)
    try:
        first = int.from_bytes(socket.inet_pton(family, address), "big")
    except (OSError, ValueError):  # ValueError: a NUL, or a character that is not ASCII
        detail = f"{text!r} is no IP address or prefix; right is 192.0.2.16/28 or 2001:db8::/64"
        raise InvalidInputError(detail) from None
    told = bits
    if slash:
        told = int(length) if _LENGTH.fullmatch(length) else bits + 1
    if told > bits or first & ((1 << (bits - told)) - 1):
        detail = f"{text!r} is no prefix: its length is not from 0 to {bits}, or it has bits behind its length"
        raise InvalidInputError(detail)
    if bits == _IPV6_BITS and told >= _MAPPED_BITS and first >> _IPV4_BITS == _MAPPED:
        return 4, first & (2**_IPV4_BITS - 1), told - _MAPPED_BITS
    return version, first, told


def is_mapped(hi: np.ndarray, lo: np.ndarray) -> np.ndarray:
    """Which of these IPv6 addresses are IPv4 addresses."""
    mapped: np.ndarray = (hi == MAPPED_HI) & (lo >> np.uint64(_IPV4_BITS) == _MAPPED)
    return mapped


class Prefixes:
    """The value of the longest prefix that holds an address, for arrays of addresses."""

    def __init__(self, prefixes: Iterable[tuple[str, int]]) -> None:
        """Prefixes as text, each with a value from 0 to LARGEST_VALUE.

        InvalidInputError: one of them is none, two are the same, or there are more than MOST_PREFIXES.
        """
        values: dict[Network, int] = {}
        for text, value in prefixes:
            network = read_network(text)
            if network in values:
                detail = f"the prefix {text!r} is there twice"
                raise InvalidInputError(detail)
            values[network] = value
            if len(values) > MOST_PREFIXES:
                detail = f"there are more than {MOST_PREFIXES:,} prefixes"
                raise InvalidInputError(detail)
            if not 0 <= value <= LARGEST_VALUE:
                detail = f"the value of prefix {text!r} is {value}, not from 0 to {LARGEST_VALUE}"
                raise InvalidInputError(detail)
        by_version: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        for (version, first, length), value in values.items():
            by_version[version].append((first, length, value))
        self._four = _Four(by_version[4])
        self._six = _Six(by_version[6])

    def find4(self, addresses: np.ndarray) -> np.ndarray:
        """Values (int32) of IPv4 addresses (uint32, shape (n,)); NONE where no prefix holds one."""
        return self._four.find(addresses)

    def find6(self, addresses: np.ndarray) -> np.ndarray:
        """The same for IPv6 addresses (uint64, shape (n, 2), the upper half first); IPv4 mapped into IPv6 is IPv4."""
        return self.find(addresses[:, 0], addresses[:, 1])

    def find(self, hi: np.ndarray, lo: np.ndarray) -> np.ndarray:
        """The same for halves of IPv6 addresses (uint64); IPv4 mapped into IPv6 is IPv4."""
        mapped = is_mapped(hi, lo)
        if not mapped.any():
            return self._six.find(hi, lo)
        if mapped.all():
            return self._four.find(lo.astype(np.uint32))
        values = np.empty(len(hi), np.int32)
        values[mapped] = self._four.find(lo[mapped].astype(np.uint32))
        values[~mapped] = self._six.find(hi[~mapped], lo[~mapped])
        return values


class _Four:
    """IPv4: a table over ranges."""

    def __init__(self, networks: list[tuple[int, int, int]]) -> None:
        (_, starts), values = _ranges(networks, _IPV4_BITS)
        self._table = _Table(starts, values, _IPV4_BITS)

    def find(self, addresses: np.ndarray) -> np.ndarray:
        return self._table.find(addresses)


class _Six:
    """IPv6: a table over upper halves that differ; for each of them, where the ranges that start there begin and end."""

    def __init__(self, networks: list[tuple[int, int, int]]) -> None:
        (hi, self._lo), self._values = _ranges(networks, _IPV6_BITS)
        self._uppers, self._begins = np.unique(hi, return_index=True)
        self._lasts = np.append(self._begins[1:], len(hi)) - 1
        self._is_split = (self._lasts > self._begins) | (self._lo[self._lasts] > 0)
        self._table = _Table(self._uppers, np.arange(len(self._uppers), dtype=np.int32), _HALF_BITS)

    def find(self, hi: np.ndarray, lo: np.ndarray) -> np.ndarray:
        """The last range that starts at the same upper half and no greater lower one, else before this upper half."""
        group = self._table.find(hi)
        last = self._lasts.take(group)
        split = np.flatnonzero(self._is_split.take(group))
        if len(split):
            split = split[self._uppers[group[split]] == hi[split]]
            last[split] = self._bisect(self._begins[group[split]] - 1, last[split], lo[split])
        return self._values.take(last)

    def _bisect(self, below: np.ndarray, last: np.ndarray, lo: np.ndarray) -> np.ndarray:
        """The last place in (below, last] whose lower half is at most lo; `below` itself, the range before, if none is."""
        low, high = below, last  # the answer lies in [low, high]
        while (low < high).any():
            middle = (low + high + 1) >> 1
            fits = self._lo[middle] <= lo
            low = np.where(fits, middle, low)
            high = np.where(fits, high, middle - 1)
        return low


class _Table:
    """Steps of a table over ranges of whole numbers, as far as they fit."""

    def __init__(self, starts: np.ndarray, values: np.ndarray, bits: int) -> None:
        """`starts` (uint64) ascend from 0, below 2**bits; `values`: int32, at least NONE."""
        self._starts = starts
        self._values = values
        self._shift = bits - FIRST_BITS
        self._steps: list[tuple[int, np.ndarray]] = []
        self._first, blocks = _step(starts, values, np.zeros(1, np.uint64), (FIRST_BITS, self._shift))
        shift, left = self._shift, TABLE_ENTRIES
        while len(blocks):
            fitting = (each for each in STEP_BITS if each <= shift and len(blocks) << each <= STEP_ENTRIES)
            step_bits = next(fitting, STEP_BITS[-1])
            left -= len(blocks) << step_bits
            if left < 0:
                break
            shift -= step_bits
            step, blocks = _step(starts, values, blocks, (step_bits, shift))
            self._steps.append((step_bits, step))

    def find(self, asked: np.ndarray) -> np.ndarray:
        """The value (int32) of the range of each number (uint32 or uint64)."""
        shift = self._shift
        found: np.ndarray = self._first.take(_part(asked, FIRST_BITS, shift))
        at = np.flatnonzero(found < NONE)
        if not len(at):
            return found
        asked, block = asked[at], found[at]
        for bits, entries in self._steps:
            shift -= bits
            answer = entries.take(((NONE - 1 - block) << bits) + _part(asked, bits, shift))
            found[at] = answer
            on = np.flatnonzero(answer < NONE)
            if not len(on):
                return found
            at, asked, block = at[on], asked[on], answer[on]
        found[at] = self._values[np.searchsorted(self._starts, asked, side="right") - 1]
        return found


def _part(asked: np.ndarray, bits: int, shift: int) -> np.ndarray:
    """So many bits above `shift` of each number."""
    kind = asked.dtype.type
    part: np.ndarray = (asked >> kind(shift) & kind((1 << bits) - 1)).astype(np.int64)
    return part


def _step(
    starts: np.ndarray, values: np.ndarray, blocks: np.ndarray, place_of_bits: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """One step's entries, and where the blocks of the next step begin.

    `blocks` (uint64): where this step's begin, ascending. `place_of_bits`: how many bits it tells apart, above which. An
    entry is the value of the range that holds all of it, or -2 - b where several do, which block b of the next step tells
    apart.
    """
    bits, shift = place_of_bits
    size = 1 << (bits + shift)
    # First the number of each entry's range: of the last one that starts in an entry before it, or at its first address.
    inside = np.searchsorted(blocks, starts, side="right") - 1
    offset = starts - blocks[np.maximum(inside, 0)]
    within = np.flatnonzero((inside >= 0) & (offset < size))
    place = (inside[within] << bits) + (offset[within] >> np.uint64(shift)).astype(np.int64)
    is_first = offset[within] & np.uint64((1 << shift) - 1) == 0
    entries = np.zeros((len(blocks) << bits) + 1, np.int32)  # there is one behind the last
    entries[: -1 : 1 << bits] = np.searchsorted(starts, blocks, side="right") - 1
    entries[place[is_first]] = within[is_first]
    np.maximum.at(entries, place[~is_first] + 1, within[~is_first].astype(np.int32))
    np.maximum.accumulate(entries, out=entries)  # ranges ascend with their addresses, so from block to block too
    entries = values.take(entries[:-1])
    open_ = np.unique(place[~is_first])
    entries[open_] = NONE - 1 - np.arange(len(open_), dtype=np.int32)
    return entries, blocks[open_ >> bits] + ((open_ & ((1 << bits) - 1)).astype(np.uint64) << np.uint64(shift))


def _ranges(networks: list[tuple[int, int, int]], bits: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Starts of ranges, as upper and lower halves, and each range's value.

    The first starts at 0; neighbours differ in value.
    """
    spans = [(first, first + (1 << (bits - length)), value) for first, length, value in sorted(networks, key=_length)]
    edges = sorted({0}.union(*((first, end) for first, end, _ in spans)))
    place = {edge: number for number, edge in enumerate(edges)}
    values = np.full(len(edges), NONE, np.int32)
    for first, end, value in spans:  # the longest last
        values[place[first] : place[end]] = value
    kept = np.append(True, values[1:] != values[:-1])
    kept[-1] &= edges[-1] < 1 << bits  # an end behind the last address begins nothing
    starts = [edges[number] for number in np.flatnonzero(kept).tolist()]
    hi = np.array([start >> _HALF_BITS for start in starts], np.uint64)
    lo = np.array([start & (2**_HALF_BITS - 1) for start in starts], np.uint64)
    return (hi, lo), values[kept]


def _length(network: tuple[int, int, int]) -> int:
    return network[1]
