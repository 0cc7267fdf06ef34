"""The flow tally by itself: nanoseconds of CPU a record, for decoded blocks of 256 datagrams, step by step.

    PYTHONPATH=src python -m bench.flow_tally               some 10 s
    PYTHONPATH=src python -m bench.flow_tally --rounds 3    less

Addresses: one end of each record is one of 10,000 addresses, the other is anyone's.
"""

from __future__ import annotations

import argparse
import ipaddress
import time
from typing import TYPE_CHECKING

import numpy as np
from bench.machine import describe, load
from bench.table import median

from weighbridge.metering.flows.block import FlowBlock
from weighbridge.metering.flows.cells import AMOUNTS, Cells
from weighbridge.metering.flows.ends import Ends
from weighbridge.metering.flows.interest import Interest
from weighbridge.metering.flows.pieces import cut, join, mend_times, scale_up, too_large
from weighbridge.metering.flows.tally import FlowTally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BAR_NS = 80
RECORDS = 256 * 27
"""Of a block: full datagrams hold 24 (NetFlow 9, IPFIX) to 30 records (NetFlow 5)."""
BLOCKS = 10
SLOT_US = 300_000_000
RECEIVED_US = 6_000_000 * SLOT_US + 150_000_000
FIRST = 0x0A00_0000
STEP = 16
"""Own addresses lie so far apart: 10,000 of them fill 2.4 of 256 networks of 16 bits."""
OWN = 10_000
UPPER = 0x2001_0DB8 << 32
"""Of own IPv6 addresses; 32 bits as of an IPv4 address follow, then 64 that are anything."""
LEVELS = {1: 8, 100: 21, 10_000: 28}
"""How many prefixes → of which length; together they hold all own addresses."""


def make_block(chance: np.random.Generator, *, family: int = 4, mean_s: float = 10, rate: int = 1) -> FlowBlock:
    """Records of flows that last `mean_s` on average and ended within half a minute before the receipt."""
    own = (FIRST + chance.integers(0, OWN, RECORDS) * STEP).astype(np.uint32)
    remote = chance.integers(0, 2**32, RECORDS).astype(np.uint32)
    is_sent = chance.random(RECORDS) < 0.5
    src, dst = np.where(is_sent, own, remote), np.where(is_sent, remote, own)
    if family == 6:
        known = np.column_stack((np.uint64(UPPER) | own, chance.integers(0, 2**63, RECORDS, np.uint64)))
        others = chance.integers(0, 2**63, (RECORDS, 2), np.uint64)
        others[:, 0] = others[:, 0] >> np.uint64(2) | np.uint64(0x2000 << 48)  # all that is given out lies in 2000::/3
        src, dst = (np.where(mask[:, np.newaxis], known, others) for mask in (is_sent, ~is_sent))
    end_us = RECEIVED_US - chance.integers(0, 30_000, RECORDS) * 1000
    start_us = end_us - (chance.exponential(mean_s, RECORDS) * 1e3).astype(np.int64) * 1000
    octets, packets = chance.integers(40, 10**6, RECORDS), chance.integers(1, 1000, RECORDS)
    return FlowBlock("192.0.2.1", family, RECEIVED_US, src, dst, octets, packets, start_us, end_us, rate)


def make_prefixes(count: int, family: int = 4) -> tuple[str, ...]:
    """So many prefixes that hold the own addresses."""
    length = LEVELS[count]
    firsts = (FIRST + number * 2 ** (32 - length) for number in range(count))
    if family == 4:
        return tuple(f"{ipaddress.IPv4Address(first)}/{length}" for first in firsts)
    return tuple(f"{ipaddress.IPv6Address((UPPER | first) << 64)}/{32 + length}" for first in firsts)


def measure_ns(steps: Sequence[Callable[[], object]], rounds: int) -> float:
    """CPU time of all steps, each over one block, by record: the median of some rounds."""
    for step in steps:
        step()
    found = []
    for _ in range(rounds):
        begin_s = time.process_time()
        for step in steps:
            step()
        found.append((time.process_time() - begin_s) / len(steps) / RECORDS * 1e9)
    return median(found)


def measure_whole(blocks: list[FlowBlock], interest: Interest | None, rounds: int) -> float:
    """Everything: `add`."""
    tally = FlowTally(lambda: interest, lambda: RECEIVED_US)
    found = measure_ns([lambda block=block: tally.add([block]) for block in blocks], rounds)
    tally.take()
    return found


def measure_steps(blocks: list[FlowBlock], interest: Interest, rounds: int) -> dict[str, float]:
    """The steps of it, one by one."""
    ends = Ends(interest)
    joined = [join([block]) for block in blocks]
    cells = Cells(1)
    keys = [np.where(ends.find(block.src) > 0, block.src, block.dst).astype(np.uint64) for block in blocks]

    def sum_up(block: FlowBlock, key: np.ndarray) -> None:
        numbers = cells.find([key])
        for name in AMOUNTS[1:]:
            cells.add(name, numbers, block.octets)

    return {
        "prefixes": measure_ns([lambda b=b: (ends.find(b.src), ends.find(b.dst)) for b in blocks], rounds),
        "times": measure_ns([lambda r=r: mend_times(r, RECEIVED_US) for r in joined], rounds),
        "amounts": measure_ns([lambda r=r: (too_large(r), scale_up(r)) for r in joined], rounds),
        "slots": measure_ns([lambda r=r: cut(r, np.uint64(0)) for r in joined], rounds),
        "sums": measure_ns([lambda b=b, k=k: sum_up(b, k) for b, k in zip(blocks, keys, strict=True)], rounds),
    }


def main() -> None:
    """Prints a line for each case."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=9)
    rounds = arguments.parse_args().rounds
    chance = np.random.default_rng(1)
    print(f"{describe()}\nload {load()}; ns of CPU a record, medians of {rounds}; bar {BAR_NS}")
    blocks = [make_block(chance) for _ in range(BLOCKS)]
    for count in LEVELS:
        interest = Interest(make_prefixes(count))
        steps = measure_steps(blocks, interest, rounds)
        told = ", ".join(f"{name} {figure:.1f}" for name, figure in steps.items())
        print(f"IPv4, {count:>6,} prefixes: {measure_whole(blocks, interest, rounds):6.1f}   of it {told}")
    interest = Interest(make_prefixes(10_000))
    for name, made in (
        ("a tenth cross slots", {"mean_s": 60}), ("half cross slots", {"mean_s": 200}), ("sampled 1 in 1,000", {"rate": 1000}),
    ):
        others = [make_block(chance, **made) for _ in range(BLOCKS)]
        print(f"IPv4, 10,000, {name}: {measure_whole(others, interest, rounds):.1f}")
    print(f"IPv4, nobody knows any: {measure_whole(blocks[:3], None, 3):.1f}")
    sixes = [make_block(chance, family=6) for _ in range(BLOCKS)]
    for count in LEVELS:
        print(f"IPv6, {count:>6,} prefixes: {measure_whole(sixes, Interest(make_prefixes(count, 6)), rounds):6.1f}")


if __name__ == "__main__":
    main()
