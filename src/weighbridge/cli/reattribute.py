"""`weighbridge reattribute`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from weighbridge.app.clock import SystemClock
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.output import format_option, note, write
from weighbridge.cli.progress import progress_bar
from weighbridge.domain.timegrid import rfc3339
from weighbridge.domain.units import DAY_S, SLOT_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PATH = "/api/v1/reattribution"
REQUEST_S = DAY_S // 4
"""What one request is about: with flows of 10,000 addresses it takes some 10 s, far from the client's patience."""
CHANGES = ("gained_bytes_in", "lost_bytes_in", "gained_bytes_out", "lost_bytes_out")


@click.command("reattribute")
@click.option(
    "--days", type=click.IntRange(1, 3660), required=True, metavar="NUMBER",
    help="How many days back; what is kept of them (`retention_days_flows`) is worked out anew.",
)
@click.option("--apply", "--yes", "is_applied", is_flag=True, help="Do it; without this it is only said what would change.")
@format_option
@client_options
@example("weighbridge reattribute --days 7", "weighbridge reattribute --days 7 --apply")
def command(
    *, days: int, is_applied: bool, format_: str, url: str | None, key: str | None, data: str | None
) -> None:
    """Count kept flows for whom they belong to by today's catalog, and show who gains and who loses what.

    Without --apply it is a dry run. An interrupted run may be run again; the second time there is nothing left to do. The
    last 70 minutes are left alone, since flows of them may still come.
    """
    end_s = SystemClock().now_us() // 1_000_000 // SLOT_S * SLOT_S
    pieces = list(_pieces(end_s - days * DAY_S, end_s))
    sums: dict[str, dict[str, Any]] = {}
    metas = []
    with connect(url, key, data) as client, progress_bar("reattribute") as draw:
        for done, (start_s, stop_s) in enumerate(pieces):
            draw(done, len(pieces), "")
            body = {"from": rfc3339(start_s), "to": rfc3339(stop_s), "dry_run": not is_applied}
            answer = client.json("POST", PATH, body=body)
            metas.append(answer["meta"])
            _add(sums, answer["data"])
        draw(len(pieces), len(pieces), "")
    rows = sorted(sums.values(), key=lambda row: (-sum(row[name] for name in CHANGES), row["subject"]))
    write(rows, ("subject", "organization", *CHANGES), format_)
    _conclude(metas, is_applied=is_applied)


def _pieces(start_s: int, end_s: int) -> Iterator[tuple[int, int]]:
    """The range cut into what one request is about."""
    while start_s < end_s:
        stop_s = min((start_s // REQUEST_S + 1) * REQUEST_S, end_s)
        yield start_s, stop_s
        start_s = stop_s


def _add(sums: dict[str, dict[str, Any]], rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        mine = sums.setdefault(row["subject"], {**row, **dict.fromkeys(CHANGES, 0)})
        for name in CHANGES:
            mine[name] += row[name]


def _conclude(metas: list[dict[str, Any]], *, is_applied: bool) -> None:
    before, after, corrections = (
        sum(meta[name] for meta in metas)
        for name in ("unattributed_bytes_before", "unattributed_bytes_after", "corrections")
    )
    looked = [meta for meta in metas if meta["from"] < meta["to"]]
    if not looked:
        note(f"nothing is kept of that time (all flows are kept since {metas[-1]['kept_since']}), or it is too young")
        return
    note(f"looked at {looked[0]['from']} to {looked[-1]['to']}; unattributed: {before:,} bytes, then {after:,}")
    verb = "were made" if is_applied else "would be made; --apply makes them"
    note(f"{corrections:,} corrections {verb}" if corrections else "nothing to correct")
