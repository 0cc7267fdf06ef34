"""`weighbridge reconciliation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from weighbridge.cli.asking import filter_options, range_options
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.instants import read_range
from weighbridge.cli.output import format_option, write

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = (
    "server",
    "vpn",
    "billed",
    "via",
    "counters_in",
    "counters_out",
    "flows_in",
    "flows_out",
    "difference_in",
    "difference_out",
    "percent",
)


@click.command("reconciliation")
@range_options("24h")
@filter_options(("organization", "project", "region", "server", "vpn"))
@format_option
@client_options
@example("weighbridge reconciliation --from 2025-12-01 --to 2025-12-02 --project incredible-bronze-knife")
def command(
    *,
    from_: str,
    to: str,
    time_zone: str,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
    **filters: str | None,
) -> None:
    """Compare counters with flows, for each server and VPN that has both.

    The difference is flows less counters; what is billed is as the catalog says, whatever they differ by.
    """
    start, end = read_range(from_, to, time_zone)
    query = {"from": start, "to": end, "time_zone": time_zone, **filters}
    with connect(url, key, data) as client:
        found = list(client.items("/api/v1/reconciliation", query))
    if format_ in ("json", "jsonl"):
        write(found, (), format_)
    else:
        write([_row(each) for each in found], COLUMNS, format_)


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    sides = {name: found[name] for name in ("counters", "flows", "difference")}
    return {
        **{name: found[name] for name in ("server", "vpn", "billed")},
        "via": found["counters"]["via"],
        **{f"{name}_in": side["bytes_in"] for name, side in sides.items()},
        **{f"{name}_out": side["bytes_out"] for name, side in sides.items()},
        "percent": found["difference"]["percent"],
    }
