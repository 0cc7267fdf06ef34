"""The flow tally: every byte of every record, once, at the ends that are worth keeping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.flow_referee import as_sums, naive_sums, span_of
from weighbridge.collected import MAPPED_LO, FlowFlag
from weighbridge.domain.errors import InvalidInputError
from weighbridge.measurement import MAX_AMOUNT
from weighbridge.metering.flows import tally as tally_module
from weighbridge.metering.flows.block import UNKNOWN_SAMPLER, UNRATED, FlowBlock
from weighbridge.metering.flows.interest import Interest
from weighbridge.metering.flows.tally import FlowTally

SLOT_US = 300_000_000
HOUR_US = 3_600_000_000
NOW_US = 6_000_000 * SLOT_US + 150_000_000
SLOT = NOW_US // SLOT_US
OWN, OTHER, FAR, FARTHER = 0xC0000201, 0xC0000202, 0x08080808, 0x01010101
KNOWN = Interest(("192.0.2.0/30",))
LONELY = int(FlowFlag.LONELY)
SENT = int(FlowFlag.LONELY | FlowFlag.SENDER)


def block(*records, exporter="192.0.2.99", received_us=NOW_US, **columns):
    """IPv4 records of (source, destination, octets, packets), of an instant unless told."""
    src, dst, octets, packets = zip(*records, strict=True)
    made = {name: value if isinstance(value, int) else np.array(value, kind) for (name, kind), value in (
        ((name, KINDS[name]), value) for name, value in columns.items())}
    return FlowBlock(
        exporter, 4, received_us, np.array(src, np.uint32), np.array(dst, np.uint32), np.array(octets, np.int64),
        np.array(packets, np.int64), **made)


KINDS = {
    "start_us": np.int64, "end_us": np.int64, "rate": np.int64, "src_mac": np.uint64, "dst_mac": np.uint64,
    "src_vlan": np.uint16, "dst_vlan": np.uint16,
}


def tally(interest=KNOWN, now_us=NOW_US):
    return FlowTally(lambda: interest, lambda: now_us)


def rows(taken):
    """{(slot from SLOT on, address, flags): [bytes_in, bytes_out, packets, flows]} of IPv4 rows without MAC and VLAN."""
    return {(slot - SLOT, lo - MAPPED_LO, flags): amounts
            for (_, slot, _, lo, _, _, flags), amounts in as_sums(taken).items()}


def added(*blocks, interest=KNOWN, now_us=NOW_US):
    made = tally(interest, now_us)
    made.add(blocks)
    return rows(made.take()), dict(made.counts)


def test_known_ends_are_kept_and_lonely_flows():
    found, _ = added(block((OWN, FAR, 10, 1), (FAR, OTHER, 20, 2), (OWN, OTHER, 40, 4), (FAR, FARTHER, 80, 8)))
    assert found == {
        (0, OWN, 0): [0, 50, 5, 2], (0, OTHER, 0): [60, 0, 6, 2],
        (0, FAR, SENT): [0, 80, 8, 1], (0, FARTHER, LONELY): [80, 0, 8, 1],
    }


def test_ends_in_networks_are_kept_beside_a_known_one():
    interest = Interest(("192.0.2.0/30",), networks=("8.0.0.0/8", "192.0.2.0/31"))
    found, _ = added(block((OWN, FAR, 10, 1), (FAR, FARTHER, 80, 8)), interest=interest)
    assert found == {
        (0, OWN, 0): [0, 10, 1, 1], (0, FAR, 0): [10, 0, 1, 1],
        (0, FAR, SENT): [0, 80, 8, 1], (0, FARTHER, LONELY): [80, 0, 8, 1],
    }


def test_without_an_interest_every_end_is_kept_and_blind():
    blind = int(FlowFlag.BLIND)
    found, _ = added(block((OWN, FAR, 10, 1)), interest=None)
    assert found == {(0, OWN, SENT | blind): [0, 10, 1, 1], (0, FAR, LONELY | blind): [10, 0, 1, 1]}


def test_an_empty_interest_leaves_all_lonely():
    found, _ = added(block((OWN, FAR, 10, 1)), interest=Interest())
    assert found == {(0, OWN, SENT): [0, 10, 1, 1], (0, FAR, LONELY): [10, 0, 1, 1]}


def test_macs_and_vlans_make_an_end_known():
    made = tally(Interest(macs=(7,), vlans=(70,)))
    made.add([block(
        (FAR, FARTHER, 1, 1), (FAR, FARTHER, 2, 1), (FAR, FARTHER, 4, 1), src_mac=[7, 8, 0], dst_mac=[8, 0, 9],
        src_vlan=[0, 0, 0], dst_vlan=[0, 70, 71])])
    found = {key[3:]: amounts[:2] for key, amounts in as_sums(made.take()).items()}
    assert found == {
        (MAPPED_LO | FAR, 7, 0, 0): [0, 1], (MAPPED_LO | FARTHER, 0, 70, 0): [2, 0],
        (MAPPED_LO | FAR, 0, 0, SENT): [0, 4], (MAPPED_LO | FARTHER, 9, 71, LONELY): [4, 0],
    }


@pytest.mark.parametrize(("start_us", "end_us", "wanted", "mended"), [
    (NOW_US - SLOT_US, NOW_US, {-1: [50, 5, 1], 0: [50, 5, 0]}, False),
    (NOW_US - HOUR_US, NOW_US - HOUR_US, {-12: [100, 10, 1]}, False),
    (NOW_US - HOUR_US - 1, NOW_US, {0: [100, 10, 1]}, True),
    (NOW_US, NOW_US - 1, {0: [100, 10, 1]}, True),
    (NOW_US, NOW_US + 200_000_000, {0: [75, 8, 1], 1: [25, 2, 0]}, False),  # the exporter's clock is ahead: its word
    (NOW_US, NOW_US + HOUR_US + 1, {0: [100, 10, 1]}, True),
    (NOW_US + 2 * SLOT_US, NOW_US + 3 * SLOT_US, {1: [100, 10, 1]}, False),  # never later than five minutes from now
    (0, 2**62, {0: [100, 10, 1]}, True),
])
def test_times(start_us, end_us, wanted, mended):
    found, counts = added(block((OWN, FAR, 100, 10), start_us=[start_us], end_us=[end_us]))
    assert {slot: amounts[1:] for (slot, _, _), amounts in found.items()} == wanted
    assert counts == ({("192.0.2.99", "times_mended"): 1} if mended else {})


def test_rates_multiply_once_and_what_is_unrated_says_so():
    rates = [1, 10, UNRATED, UNKNOWN_SAMPLER]
    found, _ = added(block(*[(OWN, FAR, 100, 10)] * 4, rate=rates))
    assert found == {
        (0, OWN, 0): [0, 100, 10, 1], (0, OWN, int(FlowFlag.ESTIMATED)): [0, 1000, 100, 1],
        (0, OWN, int(FlowFlag.UNRATED)): [0, 100, 10, 1], (0, OWN, int(FlowFlag.UNKNOWN_SAMPLER)): [0, 100, 10, 1],
    }


@pytest.mark.parametrize(("octets", "packets", "rate", "fits"), [
    (MAX_AMOUNT, MAX_AMOUNT, 1, True), (MAX_AMOUNT + 1, 1, 1, False), (1, MAX_AMOUNT + 1, UNRATED, False), (-1, 1, 1, False),
    (MAX_AMOUNT // 1000, 1, 1000, True), (MAX_AMOUNT // 1000 + 1, 1, 1000, False), (2**62, 1, 2**62, False),
    (1, 1, MAX_AMOUNT, True), (1, 1, MAX_AMOUNT + 1, False),
])
@pytest.mark.parametrize("alone", [True, False])
def test_what_is_too_large_is_refused_and_counted(octets, packets, rate, fits, alone):
    records = [(OWN, FAR, octets, packets)] + ([] if alone else [(OTHER, FAR, 5, 1)])
    found, counts = added(block(*records, rate=rate if alone else [rate, 1]))
    flags = {1: 0, UNRATED: int(FlowFlag.UNRATED)}.get(rate, int(FlowFlag.ESTIMATED))
    wanted = {(0, OWN, flags): [0, octets * max(rate, 1), packets * max(rate, 1), 1]} if fits else {}
    assert found == wanted | ({} if alone else {(0, OTHER, 0): [0, 5, 1, 1]})
    assert counts == ({} if fits else {("192.0.2.99", "records_too_large"): 1})


def test_sums_beyond_64_bits_are_split_over_rows():
    made = tally()
    most = block(*[(OWN, OWN, MAX_AMOUNT, MAX_AMOUNT)] * 3000)
    made.add([most, most])
    taken = made.take()
    assert all((row >= 0).all() and (row < 2**62).all() for sums in taken for row in (sums.rows[name] for name in (
        "bytes_in", "bytes_out", "packets")))
    total = 6000 * MAX_AMOUNT
    assert rows(taken) == {(0, OWN, 0): [total, total, 2 * total, 12_000]}
    made.put_back(taken)
    made.add([most])
    assert rows(made.take()) == {(0, OWN, 0): [total * 3 // 2, total * 3 // 2, 3 * total, 18_000]}


def test_what_the_sink_refused_is_brought_again_with_what_came_since():
    made = tally()
    made.add([block((OWN, FAR, 10, 1)), block((OWN, FAR, 1, 1), exporter="b")])
    refused = made.take()
    assert [sums.exporter for sums in refused] == ["192.0.2.99", "b"]
    made.add([block((OWN, FAR, 5, 1))])
    made.put_back(refused)
    assert (len(made), as_sums(made.take())) == (2, {
        ("192.0.2.99", SLOT, 0, MAPPED_LO | OWN, 0, 0, 0): [0, 15, 2, 2],
        ("b", SLOT, 0, MAPPED_LO | OWN, 0, 0, 0): [0, 1, 1, 1],
    })
    assert (len(made), made.take()) == (0, [])


def test_a_new_interest_holds_from_the_next_records_on():
    interests = [KNOWN, Interest(("8.8.8.8/32",))]
    made = FlowTally(lambda: interests[0], lambda: NOW_US)
    made.add([block((OWN, FAR, 10, 1))])
    del interests[0]
    made.add([block((OWN, FAR, 10, 1))])
    assert rows(made.take()) == {(0, OWN, 0): [0, 10, 1, 1], (0, FAR, 0): [10, 0, 1, 1]}


def test_an_interest_with_what_is_no_prefix_is_refused_before_anything_is_added():
    made = tally(Interest(("192.0.2.1/24",)))
    with pytest.raises(InvalidInputError):
        made.add([block((OWN, FAR, 10, 1))])
    assert len(made) == 0


def test_lonely_rows_are_bounded_and_nothing_known_is_folded(monkeypatch):
    monkeypatch.setattr(tally_module, "LONELY_ROWS", 8)
    made = FlowTally(lambda: KNOWN, lambda: NOW_US)
    for first in range(0, 400, 4):
        made.add([block(*((0x08000000 + first + at, FARTHER, 1000 + first, 1) for at in range(4)), (OWN, FAR, 10, 1),
                        (OTHER, FAR, 10, 1))])
        assert len(made) <= 8 + 5 + 2 + 4
    found = as_sums(made.take())
    known = {key[3] - MAPPED_LO: amounts for key, amounts in found.items() if not key[-1] & LONELY}
    assert known == {OWN: [0, 1000, 100, 100], OTHER: [0, 1000, 100, 100]}
    lonely = [amounts for key, amounts in found.items() if key[-1] & LONELY]
    total = sum(4 * (1000 + first) for first in range(0, 400, 4))
    assert [sum(column) for column in zip(*lonely, strict=True)] == [total, total, 800, 800]
    assert found["192.0.2.99", SLOT, 0, 0, 0, 0, SENT][1] > total // 2
    largest = max(key[3] for key in found if key[-1] == SENT)
    assert largest == MAPPED_LO | (0x08000000 + 399)
    assert made.counts["192.0.2.99", "rows_folded"] > 300


def test_equally_small_rows_are_folded_too_and_seldom(monkeypatch):
    monkeypatch.setattr(tally_module, "LONELY_ROWS", 64)
    made = tally()
    folds = []
    fold = made._fold_places
    monkeypatch.setattr(made, "_fold_places", lambda numbers: folds.append(numbers) or fold(numbers))
    for first in range(0, 3200, 4):
        made.add([block(*((0x08000000 + first + at, FARTHER, 40, 1) for at in range(4)))])
        assert len(made) <= 64 + 4 + 2
    lonely = as_sums(made.take())
    assert [sum(column) for column in zip(*lonely.values(), strict=True)] == [128_000, 128_000, 6400, 6400]
    assert len(folds) <= 3200 // 28


def test_columns_of_other_kinds_are_taken_as_whole_numbers():
    records = block((OWN, FAR, 1, 1))
    largest = MAX_AMOUNT - 2  # as a float of 64 bits, twice this were another number
    others = FlowBlock(
        "a", 4, NOW_US, records.src.astype(">u4"), records.dst.astype(np.int64), np.array([largest], np.uint64),
        np.array([3], np.uint8), np.array([NOW_US], np.uint64), np.array([NOW_US], ">i8"), np.array([1], np.uint32))
    found, _ = added(others, FlowBlock(
        "a", 4, NOW_US, records.src, records.dst, np.array([largest]), np.array([3]), rate=np.array([1], np.uint64)))
    assert found == {(0, OWN, 0): [0, 2 * largest, 6, 2]}


def test_blind_rows_are_never_folded(monkeypatch):
    monkeypatch.setattr(tally_module, "LONELY_ROWS", 8)
    made = tally(None)
    made.add([block(*((0x08000000 + at, FARTHER, 10, 1) for at in range(100)))])
    assert (len(made), made.counts) == (101, {})


def test_above_its_bound_records_are_refused_and_counted(monkeypatch):
    monkeypatch.setattr(tally_module, "ROWS_HELD", 10)
    made = tally(None)
    made.add([block(*((0x08000000 + at, FARTHER, 10, 1) for at in range(20)))])
    made.add([block((OWN, FAR, 10, 1), (OWN, FAR, 10, 1))])
    assert (len(made), dict(made.counts)) == (21, {("192.0.2.99", "records_refused_full"): 2})
    made.take()
    made.add([block((OWN, FAR, 10, 1))])
    assert len(made) == 2


# The law: whatever is added, in whatever blocks, the sums are those of record by record.

addresses4 = st.sampled_from([OWN, OTHER, FAR, FARTHER, 0, 2**32 - 1]) | st.integers(0, 2**32 - 1)
addresses6 = (
    st.sampled_from([(0x2001_0DB8 << 32, 1), (0x2001_0DB8 << 32, 2**64 - 1), (0, 0), (0x2001_0DB9 << 32, 1)])
    | addresses4.map(lambda four: (0, MAPPED_LO | four)) | st.tuples(*[st.integers(0, 2**64 - 1)] * 2)
)
amounts = st.integers(0, 9) | st.integers(0, 10**6) | st.sampled_from([2**34 - 1, 2**34, MAX_AMOUNT, MAX_AMOUNT + 1, 2**62])
lengths_us = (
    st.integers(0, 9) | st.integers(0, 10**8) | st.integers(0, 24).map(lambda n: n * SLOT_US) | st.integers(0, 2 * HOUR_US)
    | st.integers(-9, -1)
)
ends_before_us = st.integers(0, 10**8) | st.sampled_from([0, 150_000_000, HOUR_US, HOUR_US + 1, -HOUR_US, -400_000_000])
rates = st.sampled_from([1, 1, UNRATED, UNKNOWN_SAMPLER, 2, 1000, 2**40])
interests = st.sampled_from([
    None, Interest(), KNOWN,
    Interest(("192.0.2.1/32", "2001:db8::/127", "192.0.2.0/31"), (5, 6), (50,), (
        "192.0.2.0/24", "192.0.2.0/32", "2001:db8::/64", "8.0.0.0/8")),
])


@st.composite
def blocks_drawn(draw):
    count = draw(st.integers(0, 12))
    family = draw(st.sampled_from([4, 6]))
    received_us = NOW_US + draw(st.sampled_from([0, 0, -7, 10**6, -5 * HOUR_US]))

    def column(values, kind):
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), kind)

    def perhaps(values, kind):
        return column(values, kind) if draw(st.booleans()) else None

    src, dst = ((column(addresses4, np.uint32), column(addresses4, np.uint32)) if family == 4 else
                (column(addresses6, np.uint64).reshape(-1, 2), column(addresses6, np.uint64).reshape(-1, 2)))
    end_us = received_us - column(ends_before_us, np.int64)
    has_times, has_links = draw(st.sampled_from([True, True, False])), draw(st.booleans())
    return FlowBlock(
        draw(st.sampled_from(["a", "b"])), family, received_us, src, dst, column(amounts, np.int64), column(amounts, np.int64),
        end_us - column(lengths_us, np.int64) if has_times else None, end_us if has_times else None,
        draw(rates) if draw(st.booleans()) else column(rates, np.int64),
        perhaps(st.sampled_from([0, 5, 9]), np.uint64) if has_links else None,
        perhaps(st.sampled_from([0, 6, 9]), np.uint64) if has_links else None,
        perhaps(st.sampled_from([0, 50, 51]), np.uint16) if has_links else None,
        perhaps(st.sampled_from([0, 50, 51]), np.uint16) if has_links else None,
    )


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.lists(blocks_drawn(), max_size=3), max_size=3), interests, st.sampled_from([0, -100_000_000, -1_000_000_000]),
    st.sampled_from([2, 16_384]), st.booleans(),
)
def test_sums_are_those_of_record_by_record(batches, interest, behind_us, at_once, refused):
    before, tally_module.RECORDS_AT_ONCE = tally_module.RECORDS_AT_ONCE, at_once
    made = tally(interest, NOW_US + behind_us)
    try:
        for batch in batches:
            made.add(batch)
            if refused:
                made.put_back(made.take())
    finally:
        tally_module.RECORDS_AT_ONCE = before
    told = [each for batch in batches for each in batch]
    assert as_sums(made.take()) == naive_sums(told, interest, NOW_US + behind_us)
    mended = sum(span_of(each, at, NOW_US + behind_us)[2] for each in told for at in range(len(each.src)))
    assert sum(count for (_, what), count in made.counts.items() if what == "times_mended") == mended
