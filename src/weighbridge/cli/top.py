"""`weighbridge top`."""

from __future__ import annotations

import click

from weighbridge.cli.asking import GROUP_KEYS, METRICS, filter_options, range_options
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.instants import read_range
from weighbridge.cli.output import format_option, write


@click.command("top")
@range_options("24h")
@click.option("--by", type=click.Choice(GROUP_KEYS), default="server", show_default=True, help="What is ranked.")
@click.option("--metric", type=click.Choice(METRICS), default="bytes", show_default=True, help="What it is ranked by.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many; the rest is `other`."
)
@filter_options()
@format_option
@client_options
@example("weighbridge top --by consumer --metric requests --app 1 --from 7d --limit 5")
def command(
    *,
    from_: str,
    to: str,
    time_zone: str,
    by: str,
    metric: str,
    limit: int,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
    **filters: str | None,
) -> None:
    """Show who moved most, and everything else as `other`."""
    start, end = read_range(from_, to, time_zone)
    query = {"from": start, "to": end, "time_zone": time_zone, "by": by, "metric": metric, "limit": limit, **filters}
    with connect(url, key, data) as client:
        answer = client.get("/api/v1/top", query)
    keys = ("vpn", "peer") if by == "peer" else (by,)
    rows = [*answer["data"], {keys[-1]: "other", **answer["other"]}]
    write(rows, (*keys, "name", "bytes_in", "bytes_out", "requests"), format_)
