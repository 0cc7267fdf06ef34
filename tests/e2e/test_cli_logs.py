"""`weighbridge import log` and `weighbridge collect log` against a real server."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from support.answers import Reply, answering
from support.process import ADMIN, Server
from weighbridge.cli.failures import AUTH, FAILURE, OK, UNREACHABLE, USAGE
from weighbridge.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

CATALOG = {"organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "apps": [
    {"id": n, "name": f"app {n}", "client_id": f"76b5cb91-a0a4-4ea0-a894-57d2b9fcb2{n:02}"} for n in range(1, 12)]}]}
WAIT_S = 60.0


@dataclass
class Ran:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("logs") / "data") as running:
        with running.client() as client:
            client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        yield running
        assert running.stop() == 0


@pytest.fixture
def shell(server, tmp_path):
    return Shell(server.url, tmp_path)


class Shell:
    """Runs commands in a folder of their own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        self.environment = kept | {"XDG_STATE_HOME": str(folder / "state"), "WEIGHBRIDGE_KEY": ADMIN}

    def command(self, *args: str, url: str | None = None) -> list[str]:
        return [sys.executable, "-m", "weighbridge", *args, "--url", url or self.url]

    def run(self, *args: str, url: str | None = None, key: str = ADMIN) -> Ran:
        """The command to its end: an import in this process, a collector, which has signals and a log, in its own."""
        environment = self.environment | {"WEIGHBRIDGE_KEY": key}
        command = self.command(*args, url=url)
        if args[0] == "import":
            out, err = io.StringIO(), io.StringIO()
            with (
                mock.patch.dict(os.environ, environment, clear=True),
                contextlib.chdir(self.folder),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = run(command[3:])
            return Ran(code, out.getvalue(), err.getvalue())
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=WAIT_S
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        output = (self.folder / "output").open("ab")
        with output:
            return subprocess.Popen(
                self.command(*args), cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )

    def write(self, name: str, count: int, more: str = "", first: int = 0) -> int:
        """Lines of a log; their bytes."""
        at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        lines = [f'192.0.2.1 - u{n % 3} [{at}] "GET /{n} HTTP/1.1" 200 {n} "-" "t"\n' for n in range(first, first + count)]
        with (self.folder / name).open("a") as file:
            file.write("".join(lines) + more)
        return sum(range(first, first + count))


def usage(server, app: int) -> tuple[int, int]:
    time.sleep(1.0)  # accepted usage is in every answer within one second
    query = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "window": "total", "app": app}
    with server.client() as client:
        (row,) = client.get("/api/v1/usage", params=query).raise_for_status().json()["data"]
    return row["requests"], row["bytes_out"]


def imported(ran: Ran) -> list[dict]:
    return json.loads(ran.stdout)


def test_importing_logs_again_grown_renamed_and_compressed(server, shell):
    amount = shell.write("access.log", 5000, "no line at all\n")
    asked = ("import", "log", "--app", "1", "--consumer", "$remote_user", "--format", "json")
    first = shell.run(*asked, "access.log")
    assert first.returncode == FAILURE
    (row,) = imported(first)
    expected = {"file": "access.log", "lines": 5001, "counted": 5000, "bad": 1, "unmatched": 0, "blank": 0,
                "duplicates": 0, "rejected": 0}
    assert {name: row[name] for name in expected} == expected
    assert row["accepted"] in (3, 6)  # three consumers, in one slot or in two
    assert "access.log: line 5,001 is bad, " in first.stderr
    assert usage(server, 1) == (5000, amount)

    amount += shell.write("access.log", 10, first=5000)
    (shell.folder / "access.log").rename(shell.folder / "access.log.1")
    grown = shell.run(*asked, "access.log.1")
    assert (grown.returncode, imported(grown)[0]["lines"]) == (OK, 10)
    assert "going on behind line 5,001" in grown.stderr
    (shell.folder / "x.gz").write_bytes(gzip.compress((shell.folder / "access.log.1").read_bytes()))
    again = shell.run(*asked, "x.gz", "access.log.1")
    assert [each["lines"] for each in imported(again)] == [0, 0]
    assert usage(server, 1) == (5010, amount)


def test_importing_a_file_without_knowing_of_it_makes_the_same_ids(server, shell):
    amount = shell.write("access.log", 3000)
    asked = ("import", "log", "--app", "2", "--format", "json", "access.log")
    shell.run(*asked)
    shell.environment["XDG_STATE_HOME"] = str(shell.folder / "another machine")
    (row,) = imported(shell.run(*asked))
    assert (row["lines"], row["accepted"]) == (3000, 0)
    assert row["duplicates"] > 0
    assert usage(server, 2) == (3000, amount)


def test_an_import_into_an_app_that_is_not_there_can_be_mended(server, shell):
    shell.write("access.log", 10)
    wrong = shell.run("import", "log", "--app", "99", "access.log")
    assert (wrong.returncode, wrong.stdout) == (FAILURE, "")
    assert "no app 99; enter it into the catalog first" in wrong.stderr
    assert shell.run("import", "log", "--app", "3", "access.log").returncode == OK
    assert usage(server, 3) == (10, 45)


