"""The command itself: help, exit codes, quiet ends."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from weighbridge.cli import main as program
from weighbridge.cli.failures import INTERRUPTED, PIPE_CLOSED, USAGE
from weighbridge.cli.main import COMMANDS, run
from weighbridge.cli.reference import commands
from weighbridge.domain.errors import InvalidInputError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("httpx", "rich", "duckdb", "numpy", "sqlalchemy", "uvicorn", "starlette")
SCRIPT = "import sys; from weighbridge.cli.main import run; code = run(sys.argv[1:]); "


def python(script: str, *args: str, **more: object) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
    return subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, check=False, env=environ, **more
    )  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "args", [["--help"], ["serve", "--help"], ["usage", "--help"], ["import", "--help"], ["demo", "-h"]]
)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    script = SCRIPT + f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    ran = python(script, *args)
    assert (ran.returncode, ran.stderr.strip()) == (0, "[]")
    assert "Usage: weighbridge" in ran.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["--nonsense"],
        ["nonsense"],
        ["usage", "--window", "2h"],
        ["usage", "--from"],
        ["percentile", "--p", "100"],
        ["import"],
        ["import", "absent.csv"],
        ["keys", "create"],
        ["serve", "--port", "eighty"],
        ["usage", "--from", "nonsense"],
        ["usage", "--time-zone", "Mars/Olympus"],
        ["export", "--format", "parquet"],
        ["export", "--output", "x.doc"],
        ["usage", "--url", "ftp://x"],
        ["config", "show", "--config", "absent.toml"],
        ["demo", "--months", "0"],
    ],
)
def test_wrong_usage_is_2(args: list[str], tmp_path: Path) -> None:
    ran = python(SCRIPT + "sys.exit(code)", *args, cwd=tmp_path)
    assert ran.returncode == USAGE
    assert ran.stdout == "" or args == ["import"]
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["serve", "config show", "doctor", "demo"])
def test_wrong_settings_are_2_wherever_they_are_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text("prot = 1")
    ran = python(SCRIPT + "sys.exit(code)", *name.split(), cwd=tmp_path)
    assert ran.returncode == USAGE
    assert ran.stderr == "weighbridge: weighbridge.toml: prot: there is no such setting; did you mean port?\n"
    assert [path.name for path in tmp_path.iterdir()] == ["weighbridge.toml"]


def test_errors_of_the_house_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ending(error: BaseException) -> int:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(program.cli, "get_command", lambda _ctx, _name: command)
        return run(["anything"])

    assert ending(InvalidInputError("no good")) == USAGE
    assert ending(StorageError("no disk")) == 1
    assert ending(PermissionError(13, "Permission denied", "out.csv")) == 1
    assert ending(KeyboardInterrupt()) == INTERRUPTED
    assert ending(click.Abort()) == INTERRUPTED
    assert capsys.readouterr().err.split("\n") == [
        "weighbridge: no good",
        "weighbridge: no disk",
        "weighbridge: out.csv: Permission denied",
        "",
        "",
    ]


def test_a_closed_pipe_ends_it_quietly() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", "from weighbridge.cli.main import main; main()", "config", "show"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (ran.returncode, ran.stderr) == (PIPE_CLOSED, "")


def test_every_command_can_be_imported_and_has_its_name() -> None:
    assert [name for name, _ in commands() if name.count(" ") == 1] == [f"weighbridge {name}" for name in COMMANDS]


def test_config_show_tells_sources(tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text("host = '0.0.0.0'")
    ran = python(SCRIPT + "sys.exit(code)", "config", "show", "--port", "9", "--format", "csv", cwd=tmp_path)
    lines = ran.stdout.splitlines()
    assert lines[0] == "setting,value,source"
    assert "port,9,--port" in lines
    assert "host,0.0.0.0,weighbridge.toml: host" in lines
    assert "log_level,info,default" in lines
