"""`weighbridge demo`."""

from __future__ import annotations

import shlex

import click

from weighbridge.cli.examples import example
from weighbridge.cli.output import note
from weighbridge.cli.progress import progress_bar
from weighbridge.cli.settings_options import load_settings, with_settings
from weighbridge.domain.timegrid import rfc3339

SHOWN = ("data", "host", "port", "duckdb_memory_mb", "duckdb_threads")


@click.command("demo")
@click.option(
    "--months", type=click.IntRange(1, 120), default=13, show_default=True, help="Months of traffic up to now."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Another number, other traffic.")
@with_settings(*SHOWN)
@example("weighbridge demo --data ./demo-data && weighbridge serve --data ./demo-data --no-host")
def command(*, months: int, seed: int, **flags: object) -> None:
    """Fill an empty data folder with made-up traffic of four made-up customers.

    A hosting company with three projects and 30 servers, an API vendor with two apps, a publisher with 14 spaces and
    a VPN provider with two instances. Keys and ready-made requests are printed; the server is started afterwards.
    A folder that holds usage is refused.
    """
    settings, _ = load_settings(flags)
    from weighbridge.app.clock import SystemClock  # noqa: PLC0415  the stores, which --help need not wait for
    from weighbridge.app.demo.fill import fill  # noqa: PLC0415

    with progress_bar("Making up traffic") as tell:
        made = fill(settings, SystemClock(), months=months, seed=seed, on_progress=lambda done, of: tell(done, of, ""))
    span = f"{rfc3339(made.start_s)} to {rfc3339(made.end_s)}"
    note(f"{made.rows:,} rows of {made.series} series, {span}, in {settings.data}")
    click.echo(f"# admin key\n{made.admin_key}")
    for organization, key in made.keys.items():
        click.echo(f"# key of {organization}\n{key}")
    for name, line in made.curls.items():
        click.echo(f"# {name}\n{line}")
    note(f"Now serve it:\n  weighbridge serve --data {shlex.quote(str(settings.data))} --no-host")
