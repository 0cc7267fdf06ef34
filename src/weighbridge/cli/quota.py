"""`weighbridge quota show, weighbridge quota check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from weighbridge.cli.asking import filter_options
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.failures import OK, QUOTA_EXCEEDED
from weighbridge.cli.groups import DefaultGroup
from weighbridge.cli.output import format_option, note, write

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = (
    "project",
    "region",
    "billing_method",
    "start",
    "end",
    "tb_total",
    "tb_used",
    "mbps_total",
    "mbps_used",
    "percent",
    "exceeded",
)
BY_PERCENTILE = "95th percentile"


@click.group("quota", cls=DefaultGroup, default="show")
@example("weighbridge quota --project incredible-bronze-knife")
def command() -> None:
    """Show what was granted, what is used in the current billing period, and what is left.

    `weighbridge quota` alone is `weighbridge quota show`.
    """


@command.command("show")
@filter_options(("organization", "project", "region"))
@format_option
@client_options
@example("weighbridge quota show --region brazil --format csv")
def show(*, format_: str, url: str | None, key: str | None, data: str | None, **filters: str | None) -> None:
    """Show each project's quota in each region.

    Volume counts what was sent; a project billed by the 95th percentile counts the larger direction's rate.
    """
    with connect(url, key, data) as client:
        standings = client.get("/api/v1/quota", filters)["data"]
    _write(standings, format_)


@command.command("check")
@filter_options(("organization", "project", "region"))
@click.option(
    "--at",
    type=click.FloatRange(0, 1_000_000),
    metavar="PERCENT",
    default=None,
    help="Exceeded from this share of the quota on [default: more than all of it].",
)
@format_option
@client_options
@click.pass_context
@example('weighbridge quota check --at 80 || echo "order more traffic"')
def check(
    ctx: click.Context,
    /,
    *,
    at: float | None,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
    **filters: str | None,
) -> None:
    """Like `show`, with exit code 3 if any quota is exceeded.

    A quota of nothing is exceeded by anything. For cron and monitoring.
    """
    with connect(url, key, data) as client:
        standings = client.get("/api/v1/quota", filters)["data"]
    _write(standings, format_)
    over = [each for each in standings if each["exceeded"] or (at is not None and (_percent(each) or 0) >= at)]
    for each in over:
        note(f"exceeded: {each['project']} in {each['region']}" + (f", {_percent(each)} %" if _percent(each) else ""))
    ctx.exit(QUOTA_EXCEEDED if over else OK)


def _write(standings: list[dict[str, Any]], format_: str) -> None:
    if format_ in ("json", "jsonl"):
        write(standings, (), format_)
    else:
        write([_row(each) for each in standings], COLUMNS, format_)


def _row(standing: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: standing[name] for name in ("region", "billing_method", "start", "end", "exceeded")},
        "project": standing["project_slug"],
        "tb_total": standing["tb"]["total"],
        "tb_used": round(standing["used"] / 10**12, 3),
        "mbps_total": standing["mbps"]["total"],
        "mbps_used": standing["percentile"]["used_mbps"],
        "percent": _percent(standing),
    }


def _percent(standing: Mapping[str, Any]) -> float | None:
    """The used share of what the billing method weighs, in percent; None of a quota of nothing."""
    weighed = standing["percentile"] if standing["billing_method"] == BY_PERCENTILE else standing
    percent: float | None = weighed["percent"]
    return percent