def test_a_cut_file_is_told_and_the_others_are_imported(server, shell):
    shell.write("a.log", 5)
    shell.write("b.log", 7, first=100)
    (shell.folder / "a.gz").write_bytes(gzip.compress((shell.folder / "a.log").read_bytes())[:-4])
    ran = shell.run("import", "log", "--app", "4", "a.gz", "b.log", "--format", "json")
    assert ran.returncode == FAILURE
    assert "a.gz: the file ends before its compressed content does" in ran.stderr
    assert imported(ran)[1]["counted"] == 7


@pytest.mark.parametrize(("args", "says"), [
    (("import", "log", "a.log"), "give app, space or rules"),
    (("import", "log", "a.log", "--app", "1", "--space", "2"), "keep one of the two"),
    (("import", "log", "a.log", "--app", "1", "--log-format", "comined"), "none of common, combined"),
    (("import", "log", "a.log", "--app", "1", "--field", "time"), "write FIELD=KEY"),
    (("import", "log", "a.log", "--rules", "not.toml"), "it must be TOML"),
    (("collect", "log", "a.log", "--app", "1", "--from-start", "--from-end"), "contradict each other"),
    (("collect", "log", "a.log", "--rules", "two.toml"), "no [[sources.log]] has path"),
])
def test_wrong_words(shell, args, says):
    shell.write("a.log", 1)
    (shell.folder / "not.toml").write_text("nonsense")
    (shell.folder / "two.toml").write_text('[[sources.log]]\npath = "b.log"\n[[sources.log]]\npath = "c.log"\n')
    ran = shell.run(*args)
    assert ran.returncode == USAGE
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


def test_nothing_answers(shell):
    shell.write("a.log", 1)
    for args in (("import", "log", "a.log", "--app", "1"), ("collect", "log", "a.log", "--app", "1", "--once")):
        assert shell.run(*args, url="http://127.0.0.1:1").returncode == UNREACHABLE


def test_a_wrong_key_ends_the_collector_at_once_and_loses_nothing(server, shell):
    shell.write("access.log", 10)
    ran = shell.run("collect", "log", "access.log", "--app", "5", key="wrong")
    assert ran.returncode == AUTH
    assert shell.run("collect", "log", "access.log", "--app", "5", "--once").returncode == OK
    assert usage(server, 5) == (10, 45)


def test_collecting_once_with_rules_of_a_file(server, shell):
    amount = shell.write("access.log", 100, "bad\n")
    (shell.folder / "weighbridge-logs.toml").write_text(
        '[[sources.log]]\npath = "access.log"\nformat = "combined"\n'
        'rules = [{prefix = "/5", app = 6}, {prefix = "/", app = 7}]\n'
    )
    args = ("collect", "log", "access.log", "--rules", "weighbridge-logs.toml", "--state", "place", "--once")
    first = shell.run(*args)
    assert first.returncode == FAILURE  # a line was bad
    assert "access.log: 101 lines, 1 bad, 2 sums accepted" in first.stderr
    again = shell.run(*args)
    assert again.returncode == OK
    assert [path.suffix for path in sorted((shell.folder / "place").iterdir())] == [".lock", ".sqlite"]
    six, seven = usage(server, 6), usage(server, 7)
    assert six == (11, 5 + sum(range(50, 60)))
    assert (six[0] + seven[0], six[1] + seven[1]) == (100, amount)


def test_the_collector_follows_and_ends_when_it_is_told_to(server, shell):
    amount = shell.write("access.log", 50)
    process = shell.start("collect", "log", "access.log", "--app", "8")
    try:
        wait_for(lambda: usage(server, 8)[0] == 50)
        (shell.folder / "access.log").rename(shell.folder / "access.log.1")
        amount += shell.write("access.log.1", 3, first=50)
        amount += shell.write("access.log", 4, first=60)
        wait_for(lambda: usage(server, 8)[0] == 57)
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_S) == OK
    assert usage(server, 8) == (57, amount)
    assert "access.log: 57 lines, " in (shell.folder / "output").read_text()
    assert "Traceback" not in (shell.folder / "output").read_text()


def test_a_second_collector_of_the_same_log_is_refused(shell):
    shell.write("access.log", 1)
    process = shell.start("collect", "log", "access.log", "--app", "9")
    try:
        wait_for(lambda: "collecting" in (shell.folder / "output").read_text())
        ran = shell.run("collect", "log", "access.log", "--app", "9")
        assert ran.returncode == FAILURE
        assert f"process {process.pid} follows this log already" in ran.stderr
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == OK


def test_a_busy_server_is_tried_again(server, shell):
    """It answers 503, then nothing, then as it should, though the answer is lost once."""
    amount = shell.write("access.log", 10)
    script = ["busy", "gone", "lost", "well"]

    def answer(asked):
        if asked.method == "GET":
            return Reply()
        step = script.pop(0)
        if step == "busy":
            return Reply(503, b"{}", {"Retry-After": "1"})
        if step == "gone":
            return None
        with server.client() as client:
            headers = {name: asked.headers[name] for name in ("content-type", "content-encoding")}
            found = client.post("/api/v1/events", content=asked.body, headers=headers)
        return None if step == "lost" else Reply(found.status_code, found.content)

    with answering(answer) as url:
        ran = shell.run("collect", "log", "access.log", "--app", "10", "--once", url=url)
    assert ran.returncode == OK, ran.stderr
    assert script == []
    assert usage(server, 10) == (10, amount)


def wait_for(holds) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
