"""Kill -9 of a log's collector, again and again: `python3 -m bench.logs_crash [--rounds 200] [--seed 1]`.

A writer fills a log that is rotated about once a second, by renaming and by copying, and compressed; the collector is
killed about once a second, the server once; then the account of the writer and the server's are compared to the byte.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.log_crash import kill_collector


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_collector(Path(folder), chosen.rounds, chosen.seed, lambda line: print(line, file=sys.stderr))
    written, found = outcome.written, outcome.found
    even = found == {name: written[name] for name in ("requests", "bytes")}
    print(
        f"kills {outcome.kills}, rotations {outcome.rotations}, lines {written['lines']}, of them bad {written['bad']}, "
        f"lost or doubled: {'none' if even else 'SOME'}"
    )
    if not even:
        print(f"expected {written}\nfound    {found}\n{outcome.reported[-5000:]}")
    return 0 if even else 1


if __name__ == "__main__":
    sys.exit(main())
