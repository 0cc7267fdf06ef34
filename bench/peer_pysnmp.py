"""The same devices by pysnmp: what to poll comes on stdin, what it cost goes to stdout. Needs pysnmp 7 and nothing else."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from itertools import cycle
from typing import TYPE_CHECKING

from pysnmp.hlapi.v3arch.asyncio import (
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    UdpTransportTarget,
    bulk_cmd,
    get_cmd,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
COLUMNS = [f"1.3.6.1.2.1.31.1.1.1.{column}" for column in (1, 6, 10, 15, 19)]
ROWS_AT_ONCE = 8


async def poll(engine: SnmpEngine, target: UdpTransportTarget) -> int:
    """Uptime, then the five columns together; how many rows there were."""
    community, context = CommunityData("public"), ContextData()
    await get_cmd(engine, community, target, context, ObjectType(ObjectIdentity(SYS_UP_TIME)), lookupMib=False)
    names = list(COLUMNS)
    rows = 0
    while True:
        asked = [ObjectType(ObjectIdentity(name)) for name in names]
        error, status, _, found = await bulk_cmd(
            engine, community, target, context, 0, ROWS_AT_ONCE, *asked, lookupMib=False)
        assert not error, error
        assert not status, status
        for place in range(0, len(found), len(COLUMNS)):
            names = [str(each[0]) for each in found[place : place + len(COLUMNS)]]
            if not names[0].startswith(f"{COLUMNS[0]}."):
                return rows
            figures = [int(each[1]) for each in found[place + 1 : place + 4]]
            assert len(figures) == 3
            rows += 1


async def work(engine: SnmpEngine, targets: Iterator[UdpTransportTarget], interfaces: int, until_s: float) -> int:
    polls = 0
    while time.monotonic() < until_s:
        assert await poll(engine, next(targets)) == interfaces
        polls += 1
    return polls


def used_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main() -> None:
    asked = json.load(sys.stdin)
    engine = SnmpEngine()
    targets = cycle([await UdpTransportTarget.create(("127.0.0.1", port), timeout=5) for port in asked["ports"]])
    cpu_s, began = used_s(), time.monotonic()
    until_s = began + asked["seconds"]
    polls = await asyncio.gather(*(work(engine, targets, asked["interfaces"], until_s) for _ in range(asked["at_once"])))
    json.dump({"polls": sum(polls), "seconds": time.monotonic() - began, "cpu_s": used_s() - cpu_s}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
