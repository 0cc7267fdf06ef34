"""Kill -9 again and again: `python3 -m bench.crash [--rounds 500] [--seed 1]`.

Four clients send and retry while the server is killed at random moments; then both accounts are compared to the byte.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.crash import kill_rounds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_rounds(Path(folder) / "data", chosen.rounds, chosen.seed, lambda line: print(line, file=sys.stderr))
    reopened = sorted(outcome.reopened_s)
    even = outcome.found == outcome.expected and not outcome.troubles
    print(f"kills {outcome.kills}, events {outcome.events}, lost or doubled: {'none' if even else 'SOME'}")
    print(f"reopened after median {statistics.median(reopened):.2f} s, worst {reopened[-1]:.2f} s")
    for trouble in outcome.troubles:
        print(f"trouble: {trouble}")
    if not even:
        print(f"expected {outcome.expected}\nfound    {outcome.found}")
    return 0 if even else 1


if __name__ == "__main__":
    sys.exit(main())
