"""`weighbridge usage`."""

from __future__ import annotations

import click

from weighbridge.cli.asking import GROUP_KEYS, filter_options, range_options
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.instants import read_range
from weighbridge.cli.output import format_option, write
from weighbridge.domain.timegrid import WINDOWS

AMOUNTS = ("bytes_in", "bytes_out", "requests")


@click.command("usage")
@range_options("24h")
@click.option("--window", type=click.Choice(WINDOWS), default="1h", show_default=True, help="Length of a row.")
@click.option(
    "--group-by", metavar="KEYS", help=f"A row for each of these, separated by commas: {', '.join(GROUP_KEYS)}."
)
@filter_options()
@format_option
@client_options
@example("weighbridge usage --from 7d --window 1d --group-by region --time-zone Europe/Berlin")
def command(
    *,
    from_: str,
    to: str,
    time_zone: str,
    window: str,
    group_by: str | None,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
    **filters: str | None,
) -> None:
    """Show what moved, by window and group.

    The range is half-open. Every window is listed for every group, with zeros where nothing moved.
    """
    start, end = read_range(from_, to, time_zone)
    query = {"from": start, "to": end, "window": window, "time_zone": time_zone, "group_by": group_by, **filters}
    with connect(url, key, data) as client:
        answer = client.get("/api/v1/usage", query)
    keys = [name.strip() for name in group_by.split(",")] if group_by else []
    write(answer["data"], ("start", "end", *keys, *AMOUNTS), format_)
