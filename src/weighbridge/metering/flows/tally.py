"""The tally: flow records in, sums by exporter, slot and address out.

The way of a record: its times are mended, its amounts are scaled up once (law 21), it is cut at the borders of slots, and
each piece counts for its source (sent) and for its destination (received), as far as the ends are worth keeping:

    interest                 ends that are kept
    an end is known          the known ones, and those in `networks`
    neither end is known     both, with LONELY; the source with SENDER
    there is none (None)     both, with LONELY and BLIND; the source with SENDER

Where nothing is known of what anybody wants, the server tells the ends apart: a row of an address that it knows counts
for it, whatever its flags say; a BLIND row of one that it does not know may be the other end of a flow that is
attributed. As unattributed it is an upper bound: too much is shown rather than something hidden. An Interest that is
empty is another thing than none: then all is lonely indeed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from weighbridge.collected import FLOW_SUM, MAPPED_HI, MAPPED_LO, FlowFlag, FlowSums
from weighbridge.metering.flows.cells import AMOUNTS, Cells
from weighbridge.metering.flows.ends import KNOWN, NEARBY, Ends
from weighbridge.metering.flows.pieces import HOUR_US, chosen, cut, has_links, join, mend_times, scale_up, too_large
from weighbridge.metering.flows.prefixes import is_mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from weighbridge.metering.flows.block import FlowBlock
    from weighbridge.metering.flows.interest import Interest
    from weighbridge.metering.flows.pieces import Pieces, Records

    _Kept: TypeAlias = tuple[np.ndarray | None, np.ndarray | np.uint64]  # which ends (a mask; None: all), and their flags

RECORDS_AT_ONCE = 16_384
"""Records whose columns are worked on together: they stay in the processor's cache, and 27 slots of each in 40 MB."""
LONELY_ROWS = 262_144
"""Most lonely rows of one exporter and slot. Behind them stands traffic that is nobody's, or an attack with random sources."""
ROWS_HELD = 1_048_576
"""Most rows held between two takes, some 100 MB: above it records are refused. A collector hands in what it has before."""
LARGEST_SUM = 2**62
"""What no sum reaches: before one could, what is there is set aside and sums begin anew."""

# A place is an exporter's slot. Its number, the flags of a row, and 32 bits of an address or 16 of a VLAN share a word.
_FOUR, _SIX, _LINKED = 1, 3, 4
"""Words of a key: an IPv4 address in the first; an IPv6 address behind it; a MAC and an address, a VLAN in the first."""
_PLACE_SHIFT, _FLAGS_SHIFT = np.uint64(40), np.uint64(32)
_FLAGS, _VLAN, _ADDRESS = np.uint64(0xFF), np.uint64(0xFFFF), np.uint64(0xFFFF_FFFF)
_MAPPED = np.uint64(MAPPED_LO)
_LONELY, _SENDER, _BLIND = np.uint64(FlowFlag.LONELY), np.uint64(FlowFlag.SENDER), np.uint64(FlowFlag.BLIND)


