"""`weighbridge collect host` against a real server, and `serve` with tables of the host source."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.process import ADMIN, Server
from weighbridge.cli.failures import FAILURE, OK, USAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT_S = 60.0
CATALOG = {
    "regions": [{"id": "r1", "slug": "brazil", "name": "Brazil"}],
    "organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "projects": [{"id": "p1", "slug": "p", "servers": [
        {"id": name, "hostname": name, "region": "brazil"} for name in ("sv_1", "sv_2")]}]}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("agents") / "data") as running:
        with running.client() as client:
            client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        yield running
        assert running.stop() == 0


class Shell:
    """Runs agents in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        self.environment = kept | {"XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder)}
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *args: str, key: str = ADMIN) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "weighbridge", "collect", *args]
        with (self.folder / "err").open("w") as err:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment | {"WEIGHBRIDGE_KEY": key}, text=True,
                stdout=subprocess.PIPE, stderr=err,
            )
        self.running.append(process)
        return process

    def said(self) -> str:
        return (self.folder / "err").read_text()

    def end(self, process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> int:
        process.send_signal(how)
        process.communicate(timeout=WAIT_S)
        return process.returncode


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    for process in shell.running:
        process.kill()
        process.communicate(timeout=WAIT_S)


def until(holds: Callable[[], bool], said: Callable[[], str] = str) -> None:
    end_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end_s, said()
        time.sleep(0.1)


def readings(server: Server, of: str) -> int:
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    wanted = f'weighbridge_source_total{{exporter="{of}",source="host",what="readings"}} '
    return round(sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)))


def test_an_agent_collects_and_ends_cleanly(server, shell):
    process = shell.start("host", "--server", "sv_1", "--interval-s", "1", "--interfaces", "*", "--to", server.url)
    until(lambda: readings(server, "sv_1") >= 2, shell.said)
    assert shell.end(process) == OK
    assert ", 0 bodies wait (0 bytes)" in shell.said().splitlines()[-1]
    folder = shell.folder / "state" / "weighbridge" / "agents" / "host"
    assert sorted(path.name for path in folder.iterdir()) == ["interest.json", "outbox.lock", "outbox.sqlite", "source"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_a_server_it_spools_and_later_catches_up(server, shell):
    state = ("--state", str(shell.folder / "spool"), "--server", "sv_2", "--interval-s", "1", "--interfaces", "*")
    process = shell.start("host", *state, "--to", "http://127.0.0.1:9")
    until(lambda: "delivery_waits" in shell.said(), shell.said)
    time.sleep(2.5)
    began_s = time.monotonic()
    assert shell.end(process) == OK
    assert time.monotonic() - began_s < 10
    assert readings(server, "sv_2") == 0
    before = shell.said().splitlines()[-1]
    assert "host: " in before
    assert " 0 bodies delivered" in before
    process = shell.start("host", *state, "--to", server.url)
    until(lambda: readings(server, "sv_2") >= 4, shell.said)
    assert shell.end(process, signal.SIGINT) == OK


def test_a_wrong_key_is_told_at_once_and_nothing_is_lost(server, shell):
    args = ("host", "--server", "sv_1", "--interval-s", "1", "--interfaces", "*", "--to", server.url)
    process = shell.start(*args, key="wrong")
    until(lambda: "wants a valid key" in shell.said(), shell.said)
    assert "what is collected waits on this disk" in shell.said()
    until(lambda: "waiting=2" in shell.said(), shell.said)
    assert process.poll() is None
    assert shell.end(process) == OK
    before = readings(server, "sv_1")
    process = shell.start(*args)
    until(lambda: readings(server, "sv_1") >= before + 3, shell.said)
    assert shell.end(process) == OK


def test_a_folder_has_one_agent(server, shell):
    args = ("host", "--server", "sv_1", "--to", server.url)
    first = shell.start(*args)
    until(lambda: "collecting" in shell.said(), shell.said)
    second = shell.start(*args)
    second.communicate(timeout=WAIT_S)
    assert second.returncode == FAILURE
    assert f"process {first.pid} collects already" in shell.said()
    assert shell.end(first) == OK


@pytest.mark.parametrize(("args", "told"), [
    (("host",), "missing required field `server`"),
    (("host", "--server", "a", "--facing", "up"), "'up' is not one of"),
    (("host", "--server", "a", "--interval-s", "0"), "interval_s"),
    (("host", "--config", "weighbridge.toml", "--server", "a"), "contradict each other"),
    (("host", "--server", "a", "--to", "ftp://x"), "is not the URL of a server"),
    (("nonsense",), "No such command 'nonsense'"),
])
def test_wrong_usage_is_2(shell, args, told):
    (shell.folder / "weighbridge.toml").write_text("[sources.host]\nserver = 'sv_1'\n")
    process = shell.start(*args)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == USAGE
    assert told in shell.said()


def test_a_file_has_several_tables(server, shell):
    (shell.folder / "agent.toml").write_text(
        "[[sources.host]]\nserver = 'sv_1'\ninterfaces = ['*']\nexclude = ['veth*']\ninterval_s = 1\n"
        "[[sources.host]]\nserver = 'sv_2'\ninterfaces = ['veth*']\nfacing = 'server'\n")
    before = readings(server, "sv_1")
    process = shell.start("host", "--config", "agent.toml", "--to", server.url)
    until(lambda: readings(server, "sv_1") > before, shell.said)
    assert shell.end(process) == OK


def test_serve_meters_what_its_tables_say_and_tells_what_is_in_trouble(tmp_path):
    (tmp_path / "weighbridge.toml").write_text(
        "host_interval_s = 1\n[sources.host]\nserver = 'sv_1'\ninterfaces = ['*']\ninterval_s = 1\n")
    server = Server(tmp_path / "data", ("--config", str(tmp_path / "weighbridge.toml")))
    with server:
        with server.client() as client:
            client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
            assert "local" not in [each["id"] for each in client.get("/api/v1/organizations").json()["data"]]
            assert client.get("/readyz").json()["parts"].get("source host") is None
        until(lambda: readings(server, "sv_1") >= 3)
        assert server.stop() == 0
    assert (tmp_path / "data" / "collectors" / "host" / "host.json").exists()


def test_this_machine_is_metered_by_default(tmp_path):
    server = Server(tmp_path / "data", ("--host-interval-s", "1"))
    with server:
        until(lambda: readings(server, "sv_local") >= 2)
        with server.client() as client:
            query = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "window": "total", "group_by": "server"}
            rows = client.get("/api/v1/usage", params=query).raise_for_status().json()["data"]
        assert [row["server"] for row in rows] == ["sv_local"]
        assert server.stop() == 0
