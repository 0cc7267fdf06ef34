"""`weighbridge unattributed`."""

from __future__ import annotations

from itertools import islice

import click

from weighbridge.cli.asking import range_options
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.instants import read_range
from weighbridge.cli.output import format_option, note, write

PATH = "/api/v1/unattributed"
AMOUNTS = ("bytes", "packets", "flows")


@click.command("unattributed")
@range_options("24h")
@click.option("--exporter", metavar="ID", help="Only what this exporter saw (id or address).")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most addresses.")
@click.option("--totals", is_flag=True, help="One row for each exporter instead, in which each flow counts once.")
@format_option
@client_options
@example("weighbridge unattributed --from 7d --exporter edge-1 --limit 20")
def command(
    *,
    from_: str,
    to: str,
    time_zone: str,
    exporter: str | None,
    limit: int,
    totals: bool,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
) -> None:
    """Show the addresses of flows that are nobody's, most bytes first.

    Both ends of a flow are listed. Declare what is yours in the catalog, with a `from` in the past, and run `weighbridge
    reattribute`.
    """
    start, end = read_range(from_, to, time_zone)
    query: dict[str, str | int | None] = {"from": start, "to": end, "time_zone": time_zone, "exporter": exporter}
    with connect(url, key, data) as client:
        if totals:
            write(client.get(PATH, {**query, "limit": 1})["exporters"], ("exporter", *AMOUNTS), format_)
            return
        found = list(islice(client.items(PATH, query), limit + 1))
    write(found[:limit], ("exporter", "address", *AMOUNTS), format_)
    if len(found) > limit:
        note(f"these are the first {limit:,}; --limit shows more")
