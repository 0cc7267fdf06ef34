#!/usr/bin/env python3
"""Everything a person does with this checkout. Needs Python 3.11 or newer with pip, and nothing else.

    python3 dev.py serve [ARGS]    the server, on this machine's own traffic (ARGS go to `weighbridge serve`)
    python3 dev.py test [ARGS]     the whole test suite (ARGS go to pytest)
    python3 dev.py check           ruff, mypy, import-linter, the tidy test
    python3 dev.py bench [ARGS]    the benchmarks, each beside its peer
    python3 dev.py run ARGS        any weighbridge command
    python3 dev.py lock            makes the lock files anew (needs uv)

The environment is made in .venv on first use and again when a lock file changes; what is installed is pinned by hash.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
OLDEST = (3, 11)
BY_MODULE = ("--dist", "loadscope", "--no-loadscope-reorder")
"""Tests of a module share what they set up; in the order of the folders the longest begin first."""
HANDED_OVER = {  # tests in four processes, also on two cores: half of their time they wait for others
    "serve": ("base", "weighbridge", "serve"),
    "run": ("base", "weighbridge"),
    "test": ("dev", "pytest", "--numprocesses", "4", *BY_MODULE),
    "bench": ("dev", "bench"),
}


def main(arguments: list[str]) -> int:
    """Runs one of the commands above; its exit code."""
    if sys.version_info < OLDEST:
        print(f"Weighbridge needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command in HANDED_OVER:
        group, *words = HANDED_OVER[command]
        return hand_over(group, "-m", *words, *rest)
    if command in OWN:
        return OWN[command]()
    print(__doc__)
    return 0 if command in ("help", "-h", "--help") else 2


def hand_over(group: str, *arguments: str) -> int:
    """Runs Python with these arguments in the environment, in place of this process where the system can."""
    prepare(group)
    command = [str(PYTHON), *arguments]
    if os.name == "nt":
        return subprocess.call(command)
    os.execv(command[0], command)  # noqa: S606  the server must get signals itself
    return 1


def check() -> int:
    """Runs every static check, all of them also when one fails; 0 if all pass."""
    prepare("dev")
    steps = (
        ("ruff", "check", "."),
        ("mypy",),
        ("lint-imports",),
        ("pytest", "-q", "tests/test_tidy.py"),
    )
    failed = []
    for name, *arguments in steps:
        print(f"== {name}", flush=True)
        if subprocess.call([str(BIN / name), *arguments], cwd=ROOT):
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all checks pass")
    return 1 if failed else 0


def prepare(group: str) -> None:
    """Makes or mends the environment: `base` is what runs, `dev` adds what tests and checks need."""
    stamp = ENVIRONMENT / f"{group}.stamp"
    wanted = fingerprint(group)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    lock_file = ROOT / "requirements" / f"{group}.lock"
    print(f"Preparing {ENVIRONMENT.name} from {lock_file.name} (once; a minute or two) ...", file=sys.stderr, flush=True)
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    run([*pip, "--require-hashes", "-r", str(lock_file)])
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    if group == "dev":  # holds everything of base too
        (ENVIRONMENT / "base.stamp").write_text(fingerprint("base"))
    stamp.write_text(wanted)


def fingerprint(group: str) -> str:
    """What the environment depends on: the lock file, the project's own description, where it lies, the interpreter."""
    parts = [(ROOT / "requirements" / f"{group}.lock").read_bytes(), (ROOT / "pyproject.toml").read_bytes()]
    parts += [str(ROOT).encode(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def run(command: list[str]) -> None:
    """Runs a step of the preparation; stops everything when it fails."""
    if subprocess.call(command):
        print(f"This step failed: {' '.join(command)}", file=sys.stderr)
        sys.exit(1)


def lock() -> int:
    """Writes every lock file anew, ours and those of the tests' clients: names, versions and hashes, no addresses."""
    wanted = {
        "requirements/base.lock": ["pyproject.toml", "--group", "build"],
        "requirements/dev.lock": ["pyproject.toml", "--group", "build", "--group", "dev"],
    }
    for listed in sorted(ROOT.glob("tests/clients/environments/*.in")):
        name = listed.relative_to(ROOT)
        wanted[str(name.with_suffix(".lock"))] = [str(name)]
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-emit-index-url"]
    command += ["--no-header", "--python-version", "3.11", "--upgrade"]
    for written, read in wanted.items():
        if subprocess.call([*command, *read, "-o", written], cwd=ROOT):
            return 1
    return 0


OWN = {"check": check, "lock": lock}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
