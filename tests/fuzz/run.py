"""`python tests/fuzz/run.py TARGET [--seconds 60] [--runs N] [--seed 1]`: fuzzes one decoder until it breaks.

With atheris (Linux, where it is installed) the fuzzer sees which branches an input reaches; elsewhere, and with
`--plain`, inputs are the seeds with random damage. Exit code 0: nothing was found. What breaks a target is printed and
written to `crash-…` in the folder given by `--crashes` (default: that for temporary files).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from targets import Target

MAX_BYTES = 4096
"""Longest input: room for nesting and many members, short enough for a thousand runs a second."""
CHANGES = 8
"""Most damages of one plain input."""
TOKENS = (
    b"\0", b"\xff", b"%", b"%00", b"[", b"]" * 40, b"{" * 40, b'"', b"\\ud800", b"&a ", b"*a", b": ", b"\n", b"9" * 30, b"-",
)
INSTRUMENTED = ("weighbridge", "yaml")
"""Packages whose branches atheris watches."""


def main(arguments: list[str]) -> int:
    """The exit code: 0 if nothing broke."""
    sys.path.append(str(Path(__file__).parent.parent))  # what seeds are made with: tests/support
    asked = _parse(arguments)
    if asked.corpus is not None:
        _run_atheris(asked)
    from targets import TARGETS  # noqa: PLC0415  in the process above atheris must come before what it watches

    if asked.target not in TARGETS:
        print(f"no target {asked.target!r}; there are: {' '.join(TARGETS)}", file=sys.stderr)  # noqa: T201  a command
        return 2
    if asked.plain or importlib.util.find_spec("atheris") is None:
        return _run_plain(TARGETS[asked.target], asked)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(TARGETS[asked.target].seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        command = [sys.executable, __file__, *arguments, "--corpus", corpus]
        return subprocess.run(command, check=False).returncode


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz one decoder until it breaks.")
    parser.add_argument("target", help="a name of targets.py, such as events")
    parser.add_argument("--seconds", type=int, default=60, help="how long (60)")
    parser.add_argument("--runs", type=int, default=-1, help="at most so many inputs (no bound)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--plain", action="store_true", help="without atheris, even where it is installed")
    parser.add_argument("--crashes", type=Path, default=Path(tempfile.gettempdir()), help="where to keep what broke it")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _run_atheris(asked: argparse.Namespace) -> NoReturn:
    """Hands over to libFuzzer, which ends the process without any clearing up, with 77 for a fault."""
    import atheris  # noqa: PLC0415  not installed everywhere

    with atheris.instrument_imports(include=[*INSTRUMENTED]):
        from targets import TARGETS  # noqa: PLC0415  instrumented while it is imported
    options = [
        sys.argv[0], asked.corpus, f"-seed={asked.seed}", f"-runs={asked.runs}", f"-max_total_time={asked.seconds}",
        f"-max_len={MAX_BYTES}", f"-artifact_prefix={asked.crashes}/", "-rss_limit_mb=1024", "-timeout=20", "-verbosity=0",
    ]
    atheris.Setup(options, TARGETS[asked.target].check)
    atheris.Fuzz()
    sys.exit(0)


def _run_plain(target: Target, asked: argparse.Namespace) -> int:
    until_s = time.monotonic() + asked.seconds
    runs = 0
    for data in _inputs(target, random.Random(asked.seed)):
        if runs == asked.runs or time.monotonic() > until_s:
            break
        try:
            target.check(data)
        except Exception:  # noqa: BLE001  whatever it is, it is a find
            kept = asked.crashes / f"crash-{hashlib.sha256(data).hexdigest()[:16]}"
            kept.write_bytes(data)
            traceback.print_exc()
            print(f"broken by {data[:200]!r}, kept in {kept}", file=sys.stderr)  # noqa: T201  a command
            return 1
        runs += 1
    print(f"{runs} inputs, nothing found", file=sys.stderr)  # noqa: T201  a command
    return 0


def _inputs(target: Target, chance: random.Random) -> Iterator[bytes]:
    """The seeds, then without end: a seed with damage."""
    yield b""
    yield from target.seeds
    while True:
        data = bytearray(chance.choice(target.seeds))
        for _ in range(chance.randint(1, CHANGES)):
            _damage(data, chance)
        yield bytes(data[:MAX_BYTES])


def _damage(data: bytearray, chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.randint(0, 8))
    kind = chance.randrange(5)
    if kind == 0:
        data[at:at] = chance.choice(TOKENS)
    elif kind == 1:
        data[at:at] = chance.randbytes(chance.randint(1, 4))
    elif kind == 2:
        del data[at:end]
    elif kind == 3:
        data[at:end] = chance.randbytes(end - at)
    else:
        data[at:at] = data[at:end] * chance.randint(1, 20)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
