"""Python environments for clients whose packages must not meet ours, one for each lock file of tests/clients/environments."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from support.alone import alone
from support.node import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = FOLDER / "environments"
MADE = FOLDER / ".environments"
INSTALL_S = 240
"""How long pip may take for the thirty packages of one environment."""
WAIT_S = 2 * INSTALL_S
"""How long another process may be making the same environment."""

_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--require-hashes", "-r")


def python_of(name: str) -> Path:
    """The interpreter of an environment that holds what tests/clients/environments/NAME.lock lists, exactly these."""
    folder = MADE / name
    python = folder / "bin/python"
    wanted = _fingerprint(name)
    with alone(MADE / f"{name}.lock", WAIT_S):
        stamp = folder / ".installed"
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(python), *_PIP, str(LOCKS / f"{name}.lock")])
            stamp.write_text(wanted)
    return python


def _fingerprint(name: str) -> str:
    """What the environment depends on: the lock, where it lies, the interpreter."""
    parts = ((LOCKS / f"{name}.lock").read_bytes(), str(MADE).encode(), sys.version.encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
