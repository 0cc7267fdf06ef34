"""`weighbridge reconciliation`, against the routes that it asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from support.answers import Asked, Reply, answering
from support.asking import get
from support.kit import ADMIN
from support.reconciled import HQ, SV_1, SV_2, world_of_both
from weighbridge.cli import client
from weighbridge.cli.reconciliation import command

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DAY = ("--from", "2025-12-14", "--to", "2025-12-15")


def ask(tmp_path: Path, *words: str) -> Result:
    world = world_of_both()

    def reply(asked: Asked) -> Reply:
        answer = get(asked.path, asked.headers["authorization"].removeprefix("Bearer "), world)
        return Reply(answer.status_code, answer.content)

    with answering(reply) as url:
        return CliRunner().invoke(command, [*DAY, *words, "--url", url, "--key", ADMIN, "--data", str(tmp_path)])


def test_every_thing_of_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGE_ITEMS", 1)
    found = ask(tmp_path, "--format", "json")
    assert json.loads(found.stdout) == [SV_1, SV_2, HQ]


def test_a_row_a_thing(tmp_path: Path) -> None:
    assert ask(tmp_path, "--format", "csv", "--region", "chile").stdout.splitlines() == [
        "server,vpn,billed,via,counters_in,counters_out,flows_in,flows_out,difference_in,difference_out,percent",
        "sv_1,,flows,interfaces,100,0,110,0,10,0,10.0",
        "sv_2,,flows,host,4,,5,6,1,,25.0",
    ]
    assert "-10.79" in ask(tmp_path, "--server", "sv_1").stdout
