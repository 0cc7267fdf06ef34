"""Kill -9 of an agent, and long absence of its server: `python3 -m bench.agent_crash [--rounds 200] [--bodies 100000]`.

The agent meters a counter that grows all the time, and a flow every 20 ms; it is killed about twice a second, the server
now and then. Then an agent whose disk holds what days of absence left there catches up. Both accounts are compared with
the server's to the byte.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.agent_absence import catch_up
from support.agent_crash import kill_agent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    even = True
    with tempfile.TemporaryDirectory() as folder:
        if chosen.rounds:
            even &= kill(Path(folder) / "kill", chosen.rounds, chosen.seed)
        if chosen.bodies:
            even &= be_away(Path(folder) / "away", chosen.bodies)
    return 0 if even else 1


def kill(folder: Path, rounds: int, seed: int) -> bool:
    outcome = kill_agent(folder, rounds, seed, tell)
    even = outcome.found == outcome.expected and not outcome.troubles
    print(f"kills {outcome.kills}, handed in {outcome.handed_in}, lost or doubled: {'none' if even else 'SOME'}")
    if not even:
        print(f"expected {outcome.expected}\nfound    {outcome.found}\n{outcome.troubles[:20]}\n{outcome.reported[-5000:]}")
    return even


def be_away(folder: Path, bodies: int) -> bool:
    outcome = catch_up(folder, bodies, tell)
    even = outcome.found == outcome.expected and not outcome.left
    print(
        f"bodies that waited {outcome.bodies} ({outcome.spool_bytes / 1e6:.1f} MB on disk), delivered in {outcome.took_s:.1f}"
        f" s, {outcome.bodies / outcome.took_s:.0f} a second, lost or doubled: {'none' if even else 'SOME'}"
    )
    if not even:
        print(f"expected {outcome.expected}\nfound    {outcome.found}, {outcome.left} left")
    return even


def tell(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
