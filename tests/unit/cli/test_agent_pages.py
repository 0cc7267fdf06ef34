"""The pages on agents and on this machine's interfaces say what the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from weighbridge.cli import agent
from weighbridge.sources.host.choice import LOOPBACK
from weighbridge.sources.host.settings import HostSettings
from weighbridge.spool import delivery, outbox, wire

DOCS = Path(__file__).parents[3] / "docs"
AGENTS = (DOCS / "agents.md").read_text("utf-8")
HOST = (DOCS / "host.md").read_text("utf-8")


def test_the_page_on_agents_says_their_bounds():
    said = (
        f"after {delivery.FIRST_WAIT_S:g} to {delivery.LONGEST_WAIT_S:g} seconds",
        f"bounds it ({outbox.SPOOL_BYTES // 2**20} MiB",
        "asked for every minute", "A log line a minute", "of five seconds at most",
    )
    assert [words for words in said if words not in AGENTS] == []
    assert (agent.INTEREST_S, agent.STATUS_S, agent.LAST_S) == (60, 60, 5)
    internals = (DOCS / "internals.md").read_text("utf-8")
    assert f"an agent's body | {wire.MAX_READINGS:,}, {wire.MAX_ROWS:,}, and 16 MiB decoded" in internals


def test_the_page_on_interfaces_says_every_key_and_its_examples_are_right():
    for name in HostSettings.__struct_fields__:
        assert f"| `{name}` |" in HOST
    examples = re.findall(r"```toml\n(.*?)```", HOST, re.DOTALL)
    assert examples
    for written in examples:
        for table in tomllib.loads(written)["sources"]["host"]:
            msgspec.convert(table, HostSettings)
    assert HostSettings(server="x").interval_s == 10
    assert (LOOPBACK, "| loopback |" in HOST) == ("lo", True)
