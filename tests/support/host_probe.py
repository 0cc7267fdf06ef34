"""A host collector in a process of its own: polls at each line of its input, prints what it handed in, as agents send it.

    python host_probe.py FOLDER TABLES     TABLES: JSON, a list of tables of [[sources.host]]
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import msgspec

from weighbridge.app.clock import SystemClock
from weighbridge.app.logs import set_up_log
from weighbridge.collected import Collected
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.host.listen import HostCollector
from weighbridge.sources.host.settings import HostSettings
from weighbridge.spool.wire import encode

AGENT = "0f7e5b1c-9f0b-4c4e-8e86-2d9c7b6a5f10"


def main() -> None:
    set_up_log("info", "text")
    tables = tuple(msgspec.convert(table, HostSettings) for table in json.loads(sys.argv[2]))
    handed: list[Collected] = []
    surroundings = Surroundings(handed.append, SystemClock(), Path(sys.argv[1]), lambda: None)
    collector = HostCollector(tables, surroundings)
    for _ in sys.stdin:
        handed.clear()
        collector.poll()
        body = encode(handed[0] if handed else Collected("host"), AGENT, 1)
        sys.stdout.write(base64.b64encode(body).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