class FlowTally:
    """Sums of flows since the last take. One thread.

    `counts`, by (exporter, what), for the collector to merge and clear: `times_mended` and `records_too_large` (refused)
    of records, `records_refused_full`, and `rows_folded`: lonely rows that were summed into the address ::.
    """

    def __init__(self, interest: Callable[[], Interest | None], now_us: Callable[[], int]) -> None:
        """Empty. Both are asked anew at each `add`."""
        self.counts: Counter[tuple[str, str]] = Counter()
        self._ask_interest = interest
        self._now_us = now_us
        self._interest: Interest | None = None
        self._ends: Ends | None = None
        self._aside: list[FlowSums] = []
        self._cells = {words: Cells(words) for words in (_FOUR, _SIX, _LINKED)}
        self._begin_anew()

    def _begin_anew(self) -> None:
        for cells in self._cells.values():
            cells.clear()
        self._places: dict[tuple[str, int], int] = {}
        self._total = 0
        self._fold_at = LONELY_ROWS

    def __len__(self) -> int:
        """How many rows are held."""
        return self._count_cells() + sum(len(sums.rows) for sums in self._aside)

    def add(self, blocks: Sequence[FlowBlock]) -> None:
        """The records are in the sums, or counted as refused. InvalidInputError: the interest holds what is no prefix."""
        self._look_up_interest()
        now_us = self._now_us()
        groups: dict[tuple[int, bool, int], list[FlowBlock]] = {}
        for block in blocks:
            if len(block.src):
                # What was received hours apart is worked on apart, so that there are few slots at once.
                groups.setdefault((block.family, has_links(block), block.received_us // HOUR_US), []).append(block)
        for group in groups.values():
            self._add_records(join(group), now_us)

    def take(self) -> list[FlowSums]:
        """What was added since the last take, one FlowSums for each exporter at least; nothing of it is held any more."""
        taken = self._aside + self._as_sums()
        self._aside = []
        self._begin_anew()
        return taken

    def put_back(self, sums: Sequence[FlowSums]) -> None:
        """What was taken is held as if it had not been: nobody wanted it, and the next take brings it again."""
        for each in sums:
            for begin in range(0, len(each.rows), RECORDS_AT_ONCE):
                self._add_sums(each.exporter, each.rows[begin : begin + RECORDS_AT_ONCE])
        self._fold()

    def _look_up_interest(self) -> None:
        interest = self._ask_interest()
        if interest is self._interest or interest == self._interest:
            return
        self._ends = None if interest is None else Ends(interest)
        self._interest = interest

    # Records

    def _add_records(self, records: Records, now_us: int) -> None:
        for begin in range(0, len(records.src), RECORDS_AT_ONCE):
            some = chosen(records, slice(begin, begin + RECORDS_AT_ONCE))
            if len(self) >= ROWS_HELD:
                self._count(some, np.ones(len(some.src), bool), "records_refused_full")
                continue
            self._count(some, mend_times(some, now_us), "times_mended")
            larger = too_large(some)
            if larger is not None:
                self._count(some, larger, "records_too_large")
                some = chosen(some, np.flatnonzero(~larger))
            if len(some.src):
                flags = scale_up(some)
                self._add_scaled(some, flags)
                self._fold()

    def _count(self, records: Records, those: np.ndarray | None, what: str) -> None:
        """Records of a mask are counted for their exporters; of None, none."""
        if those is None:
            return
        for number, count in enumerate(np.bincount(records.exporter[those]).tolist()):
            if count:
                self.counts[records.exporters[number], what] += count

    def _add_scaled(self, records: Records, flags: np.ndarray | np.uint64) -> None:
        """Pieces of the records are in the sums."""
        count = len(records.src)
        most = 2 * count * max(int(records.octets.max()), int(records.packets.max()))  # both ends may be one address
        if most >= LARGEST_SUM:
            for half in (slice(count // 2), slice(count // 2, count)):
                self._add_scaled(chosen(records, half), flags[half] if isinstance(flags, np.ndarray) else flags)
            return
        self._expect(most)
        pieces = cut(records, flags)
        src_kept, dst_kept = self._sort_ends(pieces)
        place = self._place_numbers(pieces) << _PLACE_SHIFT
        src, dst = _end_of(pieces, place, src_kept), _end_of(pieces, place, dst_kept, is_src=False)
        cells = self._cells[len(src.keys)]
        numbers = cells.find([np.concatenate(words) for words in zip(src.keys, dst.keys, strict=True)])
        sent, received = numbers[: len(src.octets)], numbers[len(src.octets) :]
        cells.add("bytes_out", sent, src.octets)
        cells.add("bytes_in", received, dst.octets)
        cells.add("packets", numbers, np.concatenate((src.packets, dst.packets)))
        cells.add("flows", sent[: src.flows], 1)
        cells.add("flows", received[: dst.flows], 1)

    def _sort_ends(self, pieces: Pieces) -> tuple[_Kept, _Kept]:
        """Which pieces' sources are kept, with which flags, and which destinations."""
        flags = pieces.flags
        if self._ends is None:
            alone = flags | _LONELY | _BLIND
            return (None, alone | _SENDER), (None, alone)
        src, dst = self._ends.find(pieces.src), self._ends.find(pieces.dst)
        if pieces.links is not None:
            src_mac, src_vlan, dst_mac, dst_vlan = pieces.links
            src = np.maximum(src, np.maximum(self._ends.find_mac(src_mac), self._ends.find_vlan(src_vlan)))
            dst = np.maximum(dst, np.maximum(self._ends.find_mac(dst_mac), self._ends.find_vlan(dst_vlan)))
        lonely = np.maximum(src, dst) < KNOWN
        if not lonely.any():
            return (src >= NEARBY, flags), (dst >= NEARBY, flags)
        alone = lonely * _LONELY | flags
        return ((src >= NEARBY) | lonely, lonely * _SENDER | alone), ((dst >= NEARBY) | lonely, alone)

    def _place_numbers(self, pieces: Pieces) -> np.ndarray:
        """Each piece's place (uint64)."""
        first = int(pieces.slot.min())
        slots = int(pieces.slot.max()) - first + 1
        place, there = pieces.slot - first, list(range(slots))
        if len(pieces.exporters) > 1:
            place += pieces.exporter * slots
            there = np.flatnonzero(np.bincount(place)).tolist()
        numbers = np.zeros(len(pieces.exporters) * slots, np.uint64)
        for at in there:
            numbers[at] = self._place_number(pieces.exporters[at // slots], first + at % slots)
        found: np.ndarray = numbers.take(place)
        return found

    def _place_number(self, exporter: str, slot: int) -> int:
        return self._places.setdefault((exporter, slot), len(self._places))

    # Bounds

    def _expect(self, most: int) -> None:
        """No column's total reaches LARGEST_SUM when so much is added: where it could, all that is there is set aside."""
        self._total += most
        if self._total < LARGEST_SUM:
            return
        total = max(int(cells.sums(name).sum()) for cells in self._cells.values() for name in AMOUNTS)
        self._total = len(self._cells) * total + most
        if self._total >= LARGEST_SUM:
            self._aside += self._as_sums()
            self._begin_anew()
            self._total = most

    def _fold(self) -> None:
        """No exporter has more than LONELY_ROWS lonely rows in a slot: the smaller ones are summed into the address ::."""
        if self._count_cells() < self._fold_at:
            return
        most = self._fold_places(np.flatnonzero(self._lonely_counts() > LONELY_ROWS).tolist())
        # No slot can have too many before so many rows have come.
        self._fold_at = self._count_cells() + LONELY_ROWS - most + 1

    def _lonely_counts(self) -> np.ndarray:
        """How many lonely rows each place has."""
        return np.bincount(np.concatenate([_lonely(cells)[1] for cells in self._cells.values()]), minlength=1)

    def _fold_places(self, numbers: list[int]) -> int:
        """Half of LONELY_ROWS are left in each of these places, the largest; the most that any place has now."""
        for number in numbers:
            exporter = next(exporter for (exporter, _), place in self._places.items() if place == number)
            lonely = [_lonely(cells) for cells in self._cells.values()]
            here = [at[place == number] for at, place, _ in lonely]
            sizes = np.concatenate([size[place == number] for _, place, size in lonely])
            owners = np.repeat(np.arange(len(here)), [len(at) for at in here])
            smallest = np.argpartition(sizes, -(LONELY_ROWS // 2))[: -(LONELY_ROWS // 2)]
            which = np.concatenate(here)[smallest]
            for owner, cells in enumerate(self._cells.values()):
                self._fold_cells(cells, which[owners[smallest] == owner], exporter)
        return int(self._lonely_counts().max())

    def _fold_cells(self, cells: Cells, those: np.ndarray, exporter: str) -> None:
        """These cells are gone, and their sums are those of the address ::, by flags."""
        high = cells.words()[0][those] & ~_ADDRESS
        sums = {name: cells.sums(name)[those] for name in AMOUNTS}
        kept = np.ones(cells.count, bool)
        kept[those] = False
        cells.keep(kept)
        none = np.zeros(len(those), np.uint64)
        numbers = self._cells[_SIX].find([high, none, none])
        for name, column in sums.items():
            self._cells[_SIX].add(name, numbers, column)
        self.counts[exporter, "rows_folded"] += len(those)

    # Sums

    def _as_sums(self) -> list[FlowSums]:
        """All cells as rows, exporter by exporter."""
        exporters = list(dict.fromkeys(exporter for exporter, _ in self._places))
        number = {exporter: at for at, exporter in enumerate(exporters)}
        owners = np.array([number[exporter] for exporter, _ in self._places], np.int64)
        slots = np.array([slot for _, slot in self._places], np.int32)
        rows, places = [], []
        for cells in self._cells.values():
            made, place = _as_rows(cells, slots)
            rows.append(made)
            places.append(owners[place])
        joined, owner = np.concatenate(rows), np.concatenate(places)
        if len(exporters) == 1:
            return [FlowSums(exporters[0], joined)]
        order = np.argsort(owner, kind="stable")
        borders = np.searchsorted(owner[order], np.arange(len(exporters) + 1)).tolist()
        return [FlowSums(exporter, joined[order[begin:end]])
                for exporter, begin, end in zip(exporters, borders[:-1], borders[1:], strict=True) if end > begin]

    def _add_sums(self, exporter: str, rows: np.ndarray) -> None:
        most = len(rows) * max(int(rows[name].max()) for name in AMOUNTS)
        if most >= LARGEST_SUM:
            self._aside.append(FlowSums(exporter, rows))
            return
        self._expect(most)
        slots, which = np.unique(rows["slot"], return_inverse=True)
        places = np.array([self._place_number(exporter, slot) for slot in slots.tolist()], np.uint64)[which]
        high = (places << _PLACE_SHIFT) | (rows["flags"].astype(np.uint64) << _FLAGS_SHIFT)
        is_linked = (rows["mac"] != 0) | (rows["vlan"] != 0)
        is_four = ~is_linked & is_mapped(rows["hi"], rows["lo"])
        for words, mask in ((_FOUR, is_four), (_SIX, ~is_linked & ~is_four), (_LINKED, is_linked)):
            those = np.flatnonzero(mask)
            some, cells = rows[those], self._cells[words]
            keys = [high[those], some["mac"], some["hi"], some["lo"]]
            if words == _FOUR:
                keys = [keys[0] | (some["lo"] & _ADDRESS)]
            elif words == _SIX:
                keys = [keys[0], *keys[2:]]
            else:
                keys[0] |= some["vlan"]
            numbers = cells.find(keys)
            for name in AMOUNTS:
                cells.add(name, numbers, some[name])

    def _count_cells(self) -> int:
        return sum(cells.count for cells in self._cells.values())


@dataclass(frozen=True, slots=True)
class _End:
    """One end of pieces, as far as it is kept: the words of its keys, and what it moved; `flows` first pieces, then others."""

    keys: list[np.ndarray]
    octets: np.ndarray
    packets: np.ndarray
    flows: int


def _end_of(pieces: Pieces, place: np.ndarray, kept: _Kept, *, is_src: bool = True) -> _End:
    mask, flags = kept
    which = np.arange(len(pieces.slot)) if mask is None else np.flatnonzero(mask)
    word = place[which]
    if isinstance(flags, np.ndarray):
        word |= flags[which] << _FLAGS_SHIFT
    elif flags:
        word |= flags << _FLAGS_SHIFT
    address = (pieces.src if is_src else pieces.dst)[which]
    is_four = address.ndim == 1
    if pieces.links is not None:
        mac, vlan = pieces.links[:2] if is_src else pieces.links[2:]
        hi, lo = (np.zeros(len(address), np.uint64), _MAPPED | address) if is_four else (address[:, 0], address[:, 1])
        keys = [word | vlan[which], mac[which], hi, lo]
    else:
        keys = [word | address] if is_four else [word, address[:, 0], address[:, 1]]
    flows = int(np.searchsorted(which, pieces.records))
    return _End(keys, pieces.octets[which], pieces.packets[which], flows)


def _lonely(cells: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the lonely rows that may be folded: which cells, their places, their bytes."""
    word = cells.words()[0]
    flags = word >> _FLAGS_SHIFT & _FLAGS
    at = np.flatnonzero(flags & (_LONELY | _BLIND) == _LONELY)
    return at, (word[at] >> _PLACE_SHIFT).astype(np.int64), cells.sums("bytes_in")[at] + cells.sums("bytes_out")[at]


def _as_rows(cells: Cells, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All cells as rows (dtype FLOW_SUM), and their places."""
    keys = cells.words()
    place = (keys[0] >> _PLACE_SHIFT).astype(np.int64)
    rows = np.zeros(cells.count, FLOW_SUM)
    rows["slot"] = slots[place]
    rows["flags"] = keys[0] >> _FLAGS_SHIFT & _FLAGS
    if len(keys) == _FOUR:
        rows["hi"], rows["lo"] = MAPPED_HI, _MAPPED | (keys[0] & _ADDRESS)
    else:
        rows["hi"], rows["lo"] = keys[-2], keys[-1]
    if len(keys) == _LINKED:
        rows["vlan"], rows["mac"] = keys[0] & _VLAN, keys[1]
    for name in AMOUNTS:
        rows[name] = cells.sums(name)
    return rows, place
