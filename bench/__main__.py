"""The table of bars: what Weighbridge does, each beside its bar and its peer in the same run.

    python3 dev.py bench                                 2,000 series and 13 months, some ten minutes, 6 GB of disk
    python3 dev.py bench --quick                         everything once, far smaller, under two minutes
    python3 dev.py bench --full                          10,000 series, 10^8 known ids: an hour, 40 GB
    python3 dev.py bench --only single --only batch      some of the bars
    python3 dev.py bench --write docs/performance.md     measures, and replaces the table there

Linux only. PostgreSQL and goaccess are peers where they are installed (Debian: postgresql-15, goaccess); without them the
rest is measured.
Others: `python -m bench.crash`, `python -m bench.log_lines`, `python -m bench.api_sources`, `python -m bench.flows`,
`python -m bench.flow_tally`, `python -m bench.snmp_polls`,
`python bench/index.py`, `python bench/store.py`, `python bench/http_kit.py`, `python bench/middleware.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench.asking import Asking, history_row
from bench.ingest import Ingest
from bench.life import memory_rows, start_row
from bench.log_lines import log_rows
from bench.machine import describe, load
from bench.postgres import INSTALL, Postgres, find_binaries
from bench.sizes import DEFAULT, FULL, QUICK
from bench.table import as_data, as_markdown, write_between_markers

if TYPE_CHECKING:
    from bench.sizes import Sizes
    from bench.table import Row

NAMES = ("batch", "single", "endpoints", "history", "life", "logs")
ON_HISTORY = frozenset(("endpoints", "history"))


def say(line: str) -> None:
    """A line of progress, on stderr: stdout is for the table."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def measure(names: set[str], sizes: Sizes, folder: Path, postgres: Postgres | None) -> list[Row]:
    """The rows of these bars, in the order of the design's table."""
    rows: list[Row] = []
    if names & {"batch", "single"}:
        ingest = Ingest(folder, sizes, postgres, say)
        rows += ingest.batches() if "batch" in names else []
        rows += ingest.singles() if "single" in names else []
    asking = Asking(folder, sizes, postgres if "endpoints" in names else None, say) if names & ON_HISTORY else None
    later: list[Row] = []
    peak_mb = None
    if asking and "endpoints" in names:
        endpoints, later, peak_mb = asking.under_load()
        rows += endpoints
        later.append(asking.weight_row())
    if asking and "history" in names:
        rows.append(history_row(asking.folder, asking.world, folder, sizes, say))
    if "life" in names:
        say("starting and idling")
        rows.append(start_row(folder / "empty", sizes.starts, asking.folder if asking else None))
        rows += memory_rows(folder / "empty", peak_mb)
    if asking:
        asking.close()
    if "logs" in names:
        rows += log_rows(folder, sizes.log_lines, sizes.rounds, say)
    return rows + later


def heading(sizes: Sizes, postgres: Postgres | None, load_before: str) -> list[str]:
    """Lines above the table: when, where, how large, how busy."""
    peer = f"PostgreSQL {postgres.version}" if postgres else f"no PostgreSQL ({INSTALL})"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return [(
        f"Measured {today}, size {sizes.name}, medians of {sizes.rounds} rounds, on {describe()}; {peer}. "
        f"Load averages (1 and 5 minutes): before {load_before}, after {load()}."
    )]


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dev.py bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=NAMES, help="just this part; may be given several times")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", const=QUICK, dest="sizes", help="CI size")
    size.add_argument("--full", action="store_const", const=FULL, dest="sizes", help="10,000 series, 10^8 known ids")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the table in this Markdown page")
    parser.set_defaults(sizes=DEFAULT)
    return parser


def main() -> int:
    """Measures and prints; 0 also where a bar is missed, since machines differ."""
    chosen = arguments().parse_args()
    if not sys.platform.startswith("linux"):
        print("the benchmarks read /proc and need Linux", file=sys.stderr)
        return 2
    load_before = load()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weighbridge-bench-")))
        binaries = find_binaries()
        if binaries is None:
            say(INSTALL)
        postgres = stack.enter_context(Postgres(binaries)) if binaries else None
        rows = measure(set(chosen.only or NAMES), chosen.sizes, folder, postgres)
        text = as_markdown(rows, heading(chosen.sizes, postgres, load_before))
    print(text)
    if chosen.json:
        chosen.json.write_text(json.dumps(as_data(rows), indent=1, ensure_ascii=False), "utf-8")
    if chosen.write:
        write_between_markers(chosen.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
