"""Each decoder under a bounded run of its harness, in a process of its own; `run.py` looks longer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TARGETS = (
    "events", "hub_sync", "hub_startup", "body", "snappy", "write_v1", "write_v2", "query", "paths", "instants", "token",
    "catalog", "log", "collected", "interest", "net_dev", "journal", "otlp_json", "otlp_protobuf", "otlp_logs", "sflow",
    "netflow", "snmp", "wireguard", "openvpn_status", "openvpn_socket",
)
RUNS = 3000
"""Inputs for each target: a second or two with what watching branches costs."""


def run(target: str, crashes: Path, *more: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "run.py"), target, "--seconds", "20", "--crashes", str(crashes), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_breaks_a_decoder(target: str, tmp_path: Path) -> None:
    ended = run(target, tmp_path, "--runs", str(RUNS))
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert list(tmp_path.iterdir()) == []


PLANTED = """
from types import SimpleNamespace

def check(data):
    if data.count(b"%") > 2:
        raise ValueError(data)

TARGETS = {"planted": SimpleNamespace(check=check, seeds=(b"a%b",))}
"""


@pytest.mark.parametrize("how", [[], ["--plain"]])
def test_a_planted_fault_is_found(tmp_path: Path, how: list[str]) -> None:
    folder, crashes = tmp_path / "fuzz", tmp_path / "crashes"
    folder.mkdir()
    crashes.mkdir()
    shutil.copy(FOLDER / "run.py", folder)
    (folder / "targets.py").write_text(PLANTED)
    ended = run("planted", crashes, *how, folder=folder)
    assert ended.returncode not in (0, 2), ended.stderr[-3000:]
    assert "ValueError" in ended.stdout + ended.stderr
    kept = [path.read_bytes() for path in crashes.iterdir()]
    assert [data.count(b"%") > 2 for data in kept] == [True]


def test_every_target_is_run_here(tmp_path: Path) -> None:
    ended = run("none", tmp_path)
    assert ended.returncode == 2
    assert tuple(ended.stderr.strip().partition("there are: ")[2].split()) == TARGETS
