"""`weighbridge version`."""

from __future__ import annotations

import click

from weighbridge import __version__
from weighbridge.cli.examples import example
from weighbridge.cli.output import format_option, write


@click.command("version")
@format_option
@example("weighbridge version --format json")
def command(format_: str) -> None:
    """Show the version of this program."""
    write([{"name": "weighbridge", "version": __version__}], ("name", "version"), format_)
