"""`weighbridge snmp walk`: the names that an operator writes into the catalog."""

from __future__ import annotations

import json

import pytest

from support.snmp_agent import Agent, Port, Serving
from weighbridge.cli.failures import OK, UNREACHABLE, USAGE
from weighbridge.cli.main import run


@pytest.fixture
def port(monkeypatch, tmp_path):
    monkeypatch.setenv("COMMUNITY", "public")
    monkeypatch.chdir(tmp_path)
    agent = Agent()
    agent.table({
        4: Port("ge-0/0/1", (5, 6), (5, 6), alias="to sv_1"), 5: Port("old", None, (7, 8), speed=0, status=2),
        6: Port("twin", (1, 1)), 7: Port("twin", (2, 2)),
    }, up_ticks=500)
    with Serving(agent) as serving:
        yield serving.ports[0]


def test_a_device_by_its_address(port, capsys):
    assert run(["snmp", "walk", "--address", f"127.0.0.1:{port}", "--community-env", "COMMUNITY", "--format", "json"]) == OK
    rows = json.loads(capsys.readouterr().out)
    assert rows[0] == {"name": "ge-0/0/1", "alias": "to sv_1", "up": True, "mbps": 1000, "bits": 64, "bytes_in": 5,
                       "bytes_out": 6, "index": 4, "note": ""}
    assert [(row["name"], row["up"], row["mbps"], row["bits"], row["bytes_in"]) for row in rows[1:2]] == [
        ("old", False, None, 32, 7)]
    assert [bool(row["note"]) for row in rows] == [False, False, True, True]


def test_a_device_of_the_settings(port, tmp_path, capsys):
    (tmp_path / "weighbridge.toml").write_text(
        f'[[sources.snmp]]\ndevice = "tor-1"\naddress = "127.0.0.1:{port}"\n'
        'community_env = "COMMUNITY"\ninterfaces = ["ge-*"]\n')
    assert run(["snmp", "walk", "tor-1"]) == OK
    shown = capsys.readouterr().out
    assert "ge-0/0/1" in shown
    assert "twin" not in shown


@pytest.mark.parametrize(("arguments", "code", "told"), [
    ([], USAGE, "name a device of the settings, or give --address"),
    (["tor-1"], USAGE, "there is no [[sources.snmp]]"),
    (["tor-1", "--user", "wb"], USAGE, "--user goes with --address"),
    (["--address", "192.0.2.1"], USAGE, "community_env or community_file is missing"),
    (["--address", "127.0.0.1", "--community-env", "NO_SUCH"], USAGE, "the variable NO_SUCH is not set"),
    (["--address", "127.0.0.1:1", "--community-env", "COMMUNITY"], UNREACHABLE, "nothing listens at its port"),
])
def test_what_is_wrong_is_told(port, arguments, code, told, capsys):
    assert run(["snmp", "walk", *arguments]) == code
    assert told in capsys.readouterr().err
