"""`weighbridge percentile`."""

from __future__ import annotations

import click

from weighbridge.cli.asking import filter_options, range_options
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.instants import read_range
from weighbridge.cli.output import format_option, write, write_one

COLUMNS = ("direction", "mbps", "bits_per_second", "rank", "slots", "discarded", "slot_start", "coverage")


@click.command("percentile")
@range_options("30d")
@click.option(
    "--slot", type=click.Choice(("30m", "5m")), default="30m", show_default=True, help="Length of a billing slot."
)
@click.option("--p", "p", type=click.IntRange(1, 99), default=95, show_default=True, help="Which percentile.")
@filter_options()
@format_option
@client_options
@example("weighbridge percentile --project incredible-bronze-knife --from 2025-12-01 --to 2026-01-01")
def command(
    *,
    from_: str,
    to: str,
    time_zone: str,
    slot: str,
    p: int,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
    **filters: str | None,
) -> None:
    """Show the 95th percentile of bandwidth (or another) with its receipt.

    Bytes of everything that matches are summed per slot first, then the percentile is taken by nearest rank.
    """
    start, end = read_range(from_, to, time_zone)
    query = {"from": start, "to": end, "time_zone": time_zone, "slot": slot, "p": p, **filters}
    with connect(url, key, data) as client:
        answer = client.get("/api/v1/percentile", query)
    if format_ == "json":
        write_one(answer, format_)
        return
    write([{"direction": direction, **answer[direction]} for direction in ("in", "out")], COLUMNS, format_)
